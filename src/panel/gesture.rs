// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person does with a button: edges and time in, gestures out.
//!
//! Nothing here waits: the owner passes every edge with the time the kernel gave it ([`Recogniser::edge`]), and comes
//! back at [`Recogniser::deadline`] ([`Recogniser::poll`]). How often it comes back in between changes nothing.
//!
//! ```
//! use core::time::Duration;
//! use roomseal_panel::gesture::{Gesture, Recogniser, Timing};
//!
//! let ms = Duration::from_millis;
//! let mut seen = Vec::new();
//! let mut button = Recogniser::new(Timing::default(), false, ms(0));
//! button.edge(true, ms(100), |gesture| seen.push(gesture));
//! button.poll(ms(200), |gesture| seen.push(gesture));
//! assert_eq!(seen, [Gesture::Press]);
//! button.poll(ms(2200), |gesture| seen.push(gesture));
//! assert_eq!(seen, [Gesture::Press, Gesture::Hold { step: 0 }]);
//! ```

use core::time::Duration;

/// How long a key is held to turn encryption off (PROTOCOL §8).
pub const HOLD: Duration = Duration::from_secs(2);

/// Contacts of ordinary keys are quiet after 5 to 10 ms.
pub const DEBOUNCE: Duration = Duration::from_millis(20);

/// Nobody holds a key that long: it is jammed, or something lies on it.
pub const STUCK: Duration = Duration::from_secs(30);

/// Where the lines between the gestures run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A level counts once it has stood still for this long.
    pub debounce: Duration,
    /// Times of holding that mean something, ascending and below [`stuck`](Self::stuck).
    pub holds: &'static [Duration],
    /// A key held this long is ignored until it is let go.
    pub stuck: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            debounce: DEBOUNCE,
            holds: &[HOLD],
            stuck: STUCK,
        }
    }
}

/// Something that was done with the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gesture {
    /// It went down. Told as soon as the level has stood still, not when the key is let go.
    Press,
    /// It is still down, and `holds[step]` has just passed.
    Hold {
        /// Index into [`Timing::holds`].
        step: usize,
    },
    /// It was let go, after this long; only where a [`Press`](Self::Press) was told.
    Release {
        /// How long it was down.
        after: Duration,
    },
    /// It was down from the start, or is down for too long: nothing it does counts until it is let go.
    Stuck,
    /// A stuck key was let go: it counts again.
    Freed,
}

/// Tells gestures of one key from its edges.
#[derive(Clone, Debug)]
pub struct Recogniser {
    timing: Timing,
    /// The latest time heard of; it never runs back.
    clock: Duration,
    /// The level after the last edge, `true` for down.
    level: bool,
    /// When that edge was.
    moved: Duration,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Down at the first look: nobody has pressed it for us.
    Unknown,
    Up,
    Down {
        since: Duration,
        /// The next entry of `holds`.
        step: usize,
    },
    Stuck,
}

/// What time alone brings about.
enum Due {
    Settled,
    Hold(usize),
    Stuck,
}

impl Recogniser {
    /// A key that is `down` (or not) at the time `now`.
    pub fn new(timing: Timing, down: bool, now: Duration) -> Self {
        Self {
            timing,
            clock: now,
            level: down,
            moved: now,
            phase: if down { Phase::Unknown } else { Phase::Up },
        }
    }

    /// The level is `down` (or not) since `at`. Edges come in the order of their times, before [`poll`](Self::poll)
    /// with a later time; one that comes late counts as of the latest time heard.
    pub fn edge(&mut self, down: bool, at: Duration, tell: impl FnMut(Gesture)) {
        self.poll(at, tell);
        if down != self.level {
            self.level = down;
            self.moved = self.clock;
        }
    }

    /// It is `now`: tells what has become of the key.
    pub fn poll(&mut self, now: Duration, mut tell: impl FnMut(Gesture)) {
        self.clock = self.clock.max(now);
        while let Some((at, due)) = self.next() {
            if at > self.clock {
                break;
            }
            if let Some(gesture) = self.apply(due) {
                tell(gesture);
            }
        }
    }

    /// When to poll next, if no edge comes before.
    pub fn deadline(&self) -> Option<Duration> {
        self.next().map(|(at, _)| at)
    }

    /// The level after the last edge: whoever samples the line passes an edge if it differs.
    pub fn level(&self) -> bool {
        self.level
    }

    fn next(&self) -> Option<(Duration, Due)> {
        let settled = match self.phase {
            Phase::Unknown => None,
            Phase::Up => Some(false),
            Phase::Down { .. } | Phase::Stuck => Some(true),
        };
        if settled != Some(self.level) {
            return Some((
                self.moved.saturating_add(self.timing.debounce),
                Due::Settled,
            ));
        }
        let Phase::Down { since, step } = self.phase else {
            return None;
        };
        // Once it has bounced it has to stand still again: it may just be on its way up.
        let still = if self.moved > since {
            self.moved.saturating_add(self.timing.debounce)
        } else {
            since
        };
        let after = |held: Duration| since.saturating_add(held).max(still);
        let stuck = after(self.timing.stuck);
        match self.timing.holds.get(step) {
            Some(held) if after(*held) < stuck => Some((after(*held), Due::Hold(step))),
            _ => Some((stuck, Due::Stuck)),
        }
    }

    fn apply(&mut self, due: Due) -> Option<Gesture> {
        let (phase, gesture) = match (due, self.phase, self.level) {
            (Due::Settled, Phase::Unknown, true) => (Phase::Stuck, Some(Gesture::Stuck)),
            (Due::Settled, Phase::Unknown, false) => (Phase::Up, None),
            (Due::Settled, Phase::Stuck, _) => (Phase::Up, Some(Gesture::Freed)),
            (Due::Settled, Phase::Down { since, .. }, _) => {
                let after = self.moved.saturating_sub(since);
                (Phase::Up, Some(Gesture::Release { after }))
            }
            (Due::Settled, Phase::Up, _) => {
                let since = self.moved;
                (Phase::Down { since, step: 0 }, Some(Gesture::Press))
            }
            (Due::Hold(step), Phase::Down { since, .. }, _) => {
                let step_after = step + 1;
                (
                    Phase::Down {
                        since,
                        step: step_after,
                    },
                    Some(Gesture::Hold { step }),
                )
            }
            (Due::Hold(_), phase, _) => (phase, None),
            (Due::Stuck, _, _) => (Phase::Stuck, Some(Gesture::Stuck)),
        };
        self.phase = phase;
        gesture
    }
}

#[cfg(test)]
mod tests;
