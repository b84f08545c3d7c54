// SPDX-License-Identifier: MIT OR Apache-2.0
//! The secret that the hub makes where the key model is `server`: who gets it, and who does not.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use livekit_token::{AccessToken, VideoGrants};

use super::hosts::bearer;
use super::*;

async fn ask(office: &Office, room: &str, token: &str) -> Answer {
    let path = format!("/api/meetings/{room}/secret");
    let mut browser = office.browser();
    browser.send("GET", &path, &bearer(token), "").await
}

/// Starts a meeting: its room, and its host's token.
async fn start(browser: &mut Browser, model: &str) -> (String, String) {
    let started = browser
        .post("/api/meetings", json!({ "key_model": model }))
        .await;
    assert_eq!(
        (started.status, &started.body["key_model"]),
        (201, &json!(model)),
        "{started:?}"
    );
    let text = |name: &str| started.body[name].as_str().unwrap().to_owned();
    (text("room"), text("token"))
}

#[tokio::test]
async fn who_is_in_the_meeting_gets_its_secret_and_nobody_else() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (room, host) = start(&mut admin, "server").await;
    let path = format!("/api/meetings/{room}/join");
    let entry = office
        .browser()
        .post(&path, json!({ "name": "Petra" }))
        .await;
    let guest = entry.body["token"].as_str().unwrap().to_owned();
    // Before they are in, and without a room at all.
    problem(&ask(&office, &room, &host).await, 403, "not-admitted");
    let _host_in = Client::connect(office.address, &host).await.unwrap();
    problem(&ask(&office, &room, &guest).await, 403, "not-admitted");
    let given = ask(&office, &room, &host).await;
    assert_eq!(
        (given.status, given.header("cache-control")),
        (200, Some("no-store")),
        "{given:?}"
    );
    let text = given.body["secret"].as_str().unwrap();
    let secret = Base64UrlUnpadded::decode_vec(text).unwrap();
    assert_eq!(secret.len(), 32);
    let guest_in = Client::connect(office.address, &guest).await.unwrap();
    assert_eq!(ask(&office, &room, &guest).await.body, given.body);

    let (other, other_host) = start(&mut admin, "server").await;
    for token in ["", "x.y.z", &other_host] {
        problem(&ask(&office, &room, token).await, 401, "token");
    }
    problem(&ask(&office, &other, &host).await, 401, "token");
    // Nor does a session in the browser open it.
    problem(
        &admin.get(&format!("/api/meetings/{room}/secret")).await,
        401,
        "token",
    );
    // Put out is out, whatever the token says.
    let body = json!({ "room": room, "identity": entry.body["identity"] }).to_string();
    let remove = "/twirp/livekit.RoomService/RemoveParticipant";
    let removed = office
        .browser()
        .send("POST", remove, &bearer(&host), &body)
        .await;
    assert_eq!(removed.status, 200, "{removed:?}");
    drop(guest_in);
    problem(&ask(&office, &room, &guest).await, 403, "not-admitted");
    // It is not the room's secret but the session's: everybody goes, and the next has another.
    let token = |grants| {
        let token = AccessToken::with_api_key("key", SECRET).with_identity("office");
        token.with_grants(grants).to_jwt().unwrap()
    };
    let create = VideoGrants {
        room_create: true,
        ..VideoGrants::default()
    };
    let body = json!({ "room": room }).to_string();
    let headers = bearer(&token(create));
    let ended = office
        .browser()
        .send(
            "POST",
            "/twirp/livekit.RoomService/DeleteRoom",
            &headers,
            &body,
        )
        .await;
    assert_eq!(ended.status, 200, "{ended:?}");
    let _host_in = Client::connect(office.address, &host).await.unwrap();
    let next = ask(&office, &room, &host).await;
    assert_eq!(next.status, 200, "{next:?}");
    assert_ne!(next.body["secret"], text);
}

#[tokio::test]
async fn programs_do_not_get_it_although_they_are_in() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (room, _) = start(&mut admin, "server").await;
    for kind in ["egress", "sip", "agent"] {
        let grants = VideoGrants {
            room_join: true,
            room: room.clone(),
            ..VideoGrants::default()
        };
        let token = AccessToken::with_api_key("key", SECRET)
            .with_identity(kind)
            .with_kind(kind);
        let token = token.with_grants(grants).to_jwt().unwrap();
        let _inside = Client::connect(office.address, &token).await.unwrap();
        problem(&ask(&office, &room, &token).await, 403, "not-admitted");
    }
}

#[tokio::test]
async fn where_people_hold_the_secret_the_hub_has_none() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (room, host) = start(&mut admin, "user").await;
    let _inside = Client::connect(office.address, &host).await.unwrap();
    problem(&ask(&office, &room, &host).await, 404, "no-secret");
}
