// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signing in and out: who gets in, how long, and how often may be tried.

use std::time::Instant;

use super::*;

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn a_session_lasts_until_it_is_ended_or_a_working_day_is_over() {
    let office = Office::open().await;
    office.admin().await;
    let (mut browser, answer) = sign_in(&office, " ADA ", PASSWORD).await;
    assert_eq!((answer.status, &answer.body["name"]), (200, &json!("ada")));
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("; HttpOnly"), "{cookie}");
    assert!(cookie.contains("; SameSite=Strict"), "{cookie}");
    assert!(cookie.contains("; Path=/"), "{cookie}");
    assert!(!answer.body.to_string().contains("argon2"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    let (mut other, _) = sign_in(&office, "ada", PASSWORD).await;
    let mut stolen = browser.clone();
    assert_eq!(browser.get("/api/me").await.status, 200);
    let answer = browser.ask("POST", "/api/sign-out", None).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert!(browser.cookie.is_none(), "{answer:?}");
    // Not only the browser has forgotten it.
    problem(&stolen.get("/api/me").await, 401, "not-signed-in");
    // Once more does no harm.
    let answer = stolen.ask("POST", "/api/sign-out", None).await;
    assert_eq!(answer.status, 204);

    office.pass(12 * HOUR - Duration::from_secs(1));
    assert_eq!(other.get("/api/me").await.status, 200);
    office.pass(Duration::from_secs(1));
    problem(&other.get("/api/me").await, 401, "not-signed-in");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_the_same_and_take_as_long() {
    let office = Office::open().await;
    office.admin().await;
    let mut took = [Vec::new(), Vec::new()];
    let mut texts = Vec::new();
    for _ in 0..4 {
        for (which, name) in ["ada", "eve"].iter().enumerate() {
            let start = Instant::now();
            let (browser, answer) = sign_in(&office, name, "wrong horse battery").await;
            took[which].push(start.elapsed());
            problem(&answer, 401, "credentials");
            assert!(browser.cookie.is_none());
            texts.push(answer.body.to_string());
        }
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    // Without the work on a password, it is a hundredth.
    let quickest = took.map(|took| took.into_iter().min().unwrap());
    assert!(quickest[1] > quickest[0] / 4, "{quickest:?}");
}

#[tokio::test]
async fn a_name_is_tried_five_times_then_after_pauses_whether_it_is_there_or_not() {
    let office = Office::open().await;
    office.admin().await;
    for name in ["ada", "eve"] {
        for _ in 0..5 {
            let (_, answer) = sign_in(&office, name, "wrong horse battery").await;
            problem(&answer, 401, "credentials");
        }
        // The right one would not help now.
        let (_, answer) = sign_in(&office, name, PASSWORD).await;
        problem(&answer, 429, "too-many");
        assert_eq!(answer.header("retry-after"), Some("31"));
    }
    office.pass(Duration::from_secs(30));
    assert_eq!(sign_in(&office, "ada", PASSWORD).await.1.status, 200);
    // And all is forgotten.
    for _ in 0..5 {
        let (_, answer) = sign_in(&office, "ada", "wrong horse battery").await;
        problem(&answer, 401, "credentials");
    }
}

#[tokio::test]
async fn an_address_is_wrong_thirty_times_in_a_minute_and_others_are_served() {
    let office = Office::open().await;
    office.admin().await;
    let from = async |address: &str, name: &str, password: &str| {
        let mut browser = office.browser();
        browser.headers += &format!("X-Forwarded-For: {address}\r\n");
        let asked = json!({ "name": name, "password": password });
        browser.post("/api/sign-in", asked).await
    };
    // Six at a time, as nobody waits for an attacker.
    for round in 0..5 {
        let tries = (0..6).map(|number| {
            let name = format!("name{}", round * 6 + number);
            let from = &from;
            async move { from("192.0.2.1", &name, "wrong horse battery").await }
        });
        for answer in futures_util::future::join_all(tries).await {
            problem(&answer, 401, "credentials");
        }
    }
    let answer = from("192.0.2.1", "ada", PASSWORD).await;
    problem(&answer, 429, "too-many");
    assert_eq!(from("192.0.2.2", "ada", PASSWORD).await.status, 200);
    office.pass(Duration::from_secs(60));
    assert_eq!(from("192.0.2.1", "ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_new_password_ends_what_was_signed_in_with_the_old_one() {
    let office = Office::open().await;
    let mut browser = office.admin().await;
    let (mut other, _) = sign_in(&office, "ada", PASSWORD).await;
    let change = |old: &str, new: &str| json!({ "old": old, "new": new });
    let new = "staple battery horse";
    let answer = browser
        .post("/api/me/password", change("wrong horse", new))
        .await;
    problem(&answer, 401, "credentials");
    let answer = browser
        .post("/api/me/password", change(PASSWORD, "short"))
        .await;
    problem(&answer, 422, "invalid");
    assert_eq!(other.get("/api/me").await.status, 200);

    let mut stolen = browser.clone();
    let answer = browser
        .post("/api/me/password", change(PASSWORD, new))
        .await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(browser.get("/api/me").await.status, 200);
    for old in [&mut other, &mut stolen] {
        problem(&old.get("/api/me").await, 401, "not-signed-in");
    }
    let (_, answer) = sign_in(&office, "ada", PASSWORD).await;
    problem(&answer, 401, "credentials");
    assert_eq!(sign_in(&office, "ada", new).await.1.status, 200);
    let mut nobody = office.browser();
    let answer = nobody.post("/api/me/password", change(new, new)).await;
    problem(&answer, 401, "not-signed-in");
}
