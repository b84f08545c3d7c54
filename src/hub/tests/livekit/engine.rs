// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a hub does with a LiveKit server beside the rules that hold everywhere.

use std::sync::Arc;

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use livekit_token::{AccessToken, VideoGrants};
use roomseal_hub::people::People;
use roomseal_hub::token::ApiKeys;
use roomseal_hub::{Config, Hub};
use roomseal_policy::E2ee;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::hosts::{Meeting, bearer, left, token_of};
use super::*;

/// Asks the server itself, as an administrator of the room.
async fn ask(office: &Office, room: &str, call: &str, body: Value) -> Value {
    let grants = VideoGrants {
        room_admin: true,
        room: room.to_owned(),
        ..VideoGrants::default()
    };
    let token = AccessToken::with_api_key("key", SECRET).with_grants(grants);
    let headers = bearer(&token.to_jwt().unwrap());
    let mut browser = Browser::new(office.held.rooms(office.address));
    let path = format!("/twirp/livekit.{call}");
    let answer = browser
        .send("POST", &path, &headers, &body.to_string())
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn people_get_the_address_of_the_server_and_a_token_that_it_takes() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let there = office.held.rooms(office.address);
    let started = admin.post("/api/meetings", json!({})).await;
    assert_eq!(started.body["url"], format!("ws://{there}"), "{started:?}");
    let meeting = Meeting::start(&mut admin, true).await;
    let entry = meeting.join(&mut office.browser()).await;
    assert_eq!(entry.body["url"], format!("ws://{there}"), "{entry:?}");
    let mut guest = Client::connect(office.address, &token_of(&entry))
        .await
        .unwrap();
    guest.is_served().await;
    // It allows nothing over others.
    let mut browser = Browser::new(there);
    let body = json!({ "room": meeting.room }).to_string();
    for call in ["ListParticipants", "DeleteRoom", "ListRooms"] {
        let path = format!("/twirp/livekit.RoomService/{call}");
        let headers = bearer(&token_of(&entry));
        let answer = browser.send("POST", &path, &headers, &body).await;
        assert!([401, 403].contains(&answer.status), "{call}: {answer:?}");
    }
    // Who connects to the hub is told where the meetings are.
    let (status, text) = hosts::plain(&office, "/rtc?access_token=x", "").await;
    assert!(
        status == 404 && text.contains(&format!("ws://{there}")),
        "{text}"
    );
}

#[tokio::test]
async fn while_the_server_is_away_joining_says_so_and_afterwards_all_is_as_before() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let mut meeting = Meeting::start(&mut admin, true).await;
    assert_eq!(meeting.say(&office, E2ee::Off).await.status, 200);
    assert_eq!(meeting.join(&mut office.browser()).await.status, 200);
    office.held.stop();
    let refused = meeting.join(&mut office.browser()).await;
    problem(&refused, 503, "engine");
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .contains("try again")
    );
    // People are not the server's business.
    assert_eq!(admin.get("/api/me").await.status, 200);
    office.held.start();
    let entry = meeting.join(&mut office.browser()).await;
    assert_eq!(entry.status, 200, "{entry:?}");
    // What hosts say while it is away is found when it is back: nobody has to press again.
    let mut guest = Client::connect(office.address, &token_of(&entry))
        .await
        .unwrap();
    guest.is_served().await;
    assert_eq!(meeting.say(&office, E2ee::On).await.status, 200);
    assert_eq!(
        left(&mut guest).await,
        livekit_protocol::DisconnectReason::ParticipantRemoved
    );
}

#[tokio::test]
async fn a_server_that_does_not_take_the_key_is_named_at_the_start() {
    let held = Held::new();
    let secret = Zeroizing::new("another secret than the server's, 0123456789".to_owned());
    let people = People::in_memory(Clock::system()).await.unwrap();
    let bound = Hub::bind(Config {
        keys: ApiKeys::new([("key".to_owned(), secret)]),
        engine: held.engine(),
        ..harness::config(Arc::new(people))
    });
    let error = bound.await.err().unwrap().to_string();
    assert!(
        error.contains("does not take the API key") && error.contains("check"),
        "{error}"
    );
    assert!(!error.contains("another secret"), "{error}");
}

#[tokio::test]
async fn agents_are_dismissed_when_encryption_goes_on() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let mut meeting = Meeting::start(&mut admin, true).await;
    let _host = Client::connect(office.address, &meeting.token)
        .await
        .unwrap();
    assert_eq!(meeting.say(&office, E2ee::Off).await.status, 200);
    let path = format!("/api/meetings/{}/features/captions", meeting.room);
    let started = office
        .browser()
        .send("POST", &path, &bearer(&meeting.token), "")
        .await;
    assert_eq!(started.status, 201, "{started:?}");
    let asked = json!({ "room": meeting.room });
    let list = "AgentDispatchService/ListDispatch";
    let listed = ask(&office, &meeting.room, list, asked.clone())
        .await
        .to_string();
    assert!(listed.contains("scribe"), "{listed}");
    assert_eq!(meeting.say(&office, E2ee::On).await.status, 200);
    let listed = ask(&office, &meeting.room, list, asked).await.to_string();
    assert!(!listed.contains("scribe"), "{listed}");
}

#[tokio::test]
async fn webhooks_are_heard_when_the_server_signed_them() {
    let office = Office::open().await;
    let body = r#"{"event":"participant_joined"}"#;
    let sign = |secret: &str, body: &str, exp: u64| {
        let encode = base64ct::Base64UrlUnpadded::encode_string;
        let digest = Base64::encode_string(&Sha256::digest(body));
        let claims = json!({ "iss": "key", "exp": exp, "sha256": digest }).to_string();
        let signed = format!(
            "{}.{}",
            encode(br#"{"alg":"HS256"}"#),
            encode(claims.as_bytes())
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", encode(&mac.finalize().into_bytes()))
    };
    let send = async |token: String| {
        let headers =
            format!("Authorization: {token}\r\nContent-Type: application/webhook+json\r\n");
        let mut browser = office.browser();
        // It is no page of the hub.
        browser.headers = format!("Host: {}\r\n", office.address);
        browser
            .send("POST", "/api/livekit/webhook", &headers, body)
            .await
    };
    let later = 4_000_000_000;
    assert_eq!(send(sign(SECRET, body, later)).await.status, 204);
    for forged in [
        sign("guessed", body, later),
        sign(SECRET, "{}", later),
        sign(SECRET, body, 1_000_000_000),
        String::new(),
    ] {
        problem(&send(forged).await, 401, "token");
    }
}
