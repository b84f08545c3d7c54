// SPDX-License-Identifier: MIT OR Apache-2.0
//! What administrators may ask of a room.

#![allow(deprecated, reason = "clients that name receivers by sid are about")]

use super::*;

const DISCONNECT: i32 = proto::leave_request::Action::Disconnect as i32;

impl World {
    fn wish(&mut self, wish: Wish) -> Result<Told, Denied> {
        let (told, actions) = self.room.administer(wish, self.now);
        self.done = actions;
        told
    }

    /// The metadata that a connection is told.
    fn metadata(&self, to: ConnectionId) -> Option<String> {
        let mut said = self.said(to).into_iter();
        said.find_map(|message| match message {
            Say::RoomUpdate(update) => Some(update.room.as_ref()?.metadata.clone()),
            _ => None,
        })
    }
}

fn mute(identity: &str, track: &str, muted: bool) -> Wish {
    Wish::Mute {
        identity: identity.into(),
        track: track.into(),
        muted,
    }
}

fn permit(identity: &str, change: impl Fn(&mut proto::ParticipantPermission)) -> Wish {
    let mut permission = proto::ParticipantPermission {
        can_subscribe: true,
        can_publish: true,
        can_publish_data: true,
        ..Default::default()
    };
    change(&mut permission);
    Wish::Change(Box::new(proto::UpdateParticipantRequest {
        identity: identity.into(),
        permission: Some(permission),
        ..Default::default()
    }))
}

#[test]
fn metadata_goes_to_who_is_there_who_comes_and_who_comes_back() {
    let mut world = World::new();
    let (ann, _, ann_sid) = world.enter("ann");
    let told = world.wish(Wish::Metadata("policy".into()));
    assert!(matches!(told, Ok(Told::Room(room)) if room.metadata == "policy"));
    assert_eq!(world.metadata(ann).as_deref(), Some("policy"));
    let bob = world.arrive(admission("bob"), all()).unwrap();
    assert_eq!(world.joined(bob).room.unwrap().metadata, "policy");

    let input = Input::Gone(ann);
    world.done = world.room.handle(input, world.now);
    world.wish(Wish::Metadata("another".into())).unwrap();
    assert_eq!(world.metadata(ann), None);
    let back = world.arrive(admission("ann"), resume(&ann_sid)).unwrap();
    assert_eq!(world.metadata(back).as_deref(), Some("another"));

    let long = "x".repeat(LONGEST_METADATA + 1);
    let denied = world.wish(Wish::Metadata(long));
    assert_eq!(denied, Err(Denied::TooLong(LONGEST_METADATA)));
    assert!(world.done.is_empty());
}

#[test]
fn who_is_removed_is_told_and_the_others_too() {
    let mut world = World::new();
    let (ann, _, _) = world.enter("ann");
    let (bot, bot_id, _) = world.enter("bot");
    assert_eq!(world.wish(Wish::Remove("bot".into())), Ok(Told::Done));
    let removed = proto::DisconnectReason::ParticipantRemoved;
    assert_eq!(world.left(bot), Some((removed, DISCONNECT)));
    assert!(world.done.contains(&Action::Close(bot)));
    assert!(world.orders().contains(&&Order::Close(bot_id)));
    assert_eq!(world.updates(ann), [("bot".into(), DISCONNECTED, vec![])]);
    assert_eq!(
        world.wish(Wish::Remove("bot".into())),
        Err(Denied::NoParticipant)
    );
}

#[test]
fn a_meeting_that_is_ended_is_over_for_everybody_and_forgotten() {
    let mut world = World::new();
    let (ann, _, _) = world.enter("ann");
    let (bob, _, _) = world.enter("bob");
    let before = world.room.info(0).sid;
    world.wish(Wish::Metadata("policy".into())).unwrap();
    assert_eq!(world.wish(Wish::End), Ok(Told::Done));
    let deleted = proto::DisconnectReason::RoomDeleted;
    for connection in [ann, bob] {
        assert_eq!(world.left(connection), Some((deleted, DISCONNECT)));
        assert!(world.done.contains(&Action::Close(connection)));
    }
    assert!(world.done.contains(&Action::End));
    // Until it is closed it says so.
    world.pass(Duration::ZERO);
    assert!(world.done.contains(&Action::End));
    // Somebody who knocked meanwhile.
    let late = world.arrive(admission("cem"), all()).unwrap();
    let room = world.joined(late).room.unwrap();
    assert_eq!(room.metadata, "");
    assert_ne!(room.sid, before);
    world.pass(Duration::from_secs(1));
    assert!(!world.done.contains(&Action::End));
}

#[test]
fn a_track_is_muted_from_afar_and_never_unmuted() {
    let mut world = World::new();
    let (ann, ann_id, _) = world.enter("ann");
    let (bob, _, _) = world.enter("bob");
    let sid = world.publish(ann, ann_id, proto::TrackSource::Microphone, "0");
    let told = world.wish(mute("ann", &sid, true));
    assert!(matches!(told, Ok(Told::Track(track)) if track.muted && track.sid == sid));
    assert!(matches!(world.said(ann)[0], Say::Mute(mute) if mute.muted && mute.sid == sid));
    assert_eq!(world.updates(bob), [("ann".into(), ACTIVE, vec![true])]);
    // Again changes nothing.
    world.wish(mute("ann", &sid, true)).unwrap();
    assert!(world.done.is_empty());
    assert_eq!(
        world.wish(mute("ann", &sid, false)),
        Err(Denied::RemoteUnmute)
    );
    assert_eq!(
        world.wish(mute("bob", &sid, true)),
        Err(Denied::NoTrack),
        "it is Ann's"
    );
    assert_eq!(
        world.wish(mute("eve", &sid, true)),
        Err(Denied::NoParticipant)
    );
}

#[test]
fn who_may_no_longer_publish_loses_its_tracks_and_can_have_them_again() {
    let mut world = World::new();
    let (ann, ann_id, _) = world.enter("ann");
    let (bob, bob_id, _) = world.enter("bob");
    let camera = world.publish(ann, ann_id, proto::TrackSource::Camera, "0");
    let sound = world.publish(ann, ann_id, proto::TrackSource::Microphone, "1");
    let only_sound = permit("ann", |permission| {
        permission.can_publish_sources = vec![proto::TrackSource::Microphone as i32];
    });
    let told = world.wish(only_sound);
    let Ok(Told::Participants(ann_info)) = told else {
        panic!("{told:?}");
    };
    let sids: Vec<_> = ann_info[0].tracks.iter().map(|t| &t.sid).collect();
    assert_eq!(sids, [&sound]);
    assert!(
        matches!(world.said(ann)[0], Say::TrackUnpublished(track) if track.track_sid == camera)
    );
    assert_eq!(world.orders(), [&Order::Release(camera)]);
    assert_eq!(world.updates(bob), [("ann".into(), ACTIVE, vec![false])]);
    world.ask(
        ann,
        Ask::AddTrack(proto::AddTrackRequest {
            cid: "again".into(),
            r#type: 1,
            source: proto::TrackSource::Camera as i32,
            ..Default::default()
        }),
    );
    assert!(matches!(world.said(ann)[0], Say::RequestResponse(_)));

    let nothing = permit("ann", |permission| {
        permission.can_publish = false;
        permission.can_publish_sources = vec![proto::TrackSource::Microphone as i32];
    });
    world.wish(nothing).unwrap();
    assert_eq!(world.orders(), [&Order::Release(sound)]);

    world.wish(permit("ann", |_| {})).unwrap();
    let camera = world.publish(ann, ann_id, proto::TrackSource::Camera, "0");
    let orders = world.orders();
    assert!(orders.contains(&&Order::Bind(ann_id, "0".into(), camera)));
    assert!(
        orders
            .iter()
            .any(|order| matches!(order, Order::Subscribe(id, _) if *id == bob_id))
    );
}

#[test]
fn who_may_no_longer_receive_gets_nothing_until_it_may_again() {
    let mut world = World::new();
    let (ann, ann_id, _) = world.enter("ann");
    let (bob, bob_id, _) = world.enter("bob");
    let camera = world.publish(ann, ann_id, proto::TrackSource::Camera, "0");
    world
        .wish(permit("bob", |permission| permission.can_subscribe = false))
        .unwrap();
    assert_eq!(
        world.orders(),
        [&Order::Unsubscribe(bob_id, camera.clone())]
    );
    world.ask(
        bob,
        Ask::Subscription(proto::UpdateSubscription {
            track_sids: vec![camera],
            subscribe: true,
            ..Default::default()
        }),
    );
    assert!(world.orders().is_empty());
    world.wish(permit("bob", |_| {})).unwrap();
    let orders = world.orders();
    assert!(matches!(orders[..], [Order::Subscribe(id, _)] if *id == bob_id));
}

#[test]
fn who_may_no_longer_send_data_is_not_heard() {
    let mut world = World::new();
    let (_, ann_id, _) = world.enter("ann");
    world.enter("bob");
    let packet = proto::DataPacket {
        value: Some(proto::data_packet::Value::User(proto::UserPacket::default())),
        ..Default::default()
    };
    let data = || Report::Data {
        reliable: true,
        packet: packet.encode_to_vec(),
    };
    world.report(ann_id, data());
    assert_eq!(world.orders().len(), 1, "the control");
    world
        .wish(permit("ann", |permission| {
            permission.can_publish_data = false
        }))
        .unwrap();
    world.report(ann_id, data());
    assert!(world.orders().is_empty());
}

#[test]
fn what_others_are_told_of_a_participant_is_changed_as_far_as_something_is_said() {
    let mut world = World::new();
    let (ann, ..) = world.enter("ann");
    let (bob, ..) = world.enter("bob");
    let change = |name: &str, attributes: &[(&str, &str)]| {
        let attributes = attributes.iter();
        Wish::Change(Box::new(proto::UpdateParticipantRequest {
            identity: "ann".into(),
            name: name.into(),
            attributes: attributes
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..Default::default()
        }))
    };
    world.wish(change("Ada", &[("hand", "up")])).unwrap();
    for connection in [ann, bob] {
        assert_eq!(world.updates(connection).len(), 1);
    }
    let told = world.wish(change("", &[("hand", "")]));
    let Ok(Told::Participants(info)) = told else {
        panic!("{told:?}");
    };
    assert_eq!(info[0].name, "Ada");
    assert!(info[0].attributes.is_empty());
    let permission = info[0].permission.as_ref().unwrap();
    assert!(permission.can_publish && permission.can_subscribe);
    let long = change(&"x".repeat(LONGEST_METADATA + 1), &[]);
    assert_eq!(world.wish(long), Err(Denied::TooLong(LONGEST_METADATA)));
}

#[test]
fn messages_go_to_those_who_are_named_or_to_everybody() {
    let mut world = World::new();
    let (_, ann, _) = world.enter("ann");
    let (_, bob, bob_sid) = world.enter("bob");
    let mut to = |identities: &[&str], sids: &[&str]| {
        let send = proto::SendDataRequest {
            data: b"hello".to_vec(),
            kind: proto::data_packet::Kind::Lossy as i32,
            destination_identities: identities.iter().map(|i| (*i).to_owned()).collect(),
            destination_sids: sids.iter().map(|i| (*i).to_owned()).collect(),
            topic: Some("greeting".into()),
            ..Default::default()
        };
        assert_eq!(world.wish(Wish::Send(Box::new(send))), Ok(Told::Done));
        match &world.orders()[..] {
            [
                Order::Data {
                    to,
                    reliable: false,
                    packet,
                },
            ] => {
                let packet = proto::DataPacket::decode(packet.as_slice()).unwrap();
                let Some(proto::data_packet::Value::User(user)) = packet.value else {
                    panic!("no message");
                };
                assert_eq!(user.payload, b"hello");
                assert_eq!(user.topic.as_deref(), Some("greeting"));
                to.clone()
            }
            [] => Vec::new(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(to(&[], &[]), [ann, bob]);
    assert_eq!(to(&["ann"], &[]), [ann]);
    assert_eq!(to(&[], &[&bob_sid]), [bob]);
    assert!(to(&["nobody"], &[]).is_empty());
}

#[test]
fn a_room_that_is_made_ahead_waits_for_its_meeting() {
    let mut world = World::new();
    world.pass(Duration::from_secs(19));
    let wish = Wish::SetUp(Box::new(proto::CreateRoomRequest {
        metadata: "agenda".into(),
        max_participants: 1,
        departure_timeout: 3,
        ..Default::default()
    }));
    let told = world.wish(wish);
    assert!(
        matches!(told, Ok(Told::Room(room)) if room.max_participants == 1 && room.empty_timeout == 300)
    );
    world.pass(Duration::from_secs(299));
    assert!(!world.done.contains(&Action::End));
    let (ann, ..) = world.enter("ann");
    assert_eq!(
        world.arrive(admission("bob"), all()),
        None,
        "one and no more"
    );
    world.ask(ann, Ask::Leave(proto::LeaveRequest::default()));
    world.pass(Duration::from_millis(2900));
    assert!(!world.done.contains(&Action::End));
    world.pass(Duration::from_millis(200));
    assert!(world.done.contains(&Action::End));

    // More than the hub allows is not to be had.
    let mut world = World::new();
    let many = Wish::SetUp(Box::new(proto::CreateRoomRequest {
        max_participants: 1000,
        empty_timeout: 1,
        ..Default::default()
    }));
    let told = world.wish(many);
    assert!(matches!(told, Ok(Told::Room(room)) if room.max_participants == 3));
    world.pass(Duration::from_secs(1));
    assert!(world.done.contains(&Action::End));
}

#[test]
fn who_is_there_is_told_with_those_whom_the_others_do_not_see() {
    let mut world = World::new();
    world.enter("ann");
    let hidden = Admission {
        hidden: true,
        ..admission("watcher")
    };
    world.arrive(hidden, all()).unwrap();
    let told = world.wish(Wish::ShowAll);
    let Ok(Told::Participants(all)) = told else {
        panic!("{told:?}");
    };
    let identities: Vec<_> = all.iter().map(|info| info.identity.as_str()).collect();
    assert_eq!(identities, ["ann", "watcher"]);
    let told = world.wish(Wish::ShowOne("watcher".into()));
    assert!(matches!(told, Ok(Told::Participants(one)) if one.len() == 1));
    assert_eq!(
        world.wish(Wish::ShowOne("eve".into())),
        Err(Denied::NoParticipant)
    );
    assert!(world.done.is_empty());
}
