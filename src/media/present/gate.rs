// SPDX-License-Identifier: MIT OR Apache-2.0

//! Lets through only frames that a decoder can make sense of.
//!
//! A frame of a video builds on the ones before it. After a loss, a decoder would show smeared
//! pictures until the next key frame, and a recording would keep them for ever; so after a loss
//! nothing passes until a key frame comes, and one is asked for.

use std::time::Duration;

use roomseal_e2ee::Codec;

use super::frame::FrameKind;

/// Key frames of one track are asked for no more often than this.
pub(super) const REQUEST_INTERVAL: Duration = Duration::from_millis(500);

/// What became of a frame at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// It may be decoded.
    Pass,
    /// It may not: something before it is missing.
    Skip,
}

/// The gate of one track.
#[derive(Debug)]
pub(super) struct Gate {
    codec: Codec,
    /// Whether everything since the last key frame has passed.
    whole: bool,
}

impl Gate {
    /// A gate that waits for the first key frame.
    pub(super) fn new(codec: Codec) -> Self {
        Self {
            codec,
            whole: false,
        }
    }

    /// Whether the next frame must be a key frame.
    pub(super) fn waits(&self) -> bool {
        self.codec != Codec::Opus && !self.whole
    }

    /// Decides on one opened frame; `gap` when something before it is missing.
    pub(super) fn pass(&mut self, kind: FrameKind, gap: bool) -> Passage {
        if self.codec == Codec::Opus {
            // Each packet of sound stands for itself.
            return Passage::Pass;
        }
        if kind.oversized {
            self.whole = false;
            return Passage::Skip;
        }
        if kind.key {
            self.whole = true;
        } else if gap {
            self.whole = false;
        }
        if self.whole {
            Passage::Pass
        } else {
            Passage::Skip
        }
    }

    /// Something after the gate was lost or began anew: a key frame is needed.
    pub(super) fn reset(&mut self) {
        self.whole = false;
    }
}

/// When to ask for a key frame.
#[derive(Debug, Default)]
pub(super) struct KeyFrameRequests {
    last: Option<Duration>,
}

impl KeyFrameRequests {
    /// Whether to ask now, given that one is wanted. `now` is on any monotonic clock.
    pub(super) fn ask(&mut self, now: Duration) -> bool {
        let due = self
            .last
            .is_none_or(|last| now.saturating_sub(last) >= REQUEST_INTERVAL);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: FrameKind = FrameKind {
        key: true,
        oversized: false,
    };
    const DELTA: FrameKind = FrameKind {
        key: false,
        oversized: false,
    };

    #[test]
    fn video_starts_at_a_key_frame_and_starts_again_at_one_after_a_gap() {
        let mut gate = Gate::new(Codec::Vp8);
        assert!(gate.waits());
        assert_eq!(gate.pass(DELTA, false), Passage::Skip);
        assert_eq!(gate.pass(KEY, true), Passage::Pass);
        assert_eq!(gate.pass(DELTA, false), Passage::Pass);
        assert_eq!(gate.pass(DELTA, true), Passage::Skip);
        assert_eq!(gate.pass(DELTA, false), Passage::Skip);
        assert!(gate.waits());
        assert_eq!(gate.pass(KEY, false), Passage::Pass);
        gate.reset();
        assert_eq!(gate.pass(DELTA, false), Passage::Skip);
    }

    #[test]
    fn sound_always_passes() {
        let mut gate = Gate::new(Codec::Opus);
        assert!(!gate.waits());
        assert_eq!(
            gate.pass(FrameKind::of(Codec::Opus, &[0xfc]), true),
            Passage::Pass
        );
    }

    #[test]
    fn a_picture_too_large_to_decode_is_refused() {
        // A VP8 key frame of 16 383 x 16 383 pixels.
        let huge = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0];
        let kind = FrameKind::of(Codec::Vp8, &huge);
        assert!(kind.key && kind.oversized);
        let mut gate = Gate::new(Codec::Vp8);
        assert_eq!(gate.pass(kind, false), Passage::Skip);
        assert_eq!(gate.pass(DELTA, false), Passage::Skip);
    }

    #[test]
    fn key_frames_are_asked_for_at_most_twice_a_second() {
        let mut requests = KeyFrameRequests::default();
        let asked = (0..1_000)
            .filter(|ms| requests.ask(Duration::from_millis(*ms)))
            .count();
        assert_eq!(asked, 2);
    }
}
