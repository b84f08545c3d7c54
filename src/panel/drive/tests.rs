// SPDX-License-Identifier: MIT OR Apache-2.0
//! The simulated panel, and what is said where lines are missing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::*;
use crate::Board;
use crate::board::panel::{Active, LineName, Pull};
use crate::gesture::{Gesture, Recogniser, Timing};

const LASTS: Duration = Duration::from_secs(1);

fn button(chip: &str) -> Button {
    Button {
        line: Line {
            chip: chip.into(),
            name: LineName::Number(17),
        },
        active: Active::Low,
        pull: Pull::Up,
        debounce: Duration::from_millis(20),
    }
}

#[test]
fn the_simulated_lamp_is_seen_in_its_folder_and_goes_dark_with_its_driver() {
    let dir = tempfile::tempdir().unwrap();
    let places = Places::linux(Some(dir.path().join("panel")));
    let board = Board::sim().panel;
    let mut leds = lamp(&board.lamp.unwrap(), &places).unwrap();
    let seen = || {
        ["lamp-red", "lamp-green", "lamp-blue"]
            .map(|name| std::fs::read_to_string(dir.path().join("panel").join(name)).unwrap())
    };
    assert_eq!(seen(), ["0\n", "0\n", "0\n"]);
    leds.light(&[1, FULL, FULL / 2], LASTS).unwrap();
    assert_eq!(seen(), ["1\n", "100\n", "50\n"]);
    drop(leds);
    assert_eq!(seen(), ["0\n", "0\n", "0\n"]);
    let mut mute = single(&board.mute_lamp.unwrap(), &places).unwrap();
    mute.light(&[FULL], LASTS).unwrap();
    let shown = std::fs::read_to_string(dir.path().join("panel/mute-lamp")).unwrap();
    assert_eq!(shown, "100\n");
}

/// The simulated button, and the pipe that presses it.
fn simulated_key(folder: &Path) -> (Box<dyn Key>, File) {
    let places = Places::linux(Some(folder.to_owned()));
    let key = key(&Board::sim().panel.button.unwrap(), &places).unwrap();
    let pipe = OpenOptions::new().write(true).open(folder.join("button"));
    (key, pipe.unwrap())
}

#[test]
fn the_simulated_key_is_pressed_and_held_through_its_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let (mut key, mut pipe) = simulated_key(dir.path());
    // Words that are none are passed over, also endless ones.
    pipe.write_all(b"prss\n\npress\nhold\n").unwrap();
    pipe.write_all(&[b'x'; 1000]).unwrap();
    pipe.write_all(b"\nhold").unwrap();
    let told = RefCell::new(Vec::new());
    let began = clock::monotonic();
    watch(
        key.as_mut(),
        Timing::default(),
        || {
            let late = clock::monotonic() - began > Duration::from_secs(30);
            let releases = told
                .borrow()
                .iter()
                .filter(|gesture| matches!(gesture, Gesture::Release { .. }))
                .count();
            releases < 2 && !late
        },
        |gesture| told.borrow_mut().push(gesture),
    )
    .unwrap();
    let told = told.into_inner();
    assert!(
        matches!(
            told[..],
            [
                Gesture::Press,
                Gesture::Release { .. },
                Gesture::Press,
                Gesture::Hold { step: 0 },
                Gesture::Release { .. }
            ]
        ),
        "{told:?}"
    );
}

#[test]
fn a_word_that_comes_right_after_a_release_is_a_press_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (mut key, mut pipe) = simulated_key(dir.path());
    let told = RefCell::new(Vec::new());
    let mut recogniser = Recogniser::new(Timing::default(), false, clock::monotonic());
    // Each word is written as soon as the edge that ended the one before has been told.
    for word in ["press", "press", "hold", "press"] {
        writeln!(pipe, "{word}").unwrap();
        let began = clock::monotonic();
        loop {
            assert!(clock::monotonic() - began < Duration::from_secs(30));
            let Some(edge) = key.wait(Duration::from_secs(1)).unwrap() else {
                continue;
            };
            recogniser.edge(edge.down, edge.at, |gesture| {
                told.borrow_mut().push(gesture)
            });
            if !edge.down {
                break;
            }
        }
    }
    let released = clock::monotonic() + Duration::from_secs(1);
    recogniser.poll(released, |gesture| told.borrow_mut().push(gesture));
    let told = told.into_inner();
    let count =
        |wanted: fn(&Gesture) -> bool| told.iter().filter(|gesture| wanted(gesture)).count();
    assert_eq!(
        count(|gesture| matches!(gesture, Gesture::Press)),
        4,
        "{told:?}"
    );
    assert_eq!(
        count(|gesture| matches!(gesture, Gesture::Hold { .. })),
        1,
        "{told:?}"
    );
}

#[test]
fn a_simulated_panel_without_a_folder_says_how_to_give_one() {
    let places = Places::linux(None);
    let board = Board::sim().panel;
    let shown = lamp(&board.lamp.unwrap(), &places).unwrap_err().to_string();
    assert!(
        shown.starts_with("line `lamp-red` of sim:") && shown.contains("--panel-dir"),
        "{shown}"
    );
    let shown = key(&board.button.unwrap(), &places)
        .unwrap_err()
        .to_string();
    assert!(shown.starts_with("line `button` of sim:"), "{shown}");
}

#[test]
fn a_key_on_a_chip_that_is_not_there_is_named() {
    let places = Places::linux(None);
    let shown = key(&button("gpiochip77"), &places).unwrap_err().to_string();
    assert!(shown.contains("gpiochip77"), "{shown}");
}

#[cfg(not(feature = "rppal"))]
#[test]
fn a_program_without_rppal_says_how_to_get_it() {
    let places = Places::linux(None);
    let shown = key(&button("rppal"), &places).unwrap_err().to_string();
    assert!(
        shown.starts_with("line 17 of rppal:") && shown.contains("--features rppal"),
        "{shown}"
    );
}

/// A key whose kernel lost an edge: its level says so.
#[derive(Debug)]
struct Forgetful {
    edges: Vec<Edge>,
    levels: Vec<bool>,
}

impl Key for Forgetful {
    fn down(&mut self) -> Result<bool, LineError> {
        Ok(match self.levels.len() {
            1 => self.levels[0],
            _ => self.levels.remove(0),
        })
    }

    fn wait(&mut self, _: Duration) -> Result<Option<Edge>, LineError> {
        Ok(self.edges.pop())
    }
}

#[test]
fn an_edge_that_the_kernel_lost_is_made_up_for() {
    let mut key = Forgetful {
        edges: Vec::new(),
        levels: vec![false, false, true],
    };
    let told = RefCell::new(Vec::new());
    let began = clock::monotonic();
    // Up is known after the time of debouncing, so the level that comes without an edge may be taken for a stuck key.
    watch(
        &mut key,
        Timing {
            debounce: Duration::ZERO,
            ..Timing::default()
        },
        || told.borrow().is_empty() && clock::monotonic() - began < LASTS,
        |gesture| told.borrow_mut().push(gesture),
    )
    .unwrap();
    assert_eq!(told.into_inner(), [Gesture::Press]);
}

/// A key whose watcher is held up once, just after it has looked for edges.
#[derive(Debug)]
struct HeldUp {
    /// In the order of their times.
    edges: VecDeque<Edge>,
    /// From when on the next look is such a one, and until when it lasts.
    held_up: Option<(Duration, Duration)>,
    told: bool,
}

impl Key for HeldUp {
    fn down(&mut self) -> Result<bool, LineError> {
        let now = clock::monotonic();
        let come = self.edges.iter().take_while(|edge| edge.at <= now);
        Ok(come.last().map_or(self.told, |edge| edge.down))
    }

    fn wait(&mut self, at_most: Duration) -> Result<Option<Edge>, LineError> {
        let until = clock::monotonic() + at_most;
        loop {
            let now = clock::monotonic();
            let next = self.edges.front().map_or(until, |edge| edge.at.min(until));
            if let Some(edge) = self.edges.front().copied().filter(|edge| edge.at <= now) {
                self.edges.pop_front();
                self.told = edge.down;
                return Ok(Some(edge));
            }
            if now >= until {
                if let Some((_, end)) = self.held_up.take_if(|(from, _)| now >= *from) {
                    thread::sleep(end.saturating_sub(clock::monotonic()));
                }
                return Ok(None);
            }
            thread::sleep(next.saturating_sub(now));
        }
    }
}

#[test]
fn presses_are_told_apart_by_their_times_however_late_they_are_heard_of() {
    const HOLDS: &[Duration] = &[Duration::from_millis(100)];
    let began = clock::monotonic();
    let at = |ms| began + Duration::from_millis(ms);
    let mut key = HeldUp {
        edges: [(true, 50), (false, 200), (true, 300)]
            .map(|(down, ms)| Edge { down, at: at(ms) })
            .into(),
        held_up: Some((at(120), at(400))),
        told: false,
    };
    let told = RefCell::new(Vec::new());
    watch(
        &mut key,
        Timing {
            // Looks at 150 ms, and then hears nothing of 200 and 300 ms until 400 ms.
            holds: HOLDS,
            ..Timing::default()
        },
        || told.borrow().len() < 5 && clock::monotonic() - began < LASTS,
        |gesture| told.borrow_mut().push(gesture),
    )
    .unwrap();
    let hold = Gesture::Hold { step: 0 };
    let after = Duration::from_millis(150);
    let release = Gesture::Release { after };
    assert_eq!(
        told.into_inner(),
        [Gesture::Press, hold, release, Gesture::Press, hold]
    );
}
