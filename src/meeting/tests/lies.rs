// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a lying service can do, one lie at a time: what is asserted is the shield, the person it names, and the reason.

use std::sync::LazyLock;
use std::time::Duration;

use roomseal_e2ee::{FrameKey, KeyIndex, RawKey};
use roomseal_meeting::call::{Event, Sent, Why};
use roomseal_meeting::{By, Declared, Participant, Sending, Shield, Source, Track};
use roomseal_policy::{Chain, Check, Decision, E2ee, KeyModel, MessageKind, PolicyNonce};

use crate::truth::{judge, plain};
use crate::world::{
    Frame, Link, Message, World, counter, gone, host, link, participant, prefix, seal, sid,
};

/// An earlier session of the same meeting: what was said in it, and what was seen.
pub(crate) static EARLIER: LazyLock<World> = LazyLock::new(|| {
    let mut world = World::of_three(link(false), 9);
    world.press("host");
    world.pass(3);
    world.turn_off("host");
    world.pass(2);
    world
});

/// A chain that somebody who is no host of the meeting signed, in the name of one who is.
pub(crate) fn forged() -> String {
    let decision = Decision {
        e2ee: E2ee::Off,
        key: KeyModel::User,
        nonce: PolicyNonce::new([5; 16]),
        check: Check::new([6; 16]),
        at: 0,
    };
    Chain::start(&host(50, 51, "Hanna"), &decision).message()
}

fn message(from: &str, to: &str, text: String) -> Message {
    Message {
        from: from.into(),
        to: to.into(),
        text,
        number: 0,
        made: Duration::ZERO,
        follows: None,
    }
}

fn is_confirm(message: &Message) -> bool {
    MessageKind::of(&message.text) == MessageKind::Other
}

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
fn forged_policies_and_those_of_another_session_change_nothing() {
    for sealed in [false, true] {
        let mut world = World::of_three(link(sealed), 1);
        let before = world.sides["alice"].meeting.policy().cloned();
        world.give("alice", "host", &message("eve", "alice", forged()));
        for old in &EARLIER.said {
            world.give("alice", &old.from, old);
        }
        world.give(
            "alice",
            "host",
            &message("host", "alice", EARLIER.metadata.clone()),
        );
        world.act("alice", Event::Metadata(EARLIER.metadata.clone()));
        world.pass(40);
        assert_eq!(world.sides["alice"].meeting.policy().cloned(), before);
        let shield = if sealed { Shield::Sealed } else { Shield::Open };
        assert_eq!(world.shield("alice"), shield);
        judge(&world).unwrap();
    }
}

#[test]
fn two_newcomers_who_are_shown_an_earlier_session_alone_together_wait_for_the_host() {
    for sealed in [false, true] {
        let mut world = World::new(link(sealed), 1);
        world.metadata = EARLIER.metadata.clone();
        world.join("alice", None);
        world.join("bob", None);
        for old in &EARLIER.said {
            let to = if old.to == "host" { "bob" } else { &old.to };
            world.give(to, &old.from, old);
        }
        world.pass(5);
        for name in ["alice", "bob"] {
            assert_eq!(world.sides[name].sending, Sending::NothingYet);
            assert_eq!(world.shield(name), Shield::Connecting);
        }
    }
}

/// A root that was signed in advance, with the link that names it.
fn armed() -> (Link, String) {
    let decision = Decision {
        e2ee: E2ee::On,
        key: KeyModel::User,
        nonce: PolicyNonce::new([5; 16]),
        check: Check::new(roomseal_e2ee::Secret::new([7; 32]).check_value(&[5; 16])),
        at: 0,
    };
    let chain = Chain::start(&host(1, 2, "Hanna"), &decision);
    let root = Some(chain.root().hash());
    (Link { root, ..link(true) }, chain.message())
}

fn armed_session(session: u8) -> World {
    let (link, root) = armed();
    let mut world = World::new(link, session);
    world.metadata = format!(r#"{{"roomseal":{root}}}"#);
    world.join("alice", None);
    world.join("bob", None);
    world.pass(7);
    world
}

#[test]
fn a_root_signed_in_advance_arms_guests_and_its_successors_of_an_earlier_session_stay_there() {
    let mut earlier = armed_session(9);
    assert_eq!(earlier.shield("alice"), Shield::Sealed);
    earlier.join("host", Some(host(1, 2, "Hanna")));
    earlier.pass(7);
    earlier.turn_off("host");
    earlier.press("host");
    earlier.pass(5);
    assert_eq!(earlier.e2ee("alice"), Some(E2ee::On));

    let mut world = armed_session(1);
    let before = world.sides["alice"].meeting.policy().cloned();
    for name in ["alice", "bob"] {
        world.act(name, Event::Metadata(earlier.metadata.clone()));
        for old in &earlier.said {
            world.give(name, &old.from, old);
        }
    }
    world.pass(3);
    assert_eq!(world.sides["alice"].meeting.policy().cloned(), before);
    assert_eq!(world.shield("alice"), Shield::Sealed);
    judge(&world).unwrap();
    // The host of today is still obeyed.
    world.join("host", Some(host(1, 2, "Hanna")));
    world.pass(7);
    world.turn_off("host");
    for side in world.sides.values() {
        assert_eq!(side.sending, Sending::Clear);
    }
    judge(&world).unwrap();
}

#[test]
fn a_stripped_on_leaves_nobody_clear_for_longer_than_the_others_are_heard() {
    let mut world = World::of_three(link(false), 1);
    world.press("host");
    world.queue.clear();
    // Everything to alice is held back from here on.
    for _ in 0..31 {
        world.second();
        world.queue.retain(|message| message.to != "alice");
    }
    // Alice heard of it in the first second of that loop or not at all.
    assert_ne!(world.sides["alice"].sending, Sending::Clear);
    judge(&world).unwrap();
}

#[test]
fn a_late_joiner_who_is_shown_only_the_start_of_the_chain_does_not_take_it() {
    let mut world = World::of_three(link(false), 1);
    let start = world.metadata.clone();
    world.press("host");
    world.pass(3);
    let now = std::mem::replace(&mut world.metadata, start);
    world.join("carol", None);
    world.metadata = now;
    // Chains do not reach her, confirms do.
    for _ in 0..40 {
        world
            .queue
            .retain(|message| message.to != "carol" || is_confirm(message));
        let held: Vec<_> = world.queue.drain(..).collect();
        for message in held {
            let (from, to) = (message.from.clone(), message.to.clone());
            world.give(&to, &from, &message);
        }
        world.now += Duration::from_secs(1);
        for name in ["alice", "bob", "carol", "host"] {
            world.act(name, Event::Tick);
        }
        judge(&world).unwrap();
    }
    assert_eq!(world.sides["carol"].sending, Sending::NothingYet);
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
fn who_is_hidden_is_named() {
    let mut world = World::of_three(link(true), 1);
    world.act("alice", Event::Participants(vec![gone("bob")]));
    world.pass(21);
    assert_eq!(world.shield("alice"), Shield::UnsealedPeer);
    assert!(world.names("alice", "bob", Why::Hidden));
    world.act("alice", Event::Participants(vec![participant("bob")]));
    world.pass(6);
    assert_eq!(world.shield("alice"), Shield::Sealed);
}

#[test]
fn who_is_hidden_and_kept_from_us_is_named_by_the_others() {
    let mut world = World::of_three(link(true), 1);
    world.act("alice", Event::Participants(vec![gone("bob")]));
    for _ in 0..40 {
        world.second();
        let cut = |message: &Message| message.from == "bob" && message.to == "alice";
        world.queue.retain(|message| !cut(message));
    }
    assert!(world.names("alice", "bob", Why::Hidden));
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
fn a_member_that_is_cut_off_goes_dark_of_green_within_half_a_minute() {
    let mut world = World::of_three(link(true), 1);
    for seconds in 0..40 {
        world.now += Duration::from_secs(1);
        world.act("alice", Event::Tick);
        judge(&world).unwrap();
        let green = world.shield("alice") == Shield::Sealed;
        assert!(!green || seconds <= 30);
    }
    assert_eq!(world.shield("alice"), Shield::Waiting);
    assert_eq!(world.sides["alice"].sending, Sending::Sealed);
}

#[test]
fn a_confirm_that_is_replayed_or_passed_off_as_anothers_renews_nothing() {
    let mut world = World::of_three(link(true), 1);
    let confirms: Vec<Message> = world
        .said
        .iter()
        .filter(|m| is_confirm(m))
        .cloned()
        .collect();
    for _ in 0..35 {
        world.now += Duration::from_secs(1);
        world.act("alice", Event::Tick);
        for confirm in &confirms {
            for from in ["bob", "host", "alice"] {
                let said = Event::Said {
                    from: from.into(),
                    text: confirm.text.clone(),
                };
                world.act("alice", said);
            }
        }
        judge(&world).unwrap();
    }
    assert_eq!(world.shield("alice"), Shield::Waiting);
}

#[test]
fn who_keeps_following_another_policy_is_named() {
    let mut world = World::of_three(link(true), 1);
    // Bob never hears of what the host decides from now on.
    world.press("host");
    world.act("host", Event::Hold(roomseal_meeting::By::Box));
    for _ in 0..5 {
        world.second_without_chains("bob");
    }
    world.press("host");
    for _ in 0..8 {
        world.second_without_chains("bob");
    }
    assert_eq!(world.shield("alice"), Shield::UnsealedPeer);
    assert!(world.names("alice", "bob", Why::OtherPolicy));
    judge(&world).unwrap();
}

#[test]
fn the_counter_in_vectors_and_in_this_model_is_the_same() {
    let mut world = World::of_three(link(true), 1);
    let frame = world.frame("bob").unwrap();
    let end = frame.bytes.len() - 2;
    let told = u32::from_be_bytes(frame.bytes[end - 4..end].try_into().unwrap());
    assert_eq!(told, counter(world.sides["bob"].counter));
}

/// Seconds in which only the messages that are kept arrive.
pub(crate) fn pass_keeping(world: &mut World, seconds: u64, keep: impl Fn(&Message) -> bool) {
    for _ in 0..seconds {
        world.now += Duration::from_secs(1);
        for name in world.sides.keys().cloned().collect::<Vec<_>>() {
            world.act(&name, Event::Tick);
        }
        while let Some(message) = world.queue.pop_front() {
            if keep(&message) {
                let (from, to) = (message.from.clone(), message.to.clone());
                world.give(&to, &from, &message);
            }
        }
    }
}

#[test]
fn clear_frames_stop_while_somebody_follows_what_is_not_known_here() {
    let mut world = World::of_three(link(false), 1);
    world.press("host");
    pass_keeping(&mut world, 1, |message| {
        message.to == "host" || is_confirm(message)
    });
    assert_eq!(world.e2ee("alice"), Some(E2ee::Off));
    assert_eq!(world.sides["alice"].sending, Sending::NothingAlone);
}

#[test]
fn an_off_that_was_replaced_does_not_come_back_with_those_who_still_follow_it() {
    let mut world = World::of_three(link(false), 1);
    world.press("host");
    // Alice is told of it, and from then on hears only those who have not heard.
    pass_keeping(&mut world, 1, |message| {
        message.from == "host" && message.to == "alice" && !is_confirm(message)
    });
    assert_eq!(world.e2ee("alice"), Some(E2ee::On));
    pass_keeping(&mut world, 12, |message| {
        message.from != "host" && message.to != "host" && is_confirm(message)
    });
    assert_eq!(world.e2ee("bob"), Some(E2ee::Off));
    assert_eq!(world.e2ee("alice"), Some(E2ee::On));
    assert_eq!(world.sides["alice"].sending, Sending::Sealed);
}

#[test]
fn company_alone_takes_nobody_from_on_to_off() {
    let mut world = World::of_three(link(false), 1);
    world.press("host");
    world.pass(3);
    world.leave("host");
    world.leave("bob");
    // Another host begins where alice is not heard, and somebody joins him.
    world.metadata.clear();
    world.join("carol", Some(host(1, 3, "Carol")));
    let apart = |message: &Message| message.from != "alice" && message.to != "alice";
    pass_keeping(&mut world, 4, apart);
    world.join("bob", None);
    pass_keeping(&mut world, 4, apart);
    assert_eq!(world.e2ee("bob"), Some(E2ee::Off));
    let vouch = |message: &Message| MessageKind::of(&message.text) == MessageKind::Vouch;
    pass_keeping(&mut world, 25, |message| !vouch(message));
    assert_eq!(world.e2ee("alice"), Some(E2ee::On));
    assert_eq!(world.sides["alice"].sending, Sending::Sealed);
    // A host who says so to her does.
    pass_keeping(&mut world, 12, |_| true);
    assert_eq!(world.e2ee("alice"), Some(E2ee::Off));
}

/// Everybody is heard by those of the own part only.
fn apart<'a>(one: &'a [&str]) -> impl Fn(&Message) -> bool + use<'a> {
    let in_one = |name: &str| one.contains(&name);
    move |message| in_one(&message.from) == in_one(&message.to)
}

#[test]
fn a_chain_without_a_host_takes_nobody_along_however_many_follow_it() {
    let mut world = World::new(link(true), 1);
    world.join("zoe", Some(host(1, 4, "Zoe")));
    world.join("mallory", None);
    world.join("eve", None);
    world.pass(7);
    world.leave("zoe");
    // Those two stay with what Zoe said, which ranks before what is said where they are not heard.
    world.metadata.clear();
    world.link.begin = E2ee::Off;
    world.join("host", Some(host(1, 2, "Hanna")));
    let old = ["mallory", "eve"];
    pass_keeping(&mut world, 4, apart(&old));
    world.join("alice", None);
    world.join("bob", None);
    pass_keeping(&mut world, 7, apart(&old));
    assert_eq!(world.sides["alice"].sending, Sending::Clear);
    for _ in 0..40 {
        pass_keeping(&mut world, 1, |_| true);
        assert_eq!(world.e2ee("alice"), Some(E2ee::Off));
        assert_eq!(world.e2ee("mallory"), Some(E2ee::On));
    }
    // Who hears that others are on does not go on as if nothing were.
    assert_eq!(world.sides["alice"].sending, Sending::NothingAlone);
    // The host who is there brings all together by one press.
    world.press("host");
    world.pass(30);
    for (name, side) in &world.sides {
        assert_eq!(side.sending, Sending::Sealed, "{name}");
        assert_eq!(world.shield(name), Shield::Sealed, "{name}");
    }
}

#[test]
fn who_came_over_to_another_chain_goes_off_only_by_the_word_of_a_host_who_is_there() {
    let mut world = World::new(link(false), 1);
    world.link.begin = E2ee::On;
    world.join("zoe", Some(host(1, 4, "Zoe")));
    for guest in ["bob", "mallory", "eve"] {
        world.join(guest, None);
    }
    world.pass(7);
    // What Zoe says last, only Eve hears.
    let only_eve = |message: &Message| {
        let eve = |name: &str| ["eve", "zoe"].contains(&name);
        eve(&message.from) == eve(&message.to) && eve(&message.from)
    };
    world.press("zoe");
    world.act("zoe", Event::Hold(By::Box));
    pass_keeping(&mut world, 5, only_eve);
    assert_eq!(world.e2ee("eve"), Some(E2ee::Off));
    world.leave("zoe");
    let said = world.metadata.clone();
    world.metadata.clear();

    // Alice follows another host, who leaves too.
    world.join("host", Some(host(1, 2, "Hanna")));
    world.join("alice", None);
    let without_eve = |message: &Message| message.from != "eve" && message.to != "eve";
    let two = apart(&["host", "alice"]);
    pass_keeping(&mut world, 7, |message| {
        two(message) && without_eve(message)
    });
    world.leave("host");
    pass_keeping(&mut world, 40, without_eve);
    let follows = |world: &World, name: &str| world.sides[name].meeting.policy().cloned();
    assert!(follows(&world, "alice").is_some());
    assert_eq!(follows(&world, "alice"), follows(&world, "bob"));
    // Now all hear Eve: those who were there when Zoe spoke follow her, Alice cannot know of what day that was.
    pass_keeping(&mut world, 15, |_| true);
    assert_eq!(world.e2ee("bob"), Some(E2ee::Off));
    assert_eq!(world.e2ee("alice"), Some(E2ee::On));
    assert_eq!(world.sides["alice"].sending, Sending::Sealed);
    // A host who is there knows.
    world.metadata = said;
    world.join("host", Some(host(1, 2, "Hanna")));
    world.pass(15);
    assert_eq!(world.e2ee("host"), world.e2ee("alice"));
    assert_eq!(follows(&world, "alice"), follows(&world, "bob"));
}
