// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings through a real `livekit-server`, with real footage.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod control;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Meetings run in real time and want the machine for themselves: one at a time.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
