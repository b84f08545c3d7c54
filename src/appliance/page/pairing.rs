// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pairing code: shown at the box, typed on the network, good for one device.
//!
//! Eight digits live two minutes and five attempts. A code that was guessed at until it was void is followed by a
//! pause that doubles each time up to a quarter of an hour: a year of guessing finds a code in one case of 500.

use std::time::Duration;

use subtle::ConstantTimeEq;

/// Digits of a code.
const DIGITS: usize = 8;

/// How long a code is good.
pub(super) const LIFE: Duration = Duration::from_secs(120);

/// Wrong attempts that a code survives, and the one that ends it.
const MOST_ATTEMPTS: u32 = 5;

/// The pause after the first code that was guessed at.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// Doubling ends here: an attacker must not keep people out for a day.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// A pairing code, to be shown at the box.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Code([u8; DIGITS]);

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// It was the code. It is used up.
    Right,
    /// It was not; so many attempts are left.
    Wrong {
        /// With this code.
        left: u32,
    },
    /// There is no code, or not any more.
    NoCode,
}

/// The code that counts at the moment, and what was done to earlier ones. Times are since any fixed moment.
#[derive(Default)]
pub(super) struct Pairing {
    current: Option<Current>,
    /// Codes in a row that were guessed at until they were void.
    guessed: u32,
    pause_until: Duration,
}

struct Current {
    code: Code,
    until: Duration,
    attempts: u32,
}

impl Code {
    /// Makes one; `random` fills with random bytes.
    ///
    /// # Errors
    /// What `random` fails with.
    pub(super) fn random<E>(mut random: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut digits = [0; DIGITS];
        for digit in &mut digits {
            // Every digit as often as the others: 250 is the highest multiple of ten in a byte.
            *digit = loop {
                let mut byte = [0];
                random(&mut byte)?;
                if byte[0] < 250 {
                    break b'0' + byte[0] % 10;
                }
            };
        }
        Ok(Self(digits))
    }

    /// As people read it: two groups of four.
    pub(super) fn words(&self) -> String {
        let digits: String = self.0.iter().map(|digit| char::from(*digit)).collect();
        let (first, second) = digits.split_at(DIGITS / 2);
        format!("{first} {second}")
    }

    /// Whether `typed` is this code, with spaces and hyphens anywhere; as slow for a near miss as for any other.
    fn is(&self, typed: &str) -> bool {
        let typed: Vec<u8> = typed
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace() && *byte != b'-')
            .collect();
        typed.ct_eq(&self.0).into()
    }
}

impl Pairing {
    /// The code to show at `now`: the one that is good still, or `new`.
    ///
    /// # Errors
    /// How long to wait, after a code that was guessed at.
    pub(super) fn show(&mut self, new: Code, now: Duration) -> Result<Code, Duration> {
        if let Some(current) = self.current(now) {
            return Ok(current.code.clone());
        }
        if now < self.pause_until {
            return Err(self.pause_until - now);
        }
        self.current = Some(Current {
            code: new.clone(),
            until: now + LIFE,
            attempts: 0,
        });
        Ok(new)
    }

    /// Somebody typed something.
    pub(super) fn attempt(&mut self, typed: &str, now: Duration) -> Tried {
        let Some(current) = self.current(now) else {
            return Tried::NoCode;
        };
        if current.code.is(typed) {
            self.current = None;
            self.guessed = 0;
            return Tried::Right;
        }
        current.attempts += 1;
        let left = MOST_ATTEMPTS - current.attempts;
        if left == 0 {
            self.current = None;
            let pause = FIRST_PAUSE.saturating_mul(1 << self.guessed.min(10));
            self.pause_until = now + pause.min(LONGEST_PAUSE);
            self.guessed += 1;
        }
        Tried::Wrong { left }
    }

    fn current(&mut self, now: Duration) -> Option<&mut Current> {
        self.current.as_mut().filter(|current| now < current.until)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn code(digits: &[u8; DIGITS]) -> Code {
        Code(*digits)
    }

    fn second(seconds: u64) -> Duration {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn a_code_is_good_once_however_its_digits_are_grouped() {
        let mut pairing = Pairing::default();
        let shown = pairing.show(code(b"12345678"), NOW).unwrap();
        assert_eq!(shown.words(), "1234 5678");
        assert_eq!(pairing.attempt("12-34 5678", NOW), Tried::Right);
        assert_eq!(pairing.attempt("12345678", NOW), Tried::NoCode);
    }

    #[test]
    fn a_code_dies_of_age_and_whoever_asks_again_before_gets_the_same() {
        let mut pairing = Pairing::default();
        pairing.show(code(b"12345678"), NOW).unwrap();
        let again = pairing.show(code(b"87654321"), second(119)).unwrap();
        assert_eq!(again.words(), "1234 5678");
        assert_eq!(pairing.attempt("12345678", second(120)), Tried::NoCode);
        let next = pairing.show(code(b"87654321"), second(120)).unwrap();
        assert_eq!(next.words(), "8765 4321");
    }

    #[test]
    fn five_wrong_attempts_void_a_code_and_each_such_code_doubles_the_pause() {
        let mut pairing = Pairing::default();
        let mut now = NOW;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pairing.show(code(b"12345678"), now).unwrap();
            for left in (0..5).rev() {
                assert_eq!(pairing.attempt("12345679", now), Tried::Wrong { left });
            }
            // The right one comes too late.
            assert_eq!(pairing.attempt("12345678", now), Tried::NoCode);
            let pause = pairing.show(code(b"12345678"), now).err().unwrap();
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900, 900]);
        pairing.show(code(b"12345678"), now).unwrap();
        assert_eq!(pairing.attempt("12345678", now), Tried::Right);
        pairing.show(code(b"12345678"), now).unwrap();
        for _ in 0..5 {
            pairing.attempt("", now);
        }
        let pause = pairing.show(code(b"12345678"), now).err().unwrap();
        assert_eq!(pause.as_secs(), 30, "who was paired begins anew");
    }

    #[test]
    fn nothing_like_the_code_is_the_code() {
        for typed in [
            "",
            "1234567",
            "123456780",
            "1234567８",
            "        ",
            "12345670",
        ] {
            assert!(!code(b"12345678").is(typed), "{typed:?}");
        }
    }

    #[test]
    fn digits_are_drawn_evenly_and_without_those_bytes_that_favour_some() {
        let mut bytes = (0..=255u8).cycle();
        let mut counts = [0u32; 10];
        for _ in 0..1000 {
            let drawn = Code::random(|into| {
                into.fill_with(|| bytes.next().unwrap());
                Ok::<_, ()>(())
            });
            for digit in drawn.unwrap().0 {
                counts[usize::from(digit - b'0')] += 1;
            }
        }
        assert!(counts.iter().all(|count| *count == 800), "{counts:?}");
        assert_eq!(Code::random(|_| Err("none")).err(), Some("none"));
    }
}
