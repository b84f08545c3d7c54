// SPDX-License-Identifier: MIT OR Apache-2.0
//! What hosts have the hub do to others.

use livekit_protocol::DisconnectReason;
use roomseal_policy::{Act, Deed, Host, KeySeed, MeetingKey};
use zeroize::Zeroizing;

use super::hosts::{Meeting, bearer, decide, host, left, meeting_key, token_of};
use super::*;

/// What a host sends.
fn asked(host: &Host, act: Act, to: &str) -> Value {
    let deed = Deed { act, to: to.into() };
    json!({ "certificate": host.certificate().text(), "deed": deed.sign(host) })
}

/// What an administrator of the room is answered.
async fn administer(office: &Office, meeting: &Meeting, call: &str, body: Value) -> Value {
    let path = format!("/twirp/livekit.RoomService/{call}");
    let headers = bearer(&meeting.token);
    let body = body.to_string();
    let answer = office.browser().send("POST", &path, &headers, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn a_host_puts_somebody_out_and_ends_the_meeting_and_nobody_else_does() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let meeting = Meeting::start(&mut admin, true).await;
    let entry = meeting.join(&mut office.browser()).await;
    let mut guest = Client::connect(office.address, &token_of(&entry))
        .await
        .unwrap();
    let stays = token_of(&meeting.join(&mut office.browser()).await);
    let mut stays = Client::connect(office.address, &stays).await.unwrap();
    let of = json!({ "room": meeting.room, "identity": entry.body["identity"] });
    let one = administer(&office, &meeting, "GetParticipant", of).await;
    let one = one["sid"].as_str().unwrap();
    let of = json!({ "room": meeting.room, "metadata": "" });
    let room = administer(&office, &meeting, "UpdateRoomMetadata", of).await;
    let room = room["sid"].as_str().unwrap();
    let path = format!("/api/meetings/{}/deed", meeting.room);
    let mut browser = office.browser();

    let alice = host(&meeting.room, &meeting_key());
    let stranger = MeetingKey::from_seed(&KeySeed::new(Zeroizing::new([7; 32])).unwrap());
    let forged = asked(&host(&meeting.room, &stranger), Act::Remove, one);
    problem(&browser.post(&path, forged).await, 403, "not-host");
    let elsewhere = asked(&host("other", &meeting_key()), Act::Remove, one);
    problem(&browser.post(&path, elsewhere).await, 403, "not-host");
    let mut mixed = asked(&alice, Act::Remove, one);
    mixed["deed"] = asked(&host(&meeting.room, &stranger), Act::Remove, one)["deed"].clone();
    problem(&browser.post(&path, mixed).await, 403, "not-host");
    for (act, to) in [
        (Act::Remove, "nobody"),
        (Act::Mute, "nothing"),
        (Act::End, "elsewhere"),
    ] {
        problem(
            &browser.post(&path, asked(&alice, act, to)).await,
            404,
            "gone",
        );
    }
    guest.is_served().await;

    let remove = asked(&alice, Act::Remove, one);
    let done = browser.post(&path, remove.clone()).await;
    assert_eq!(
        (done.status, &done.body["do"]),
        (200, &json!("remove")),
        "{done:?}"
    );
    assert_eq!(left(&mut guest).await, DisconnectReason::ParticipantRemoved);
    problem(&browser.post(&path, remove).await, 404, "gone");
    stays.is_served().await;
    let done = browser.post(&path, asked(&alice, Act::End, room)).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(left(&mut stays).await, DisconnectReason::RoomDeleted);
}

#[tokio::test]
async fn hosts_are_known_by_the_policy_in_the_metadata_where_the_meeting_was_not_started_here() {
    let office = Office::open().await;
    let room = "lobby";
    let key = meeting_key();
    let alice = host(room, &key);
    let path = format!("/api/meetings/{room}/deed");
    let mut browser = office.browser();
    let unknown = browser.post(&path, asked(&alice, Act::End, "RM_1")).await;
    problem(&unknown, 403, "hosts-unknown");

    let chain = roomseal_policy::Chain::start(&alice, &decide(roomseal_policy::E2ee::Off, 9));
    let metadata = roomseal_policy::write_metadata("", &chain).unwrap();
    let body = json!({ "name": room, "metadata": metadata }).to_string();
    let call = "/twirp/livekit.RoomService/CreateRoom";
    let headers = bearer(&hosts::token_of_owner());
    let made = browser.send("POST", call, &headers, &body).await;
    let sid = made.body["sid"].as_str().unwrap();
    let stranger = MeetingKey::from_seed(&KeySeed::new(Zeroizing::new([7; 32])).unwrap());
    let forged = asked(&host(room, &stranger), Act::End, sid);
    problem(&browser.post(&path, forged).await, 403, "not-host");
    let done = browser.post(&path, asked(&alice, Act::End, sid)).await;
    assert_eq!(done.status, 200, "{done:?}");
}
