// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much of something may be had in a time.

use std::time::Duration;

/// Holds what may be had in one second, and fills evenly.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: u32,
    /// In millionths.
    level: u64,
    at: Duration,
}

impl Bucket {
    /// `rate` in a second, and as much at once after a pause.
    pub(crate) fn new(rate: u32, now: Duration) -> Self {
        Self {
            rate,
            level: u64::from(rate) * 1_000_000,
            at: now,
        }
    }

    /// Takes so much; `false`, and nothing is taken, when there is not enough.
    pub(crate) fn take(&mut self, amount: u32, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_micros();
        self.at = self.at.max(now);
        let full = u64::from(self.rate) * 1_000_000;
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        self.level = passed
            .saturating_mul(u64::from(self.rate))
            .saturating_add(self.level)
            .min(full);
        let cost = u64::from(amount) * 1_000_000;
        let enough = cost <= self.level;
        if enough {
            self.level -= cost;
        }
        enough
    }

    /// Gives back what was taken.
    pub(crate) fn give(&mut self, amount: u32) {
        let full = u64::from(self.rate) * 1_000_000;
        let level = self.level.saturating_add(u64::from(amount) * 1_000_000);
        self.level = level.min(full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_gives_what_it_is_worth_and_saves_no_more() {
        let mut bucket = Bucket::new(10, Duration::ZERO);
        let mut take = |ms| bucket.take(1, Duration::from_millis(ms));
        assert_eq!((0..50).filter(|_| take(0)).count(), 10);
        assert!(!take(99));
        assert!(take(100));
        assert_eq!((0..50).filter(|_| take(3_600_000)).count(), 10);
        // A clock that goes back gives nothing away.
        assert!(!take(0));
        assert!(!take(3_600_000));
    }

    #[test]
    fn what_is_too_large_is_refused_and_costs_nothing() {
        let mut bucket = Bucket::new(10, Duration::ZERO);
        assert!(!bucket.take(11, Duration::ZERO));
        assert!(bucket.take(10, Duration::ZERO));
        bucket.give(4);
        assert!(!bucket.take(5, Duration::ZERO));
        bucket.give(100);
        assert!(!bucket.take(11, Duration::ZERO));
        assert!(bucket.take(10, Duration::ZERO));
    }
}
