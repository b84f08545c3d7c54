// SPDX-License-Identifier: MIT OR Apache-2.0
//! Refuses frames that were here before.
//!
//! LiveKit's clients keep no such memory, so a server can play a recorded sentence twice. What can be promised depends
//! on how the sender makes its IVs: only a counter or a time stamp inside tells old from new for ever.

mod classify;
mod recent;
mod timestamps;
mod window;

use classify::{Classifier, Kind};
use recent::RecentIvs;
use timestamps::Timestamps;
use window::Windows;

use crate::iv::Iv;

/// How frames of a sender are told from replays; see each kind for what it can promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// For our own senders: a window of 1 024 frames per IV prefix, at most 16 prefixes. Nothing older ever opens.
    Window,
    /// For LiveKit's JavaScript and native senders: the exact last 4 096 IVs, and the RTP time stamp inside the IV
    /// not older than 5 s, for at most 16 SSRCs.
    Libwebrtc {
        /// Ticks per second of the RTP time stamp: 90 000 for video, 48 000 for Opus.
        clock_rate: u32,
    },
    /// For senders with random IVs: the exact last 65 536 IVs. What is older would open again.
    RandomIvs,
    /// For foreign rooms: told from the first frames that authenticate.
    Auto {
        /// Ticks per second of the RTP time stamp, should the sender be of the libwebrtc kind.
        clock_rate: u32,
    },
}

/// What is remembered of the frames that opened.
#[derive(Debug)]
pub(crate) enum Guard {
    Window(Windows),
    Libwebrtc(RecentIvs, Timestamps),
    RandomIvs(RecentIvs),
    Undecided {
        recent: RecentIvs,
        classifier: Classifier,
        clock_rate: u32,
    },
}

impl Guard {
    /// A memory without frames; all space it needs is taken now.
    pub(crate) fn new(replay: Replay) -> Self {
        match replay {
            Replay::Window => Self::Window(Windows::default()),
            Replay::Libwebrtc { clock_rate } => {
                Self::Libwebrtc(RecentIvs::new(FEW), Timestamps::new(clock_rate))
            }
            Replay::RandomIvs => Self::RandomIvs(RecentIvs::new(MANY)),
            Replay::Auto { clock_rate } => Self::Undecided {
                recent: RecentIvs::new(FEW),
                classifier: Classifier::default(),
                clock_rate,
            },
        }
    }

    /// Whether a frame with this IV is worth a try. Nothing about it is known yet, so nothing is remembered.
    pub(crate) fn admits(&self, iv: &Iv) -> bool {
        match self {
            Self::Window(windows) => windows.admits(iv),
            Self::Libwebrtc(recent, timestamps) => timestamps.admits(iv) && !recent.contains(iv),
            Self::RandomIvs(recent) | Self::Undecided { recent, .. } => !recent.contains(iv),
        }
    }

    /// Remembers the IV of a frame that authenticated and was admitted.
    pub(crate) fn record(&mut self, iv: &Iv) {
        match self {
            Self::Window(windows) => windows.record(iv),
            Self::Libwebrtc(recent, timestamps) => {
                recent.insert(iv);
                timestamps.record(iv);
            }
            Self::RandomIvs(recent) => recent.insert(iv),
            Self::Undecided {
                recent,
                classifier,
                clock_rate,
            } => {
                recent.insert(iv);
                if let Some(kind) = classifier.observe(iv) {
                    let recent = core::mem::take(recent);
                    *self = Self::decided(kind, recent, *clock_rate);
                }
            }
        }
    }

    /// Whether frames older than what is remembered would open again.
    pub(crate) fn is_bounded(&self) -> bool {
        matches!(self, Self::RandomIvs(_))
    }

    /// The kind of memory that fits the sender, holding what was seen so far.
    fn decided(kind: Kind, recent: RecentIvs, clock_rate: u32) -> Self {
        match kind {
            Kind::Counter => {
                let mut windows = Windows::default();
                recent.iter().for_each(|iv| windows.record(iv));
                Self::Window(windows)
            }
            Kind::Timestamp => {
                let mut timestamps = Timestamps::new(clock_rate);
                recent.iter().for_each(|iv| timestamps.record(iv));
                Self::Libwebrtc(recent, timestamps)
            }
            Kind::Random => {
                let mut many = RecentIvs::new(MANY);
                recent.iter().for_each(|iv| many.insert(iv));
                Self::RandomIvs(many)
            }
        }
    }
}

/// Enough for 5 s of three simulcast layers at 60 frames a second, four times over.
const FEW: usize = 4096;
/// Half an hour of video; 1.3 MB.
const MANY: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn own(counter: u32) -> Iv {
        words(0x8811_9922, 0xA1B2_C3D4, counter)
    }

    fn libwebrtc(ssrc: u32, timestamp: u32, count: u32) -> Iv {
        words(ssrc, timestamp, timestamp.wrapping_sub(count % 0xFFFF))
    }

    fn random(seed: u32) -> Iv {
        let mix = |n: u32| {
            seed.wrapping_add(n)
                .wrapping_mul(0x9E37_79B9)
                .rotate_left(13)
                .wrapping_mul(0x85EB_CA6B)
        };
        words(mix(1), mix(2), mix(3))
    }

    fn words(a: u32, b: u32, c: u32) -> Iv {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&a.to_be_bytes());
        bytes[4..8].copy_from_slice(&b.to_be_bytes());
        bytes[8..].copy_from_slice(&c.to_be_bytes());
        bytes.into()
    }

    fn play(guard: &mut Guard, iv: Iv) -> bool {
        let admitted = guard.admits(&iv);
        if admitted {
            guard.record(&iv);
        }
        admitted
    }

    #[test]
    fn a_window_takes_each_counter_once_in_any_order_and_nothing_older() {
        let mut guard = Guard::new(Replay::Window);
        for counter in [5000, 5002, 5001, 6000, 5003, 6001 - 1023] {
            assert!(play(&mut guard, own(counter)), "{counter}");
            assert!(!play(&mut guard, own(counter)), "{counter} again");
        }
        assert!(play(&mut guard, own(9000)));
        assert!(!play(&mut guard, own(9000 - 1024)));
        assert!(play(&mut guard, own(9000 - 1023)));
        assert!(!play(&mut guard, own(0)));
        assert!(play(&mut guard, own(u32::MAX)));
        assert!(!play(&mut guard, own(9001)));
    }

    #[test]
    fn windows_agree_with_an_exact_set_under_any_order() {
        let mut guard = Guard::new(Replay::Window);
        let (mut seen, mut highest, mut state) = (std::collections::HashSet::new(), 0, 1_u32);
        for step in 0..20_000_u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let counter = 10_000 + step + (state >> 16) % 1500;
            let expected = counter + 1024 > highest && seen.insert(counter);
            highest = highest.max(counter);
            assert_eq!(play(&mut guard, own(counter)), expected);
        }
    }

    #[test]
    fn the_seventeenth_prefix_is_refused_rather_than_an_old_one_forgotten() {
        let mut guard = Guard::new(Replay::Window);
        for prefix in 0..16 {
            assert!(play(&mut guard, words(prefix, 1, 7)));
        }
        assert!(!play(&mut guard, words(16, 1, 7)));
        assert!(!play(&mut guard, words(0, 1, 7)));
        assert!(play(&mut guard, words(0, 1, 8)));
    }

    #[test]
    fn libwebrtc_frames_open_once_and_not_after_five_seconds() {
        let mut guard = Guard::new(Replay::Libwebrtc { clock_rate: 90_000 });
        // Across the wrap of the time stamp, as every long call has it.
        let at = |frame: u32| 0xFFFF_0000_u32.wrapping_add(frame * 3000);
        for frame in 0..10_000 {
            assert!(play(&mut guard, libwebrtc(7, at(frame), frame)));
        }
        for frame in 0..10_000 {
            assert!(!play(&mut guard, libwebrtc(7, at(frame), frame)), "{frame}");
        }
        // Not seen, 5 s old: in time; one tick more: too late.
        let newest = at(9_999);
        assert!(play(&mut guard, words(7, newest - 450_000, 1)));
        assert!(!play(&mut guard, words(7, newest - 450_001, 1)));
        // Another simulcast layer has a clock of its own.
        assert!(play(&mut guard, libwebrtc(8, 5, 0)));
    }

    #[test]
    fn random_ivs_are_remembered_exactly_up_to_the_cap() {
        let mut guard = Guard::new(Replay::RandomIvs);
        assert!(guard.is_bounded());
        for seed in 0..70_000 {
            assert!(play(&mut guard, random(seed)));
        }
        for seed in 70_000 - 65_536..70_000 {
            assert!(!play(&mut guard, random(seed)));
        }
        assert!(play(&mut guard, random(0)));
    }

    #[test]
    fn the_kind_of_sender_is_told_from_its_frames_and_nothing_is_forgotten() {
        type Sender = fn(u32) -> Iv;
        let own: Sender = |frame| own(0x0200_0000 + frame);
        let lossy: Sender = |frame| libwebrtc(9, frame * 3000, 65_500 + frame + frame / 5);
        let stuck: Sender = |frame| words(frame.wrapping_mul(0x9E37_79B9), 0, 0);
        for (sender, kind) in [
            (own, "Window"),
            (lossy, "Libwebrtc"),
            (random, "RandomIvs"),
            (stuck, "RandomIvs"),
        ] {
            let mut guard = Guard::new(Replay::Auto { clock_rate: 90_000 });
            for frame in 0..200 {
                assert!(play(&mut guard, sender(frame)), "{kind} {frame}");
            }
            for frame in 0..200 {
                assert!(!play(&mut guard, sender(frame)), "{kind} {frame}");
            }
            assert!(std::format!("{guard:?}").starts_with(kind), "{kind}");
            assert_eq!(guard.is_bounded(), kind == "RandomIvs");
        }
    }

    #[test]
    fn ivs_at_the_ends_of_every_range_are_no_reason_to_panic() {
        let ends = [0, 1, 0xFFFE, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, u32::MAX];
        for replay in [
            Replay::Window,
            Replay::Libwebrtc {
                clock_rate: u32::MAX,
            },
            Replay::RandomIvs,
            Replay::Auto { clock_rate: 0 },
        ] {
            let mut guard = Guard::new(replay);
            for a in ends {
                for b in ends {
                    for c in ends {
                        play(&mut guard, words(a, b, c));
                    }
                }
            }
        }
    }
}
