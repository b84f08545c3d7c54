// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lamp burns only by renewal: what is lit follows from the last verdict and how old it is.
//!
//! The box sends a [`Renewal`] every [`RENEW_EVERY`]; a [`Lamp`] shows its verdict until it is [`LASTS`] old, and then
//! nothing. Both count the time since the machine was started, also while it sleeps, so a verdict from before a sleep
//! is old afterwards.
//!
//! # Wire format
//!
//! One renewal is one packet of [`Renewal::LENGTH`] bytes on a Unix socket of type SOCK_SEQPACKET:
//!
//! | bytes | content |
//! |---|---|
//! | 0–3 | `RSL1` |
//! | 4 | the state of the shield, 1 to 13 in the order of [`Shield::ALL`] |
//! | 5 | 1: the microphone is muted; 0: it is not |
//! | 6–7 | 0 |
//! | 8–15 | when the verdict was made: CLOCK_BOOTTIME in nanoseconds, least significant byte first |
//!
//! Anything else is [`Malformed`], and the lamp goes dark: two programs that do not understand each other light nothing.

use core::time::Duration;

use roomseal_meeting::Shield;

use crate::light::{self, Light, Pattern};

/// How often a verdict is renewed.
pub const RENEW_EVERY: Duration = Duration::from_millis(250);

/// How long a verdict is worth showing.
pub const LASTS: Duration = Duration::from_millis(1500);

const MAGIC: [u8; 4] = *b"RSL1";

/// A verdict, and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// What the box says about the call.
    pub shield: Shield,
    /// The microphone is muted, in the encoder and at its own switch.
    pub muted: bool,
    /// Since the machine was started.
    pub made: Duration,
}

/// A packet that is no renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no renewal; is the box of another version? Restart the box and the lamp")]
pub struct Malformed;

/// A renewal that renews nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A newer one has been seen.
    #[error("an older verdict than the last")]
    Older,
    /// Made too long ago.
    #[error("a verdict of {} ms ago", .0.as_millis())]
    Stale(Duration),
    /// Made in the future: it would burn for too long.
    #[error("a verdict from the future; do box and lamp run in the same time namespace?")]
    Future,
}

impl Renewal {
    /// Bytes of a packet.
    pub const LENGTH: usize = 16;

    /// As a packet.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let state = Shield::ALL
            .iter()
            .position(|shield| *shield == self.shield)
            .and_then(|index| u8::try_from(index + 1).ok())
            .expect("ALL holds every one of the 13 states");
        let nanos = u64::try_from(self.made.as_nanos()).unwrap_or(u64::MAX);
        let mut bytes = [0; Self::LENGTH];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = state;
        bytes[5] = self.muted.into();
        bytes[8..].copy_from_slice(&nanos.to_le_bytes());
        bytes
    }

    /// From a packet.
    ///
    /// # Errors
    /// When it is anything but exactly one renewal.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes: &[u8; Self::LENGTH] = bytes.try_into().map_err(|_| Malformed)?;
        let [m0, m1, m2, m3, state, muted @ (0 | 1), 0, 0, nanos @ ..] = *bytes else {
            return Err(Malformed);
        };
        if [m0, m1, m2, m3] != MAGIC {
            return Err(Malformed);
        }
        let shield = usize::from(state)
            .checked_sub(1)
            .and_then(|index| Shield::ALL.get(index));
        Ok(Self {
            shield: *shield.ok_or(Malformed)?,
            muted: muted == 1,
            made: Duration::from_nanos(u64::from_le_bytes(nanos)),
        })
    }
}

/// What is lit, from the renewals alone.
#[derive(Clone, Debug, Default)]
pub struct Lamp {
    verdict: Option<Renewal>,
    /// When the verdict became what it is: its pattern runs from there.
    since: Duration,
}

/// What is lit at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lit {
    /// On a lamp with colours.
    pub colour: Light,
    /// On a lamp with one colour.
    pub one_colour: Light,
    /// On the microphone's lamp.
    pub mute: Light,
    /// How long all of that stays so, if no renewal comes; `None`: for ever, and all is dark.
    pub stays: Option<Duration>,
}

impl Lamp {
    /// Takes a verdict at the time `now`.
    ///
    /// # Errors
    /// When it renews nothing; what was lit burns on until its own end.
    pub fn renew(&mut self, renewal: Renewal, now: Duration) -> Result<(), Refused> {
        if renewal.made > now {
            return Err(Refused::Future);
        }
        let age = now - renewal.made;
        if age >= LASTS {
            return Err(Refused::Stale(age));
        }
        let shown = self.verdict.filter(|verdict| fresh(verdict, now));
        if shown.is_some_and(|verdict| renewal.made < verdict.made) {
            return Err(Refused::Older);
        }
        if shown.is_none_or(|verdict| verdict.shield != renewal.shield) {
            self.since = now;
        }
        self.verdict = Some(renewal);
        Ok(())
    }

    /// Goes dark at once.
    pub fn darken(&mut self) {
        self.verdict = None;
    }

    /// Whether a verdict is being shown.
    pub fn burns(&self, now: Duration) -> bool {
        self.verdict.is_some_and(|verdict| fresh(&verdict, now))
    }

    /// How long the verdict that is shown may burn on without being renewed.
    pub fn left(&self, now: Duration) -> Duration {
        self.verdict.map_or(Duration::ZERO, |verdict| {
            (verdict.made + LASTS).saturating_sub(now)
        })
    }

    /// What is lit at the time `now`.
    pub fn lit(&self, now: Duration) -> Lit {
        let Some(verdict) = self.verdict.filter(|verdict| fresh(verdict, now)) else {
            return Lit {
                colour: Light::DARK,
                one_colour: Light::DARK,
                mute: Light::DARK,
                stays: None,
            };
        };
        let since = now.saturating_sub(self.since);
        let left = self.left(now);
        let shown = |pattern: Pattern| (pattern.at(since), pattern.stays(since).unwrap_or(left));
        let (colour, colour_stays) = shown(light::colour(verdict.shield));
        let (one_colour, one_colour_stays) = shown(light::one_colour(verdict.shield));
        Lit {
            colour,
            one_colour,
            mute: light::mute(verdict.muted).at(since),
            stays: Some(left.min(colour_stays).min(one_colour_stays)),
        }
    }
}

fn fresh(verdict: &Renewal, now: Duration) -> bool {
    // A clock that ran back does not make a verdict last longer.
    now.checked_sub(verdict.made).is_some_and(|age| age < LASTS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn sealed(made: Duration) -> Renewal {
        Renewal {
            shield: Shield::Sealed,
            muted: false,
            made,
        }
    }

    fn dark(lamp: &Lamp, now: Duration) -> bool {
        let lit = lamp.lit(now);
        [lit.colour, lit.one_colour, lit.mute]
            .iter()
            .all(|light| *light == Light::DARK)
    }

    #[test]
    fn a_lamp_is_dark_until_it_is_told() {
        assert!(dark(&Lamp::default(), ms(5000)));
        assert_eq!(Lamp::default().lit(ms(5000)).stays, None);
    }

    #[test]
    fn a_verdict_burns_until_it_is_a_second_and_a_half_old() {
        let mut lamp = Lamp::default();
        lamp.renew(sealed(ms(1000)), ms(1200)).unwrap();
        assert_eq!(lamp.lit(ms(2499)).colour.hue, light::Hue::Green);
        assert_eq!(lamp.lit(ms(2499)).colour.level, 255);
        assert!(dark(&lamp, ms(2500)));
        assert_eq!(lamp.lit(ms(1200)).stays, Some(ms(1300)));
    }

    #[test]
    fn renewals_keep_it_burning_and_the_pattern_running() {
        let mut lamp = Lamp::default();
        let fault = |made| Renewal {
            shield: Shield::Fault,
            ..sealed(made)
        };
        let mut seen = Vec::new();
        for now in 0..=8 {
            lamp.renew(fault(ms(now * 250)), ms(now * 250)).unwrap();
            seen.push(lamp.lit(ms(now * 250)).colour.on);
        }
        // Blinking with a period of 400 ms, as without renewals.
        assert_eq!(
            seen,
            [true, false, true, false, false, true, false, true, true]
        );
    }

    #[test]
    fn a_late_or_foreseen_verdict_renews_nothing() {
        let mut lamp = Lamp::default();
        assert_eq!(
            lamp.renew(sealed(ms(1000)), ms(2500)),
            Err(Refused::Stale(ms(1500)))
        );
        assert_eq!(lamp.renew(sealed(ms(1001)), ms(1000)), Err(Refused::Future));
        assert!(dark(&lamp, ms(2500)));
        lamp.renew(sealed(ms(1000)), ms(1000)).unwrap();
        assert_eq!(lamp.renew(sealed(ms(900)), ms(1100)), Err(Refused::Older));
        assert!(dark(&lamp, ms(2500)));
    }

    #[test]
    fn a_darkened_lamp_stays_dark_until_the_next_renewal() {
        let mut lamp = Lamp::default();
        lamp.renew(sealed(ms(1000)), ms(1000)).unwrap();
        lamp.darken();
        assert!(dark(&lamp, ms(1001)));
        lamp.renew(sealed(ms(1010)), ms(1010)).unwrap();
        assert!(!dark(&lamp, ms(1011)));
    }

    #[test]
    fn the_microphone_has_a_lamp_of_its_own() {
        let mut lamp = Lamp::default();
        let muted = Renewal {
            muted: true,
            ..sealed(ms(0))
        };
        lamp.renew(muted, ms(0)).unwrap();
        let lit = lamp.lit(ms(1));
        assert_eq!((lit.mute.hue, lit.mute.on), (light::Hue::Red, true));
        assert_eq!(lit.colour.hue, light::Hue::Green);
    }

    #[test]
    fn a_packet_is_what_the_documentation_says() {
        let renewal = Renewal {
            shield: Shield::Sealed,
            muted: true,
            made: Duration::from_nanos(0x0102_0304_0506_0708),
        };
        assert_eq!(
            renewal.to_bytes(),
            *b"RSL1\x08\x01\0\0\x08\x07\x06\x05\x04\x03\x02\x01"
        );
    }

    fn shield() -> impl Strategy<Value = Shield> {
        prop::sample::select(&Shield::ALL[..])
    }

    proptest! {
        #[test]
        fn packets_come_back_as_they_were(shield in shield(), muted: bool, nanos: u64) {
            let renewal = Renewal { shield, muted, made: Duration::from_nanos(nanos) };
            prop_assert_eq!(Renewal::from_bytes(&renewal.to_bytes()), Ok(renewal));
        }

        #[test]
        fn a_packet_is_read_only_if_writing_it_gives_the_same(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(renewal) = Renewal::from_bytes(&bytes) {
                prop_assert_eq!(&renewal.to_bytes()[..], &bytes[..]);
            }
        }

        #[test]
        fn a_packet_with_one_byte_changed_is_another_or_none(
            shield in shield(), muted: bool, nanos: u64, at in 0_usize..16, flip in 1_u8..,
        ) {
            let renewal = Renewal { shield, muted, made: Duration::from_nanos(nanos) };
            let mut bytes = renewal.to_bytes();
            bytes[at] ^= flip;
            prop_assert_ne!(Renewal::from_bytes(&bytes), Ok(renewal));
        }

        #[test]
        fn whatever_comes_the_lamp_is_dark_a_second_and_a_half_after_the_last_verdict_was_made(
            renewals in prop::collection::vec((shield(), any::<bool>(), 0_u64..4000, 0_u64..500), 1..40),
        ) {
            let mut lamp = Lamp::default();
            let mut now = Duration::ZERO;
            let mut newest = Duration::ZERO;
            for (shield, muted, made, pause) in renewals {
                now += ms(pause);
                let renewal = Renewal { shield, muted, made: ms(made) };
                if lamp.renew(renewal, now).is_ok() {
                    newest = newest.max(ms(made));
                }
                prop_assert!(dark(&lamp, newest.max(now) + LASTS));
                prop_assert!(lamp.burns(now) || dark(&lamp, now));
            }
        }

        #[test]
        fn what_is_lit_stays_as_long_as_it_says(shield in shield(), muted: bool, later in 0_u64..1500) {
            let mut lamp = Lamp::default();
            lamp.renew(Renewal { shield, muted, made: ms(0) }, ms(0)).unwrap();
            let now = ms(later);
            let lit = lamp.lit(now);
            let stays = lit.stays.unwrap();
            prop_assert!(!stays.is_zero() && now + stays <= LASTS);
            let before = lamp.lit(now + stays - Duration::from_nanos(1));
            prop_assert!(before.colour.level.abs_diff(lit.colour.level) <= 5);
            prop_assert_eq!((before.one_colour, before.mute), (lit.one_colour, lit.mute));
        }
    }
}
