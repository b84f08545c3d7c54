// SPDX-License-Identifier: MIT OR Apache-2.0

//! When a source is tried again and when it counts as stalled: pure, with the time as argument.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);
/// Running this long makes an earlier failure history.
const HEALTHY: Duration = Duration::from_secs(30);

/// Waits between attempts: half a second, then twice as long each time, at most ten.
#[derive(Clone, Debug, Default)]
pub(super) struct BackOff {
    attempts: u32,
}

impl BackOff {
    /// The wait before the next attempt, after a source that ran for `ran`.
    pub(super) fn next(&mut self, ran: Duration) -> Duration {
        if ran >= HEALTHY {
            self.attempts = 0;
        }
        let wait = (FIRST * 2_u32.saturating_pow(self.attempts)).min(LONGEST);
        self.attempts = (self.attempts + 1).min(8);
        wait
    }

    /// The device came back: no reason to wait any more.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// Whether a source that ought to give something has been silent for too long.
#[derive(Clone, Debug)]
pub(super) struct StallWatch {
    after: Duration,
    /// The last moment at which silence was in order.
    fine_at: Duration,
}

impl StallWatch {
    /// Begins to watch at `now`.
    pub(super) fn new(after: Duration, now: Duration) -> Self {
        Self {
            after,
            fine_at: now,
        }
    }

    /// Looks at `now`: when the last buffer arrived (`None`: never), and whether the track is muted.
    pub(super) fn stalled(
        &mut self,
        now: Duration,
        arrived: Option<Duration>,
        muted: bool,
    ) -> bool {
        if muted {
            self.fine_at = now;
        }
        if let Some(arrived) = arrived {
            self.fine_at = self.fine_at.max(arrived);
        }
        now.saturating_sub(self.fine_at) >= self.after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn the_wait_grows_and_stays_bearable() {
        let mut back_off = BackOff::default();
        let waits: Vec<_> = (0..7)
            .map(|_| back_off.next(Duration::ZERO).as_millis())
            .collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        for _ in 0..100 {
            assert_eq!(back_off.next(Duration::ZERO), LONGEST);
        }
    }

    #[test]
    fn a_source_that_ran_well_is_opened_again_at_once() {
        let mut back_off = BackOff::default();
        for _ in 0..5 {
            back_off.next(Duration::ZERO);
        }
        assert_eq!(back_off.next(seconds(60)), FIRST);
    }

    #[test]
    fn silence_counts_from_the_last_buffer() {
        let mut watch = StallWatch::new(seconds(5), seconds(0));
        assert!(!watch.stalled(seconds(4), None, false));
        assert!(!watch.stalled(seconds(8), Some(seconds(4)), false));
        assert!(watch.stalled(seconds(9), Some(seconds(4)), false));
    }

    #[test]
    fn a_muted_source_may_be_silent_and_gets_its_time_after_unmuting() {
        let mut watch = StallWatch::new(seconds(5), seconds(0));
        assert!(!watch.stalled(seconds(100), None, true));
        assert!(!watch.stalled(seconds(104), None, false));
        assert!(watch.stalled(seconds(105), None, false));
    }
}
