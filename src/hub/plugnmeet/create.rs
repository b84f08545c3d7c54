// SPDX-License-Identifier: MIT OR Apache-2.0
//! `POST /auth/room/create`: makes a meeting, or finds the one that runs.

use std::sync::Arc;

use hyper::StatusCode;
use livekit_protocol as proto;
use roomseal_policy::{KeyModel, RoomName};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{No, read, room};
use crate::entry;
use crate::meeting::Building;
use crate::people::Asker;
use crate::people::meetings::Meeting;

#[derive(Deserialize)]
struct Create {
    room_id: String,
    #[serde(default)]
    max_participants: Option<u32>,
    #[serde(default)]
    empty_timeout: Option<u32>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    room_title: String,
    room_features: Features,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Features {
    end_to_end_encryption_features: Encryption,
    waiting_room_features: WaitingRoom,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WaitingRoom {
    is_active: bool,
}

/// What is asked for of end-to-end encryption.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Encryption {
    is_enabled: bool,
    /// Whether people hold the secret; else the hub makes one.
    enabled_self_insert_encryption_key: bool,
    // What people write is sealed by members either way, so that included_chat_messages is not looked at.
    included_whiteboard: bool,
    /// Only ever told by Plug-N-Meet's own server.
    encryption_key: String,
}

pub(super) async fn create(body: &[u8], building: &Arc<Building>) -> Result<Value, No> {
    let asked: Create = read(body)?;
    let room = room(&asked.room_id)?;
    let encryption = &asked.metadata.room_features.end_to_end_encryption_features;
    if !encryption.encryption_key.is_empty() {
        let text = "encryption_key must be empty: a key is made here, or is held by the people in the meeting alone";
        return Err(No::new(StatusCode::BAD_REQUEST, text));
    }
    if encryption.is_enabled && encryption.included_whiteboard {
        let text = "there is no whiteboard here; leave included_whiteboard out";
        return Err(No::new(StatusCode::BAD_REQUEST, text));
    }
    let people = &building.api.people;
    let known = people.meeting(room.as_str()).await?;
    let runs = building.engine.runs(room.as_str()).await?;
    let meeting = match known {
        // What it was made with stays.
        Some(known) if runs && known.session.is_some() => known,
        Some(known) if known.session.is_none() => {
            let text = "there is another meeting in this room; choose another room_id";
            return Err(No::new(StatusCode::CONFLICT, text));
        }
        None if runs => {
            let text = "there is another meeting in this room; choose another room_id";
            return Err(No::new(StatusCode::CONFLICT, text));
        }
        known => {
            if known.is_some() {
                people.end_meeting(room.as_str()).await?;
            }
            let key_model =
                if encryption.is_enabled && !encryption.enabled_self_insert_encryption_key {
                    KeyModel::Server
                } else {
                    KeyModel::User
                };
            let meeting = Meeting {
                title: Some(asked.metadata.room_title.clone()),
                session: Some(entry::uuid()),
                waiting_room: asked.metadata.room_features.waiting_room_features.is_active,
                ..Meeting::new(&room, encryption.is_enabled, key_model)
            };
            people.start_meeting(&Asker::Owner, meeting.clone()).await?;
            meeting
        }
    };
    let opened = open(&asked, &room, building).await?;
    Ok(json!({
        "status": true,
        "msg": "success",
        "room_info": info(&meeting, &opened),
    }))
}

/// Opens the room, as far as it is not.
async fn open(asked: &Create, room: &RoomName, building: &Building) -> Result<proto::Room, No> {
    let request = proto::CreateRoomRequest {
        name: room.as_str().to_owned(),
        empty_timeout: asked.empty_timeout.unwrap_or_default(),
        max_participants: asked.max_participants.unwrap_or_default(),
        ..Default::default()
    };
    Ok(building.engine.set_up(request).await?)
}

/// How Plug-N-Meet tells of a room. Numbers of 64 bits are texts in its JSON.
fn info(meeting: &Meeting, opened: &proto::Room) -> Value {
    let server = meeting.key_model == KeyModel::Server;
    let encryption = json!({
        "is_enabled": meeting.e2ee,
        "enabled_self_insert_encryption_key": meeting.e2ee && !server,
        // Members seal it with everything else.
        "included_chat_messages": meeting.e2ee,
        "included_whiteboard": false,
    });
    let metadata = json!({
        "room_title": meeting.title,
        "room_features": {
            "end_to_end_encryption_features": encryption,
            "waiting_room_features": { "is_active": meeting.waiting_room },
        },
    });
    json!({
        "room_title": meeting.title,
        "room_id": meeting.room,
        "sid": meeting.session,
        "joined_participants": opened.num_participants.to_string(),
        "is_running": true,
        "is_recording": false,
        "is_active_rtmp": false,
        "is_breakout_room": false,
        "creation_time": opened.creation_time.to_string(),
        "metadata": metadata.to_string(),
    })
}
