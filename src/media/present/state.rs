// SPDX-License-Identifier: MIT OR Apache-2.0

//! From what was counted to what is said about a track.

use roomseal_e2ee::Verdict;

use super::config::TrackState;
use crate::elements::framedecrypt::DecryptCounters;

/// Looks at the counters of one track from time to time and says where it stands.
#[derive(Debug)]
pub(super) struct Watch {
    state: TrackState,
    before: DecryptCounters,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            state: TrackState::Waiting,
            before: DecryptCounters::default(),
        }
    }
}

impl Watch {
    /// The newest state.
    pub(super) fn state(&self) -> TrackState {
        self.state
    }

    /// Takes the newest counters; gives the state when it changed.
    pub(super) fn look(&mut self, now: DecryptCounters) -> Option<TrackState> {
        let state = judge(self.before, now).unwrap_or(self.state);
        self.before = now;
        let changed = state != self.state;
        self.state = state;
        changed.then_some(state)
    }
}

/// What happened between two readings; `None` when nothing did that tells.
fn judge(before: DecryptCounters, now: DecryptCounters) -> Option<TrackState> {
    let grown = |field: fn(&DecryptCounters) -> u64| field(&now).saturating_sub(field(&before));
    // One clear frame that was played among sealed ones is worth saying, or a service could slip
    // some in under the word "sealed".
    if grown(|c| c.passed_clear) > 0 {
        return Some(TrackState::Clear);
    }
    if grown(|c| c.frames.opened) > 0 {
        return Some(TrackState::Verified);
    }
    if grown(|c| c.held) > 0 {
        return Some(TrackState::Held);
    }
    // The most frequent reason speaks; frames of the server say nothing about the sender.
    [
        (grown(|c| c.frames.loss), Verdict::Loss),
        (grown(|c| c.frames.unverified), Verdict::Unverified),
        (grown(|c| c.frames.malformed), Verdict::Malformed),
        (grown(|c| c.frames.replayed), Verdict::Replayed),
        (grown(|c| c.frames.other_track), Verdict::OtherTrack),
        (grown(|c| c.frames.other_key), Verdict::OtherKey),
        (grown(|c| c.frames.altered), Verdict::Altered),
        (grown(|c| c.frames.no_key), Verdict::NoKey),
        (grown(|c| c.frames.clear), Verdict::Clear),
    ]
    .into_iter()
    .max_by_key(|(count, _)| *count)
    .filter(|(count, _)| *count > 0)
    .map(|(_, verdict)| TrackState::CannotOpen(verdict))
}

#[cfg(test)]
mod tests {
    use roomseal_e2ee::OpenCounters;

    use super::*;

    fn counters(opened: u64, clear: u64, other_key: u64) -> DecryptCounters {
        DecryptCounters {
            frames: OpenCounters {
                opened,
                clear,
                other_key,
                ..OpenCounters::default()
            },
            ..DecryptCounters::default()
        }
    }

    #[test]
    fn a_track_waits_then_verifies_then_says_why_not() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(counters(0, 0, 0)), None);
        assert_eq!(watch.state(), TrackState::Waiting);
        assert_eq!(watch.look(counters(1, 0, 0)), Some(TrackState::Verified));
        assert_eq!(watch.look(counters(9, 0, 3)), None);
        assert_eq!(
            watch.look(counters(9, 0, 5)),
            Some(TrackState::CannotOpen(Verdict::OtherKey))
        );
        assert_eq!(watch.look(counters(12, 0, 5)), Some(TrackState::Verified));
    }

    #[test]
    fn silence_changes_nothing() {
        let mut watch = Watch::default();
        watch.look(counters(1, 0, 0));
        assert_eq!(watch.look(counters(1, 0, 0)), None);
        assert_eq!(watch.state(), TrackState::Verified);
    }

    #[test]
    fn clear_frames_are_a_failure_when_sealed_ones_are_required_and_are_never_called_sealed() {
        let mut watch = Watch::default();
        assert_eq!(
            watch.look(counters(0, 1, 0)),
            Some(TrackState::CannotOpen(Verdict::Clear))
        );
        assert_eq!(
            watch.look(DecryptCounters {
                passed_clear: 2,
                ..counters(5, 1, 0)
            }),
            Some(TrackState::Clear)
        );
    }

    #[test]
    fn frames_of_the_server_say_nothing() {
        let mut watch = Watch::default();
        let mut injected = DecryptCounters::default();
        injected.frames.server_injected = 11;
        assert_eq!(watch.look(injected), None);
        assert_eq!(watch.state(), TrackState::Waiting);
    }
}
