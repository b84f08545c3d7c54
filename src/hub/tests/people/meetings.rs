// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who starts meetings, with end-to-end encryption and without, what he gets for it, and what becomes of guests.

use livekit_token::{AccessToken, VideoGrants};

use super::accounts::{joined, path};
use super::*;

fn owner(grants: VideoGrants, secret: &str) -> String {
    let token = AccessToken::with_api_key("key", secret)
        .with_identity("office")
        .with_grants(grants);
    let token = token.to_jwt().unwrap();
    format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n")
}

#[tokio::test]
async fn a_licence_is_what_it_takes_to_start_with_encryption() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (bob, mut user) = joined(&mut admin, &office, "bob").await;
    let (sealed, clear) = (json!({ "e2ee": true }), json!({ "e2ee": false }));
    let mut guest = office.browser();
    for body in [&sealed, &clear] {
        let answer = guest.post("/api/meetings", body.clone()).await;
        problem(&answer, 401, "not-signed-in");
    }
    for body in [sealed.clone(), json!({})] {
        let answer = user.post("/api/meetings", body).await;
        problem(&answer, 403, "not-allowed");
    }
    let started = user.post("/api/meetings", clear.clone()).await;
    assert_eq!(
        (started.status, &started.body["e2ee"]),
        (201, &json!(false))
    );

    let licensed = Some(json!({ "licensed": true }));
    admin.ask("PATCH", &path(&bob), licensed).await;
    for body in [sealed.clone(), json!({})] {
        let started = user.post("/api/meetings", body).await;
        assert_eq!((started.status, &started.body["e2ee"]), (201, &json!(true)));
    }
    let unlicensed = Some(json!({ "licensed": false }));
    admin.ask("PATCH", &path(&bob), unlicensed).await;
    let answer = user.post("/api/meetings", sealed.clone()).await;
    problem(&answer, 403, "not-allowed");

    // The owner's box, by the API key.
    let body = sealed.to_string();
    let create = VideoGrants {
        room_create: true,
        ..VideoGrants::default()
    };
    let token = owner(create.clone(), SECRET);
    let started = guest.send("POST", "/api/meetings", &token, &body).await;
    assert_eq!(started.status, 201, "{started:?}");
    for token in [
        owner(create, "guessed"),
        owner(VideoGrants::default(), SECRET),
    ] {
        let answer = guest.send("POST", "/api/meetings", &token, &body).await;
        problem(&answer, 401, "token");
    }
}

#[tokio::test]
async fn the_token_of_a_host_is_for_one_room_and_a_few_minutes() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let mut rooms = Vec::new();
    for _ in 0..2 {
        let started = admin.post("/api/meetings", json!({})).await;
        let room = started.body["room"].as_str().unwrap().to_owned();
        let token = started.body["token"].as_str().unwrap();
        let keys = keys();
        let now = Clock::system().now();
        let admission = keys.admit(token, now).unwrap();
        assert_eq!(admission.room, room);
        assert_eq!(admission.identity, started.body["identity"]);
        assert!(admission.room_admin && admission.can_publish && admission.can_subscribe);
        assert!(!admission.hidden && !admission.recorder && !admission.agent);
        let authority = keys.authorize(token, now).unwrap();
        assert!(!authority.create && !authority.list);
        assert_eq!(authority.administers.as_deref(), Some(&*room));
        // With the minute that clocks may be off.
        let valid = Duration::from_secs(started.body["valid"].as_u64().unwrap());
        assert!(valid <= Duration::from_secs(600));
        assert!(
            keys.admit(token, now + valid + Duration::from_secs(65))
                .is_err()
        );
        rooms.push(room);
    }
    assert_ne!(rooms[0], rooms[1]);
}

#[tokio::test]
async fn guests_stay_where_nobody_could_sign_in_and_else_as_an_admin_chooses() {
    let office = Office::open().await;
    let mut guest = office.browser();
    let rule = async |browser: &mut Browser| {
        let answer = browser.get("/api/settings").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["guests_under_e2ee"].clone()
    };
    assert_eq!(rule(&mut guest).await, "allow");
    let mut admin = office.admin().await;
    assert_eq!(rule(&mut guest).await, "sign-in");
    let choose = |rule: &str| Some(json!({ "guests_under_e2ee": rule }));
    let answer = guest.ask("PATCH", "/api/settings", choose("allow")).await;
    problem(&answer, 401, "not-signed-in");
    let (_, mut user) = joined(&mut admin, &office, "bob").await;
    let answer = user.ask("PATCH", "/api/settings", choose("allow")).await;
    problem(&answer, 403, "not-admin");
    let answer = admin.ask("PATCH", "/api/settings", choose("perhaps")).await;
    problem(&answer, 400, "malformed");
    assert_eq!(rule(&mut guest).await, "sign-in");
    for chosen in ["allow", "sign-in", "allow"] {
        let answer = admin.ask("PATCH", "/api/settings", choose(chosen)).await;
        assert_eq!(answer.body["guests_under_e2ee"], chosen, "{answer:?}");
        assert_eq!(rule(&mut guest).await, chosen);
    }
    let log = admin.get("/api/audit?most=1").await;
    assert_eq!(log.body["deeds"][0]["action"], "guests-allowed");
}
