// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long to wait before the next attempt.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);

/// Whoever comes back must be back within 5 s of the network's return, media included. A TCP
/// connection attempt sends at 0, 1 and 3 s, and [`super::connect::TIMEOUT`] ends it at 4 s, so with
/// at most 2 s in between no gap between two packets is longer than 3 s. Tried with namespaces: 40 s
/// without network end in failures that come at once, and then this is the whole gap.
const LONGEST: Duration = Duration::from_secs(2);

/// Exponential back-off with jitter, so that the clients of a restarted server do not come at once.
#[derive(Debug)]
pub(super) struct Backoff {
    attempts: u32,
    random: u64,
}

impl Backoff {
    /// `seed` makes the jitter; any number will do.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            attempts: 0,
            // The generator stands still at zero.
            random: seed | 1,
        }
    }

    /// The wait before the next attempt: between half and all of 0.2 s, 0.4 s, ... 2 s.
    pub(super) fn next(&mut self) -> Duration {
        let full = FIRST
            .saturating_mul(1 << self.attempts.min(10))
            .min(LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        // xorshift64: spread is all that is asked of it.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        full / 2 + full.mul_f64((self.random >> 33) as f64 / (1_u64 << 32) as f64)
    }

    /// A connection has held: start small again.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_below_the_longest() {
        for seed in [0, 1, 42, u64::MAX] {
            let mut backoff = Backoff::new(seed);
            let waits: Vec<_> = (0..40).map(|_| backoff.next()).collect();
            assert!(waits[0] >= FIRST / 2 && waits[0] <= FIRST);
            assert!(waits[4] > waits[0]);
            assert!(waits.iter().all(|wait| *wait <= LONGEST));
            assert!(waits[10..].iter().all(|wait| *wait >= LONGEST / 2));
            backoff.reset();
            assert!(backoff.next() <= FIRST);
        }
    }

    #[test]
    fn two_seeds_wait_differently() {
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..5).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        assert_ne!(waits(0x1234_5678_9abc_def0), waits(0x0fed_cba9_8765_4321));
    }
}
