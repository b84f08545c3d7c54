// SPDX-License-Identifier: MIT OR Apache-2.0
//! From what the opening element counted to what may be said about a track.

use core::time::Duration;

use roomseal_e2ee::OpenCounters;

use crate::action::Opening;
use crate::call::GRACE;

/// How long a verdict holds without a frame that renews it.
pub const FRESH: Duration = Duration::from_secs(5);

/// Counters that are read this soon after new keys were given still count frames that met the old ones.
const SETTLING: Duration = Duration::from_millis(500);

/// Where a track stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Clear frames arrive and are played, because this box does not require sealed ones.
    Clear,
    /// The newest frames did not open and are not played.
    Refused(Refusal),
    /// Frames came, and none for [`FRESH`].
    Silent,
    /// The newest frames opened, and all that is played did.
    Verified,
    /// No frame yet.
    Waiting,
}

/// Why frames are not played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Altered on the way, by a sender who has the key.
    Altered,
    /// Not sealed.
    Clear,
    /// Damaged by packet loss, and none whole in between.
    Damaged,
    /// Not frames at all.
    Malformed,
    /// No key for the index they name.
    NoKey,
    /// Sealed with another key, or altered.
    OtherKey,
    /// Frames of another track.
    OtherTrack,
    /// Old frames played again.
    Replayed,
    /// They do not authenticate; too few to say why.
    Unverified,
}

/// What one track's counters have shown so far.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    opening: Opening,
    counters: OpenCounters,
    opened_at: Option<Duration>,
    clear_at: Option<Duration>,
    seen_at: Option<Duration>,
    refused: Option<(Refusal, Duration)>,
    /// Until when refusals may still be those of keys that were replaced.
    settled_at: Duration,
    /// When the rules changed last.
    ruled_at: Option<Duration>,
}

impl Watched {
    /// Nothing seen yet; the element's counters begin at zero.
    pub(crate) fn new(opening: Opening) -> Self {
        Self {
            opening,
            counters: OpenCounters::default(),
            opened_at: None,
            clear_at: None,
            seen_at: None,
            refused: None,
            settled_at: Duration::ZERO,
            ruled_at: None,
        }
    }

    pub(crate) fn opening(&self) -> Opening {
        self.opening
    }

    pub(crate) fn counters(&self) -> &OpenCounters {
        &self.counters
    }

    /// The keys were replaced at `now`: what the old ones opened and refused says nothing any more.
    pub(crate) fn keys_replaced(&mut self, now: Duration) {
        self.opened_at = None;
        self.refused = None;
        self.settled_at = now + SETTLING;
    }

    /// Takes the newest counters, as they stood at `now`.
    pub(crate) fn count(&mut self, newest: OpenCounters, now: Duration) {
        let grown = Grown {
            before: self.counters,
            now: newest,
        };
        self.counters = newest;
        if grown.by(|c| c.opened) > 0 {
            self.opened_at = Some(now);
        }
        if grown.by(|c| c.opened) + grown.by(OpenCounters::refused)
            > grown.by(|c| c.server_injected)
        {
            self.seen_at = Some(now);
        }
        if grown.by(|c| c.clear) > 0 && self.opening != Opening::Required {
            self.clear_at = Some(now);
        }
        if let Some(refusal) = grown.refusal(self.opening)
            && now >= self.settled_at
        {
            self.refused = Some((refusal, now));
        }
        // What was clear came before it: the first frame that opens ends the grace.
        if grown.by(|c| c.opened) > 0 && self.opening == Opening::Grace {
            self.reopen(Opening::Required);
        }
    }

    /// Opened by other rules from now on; clear frames that were rightly played so far say nothing about those to come.
    pub(crate) fn reopen(&mut self, opening: Opening) {
        if opening == Opening::Required && self.opening != opening {
            self.clear_at = None;
        }
        self.opening = opening;
    }

    /// Other keys, or another sender's word, from `now` on: what was refused before, or is under way, is told of nobody.
    pub(crate) fn ruled(&mut self, now: Duration) {
        self.ruled_at = Some(now);
    }

    /// Whether clear frames were played a moment ago.
    pub(crate) fn plays_clear(&self, now: Duration) -> bool {
        self.clear_at
            .is_some_and(|at| now.saturating_sub(at) <= FRESH)
    }

    /// When frames last arrived, those of the service apart.
    pub(crate) fn seen_at(&self) -> Option<Duration> {
        self.seen_at
    }

    /// When a frame last opened.
    pub(crate) fn opened_at(&self) -> Option<Duration> {
        self.opened_at
    }

    /// Why frames were last refused, and when.
    pub(crate) fn refused(&self) -> Option<(Refusal, Duration)> {
        self.refused
    }

    /// Where the track stands at `now`.
    pub(crate) fn verification(&self, now: Duration) -> Verification {
        let fresh = |at: &Duration| now.saturating_sub(*at) <= FRESH;
        // Whatever else opens: while clear frames are played, nobody may call the track verified.
        if self.clear_at.as_ref().is_some_and(fresh) {
            return Verification::Clear;
        }
        let opened = self.opened_at.filter(fresh);
        let refused = self.refused.filter(|(_, at)| fresh(at));
        match (opened, refused) {
            // Counted at the same time: what opened is played, the rest is dropped and told beside it.
            (Some(opened), Some((_, refused))) if opened >= refused => Verification::Verified,
            (_, Some((refusal, _))) => Verification::Refused(refusal),
            (Some(_), None) => Verification::Verified,
            (None, None) if self.counters == OpenCounters::default() => Verification::Waiting,
            (None, None) => Verification::Silent,
        }
    }

    /// What was refused lately although the track verifies.
    pub(crate) fn refused_beside(&self, now: Duration) -> Option<Refusal> {
        self.refused
            .filter(|(refusal, at)| {
                now.saturating_sub(*at) <= FRESH
                    && self.ruled_at.is_none_or(|ruled| *at >= ruled + GRACE)
                    && !matches!(refusal, Refusal::Damaged | Refusal::Unverified)
            })
            .map(|(refusal, _)| refusal)
    }
}

/// Two readings of one element's counters.
struct Grown {
    before: OpenCounters,
    now: OpenCounters,
}

impl Grown {
    /// How much a counter grew. One that went back belongs to a new element, which counts from zero.
    fn by(&self, field: fn(&OpenCounters) -> u64) -> u64 {
        let (before, now) = (field(&self.before), field(&self.now));
        now.checked_sub(before).unwrap_or(now)
    }

    /// The most frequent reason for what did not open; frames that the service made itself say nothing about the sender.
    fn refusal(&self, opening: Opening) -> Option<Refusal> {
        let clear = match opening {
            Opening::Required => self.by(|c| c.clear),
            Opening::AllowClear | Opening::Grace => 0,
        };
        let pick = |reasons: &[(u64, Refusal)]| {
            reasons
                .iter()
                .filter(|(count, _)| *count > 0)
                .max_by_key(|(count, _)| *count)
                .map(|(_, refusal)| *refusal)
        };
        // Certain reasons before uncertain ones: the first frames with a wrong key are only `unverified`.
        pick(&[
            (clear, Refusal::Clear),
            (self.by(|c| c.no_key), Refusal::NoKey),
            (self.by(|c| c.altered), Refusal::Altered),
            (self.by(|c| c.other_key), Refusal::OtherKey),
            (self.by(|c| c.other_track), Refusal::OtherTrack),
            (self.by(|c| c.replayed), Refusal::Replayed),
            (self.by(|c| c.malformed), Refusal::Malformed),
        ])
        .or_else(|| pick(&[(self.by(|c| c.unverified), Refusal::Unverified)]))
        .or_else(|| pick(&[(self.by(|c| c.loss), Refusal::Damaged)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(opened: u64) -> OpenCounters {
        OpenCounters {
            opened,
            ..OpenCounters::default()
        }
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_verdict_goes_stale_by_itself() {
        let mut track = Watched::new(Opening::Required);
        assert_eq!(track.verification(at(0)), Verification::Waiting);
        track.count(opened(1), at(100));
        assert_eq!(track.verification(at(5100)), Verification::Verified);
        assert_eq!(track.verification(at(5101)), Verification::Silent);
        // The same counters again are no new frame.
        track.count(opened(1), at(5200));
        assert_eq!(track.verification(at(5200)), Verification::Silent);
    }

    #[test]
    fn a_key_that_no_longer_fits_is_told_at_once_and_healed_at_once() {
        let mut track = Watched::new(Opening::Required);
        track.count(opened(30), at(1000));
        let mut counters = opened(30);
        counters.unverified = 2;
        counters.other_key = 1;
        track.count(counters, at(1250));
        assert_eq!(
            track.verification(at(1250)),
            Verification::Refused(Refusal::OtherKey)
        );
        counters.opened = 31;
        track.count(counters, at(1500));
        assert_eq!(track.verification(at(1500)), Verification::Verified);
    }

    #[test]
    fn what_the_old_keys_refused_is_not_held_against_the_new_ones() {
        let mut track = Watched::new(Opening::Required);
        let mut counters = OpenCounters {
            other_key: 20,
            ..OpenCounters::default()
        };
        track.count(counters, at(1000));
        track.keys_replaced(at(1100));
        // Two frames were on their way to the old keys.
        counters.other_key = 22;
        counters.opened = 5;
        track.count(counters, at(1250));
        assert_eq!(track.verification(at(1250)), Verification::Verified);
        assert_eq!(track.refused_beside(at(1250)), None);
        // New keys that are wrong too are told soon.
        counters.other_key = 30;
        track.count(counters, at(1750));
        assert_eq!(track.refused_beside(at(1750)), Some(Refusal::OtherKey));
    }

    #[test]
    fn frames_slipped_in_are_told_beside_the_verified_ones() {
        let mut track = Watched::new(Opening::Required);
        let mut counters = opened(30);
        counters.clear = 1;
        track.count(counters, at(1000));
        assert_eq!(track.verification(at(1000)), Verification::Verified);
        assert_eq!(track.refused_beside(at(1000)), Some(Refusal::Clear));
        assert_eq!(track.refused_beside(at(7000)), None);
    }

    #[test]
    fn what_was_under_way_while_the_rules_changed_is_not_told_beside_what_verifies() {
        let mut track = Watched::new(Opening::Required);
        let mut counters = opened(0);
        counters.no_key = 9;
        track.count(counters, at(1000));
        track.ruled(at(1100));
        counters.opened = 30;
        track.count(counters, at(1250));
        assert_eq!(track.refused_beside(at(1250)), None);
        counters.clear = 2;
        counters.opened = 60;
        track.count(counters, at(2000));
        assert_eq!(track.refused_beside(at(2000)), None);
        counters.clear = 4;
        counters.opened = 90;
        track.count(counters, at(3200));
        assert_eq!(track.refused_beside(at(3200)), Some(Refusal::Clear));
    }

    #[test]
    fn loss_alone_is_not_told_beside_verified_frames_and_never_called_another_key() {
        let mut track = Watched::new(Opening::Required);
        let mut counters = opened(30);
        counters.loss = 3;
        track.count(counters, at(1000));
        assert_eq!(track.refused_beside(at(1000)), None);
        counters.loss = 5;
        track.count(counters, at(1250));
        assert_eq!(
            track.verification(at(1250)),
            Verification::Refused(Refusal::Damaged)
        );
    }

    #[test]
    fn clear_frames_that_are_played_are_never_called_verified() {
        let mut track = Watched::new(Opening::AllowClear);
        let mut counters = opened(30);
        counters.clear = 1;
        track.count(counters, at(1000));
        assert_eq!(track.verification(at(1000)), Verification::Clear);
        counters.opened = 60;
        track.count(counters, at(2000));
        assert_eq!(track.verification(at(2000)), Verification::Clear);
        assert_eq!(track.verification(at(6500)), Verification::Verified);
    }

    #[test]
    fn the_first_frame_that_opens_ends_the_grace_and_what_was_clear_before_it() {
        let mut track = Watched::new(Opening::AllowClear);
        let mut counters = opened(0);
        counters.clear = 50;
        track.count(counters, at(1000));
        track.reopen(Opening::Grace);
        counters.clear = 51;
        track.count(counters, at(1100));
        assert_eq!(track.verification(at(1100)), Verification::Clear);
        counters.clear = 52;
        counters.opened = 1;
        track.count(counters, at(1200));
        assert_eq!(track.verification(at(1200)), Verification::Verified);
        assert_eq!(track.refused_beside(at(1200)), None);
        // Clear ones behind it are refused.
        counters.clear = 53;
        track.count(counters, at(1300));
        assert_eq!(
            track.verification(at(1300)),
            Verification::Refused(Refusal::Clear)
        );
    }

    #[test]
    fn frames_of_the_service_verify_nothing() {
        let mut track = Watched::new(Opening::Required);
        track.count(
            OpenCounters {
                server_injected: 50,
                ..OpenCounters::default()
            },
            at(10),
        );
        assert_eq!(track.verification(at(10)), Verification::Silent);
    }
}
