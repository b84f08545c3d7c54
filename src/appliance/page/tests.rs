// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page's server, as visitors and attackers meet it: bytes on a socket.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod network;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::*;
use crate::control::{self, Reply};
use crate::status::Status;
use crate::supervise::Supervisor;

/// A served page whose box does everything that it is asked for.
struct Served {
    address: SocketAddr,
    publisher: Publisher,
    _supervisor: Supervisor,
}

struct Answered {
    status: u16,
    head: String,
    body: String,
}

/// A box that does everything that it is asked for, and says where it was asked.
fn obedient() -> Control {
    let (control, mut orders) = control::channel();
    tokio::spawn(async move {
        while let Some(order) = orders.next().await {
            let done = Reply::Done(format!("{:?} {:?}", order.origin, order.command));
            order.answer(done);
        }
    });
    control
}

/// The status of an answer, its head in lower case, and its body.
fn parted(answer: &[u8]) -> Answered {
    let answer = String::from_utf8_lossy(answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Answered {
        status: head
            .get(9..12)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

impl Served {
    async fn new() -> Self {
        let publisher = Publisher::new(Status::default());
        let mut supervisor = Supervisor::new();
        let address = "127.0.0.1:0".parse().unwrap();
        let page = Page::at_the_box(address).await.unwrap();
        let address = page.address;
        let serving = page.serve(publisher.clone(), obedient(), supervisor.stop());
        supervisor.task("page", serving);
        Self {
            address,
            publisher,
            _supervisor: supervisor,
        }
    }

    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // Who is cut off while writing reads the answer all the same.
        let _ = stream.write_all(bytes).await;
        stream
    }

    async fn exchange(&self, bytes: &[u8]) -> Answered {
        let mut answer = Vec::new();
        let _ = self.send(bytes).await.read_to_end(&mut answer).await;
        parted(&answer)
    }

    async fn ask(&self, line: &str, host: &str, more: &str, body: &str) -> Answered {
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n{body}"
        );
        self.exchange(request.as_bytes()).await
    }

    async fn ask_here(&self, line: &str) -> Answered {
        self.ask(line, &self.address.to_string(), "", "").await
    }

    async fn token(&self) -> String {
        let session = self.ask_here("GET /api/session").await;
        let session: serde_json::Value = serde_json::from_str(&session.body).unwrap();
        session["token"].as_str().unwrap().to_owned()
    }

    /// A wish with the headers of the page itself, changed by `change`.
    async fn wish(&self, wish: &str, change: impl FnOnce(&mut Vec<(&str, String)>)) -> Answered {
        let mut headers = vec![
            ("Origin", format!("http://{}", self.address)),
            ("Content-Type", "application/json".to_owned()),
            ("X-Roomseal-Token", self.token().await),
        ];
        change(&mut headers);
        let more: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        self.ask("POST /api/wish", &self.address.to_string(), &more, wish)
            .await
    }
}

const MUTE: &str = r#"{"do":"mute","to":"on"}"#;

#[tokio::test]
async fn the_page_its_files_and_its_state_are_served_with_strict_headers() {
    let served = Served::new().await;
    for path in ["/", "/panel.js", "/panel.css", "/api/state", "/api/session"] {
        let answer = served.ask_here(&format!("GET {path}")).await;
        assert_eq!(answer.status, 200, "{path}");
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(answer.head.contains(header), "{path}: {}", answer.head);
        }
        assert!(!answer.head.contains("access-control"), "{}", answer.head);
        assert!(!answer.head.contains("set-cookie"), "{}", answer.head);
    }
    let html = served.ask_here("GET /").await.body;
    assert!(
        !html.contains("style=") && !html.contains("onclick"),
        "inline code in the page"
    );
    assert_eq!(served.ask_here("GET /../Cargo.toml").await.status, 404);
    assert_eq!(served.ask_here("DELETE /").await.status, 405);
}

#[tokio::test]
async fn a_wish_of_the_page_is_carried_out_and_marked_as_its_own() {
    let served = Served::new().await;
    let answer = served.wish(MUTE, |_| {}).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("LocalPage Mute"), "{}", answer.body);
    let key = r#"{"do":"key","passphrase":"open sesame"}"#;
    let answer = served.wish(key, |_| {}).await;
    assert!(answer.body.contains("LocalPage Key("), "{}", answer.body);
    assert!(!answer.body.contains("sesame"), "{}", answer.body);
}

#[tokio::test]
async fn a_foreign_name_that_leads_here_gets_nothing() {
    let served = Served::new().await;
    let port = served.address.port();
    for host in [
        format!("evil.example:{port}"),
        "127.0.0.1".to_owned(),
        format!("127.0.0.1:{port}.evil.example"),
        format!("localhost.evil.example:{port}"),
        format!("127.0.0.2:{port}"),
        String::new(),
    ] {
        for line in [
            "GET /",
            "GET /api/session",
            "GET /api/events",
            "POST /api/wish",
        ] {
            let answer = served.ask(line, &host, "", MUTE).await;
            assert!(
                answer.status == 421 || answer.status == 400,
                "{host} {line}: {}",
                answer.status
            );
            assert!(!answer.body.contains("token"), "{}", answer.body);
        }
    }
    let twice = format!("127.0.0.1:{port}\r\nHost: evil.example");
    assert_eq!(served.ask("GET /", &twice, "", "").await.status, 421);
    let local = format!("localhost:{port}");
    assert_eq!(served.ask("GET /", &local, "", "").await.status, 200);
}

#[tokio::test]
async fn a_page_of_somebody_else_cannot_command_the_box() {
    let served = Served::new().await;
    let without = |name: &'static str| {
        move |headers: &mut Vec<(&str, String)>| headers.retain(|h| h.0 != name)
    };
    let with = |name: &'static str, value: &'static str| {
        move |headers: &mut Vec<(&str, String)>| {
            for header in headers.iter_mut().filter(|header| header.0 == name) {
                header.1 = value.to_owned();
            }
        }
    };
    for name in ["Origin", "Content-Type", "X-Roomseal-Token"] {
        let answer = served.wish(MUTE, without(name)).await;
        assert_eq!(answer.status, 403, "without {name}: {}", answer.body);
    }
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Content-Type", "text/plain"),
        ("X-Roomseal-Token", "0000"),
    ] {
        let answer = served.wish(MUTE, with(name, value)).await;
        assert_eq!(answer.status, 403, "{name}: {value}: {}", answer.body);
    }
    let get = served.ask_here("GET /api/wish").await;
    assert_eq!(get.status, 404);
}

#[tokio::test]
async fn garbage_is_refused_and_leaves_the_page_working() {
    let served = Served::new().await;
    for wish in [
        "",
        "null",
        "{}",
        r#"{"do":"reboot"}"#,
        r#"{"do":"leave","x":1}"#,
        "\u{0}",
    ] {
        let answer = served.wish(wish, |_| {}).await;
        assert_eq!(answer.status, 400, "{wish}: {}", answer.body);
    }
    let long = format!(r#"{{"do":"join","room":"{}"}}"#, "x".repeat(128 * 1024));
    assert_ne!(served.wish(&long, |_| {}).await.status, 200);
    let huge = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    assert_ne!(served.exchange(huge.as_bytes()).await.status, 200);
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"\xff\xfe\r\n\r\n",
        b"GET\r\n\r\n",
    ] {
        assert_ne!(served.exchange(bytes).await.status, 200);
    }
    assert_eq!(served.wish(MUTE, |_| {}).await.status, 200);
}

#[tokio::test]
async fn who_watches_gets_every_change_and_a_verdict_only_while_it_is_renewed() {
    let served = Served::new().await;
    let request = format!(
        "GET /api/events HTTP/1.1\r\nHost: {}\r\n\r\n",
        served.address
    );
    let stream = served.send(request.as_bytes()).await;
    let mut lines = BufReader::new(stream).lines();
    let mut state = async |wanted: &str| {
        let found = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let line = lines.next_line().await.unwrap().unwrap();
                if let Some(data) = line.strip_prefix("data: ")
                    && data.contains(wanted)
                {
                    return data.to_owned();
                }
            }
        });
        found.await.unwrap_or_else(|_| panic!("no {wanted}"))
    };
    state(r#""room":"""#).await;
    served
        .publisher
        .update(|status| status.room = "lobby".to_owned());
    state(r#""room":"lobby""#).await;
    let green = crate::status::Shield {
        state: "sealed".to_owned(),
        text: String::new(),
        reasons: Vec::new(),
    };
    served.publisher.judged(green);
    state(r#""state":"sealed""#).await;
    // Nobody renews it.
    state(r#""state":"dark""#).await;
}

#[tokio::test]
async fn nothing_of_the_status_reaches_a_browser_unchosen() {
    let served = Served::new().await;
    served.publisher.update(|status| {
        status.recording = Some("/srv/secret-place".to_owned());
        status.board = "board-of-the-box".to_owned();
    });
    let state = served.ask_here("GET /api/state").await.body;
    assert!(state.contains(r#""recording":true"#), "{state}");
    assert!(!state.contains("secret-place"), "{state}");
    assert!(!state.contains("board-of-the-box"), "{state}");
}

#[tokio::test]
async fn the_join_code_is_that_of_the_guest_link_and_drawn_for_the_page_of_the_box_only() {
    use roomseal_policy::Link;
    let served = Served::new().await;
    let ask = async |without: Option<usize>| {
        let mut headers = vec![
            ("Origin", format!("http://{}", served.address)),
            ("Content-Type", "application/json".to_owned()),
            ("X-Roomseal-Token", served.token().await),
        ];
        if let Some(header) = without {
            headers.remove(header);
        }
        let more: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let host = served.address.to_string();
        served.ask("POST /api/invitation", &host, &more, "{}").await
    };
    assert_eq!(ask(None).await.status, 404, "there is no meeting");
    let vectors = include_str!("../../policy/tests/vectors/links.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let links: Vec<Link> = vectors["links"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|vector| Link::parse(vector["link"].as_str()?).ok())
        .collect();
    let host = links.iter().find(|link| link.host().is_some()).unwrap();
    served.publisher.invite_by(Some(host.clone()));
    let answer = ask(None).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let drawn: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let rows: Vec<&str> = drawn["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.as_str().unwrap())
        .collect();
    assert!(rows.iter().all(|row| row.len() == rows.len()));
    let grid = rqrr::SimpleGrid::from_func(rows.len(), |x, y| rows[y].as_bytes()[x] == b'1');
    let (_, read) = rqrr::Grid::new(grid).decode().unwrap();
    assert_eq!(read, *host.for_guests().expose());
    assert!(!read.contains("&s="), "a guest became a host");
    for header in 0..3 {
        assert_eq!(ask(Some(header)).await.status, 403);
    }
    assert_eq!(served.ask_here("GET /api/invitation").await.status, 404);
}

#[tokio::test]
async fn visitors_beyond_the_limit_wait_and_are_served_when_others_go() {
    let served = Served::new().await;
    let mut idle = Vec::new();
    for _ in 0..MOST_CONNECTIONS {
        idle.push(served.send(b"GET / HT").await);
    }
    let request = format!(
        "GET /api/state HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        served.address
    );
    let mut late = served.send(request.as_bytes()).await;
    let mut answer = Vec::new();
    // Served once the half requests were given up, and not before one of them was.
    let early = tokio::time::timeout(Duration::from_millis(300), late.read(&mut [0; 1])).await;
    assert!(early.is_err(), "one more than there are places was served");
    drop(idle);
    tokio::time::timeout(READING, late.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn every_file_that_the_page_asks_for_is_part_of_it() {
    let mut wanted = vec!["/".to_owned()];
    let mut looked = 0;
    while let Some(path) = wanted.get(looked).cloned() {
        looked += 1;
        let (_, bytes) = assets::find(&path).unwrap_or_else(|| panic!("{path} is not served"));
        let text = std::str::from_utf8(bytes).unwrap();
        let named = |before: &'static str, after: char| {
            text.split(before)
                .skip(1)
                .filter_map(move |rest| Some(format!("/{}", rest.split_once(after)?.0)))
        };
        let found = named("from './", '\'')
            .chain(named("src=\"/", '"'))
            .chain(named("rel=\"stylesheet\" href=\"/", '"'));
        for path in found {
            if !wanted.contains(&path) {
                wanted.push(path);
            }
        }
    }
    assert!(looked > 8, "{wanted:?}");
}

#[test]
fn every_state_of_the_shield_has_a_name_a_sign_and_a_colour() {
    let words = include_str!("../../web/panel/words.js");
    let style = include_str!("../../web/look.css");
    let html = include_str!("../../web/panel/index.html");
    for shield in roomseal_meeting::Shield::ALL {
        let word = shield.word();
        let line = words
            .lines()
            .find(|line| {
                line.trim_start()
                    .starts_with(&format!("'{word}': {{ name: "))
            })
            .unwrap_or_else(|| panic!("words.js does not name {word}"));
        let sign = line
            .split("sign: '")
            .nth(1)
            .unwrap()
            .split('\'')
            .next()
            .unwrap();
        assert!(
            html.contains(&format!("<symbol id=\"i-{sign}\"")),
            "no sign {sign}"
        );
        assert!(
            style.contains(&format!("body[data-state=\"{word}\"]")),
            "look.css has no {word}"
        );
    }
}
