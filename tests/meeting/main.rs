// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings through a real `livekit-server`, with real footage.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

// A meeting recorded and shown again takes two of them; each lie in it stands alone among the tests of lies.
#[cfg(feature = "full")]
mod again;
mod bad_input;
mod bookings;
mod chime;
mod codec;
// Shows that the SDK does without the box what is asked of it here: for those who change what is asked.
#[cfg(feature = "full")]
mod control;
mod dark;
mod enter;
mod faults;
mod foreign;
// Half a minute of meeting that shows something about the SDK, not about the box: not for every run.
#[cfg(feature = "full")]
mod h264;
mod hostile;
mod hosts;
mod hub;
mod idle;
mod join;
mod keeper;
mod keyless;
mod lies;
mod loss;
mod page;
mod page_features;
mod page_host;
mod page_keys;
mod page_meetings;
mod page_people;
mod panel;
mod plan;
mod plan_rooms;
// Looks at each state for a while: for those who change the page.
#[cfg(feature = "full")]
mod pictures;
mod resume;
mod roomseal;
mod run;
mod screen;
mod sdk;
mod sealed;
mod secrecy;
mod set_up;
// Two minutes of it.
#[cfg(feature = "full")]
mod storm;
mod stranger;
mod terminal;
mod toggle;
mod update;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roomseal_tests::footage;

/// Meetings run in real time and want the machine for themselves: one at a time.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a participant needs at most from its start to the first picture it shows, on a busy machine.
const SOON: Duration = Duration::from_secs(25);

/// The size that pictures are compared in.
const WIDTH: usize = 320;
const HEIGHT: usize = 136;

/// Bikes in a street, with spoken words: what the box sends in these tests.
fn talking_clip(folder: &Path) -> PathBuf {
    let file = folder.join("clip.mkv");
    footage::talking_clip(&footage::clip("bikes.mp4"), &footage::speech(), &file);
    file
}
