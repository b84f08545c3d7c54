// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lies by leaving out: parts of a meeting that hear different policies.

use super::*;

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
