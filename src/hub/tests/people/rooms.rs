// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rooms that are booked: who sees them, who may book, and what a booked box is told.

use base64ct::{Base64UrlUnpadded, Encoding as _};

use super::accounts::{joined, path};
use super::devices::{Device, code};
use super::hosts::token_of_owner;
use super::schedule::{NOW, plan, rooms as planned};
use super::*;

/// A box that somebody enrolled: its id, and the header that it shows itself by.
async fn enrolled(office: &Office, browser: &mut Browser, seed: u8) -> (Device, String, String) {
    let mut device = Device::new(office, seed);
    let answer = device.enrol(&code(browser).await).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let token = device.token(&answer.body["id"]).await;
    let id = answer.body["id"].as_str().unwrap().to_owned();
    (device, id, token)
}

/// What looks like a sealed link.
fn sealed(fill: u8) -> String {
    Base64UrlUnpadded::encode_string(&[fill; 200])
}

fn booking(room: &str, starts: i64, rooms: Value) -> Value {
    let mut asked = plan(room, starts);
    asked["rooms"] = rooms;
    asked
}

async fn invited(device: &mut Device, token: &str) -> Answer {
    let browser = &mut device.browser;
    browser
        .send("GET", "/api/devices/self/meetings", token, "")
        .await
}

/// What of its meetings a box is told, by the names of their rooms.
async fn told(device: &mut Device, token: &str) -> Vec<String> {
    let answer = invited(device, token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let meetings = answer.body["meetings"].as_array().unwrap().iter();
    let rooms = meetings.map(|it| it["room"].as_str().unwrap().to_owned());
    rooms.collect()
}

#[tokio::test]
async fn everybody_who_is_signed_in_sees_the_rooms_of_all_who_are_not_disabled() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (bob, mut user) = joined(&mut admin, &office, "bob").await;
    let (admins, first, _) = enrolled(&office, &mut admin, 7).await;
    let (bobs, second, _) = enrolled(&office, &mut user, 8).await;
    let mut both = [
        json!({ "id": first, "name": "Box 3", "key": admins.public() }),
        json!({ "id": second, "name": "Box 3", "key": bobs.public() }),
    ];
    both.sort_by_key(|room| room["id"].as_str().unwrap().to_owned());
    let (_, mut eve) = joined(&mut admin, &office, "eve").await;
    assert_eq!(eve.get("/api/rooms").await.body, json!({ "rooms": both }));
    problem(
        &office.browser().get("/api/rooms").await,
        401,
        "not-signed-in",
    );
    let mut owner = office.browser();
    owner.headers += &format!("Authorization: Bearer {}\r\n", token_of_owner());
    assert_eq!(owner.get("/api/rooms").await.body["rooms"], json!(both));

    let disabled = json!({ "disabled": true });
    admin.ask("PATCH", &path(&bob), Some(disabled)).await;
    let listed = eve.get("/api/rooms").await.body;
    assert_eq!(listed["rooms"][0]["id"], first);
    assert_eq!(listed["rooms"].as_array().unwrap().len(), 1);
    let device = format!("/api/devices/{first}");
    assert_eq!(admin.ask("DELETE", &device, None).await.status, 204);
    assert_eq!(
        eve.get("/api/rooms").await.body,
        json!({ "rooms": Vec::<Value>::new() })
    );
}

#[tokio::test]
async fn a_booked_box_is_told_of_its_meetings_and_of_no_others() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (bob, mut user) = joined(&mut admin, &office, "bob").await;
    let licensed = json!({ "licensed": true, "display_name": "Bob B." });
    admin.ask("PATCH", &path(&bob), Some(licensed)).await;
    let (mut one, first, mine) = enrolled(&office, &mut admin, 7).await;
    let (mut two, second, other) = enrolled(&office, &mut admin, 8).await;
    let both = json!([{ "device": first, "sealed": sealed(1) }, { "device": second, "sealed": sealed(2) }]);
    let only = json!([{ "device": first, "sealed": sealed(3) }]);
    let made = user
        .post("/api/schedule", booking("late", NOW + 90_000, both))
        .await;
    let names = json!([{ "id": first, "name": "Box 3" }, { "id": second, "name": "Box 3" }]);
    assert_eq!(
        (made.status, &made.body["rooms"]),
        (201, &names),
        "{made:?}"
    );
    let mut soon = booking("soon", NOW + 60, only);
    soon["waiting_room"] = json!(true);
    assert_eq!(admin.post("/api/schedule", soon).await.status, 201);
    assert_eq!(
        user.post("/api/schedule", plan("alone", NOW + 60))
            .await
            .status,
        201
    );

    let answer = invited(&mut one, &mine).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let expected = json!([
        { "room": "soon", "title": "Plans, and more", "starts": NOW + 60, "ends": NOW + 3660, "e2ee": true,
          "waiting_room": true, "organiser": "ada", "sealed": sealed(3) },
        { "room": "late", "title": "Plans, and more", "starts": NOW + 90_000, "ends": NOW + 93_600, "e2ee": true,
          "waiting_room": false, "organiser": "Bob B.", "sealed": sealed(1) },
    ]);
    assert_eq!(answer.body["meetings"], expected);
    let answer = invited(&mut two, &other).await;
    assert_eq!(answer.body["meetings"].as_array().unwrap().len(), 1);
    assert_eq!(answer.body["meetings"][0]["sealed"], sealed(2));
    let listed = user.get("/api/schedule").await;
    assert_eq!(listed.body["meetings"][0]["rooms"], json!([]));
    let mut shown = listed.body["meetings"][1]["rooms"].clone();
    shown
        .as_array_mut()
        .unwrap()
        .sort_by_key(|room| room["id"] == json!(second));
    assert_eq!(shown, names);

    // Who is signed in, the owner, and a stranger are no boxes.
    let owner = format!("Authorization: Bearer {}\r\n", token_of_owner());
    for header in ["", &owner, "Authorization: Bearer x\r\n"] {
        problem(&invited(&mut one, header).await, 401, "token");
    }
    problem(&user.get("/api/devices/self/meetings").await, 401, "token");

    // What was cancelled and what is over is gone; so is a box that was taken out.
    let cancelled = user.ask("DELETE", "/api/schedule/late", None).await;
    assert_eq!(cancelled.status, 204);
    assert_eq!(told(&mut one, &mine).await, ["soon"]);
    assert_eq!(told(&mut two, &other).await, [""; 0]);
    office.pass(Duration::from_secs(3659));
    let mine = one.token(&json!(first)).await;
    assert_eq!(told(&mut one, &mine).await, ["soon"]);
    office.pass(Duration::from_secs(1));
    assert_eq!(told(&mut one, &mine).await, [""; 0]);
    let device = format!("/api/devices/{first}");
    assert_eq!(admin.ask("DELETE", &device, None).await.status, 204);
    problem(&invited(&mut one, &mine).await, 401, "token");
}

#[tokio::test]
async fn a_box_that_was_taken_out_is_booked_no_more() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (_, id, _) = enrolled(&office, &mut admin, 7).await;
    let rooms = json!([{ "device": id, "sealed": sealed(1) }]);
    let made = admin
        .post("/api/schedule", booking("plans", NOW + 60, rooms))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let device = format!("/api/devices/{id}");
    assert_eq!(admin.ask("DELETE", &device, None).await.status, 204);
    let listed = admin.get("/api/schedule").await;
    assert_eq!(listed.body["meetings"][0]["rooms"], json!([]), "{listed:?}");
}

#[tokio::test]
async fn the_box_of_somebody_who_is_disabled_learns_nothing_and_is_not_booked() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (bob, mut user) = joined(&mut admin, &office, "bob").await;
    let (mut device, id, token) = enrolled(&office, &mut user, 7).await;
    let rooms = json!([{ "device": id, "sealed": sealed(1) }]);
    let asked = booking("plans", NOW + 60, rooms.clone());
    assert_eq!(admin.post("/api/schedule", asked).await.status, 201);
    let disabled = json!({ "disabled": true });
    admin.ask("PATCH", &path(&bob), Some(disabled)).await;
    problem(&invited(&mut device, &token).await, 401, "token");
    let asked = booking("again", NOW + 60, rooms);
    problem(&admin.post("/api/schedule", asked).await, 422, "invalid");
}

#[tokio::test]
async fn bookings_that_cannot_be_are_refused_and_nothing_is_kept() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (_, id, _) = enrolled(&office, &mut admin, 7).await;
    let with = |sealed: &str| json!([{ "device": id, "sealed": sealed }]);
    let many: Vec<_> = (0..17)
        .map(|number| json!({ "device": format!("{number}"), "sealed": sealed(1) }))
        .collect();
    let good = sealed(1);
    for rooms in [
        json!(many),
        json!([{ "device": id, "sealed": good }, { "device": id, "sealed": sealed(2) }]),
        json!([{ "device": id, "sealed": good }, { "device": "nobody's", "sealed": good }]),
        with(""),
        with(&Base64UrlUnpadded::encode_string(&[1; 81])),
        with(&"A".repeat(8193)),
        with(&"A".repeat(8196)),
        with(&format!("{good}=")),
        with(&format!("{good}\n")),
        with(&good.replacen("AQ", "+/", 1)),
        // Bits that stand for nothing.
        with(&format!("{}B", &good[..good.len() - 1])),
    ] {
        let answer = admin
            .post("/api/schedule", booking("plans", NOW + 60, rooms.clone()))
            .await;
        problem(&answer, 422, "invalid");
        if rooms[1]["device"] == "nobody's" {
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(detail.contains("nobody's"), "{detail}");
        }
    }
    for malformed in [
        json!([{ "device": id, "sealed": good, "link": "x" }]),
        json!([{ "device": id }]),
        json!("all"),
    ] {
        let asked = booking("plans", NOW + 60, malformed);
        problem(&admin.post("/api/schedule", asked).await, 400, "malformed");
    }
    assert_eq!(planned(&mut admin).await, [""; 0]);
    let rooms = with(&good);
    let made = admin
        .post("/api/schedule", booking("plans", NOW + 60, rooms))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
}

#[tokio::test]
async fn sixteen_rooms_with_the_longest_links_are_booked_at_once() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let mut rooms = Vec::new();
    for seed in 1..=16 {
        let (_, id, _) = enrolled(&office, &mut admin, seed).await;
        rooms.push(json!({ "device": id, "sealed": "A".repeat(8192) }));
    }
    let mut asked = booking("plans", NOW + 60, json!(rooms));
    asked["title"] = json!("ä".repeat(200));
    let made = admin.post("/api/schedule", asked).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["rooms"].as_array().unwrap().len(), 16);
}
