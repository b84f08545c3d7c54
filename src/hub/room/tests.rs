// SPDX-License-Identifier: MIT OR Apache-2.0

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message as Say;
use prost::Message as _;

use super::*;

mod admin;
mod coming;
mod data;
mod tracks;

/// A room, and everything that was done so far.
struct World {
    room: Room,
    now: Duration,
    connections: u64,
    done: Vec<Action>,
}

fn admission(identity: &str) -> Admission {
    Admission {
        api_key: "key".into(),
        identity: identity.into(),
        name: identity.to_uppercase(),
        metadata: String::new(),
        attributes: BTreeMap::new(),
        kind: String::new(),
        room: "room".into(),
        can_publish: true,
        can_publish_sources: Vec::new(),
        can_publish_data: true,
        can_subscribe: true,
        can_update_own_metadata: false,
        room_admin: false,
        by_hub: false,
        hidden: false,
        recorder: false,
        agent: false,
    }
}

fn all() -> Visit {
    Visit {
        auto_subscribe: true,
        ..Visit::default()
    }
}

fn resume(sid: &str) -> Visit {
    Visit {
        resume: Some(sid.into()),
        ..all()
    }
}

impl World {
    fn new() -> Self {
        let mut drawn = 0;
        let dice = Box::new(move || {
            drawn += 1;
            drawn
        });
        Self {
            room: Room::new("room".into(), 3, 1_000_000, dice),
            now: Duration::ZERO,
            connections: 0,
            done: Vec::new(),
        }
    }

    /// Somebody arrives; `None` when the room is full.
    fn arrive(&mut self, admission: Admission, visit: Visit) -> Option<ConnectionId> {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let actions = self.room.arrive(connection, admission, visit, self.now);
        self.done = actions.ok()?;
        Some(connection)
    }

    /// Somebody arrives and its media connects.
    fn enter(&mut self, identity: &str) -> (ConnectionId, MemberId, String) {
        let connection = self.arrive(admission(identity), all()).unwrap();
        let sid = self.joined(connection).participant.unwrap().sid;
        let member = self.opened();
        self.report(member, Report::Connected(Target::Subscriber));
        (connection, member, sid)
    }

    fn ask(&mut self, connection: ConnectionId, message: Ask) {
        let input = Input::Signal(connection, Box::new(message));
        self.done = self.room.handle(input, self.now);
    }

    fn report(&mut self, member: MemberId, report: Report) {
        self.done = self.room.handle(Input::Media(member, report), self.now);
    }

    /// Lets time pass, with every deadline on the way.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.done.clear();
        let mut ticks = 0;
        while let Some(deadline) = self.room.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(deadline);
            let done = self.room.handle(Input::Tick, self.now);
            let ends = done.contains(&Action::End);
            self.done.extend(done);
            ticks += 1;
            assert!(ticks < 1000, "time stands still at {:?}", self.now);
            if ends {
                break;
            }
        }
        self.now = until;
    }

    fn said(&self, to: ConnectionId) -> Vec<&Say> {
        let sent = self.done.iter().filter_map(|action| match action {
            Action::Send(connection, message) if *connection == to => Some(&**message),
            _ => None,
        });
        sent.collect()
    }

    fn joined(&self, connection: ConnectionId) -> proto::JoinResponse {
        match self.said(connection).first() {
            Some(Say::Join(join)) => join.clone(),
            other => panic!("no join: {other:?}"),
        }
    }

    fn orders(&self) -> Vec<&Order> {
        let orders = self.done.iter().filter_map(|action| match action {
            Action::Media(order) => Some(order),
            _ => None,
        });
        orders.collect()
    }

    fn opened(&self) -> MemberId {
        let mut orders = self.orders().into_iter();
        orders
            .find_map(|order| match order {
                Order::Open(id) => Some(*id),
                _ => None,
            })
            .unwrap()
    }

    /// What a connection was told of participants: identity, state and muted flags of the tracks.
    fn updates(&self, to: ConnectionId) -> Vec<(String, i32, Vec<bool>)> {
        let updates = self
            .said(to)
            .into_iter()
            .filter_map(|message| match message {
                Say::Update(update) => Some(&update.participants),
                _ => None,
            });
        let participants = updates.flatten().map(|info| {
            let muted = info.tracks.iter().map(|track| track.muted).collect();
            (info.identity.clone(), info.state, muted)
        });
        participants.collect()
    }

    fn left(&self, connection: ConnectionId) -> Option<(proto::DisconnectReason, i32)> {
        self.said(connection)
            .into_iter()
            .find_map(|message| match message {
                Say::Leave(leave) => Some((leave.reason(), leave.action)),
                _ => None,
            })
    }

    /// Declares a track and offers it in section `mid`; returns its sid.
    fn publish(
        &mut self,
        connection: ConnectionId,
        member: MemberId,
        source: proto::TrackSource,
        mid: &str,
    ) -> String {
        let video = matches!(
            source,
            proto::TrackSource::Camera | proto::TrackSource::ScreenShare
        );
        let cid = format!("cid{mid}");
        self.ask(
            connection,
            Ask::AddTrack(proto::AddTrackRequest {
                cid: cid.clone(),
                r#type: i32::from(video),
                source: source as i32,
                encryption: proto::encryption::Type::Gcm as i32,
                ..Default::default()
            }),
        );
        let sid = match self.said(connection).first() {
            Some(Say::TrackPublished(published)) => {
                assert_eq!(published.cid, cid);
                published.track.clone().unwrap().sid
            }
            other => panic!("not published: {other:?}"),
        };
        self.sections(member, &[(mid, video, true, &cid)]);
        sid
    }

    fn sections(&mut self, member: MemberId, sections: &[(&str, bool, bool, &str)]) {
        let sections = sections.iter().map(|(mid, video, sending, cid)| Section {
            mid: (*mid).into(),
            video: *video,
            sending: *sending,
            mime: video.then_some("video/VP8"),
            cids: vec![(*cid).into()],
        });
        let answered = Report::Answered {
            sdp: "answer".into(),
            id: 7,
            candidates: vec!["candidate:1".into(), "candidate:2".into()],
            sections: sections.collect(),
        };
        self.report(member, answered);
    }
}

const JOINED: i32 = proto::participant_info::State::Joined as i32;
const ACTIVE: i32 = proto::participant_info::State::Active as i32;
const DISCONNECTED: i32 = proto::participant_info::State::Disconnected as i32;
