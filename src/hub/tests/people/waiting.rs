// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings in which people wait until a host lets them in.

use roomseal_policy::{Host, HostEntry, KeySeed, MeetingKey};
use zeroize::Zeroizing;

use super::accounts::joined;
use super::hosts::{bearer, host, meeting_key, token_of};
use super::*;

/// A meeting with a waiting room: its room, and its host's token.
async fn start(browser: &mut Browser) -> (String, String) {
    let asked = json!({ "waiting_room": true });
    let started = browser.post("/api/meetings", asked).await;
    assert_eq!(started.status, 201, "{started:?}");
    let text = |name: &str| started.body[name].as_str().unwrap().to_owned();
    (text("room"), text("token"))
}

async fn join(browser: &mut Browser, room: &str, asked: Value) -> Answer {
    browser
        .post(&format!("/api/meetings/{room}/join"), asked)
        .await
}

async fn waiting(office: &Office, room: &str, token: &str) -> Answer {
    let path = format!("/api/meetings/{room}/waiting");
    office
        .browser()
        .send("GET", &path, &bearer(token), "")
        .await
}

async fn decide(office: &Office, room: &str, token: &str, id: &Value, admit: bool) -> Answer {
    let path = format!("/api/meetings/{room}/waiting/{}", id.as_str().unwrap());
    let body = json!({ "admit": admit }).to_string();
    office
        .browser()
        .send("POST", &path, &bearer(token), &body)
        .await
}

#[tokio::test]
async fn people_wait_until_a_host_lets_them_in_and_then_come_back_as_they_like() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (_, mut bob) = joined(&mut admin, &office, "bob").await;
    let (room, host) = start(&mut admin).await;
    // Who organised it does not wait, and administers it wherever he joins from.
    let own = join(&mut admin, &room, json!({ "name": "Ada" })).await;
    assert_eq!(own.status, 200, "{own:?}");
    let admission = keys().admit(own.body["token"].as_str().unwrap(), Clock::system().now());
    assert!(admission.unwrap().room_admin);

    let mut guest = office.browser();
    let petra = join(&mut guest, &room, json!({ "name": "Petra" })).await;
    assert_eq!(petra.status, 202, "{petra:?}");
    assert!(petra.body.get("token").is_none());
    let second = join(&mut bob, &room, json!({ "name": "Bob" })).await;
    let shown = waiting(&office, &room, &host).await;
    let expected = json!([
        { "id": petra.body["id"], "name": "Petra", "signed_in": false },
        { "id": second.body["id"], "name": "Bob", "signed_in": true },
    ]);
    assert_eq!(shown.body["waiting"], expected, "{shown:?}");
    let again = json!({ "name": "Petra", "ticket": petra.body["ticket"] });
    // More often than anybody may join.
    for _ in 0..50 {
        let still = join(&mut guest, &room, again.clone()).await;
        assert_eq!(
            (still.status, &still.body["id"]),
            (202, &petra.body["id"]),
            "{still:?}"
        );
    }
    assert_eq!(
        decide(&office, &room, &host, &petra.body["id"], true)
            .await
            .status,
        204
    );
    assert_eq!(
        decide(&office, &room, &host, &second.body["id"], false)
            .await
            .status,
        204
    );
    // Under the name that the host saw, and anew when the page is loaded anew.
    for _ in 0..2 {
        let other = json!({ "name": "The boss", "ticket": petra.body["ticket"] });
        let entry = join(&mut guest, &room, other).await;
        assert_eq!(entry.status, 200, "{entry:?}");
        let admission = keys().admit(entry.body["token"].as_str().unwrap(), Clock::system().now());
        let admission = admission.unwrap();
        assert_eq!(
            (admission.name.as_str(), admission.room_admin),
            ("Petra", false)
        );
    }
    let refused = json!({ "name": "Bob", "ticket": second.body["ticket"] });
    problem(&join(&mut bob, &room, refused).await, 403, "refused");
    assert_eq!(
        waiting(&office, &room, &host).await.body["waiting"],
        json!([])
    );
}

/// Asks who waits, in a browser where somebody may be signed in.
async fn sees(browser: &mut Browser, room: &str, token: &Answer) -> Answer {
    let headers = bearer(&token_of(token));
    let path = format!("/api/meetings/{room}/waiting");
    browser.send("GET", &path, &headers, "").await
}

#[tokio::test]
async fn who_organised_a_meeting_administers_it_by_any_token_of_the_room_while_signed_in() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (_, mut bob) = joined(&mut admin, &office, "bob").await;
    let (room, _) = start(&mut admin).await;
    let petra = join(&mut bob, &room, json!({ "name": "Bob" })).await;
    let own = join(&mut admin, &room, json!({ "name": "Ada" })).await;
    let id = &petra.body["id"];
    assert_eq!(
        decide(&office, &room, &token_of(&own), id, true)
            .await
            .status,
        204
    );
    let ticket = json!({ "name": "Bob", "ticket": petra.body["ticket"] });
    let plain = join(&mut bob, &room, ticket).await;
    // A token without the right: it is the session that counts, and only that of who organised it.
    assert_eq!(sees(&mut admin, &room, &plain).await.status, 200);
    problem(&sees(&mut bob, &room, &plain).await, 403, "not-host");
    problem(
        &sees(&mut office.browser(), &room, &plain).await,
        403,
        "not-host",
    );
    let (other, _) = start(&mut admin).await;
    problem(&sees(&mut admin, &other, &plain).await, 401, "token");
}

#[tokio::test]
async fn a_ticket_is_for_one_meeting_and_only_its_hosts_decide() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (room, host) = start(&mut admin).await;
    let (other, other_host) = start(&mut admin).await;
    let mut guest = office.browser();
    let petra = join(&mut guest, &room, json!({ "name": "Petra" })).await;
    let id = &petra.body["id"];
    problem(
        &decide(&office, &room, &other_host, id, true).await,
        401,
        "token",
    );
    problem(
        &decide(&office, &other, &other_host, id, true).await,
        404,
        "no-such",
    );
    problem(&waiting(&office, &room, "").await, 401, "token");
    assert_eq!(decide(&office, &room, &host, id, true).await.status, 204);
    // Elsewhere it is none, so that its owner waits as everybody does.
    let ticket = json!({ "name": "Petra", "ticket": petra.body["ticket"] });
    let elsewhere = join(&mut guest, &other, ticket.clone()).await;
    assert_eq!(elsewhere.status, 202, "{elsewhere:?}");
    assert_ne!(elsewhere.body["ticket"], petra.body["ticket"]);
    let entry = join(&mut guest, &room, ticket).await;
    let token = entry.body["token"].as_str().unwrap();
    problem(&waiting(&office, &room, token).await, 403, "not-host");
    problem(
        &decide(&office, &room, token, id, true).await,
        403,
        "not-host",
    );
}

/// What a host shows who is called `identity` by the hub.
fn claim(host: &Host, room: &str, identity: &str, hub: &str) -> Value {
    let [room, identity, hub] = [room, identity, hub].map(str::to_owned);
    let proof = HostEntry {
        room,
        identity,
        hub,
    };
    json!({ "certificate": host.certificate().text(), "proof": proof.sign(host) })
}

#[tokio::test]
async fn who_comes_by_a_hosts_link_waits_for_nobody() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let asked = json!({ "waiting_room": true, "meeting_key": meeting_key().hash().to_string() });
    let started = admin.post("/api/meetings", asked).await;
    let (room, token) = (&started.body["room"], &started.body["token"]);
    let (room, token) = (room.as_str().unwrap(), token.as_str().unwrap());
    let mut browser = office.browser();
    let knocked = join(&mut browser, room, json!({ "name": "Hanna" })).await;
    assert_eq!(knocked.status, 202, "{knocked:?}");
    let place = knocked.body["id"].as_str().unwrap();
    let hub = office.address.to_string();
    let hanna = host(room, &meeting_key());
    let stranger = MeetingKey::from_seed(&KeySeed::new(Zeroizing::new([7; 32])).unwrap());
    let mut ask = async |ticket: Value, claim: Value| {
        let asked = json!({ "name": "Hanna", "ticket": ticket, "host": claim });
        join(&mut browser, room, asked).await
    };
    let ticket = &knocked.body["ticket"];
    for wrong in [
        claim(&hanna, room, "another", &hub),
        claim(&hanna, "another", place, &hub),
        claim(&hanna, room, place, "meet.example.org"),
        claim(&host(room, &stranger), room, place, &hub),
    ] {
        problem(&ask(ticket.clone(), wrong).await, 403, "proof");
    }
    let good = claim(&hanna, room, place, &hub);
    // Without its ticket a claim is nobody's.
    assert_eq!(ask(json!("another"), good.clone()).await.status, 202);
    let shown = waiting(&office, room, token).await;
    assert_eq!(shown.body["waiting"].as_array().unwrap().len(), 2);

    let entry = ask(ticket.clone(), good).await;
    let expected = (200, &json!(true), &json!(true));
    let [host, waiting_room] = ["host", "waiting_room"].map(|field| &entry.body[field]);
    assert_eq!((entry.status, host, waiting_room), expected, "{entry:?}");
    let own = entry.body["token"].as_str().unwrap();
    let admission = keys().admit(own, Clock::system().now()).unwrap();
    assert!(admission.room_admin);
    // Nobody else has to let him in.
    let shown = waiting(&office, room, own).await;
    assert_eq!(shown.body["waiting"].as_array().unwrap().len(), 1);
}
