// SPDX-License-Identifier: MIT OR Apache-2.0
//! What administrators ask of a room, beside the sessions in it (LiveKit's `RoomService`).

#![allow(
    deprecated,
    reason = "clients of both kinds are about: those that read the older fields, and those that read the newer ones"
)]

use std::time::Duration;

use livekit_protocol::{self as proto, data_packet, signal_response};
use prost::Message as _;

use super::member::Member;
use super::message::id;
use super::{Action, LONGEST_METADATA, MemberId, Order, Room, Whom};

/// How long a room that was made ahead of its meeting waits for the first to come.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// The largest message that is sent to members, in bytes; clients take no more.
const LARGEST_MESSAGE: usize = 60_000;

/// What an administrator asks for.
#[derive(Debug)]
pub enum Wish {
    /// Change a participant: its name, metadata and attributes as far as they are not empty, its rights if they are
    /// there.
    Change(Box<proto::UpdateParticipantRequest>),
    /// End the meeting for everybody.
    End,
    /// Replace the room's metadata.
    Metadata(String),
    /// Mute a track of a participant.
    Mute {
        /// Whose.
        identity: String,
        /// Its sid.
        track: String,
        /// What it shall be; nobody is unmuted by others.
        muted: bool,
    },
    /// Put a participant out.
    Remove(String),
    /// Send a message to participants.
    Send(Box<proto::SendDataRequest>),
    /// Set the room up, as far as this says something about it.
    SetUp(Box<proto::CreateRoomRequest>),
    /// Say what the room is like.
    Show,
    /// Say who is there.
    ShowAll,
    /// Say what a participant is like.
    ShowOne(String),
}

/// The answer to a [`Wish`].
#[derive(Debug, PartialEq)]
pub enum Told {
    /// It was done.
    Done,
    /// The room, as it is now.
    Room(Box<proto::Room>),
    /// Participants, as they are now: those that were asked for.
    Participants(Vec<proto::ParticipantInfo>),
    /// The track, as it is now.
    Track(Box<proto::TrackInfo>),
}

/// Why a [`Wish`] is not fulfilled. The texts are what clients are answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is nobody of that identity.
    #[error("participant does not exist in this room")]
    NoParticipant,
    /// The participant has no such track.
    #[error("the participant has no track of this sid")]
    NoTrack,
    /// Nobody's microphone is turned on by others.
    #[error("nobody is unmuted from afar: ask the participant to do it")]
    RemoteUnmute,
    /// It is longer than so many bytes.
    #[error("too long: more than {0} bytes")]
    TooLong(usize),
}

impl Room {
    /// Does what an administrator asks for, and says what is to be done now.
    ///
    /// # Errors
    /// The first part, when it cannot be done. Then nothing has changed.
    pub fn administer(&mut self, wish: Wish, now: Duration) -> (Result<Told, Denied>, Vec<Action>) {
        let told = self.fulfil(wish, now);
        (told, self.settle(now))
    }

    fn fulfil(&mut self, wish: Wish, now: Duration) -> Result<Told, Denied> {
        match wish {
            Wish::Change(request) => self.change(*request),
            Wish::End => {
                self.end(now);
                Ok(Told::Done)
            }
            Wish::Metadata(metadata) => {
                fits(metadata.len(), LONGEST_METADATA)?;
                self.metadata = metadata;
                self.tell_room();
                Ok(self.told())
            }
            Wish::Mute {
                identity,
                track,
                muted,
            } => self.mute_for(&identity, &track, muted),
            Wish::Remove(identity) => {
                let id = self.wanted(&identity)?;
                self.dismiss(id, proto::DisconnectReason::ParticipantRemoved);
                Ok(Told::Done)
            }
            Wish::Send(request) => self.send_to(*request),
            Wish::SetUp(request) => self.set_up(*request, now),
            Wish::Show => Ok(self.told()),
            Wish::ShowAll => {
                let members = self.members.values();
                Ok(Told::Participants(members.map(Member::info).collect()))
            }
            Wish::ShowOne(identity) => {
                let id = self.wanted(&identity)?;
                let member = self.members.get(&id);
                Ok(Told::Participants(
                    member.map(Member::info).into_iter().collect(),
                ))
            }
        }
    }

    fn wanted(&self, identity: &str) -> Result<MemberId, Denied> {
        self.by_identity(identity).ok_or(Denied::NoParticipant)
    }

    fn told(&self) -> Told {
        Told::Room(Box::new(self.info(0)))
    }

    fn set_up(&mut self, request: proto::CreateRoomRequest, now: Duration) -> Result<Told, Denied> {
        fits(request.metadata.len(), LONGEST_METADATA)?;
        let seconds = |seconds: u32| (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)));
        if std::mem::take(&mut self.over) {
            self.visited = false;
        }
        if !self.visited {
            self.unvisited_for = seconds(request.empty_timeout).unwrap_or(AHEAD);
            self.empty_since = Some(now);
        }
        if let Some(time) = seconds(request.departure_timeout) {
            self.departed_for = time;
        }
        if request.max_participants > 0 {
            let wanted = usize::try_from(request.max_participants).unwrap_or(usize::MAX);
            self.most_members = wanted.min(self.capacity);
        }
        if !request.metadata.is_empty() {
            self.metadata = request.metadata;
            self.tell_room();
        }
        Ok(self.told())
    }

    /// The next who come find a room of the same name that knows nothing of this one.
    fn end(&mut self, now: Duration) {
        let ids: Vec<MemberId> = self.members.keys().copied().collect();
        for id in ids {
            self.dismiss(id, proto::DisconnectReason::RoomDeleted);
        }
        self.metadata.clear();
        self.sid = id("RM", &mut self.dice);
        self.empty_since = Some(now);
        self.over = true;
        self.actions.push(Action::End);
    }

    fn mute_for(&mut self, identity: &str, sid: &str, muted: bool) -> Result<Told, Denied> {
        let id = self.wanted(identity)?;
        let member = self.members.get_mut(&id).ok_or(Denied::NoParticipant)?;
        let mut tracks = member.tracks.iter_mut().map(|track| &mut track.info);
        let info = tracks.find(|info| info.sid == *sid);
        let info = info.ok_or(Denied::NoTrack)?;
        let told = if info.muted == muted {
            Told::Track(Box::new(info.clone()))
        } else if !muted {
            return Err(Denied::RemoteUnmute);
        } else {
            info.muted = true;
            let told = Told::Track(Box::new(info.clone()));
            member.version += 1;
            let request = proto::MuteTrackRequest {
                sid: sid.into(),
                muted: true,
            };
            self.send(id, signal_response::Message::Mute(request));
            self.announce(id, Whom::Everybody);
            told
        };
        Ok(told)
    }

    fn change(&mut self, request: proto::UpdateParticipantRequest) -> Result<Told, Denied> {
        let id = self.wanted(&request.identity)?;
        let member = self.members.get_mut(&id).ok_or(Denied::NoParticipant)?;
        let heard = member.admission.can_subscribe;
        if !member.describe(request.name, request.metadata, request.attributes) {
            return Err(Denied::TooLong(LONGEST_METADATA));
        }
        if let Some(permission) = request.permission {
            member.permit(&permission);
            let hears = member.admission.can_subscribe;
            self.take_back(id);
            match (heard, hears) {
                (true, false) => self.deafen(id),
                (false, true) => self.subscribe_to_all(id),
                (true, true) | (false, false) => {}
            }
        }
        self.announce(id, Whom::Everybody);
        let member = self.members.get(&id);
        Ok(Told::Participants(
            member.map(Member::info).into_iter().collect(),
        ))
    }

    /// Ends the tracks that a member may no longer publish.
    fn take_back(&mut self, id: MemberId) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let may = |info: &proto::TrackInfo| member.may_publish(info.source);
        let (declared, sent): (Vec<bool>, Vec<bool>) = (
            member
                .pending
                .iter()
                .map(|track| may(&track.info))
                .collect(),
            member.tracks.iter().map(|track| may(&track.info)).collect(),
        );
        let mut declared = declared.into_iter();
        member.pending.retain(|_| declared.next().unwrap_or(true));
        let mut sent = sent.into_iter();
        let mut over = Vec::new();
        member.tracks.retain(|track| {
            let stays = sent.next().unwrap_or(true);
            if !stays {
                over.push(track.info.sid.clone());
            }
            stays
        });
        for sid in over {
            let unpublished = proto::TrackUnpublishedResponse {
                track_sid: sid.clone(),
            };
            self.send(id, signal_response::Message::TrackUnpublished(unpublished));
            self.release(sid);
        }
    }

    fn deafen(&mut self, id: MemberId) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        for sid in std::mem::take(&mut member.receives) {
            self.order(Order::Unsubscribe(id, sid));
        }
    }

    fn send_to(&mut self, request: proto::SendDataRequest) -> Result<Told, Denied> {
        fits(request.data.len(), LARGEST_MESSAGE)?;
        let reliable = request.kind == data_packet::Kind::Reliable as i32;
        let sids = request.destination_sids.clone();
        let identities = request.destination_identities.clone();
        let packet = proto::DataPacket {
            kind: request.kind,
            destination_identities: request.destination_identities.clone(),
            value: Some(data_packet::Value::User(proto::UserPacket {
                payload: request.data,
                topic: request.topic,
                destination_sids: request.destination_sids,
                destination_identities: request.destination_identities,
                nonce: request.nonce,
                ..Default::default()
            })),
            ..Default::default()
        };
        let to = self.receivers(None, &sids, &identities);
        if !to.is_empty() {
            self.order(Order::Data {
                to,
                reliable,
                packet: packet.encode_to_vec(),
            });
        }
        Ok(Told::Done)
    }

    /// Tells everybody what the room is like.
    fn tell_room(&mut self) {
        let ids: Vec<MemberId> = self.members.keys().copied().collect();
        for id in ids {
            self.show_room(id);
        }
    }
}

fn fits(length: usize, most: usize) -> Result<(), Denied> {
    if length > most {
        return Err(Denied::TooLong(most));
    }
    Ok(())
}
