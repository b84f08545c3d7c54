// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rooms of a LiveKit server: what is asked of them, and what is known of them.

use std::collections::HashSet;
use std::time::Instant;

use livekit_protocol as proto;
use roomseal_policy::E2ee;

use super::LiveKit;
use super::call::{CallError, Grants};
use crate::engine::Unfulfilled;
use crate::hosts::Heard;
use crate::room::{Denied, Told, Wish};

/// What is known of a room.
#[derive(Debug)]
pub(super) struct Seen {
    /// Names the session: the next one in a room of this name has another.
    sid: String,
    /// When the question was asked whose answer this is: older answers may arrive later.
    asked: Instant,
    heard: Heard,
    /// The hosts' policies for which was done what follows from them.
    pub(super) followed: Option<String>,
    /// Whether programs were stopped since encryption went on.
    pub(super) is_swept: bool,
    /// Streams from outside that were switched off because of encryption.
    pub(super) switched_off: Vec<String>,
}

impl LiveKit {
    /// Asks a room for what its administrators may have.
    pub(in crate::engine) async fn ask(&self, room: &str, wish: Wish) -> Result<Told, Unfulfilled> {
        let administer = Grants::administer(room);
        match wish {
            Wish::Change(request) => {
                let changed: proto::ParticipantInfo = self
                    .call("RoomService/UpdateParticipant", administer, &*request)
                    .await?;
                Ok(Told::Participants(vec![changed]))
            }
            Wish::End => {
                let request = proto::DeleteRoomRequest { room: room.into() };
                let grants = Grants {
                    room_create: true,
                    ..Grants::default()
                };
                let _: proto::DeleteRoomResponse = self
                    .call("RoomService/DeleteRoom", grants, &request)
                    .await?;
                self.forget(room);
                Ok(Told::Done)
            }
            Wish::Metadata(metadata) => {
                let written = self.write_metadata(room, metadata).await?;
                Ok(Told::Room(Box::new(written)))
            }
            Wish::Mute { muted: false, .. } => Err(Denied::RemoteUnmute.into()),
            Wish::Mute {
                identity,
                track,
                muted,
            } => {
                let request = proto::MuteRoomTrackRequest {
                    room: room.into(),
                    identity,
                    track_sid: track,
                    muted,
                };
                let answer: proto::MuteRoomTrackResponse = self
                    .call("RoomService/MutePublishedTrack", administer, &request)
                    .await?;
                let track = answer.track.ok_or(Denied::NoTrack)?;
                Ok(Told::Track(Box::new(track)))
            }
            Wish::Remove(identity) => {
                let request = proto::RoomParticipantIdentity {
                    room: room.into(),
                    identity,
                    ..Default::default()
                };
                let _: proto::RemoveParticipantResponse = self
                    .call("RoomService/RemoveParticipant", administer, &request)
                    .await?;
                Ok(Told::Done)
            }
            Wish::Send(request) => {
                let _: proto::SendDataResponse = self
                    .call("RoomService/SendData", administer, &*request)
                    .await?;
                Ok(Told::Done)
            }
            Wish::SetUp(request) => Ok(Told::Room(Box::new(self.set_up(*request).await?))),
            Wish::Show => {
                let found = self.look_at(room).await?.ok_or(Unfulfilled::NoRoom)?;
                Ok(Told::Room(Box::new(found)))
            }
            Wish::ShowAll => {
                let request = proto::ListParticipantsRequest { room: room.into() };
                let answer: proto::ListParticipantsResponse = self
                    .call("RoomService/ListParticipants", administer, &request)
                    .await?;
                Ok(Told::Participants(answer.participants))
            }
            Wish::ShowOne(identity) => {
                let request = proto::RoomParticipantIdentity {
                    room: room.into(),
                    identity,
                    ..Default::default()
                };
                let one: proto::ParticipantInfo = self
                    .call("RoomService/GetParticipant", administer, &request)
                    .await?;
                Ok(Told::Participants(vec![one]))
            }
        }
    }

    /// Opens a room, or sets up the one that is there.
    pub(in crate::engine) async fn set_up(
        &self,
        request: proto::CreateRoomRequest,
    ) -> Result<proto::Room, Unfulfilled> {
        let grants = Grants {
            room_create: true,
            ..Grants::default()
        };
        let asked = Instant::now();
        let mut room: proto::Room = self
            .call("RoomService/CreateRoom", grants, &request)
            .await?;
        // A room that is there already keeps the metadata that it has.
        if !request.metadata.is_empty() && room.metadata != request.metadata {
            room = self.write_metadata(&request.name, request.metadata).await?;
        }
        self.hear(&room, asked);
        Ok(room)
    }

    async fn write_metadata(&self, room: &str, metadata: String) -> Result<proto::Room, CallError> {
        let request = proto::UpdateRoomMetadataRequest {
            room: room.to_owned(),
            metadata,
        };
        let asked = Instant::now();
        let administer = Grants::administer(room);
        let written: proto::Room = self
            .call("RoomService/UpdateRoomMetadata", administer, &request)
            .await?;
        self.hear(&written, asked);
        Ok(written)
    }

    /// Rooms of these names; of no names: all.
    pub(in crate::engine) async fn list(
        &self,
        names: &[String],
    ) -> Result<Vec<proto::Room>, CallError> {
        let request = proto::ListRoomsRequest {
            names: names.to_vec(),
        };
        let grants = Grants {
            room_list: true,
            ..Grants::default()
        };
        let answer: proto::ListRoomsResponse =
            self.call("RoomService/ListRooms", grants, &request).await?;
        Ok(answer.rooms)
    }

    /// The room of that name, as it is now.
    pub(crate) async fn look_at(&self, name: &str) -> Result<Option<proto::Room>, CallError> {
        let asked = Instant::now();
        let found = self.list(&[name.to_owned()]).await?;
        let found = found.into_iter().find(|room| room.name == name);
        match &found {
            Some(room) => self.hear(room, asked),
            None => self.forget(name),
        }
        Ok(found)
    }

    /// Whether end-to-end encryption is on in a room, as its metadata said last.
    pub(in crate::engine) fn e2ee(&self, room: &str) -> Option<E2ee> {
        self.seen().get(room)?.heard.e2ee()
    }

    /// What hosts of a room say, if it was not followed yet.
    pub(super) fn news(&self, room: &str) -> Option<(String, E2ee)> {
        let seen = self.seen();
        let seen = seen.get(room)?;
        let (policy, e2ee) = (seen.heard.message()?, seen.heard.e2ee()?);
        (seen.followed.as_ref() != Some(&policy)).then_some((policy, e2ee))
    }

    /// Changes what is known of a room, if it is known.
    pub(super) fn note(&self, room: &str, change: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.seen().get_mut(room) {
            change(seen);
        }
    }

    /// Takes in what all rooms are like, as the answer to a question that was asked then.
    pub(super) fn take_in(&self, rooms: &[proto::Room], asked: Instant) {
        for room in rooms {
            self.hear(room, asked);
        }
        let there: HashSet<&str> = rooms.iter().map(|room| room.name.as_str()).collect();
        self.seen().retain(|name, seen| {
            let stays = there.contains(name.as_str()) || seen.asked > asked;
            if !stays {
                self.secrets.forget(&seen.sid);
            }
            stays
        });
    }

    /// Takes in what a room is like.
    fn hear(&self, room: &proto::Room, asked: Instant) {
        let mut rooms = self.seen();
        let seen = rooms
            .entry(room.name.clone())
            .or_insert_with(|| Seen::new(&room.sid, asked));
        if seen.asked > asked {
            return;
        }
        // A server says this of a room before its first session has one.
        if !room.sid.is_empty() && seen.sid != room.sid {
            self.secrets.forget(&seen.sid);
            *seen = Seen::new(&room.sid, asked);
        }
        seen.asked = asked;
        seen.heard.hear(&room.metadata, &room.name);
    }

    fn forget(&self, room: &str) {
        if let Some(seen) = self.seen().remove(room) {
            self.secrets.forget(&seen.sid);
        }
    }
}

impl Seen {
    fn new(sid: &str, asked: Instant) -> Self {
        Self {
            sid: sid.to_owned(),
            asked,
            heard: Heard::default(),
            followed: None,
            is_swept: false,
            switched_off: Vec::new(),
        }
    }
}
