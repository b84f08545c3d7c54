// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings at the join page whose key is in no link: the hub makes it, or people type it.

use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::livekit::{Engine, Server};
use roomseal_tests::people::Asker;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::join::{OWN_CAMERA, count, grows, pictures, shows};
use crate::{SOON, one_at_a_time};

/// HMAC-SHA256 (RFC 2104) in lower-case hex, as programs sign that make meetings.
fn signature(secret: &str, body: &str) -> String {
    assert!(secret.len() <= 64);
    let pad = |with: u8| -> Vec<u8> {
        let secret = secret.bytes().chain(std::iter::repeat(0));
        secret.take(64).map(|byte| byte ^ with).collect()
    };
    let inner = Sha256::digest([pad(0x36), body.into()].concat());
    hex::encode(Sha256::digest([pad(0x5c), inner.to_vec()].concat()))
}

/// Asks for what integrations of Plug-N-Meet ask for.
fn call(server: &Server, what: &str, body: &Value) -> Value {
    let (key, secret) = server.api_key();
    let body = body.to_string();
    let signed = signature(secret, &body);
    let headers = format!("API-KEY: {key}\r\nHASH-SIGNATURE: {signed}\r\n");
    let path = format!("/auth/room/{what}");
    let answer = Asker::stranger(server).send("POST", &path, &headers, &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn make(server: &Server, room: &str, encryption: Value) {
    let features = json!({ "end_to_end_encryption_features": encryption });
    let asked = json!({ "room_id": room, "metadata": { "room_features": features } });
    call(server, "create", &asked);
}

/// The address that an integration sends somebody to.
fn address_for(server: &Server, room: &str, name: &str) -> String {
    let user = json!({ "name": name, "user_id": format!("user-{name}"), "is_admin": name == "Ann", "is_hidden": false });
    let given = call(
        server,
        "getJoinToken",
        &json!({ "room_id": room, "user_info": user }),
    );
    let token = given["token"].as_str().unwrap();
    let hub = server.site();
    format!("{hub}/?access_token={token}")
}

/// Goes in by the door, under the name that stands there.
fn enter(browser: &mut Browser, name: &str, note: &str) {
    browser.see("#key-note", note, SOON);
    assert_eq!(browser.run("document.getElementById('name').value"), name);
    browser.see("#preview", "", SOON);
    browser.tab_to("join");
    browser.key("Enter");
}

#[cfg(feature = "full")]
fn types_key(browser: &mut Browser, key: &str) {
    browser.see("#asks", "Key of this meeting", SOON);
    browser.tab_to("passphrase");
    browser.write(key);
    browser.key("Enter");
}

/// The pages in windows 0 and 1 see and read each other.
fn they_meet(browser: &mut Browser, state: &str) {
    for (window, line) in [(0, "from the first"), (1, "from the other")] {
        browser.turn_to(window);
        shows(browser, state);
        grows(browser, "pictures", 10, pictures);
        assert!(count(browser, OWN_CAMERA, "sealed") > 0);
        assert_eq!(count(browser, OWN_CAMERA, "clear"), 0);
        browser.tab_to("chat-line");
        browser.write(line);
        browser.key("Enter");
        browser.turn_to(1 - window);
        browser.see("#chat [data-own=false][data-how=sealed]", line, SOON);
    }
}

#[test]
fn people_sent_by_an_integration_meet_under_the_key_that_the_hub_makes() {
    meet_under_the_key_of_the_hub(Engine::Embedded);
}

#[test]
fn people_sent_by_an_integration_meet_under_the_key_that_the_hub_makes_at_a_livekit_server_too() {
    meet_under_the_key_of_the_hub(Engine::LiveKit);
}

fn meet_under_the_key_of_the_hub(engine: Engine) {
    let _turn = one_at_a_time();
    let server = Server::hub_on(engine);
    make(&server, "simple", json!({ "is_enabled": true }));
    let mut browser = Browser::start();
    browser.open(
        &address_for(&server, "simple", "Ann"),
        Window::Desktop,
        "light",
    );
    browser.picture_of_window("join-by-service-desktop");
    enter(&mut browser, "Ann", "a key that the service makes");
    browser.see("#meeting #controls", "", SOON);
    browser.open_beside(
        &address_for(&server, "simple", "Bob"),
        Window::Phone,
        "light",
    );
    enter(&mut browser, "Bob", "a key that the service makes");
    they_meet(&mut browser, "sealed-by-service");
    browser.turn_to(1);
    browser.see("#reasons", "the service holds the key", SOON);
    assert!(browser.shows("#e2ee[hidden]"));
    browser.picture_of_window("join-by-service-phone");
    // It is in no address, no log, and nowhere in the page.
    let log = server.log();
    assert!(!log.contains("access_token"), "{log}");
    browser.close();
}

#[test]
#[cfg(feature = "full")]
fn people_sent_by_an_integration_type_the_key_that_they_were_told() {
    meet_under_a_key_that_they_type(Engine::Embedded);
}

#[test]
#[cfg(feature = "full")]
fn people_sent_by_an_integration_type_the_key_that_they_were_told_at_a_livekit_server_too() {
    meet_under_a_key_that_they_type(Engine::LiveKit);
}

#[cfg(feature = "full")]
fn meet_under_a_key_that_they_type(engine: Engine) {
    let _turn = one_at_a_time();
    let server = Server::hub_on(engine);
    let own = json!({ "is_enabled": true, "enabled_self_insert_encryption_key": true });
    make(&server, "own", own);
    let mut browser = Browser::start();
    browser.open(&address_for(&server, "own", "Ann"), Window::Phone, "light");
    enter(&mut browser, "Ann", "a key that you were told");
    shows(&mut browser, "wrong-key");
    browser.picture_of_window("join-own-key-phone");
    types_key(&mut browser, "river stone");
    shows(&mut browser, "waiting");
    browser.open_beside(
        &address_for(&server, "own", "Bob"),
        Window::Desktop,
        "light",
    );
    enter(&mut browser, "Bob", "a key that you were told");
    types_key(&mut browser, "river sand");
    shows(&mut browser, "wrong-key");
    assert_eq!(pictures(&mut browser), 0);
    types_key(&mut browser, "river stone");
    they_meet(&mut browser, "sealed");
    browser.turn_to(1);
    browser.see("#reasons", "whoever knows it can see and hear", SOON);
    browser.picture_of_window("join-own-key-desktop");
    browser.close();
}

#[test]
#[cfg(feature = "full")]
fn a_meeting_whose_link_leaves_the_key_to_the_service_is_sealed_by_service_at_best() {
    meet_by_links_without_secret(Engine::Embedded);
}

#[test]
#[cfg(feature = "full")]
fn a_meeting_whose_link_leaves_the_key_to_the_service_is_sealed_by_service_at_best_at_a_livekit_server_too()
 {
    meet_by_links_without_secret(Engine::LiveKit);
}

#[cfg(feature = "full")]
fn meet_by_links_without_secret(engine: Engine) {
    use roomseal_policy::{
        Certificate, E2ee, HostGrant, HostKey, KeySeed, Link, MeetingKey, RoomName, SecretSource,
    };
    let _turn = one_at_a_time();
    let server = Server::hub_on(engine);
    let meeting = MeetingKey::from_seed(&KeySeed::new([1; 32].into()).unwrap());
    let token = server.token_with(
        "owner",
        livekit_token::VideoGrants {
            room_create: true,
            ..Default::default()
        },
    );
    let asked = json!({ "key_model": "server", "meeting_key": meeting.hash().to_string() });
    let started = Asker::bearing(&server, &token).post("/api/meetings", &asked);
    assert_eq!(started.status, 201, "{started:?}");
    let room: RoomName = started.body["room"].as_str().unwrap().parse().unwrap();
    let origin = "https://meet.example.org".parse().unwrap();
    let guest = Link::guest(
        origin,
        room.clone(),
        SecretSource::Service,
        meeting.hash(),
        E2ee::On,
    );
    let seed = || KeySeed::new([2; 32].into()).unwrap();
    let key = HostKey::from_seed(&seed());
    let certificate = Certificate::issue(&meeting, &room, key.public(), &"Hanna".parse().unwrap());
    let grant = HostGrant::new(seed(), certificate).unwrap();
    let host = guest.clone().for_host(grant).unwrap();
    let mut browser = Browser::start();
    browser.open(&server.page_of(&host.expose()), Window::Desktop, "light");
    for (link, name) in [(None, "Hanna"), (Some(guest), "Petra")] {
        if let Some(link) = link {
            browser.open_beside(&server.page_of(&link.expose()), Window::Phone, "light");
        }
        browser.see("#preview", "", SOON);
        browser.tab_to("name");
        browser.write(name);
        browser.key("Enter");
        browser.see("#meeting #controls", "", SOON);
    }
    they_meet(&mut browser, "sealed-by-service");
    browser.close();
}
