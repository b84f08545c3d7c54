// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often a password may be tried: five times, then after pauses that double up to a quarter of an hour. A year of
//! guessing is 35 000 tries.

use std::time::Duration;

/// Tries in a row before the first pause.
const FREE: u32 = 5;

/// The pause after the last of these.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// Doubling ends here: an attacker must not keep people out for a day.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// The tries of one kind of people. Times are since any fixed moment.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// In a row, none of them right.
    wrong: u32,
    pause_until: Duration,
}

impl Attempts {
    /// Takes one, before it is known whether it is right; says whether it is the last before a pause.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn take(&mut self, now: Duration) -> Result<bool, Duration> {
        if now < self.pause_until {
            return Err(self.pause_until - now);
        }
        self.wrong = self.wrong.saturating_add(1);
        let Some(over) = self.wrong.checked_sub(FREE) else {
            return Ok(false);
        };
        let pause = FIRST_PAUSE.saturating_mul(1 << over.min(10));
        self.pause_until = now + pause.min(LONGEST_PAUSE);
        Ok(true)
    }

    /// The last one was right.
    pub(super) fn right(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_five_wrong_tries_each_further_one_takes_twice_the_pause() {
        let mut attempts = Attempts::default();
        let mut now = Duration::from_secs(1000);
        for last in [false, false, false, false, true] {
            assert_eq!(attempts.take(now), Ok(last));
        }
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let Err(pause) = attempts.take(now) else {
                panic!("no pause after {pauses:?}");
            };
            pauses.push(pause.as_secs());
            assert!(
                attempts
                    .take(now + pause - Duration::from_millis(1))
                    .is_err()
            );
            now += pause;
            assert_eq!(attempts.take(now), Ok(true));
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900]);
        attempts.right();
        assert_eq!(attempts.take(now), Ok(false));
    }
}
