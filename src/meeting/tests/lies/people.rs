// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lies about people: hidden, cut off, or spoken for.

use super::*;

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
