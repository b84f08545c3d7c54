// SPDX-License-Identifier: MIT OR Apache-2.0
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;
use roomseal_e2ee::OpenCounters;

use super::*;
use crate::hosting::By;
use crate::roster::{Declared, Kind, Source, Track};
use crate::verification::{FRESH, Refusal, Verification};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn camera(sid: &str, declared: Declared) -> Track {
    Track::new(sid, Source::Camera, declared)
}

fn alice() -> Participant {
    Participant::new("alice", "Alice").with_track(camera("TR_1", Declared::Sealed))
}

fn enters(others: Vec<Participant>) -> Event {
    Event::Joined {
        me: "box".into(),
        others,
        metadata: String::new(),
    }
}

/// What is said about media; how messages are read is tested by itself.
fn media(actions: Vec<Action>) -> Vec<Action> {
    let media = |action: &Action| !matches!(action, Action::ReopenData { .. });
    actions.into_iter().filter(media).collect()
}

fn joined(requirement: Requirement) -> ForeignRoom {
    let mut room = ForeignRoom::new(requirement, true);
    room.handle(enters(vec![alice()]), seconds(0));
    room.handle(Event::Flowing { sid: "TR_1".into() }, seconds(0));
    room
}

fn counted(counters: OpenCounters) -> Event {
    Event::Counted {
        sid: "TR_1".into(),
        counters,
    }
}

fn text(room: &ForeignRoom, now: u64) -> String {
    room.report(seconds(now)).participants[0].tracks[0]
        .text
        .clone()
}

#[test]
fn nothing_leaves_outside_the_room_and_nothing_leaves_without_key() {
    let mut room = ForeignRoom::new(Requirement::Sealed, false);
    assert_eq!(room.sending(), Sending::NothingOutside);
    let actions = room.handle(enters(vec![]), seconds(1));
    assert_eq!(actions, [Action::Send(Sending::NothingWithoutKey)]);
    let actions = room.own_key(true, seconds(2));
    assert_eq!(actions, [Action::Send(Sending::Sealed)]);
    let actions = room.handle(Event::Left, seconds(3));
    assert_eq!(actions, [Action::Send(Sending::NothingOutside)]);
}

#[test]
fn a_press_seals_what_is_sent_and_requires_it_of_what_is_played() {
    let mut room = joined(Requirement::Open);
    room.declared(vec![Requirement::Open, Requirement::Open], seconds(1));
    let actions = room.handle(Event::Press(By::Box), seconds(2));
    // Nothing leaves before anything else is done.
    assert!(matches!(
        &media(actions)[..],
        [
            Action::Send(Sending::NothingSwitching),
            Action::Announce(Announcement::On { .. }),
            Action::Republish,
            Action::Stop { .. },
            Action::Play(Play {
                opening: Opening::Required,
                ..
            }),
        ]
    ));
    // The sound takes its place first, the picture later.
    let one = vec![Requirement::Sealed, Requirement::Open];
    assert_eq!(room.declared(one, seconds(3)), []);
    let both = vec![Requirement::Sealed; 2];
    let actions = room.declared(both, seconds(4));
    assert_eq!(actions, [Action::Send(Sending::Sealed)]);
}

#[test]
fn only_a_hold_at_the_box_turns_off_and_any_press_before_keeps_it_on() {
    let mut room = joined(Requirement::Sealed);
    room.declared(vec![Requirement::Sealed], seconds(1));
    for by in [By::NetworkPaired, By::Network] {
        let actions = room.handle(Event::Hold(by), seconds(1));
        assert!(matches!(
            &actions[..],
            [Action::Announce(Announcement::Denied(_))]
        ));
    }
    room.handle(Event::Press(By::Box), seconds(2));
    room.handle(Event::Hold(By::Box), seconds(4));
    assert_eq!(room.countdown(seconds(5)), Some(seconds(2)));
    room.handle(Event::Press(By::NetworkPaired), seconds(5));
    assert_eq!(room.countdown(seconds(5)), None);
    assert_eq!(room.handle(Event::Tick, seconds(9)), []);

    room.handle(Event::Press(By::Box), seconds(10));
    let actions = room.handle(Event::Hold(By::Box), seconds(12));
    assert_eq!(actions.last(), Some(&Action::WakeAt(seconds(15))));
    assert_eq!(room.sending(), Sending::Sealed);
    let actions = room.handle(Event::Tick, seconds(15));
    assert!(matches!(
        &media(actions)[..],
        [
            Action::Send(Sending::NothingSwitching),
            Action::Announce(Announcement::Off { .. }),
            Action::Republish,
            Action::Stop { .. },
            Action::Play(Play {
                opening: Opening::AllowClear,
                ..
            }),
        ]
    ));
    let actions = room.declared(vec![Requirement::Open], seconds(16));
    assert_eq!(actions, [Action::Send(Sending::Clear)]);
}

#[test]
fn who_changes_the_mind_while_tracks_are_published_anew_sends_nothing_until_all_are_right() {
    let mut room = joined(Requirement::Sealed);
    room.declared(vec![Requirement::Sealed], seconds(1));
    room.handle(Event::Press(By::Box), seconds(2));
    room.handle(Event::Hold(By::Box), seconds(4));
    room.handle(Event::Tick, seconds(7));
    // The new track is asked for while the old one still stands.
    room.declared(vec![Requirement::Sealed, Requirement::Open], seconds(7));
    let actions = room.handle(Event::Press(By::Box), seconds(8));
    assert!(actions.contains(&Action::Republish));
    assert_eq!(room.sending(), Sending::NothingSwitching);
    room.declared(vec![Requirement::Open], seconds(9));
    assert_eq!(room.sending(), Sending::NothingSwitching);
    room.declared(vec![Requirement::Sealed], seconds(10));
    assert_eq!(room.sending(), Sending::Sealed);
}

#[test]
fn messages_are_read_by_the_same_rule_as_media_and_by_new_keys_at_once() {
    let read = |actions: Vec<Action>| -> Vec<(String, Opening)> {
        let of = |action| match action {
            Action::ReopenData { identity, rules } => Some((identity, rules.opening)),
            _ => None,
        };
        actions.into_iter().filter_map(of).collect()
    };
    let alice_by = |opening| vec![("alice".to_string(), opening)];
    let mut room = ForeignRoom::new(Requirement::Open, true);
    let actions = room.handle(enters(vec![alice()]), seconds(0));
    assert_eq!(read(actions), alice_by(Opening::AllowClear));
    let actions = room.handle(Event::Press(By::Box), seconds(1));
    assert_eq!(read(actions), alice_by(Opening::Required));
    assert_eq!(read(room.handle(Event::Tick, seconds(2))), []);
    assert_eq!(
        read(room.own_key(true, seconds(3))),
        alice_by(Opening::Required)
    );
}

#[test]
fn media_without_an_owner_in_the_roster_are_not_played() {
    let mut room = joined(Requirement::Sealed);
    assert!(
        room.handle(Event::Flowing { sid: "TR_9".into() }, seconds(1))
            .is_empty()
    );
    let bob = Participant::new("bob", "").with_track(camera("TR_9", Declared::Clear));
    let actions = media(room.handle(Event::Participants(vec![bob]), seconds(2)));
    assert!(matches!(&actions[..], [Action::Play(play)] if play.identity == "bob"));
}

#[test]
fn a_track_that_changes_hands_starts_from_nothing() {
    let mut room = joined(Requirement::Sealed);
    room.handle(
        counted(OpenCounters {
            opened: 9,
            ..Default::default()
        }),
        seconds(1),
    );
    let gone = Participant {
        present: false,
        ..alice()
    };
    let bob = Participant::new("bob", "Bob").with_track(camera("TR_1", Declared::Sealed));
    let actions = media(room.handle(Event::Participants(vec![gone, bob]), seconds(1)));
    assert!(matches!(
        &actions[..],
        [Action::Stop { .. }, Action::Play(play)] if play.identity == "bob"
    ));
    assert_eq!(text(&room, 1), "waiting for the first frame");
}

#[test]
fn the_person_and_the_reason_are_named() {
    let mut room = joined(Requirement::Sealed);
    room.handle(
        counted(OpenCounters {
            other_key: 3,
            ..Default::default()
        }),
        seconds(1),
    );
    assert_eq!(
        text(&room, 1),
        "cannot open Alice's camera: other key, or altered"
    );
    room.handle(
        counted(OpenCounters {
            other_key: 3,
            no_key: 1,
            ..Default::default()
        }),
        seconds(2),
    );
    assert!(text(&room, 2).starts_with("cannot open Alice's camera: no key"));
    room.handle(
        counted(OpenCounters {
            other_key: 3,
            no_key: 1,
            clear: 4,
            ..Default::default()
        }),
        seconds(3),
    );
    assert_eq!(
        text(&room, 3),
        "clear, although declared sealed: not played"
    );
    assert_eq!(
        room.report(seconds(3)).participants[0].tracks[0].verification,
        Verification::Refused(Refusal::Clear)
    );
}

#[test]
fn a_muted_track_is_called_muted_only_while_it_is_silent() {
    let mut room = joined(Requirement::Sealed);
    let mut muted = alice();
    muted.tracks[0].muted = true;
    room.handle(Event::Participants(vec![muted]), seconds(1));
    assert_eq!(text(&room, 1), "muted");
    room.handle(
        counted(OpenCounters {
            opened: 1,
            ..Default::default()
        }),
        seconds(2),
    );
    assert_eq!(text(&room, 2), "verified");
}

#[test]
fn this_box_itself_is_not_among_the_others() {
    let mut room = joined(Requirement::Sealed);
    let me = Participant::new("box", "Box").with_track(camera("TR_7", Declared::Sealed));
    room.handle(Event::Participants(vec![me]), seconds(1));
    assert_eq!(room.report(seconds(1)).participants.len(), 1);
}

#[test]
fn what_the_service_says_after_the_end_is_not_listened_to() {
    let mut room = joined(Requirement::Sealed);
    room.handle(Event::Left, seconds(1));
    assert!(
        room.handle(Event::Participants(vec![alice()]), seconds(2))
            .is_empty()
    );
    assert!(room.report(seconds(2)).participants.is_empty());
}

#[test]
fn all_is_verified_only_if_something_is() {
    let mut room = joined(Requirement::Sealed);
    assert!(!room.report(seconds(1)).all_verified());
    room.handle(
        counted(OpenCounters {
            opened: 1,
            ..Default::default()
        }),
        seconds(1),
    );
    assert!(room.report(seconds(1)).all_verified());
    assert!(!room.report(seconds(8)).all_verified());
}

/// Everything a service can say or cause without a frame passing an opening element.
fn by_the_service() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..3u8, prop::collection::vec(participant(), 0..3)).prop_map(|(me, others)| {
            Event::Joined {
                me: identity(me),
                others,
                metadata: String::new(),
            }
        }),
        prop::collection::vec(participant(), 0..3).prop_map(Event::Participants),
        (0..4u8).prop_map(|n| Event::Flowing { sid: sid(n) }),
        (0..4u8).prop_map(|n| Event::Ended { sid: sid(n) }),
        Just(Event::Left),
    ]
}

/// Something that happens, or that this box does to itself.
#[derive(Clone, Debug)]
enum Step {
    Event(Event),
    OwnKey(bool),
    /// What is published now is declared as it has to be.
    Published,
}

fn by_anybody() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => by_the_service().prop_map(Step::Event),
        1 => any::<bool>().prop_map(Step::OwnKey),
        1 => Just(Step::Published),
        2 => prop_oneof![
            Just(Event::Press(By::Box)),
            Just(Event::Press(By::NetworkPaired)),
            Just(Event::Hold(By::Box)),
            Just(Event::Hold(By::NetworkPaired)),
            Just(Event::Tick),
        ].prop_map(Step::Event),
        6 => (0..4u8, any::<[bool; 6]>()).prop_map(|(n, grows)| Event::Counted {
            sid: sid(n),
            // Turned into totals by the test, as an element counts.
            counters: OpenCounters {
                opened: grows[0].into(),
                clear: grows[1].into(),
                no_key: grows[2].into(),
                other_key: grows[3].into(),
                loss: grows[4].into(),
                server_injected: grows[5].into(),
                ..OpenCounters::default()
            },
        }).prop_map(Step::Event),
    ]
}

fn participant() -> impl Strategy<Value = Participant> {
    let track = (0..4u8, 0..3u8, any::<bool>()).prop_map(|(n, declared, muted)| Track {
        muted,
        ..camera(
            &sid(n),
            [Declared::Clear, Declared::Other, Declared::Sealed][usize::from(declared)],
        )
    });
    (
        0..3u8,
        any::<bool>(),
        prop::collection::vec(track, 0..3),
        any::<bool>(),
    )
        .prop_map(|(who, present, tracks, person)| Participant {
            present,
            tracks,
            kind: if person { Kind::Person } else { Kind::Egress },
            ..Participant::new(identity(who), "Name")
        })
}

fn identity(n: u8) -> String {
    ["box", "alice", "bob"][usize::from(n)].to_string()
}

fn sid(n: u8) -> String {
    ["TR_0", "TR_1", "TR_2", "TR_3"][usize::from(n)].to_string()
}

/// What really happened to the frames of a track, kept beside the room and not by it.
#[derive(Default)]
struct Truth {
    totals: OpenCounters,
    opened_at: Option<Duration>,
    clear_played_at: Option<Duration>,
    allow_clear: bool,
}

proptest! {
    #[test]
    fn nothing_a_service_says_verifies_a_track(
        events in prop::collection::vec((by_the_service(), 0..2000u64), 0..60),
    ) {
        let mut room = ForeignRoom::new(Requirement::Sealed, true);
        let mut now = Duration::ZERO;
        for (event, millis) in events {
            now += Duration::from_millis(millis);
            room.handle(event, now);
            let report = room.report(now);
            prop_assert!(!report.all_verified());
            for track in report.participants.iter().flat_map(|p| &p.tracks) {
                prop_assert_eq!(track.verification, Verification::Waiting);
                prop_assert!(!track.text.contains("verified"));
            }
        }
    }

    #[test]
    fn a_track_is_called_verified_only_after_a_frame_of_its_owner_opened_just_now(
        sealed in any::<bool>(),
        events in prop::collection::vec((by_anybody(), 0..3000u64), 0..80),
    ) {
        let start = if sealed { Requirement::Sealed } else { Requirement::Open };
        let mut room = ForeignRoom::new(start, true);
        let mut truths: BTreeMap<String, Truth> = BTreeMap::new();
        let mut declared = None;
        let mut pressed_on = sealed;
        let mut now = Duration::ZERO;
        for (step, millis) in events {
            now += Duration::from_millis(millis);
            let before = room.requirement();
            let actions: Vec<Action> = match step {
                Step::OwnKey(own_key) => room.own_key(own_key, now),
                Step::Published => {
                    declared = Some(room.requirement());
                    room.declared(declared.into_iter().collect(), now)
                }
                Step::Event(Event::Counted { sid, counters: grown }) => {
                    let truth = truths.entry(sid.clone()).or_default();
                    truth.totals.opened += grown.opened;
                    truth.totals.clear += grown.clear;
                    truth.totals.no_key += grown.no_key;
                    truth.totals.other_key += grown.other_key;
                    truth.totals.loss += grown.loss;
                    truth.totals.server_injected += grown.server_injected;
                    if grown.opened > 0 {
                        truth.opened_at = Some(now);
                    }
                    if grown.clear > 0 && truth.allow_clear {
                        truth.clear_played_at = Some(now);
                    }
                    room.handle(Event::Counted { sid, counters: truth.totals }, now)
                }
                Step::Event(event) => {
                    if matches!(event, Event::Joined { .. } | Event::Left) {
                        declared = None;
                    }
                    let pressed = matches!(event, Event::Press(_));
                    let actions = room.handle(event, now);
                    pressed_on |= pressed && room.requirement() == Requirement::Sealed;
                    actions
                }
            };
            let requirement = room.requirement();
            if before == Requirement::Sealed && requirement == Requirement::Open {
                pressed_on = false;
            }
            prop_assert_eq!(pressed_on, requirement == Requirement::Sealed);
            for action in &actions {
                match action {
                    Action::Play(play) => {
                        prop_assert!(requirement == Requirement::Open || play.opening == Opening::Required);
                        truths.insert(play.sid.clone(), Truth {
                            allow_clear: play.opening == Opening::AllowClear,
                            ..Truth::default()
                        });
                    }
                    Action::Stop { sid } => {
                        truths.remove(sid);
                    }
                    Action::Send(sending) => {
                        prop_assert!(requirement == Requirement::Open || *sending != Sending::Clear);
                    }
                    Action::ReopenData { rules, .. } => {
                        prop_assert!(requirement == Requirement::Open || rules.opening == Opening::Required);
                    }
                    Action::Announce(_) | Action::Republish | Action::WakeAt(_) => {}
                    other => prop_assert!(false, "a foreign room asks for {other:?}"),
                }
            }
            prop_assert!(requirement == Requirement::Open || room.sending() != Sending::Clear);
            let leaves = matches!(room.sending(), Sending::Clear | Sending::Sealed);
            prop_assert!(!leaves || declared.is_none_or(|declared| declared == requirement));
            for track in room.report(now).participants.iter().flat_map(|p| &p.tracks) {
                if track.verification != Verification::Verified {
                    continue;
                }
                let truth = truths.get(&track.sid);
                let fresh = |at: Option<Duration>| at.is_some_and(|at| now - at <= FRESH);
                prop_assert!(truth.is_some_and(|truth| fresh(truth.opened_at)));
                prop_assert!(!truth.is_some_and(|truth| fresh(truth.clear_played_at)));
            }
        }
    }
}
