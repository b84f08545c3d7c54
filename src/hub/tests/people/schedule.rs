// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings that are scheduled: whose they are, what is kept of them, and how they are announced.

use roomseal_policy::{Chain, E2ee, MeetingKey};
use zeroize::Zeroizing;

use super::accounts::{joined, path};
use super::hosts::{bearer, decide, host, meeting_key, plain, token_of_owner};
use super::*;

/// When the clock of these hubs stands still.
pub(super) const NOW: i64 = 1_800_000_000;

pub(super) fn plan(room: &str, starts: i64) -> Value {
    json!({
        "room": room,
        "title": "Plans, and more",
        "starts": starts,
        "ends": starts + 3600,
        "meeting_key": meeting_key().hash().to_string(),
    })
}

/// The policy that is signed in advance.
fn policy(room: &str, key: &MeetingKey, e2ee: E2ee) -> Value {
    let chain = Chain::start(&host(room, key), &decide(e2ee, 1));
    serde_json::from_str(&chain.message()).unwrap()
}

pub(super) async fn rooms(browser: &mut Browser) -> Vec<String> {
    let listed = browser.get("/api/schedule").await;
    let meetings = listed.body["meetings"].as_array().unwrap();
    let rooms = meetings
        .iter()
        .map(|it| it["room"].as_str().unwrap().to_owned());
    rooms.collect()
}

#[tokio::test]
async fn an_organiser_has_his_meetings_in_order_and_nobody_elses() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (bob, mut user) = joined(&mut admin, &office, "bob").await;
    admin
        .ask("PATCH", &path(&bob), Some(json!({ "licensed": true })))
        .await;
    for (bobs, room, starts) in [
        (false, "late", NOW + 90_000),
        (false, "soon", NOW + 60),
        (true, "bobs", NOW + 60),
    ] {
        let browser = if bobs { &mut user } else { &mut admin };
        let made = browser.post("/api/schedule", plan(room, starts)).await;
        assert_eq!(made.status, 201, "{made:?}");
        let address = format!("http://{}/j/{room}", office.address);
        assert_eq!(made.body["address"], address);
    }
    assert_eq!(rooms(&mut admin).await, ["soon", "late"]);
    assert_eq!(rooms(&mut user).await, ["bobs"]);
    problem(
        &user.ask("DELETE", "/api/schedule/soon", None).await,
        404,
        "no-such",
    );
    problem(
        &user.get("/api/schedule/soon/calendar").await,
        404,
        "no-such",
    );
    problem(
        &user.post("/api/schedule", plan("soon", NOW + 60)).await,
        409,
        "room-taken",
    );
    problem(
        &office.browser().get("/api/schedule").await,
        401,
        "not-signed-in",
    );
    // The owner's box has its own.
    let mut owner = office.browser();
    owner.headers += &format!("Authorization: Bearer {}\r\n", token_of_owner());
    assert_eq!(
        owner
            .post("/api/schedule", plan("box", NOW + 60))
            .await
            .status,
        201
    );
    assert_eq!(rooms(&mut owner).await, ["box"]);
    // Those that are over are not listed, and admins cancel all.
    assert_eq!(
        admin.ask("DELETE", "/api/schedule/bobs", None).await.status,
        204
    );
    office.pass(Duration::from_secs(3661));
    assert_eq!(rooms(&mut user).await, [""; 0]);
    assert_eq!(rooms(&mut admin).await, ["late"]);
}

#[tokio::test]
async fn scheduling_with_encryption_takes_a_licence() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (bob, mut user) = joined(&mut admin, &office, "bob").await;
    let mut clear = plan("clear", NOW + 60);
    clear["e2ee"] = json!(false);
    problem(
        &office.browser().post("/api/schedule", clear.clone()).await,
        401,
        "not-signed-in",
    );
    problem(
        &user.post("/api/schedule", plan("plans", NOW + 60)).await,
        403,
        "not-allowed",
    );
    assert_eq!(user.post("/api/schedule", clear.clone()).await.status, 201);
    clear["room"] = json!("sly");
    clear["policy"] = policy("sly", &meeting_key(), E2ee::On);
    problem(&user.post("/api/schedule", clear).await, 422, "invalid");
    admin
        .ask("PATCH", &path(&bob), Some(json!({ "licensed": true })))
        .await;
    assert_eq!(
        user.post("/api/schedule", plan("plans", NOW + 60))
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn a_policy_that_was_signed_in_advance_holds_before_anybody_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("people");
    let office = Office::at(Some(&data), None).await;
    let mut admin = office.admin().await;
    let stranger =
        MeetingKey::from_seed(&roomseal_policy::KeySeed::new(Zeroizing::new([7; 32])).unwrap());
    for forged in [
        policy("plans", &stranger, E2ee::On),
        policy("another", &meeting_key(), E2ee::On),
        json!({}),
        json!("on"),
    ] {
        let mut asked = plan("plans", NOW + 60);
        asked["policy"] = forged;
        problem(&admin.post("/api/schedule", asked).await, 422, "policy");
    }
    let mut asked = plan("plans", NOW + 60);
    asked["policy"] = policy("plans", &meeting_key(), E2ee::On);
    let made = admin.post("/api/schedule", asked.clone()).await;
    assert_eq!(
        (made.status, &made.body["policy"]),
        (201, &asked["policy"]),
        "{made:?}"
    );
    let mut guest = office.browser();
    let join = json!({ "name": "Petra" });
    problem(
        &guest.post("/api/meetings/plans/join", join.clone()).await,
        401,
        "sign-in",
    );
    assert_eq!(
        admin.post("/api/meetings/plans/join", join).await.status,
        200
    );
    office.close().await;

    // It outlasts the hub, and nothing of it is secret.
    let office = Office::at(Some(&data), None).await;
    let (mut admin, _) = sign_in(&office, "ada", PASSWORD).await;
    let listed = admin.get("/api/schedule").await;
    assert_eq!(
        listed.body["meetings"][0]["policy"], asked["policy"],
        "{listed:?}"
    );
}

#[tokio::test]
async fn an_invitation_has_the_address_in_one_piece_and_nothing_that_is_secret() {
    let office = Office::at(None, Some("https://meet.example.org")).await;
    let token = token_of_owner();
    let mut owner = office.browser();
    owner.headers += &format!("Authorization: Bearer {token}\r\n");
    let made = owner.post("/api/schedule", plan("plans", NOW + 3600)).await;
    let address = "https://meet.example.org/j/plans";
    assert_eq!(made.body["address"], address, "{made:?}");
    let headers = bearer(&token);
    let (status, calendar) = plain(&office, "/api/schedule/plans/calendar", &headers).await;
    assert_eq!(status, 200, "{calendar}");
    for line in [
        "content-type: text/calendar; charset=utf-8; method=PUBLISH\r\n",
        "\r\nBEGIN:VEVENT\r\nUID:plans@meet.example.org\r\n",
        "\r\nDTSTART:20270115T090000Z\r\nDTEND:20270115T100000Z\r\n",
        "\r\nSUMMARY:Plans\\, and more\r\n",
        &format!("\r\nURL:{address}\r\n"),
    ] {
        assert!(calendar.contains(line), "{line}{calendar}");
    }
    let (status, text) = plain(&office, "/api/schedule/plans/invitation", &headers).await;
    assert_eq!(status, 200, "{text}");
    assert!(
        text.contains("Plans, and more\n2027-01-15 09:00 to 10:00 (UTC)\n"),
        "{text}"
    );
    assert!(text.ends_with(&format!("\n{address}\n")), "{text}");
    let (status, _) = plain(&office, "/api/schedule/plans/invitation", "").await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn plans_that_make_no_sense_are_refused() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let year = 366 * 24 * 3600;
    for (key, value) in [
        ("room", json!("a b")),
        ("title", json!(" ")),
        ("title", json!("a\nb")),
        ("title", json!("x".repeat(201))),
        ("starts", json!(NOW + 3661)),
        ("starts", json!(NOW + 11 * year)),
        ("ends", json!(NOW)),
        ("ends", json!(NOW + year)),
        ("ends", json!(i64::MAX)),
        ("meeting_key", json!("AAAA")),
    ] {
        let mut asked = plan("plans", NOW + 60);
        asked[key] = value.clone();
        if key == "starts" {
            asked["ends"] = json!(NOW + 3660);
        }
        let answer = admin.post("/api/schedule", asked).await;
        problem(&answer, 422, "invalid");
    }
    let mut secret = plan("plans", NOW + 60);
    secret["secret"] = json!("AAAA");
    problem(&admin.post("/api/schedule", secret).await, 400, "malformed");
}
