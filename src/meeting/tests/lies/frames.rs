// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lies in frames: clear, altered, old, of another sender or track.

use super::*;

/// Seconds that pass while the service shows one more frame in each of them.
fn show_for(world: &mut World, seconds: u64, mut next: impl FnMut(&mut World) -> Option<Frame>) {
    for _ in 0..seconds {
        world.second();
        if let Some(frame) = next(world) {
            world.show("alice", &frame);
        }
    }
}

#[test]
fn clear_frames_slipped_in_are_not_played_and_named() {
    let mut world = World::of_three(link(true), 1);
    let clear = Frame {
        sid: sid("bob"),
        bytes: plain("eve", 1, 1),
    };
    world.show("alice", &clear);
    assert_eq!(world.shield("alice"), Shield::UnsealedPeer);
    assert!(world.names("alice", "bob", Why::Clear));
    assert!(
        world.sides["alice"]
            .played
            .iter()
            .all(|played| !played.clear)
    );
}

#[test]
fn one_member_is_not_passed_off_as_another() {
    let mut world = World::of_three(link(true), 1);
    show_for(&mut world, 2, |world| {
        let frame = world.frame("host")?;
        Some(Frame {
            sid: sid("bob"),
            ..frame
        })
    });
    judge(&world).unwrap();
    assert_eq!(world.shield("alice"), Shield::UnsealedPeer);
    // The IV already says that it is not his track.
    assert!(world.names("alice", "bob", Why::OtherTrack));
}

#[test]
fn one_track_is_not_passed_off_as_another_of_the_same_sender() {
    let mut world = World::of_three(link(true), 1);
    let (index, key) = world.sides["bob"].key.clone().unwrap();
    let camera = seal(index, key, [0xCA; 8], 1, &plain("bob", 1, 900));
    world.show(
        "alice",
        &Frame {
            sid: sid("bob"),
            bytes: camera,
        },
    );
    assert!(world.names("alice", "bob", Why::OtherTrack));
    assert_eq!(world.shield("alice"), Shield::UnsealedPeer);
}

#[test]
fn altered_frames_and_frames_under_a_key_that_nobody_has_are_named() {
    let mut world = World::of_three(link(true), 1);
    let mut frame = world.frame("bob").unwrap();
    frame.bytes[5] ^= 1;
    world.show("alice", &frame);
    assert!(world.names("alice", "bob", Why::Altered));
    world.pass(7);
    assert_eq!(world.shield("alice"), Shield::Sealed);
    let key = FrameKey::from_raw_key(&RawKey::new(vec![1; 32]));
    let index = KeyIndex::of_epoch(9);
    let bytes = seal(index, key, prefix("bob"), 900, &plain("bob", 1, 900));
    world.show(
        "alice",
        &Frame {
            sid: sid("bob"),
            bytes,
        },
    );
    assert!(world.names("alice", "bob", Why::NoKey));
}

#[test]
fn old_frames_are_not_played_again_to_whoever_was_there_or_comes_late() {
    let mut world = World::of_three(link(true), 1);
    let old: Vec<Frame> = world
        .frames
        .iter()
        .map(|(_, frame)| frame.clone())
        .collect();
    let of_bob = |frame: &&Frame| frame.sid == sid("bob");
    let last = old.iter().rfind(of_bob).unwrap();
    world.show("alice", last);
    assert!(world.names("alice", "bob", Why::Replayed));

    world.join("carol", None);
    world.pass(8);
    let before = world.sides["carol"].played.len();
    for frame in old.iter().filter(of_bob) {
        world.show("carol", frame);
    }
    assert_eq!(world.sides["carol"].played.len(), before);
    assert!(world.names("carol", "bob", Why::Replayed));
    judge(&world).unwrap();
}

#[test]
fn frames_and_words_of_an_earlier_join_open_nothing_and_light_nothing() {
    let mut world = World::of_three(link(true), 1);
    let old = world.frame("bob").unwrap();
    let confirms: Vec<Message> = world
        .said
        .iter()
        .filter(|m| m.from == "bob")
        .cloned()
        .collect();
    world.leave("bob");
    world.join("bob", None);
    world.pass(8);
    let before = world.sides["alice"].played.len();
    for confirm in &confirms {
        world.give("alice", "bob", confirm);
    }
    world.show("alice", &old);
    assert_eq!(world.sides["alice"].played.len(), before);
    world.pass(8);
    assert_eq!(world.shield("alice"), Shield::Sealed);
    judge(&world).unwrap();
}

#[test]
fn somebody_added_who_sends_without_the_secret_is_named_and_not_played() {
    let mut world = World::of_three(link(true), 1);
    world.act("alice", Event::Participants(vec![participant("eve")]));
    world.act("alice", Event::Flowing { sid: sid("eve") });
    let key = FrameKey::from_raw_key(&RawKey::new(vec![1; 32]));
    let mut count = 0;
    show_for(&mut world, 9, |_| {
        count += 1;
        let index = KeyIndex::of_epoch(1);
        let bytes = seal(
            index,
            key.clone(),
            prefix("eve"),
            count,
            &plain("eve", 1, count),
        );
        Some(Frame {
            sid: sid("eve"),
            bytes,
        })
    });
    assert_eq!(world.shield("alice"), Shield::UnsealedPeer);
    assert!(world.names("alice", "eve", Why::Unconfirmed));
    let eve = |played: &crate::world::Played| played.under == "eve";
    assert!(!world.sides["alice"].played.iter().any(eve));
}

#[test]
fn a_track_that_its_sender_does_not_name_is_not_played() {
    let mut world = World::of_three(link(true), 1);
    let second = Track::new("TR_second", Source::Microphone, Declared::Sealed);
    let bob = participant("bob").with_track(second);
    world.act("alice", Event::Participants(vec![bob]));
    world.act(
        "alice",
        Event::Flowing {
            sid: "TR_second".into(),
        },
    );
    let before = world.sides["alice"].played.len();
    for _ in 0..8 {
        let frame = world.frame("bob").unwrap();
        world.show(
            "alice",
            &Frame {
                sid: "TR_second".into(),
                ..frame
            },
        );
        world.second();
    }
    let played = &world.sides["alice"].played[before..];
    assert!(played.iter().all(|played| played.sid != "TR_second"));
    assert!(world.names("alice", "bob", Why::UnnamedTrack));
}

#[test]
fn a_microphone_is_not_shown_as_something_else() {
    let mut world = World::of_three(link(true), 1);
    let screen = Track::new(sid("bob"), Source::Screen, Declared::Sealed);
    let bob = Participant::new("bob", "BOB").with_track(screen);
    world.act("alice", Event::Participants(vec![bob]));
    let before = world.sides["alice"].played.len();
    world.pass(1);
    let played = &world.sides["alice"].played[before..];
    assert!(played.iter().all(|played| played.under != "bob"));
    assert_eq!(world.shield("alice"), Shield::UnsealedPeer);
    assert!(world.names("alice", "bob", Why::UnnamedTrack));
}

#[test]
fn a_frame_that_leaves_clear_while_encryption_is_on_is_a_fault() {
    let mut world = World::of_three(link(true), 1);
    let sent = Sent {
        sealed: 100,
        clear: 1,
    };
    world.act("alice", Event::Sent(sent));
    assert_eq!(world.shield("alice"), Shield::Fault);
    assert!(world.reasons("alice").contains(&(None, Why::Leaked)));
}

#[test]
fn what_is_declared_about_encryption_decides_nothing() {
    let mut world = World::of_three(link(true), 1);
    for declared in [Declared::Clear, Declared::Other] {
        let track = Track::new(sid("bob"), Source::Microphone, declared);
        let bob = Participant::new("bob", "BOB").with_track(track);
        world.act("alice", Event::Participants(vec![bob]));
        let clear = Frame {
            sid: sid("bob"),
            bytes: plain("eve", 1, 1),
        };
        world.show("alice", &clear);
        assert!(
            world.sides["alice"]
                .played
                .iter()
                .all(|played| !played.clear)
        );
        world.pass(7);
        assert_eq!(world.shield("alice"), Shield::Sealed);
    }
}

#[test]
fn the_counter_in_vectors_and_in_this_model_is_the_same() {
    let mut world = World::of_three(link(true), 1);
    let frame = world.frame("bob").unwrap();
    let end = frame.bytes.len() - 2;
    let told = u32::from_be_bytes(frame.bytes[end - 4..end].try_into().unwrap());
    assert_eq!(told, counter(world.sides["bob"].counter));
}
