// SPDX-License-Identifier: MIT OR Apache-2.0

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message as Say;
use prost::Message as _;

use super::*;

mod admin;

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

#[test]
fn who_joins_is_told_who_is_there_and_the_others_are_told_of_the_newcomer() {
    let mut world = World::new();
    let (ann, _, _) = world.enter("ann");
    let bob = world.arrive(admission("bob"), all()).unwrap();
    let join = world.joined(bob);
    assert_eq!(join.participant.unwrap().identity, "bob");
    assert_eq!(join.other_participants[0].identity, "ann");
    assert_eq!(join.other_participants[0].state, ACTIVE);
    assert_eq!(join.room.unwrap().num_participants, 2);
    assert_eq!(world.updates(ann), [("bob".into(), JOINED, vec![])]);
    let member = world.opened();
    world.report(member, Report::Connected(Target::Publisher));
    assert_eq!(world.updates(ann), []);
    world.report(member, Report::Connected(Target::Subscriber));
    assert_eq!(world.updates(ann), [("bob".into(), ACTIVE, vec![])]);
}

#[test]
fn a_track_goes_to_who_is_there_and_to_who_comes_later() {
    let mut world = World::new();
    let (ann, ann_id, ann_sid) = world.enter("ann");
    let (bob, bob_id, _) = world.enter("bob");
    let sid = world.publish(ann, ann_id, proto::TrackSource::Camera, "0");
    assert!(matches!(world.said(ann)[0], Say::Answer(answer) if answer.id == 7));
    for (number, last) in [(1, false), (2, true)] {
        assert!(
            matches!(world.said(ann)[number], Say::Trickle(trickle) if trickle.target == 0 && trickle.r#final == last)
        );
    }
    let subscription = Subscription {
        sid: sid.clone(),
        stream: format!("{ann_sid}|camera"),
        video: true,
    };
    let expected = [
        &Order::Bind(ann_id, "0".into(), sid.clone()),
        &Order::Subscribe(bob_id, subscription.clone()),
    ];
    assert_eq!(world.orders(), expected);
    assert_eq!(world.updates(bob), [("ann".into(), ACTIVE, vec![false])]);
    let (_, cem_id, _) = world.enter("cem");
    let cem = world.arrive(admission("cem"), all()).unwrap();
    let later = world.opened();
    assert_ne!(later, cem_id);
    assert!(
        world
            .orders()
            .contains(&&Order::Subscribe(later, subscription))
    );
    let others = world.joined(cem).other_participants;
    let track = &others.iter().find(|o| o.identity == "ann").unwrap().tracks[0];
    assert_eq!(track.encryption, proto::encryption::Type::Gcm as i32);
    assert_eq!(track.mime_type, "video/VP8");
    assert!(track.disable_red);
}

#[test]
fn a_section_that_is_switched_off_ends_its_track_and_can_carry_another() {
    let mut world = World::new();
    let (ann, ann_id, _) = world.enter("ann");
    let (bob, _, _) = world.enter("bob");
    let first = world.publish(ann, ann_id, proto::TrackSource::Camera, "0");
    world.sections(ann_id, &[("0", true, false, "cid0")]);
    assert_eq!(world.orders(), [&Order::Release(first)]);
    assert_eq!(world.updates(bob), [("ann".into(), ACTIVE, vec![])]);
    let second = world.publish(ann, ann_id, proto::TrackSource::Camera, "0");
    assert!(
        world
            .orders()
            .contains(&&Order::Bind(ann_id, "0".into(), second))
    );
}

#[test]
fn tracks_are_matched_by_name_and_else_by_kind() {
    let mut world = World::new();
    let (ann, ann_id, _) = world.enter("ann");
    for cid in ["camera", "screen"] {
        world.ask(
            ann,
            Ask::AddTrack(proto::AddTrackRequest {
                cid: cid.into(),
                name: cid.into(),
                r#type: 1,
                ..Default::default()
            }),
        );
    }
    world.sections(
        ann_id,
        &[("0", true, true, "screen"), ("1", true, true, "?")],
    );
    let info = world.room.members[&ann_id].info();
    let names: Vec<_> = info.tracks.iter().map(|t| (&*t.mid, &*t.name)).collect();
    assert_eq!(names, [("0", "screen"), ("1", "camera")]);
    // Sound is never taken for a picture.
    world.sections(ann_id, &[("2", false, true, "?")]);
    assert!(world.orders().is_empty());
}

#[test]
fn muting_is_told_to_the_others_once() {
    let mut world = World::new();
    let (ann, ann_id, _) = world.enter("ann");
    let (bob, _, _) = world.enter("bob");
    let sid = world.publish(ann, ann_id, proto::TrackSource::Microphone, "0");
    let mute = |muted| {
        Ask::Mute(proto::MuteTrackRequest {
            sid: sid.clone(),
            muted,
        })
    };
    world.ask(ann, mute(true));
    assert_eq!(world.updates(bob), [("ann".into(), ACTIVE, vec![true])]);
    world.ask(ann, mute(true));
    assert_eq!(world.updates(bob), []);
    // Nobody mutes or opens somebody else's microphone.
    world.ask(bob, mute(false));
    assert!(world.done.is_empty());
}

#[test]
fn the_older_of_two_with_the_same_identity_is_sent_away() {
    let mut world = World::new();
    let (older, older_id, _) = world.enter("ann");
    let (bob, _, _) = world.enter("bob");
    let newer = world.arrive(admission("ann"), all()).unwrap();
    let disconnect = proto::leave_request::Action::Disconnect as i32;
    assert_eq!(
        world.left(older),
        Some((proto::DisconnectReason::DuplicateIdentity, disconnect))
    );
    assert!(world.done.contains(&Action::Close(older)));
    assert!(world.orders().contains(&&Order::Close(older_id)));
    assert_eq!(
        world.updates(bob),
        [
            ("ann".into(), DISCONNECTED, vec![]),
            ("ann".into(), JOINED, vec![])
        ]
    );
    let others = world.joined(newer).other_participants;
    assert_eq!(others.len(), 1);
}

#[test]
fn a_full_room_takes_nobody_but_who_comes_again() {
    let mut world = World::new();
    for identity in ["ann", "bob", "cem"] {
        world.enter(identity);
    }
    assert_eq!(world.arrive(admission("dee"), all()), None);
    assert!(world.arrive(admission("ann"), all()).is_some());
    assert_eq!(world.room.count(), 3);
}

#[test]
fn a_member_that_lost_its_connection_goes_on_where_it_was() {
    let mut world = World::new();
    let (ann, ann_id, sid) = world.enter("ann");
    let (bob, _, _) = world.enter("bob");
    world.publish(ann, ann_id, proto::TrackSource::Camera, "0");
    world.done = world.room.handle(Input::Gone(ann), world.now);
    assert!(world.done.is_empty(), "nobody is told: {:?}", world.done);
    world.pass(RESUME - Duration::from_secs(1));
    assert_eq!(world.updates(bob), []);
    let again = world.arrive(admission("ann"), resume(&sid)).unwrap();
    assert!(matches!(world.said(again)[0], Say::Reconnect(_)));
    let told: Vec<_> = world
        .updates(again)
        .into_iter()
        .map(|(who, ..)| who)
        .collect();
    assert_eq!(told, ["bob", "ann"]);
    assert_eq!(world.orders(), [&Order::Restart(ann_id)]);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.room.count(), 2);
}

#[test]
fn a_new_connection_takes_over_from_one_that_is_still_open() {
    let mut world = World::new();
    let (older, _, sid) = world.enter("ann");
    let newer = world.arrive(admission("ann"), resume(&sid)).unwrap();
    assert!(world.done.contains(&Action::Close(older)));
    // Its end means nothing any more, nor what it still says.
    world.done = world.room.handle(Input::Gone(older), world.now);
    world.ask(older, Ask::Leave(proto::LeaveRequest::default()));
    assert_eq!(world.room.count(), 1);
    world.ask(newer, Ask::Leave(proto::LeaveRequest::default()));
    assert_eq!(world.room.count(), 0);
}

#[test]
fn who_comes_back_too_late_or_as_somebody_else_has_to_join_anew() {
    let mut world = World::new();
    let (ann, _, sid) = world.enter("ann");
    let (bob, _, _) = world.enter("bob");
    let thief = world.arrive(admission("eve"), resume(&sid)).unwrap();
    let reconnect = proto::leave_request::Action::Reconnect as i32;
    let mismatch = Some((proto::DisconnectReason::StateMismatch, reconnect));
    assert_eq!(world.left(thief), mismatch);
    assert!(world.done.contains(&Action::Close(thief)));

    world.room.handle(Input::Gone(ann), world.now);
    for _ in 0..5 {
        world.pass(Duration::from_secs(4));
        world.ask(bob, Ask::Ping(1));
    }
    assert_eq!(world.room.count(), 1);
    let late = world.arrive(admission("ann"), resume(&sid)).unwrap();
    assert_eq!(world.left(late), mismatch);
}

#[test]
fn a_silent_connection_is_closed_and_then_its_member_leaves() {
    let mut world = World::new();
    let (ann, _, _) = world.enter("ann");
    world.pass(SILENCE - Duration::from_millis(1));
    assert!(world.done.is_empty());
    world.ask(ann, Ask::Ping(1));
    assert!(matches!(world.said(ann)[0], Say::Pong(ms) if *ms == 1_014_999));
    world.pass(SILENCE);
    assert_eq!(world.done, [Action::Close(ann)]);
    world.pass(RESUME);
    assert_eq!(world.room.count(), 0);
    world.pass(EMPTY);
    assert_eq!(world.done.last(), Some(&Action::End));
}

#[test]
fn whose_media_never_connects_is_told_to_try_again() {
    let mut world = World::new();
    let ann = world.arrive(admission("ann"), all()).unwrap();
    for _ in 0..6 {
        world.pass(Duration::from_secs(4));
        if world.room.count() == 0 {
            break;
        }
        world.ask(ann, Ask::Ping(1));
    }
    let reconnect = proto::leave_request::Action::Reconnect as i32;
    assert_eq!(
        world.left(ann),
        Some((proto::DisconnectReason::JoinFailure, reconnect))
    );
    assert_eq!(world.now, Duration::from_secs(20));
}

#[test]
fn a_token_for_looking_allows_nothing_else() {
    let mut world = World::new();
    let (ann, ann_id, _) = world.enter("ann");
    let looker = Admission {
        can_publish: false,
        can_publish_data: false,
        ..admission("bob")
    };
    let bob = world.arrive(looker, all()).unwrap();
    let bob_id = world.opened();
    world.ask(bob, Ask::AddTrack(proto::AddTrackRequest::default()));
    let refused = world.said(bob).into_iter().any(|message| {
        matches!(message, Say::RequestResponse(r) if r.reason == request_response_not_allowed())
    });
    assert!(refused, "{:?}", world.done);
    world.report(bob_id, chat("", &[]));
    assert!(world.done.is_empty());
    world.ask(
        bob,
        Ask::UpdateMetadata(proto::UpdateParticipantMetadata {
            metadata: "boss".into(),
            ..Default::default()
        }),
    );
    assert_eq!(world.updates(ann), []);
    // Only from a microphone, and not from a camera.
    let speaker = Admission {
        can_publish_sources: vec!["microphone".into()],
        ..admission("cem")
    };
    let cem = world.arrive(speaker, all()).unwrap();
    let cem_id = world.opened();
    world.publish(cem, cem_id, proto::TrackSource::Microphone, "0");
    world.ask(
        cem,
        Ask::AddTrack(proto::AddTrackRequest {
            source: proto::TrackSource::Camera as i32,
            ..Default::default()
        }),
    );
    assert!(matches!(world.said(cem)[0], Say::RequestResponse(_)));
    assert!(world.room.members[&ann_id].tracks.is_empty());
}

fn request_response_not_allowed() -> i32 {
    proto::request_response::Reason::NotAllowed as i32
}

/// A message of a member, which says that it is from `claimed`, to those named or to everybody.
fn chat(claimed: &str, to: &[&str]) -> Report {
    let packet = proto::DataPacket {
        participant_identity: claimed.into(),
        destination_identities: to.iter().map(|who| (*who).to_owned()).collect(),
        value: Some(proto::data_packet::Value::User(proto::UserPacket {
            payload: b"hello".to_vec(),
            ..Default::default()
        })),
        ..Default::default()
    };
    Report::Data {
        reliable: true,
        packet: packet.encode_to_vec(),
    }
}

#[test]
fn data_goes_to_those_named_or_to_everybody_and_under_the_senders_own_name() {
    let mut world = World::new();
    let (_, ann, sid) = world.enter("ann");
    let (_, bob, _) = world.enter("bob");
    let (_, cem, _) = world.enter("cem");
    for (report, expected) in [
        (chat("bob", &[]), vec![bob, cem]),
        (chat("", &["cem"]), vec![cem]),
        // Not back to oneself, and not to who is not there.
        (chat("", &["ann", "dee"]), vec![]),
    ] {
        world.report(ann, report);
        let orders = world.orders();
        let Some(Order::Data {
            to,
            packet,
            reliable,
        }) = orders.first()
        else {
            assert!(expected.is_empty(), "{orders:?}");
            continue;
        };
        assert_eq!(*to, expected);
        assert!(*reliable);
        let packet = proto::DataPacket::decode(packet.as_slice()).unwrap();
        assert_eq!(packet.participant_identity, "ann");
        assert_eq!(packet.participant_sid, sid);
    }
    let garbage = Report::Data {
        reliable: true,
        packet: vec![0xff; 40],
    };
    world.report(ann, garbage);
    assert!(world.done.is_empty());
}

#[test]
fn who_is_hidden_is_shown_to_nobody() {
    let mut world = World::new();
    let (ann, _, _) = world.enter("ann");
    let hidden = Admission {
        hidden: true,
        ..admission("eve")
    };
    let eve = world.arrive(hidden, all()).unwrap();
    let eve_id = world.opened();
    assert_eq!(world.updates(ann), []);
    let (bob, _, _) = world.enter("bob");
    let others = world.joined_others(bob);
    assert_eq!(others, ["ann"]);
    let sid = world.publish(eve, eve_id, proto::TrackSource::Microphone, "0");
    assert_eq!(world.orders(), [&Order::Bind(eve_id, "0".into(), sid)]);
    world.ask(eve, Ask::Leave(proto::LeaveRequest::default()));
    assert_eq!(world.updates(ann), []);
}

impl World {
    /// Who was there, as a new participant of the same name is told.
    fn joined_others(&mut self, _connection: ConnectionId) -> Vec<String> {
        let others = self.room.visible().map(|m| m.admission.identity.clone());
        others.filter(|who| who != "bob").collect()
    }
}

#[test]
fn what_a_member_does_not_want_is_not_sent_and_can_be_had_again() {
    let mut world = World::new();
    let (ann, ann_id, _) = world.enter("ann");
    let (bob, bob_id, _) = world.enter("bob");
    let sid = world.publish(ann, ann_id, proto::TrackSource::Camera, "0");
    let update = |subscribe| {
        Ask::Subscription(proto::UpdateSubscription {
            track_sids: vec![sid.clone(), "TR_none".into()],
            subscribe,
            participant_tracks: Vec::new(),
        })
    };
    world.ask(bob, update(false));
    assert_eq!(world.orders(), [&Order::Unsubscribe(bob_id, sid.clone())]);
    world.ask(bob, update(false));
    assert!(world.done.is_empty());
    world.ask(bob, update(true));
    assert!(matches!(world.orders()[0], Order::Subscribe(id, _) if *id == bob_id));
    let view = Ask::TrackSetting(proto::UpdateTrackSettings {
        track_sids: vec![sid.clone()],
        disabled: true,
        ..Default::default()
    });
    world.ask(bob, view);
    assert_eq!(world.orders(), [&Order::View(bob_id, sid, View::Hidden)]);
}

#[test]
fn a_token_is_renewed_before_it_is_needed() {
    let mut world = World::new();
    let (ann, _, _) = world.enter("ann");
    let mut renewals = 0;
    for _ in 0..61 {
        world.pass(Duration::from_secs(10));
        renewals += world
            .done
            .iter()
            .filter(|action| matches!(action, Action::Renew(to, _) if *to == ann))
            .count();
        world.ask(ann, Ask::Ping(0));
    }
    assert_eq!(renewals, 2);
}

#[test]
fn a_member_declares_only_so_many_tracks() {
    let mut world = World::new();
    let (ann, _, _) = world.enter("ann");
    let mut taken = 0;
    for number in 0..100 {
        world.ask(
            ann,
            Ask::AddTrack(proto::AddTrackRequest {
                cid: number.to_string(),
                ..Default::default()
            }),
        );
        taken += usize::from(matches!(world.said(ann)[0], Say::TrackPublished(_)));
    }
    assert_eq!(taken, MOST_TRACKS);
}

#[test]
fn speech_is_told_to_everybody_and_a_muted_microphone_is_not_heard() {
    let mut world = World::new();
    let (ann, ann_id, sid) = world.enter("ann");
    let (bob, _, _) = world.enter("bob");
    let track = world.publish(ann, ann_id, proto::TrackSource::Microphone, "0");
    let speak = |world: &mut World| {
        for _ in 0..20 {
            world.report(ann_id, Report::Loudness(20));
        }
        world.pass(Duration::from_millis(400));
        let said = world
            .said(bob)
            .into_iter()
            .find_map(|message| match message {
                Say::SpeakersChanged(changed) => Some(changed.speakers.clone()),
                _ => None,
            });
        said.unwrap_or_default()
    };
    let speakers = speak(&mut world);
    assert_eq!(speakers.len(), 1);
    assert_eq!(speakers[0].sid, sid);
    assert!(speakers[0].active);
    world.ask(
        ann,
        Ask::Mute(proto::MuteTrackRequest {
            sid: track,
            muted: true,
        }),
    );
    let speakers = speak(&mut world);
    assert!(!speakers[0].active);
}
