// SPDX-License-Identifier: MIT OR Apache-2.0
//! From which pages and by which names a hub may be asked, and what is no request at all.

use super::*;

fn asked() -> Value {
    json!({ "name": "ada", "password": PASSWORD })
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let office = Office::open().await;
    let own = office.admin().await;
    let hub = office.address;
    let with = |headers: &str| {
        let mut browser = own.clone();
        browser.headers = headers.to_owned();
        browser
    };
    for (headers, kind) in [
        (format!("Host: {hub}\r\n"), "no-mark"),
        (
            format!("Host: {hub}\r\nRoomseal-Request: 1\r\nSec-Fetch-Site: cross-site\r\n"),
            "other-site",
        ),
        (
            format!("Host: {hub}\r\nRoomseal-Request: 1\r\nSec-Fetch-Site: same-site\r\n"),
            "other-site",
        ),
        (
            format!("Host: {hub}\r\nRoomseal-Request: 1\r\nOrigin: https://example.org\r\n"),
            "other-site",
        ),
        (
            format!("Host: {hub}\r\nRoomseal-Request: 1\r\nOrigin: null\r\n"),
            "other-site",
        ),
    ] {
        for (path, body) in [("/api/sign-in", Some(asked())), ("/api/sign-out", None)] {
            let answer = with(&headers).ask("POST", path, body).await;
            problem(&answer, 403, kind);
            assert!(answer.header("set-cookie").is_none());
        }
    }
    // Signed in as before.
    assert_eq!(own.clone().get("/api/me").await.status, 200);
    let headers = format!(
        "Host: {hub}\r\nRoomseal-Request: 1\r\nOrigin: http://{hub}\r\nSec-Fetch-Site: same-origin\r\n"
    );
    let answer = with(&headers).post("/api/sign-in", asked()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // Nobody may send the header from elsewhere.
    let answer = own.clone().ask("OPTIONS", "/api/sign-in", None).await;
    problem(&answer, 405, "method");
    assert!(answer.header("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn a_name_that_somebody_points_at_the_hub_is_not_the_hubs() {
    let office = Office::at(None, Some("https://meet.example.org")).await;
    let code = office.code().await;
    for (host, status) in [
        ("evil.example", 421),
        ("127.0.0.1.evil.example:7880", 421),
        ("", 421),
        ("meet.example.org", 422),
        ("localhost:7880", 422),
        ("[::1]:7880", 422),
    ] {
        let mut browser = office.browser();
        browser.headers = format!("Host: {host}\r\nRoomseal-Request: 1\r\n");
        let short = json!({ "code": code, "name": "ada", "password": "short" });
        let answer = browser.post("/api/set-up", short).await;
        let kind = if status == 421 {
            "misdirected"
        } else {
            "invalid"
        };
        problem(&answer, status, kind);
    }
}

#[tokio::test]
async fn over_tls_the_cookie_is_kept_from_everything_else() {
    let office = Office::at(None, Some("https://meet.example.org")).await;
    let mut browser = office.browser();
    browser.headers = "Host: meet.example.org\r\nOrigin: https://meet.example.org\r\n\
                       Sec-Fetch-Site: same-origin\r\nRoomseal-Request: 1\r\n"
        .to_owned();
    let asked = json!({ "code": office.code().await, "name": "ada", "password": PASSWORD });
    let answer = browser.post("/api/set-up", asked).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-roomseal="), "{cookie}");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    assert_eq!(browser.get("/api/me").await.status, 200);
    // Who comes without a page is sent to the same place.
    browser.headers = "Host: meet.example.org\r\n".to_owned();
    let entry = browser
        .post("/api/meetings/lobby/join", json!({ "name": "Petra" }))
        .await;
    assert_eq!(entry.body["url"], "wss://meet.example.org", "{entry:?}");
    // A cookie that a page without TLS could have set.
    let cookie = browser.cookie.take().unwrap();
    browser.cookie = Some(cookie.replace("__Host-", ""));
    problem(&browser.get("/api/me").await, 401, "not-signed-in");
}

#[tokio::test]
async fn requests_that_make_no_sense_are_told_why() {
    let office = Office::open().await;
    let mut browser = office.admin().await;
    problem(&browser.get("/api/nothing").await, 404, "no-such-path");
    problem(&browser.get("/api/").await, 404, "no-such-path");
    let answer = browser.get("/api/sign-in").await;
    problem(&answer, 405, "method");
    assert_eq!(answer.header("allow"), Some("POST"));

    let json = "Content-Type: application/json; charset=utf-8\r\n";
    for (kind, body, status, problem_kind) in [
        ("", "{}", 415, "media-type"),
        (
            "Content-Type: text/plain\r\n",
            "{\"name\":\"ada\",\"password\":\"x\"}",
            415,
            "media-type",
        ),
        (json, "", 400, "malformed"),
        (json, "{}", 400, "malformed"),
        (json, "[]", 400, "malformed"),
        (json, "{\"name\":\"ada\",\"password\":7}", 400, "malformed"),
        (
            json,
            "{\"name\":\"ada\",\"password\":\"x\",\"role\":\"admin\"}",
            400,
            "malformed",
        ),
        (
            json,
            "{\"name\":\"a da\",\"password\":\"x\"}",
            422,
            "invalid",
        ),
        (json, &" ".repeat(20_000), 413, "too-large"),
    ] {
        let answer = browser.send("POST", "/api/sign-in", kind, body).await;
        problem(&answer, status, problem_kind);
    }
}
