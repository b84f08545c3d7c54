// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who comes, and who comes back: what they are told of the room.

use std::time::Duration;

use livekit_protocol::{self as proto, signal_response};

use super::member::Member;
use super::message::{leave, server_info};
use super::{Action, ConnectionId, MemberId, Order, PING, Room, SILENCE, Target, Visit, Whom};
use crate::token::Admission;

impl Room {
    pub(super) fn join(
        &mut self,
        connection: ConnectionId,
        admission: Admission,
        visit: Visit,
        now: Duration,
    ) {
        let id = MemberId(self.next_member);
        self.next_member += 1;
        let sid = super::message::id("PA", &mut self.dice);
        let joined_ms = self.unix_ms(now);
        let member = Member::new(sid, admission, visit, connection, joined_ms, now);
        let hello = self.welcome(&member);
        self.members.insert(id, member);
        self.visited = true;
        self.over = false;
        self.send(id, signal_response::Message::Join(hello));
        self.order(Order::Open(id));
        self.subscribe_to_all(id);
        self.announce(id, Whom::Others);
    }

    fn welcome(&self, member: &Member) -> proto::JoinResponse {
        proto::JoinResponse {
            room: Some(self.info(1)),
            participant: Some(member.info()),
            other_participants: self.visible().map(Member::info).collect(),
            subscriber_primary: member.primary == Target::Subscriber,
            ping_interval: PING.as_secs() as i32,
            ping_timeout: SILENCE.as_secs() as i32,
            server_version: env!("CARGO_PKG_VERSION").into(),
            server_info: Some(server_info()),
            enabled_publish_codecs: ["video/VP8", "video/H264", "audio/opus"]
                .map(|mime| proto::Codec {
                    mime: mime.into(),
                    fmtp_line: String::new(),
                })
                .into(),
            ..Default::default()
        }
    }

    /// `arriving`: who is about to be counted in.
    pub(super) fn info(&self, arriving: usize) -> proto::Room {
        proto::Room {
            sid: self.sid.clone(),
            name: self.name.clone(),
            empty_timeout: self.unvisited_for.as_secs() as u32,
            departure_timeout: self.departed_for.as_secs() as u32,
            max_participants: self.most_members as u32,
            creation_time: self.opened_ms / 1000,
            creation_time_ms: self.opened_ms,
            metadata: self.metadata.clone(),
            num_participants: (self.visible().count() + arriving) as u32,
            num_publishers: self.visible().filter(|m| !m.tracks.is_empty()).count() as u32,
            ..Default::default()
        }
    }

    pub(super) fn resume(
        &mut self,
        connection: ConnectionId,
        admission: &Admission,
        sid: &str,
        now: Duration,
    ) {
        let found = self.members.iter_mut().find(|(_, member)| {
            member.sid == *sid && member.admission.identity == admission.identity
        });
        let Some((&id, member)) = found else {
            let leave = leave(
                proto::DisconnectReason::StateMismatch,
                proto::leave_request::Action::Reconnect,
            );
            self.actions.push(Action::Send(connection, Box::new(leave)));
            self.actions.push(Action::Close(connection));
            return;
        };
        let older = member.connection.replace(connection);
        member.heard = now;
        if let Some(older) = older {
            self.actions.push(Action::Close(older));
        }
        self.send(
            id,
            signal_response::Message::Reconnect(proto::ReconnectResponse {
                server_info: Some(server_info()),
                ..Default::default()
            }),
        );
        // Everybody, the member itself too: what it missed, and who left meanwhile.
        let mut participants: Vec<_> = self
            .visible()
            .filter(|other| other.sid != *sid)
            .map(Member::info)
            .collect();
        participants.extend(self.members.get(&id).map(Member::info));
        self.send(
            id,
            signal_response::Message::Update(proto::ParticipantUpdate { participants }),
        );
        self.show_room(id);
        self.order(Order::Restart(id));
    }

    /// Tells a member what the room is like.
    pub(super) fn show_room(&mut self, id: MemberId) {
        let room = Some(self.info(0));
        self.send(
            id,
            signal_response::Message::RoomUpdate(proto::RoomUpdate { room }),
        );
    }
}
