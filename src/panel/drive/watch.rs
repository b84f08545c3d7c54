// SPDX-License-Identifier: MIT OR Apache-2.0
//! Watching one key: from a line that has edges to gestures.

use std::time::Duration;

use super::{Key, LineError, clock};
use crate::gesture::{Gesture, Recogniser, Timing};

/// Comes round at least this often: the wish to stop is heard, and an edge that the kernel lost is made up for.
const TURN: Duration = Duration::from_millis(250);

/// Tells every gesture on `key` until `go_on` says no; `go_on` is asked several times a second.
///
/// # Errors
/// When the line cannot be read any more.
pub fn watch(
    key: &mut dyn Key,
    timing: Timing,
    mut go_on: impl FnMut() -> bool,
    mut tell: impl FnMut(Gesture),
) -> Result<(), LineError> {
    let now = clock::monotonic();
    let mut recogniser = Recogniser::new(timing, key.down()?, now);
    while go_on() {
        let now = clock::monotonic();
        let due = recogniser.deadline().map(|at| at.saturating_sub(now));
        let mut wait = due.unwrap_or(TURN).min(TURN);
        // All edges that are there, by their own times. What the line is and when is read before each look for edges: a
        // thread that is held up then hears the edges of that time with their own times too, not with the later one.
        let (heard_until, level) = loop {
            let before = (clock::monotonic(), key.down()?);
            match key.wait(wait)? {
                Some(edge) => recogniser.edge(edge.down, edge.at, &mut tell),
                None => break before,
            }
            wait = Duration::ZERO;
        };
        // A full queue in the kernel loses edges, never the level.
        recogniser.edge(level, heard_until, &mut tell);
        recogniser.poll(heard_until, &mut tell);
    }
    Ok(())
}
