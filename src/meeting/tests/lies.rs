// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a lying service can do, one lie at a time: what is asserted is the shield, the person it names, and the reason.

mod chains;
mod frames;
mod people;

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
