// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a frame did not open.

use core::time::Duration;

/// Why a frame did not open, as far as one frame and its neighbours can tell. The frame must be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Verdict {
    /// No valid trailer: the sender does not seal, or the server stripped it.
    #[error("the frame is clear")]
    Clear,
    /// There is no key at the index the frame names.
    #[error("no key for the frame's key index")]
    NoKey,
    /// The tag fails after a gap in the packets: most likely a damaged frame.
    #[error("the frame is damaged by packet loss")]
    Loss,
    /// The tag fails with no packet lost, but not yet often enough to say why.
    #[error("the frame does not authenticate")]
    Unverified,
    /// The tag fails again and again, from a peer who proved to have the key.
    #[error("the frames are altered on the way")]
    Altered,
    /// The tag fails again and again, and the peer has not proved to have the key.
    #[error("the frames are sealed with another key, or altered")]
    OtherKey,
    /// The IV is not that of this track: frames of another track of the same sender, or of another join.
    #[error("the frame belongs to another track")]
    OtherTrack,
    /// The frame was here before, or is too old to tell.
    #[error("the frame is a replay")]
    Replayed,
    /// The server made the frame itself and says so by its trailer.
    #[error("the frame comes from the server")]
    ServerInjected,
    /// Not a frame: empty, or no slice in it.
    #[error("the frame is malformed")]
    Malformed,
}

/// Remembers the last failures on contiguous packets, to tell an accident from a pattern.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Times of the last failures but the newest, oldest first.
    recent: [Option<Duration>; PATTERN - 1],
    pub(crate) peer_confirmed: bool,
}

impl Failures {
    /// The verdict on a frame whose tag failed.
    pub(crate) fn judge(&mut self, gap: bool, now: Duration) -> Verdict {
        if gap {
            return Verdict::Loss;
        }
        let pattern = self.recent[0].is_some_and(|first| now.saturating_sub(first) <= PATTERN_TIME);
        self.recent.rotate_left(1);
        self.recent[PATTERN - 2] = Some(now);
        match (pattern, self.peer_confirmed) {
            (false, _) => Verdict::Unverified,
            (true, true) => Verdict::Altered,
            (true, false) => Verdict::OtherKey,
        }
    }
}

/// So many failures within [`PATTERN_TIME`] are no accident.
const PATTERN: usize = 3;
const PATTERN_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(failures: &mut Failures, millis: u64) -> Verdict {
        failures.judge(false, Duration::from_millis(millis))
    }

    #[test]
    fn the_third_failure_within_a_second_is_a_pattern() {
        let mut failures = Failures::default();
        assert_eq!(at(&mut failures, 0), Verdict::Unverified);
        assert_eq!(at(&mut failures, 500), Verdict::Unverified);
        assert_eq!(at(&mut failures, 1000), Verdict::OtherKey);
        failures.peer_confirmed = true;
        assert_eq!(at(&mut failures, 1400), Verdict::Altered);
        assert_eq!(at(&mut failures, 2300), Verdict::Unverified);
    }

    #[test]
    fn failures_after_gaps_are_loss_and_count_for_nothing() {
        let mut failures = Failures::default();
        for _ in 0..9 {
            assert_eq!(failures.judge(true, Duration::ZERO), Verdict::Loss);
        }
        assert_eq!(at(&mut failures, 0), Verdict::Unverified);
    }
}
