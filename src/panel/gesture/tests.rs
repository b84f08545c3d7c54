// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time tables, and properties over any edges.

use core::time::Duration;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// The second hold is what a factory reset will use.
const TIMING: Timing = Timing {
    debounce: Duration::from_millis(20),
    holds: &[Duration::from_secs(2), Duration::from_secs(10)],
    stuck: Duration::from_secs(30),
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a key does that is up at the start and moves at these times, with when it is told by polling every millisecond.
fn told(edges: &[u64], until: u64) -> Vec<(u64, Gesture)> {
    let mut key = Recogniser::new(TIMING, false, ms(0));
    let mut told = Vec::new();
    let mut down = false;
    for now in 0..=until {
        key.poll(ms(now), |gesture| told.push((now, gesture)));
        for _ in edges.iter().filter(|edge| **edge == now) {
            down = !down;
            key.edge(down, ms(now), |gesture| told.push((now, gesture)));
        }
    }
    told
}

#[test]
fn a_press_is_told_while_the_key_is_down_and_counts_once() {
    assert_eq!(
        told(&[100, 250], 1000),
        [
            (120, Gesture::Press),
            (270, Gesture::Release { after: ms(150) })
        ]
    );
}

#[test]
fn bounce_delays_a_press_and_never_doubles_it() {
    assert_eq!(
        told(&[100, 103, 104, 109, 115, 300, 302, 303], 1000),
        [
            (135, Gesture::Press),
            (323, Gesture::Release { after: ms(188) })
        ]
    );
}

#[test]
fn a_spike_is_no_press() {
    assert_eq!(told(&[100, 119], 1000), []);
}

#[test]
fn holding_is_confirmed_while_the_key_is_still_down() {
    assert_eq!(
        told(&[100, 10_500], 11_000),
        [
            (120, Gesture::Press),
            (2100, Gesture::Hold { step: 0 }),
            (10_100, Gesture::Hold { step: 1 }),
            (10_520, Gesture::Release { after: ms(10_400) })
        ]
    );
}

#[test]
fn a_key_let_go_just_before_the_threshold_was_not_held() {
    let told = told(&[100, 2099], 3000);
    assert!(
        !told
            .iter()
            .any(|(_, gesture)| matches!(gesture, Gesture::Hold { .. })),
        "{told:?}"
    );
}

#[test]
fn a_bounce_across_the_threshold_confirms_when_the_key_stands_still_again() {
    assert_eq!(
        told(&[100, 2095, 2107], 2200)[1],
        (2127, Gesture::Hold { step: 0 })
    );
}

#[test]
fn a_key_that_is_down_from_the_start_is_stuck_until_let_go_and_then_works() {
    let mut key = Recogniser::new(TIMING, true, ms(0));
    let mut told = Vec::new();
    key.poll(ms(25_000), |gesture| told.push(gesture));
    assert_eq!(told, [Gesture::Stuck]);
    key.edge(false, ms(25_000), |gesture| told.push(gesture));
    key.edge(true, ms(25_100), |gesture| told.push(gesture));
    key.poll(ms(25_200), |gesture| told.push(gesture));
    assert_eq!(told, [Gesture::Stuck, Gesture::Freed, Gesture::Press]);
}

#[test]
fn a_key_held_beyond_reason_is_stuck() {
    let told = told(&[100], 40_000);
    assert_eq!(told.last(), Some(&(30_100, Gesture::Stuck)));
    assert_eq!(told.len(), 4);
}

#[test]
fn edges_that_were_read_late_are_judged_by_their_own_time() {
    // The loop was held up for five seconds; the kernel kept a short press and its times.
    let mut key = Recogniser::new(TIMING, false, ms(0));
    let mut told = Vec::new();
    key.edge(true, ms(100), |gesture| told.push(gesture));
    key.edge(false, ms(300), |gesture| told.push(gesture));
    key.poll(ms(5000), |gesture| told.push(gesture));
    assert_eq!(told, [Gesture::Press, Gesture::Release { after: ms(200) }]);
}

#[test]
fn a_clock_that_runs_back_moves_nothing() {
    let mut key = Recogniser::new(TIMING, false, ms(1000));
    let mut told = Vec::new();
    key.poll(ms(1100), |gesture| told.push(gesture));
    key.edge(true, ms(3), |gesture| told.push(gesture));
    key.poll(ms(1119), |gesture| told.push(gesture));
    assert_eq!(told, []);
    key.poll(ms(1120), |gesture| told.push(gesture));
    assert_eq!(told, [Gesture::Press]);
}

/// Edge times from gaps, in milliseconds.
fn times(gaps: &[u64]) -> Vec<u64> {
    gaps.iter()
        .scan(100, |now, gap| {
            *now += gap;
            Some(*now)
        })
        .collect()
}

/// As [`told`], but coming back only when the recogniser wants it, and `extra` times besides.
fn driven(start: bool, edges: &[u64], extra: &[u64], until: u64) -> Vec<Gesture> {
    let mut key = Recogniser::new(TIMING, start, ms(0));
    let mut told = Vec::new();
    let mut level = start;
    let mut edges = edges.iter().copied().peekable();
    let mut extra = extra.iter().copied().peekable();
    loop {
        let deadline = key.deadline().map_or(u64::MAX, |at| at.as_millis() as u64);
        let edge = edges.peek().copied().unwrap_or(u64::MAX);
        let look = extra.peek().copied().unwrap_or(u64::MAX);
        let now = deadline.min(edge).min(look);
        if now > until {
            return told;
        }
        // At one time, what is due comes first: an edge in the same moment is later.
        if now == deadline {
            key.poll(ms(now), |gesture| told.push(gesture));
            let next = key.deadline();
            assert!(next.is_none_or(|next| next > ms(now)), "no progress");
        } else if now == edge {
            edges.next();
            level = !level;
            key.edge(level, ms(now), |gesture| told.push(gesture));
        } else {
            extra.next();
            key.poll(ms(now), |gesture| told.push(gesture));
        }
    }
}

/// How often the level stood still at `down` for at least the time of debouncing, after having stood still at the other.
fn settles(start: bool, edges: &[u64], until: u64) -> Vec<(bool, u64, u64)> {
    let mut stretches: Vec<(bool, u64, u64)> = Vec::new();
    let mut level = start;
    let mut from = 0;
    for to in edges.iter().copied().chain([until]) {
        if to - from >= 20 {
            match stretches.last_mut() {
                Some((same, _, end)) if *same == level => *end = to,
                _ => stretches.push((level, from, to)),
            }
        }
        level = !level;
        from = to;
    }
    stretches
}

proptest! {
    #[test]
    fn any_bounce_gives_at_most_one_press(gaps in prop::collection::vec(0_u64..20, 0..60), rest in 20_u64..1900) {
        let edges = times(&gaps);
        let end = edges.last().copied().unwrap_or(100) + rest;
        let presses = driven(false, &edges, &[], end).iter().filter(|g| **g == Gesture::Press).count();
        prop_assert_eq!(presses, gaps.len() % 2);
    }

    #[test]
    fn a_key_that_is_down_from_the_start_never_presses_before_it_was_up(
        gaps in prop::collection::vec(0_u64..20, 0..60), rest in 0_u64..60_000,
    ) {
        // It bounces, and comes to rest where it was.
        let mut edges = times(&gaps);
        edges.truncate(gaps.len() / 2 * 2);
        let end = edges.last().copied().unwrap_or(100) + rest;
        let told = driven(true, &edges, &[], end);
        prop_assert!(told.iter().all(|gesture| *gesture == Gesture::Stuck), "{:?}", told);
        prop_assert_eq!(told.len(), 1);
    }

    #[test]
    fn gestures_are_those_of_the_stretches_in_which_the_level_stood_still(
        start: bool, gaps in prop::collection::vec(prop_oneof![0_u64..25, 15_u64..3000, 1000_u64..40_000], 0..30),
    ) {
        let edges = times(&gaps);
        let end = edges.last().copied().unwrap_or(100) + 50_000;
        // The independent account: long looks at the whole, not one edge after the other.
        let mut expected = Vec::new();
        for (index, (down, from, to)) in settles(start, &edges, end).into_iter().enumerate() {
            let held = to - from;
            match (down, index) {
                (true, 0) => expected.push(Gesture::Stuck),
                (true, _) => {
                    expected.push(Gesture::Press);
                    // A threshold that passes during a bounce at the end was not held.
                    expected.extend([(2000, Gesture::Hold { step: 0 }), (10_000, Gesture::Hold { step: 1 }), (30_000, Gesture::Stuck)]
                        .into_iter().filter(|(at, _)| *at <= held).map(|(_, gesture)| gesture));
                }
                (false, 0) => {}
                (false, _) => expected.push(match expected.last() {
                    Some(Gesture::Stuck) => Gesture::Freed,
                    _ => Gesture::Release { after: Duration::ZERO },
                }),
            }
        }
        let told: Vec<_> = driven(start, &edges, &[], end).into_iter().map(|gesture| match gesture {
            Gesture::Release { .. } => Gesture::Release { after: Duration::ZERO },
            other => other,
        }).collect();
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn how_often_it_is_polled_changes_nothing(
        start: bool,
        gaps in prop::collection::vec(prop_oneof![0_u64..25, 15_u64..3000], 0..30),
        mut extra in prop::collection::vec(0_u64..100_000, 0..50),
    ) {
        extra.sort_unstable();
        let edges = times(&gaps);
        let end = edges.last().copied().unwrap_or(100) + 50_000;
        prop_assert_eq!(driven(start, &edges, &extra, end), driven(start, &edges, &[], end));
    }

    #[test]
    fn any_times_at_all_are_survived(steps in prop::collection::vec((any::<bool>(), any::<u64>()), 0..100)) {
        let mut key = Recogniser::new(TIMING, false, Duration::ZERO);
        let mut presses = 0;
        let mut downs = 0;
        for (down, nanos) in steps {
            downs += usize::from(down && !key.level());
            key.edge(down, Duration::from_nanos(nanos), |gesture| presses += usize::from(gesture == Gesture::Press));
        }
        key.poll(Duration::MAX, |gesture| presses += usize::from(gesture == Gesture::Press));
        prop_assert!(presses <= downs);
    }
}
