// SPDX-License-Identifier: MIT OR Apache-2.0
//! The join page and the way into a meeting, as a browser asks for them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roomseal_hub::{Pages, PagesError};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::client_async;

use super::harness::{SOON, keys};
use super::{hub, hub_with};

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn is_problem(&self, status: u16, about: &str) {
        let problem = self.json();
        assert_eq!(self.status, status, "{problem}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(problem["status"], json!(status));
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(about), "{detail}");
    }
}

async fn ask_over(mut stream: TcpStream, head: &str, body: &str) -> Answer {
    let request = format!(
        "{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    let head = String::from_utf8(answer).unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
        body,
    }
}

async fn ask(hub: SocketAddr, head: &str, body: &str) -> Answer {
    ask_over(TcpStream::connect(hub).await.unwrap(), head, body).await
}

async fn get(hub: SocketAddr, path: &str, more: &str) -> Answer {
    ask(
        hub,
        &format!("GET {path} HTTP/1.1\r\nHost: {hub}{more}"),
        "",
    )
    .await
}

const AS_JSON: &str = "\r\nContent-Type: application/json";

async fn join(hub: SocketAddr, room: &str, name: &str) -> Answer {
    let head = format!(
        "POST /api/meetings/{room}/join HTTP/1.1\r\nHost: {hub}\r\nOrigin: http://{hub}{AS_JSON}"
    );
    ask(hub, &head, &json!({"name": name}).to_string()).await
}

fn page(folder: &Path) -> Pages {
    for (name, text) in [
        ("index.html", "<!doctype html>"),
        ("plan.html", "<!doctype html><title>plan"),
        ("core.wasm", "\0asm"),
        ("worker.js", "// worker"),
        ("worker.js.gz", "packed"),
        ("secret.txt", "not a part"),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    Pages::open(folder).unwrap()
}

#[tokio::test]
async fn the_page_comes_with_its_types_and_with_a_policy_that_nothing_else_may_run_under() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub_with(Some(page(folder.path()))).await;
    for (path, kind, body) in [
        ("/j/any-room", "text/html; charset=utf-8", "<!doctype html>"),
        (
            "/plan",
            "text/html; charset=utf-8",
            "<!doctype html><title>plan",
        ),
        ("/join/core.wasm", "application/wasm", "\0asm"),
        (
            "/join/worker.js",
            "text/javascript; charset=utf-8",
            "// worker",
        ),
    ] {
        let answer = get(hub, path, "").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(kind))
        );
        assert_eq!(answer.body, body.as_bytes());
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        let policy = answer.header("content-security-policy").unwrap();
        for clause in [
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            &format!("connect-src 'self' ws://{hub} wss://{hub}"),
        ] {
            assert!(
                policy.split("; ").any(|it| it == clause),
                "{clause}: {policy}"
            );
        }
    }
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again_and_what_is_packed_is_sent_packed() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub_with(Some(page(folder.path()))).await;
    let packed = get(hub, "/join/worker.js", "\r\nAccept-Encoding: br, gzip").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(packed.body, b"packed");
    let tag = packed.header("etag").unwrap();
    let again = get(hub, "/join/worker.js", &format!("\r\nIf-None-Match: {tag}")).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let other = get(hub, "/join/core.wasm", &format!("\r\nIf-None-Match: {tag}")).await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn nothing_but_the_parts_of_the_page_is_given_out() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub_with(Some(page(folder.path()))).await;
    for path in [
        "/j/",
        "/j/a/b",
        "/join/",
        "/join/index.html",
        "/join/plan.html",
        "/plan/",
        "/join/secret.txt",
        "/join/worker.js.gz",
        "/join/../join/worker.js",
        "/join/%2e%2e/secret.txt",
    ] {
        assert_eq!(get(hub, path, "").await.status, 404, "{path}");
    }
    let post = format!("POST /j/room HTTP/1.1\r\nHost: {hub}");
    assert_eq!(ask(hub, &post, "").await.status, 405);
    // A host that is none is not repeated in the policy.
    let answer = ask(hub, "GET /j/room HTTP/1.1\r\nHost: a;script-src *", "").await;
    let policy = answer.header("content-security-policy").unwrap();
    assert!(
        policy.contains("connect-src 'self';") && !policy.contains('*'),
        "{policy}"
    );
}

#[tokio::test]
async fn a_page_that_is_missing_is_said_to_be_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Pages::open(&folder.path().join("nowhere")).unwrap_err();
    assert!(missing.to_string().contains("--pages"), "{missing}");
    drop(page(folder.path()));
    std::fs::remove_file(folder.path().join("core.wasm")).unwrap();
    let PagesError::Part { file, .. } = Pages::open(folder.path()).unwrap_err();
    assert!(file.ends_with("core.wasm"));
    let (hub, _) = hub().await;
    let answer = get(hub, "/j/room", "").await;
    let text = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, 503);
    assert!(text.contains("--pages"), "{text}");
}

#[tokio::test]
async fn a_browser_gets_a_token_for_one_room_and_comes_in_with_it() {
    let (hub, _) = hub().await;
    let answer = join(hub, "room", " Petra ").await;
    assert_eq!(
        (answer.status, answer.header("cache-control")),
        (200, Some("no-store"))
    );
    let entry = answer.json();
    assert_eq!(entry["url"], format!("ws://{hub}"));
    let token = entry["token"].as_str().unwrap();

    let keys = keys();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let admission = keys.admit(token, now).unwrap();
    assert_eq!(admission.identity, entry["identity"].as_str().unwrap());
    assert_eq!(
        (admission.name.as_str(), admission.room.as_str()),
        ("Petra", "room")
    );
    assert!(admission.can_publish && admission.can_subscribe && admission.can_publish_data);
    assert!(!admission.room_admin && !admission.hidden && !admission.can_update_own_metadata);
    let authority = keys.authorize(token, now).unwrap();
    assert!(!authority.create && !authority.list && authority.administers.is_none());
    let valid = Duration::from_secs(entry["valid"].as_u64().unwrap());
    assert!(valid <= Duration::from_secs(600));
    assert!(
        keys.admit(token, now + valid + Duration::from_secs(120))
            .is_err()
    );

    let stream = TcpStream::connect(hub).await.unwrap();
    let url = format!("ws://{hub}/rtc?protocol=16&access_token={token}");
    client_async(url, stream).await.unwrap();
}

#[tokio::test]
async fn nobody_chooses_an_identity_and_two_of_a_name_are_two() {
    let (hub, _) = hub().await;
    let mut identities = Vec::new();
    for _ in 0..2 {
        let entry = join(hub, "room", "Petra").await.json();
        identities.push(entry["identity"].as_str().unwrap().to_owned());
    }
    assert_ne!(identities[0], identities[1]);
    let head = format!("POST /api/meetings/room/join HTTP/1.1\r\nHost: {hub}{AS_JSON}");
    let body = json!({"name": "Petra", "identity": identities[0]}).to_string();
    ask(hub, &head, &body).await.is_problem(400, "identity");
}

#[tokio::test]
async fn a_page_of_another_place_is_not_let_in() {
    let (hub, _) = hub().await;
    let body = json!({"name": "Petra"}).to_string();
    for origin in [
        "http://elsewhere",
        "null",
        &format!("http://{hub}.elsewhere"),
    ] {
        let head = format!(
            "POST /api/meetings/room/join HTTP/1.1\r\nHost: {hub}\r\nOrigin: {origin}{AS_JSON}"
        );
        ask(hub, &head, &body)
            .await
            .is_problem(403, "page of this hub");
    }
    // A form of another page sends text.
    let head =
        format!("POST /api/meetings/room/join HTTP/1.1\r\nHost: {hub}\r\nContent-Type: text/plain");
    ask(hub, &head, &body)
        .await
        .is_problem(415, "application/json");
    // A proxy with TLS stands before the hub.
    let head = format!(
        "POST /api/meetings/room/join HTTP/1.1\r\nHost: meet.example\r\nOrigin: https://meet.example{AS_JSON}"
    );
    assert_eq!(
        ask(hub, &head, &body).await.json()["url"],
        "wss://meet.example"
    );
}

#[tokio::test]
async fn bad_requests_to_join_are_answered_with_what_to_do() {
    let (hub, _) = hub().await;
    join(hub, "ro%20om", "Petra").await.is_problem(404, "room");
    join(hub, &"r".repeat(65), "Petra")
        .await
        .is_problem(404, "room");
    join(hub, "room", "  ").await.is_problem(422, "empty");
    join(hub, "room", &"x".repeat(65))
        .await
        .is_problem(422, "longer");
    join(hub, "room", &"x".repeat(5000))
        .await
        .is_problem(422, "longer");
    join(hub, "room", &"x".repeat(20_000))
        .await
        .is_problem(413, "at most");
    let head = format!("POST /api/meetings/room/join HTTP/1.1\r\nHost: {hub}{AS_JSON}");
    for body in ["", "{", "[]", "{\"name\": 7}", "\"\\ud800\""] {
        ask(hub, &head, body).await.is_problem(400, "JSON");
    }
    let answer = get(hub, "/api/meetings/room/join", "").await;
    answer.is_problem(405, "POST");
    assert_eq!(answer.header("allow"), Some("POST"));
}

#[tokio::test]
async fn who_asks_too_often_waits_and_others_do_not() {
    let (hub, _) = hub().await;
    let mut refused = None;
    for _ in 0..100 {
        let answer = join(hub, "room", "Petra").await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.unwrap();
    refused.is_problem(429, "too many");
    assert!(
        refused
            .header("retry-after")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= 1
    );
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind((Ipv4Addr::new(127, 0, 0, 2), 0).into())
        .unwrap();
    let other = socket.connect(hub).await.unwrap();
    let head = format!("POST /api/meetings/room/join HTTP/1.1\r\nHost: {hub}{AS_JSON}");
    assert_eq!(
        ask_over(other, &head, "{\"name\": \"Ann\"}").await.status,
        200
    );
}
