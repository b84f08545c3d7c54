// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the board can afford, and what gives way when it cannot.
//!
//! [`MediaBudget`] is plain data, filled from the board file by the appliance. [`Ladder`] is a pure
//! state machine with the time as an argument: on sustained overrun it takes away frame rate first,
//! then tiles, then picture size, and gives back slowly. Sound is on no rung: it never gives way.

use std::time::Duration;

use roomseal_e2ee::Codec;

/// What one encoder may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeBudget {
    /// Largest picture width in pixels.
    pub width: u32,
    /// Largest picture height in pixels.
    pub height: u32,
    /// Largest frame rate in frames per second.
    pub framerate: u32,
    /// Largest video bitrate in bit/s.
    pub bitrate: u32,
}

/// What the board affords in one meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaBudget {
    /// Limits while encoding VP8.
    pub vp8: EncodeBudget,
    /// Limits while encoding H.264.
    pub h264: EncodeBudget,
    /// How many remote participants are shown at once.
    pub tiles: u32,
    /// Width of one tile in pixels.
    pub tile_width: u32,
    /// Height of one tile in pixels.
    pub tile_height: u32,
}

impl MediaBudget {
    /// The limits for a video codec; for [`Codec::Opus`] those of VP8, which do not matter there.
    #[must_use]
    pub fn encode(&self, codec: Codec) -> EncodeBudget {
        match codec {
            Codec::H264 => self.h264,
            Codec::Opus | Codec::Vp8 => self.vp8,
        }
    }
}

impl Default for MediaBudget {
    /// What a Raspberry Pi 4 affords: VP8 in software at 360p, H.264 in hardware at 720p.
    fn default() -> Self {
        Self {
            vp8: EncodeBudget {
                width: 640,
                height: 360,
                framerate: 30,
                bitrate: 800_000,
            },
            h264: EncodeBudget {
                width: 1280,
                height: 720,
                framerate: 30,
                bitrate: 1_700_000,
            },
            tiles: 6,
            tile_width: 640,
            tile_height: 360,
        }
    }
}

/// What may be used now: a [`MediaBudget`] after the ladder took its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size, rate and bitrate of the picture we send.
    pub encode: EncodeBudget,
    /// How many remote participants are shown at once.
    pub tiles: u32,
}

/// How long overrun must last before something is taken away.
const SUSTAINED: Duration = Duration::from_secs(3);
/// How long a change may take to show before the load counts again.
const SETTLE: Duration = Duration::from_secs(2);
/// How long all must be well before the first thing is given back.
const CALM: Duration = Duration::from_secs(20);
/// The longest that a board which fails again and again is held down.
const CALM_MAX: Duration = Duration::from_secs(320);
/// An overrun this soon after something was given back means that it was given back too early.
const RELAPSE: Duration = Duration::from_secs(15);

/// Decides what gives way under load.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// From the full budget down to the least; never empty.
    rungs: Vec<Limits>,
    level: usize,
    /// Since when every observation said overrun.
    overrun_since: Option<Duration>,
    /// Since when none did.
    calm_since: Option<Duration>,
    /// Observations before this time are still echoes of the last change.
    settled_at: Duration,
    raised_at: Option<Duration>,
    calm: Duration,
}

impl Ladder {
    /// A ladder at its top.
    #[must_use]
    pub fn new(encode: EncodeBudget, tiles: u32) -> Self {
        Self {
            rungs: rungs(encode, tiles),
            level: 0,
            overrun_since: None,
            calm_since: None,
            settled_at: Duration::ZERO,
            raised_at: None,
            calm: CALM,
        }
    }

    /// What may be used now.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.rungs[self.level]
    }

    /// Steps below the full budget; 0 is the full budget.
    #[must_use]
    pub fn level(&self) -> usize {
        self.level
    }

    /// Goes over to another encoder's budget, as many steps down as before.
    pub fn set_budget(&mut self, encode: EncodeBudget, tiles: u32) {
        self.rungs = rungs(encode, tiles);
        self.level = self.level.min(self.rungs.len() - 1);
    }

    /// Takes one look at the load at the time `now` (any monotonic clock). Call it about once a
    /// second. Returns the new limits if they changed.
    pub fn observe(&mut self, overrun: bool, now: Duration) -> Option<Limits> {
        if now < self.settled_at {
            return None;
        }
        if overrun {
            self.calm_since = None;
            let since = *self.overrun_since.get_or_insert(now);
            if now - since < SUSTAINED || self.level + 1 == self.rungs.len() {
                return None;
            }
            if self
                .raised_at
                .is_some_and(|at| now.saturating_sub(at) < RELAPSE)
            {
                self.calm = (self.calm * 2).min(CALM_MAX);
            }
            self.level += 1;
            self.raised_at = None;
        } else {
            self.overrun_since = None;
            let since = *self.calm_since.get_or_insert(now);
            if self
                .raised_at
                .is_some_and(|at| now.saturating_sub(at) >= RELAPSE)
            {
                // What was given back holds: the next step may come as soon as the first did.
                self.raised_at = None;
                self.calm = CALM;
            }
            if now - since < self.calm || self.level == 0 {
                return None;
            }
            self.level -= 1;
            self.raised_at = Some(now);
        }
        self.overrun_since = None;
        self.calm_since = None;
        self.settled_at = now + SETTLE;
        Some(self.limits())
    }
}

/// Every state of the ladder in order. A step that would change nothing (one tile cannot be
/// halved) is left out, so that each step down really relieves the board.
fn rungs(full: EncodeBudget, tiles: u32) -> Vec<Limits> {
    let mut rungs = vec![Limits {
        encode: full,
        tiles,
    }];
    let mut step = |change: &dyn Fn(&mut Limits)| {
        let last = rungs[rungs.len() - 1];
        let mut next = last;
        change(&mut next);
        if next != last {
            rungs.push(next);
        }
    };
    for (numerator, denominator) in [(2, 3), (1, 2)] {
        step(&|limits| {
            limits.encode.framerate = (full.framerate * numerator / denominator)
                .max(10)
                .min(full.framerate);
        });
    }
    for divisor in [2, 4] {
        step(&|limits| limits.tiles = (tiles / divisor).max(1).min(tiles));
    }
    for (numerator, denominator) in [(3, 4), (1, 2)] {
        step(&|limits| {
            limits.encode.width = even(full.width * numerator / denominator);
            limits.encode.height = even(full.height * numerator / denominator);
            // Bits follow the pixels, not in full: smaller pictures need more bits per pixel.
            limits.encode.bitrate = full.bitrate / denominator * numerator;
        });
    }
    rungs
}

/// Chroma is subsampled by two: odd sizes do not exist for the encoders.
pub(crate) fn even(pixels: u32) -> u32 {
    (pixels & !1).max(2)
}

#[cfg(test)]
mod tests {
    // A failing unwrap is a failing test, with its line.
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FULL: EncodeBudget = EncodeBudget {
        width: 1280,
        height: 720,
        framerate: 30,
        bitrate: 1_500_000,
    };

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    /// Observes once a second from `from` until the limits change; the second it happened.
    fn until_change(ladder: &mut Ladder, overrun: bool, from: u64) -> Option<u64> {
        (from..from + 1_000).find(|&s| ladder.observe(overrun, seconds(s)).is_some())
    }

    #[test]
    fn frame_rate_gives_way_before_tiles_and_tiles_before_size() {
        let mut ladder = Ladder::new(FULL, 6);
        let mut seen = vec![ladder.limits()];
        let mut now = 0;
        while let Some(at) = until_change(&mut ladder, true, now) {
            seen.push(ladder.limits());
            now = at + 1;
        }
        let shape: Vec<_> = seen
            .iter()
            .map(|l| (l.encode.framerate, l.tiles, l.encode.height))
            .collect();
        assert_eq!(
            shape,
            [
                (30, 6, 720),
                (20, 6, 720),
                (15, 6, 720),
                (15, 3, 720),
                (15, 1, 720),
                (15, 1, 540),
                (15, 1, 360),
            ]
        );
    }

    #[test]
    fn a_short_overrun_changes_nothing() {
        let mut ladder = Ladder::new(FULL, 6);
        for s in 0..100 {
            assert_eq!(ladder.observe(s % 3 != 2, seconds(s)), None);
        }
        assert_eq!(ladder.level(), 0);
    }

    #[test]
    fn what_was_taken_comes_back_one_step_at_a_time_and_slowly() {
        let mut ladder = Ladder::new(FULL, 6);
        let down = until_change(&mut ladder, true, 0).unwrap();
        let down = until_change(&mut ladder, true, down + 1).unwrap();
        assert_eq!(ladder.level(), 2);
        let up = until_change(&mut ladder, false, down + 1).unwrap();
        assert_eq!(ladder.level(), 1);
        assert!(up - down >= 20, "came back after {} s", up - down);
        until_change(&mut ladder, false, up + 1).unwrap();
        assert_eq!(ladder.limits().encode, FULL);
    }

    #[test]
    fn a_board_that_relapses_is_held_down_longer_each_time() {
        let mut ladder = Ladder::new(FULL, 6);
        let mut now = until_change(&mut ladder, true, 0).unwrap();
        let mut waits = Vec::new();
        for _ in 0..6 {
            let up = until_change(&mut ladder, false, now + 1).unwrap();
            waits.push(up - now);
            now = until_change(&mut ladder, true, up + 1).unwrap();
        }
        assert!(
            waits.is_sorted() && waits[1] >= 2 * waits[0] - 5,
            "{waits:?}"
        );
        assert!(*waits.last().unwrap() <= 330, "{waits:?}");
    }

    #[test]
    fn the_least_rung_is_not_left_downwards() {
        let mut ladder = Ladder::new(FULL, 1);
        for s in 0..1_000 {
            ladder.observe(true, seconds(s));
        }
        let least = ladder.limits();
        assert_eq!((least.encode.framerate, least.tiles), (15, 1));
        assert_eq!((least.encode.width, least.encode.height), (640, 360));
    }

    #[test]
    fn a_step_that_relieves_nothing_does_not_exist() {
        let slow = EncodeBudget {
            framerate: 10,
            ..FULL
        };
        let rungs = rungs(slow, 1);
        assert!(rungs.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(rungs.len(), 3, "only the two sizes are left: {rungs:?}");
    }

    #[test]
    fn another_encoder_keeps_the_steps_taken() {
        let mut ladder = Ladder::new(FULL, 6);
        until_change(&mut ladder, true, 0).unwrap();
        ladder.set_budget(
            EncodeBudget {
                width: 640,
                height: 360,
                ..FULL
            },
            6,
        );
        assert_eq!(ladder.limits().encode.framerate, 20);
        assert_eq!(ladder.limits().encode.width, 640);
    }

    #[test]
    fn sizes_stay_even() {
        for rung in rungs(
            EncodeBudget {
                width: 854,
                height: 482,
                ..FULL
            },
            4,
        ) {
            assert_eq!((rung.encode.width % 2, rung.encode.height % 2), (0, 0));
        }
    }
}
