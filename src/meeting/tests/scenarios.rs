// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings over an honest service.

use std::time::{Duration, Instant};

use roomseal_e2ee::Secret;
use roomseal_meeting::call::{Event, Mark, Settings, Why};
use roomseal_meeting::{
    Action, Announcement, By, Denied, Kind, Meeting, Participant, Sending, Shield,
};
use roomseal_policy::{E2ee, HostCheck, KeyModel};

use crate::lies::pass_keeping;
use crate::truth::judge;
use crate::world::{Link, World, host, link, participant, sid};

#[track_caller]
fn all(world: &World, sending: Sending, shield: Shield) {
    for (name, side) in &world.sides {
        assert_eq!(side.sending, sending, "{name}");
        let verdict = world.verdict(name);
        assert_eq!(verdict.shield, shield, "{name}: {:?}", verdict);
    }
    judge(world).unwrap();
}

/// Somebody enters the secret.
fn given(secret: Secret) -> Event {
    Event::Secret {
        secret: Some(secret),
        from: KeyModel::User,
    }
}

#[track_caller]
fn assert_all_follow_one(world: &World) {
    let mut policies = world.sides.values().map(|side| side.meeting.policy());
    let first = policies.next().unwrap();
    assert!(policies.all(|policy| policy == first));
}

#[test]
fn who_joins_a_sealed_meeting_seals_and_is_verified() {
    let world = World::of_three(link(true), 1);
    all(&world, Sending::Sealed, Shield::Sealed);
    for (name, side) in &world.sides {
        assert!(side.played.iter().all(|played| !played.clear), "{name}");
        assert!(side.played.len() > 4, "{name}");
    }
}

#[test]
fn an_open_meeting_is_clear_as_soon_as_members_hear_each_other() {
    let world = World::of_three(link(false), 1);
    all(&world, Sending::Clear, Shield::Open);
    assert!(world.sides["alice"].played.len() > 4);
}

#[test]
fn a_press_seals_at_once_and_a_hold_opens_after_the_countdown() {
    let mut world = World::of_three(link(false), 1);
    world.press("host");
    world.settle();
    for (name, side) in &world.sides {
        assert_eq!(side.sending, Sending::Sealed, "{name}");
        assert_eq!(world.shield(name), Shield::Sealing, "{name}");
    }
    world.pass(1);
    all(&world, Sending::Sealed, Shield::Sealed);

    world.press("host");
    world.act("host", Event::Hold(By::Box));
    world.settle();
    let countdown = world.sides["alice"].meeting.countdown(world.now);
    assert_eq!(countdown, Some((Some("host"), Duration::from_secs(3))));
    world.pass(2);
    all(&world, Sending::Sealed, Shield::Sealed);
    world.pass(2);
    all(&world, Sending::Clear, Shield::Open);
    let announced = &world.sides["bob"].announced;
    assert!(matches!(
        &announced[..],
        [Announcement::On { by }, Announcement::OffSoon { .. }, Announcement::Off { .. }]
            if by == "Hanna"
    ));
}

#[test]
fn a_meeting_in_which_the_button_was_pressed_often_costs_hardly_more() {
    let mut world = World::of_three(link(true), 1);
    world.turn_off("host");
    let cheapest = |world: &mut World| {
        let costs = (0..50).map(|_| {
            let began = Instant::now();
            world.act("alice", Event::Tick);
            began.elapsed()
        });
        costs.min().unwrap()
    };
    let before = cheapest(&mut world);
    let policies = |world: &World| {
        world.sides["alice"]
            .meeting
            .policy()
            .unwrap()
            .epoch()
            .value()
    };
    let few = policies(&world);
    for _ in 0..40 {
        world.press("host");
        world.settle();
        world.turn_off("host");
    }
    let after = cheapest(&mut world);
    let more = policies(&world) / few;
    let ratio = after.as_secs_f64() / before.as_secs_f64();
    println!("{more} times the policies: {ratio:.1} times the work");
    // Looking through all of them once is fine; comparing each with each is not.
    assert!(more > 30 && ratio < more as f64, "{ratio}");
}

#[test]
fn nothing_clear_is_played_after_the_grace_and_nothing_is_lost_in_it() {
    let mut world = World::of_three(link(false), 1);
    let late = world.frame("bob").unwrap();
    world.press("host");
    world.settle();
    world.show("alice", &late);
    assert!(world.sides["alice"].played.last().unwrap().clear);
    // After the first frame that opens, and in any case after two seconds, clear frames end.
    let sealed = world.frame("bob").unwrap();
    world.show("alice", &sealed);
    world.show("alice", &late);
    assert!(!world.sides["alice"].played.last().unwrap().clear);
    let of_host = crate::world::Frame {
        sid: sid("host"),
        ..late
    };
    world.now += Duration::from_millis(1999);
    world.act("alice", Event::Tick);
    world.show("alice", &of_host);
    assert!(world.sides["alice"].played.last().unwrap().clear);
    world.now += Duration::from_millis(1);
    assert_eq!(world.sides["alice"].wake, Some(world.now));
    world.act("alice", Event::Tick);
    world.show("alice", &of_host);
    let played = world.sides["alice"].played.len();
    world.show("alice", &of_host);
    assert_eq!(world.sides["alice"].played.len(), played);
}

#[test]
fn after_off_the_last_epoch_opens_for_two_more_seconds() {
    let mut world = World::of_three(link(true), 1);
    let sealed: Vec<_> = (0..2).map(|_| world.frame("bob").unwrap()).collect();
    world.press("host");
    world.act("host", Event::Hold(By::Box));
    world.now += Duration::from_secs(3);
    world.act("host", Event::Tick);
    world.settle();
    assert_eq!(world.e2ee("alice"), Some(E2ee::Off));
    let before = world.sides["alice"].played.len();
    world.show("alice", &sealed[0]);
    assert_eq!(world.sides["alice"].played.len(), before + 1);
    world.now += Duration::from_secs(2);
    world.act("alice", Event::Tick);
    world.show("alice", &sealed[1]);
    assert_eq!(world.sides["alice"].played.len(), before + 1);
}

#[test]
fn any_host_may_end_the_countdown_and_another_goes_on_when_one_dies() {
    let mut world = World::of_three(link(true), 1);
    world.join("carol", Some(host(1, 3, "Carol")));
    world.pass(7);
    world.press("host");
    world.act("host", Event::Hold(By::Box));
    world.settle();
    world.press("carol");
    world.pass(9);
    all(&world, Sending::Sealed, Shield::Sealed);
    assert!(
        world.sides["host"]
            .announced
            .contains(&Announcement::OffCancelled)
    );

    world.leave("host");
    world.pass(1);
    all(&world, Sending::Sealed, Shield::Sealed);
    world.turn_off("carol");
    all(&world, Sending::Clear, Shield::Open);
}

#[test]
fn guests_come_first_and_wait_and_a_host_alone_is_armed() {
    let mut world = World::new(link(true), 1);
    world.join("alice", None);
    world.join("bob", None);
    world.pass(7);
    all(&world, Sending::NothingYet, Shield::Connecting);
    assert!(world.reasons("alice").contains(&(None, Why::NoPolicy)));
    world.join("host", Some(host(1, 2, "Hanna")));
    world.pass(6);
    all(&world, Sending::Sealed, Shield::Sealed);

    let mut world = World::new(link(true), 1);
    world.join("host", Some(host(1, 2, "Hanna")));
    all(&world, Sending::Sealed, Shield::Waiting);
}

#[test]
fn a_guest_presses_in_vain() {
    let mut world = World::of_three(link(false), 1);
    world.press("alice");
    assert_eq!(world.shield("alice"), Shield::Denied);
    let denied = Announcement::Denied(Denied::NotHost);
    assert_eq!(world.sides["alice"].announced, [denied]);
    world.now += Duration::from_secs(2);
    assert_eq!(world.shield("alice"), Shield::Open);
    world.pass(1);
    all(&world, Sending::Clear, Shield::Open);
}

#[test]
fn who_has_another_secret_learns_it_from_the_others_where_the_metadata_say_nothing() {
    let mut world = World::of_three(link(true), 1);
    let right = Secret::new(world.link.secret);
    // As where nobody may write them.
    world.metadata.clear();
    let settings = Settings {
        secret: Some(Secret::new([66; 32])),
        ..world.settings(None)
    };
    world.join_with("carol", settings);
    world.pass(2);
    assert_eq!(world.shield("carol"), Shield::WrongKey);
    world.act("carol", given(right));
    world.pass(1);
    all(&world, Sending::Sealed, Shield::Sealed);
}

#[test]
fn who_has_another_secret_learns_it_in_seconds_also_where_the_first_words_are_lost() {
    let mut world = World::of_three(link(true), 1);
    world.metadata.clear();
    let settings = Settings {
        secret: Some(Secret::new([66; 32])),
        ..world.settings(None)
    };
    world.join_with("carol", settings);
    // Once what it says, then twice what it is answered.
    world.queue.clear();
    world.second_without_chains("carol");
    world.second_without_chains("carol");
    assert_ne!(world.shield("carol"), Shield::WrongKey);
    world.pass(2);
    assert_eq!(world.shield("carol"), Shield::WrongKey);
    // Later it is told no more often than every ten seconds.
    world.pass(10);
    let told = |world: &World| {
        let to_carol = world.said.iter().filter(|message| message.to == "carol");
        to_carol
            .filter(|message| message.text.contains("\"policies\""))
            .count()
    };
    let before = told(&world);
    world.pass(20);
    // By each of the three.
    assert!(told(&world) - before <= 3 * 2, "{}", told(&world) - before);
}

#[test]
fn the_service_holds_a_secret_only_until_people_give_another() {
    let mut world = World::of_three(link(true), 1);
    let right = Secret::new(world.link.secret);
    let settings = Settings {
        secret: None,
        key_model: KeyModel::Server,
        ..world.settings(None)
    };
    world.join_with("carol", settings);
    world.pass(2);
    world.act(
        "carol",
        Event::Secret {
            secret: Some(right.clone()),
            from: KeyModel::Server,
        },
    );
    world.pass(1);
    assert_eq!(world.shield("carol"), Shield::SealedByService);
    world.act("carol", given(right));
    world.pass(1);
    all(&world, Sending::Sealed, Shield::Sealed);
}

#[test]
fn a_wrong_secret_is_known_at_once_and_healed_within_a_second() {
    let mut world = World::of_three(link(true), 1);
    let right = Secret::new(world.link.secret);
    for wrong in [None, Some(Secret::new([66; 32]))] {
        let settings = Settings {
            secret: wrong.clone(),
            ..world.settings(None)
        };
        world.join_with("carol", settings);
        world.pass(6);
        assert_eq!(world.shield("carol"), Shield::WrongKey);
        assert!(world.sides["carol"].played.is_empty());
        // Who cannot see or hear, and sends nothing, harms nobody.
        assert_eq!(world.shield("alice"), Shield::Sealed);
        let people = world.verdict("alice").people;
        let carol = people.iter().find(|person| person.identity == "carol");
        assert_eq!(carol.unwrap().mark, Mark::Keyless);
        world.act("carol", given(right.clone()));
        world.pass(1);
        all(&world, Sending::Sealed, Shield::Sealed);
        world.leave("carol");
        world.pass(1);
    }
}

#[test]
fn who_stays_away_for_a_while_comes_back_to_the_policy_that_holds() {
    let mut world = World::of_three(link(false), 1);
    for other in world.others("alice") {
        world.act(
            &other,
            Event::Participants(vec![crate::world::gone("alice")]),
        );
    }
    world.act("alice", Event::Left);
    assert_eq!(world.sides["alice"].sending, Sending::NothingOutside);
    world.queue.clear();
    world.press("host");
    world.queue.retain(|message| message.to != "alice");
    world.settle();
    world.enter("alice");
    world.pass(6);
    all(&world, Sending::Sealed, Shield::Sealed);
}

#[test]
fn a_resume_keeps_clear_frames_back_until_somebody_answers() {
    let mut world = World::of_three(link(false), 1);
    world.act("alice", Event::Resumed);
    assert_eq!(world.sides["alice"].sending, Sending::NothingAlone);
    world.settle();
    assert_eq!(world.sides["alice"].sending, Sending::Clear);
}

#[test]
fn a_link_that_says_sealed_takes_off_only_from_a_host() {
    let mut world = World::of_three(link(true), 1);
    world.turn_off("host");
    all(&world, Sending::Clear, Shield::Open);
    world.join("carol", None);
    world.pass(2);
    all(&world, Sending::Clear, Shield::Open);
    world.leave("host");
    world.join("dave", None);
    world.pass(2);
    assert_eq!(world.sides["dave"].sending, Sending::NothingUnvouched);
    assert_eq!(world.shield("dave"), Shield::Connecting);
    assert!(world.sides["dave"].played.is_empty());
}

#[test]
fn a_box_that_requires_sealed_stays_sealed_and_plays_nothing_clear() {
    let mut world = World::of_three(link(false), 1);
    let settings = Settings {
        require_e2ee: true,
        ..world.settings(None)
    };
    world.join_with("vault", settings);
    world.pass(7);
    let vault = &world.sides["vault"];
    assert_eq!(vault.sending, Sending::Sealed);
    assert!(vault.played.is_empty());
    let heard = |played: &crate::world::Played| played.under == "vault" && !played.clear;
    assert!(world.sides["alice"].played.iter().any(heard));
    judge(&world).unwrap();
}

#[test]
fn who_the_host_is_and_who_holds_the_secret_is_always_said() {
    let unchecked = Link {
        hosts: HostCheck::FirstUse,
        ..link(true)
    };
    let world = World::of_three(unchecked, 1);
    all(&world, Sending::Sealed, Shield::SealedByService);
    assert!(world.reasons("alice").contains(&(None, Why::HostUnchecked)));
    let server = Link {
        key_model: KeyModel::Server,
        ..link(true)
    };
    let world = World::of_three(server, 1);
    all(&world, Sending::Sealed, Shield::SealedByService);
    assert!(world.reasons("bob").contains(&(None, Why::ServiceHolds)));
}

#[test]
fn bots_are_put_out_each_time_they_appear_while_encryption_is_on() {
    let mut world = World::of_three(link(true), 1);
    let recorder = Participant {
        kind: Kind::Egress,
        ..Participant::new("EG_1", "recorder")
    };
    for times in 1..3 {
        world.act("host", Event::Participants(vec![recorder.clone()]));
        world.act("host", Event::Tick);
        assert_eq!(world.sides["host"].removed.len(), times);
        assert!(world.names("host", "EG_1", Why::Bot));
        world.act(
            "host",
            Event::Participants(vec![crate::world::gone("EG_1")]),
        );
    }
    world.turn_off("host");
    world.act("host", Event::Participants(vec![recorder]));
    assert_eq!(world.sides["host"].removed.len(), 2);
}

#[test]
fn two_hosts_who_begin_at_once_end_up_together() {
    for begin in [E2ee::Off, E2ee::On] {
        let mut world = World::new(link(false), 1);
        world.join("host", Some(host(1, 2, "Hanna")));
        world.link.begin = begin;
        let settings = world.settings(Some(host(1, 3, "Carol")));
        let queued = std::mem::take(&mut world.queue);
        world.join_with("carol", settings);
        world.queue.clear();
        // Neither hears the other until both have begun.
        for _ in 0..5 {
            world.now += Duration::from_secs(1);
            world.act("host", Event::Tick);
            world.act("carol", Event::Tick);
            world.queue.clear();
        }
        assert_ne!(
            world.sides["host"].meeting.policy(),
            world.sides["carol"].meeting.policy()
        );
        drop(queued);
        world.join("alice", None);
        world.pass(15);
        assert_all_follow_one(&world);
        assert_eq!(world.e2ee("alice"), Some(begin));
    }
}

/// Two parts of one meeting, each with a host and a guest, that do not hear each other.
pub(crate) fn two_parts(host_begins: E2ee, carol_begins: E2ee) -> World {
    let mut world = World::new(link(false), 1);
    world.link.begin = host_begins;
    world.join("host", Some(host(1, 2, "Hanna")));
    world.join("alice", None);
    world.link.begin = carol_begins;
    world.join("carol", Some(host(1, 3, "Carol")));
    world.join("bob", None);
    let one = |name: &str| ["host", "alice"].contains(&name);
    pass_keeping(&mut world, 7, |message| {
        one(&message.from) == one(&message.to)
    });
    world
}

#[test]
fn two_parts_of_a_meeting_find_together_where_encryption_is_on_in_one() {
    for (ours, theirs) in [
        (E2ee::Off, E2ee::Off),
        (E2ee::Off, E2ee::On),
        (E2ee::On, E2ee::Off),
        (E2ee::On, E2ee::On),
    ] {
        let mut world = two_parts(ours, theirs);
        assert_eq!(world.e2ee("alice"), Some(ours));
        assert_eq!(world.e2ee("bob"), Some(theirs));
        let mut was_on: Vec<String> = Vec::new();
        for _ in 0..15 {
            world.pass(1);
            judge(&world).unwrap();
            let on = |name: &&String| world.e2ee(name) == Some(E2ee::On);
            assert!(was_on.iter().all(|name| on(&name)), "{ours:?} {theirs:?}");
            was_on = world.sides.keys().filter(on).cloned().collect();
        }
        let policies: Vec<_> = world
            .sides
            .values()
            .map(|side| side.meeting.policy())
            .collect();
        assert!(
            policies.iter().all(|policy| *policy == policies[0]),
            "{ours:?} {theirs:?}"
        );
        assert_eq!(world.e2ee("alice"), Some(ours.max(theirs)));
    }
}

#[test]
fn a_part_whose_host_is_gone_comes_to_the_one_that_has_a_host() {
    for leaves in ["host", "carol"] {
        let mut world = two_parts(E2ee::On, E2ee::On);
        let deserted = if leaves == "host" { "alice" } else { "bob" };
        world.join("dave", None);
        // So that nobody there is alone.
        let one = |name: &str| [leaves, deserted, "dave"].contains(&name);
        pass_keeping(&mut world, 7, |message| {
            one(&message.from) == one(&message.to)
        });
        world.leave(leaves);
        world.pass(30);
        assert_all_follow_one(&world);
        for name in world.sides.keys() {
            assert_eq!(world.shield(name), Shield::Sealed, "{name}");
        }
    }
}

#[test]
fn another_writer_of_the_metadata_is_answered_and_foreign_keys_stay() {
    let mut world = World::of_three(link(true), 1);
    world.act("host", Event::Metadata(r#"{"topic":"budget"}"#.into()));
    world.pass(6);
    assert!(
        world
            .metadata
            .starts_with(r#"{"topic":"budget","roomseal":{"#)
    );
    let written = world.metadata.clone();
    world.act("host", Event::Metadata(written.clone()));
    world.metadata.clear();
    world.pass(20);
    assert!(
        world.metadata.is_empty(),
        "it was written again without need"
    );
}

#[test]
fn leaving_takes_the_key_away_and_a_new_join_has_another() {
    let mut world = World::of_three(link(true), 1);
    let (_, before) = world.sides["alice"].key.clone().unwrap();
    world.act("alice", Event::Left);
    assert!(world.sides["alice"].key.is_none());
    world.enter("alice");
    world.pass(1);
    let (_, after) = world.sides["alice"].key.clone().unwrap();
    assert_ne!(before, after);
    // The same at once, without a word between.
    let mut meeting: Meeting = world.sides["alice"].meeting.clone();
    let joined = Event::Joined {
        me: "alice".into(),
        others: vec![participant("host")],
        metadata: String::new(),
    };
    let actions = meeting.handle(joined, world.now);
    assert!(actions.contains(&Action::SendKey(None)));
}
