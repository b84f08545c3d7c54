// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holders of the API key ask beside sessions: who may, in which form, and what members are told of it.

use serde_json::{Value, json};

use super::*;

/// Everything that can be granted, for the room `room`.
fn grants() -> VideoGrants {
    VideoGrants {
        room: "room".into(),
        room_admin: true,
        room_create: true,
        room_list: true,
        ..VideoGrants::default()
    }
}

fn bearer(grants: VideoGrants) -> String {
    AccessToken::with_api_key("key", SECRET)
        .with_identity("office")
        .with_grants(grants)
        .to_jwt()
        .unwrap()
}

/// The status and the body of the answer to a POST.
async fn post(
    hub: SocketAddr,
    call: &str,
    token: Option<&str>,
    kind: &str,
    body: &[u8],
) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(hub).await.unwrap();
    let authorization = token.map_or(String::new(), |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    let head = format!(
        "POST /twirp/livekit.RoomService/{call} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n{authorization}\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Who is refused early need not have sent everything.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let body = answer.split_off(end.unwrap() + 4);
    let head = String::from_utf8(answer).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

/// Asks in JSON, with this token.
async fn ask_with(hub: SocketAddr, token: &str, call: &str, body: Value) -> (u16, Value) {
    let text = body.to_string();
    let (status, body) = post(hub, call, Some(token), "application/json", text.as_bytes()).await;
    (status, serde_json::from_slice(&body).unwrap())
}

/// Asks in JSON, with everything granted.
async fn ask(hub: SocketAddr, call: &str, body: Value) -> (u16, Value) {
    ask_with(hub, &bearer(grants()), call, body).await
}

impl Client {
    async fn told_metadata(&mut self) -> String {
        self.hear(|say| match say {
            Say::RoomUpdate(update) => Some(update.room.clone().unwrap().metadata),
            _ => None,
        })
        .await
    }

    async fn leave_reason(&mut self) -> proto::DisconnectReason {
        self.hear(|say| match say {
            Say::Leave(leave) => Some(leave.reason()),
            _ => None,
        })
        .await
    }
}

#[tokio::test]
async fn metadata_that_is_written_in_either_form_reaches_the_members() {
    let (hub, _) = hub().await;
    let mut ann = super::join(hub, "ann", "room").await.unwrap();
    let written = json!({ "room": "room", "metadata": "in JSON" });
    let (status, room) = ask(hub, "UpdateRoomMetadata", written).await;
    assert_eq!((status, &room["metadata"]), (200, &json!("in JSON")));
    assert_eq!(room["name"], "room");
    assert_eq!(ann.told_metadata().await, "in JSON");

    let request = proto::UpdateRoomMetadataRequest {
        room: "room".into(),
        metadata: "in protobuf".into(),
    };
    let (status, body) = post(
        hub,
        "UpdateRoomMetadata",
        Some(&bearer(grants())),
        "application/protobuf",
        &request.encode_to_vec(),
    )
    .await;
    assert_eq!(status, 200);
    let room = proto::Room::decode(body.as_slice()).unwrap();
    assert_eq!(room.metadata, "in protobuf");
    assert_eq!(ann.told_metadata().await, "in protobuf");

    let mut bob = super::join(hub, "bob", "room").await.unwrap();
    let metadata = bob
        .hear(|say| match say {
            Say::Join(join) => Some(join.room.clone().unwrap().metadata),
            _ => None,
        })
        .await;
    assert_eq!(metadata, "in protobuf");
}

#[tokio::test]
async fn nothing_is_done_without_the_grant_for_it() {
    let (hub, _) = hub().await;
    let mut ann = super::join(hub, "ann", "room").await.unwrap();
    let nothing = VideoGrants::default();
    let admin = VideoGrants {
        room_admin: true,
        room: "room".into(),
        ..VideoGrants::default()
    };
    let elsewhere = VideoGrants {
        room: "another".into(),
        ..admin.clone()
    };
    let create = VideoGrants {
        room_create: true,
        ..VideoGrants::default()
    };
    let list = VideoGrants {
        room_list: true,
        ..VideoGrants::default()
    };
    let member = VideoGrants {
        room_join: true,
        room: "room".into(),
        ..VideoGrants::default()
    };
    let who = json!({ "room": "room", "identity": "ann" });
    let sid = json!({ "room": "room", "identity": "ann", "trackSid": "TR_none", "muted": true });
    let room = json!({ "room": "room" });
    // What is asked, with what it is enough, and the answer that shows that it got beyond that.
    let calls = [
        ("CreateRoom", json!({ "name": "room" }), &create, 200),
        ("ListRooms", json!({}), &list, 200),
        ("ListParticipants", room.clone(), &admin, 200),
        ("GetParticipant", who.clone(), &admin, 200),
        ("MutePublishedTrack", sid, &admin, 404),
        ("UpdateParticipant", who.clone(), &admin, 200),
        ("UpdateRoomMetadata", room.clone(), &admin, 200),
        ("SendData", room.clone(), &admin, 200),
        ("RemoveParticipant", who, &admin, 200),
        ("DeleteRoom", room, &create, 200),
    ];
    for (call, body, enough, expected) in calls {
        for grants in [&nothing, &admin, &elsewhere, &create, &list, &member] {
            if grants == enough {
                continue;
            }
            let token = bearer(grants.clone());
            let (status, answer) = ask_with(hub, &token, call, body.clone()).await;
            assert_eq!(status, 403, "{call} with {grants:?}: {answer}");
            assert_eq!(answer["code"], "permission_denied");
        }
        let forged = AccessToken::with_api_key("key", "guessed")
            .with_grants(enough.clone())
            .to_jwt()
            .unwrap();
        let (status, answer) = ask_with(hub, &forged, call, body.clone()).await;
        assert_eq!((status, &answer["code"]), (401, &json!("unauthenticated")));
        ann.is_served().await;
        let (status, answer) = ask_with(hub, &bearer(enough.clone()), call, body).await;
        assert_eq!(status, expected, "{call}: {answer}");
        if call == "RemoveParticipant" {
            let removed = proto::DisconnectReason::ParticipantRemoved;
            assert_eq!(ann.leave_reason().await, removed);
            assert!(ann.ends().await);
            ann = super::join(hub, "ann", "room").await.unwrap();
        }
    }
    let deleted = proto::DisconnectReason::RoomDeleted;
    assert_eq!(ann.leave_reason().await, deleted);
    assert!(ann.ends().await);
}

#[tokio::test]
async fn what_cannot_be_done_is_answered_in_twirp_s_words() {
    let (hub, _) = hub().await;
    let mut ann = super::join(hub, "ann", "room").await.unwrap();
    let who = |room: &str, identity: &str| json!({ "room": room, "identity": identity });
    let answers = [
        ("GetParticipant", who("room", "eve"), 404, "not_found"),
        ("RemoveParticipant", who("room", "eve"), 404, "not_found"),
        ("DeleteRoom", json!({ "room": "none" }), 404, "not_found"),
        ("CreateRoom", json!({}), 400, "invalid_argument"),
        (
            "UpdateRoomMetadata",
            json!({ "room": "room", "metadata": "x".repeat(70_000) }),
            400,
            "invalid_argument",
        ),
        ("ListRooms", json!([]), 400, "malformed"),
        ("GetParticipant", json!({ "room": 7 }), 400, "malformed"),
        ("BurnRoom", json!({}), 404, "bad_route"),
    ];
    for (call, body, status, code) in answers {
        let answer = ask(hub, call, body).await;
        assert_eq!(
            (answer.0, &answer.1["code"]),
            (status, &json!(code)),
            "{answer:?}"
        );
        assert!(!answer.1["msg"].as_str().unwrap().is_empty());
    }
    let token = bearer(grants());
    let code = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["code"].clone();
    // Garbage, as protobuf.
    let (status, body) = post(
        hub,
        "ListRooms",
        Some(&token),
        "application/protobuf",
        &[0xff; 50],
    )
    .await;
    assert_eq!((status, code(&body)), (400, json!("malformed")));
    let (status, body) = post(hub, "ListRooms", Some(&token), "text/plain", b"{}").await;
    assert_eq!((status, code(&body)), (404, json!("bad_route")));
    let (status, body) = post(hub, "ListRooms", None, "application/json", b"{}").await;
    assert_eq!((status, code(&body)), (401, json!("unauthenticated")));
    let large = vec![b' '; 1 << 20];
    let (status, body) = post(hub, "ListRooms", Some(&token), "application/json", &large).await;
    assert_eq!((status, code(&body)), (400, json!("malformed")));
    let (status, body) = get(hub, "/twirp/livekit.RoomService/ListRooms", "").await;
    assert_eq!((status, code(body.as_bytes())), (404, json!("bad_route")));
    ann.is_served().await;
}

#[tokio::test]
async fn rooms_and_who_is_in_them_are_listed() {
    let (hub, _) = hub().await;
    let (status, rooms) = ask(hub, "ListRooms", json!({})).await;
    assert_eq!((status, rooms), (200, json!({})));
    let ahead = json!({ "name": "later", "metadata": "agenda", "maxParticipants": 2 });
    let (status, later) = ask(hub, "CreateRoom", ahead).await;
    assert_eq!((status, &later["metadata"]), (200, &json!("agenda")));
    let mut ann = super::join(hub, "ann", "room").await.unwrap();
    ann.is_served().await;
    let (_, rooms) = ask(hub, "ListRooms", json!({})).await;
    let mut names: Vec<_> = rooms["rooms"].as_array().unwrap().iter().collect();
    names.sort_by_key(|room| room["name"].to_string());
    assert_eq!(names.len(), 2);
    assert_eq!(
        (&names[0]["name"], &names[1]["name"]),
        (&json!("later"), &json!("room"))
    );
    assert_eq!(names[1]["numParticipants"], 1);
    let (_, rooms) = ask(hub, "ListRooms", json!({ "names": ["later", "none"] })).await;
    assert_eq!(rooms["rooms"].as_array().unwrap().len(), 1);
    let (status, refused) = ask(hub, "CreateRoom", json!({ "name": "third" })).await;
    assert_eq!(
        (status, &refused["code"]),
        (429, &json!("resource_exhausted"))
    );

    let (_, listed) = ask(hub, "ListParticipants", json!({ "room": "room" })).await;
    assert_eq!(listed["participants"][0]["identity"], "ann");
    let (_, one) = ask(
        hub,
        "GetParticipant",
        json!({ "room": "room", "identity": "ann" }),
    )
    .await;
    assert_eq!(one["identity"], "ann");
    assert_eq!(one["permission"]["canPublish"], true);
}
