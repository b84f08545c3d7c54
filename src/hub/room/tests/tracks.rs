// SPDX-License-Identifier: MIT OR Apache-2.0
//! What members publish, mute and receive.

use super::*;

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
