// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page on the network, as devices and attackers there meet it.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::*;

/// A box that only a paired device may operate.
struct Guarded {
    address: SocketAddr,
    publisher: Publisher,
    tls: TlsConnector,
    _supervisor: Supervisor,
}

/// What one device knows: a browser's jar of cookies, and the token of its page.
#[derive(Clone, Default)]
struct Device {
    cookie: Option<String>,
    token: Option<String>,
}

impl Guarded {
    async fn new() -> Self {
        Self::with(None).await
    }

    async fn with(password: Option<&str>) -> Self {
        let password = password.map(|words| PagePassword::new(words, [9; 16]).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let names = vec!["box.local".to_owned()];
        let identity = Identity::own(Some(folder.path()), &names).unwrap();
        let kept = CertificateDer::from_pem_file(folder.path().join("page.pem")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(kept).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let publisher = Publisher::new(Status::default());
        let mut supervisor = Supervisor::new();
        let address = "127.0.0.1:0".parse().unwrap();
        let page = Page::on_the_network(address, identity, names)
            .await
            .unwrap()
            .with_password(password);
        let address = page.address;
        let serving = page.serve(publisher.clone(), obedient(), supervisor.stop());
        supervisor.task("page", serving);
        Self {
            address,
            publisher,
            tls: Arc::new(tls).into(),
            _supervisor: supervisor,
        }
    }

    async fn exchange(&self, bytes: &[u8]) -> Answered {
        let name = ServerName::try_from("box.local").unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let mut stream = self.tls.connect(name, stream).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        parted(&answer)
    }

    async fn ask(&self, line: &str, host: &str, more: &str, body: &str) -> Answered {
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n{body}"
        );
        self.exchange(request.as_bytes()).await
    }

    /// As the page of `device` asks, with the headers that a browser sends.
    async fn of(&self, device: &Device, line: &str, body: &str) -> Answered {
        let host = self.address.to_string();
        let mut more = format!("Origin: https://{host}\r\nContent-Type: application/json\r\n");
        if let Some(cookie) = &device.cookie {
            more += &format!("Cookie: other=1; {cookie}\r\n");
        }
        if let Some(token) = &device.token {
            more += &format!("X-Roomseal-Token: {token}\r\n");
        }
        self.ask(line, &host, &more, body).await
    }

    fn code(&self) -> Option<String> {
        self.publisher.watch().borrow().pairing_code.clone()
    }

    async fn pair(&self) -> Device {
        let nobody = Device::default();
        let asked = self.of(&nobody, "POST /api/code", "{}").await;
        assert!(asked.body.contains("done"), "{}", asked.body);
        let code = self.code().unwrap();
        assert!(
            !asked.body.contains(&code),
            "the code is for who is at the box"
        );
        let typed = format!(r#"{{"code":"{code}"}}"#);
        let paired = self.of(&nobody, "POST /api/pair", &typed).await;
        assert!(paired.body.contains("done"), "{}", paired.body);
        self.admitted(&paired).await
    }

    /// A device that got its cookie by this answer.
    async fn admitted(&self, answer: &Answered) -> Device {
        let line = answer
            .head
            .lines()
            .find(|line| line.starts_with("set-cookie: "));
        let (cookie, attributes) = line.unwrap()["set-cookie: ".len()..]
            .split_once("; ")
            .unwrap();
        assert_eq!(
            attributes,
            "path=/; max-age=43200; secure; httponly; samesite=strict"
        );
        let mut device = Device {
            cookie: Some(cookie.replace("__host", "__Host")),
            token: None,
        };
        let session = self.of(&device, "GET /api/session", "").await;
        let session: serde_json::Value = serde_json::from_str(&session.body).unwrap();
        device.token = Some(session["token"].as_str().unwrap().to_owned());
        device
    }
}

#[tokio::test]
async fn who_is_not_paired_gets_the_page_and_nothing_of_the_box() {
    let guarded = Guarded::new().await;
    guarded
        .publisher
        .update(|status| status.room = "the-room".to_owned());
    let nobody = Device::default();
    for path in ["/", "/panel.js", "/pairing.js"] {
        assert_eq!(
            guarded.of(&nobody, &format!("GET {path}"), "").await.status,
            200
        );
    }
    let session = guarded.of(&nobody, "GET /api/session", "").await;
    assert_eq!(session.body, r#"{"token":null,"password":false}"#);
    let stranger = Device {
        cookie: Some(format!("__Host-roomseal={}", "ab".repeat(32))),
        token: Some("cd".repeat(32)),
    };
    for device in [&nobody, &stranger] {
        for line in [
            "GET /api/state",
            "GET /api/events",
            "POST /api/wish",
            "POST /api/invitation",
            "POST /api/part",
        ] {
            let answer = guarded.of(device, line, MUTE).await;
            assert_eq!(answer.status, 401, "{line}: {}", answer.body);
            assert!(!answer.body.contains("the-room"), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn a_device_that_was_paired_operates_the_box_as_one_from_the_network() {
    let guarded = Guarded::new().await;
    let device = guarded.pair().await;
    assert_eq!(guarded.code(), None, "a code is good once");
    let done = guarded.of(&device, "POST /api/wish", MUTE).await;
    assert!(done.body.contains("Paired Mute"), "{}", done.body);
    let state = guarded.of(&device, "GET /api/state", "").await;
    assert!(
        state.body.contains(r#""place":"network""#),
        "{}",
        state.body
    );
    let off = guarded
        .of(&device, "POST /api/wish", r#"{"do":"e2ee","to":"off"}"#)
        .await;
    assert!(off.body.contains("Paired E2ee"), "{}", off.body);

    // The key of the meeting is for people at the box, whoever is paired.
    let invitation = guarded.of(&device, "POST /api/invitation", "{}").await;
    assert_eq!(invitation.status, 403);
    assert!(
        invitation.body.contains("at the box only"),
        "{}",
        invitation.body
    );
    // And so is a code that somebody else is to type.
    guarded
        .publisher
        .update(|status| status.pairing_code = Some("1234 5678".to_owned()));
    let state = guarded.of(&device, "GET /api/state", "").await;
    assert!(!state.body.contains("1234 5678"), "{}", state.body);

    let parted = guarded.of(&device, "POST /api/part", "{}").await;
    assert!(parted.head.contains("max-age=0"), "{}", parted.head);
    assert_eq!(
        guarded.of(&device, "POST /api/wish", MUTE).await.status,
        401
    );
}

#[tokio::test]
async fn a_code_is_guessed_at_five_times_at_most_and_then_nobody_gets_another_at_once() {
    let guarded = Guarded::new().await;
    let nobody = Device::default();
    let none = guarded
        .of(&nobody, "POST /api/pair", r#"{"code":"12345678"}"#)
        .await;
    assert!(none.body.contains("shows no code"), "{}", none.body);
    guarded.of(&nobody, "POST /api/code", "{}").await;
    let code = guarded.code().unwrap();
    let digit = if code.ends_with('0') { '1' } else { '0' };
    let wrong = format!(r#"{{"code":"{}{digit}"}}"#, &code[..code.len() - 1]);
    for left in (1..5).rev() {
        let told = guarded.of(&nobody, "POST /api/pair", &wrong).await;
        assert!(told.body.contains(&format!("{left} more")), "{}", told.body);
        assert!(!told.head.contains("set-cookie"), "{}", told.head);
    }
    let told = guarded.of(&nobody, "POST /api/pair", &wrong).await;
    assert!(
        told.body.contains("there is none any more"),
        "{}",
        told.body
    );
    assert_eq!(guarded.code(), None);
    let right = format!(r#"{{"code":"{code}"}}"#);
    let late = guarded.of(&nobody, "POST /api/pair", &right).await;
    assert!(late.body.contains("not-now"), "{}", late.body);
    let again = guarded.of(&nobody, "POST /api/code", "{}").await;
    assert!(again.body.contains("try again in 3"), "{}", again.body);
    assert_eq!(guarded.code(), None);
}

#[tokio::test]
async fn a_page_of_somebody_else_can_use_neither_the_cookie_nor_the_code() {
    let guarded = Guarded::new().await;
    let device = guarded.pair().await;
    let host = guarded.address.to_string();
    let cookie = device.cookie.clone().unwrap();
    let token = device.token.clone().unwrap();
    let all = |origin: &str, kind: &str, token: &str| {
        format!(
            "Origin: {origin}\r\nContent-Type: {kind}\r\nCookie: {cookie}\r\nX-Roomseal-Token: {token}\r\n"
        )
    };
    let own = format!("https://{host}");
    let json = "application/json";
    let foreign = [
        all("https://evil.example", json, &token),
        all("null", json, &token),
        all(&format!("http://{host}"), json, &token),
        all(&own, "text/plain", &token),
    ];
    let untold = [all(&own, json, ""), all(&own, json, &"00".repeat(32))];
    for more in foreign.iter().chain(&untold) {
        let answer = guarded.ask("POST /api/wish", &host, more, MUTE).await;
        assert_eq!(answer.status, 403, "{more}");
    }
    for more in &foreign {
        let bare = more.replace(&cookie, "a=b");
        for (line, body) in [
            ("POST /api/code", "{}"),
            ("POST /api/pair", r#"{"code":"1"}"#),
        ] {
            let answer = guarded.ask(line, &host, &bare, body).await;
            assert_eq!(answer.status, 403, "{line} {bare}");
        }
    }
    assert_eq!(guarded.code(), None, "another page had a code shown");
    let fine = all(&own, json, &token);
    assert_eq!(
        guarded
            .ask("POST /api/wish", &host, &fine, MUTE)
            .await
            .status,
        200
    );
    // The token of one device is of no use to another.
    let other = guarded.pair().await;
    let mixed = Device {
        cookie: other.cookie,
        token: device.token,
    };
    assert_eq!(guarded.of(&mixed, "POST /api/wish", MUTE).await.status, 403);
}

#[tokio::test]
async fn a_foreign_name_that_leads_to_the_box_gets_nothing_on_the_network_either() {
    let guarded = Guarded::new().await;
    let port = guarded.address.port();
    for host in [
        "evil.example",
        "box.local.evil.example",
        "127.0.0.2",
        "localhost",
        "",
    ] {
        let answer = guarded
            .ask("GET /", &format!("{host}:{port}"), "", "")
            .await;
        assert!(
            [400, 421].contains(&answer.status),
            "{host}: {}",
            answer.status
        );
    }
    for host in ["box.local", "BOX.local", "127.0.0.1"] {
        let answer = guarded
            .ask("GET /", &format!("{host}:{port}"), "", "")
            .await;
        assert_eq!(answer.status, 200, "{host}");
    }
}

#[tokio::test]
async fn a_device_that_is_not_paired_any_more_stops_hearing_what_happens() {
    let guarded = Guarded::new().await;
    let device = guarded.pair().await;
    let name = ServerName::try_from("box.local").unwrap();
    let stream = TcpStream::connect(guarded.address).await.unwrap();
    let mut watching = guarded.tls.connect(name, stream).await.unwrap();
    let cookie = device.cookie.as_deref().unwrap();
    let request = format!(
        "GET /api/events HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n",
        guarded.address
    );
    watching.write_all(request.as_bytes()).await.unwrap();
    let mut heard = [0; 64];
    watching.read_exact(&mut heard).await.unwrap();
    guarded.of(&device, "POST /api/part", "{}").await;
    guarded
        .publisher
        .update(|status| status.room = "said-later".to_owned());
    let mut rest = Vec::new();
    let ended = watching.read_to_end(&mut rest);
    let _ = tokio::time::timeout(Duration::from_secs(20), ended)
        .await
        .unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("said-later"));
}

#[tokio::test]
async fn one_machine_cannot_hold_all_places_and_who_speaks_no_tls_gets_no_answer() {
    let guarded = Guarded::new().await;
    let mut idle = Vec::new();
    for _ in 0..MOST_OF_ONE {
        idle.push(TcpStream::connect(guarded.address).await.unwrap());
    }
    // One more is hung up on, and not made to wait.
    let mut late = TcpStream::connect(guarded.address).await.unwrap();
    let hung_up = tokio::time::timeout(READING / 2, late.read(&mut [0; 1])).await;
    assert!(matches!(hung_up, Ok(Ok(0) | Err(_))), "{hung_up:?}");
    idle.clear();
    let mut plain = loop {
        let mut plain = TcpStream::connect(guarded.address).await.unwrap();
        let _ = plain
            .write_all(b"GET / HTTP/1.1\r\nHost: box.local\r\n\r\n")
            .await;
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer).await;
        // Until those that went are counted out, one is hung up on without a word.
        if !answer.is_empty() {
            break answer;
        }
    };
    plain.truncate(4);
    assert_eq!(
        plain.first(),
        Some(&21),
        "an alert of TLS, not a page: {plain:?}"
    );
}

const PASSWORD: &str = "correct horse";
const KNOWN: &str = r#"{"password":"correct horse"}"#;
const OFF: &str = r#"{"do":"e2ee","to":"off"}"#;

#[tokio::test]
async fn the_password_lets_a_device_in_and_makes_no_host_of_it() {
    let guarded = Guarded::with(Some(PASSWORD)).await;
    let nobody = Device::default();
    let session = guarded.of(&nobody, "GET /api/session", "").await;
    assert_eq!(session.body, r#"{"token":null,"password":true}"#);
    for wrong in [
        r#"{"password":"correct hors"}"#,
        r#"{"password":""}"#,
        r#"{"code":"correct horse"}"#,
        "nonsense",
    ] {
        let refused = guarded.of(&nobody, "POST /api/password", wrong).await;
        assert!(
            !refused.head.contains("set-cookie"),
            "{wrong}: {}",
            refused.head
        );
    }
    let entered = guarded.of(&nobody, "POST /api/password", KNOWN).await;
    let device = guarded.admitted(&entered).await;
    let state = guarded.of(&device, "GET /api/state", "").await;
    assert!(
        state.body.contains(r#""sign-in":"takes-code""#),
        "{}",
        state.body
    );
    let off = guarded.of(&device, "POST /api/wish", OFF).await;
    assert!(off.body.contains("Paired E2ee"), "{}", off.body);
    let refused = guarded.of(&device, "POST /api/sign-in", KNOWN).await;
    assert!(refused.body.contains("denied"), "{}", refused.body);
    let off = guarded.of(&device, "POST /api/wish", OFF).await;
    assert!(off.body.contains("Paired E2ee"), "{}", off.body);
}

#[tokio::test]
async fn who_was_paired_and_knows_the_password_is_a_host_and_nobody_else() {
    let guarded = Guarded::with(Some(PASSWORD)).await;
    let device = guarded.pair().await;
    let state = guarded.of(&device, "GET /api/state", "").await;
    assert!(
        state.body.contains(r#""sign-in":"offered""#),
        "{}",
        state.body
    );
    let wrong = r#"{"password":"another one, wrong"}"#;
    let refused = guarded.of(&device, "POST /api/sign-in", wrong).await;
    assert!(
        refused.body.contains("not the password"),
        "{}",
        refused.body
    );
    let off = guarded.of(&device, "POST /api/wish", OFF).await;
    assert!(off.body.contains("Paired E2ee"), "{}", off.body);

    let signed = guarded.of(&device, "POST /api/sign-in", KNOWN).await;
    assert!(signed.body.contains("done"), "{}", signed.body);
    let off = guarded.of(&device, "POST /api/wish", OFF).await;
    assert!(off.body.contains("Host E2ee"), "{}", off.body);
    let state = guarded.of(&device, "GET /api/state", "").await;
    assert!(state.body.contains(r#""sign-in":"done""#), "{}", state.body);
    // What holds the key stays at the box.
    let invitation = guarded.of(&device, "POST /api/invitation", "{}").await;
    assert_eq!(invitation.status, 403);

    // Another device is as it was, and a page of somebody else signs nobody in.
    let other = guarded.pair().await;
    let off = guarded.of(&other, "POST /api/wish", OFF).await;
    assert!(off.body.contains("Paired E2ee"), "{}", off.body);
    let untold = Device {
        cookie: other.cookie,
        token: None,
    };
    let foreign = guarded.of(&untold, "POST /api/sign-in", KNOWN).await;
    assert_eq!(foreign.status, 403);
    let nobody = guarded
        .of(&Device::default(), "POST /api/sign-in", KNOWN)
        .await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn who_guesses_passwords_is_made_to_wait_and_keeps_no_paired_device_from_signing_in() {
    let guarded = Guarded::with(Some(PASSWORD)).await;
    let device = guarded.pair().await;
    let nobody = Device::default();
    let wrong = r#"{"password":"a guess, and wrong"}"#;
    for _ in 0..5 {
        let refused = guarded.of(&nobody, "POST /api/password", wrong).await;
        assert!(
            refused.body.contains("not the password"),
            "{}",
            refused.body
        );
    }
    for typed in [wrong, KNOWN] {
        let refused = guarded.of(&nobody, "POST /api/password", typed).await;
        assert!(refused.body.contains("try again in"), "{}", refused.body);
        assert!(!refused.head.contains("set-cookie"), "{}", refused.head);
    }
    let happened = guarded.publisher.watch().borrow().happenings.clone();
    assert!(
        happened
            .iter()
            .any(|one| one.text.contains("wrong passwords"))
    );
    let signed = guarded.of(&device, "POST /api/sign-in", KNOWN).await;
    assert!(signed.body.contains("done"), "{}", signed.body);
}

#[tokio::test]
async fn where_there_is_no_password_nobody_is_let_in_by_one() {
    let guarded = Guarded::new().await;
    let refused = guarded
        .of(&Device::default(), "POST /api/password", KNOWN)
        .await;
    assert!(refused.body.contains("page-password"), "{}", refused.body);
    assert!(!refused.head.contains("set-cookie"), "{}", refused.head);
    let device = guarded.pair().await;
    let refused = guarded.of(&device, "POST /api/sign-in", KNOWN).await;
    assert!(refused.body.contains("page-password"), "{}", refused.body);
    let state = guarded.of(&device, "GET /api/state", "").await;
    assert!(state.body.contains(r#""sign-in":"no""#), "{}", state.body);
}
