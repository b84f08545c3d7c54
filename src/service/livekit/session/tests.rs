// SPDX-License-Identifier: MIT OR Apache-2.0
// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

mod leave;
mod liveness;
mod resume;

use prost::Message as _;

use super::super::{
    Secret,
    event::{LeaveReason, Target},
    participant::{Encryption, ParticipantState, TrackKind, TrackSource},
    request::{AddTrack, DataState, MediaTrouble, TrackSettings, View},
    token::Mint,
};
use super::*;

/// A session with its clock, and a server's side to play.
struct Table {
    session: Session,
    now: Duration,
}

impl Table {
    fn new() -> Self {
        Self {
            session: Session::new(7),
            now: Duration::from_secs(100),
        }
    }

    /// A session that has joined.
    fn joined() -> Self {
        let mut table = Self::new();
        table.input(Input::Start);
        table.input(Input::Opened);
        let actions = table.server(join());
        assert!(matches!(events(&actions)[..], [Event::Joined(_)]));
        table
    }

    fn input(&mut self, input: Input) -> Vec<Action> {
        self.session.handle(input, self.now)
    }

    fn server(&mut self, message: signal_response::Message) -> Vec<Action> {
        let frame = proto::SignalResponse {
            message: Some(message),
        };
        self.input(Input::Frame(frame.encode_to_vec()))
    }

    fn wish(&mut self, what: Wish) -> Vec<Action> {
        self.input(Input::Request(Request { join: None, what }))
    }

    fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        self.input(Input::Tick)
    }

    /// Lets time pass until the session does something by itself.
    fn wait(&mut self) -> Vec<Action> {
        self.now = self.session.deadline().expect("something to wait for");
        self.input(Input::Tick)
    }
}

fn events(actions: &[Action]) -> Vec<&Event> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Emit(event) => Some(event),
            _ => None,
        })
        .collect()
}

fn sent(actions: &[Action]) -> Vec<&signal_request::Message> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Send(message) => Some(&**message),
            _ => None,
        })
        .collect()
}

fn purpose(actions: &[Action]) -> Option<&Purpose> {
    actions.iter().find_map(|action| match action {
        Action::Connect(purpose, _) => Some(purpose),
        _ => None,
    })
}

fn person(sid: &str, version: u32) -> proto::ParticipantInfo {
    proto::ParticipantInfo {
        sid: sid.into(),
        identity: format!("id of {sid}"),
        state: proto::participant_info::State::Active as i32,
        version,
        ..Default::default()
    }
}

fn join() -> signal_response::Message {
    signal_response::Message::Join(proto::JoinResponse {
        room: Some(proto::Room {
            name: "atrium".into(),
            ..Default::default()
        }),
        participant: Some(person("PA_me", 0)),
        other_participants: vec![person("PA_a", 1), person("PA_b", 1)],
        ping_interval: 5,
        ping_timeout: 15,
        sif_trailer: b"trailer".to_vec(),
        subscriber_primary: true,
        ..Default::default()
    })
}

fn reconnect() -> signal_response::Message {
    signal_response::Message::Reconnect(proto::ReconnectResponse {
        last_message_seq: 9,
        ..Default::default()
    })
}

fn leave(
    action: proto::leave_request::Action,
    reason: proto::DisconnectReason,
) -> signal_response::Message {
    signal_response::Message::Leave(proto::LeaveRequest {
        action: action as i32,
        reason: reason as i32,
        ..Default::default()
    })
}

fn offer(id: u32) -> signal_response::Message {
    signal_response::Message::Offer(proto::SessionDescription {
        r#type: "offer".into(),
        sdp: "v=0".into(),
        id,
        ..Default::default()
    })
}

fn refused() -> Error {
    Error::TokenRefused {
        reason: "no".into(),
        advice: "do something",
    }
}

fn unreachable() -> Error {
    Error::Timeout {
        host: "x".into(),
        waited: Duration::from_secs(4),
    }
}

fn token() -> String {
    Mint::new("key", Secret::new("a secret"), "atrium", "box")
        .token()
        .unwrap()
        .expose()
        .to_owned()
}

fn published(cid: &str, sid: &str) -> signal_response::Message {
    signal_response::Message::TrackPublished(proto::TrackPublishedResponse {
        cid: cid.into(),
        track: Some(proto::TrackInfo {
            sid: sid.into(),
            ..Default::default()
        }),
    })
}

/// Loses the connection and brings the session back to where the server speaks first.
fn lose_and_reopen(table: &mut Table) {
    let actions = table.input(Input::Closed(Reason::Broken("reset".into())));
    assert!(actions.contains(&Action::Park));
    assert!(matches!(
        events(&actions)[..],
        [Event::Reconnecting { resume: true, .. }]
    ));
    let actions = table.wait();
    assert!(matches!(purpose(&actions), Some(Purpose::Resume { sid, .. }) if sid == "PA_me"));
    table.input(Input::Opened);
}

#[test]
fn a_join_says_everything_the_owner_needs() {
    let mut table = Table::new();
    let actions = table.input(Input::Start);
    assert_eq!(events(&actions), [&Event::Connecting { attempt: 1 }]);
    assert_eq!(purpose(&actions), Some(&Purpose::Join));
    table.input(Input::Opened);
    let actions = table.server(join());
    let [Event::Joined(info)] = events(&actions)[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(info.join, 1);
    assert_eq!(info.room.name, "atrium");
    assert_eq!(info.local.sid, "PA_me");
    assert_eq!(info.others.len(), 2);
    assert_eq!(info.sif_trailer, b"trailer");
    assert_eq!(info.ping_interval, Duration::from_secs(5));
}

#[test]
fn a_sealed_track_is_declared_as_such_and_with_the_codecs_it_could_have() {
    let mut table = Table::joined();
    let actions = table.wish(Wish::AddTrack(AddTrack {
        cid: "cam".into(),
        kind: TrackKind::Video,
        source: TrackSource::Camera,
        name: "camera".into(),
        width: 1280,
        height: 720,
        layers: Vec::new(),
        muted: false,
        disable_red: true,
        encryption: Encryption::Gcm,
        stream: "camera".into(),
        codecs: vec!["h264".into(), "vp8".into()],
    }));
    let [signal_request::Message::AddTrack(request)] = sent(&actions)[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(request.encryption, 1);
    assert!(request.disable_red);
    assert_eq!((request.r#type, request.source), (1, 1));
    // What could be sent instead has no section yet.
    let codecs: Vec<_> = request
        .simulcast_codecs
        .iter()
        .map(|codec| (codec.codec.as_str(), codec.cid.as_str()))
        .collect();
    assert_eq!(codecs, [("h264", "cam"), ("vp8", "")]);
}
