// SPDX-License-Identifier: MIT OR Apache-2.0

//! From what was counted to what is said about a track.

use roomseal_e2ee::{OpenCounters, Verdict};

use super::config::{Opening, TrackState};

/// Looks at the counters of one track from time to time and says where it stands.
#[derive(Debug)]
pub struct Watch {
    state: TrackState,
    before: OpenCounters,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            state: TrackState::Waiting,
            before: OpenCounters::default(),
        }
    }
}

impl Watch {
    /// The newest state.
    pub fn state(&self) -> TrackState {
        self.state
    }

    /// Takes the newest counters; gives the state when it changed.
    pub fn look(&mut self, now: OpenCounters, opening: Opening) -> Option<TrackState> {
        let state = judge(self.before, now, opening).unwrap_or(self.state);
        self.before = now;
        let changed = state != self.state;
        self.state = state;
        changed.then_some(state)
    }
}

/// What happened between two readings; `None` when nothing did that tells.
fn judge(before: OpenCounters, now: OpenCounters, opening: Opening) -> Option<TrackState> {
    let grown = |field: fn(&OpenCounters) -> u64| field(&now).saturating_sub(field(&before));
    let opened = grown(|c| c.opened);
    let clear = grown(|c| c.clear);
    // One clear frame among sealed ones is worth saying when clear frames are played, or a
    // service could slip some in under the word "sealed".
    if opening == Opening::AllowClear && clear > 0 {
        return Some(TrackState::Clear);
    }
    if opened > 0 {
        return Some(TrackState::Verified);
    }
    // The most frequent reason speaks; frames of the server say nothing about the sender.
    [
        (clear, Verdict::Clear),
        (grown(|c| c.no_key), Verdict::NoKey),
        (grown(|c| c.altered), Verdict::Altered),
        (grown(|c| c.other_key), Verdict::OtherKey),
        (grown(|c| c.replayed), Verdict::Replayed),
        (grown(|c| c.malformed), Verdict::Malformed),
        (grown(|c| c.unverified), Verdict::Unverified),
        (grown(|c| c.loss), Verdict::Loss),
    ]
    .into_iter()
    .rev()
    .max_by_key(|(count, _)| *count)
    .filter(|(count, _)| *count > 0)
    .map(|(_, verdict)| TrackState::CannotOpen(verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(opened: u64, clear: u64, other_key: u64) -> OpenCounters {
        OpenCounters {
            opened,
            clear,
            other_key,
            ..OpenCounters::default()
        }
    }

    #[test]
    fn a_track_waits_then_verifies_then_says_why_not() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(counters(0, 0, 0), Opening::Require), None);
        assert_eq!(watch.state(), TrackState::Waiting);
        assert_eq!(
            watch.look(counters(1, 0, 0), Opening::Require),
            Some(TrackState::Verified)
        );
        assert_eq!(watch.look(counters(9, 0, 3), Opening::Require), None);
        assert_eq!(
            watch.look(counters(9, 0, 5), Opening::Require),
            Some(TrackState::CannotOpen(Verdict::OtherKey))
        );
        assert_eq!(
            watch.look(counters(12, 0, 5), Opening::Require),
            Some(TrackState::Verified)
        );
    }

    #[test]
    fn silence_changes_nothing() {
        let mut watch = Watch::default();
        watch.look(counters(1, 0, 0), Opening::Require);
        assert_eq!(watch.look(counters(1, 0, 0), Opening::Require), None);
        assert_eq!(watch.state(), TrackState::Verified);
    }

    #[test]
    fn clear_frames_are_a_failure_when_sealed_ones_are_required_and_are_never_called_sealed() {
        let mut watch = Watch::default();
        assert_eq!(
            watch.look(counters(0, 1, 0), Opening::Require),
            Some(TrackState::CannotOpen(Verdict::Clear))
        );
        assert_eq!(
            watch.look(counters(5, 2, 0), Opening::AllowClear),
            Some(TrackState::Clear)
        );
    }

    #[test]
    fn frames_of_the_server_say_nothing() {
        let mut watch = Watch::default();
        let injected = OpenCounters {
            server_injected: 11,
            ..OpenCounters::default()
        };
        assert_eq!(watch.look(injected, Opening::Require), None);
        assert_eq!(watch.state(), TrackState::Waiting);
    }
}
