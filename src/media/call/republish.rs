// SPDX-License-Identifier: MIT OR Apache-2.0

//! Publishing a track anew in the running meeting, with the shortest gap.
//!
//! The old track goes on while the service is asked to take the new one and the connection is
//! negotiated. Then the encoder goes over, and from that picture on everything is the new track's.
//! The old one is withdrawn a little later: a service that ends it while others still subscribe to
//! the new one makes them wait.
//!
//! ```text
//!  ask ──► service takes it ──► offer, answer ──► encoder goes over ──► a little later: withdraw
//!  old track flows ─────────────────────────────┤ new track flows ─────────────────────────────►
//! ```

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use roomseal_e2ee::Codec;

use super::{Event, Running};
use crate::{
    capture::CaptureError,
    transport::{LocalTrackId, MediaKind, PublishTrack},
};

/// How long the service may take until it expects the new track.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the old track stays published beside the new one: what others need to subscribe.
const BESIDE: Duration = Duration::from_millis(500);

/// One track taking the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replacement {
    /// What is to be withdrawn.
    pub(super) old: LocalTrackId,
    /// What is to be sent.
    pub(super) new: PublishTrack,
    /// The client id of the new one.
    pub(super) cid: String,
}

/// All that are under way, one for sound and one for the picture at most.
#[derive(Debug, Default)]
pub(super) struct Replacements {
    /// The service was asked; the old track flows.
    asked: Vec<(Replacement, Instant)>,
    /// The new track flows; the old one is still published.
    flowing: Vec<(Replacement, Instant)>,
    /// What was wanted while another was under way; the newest of a kind counts.
    waiting: VecDeque<Codec>,
}

impl Replacements {
    /// Whether a track of this kind is being replaced.
    pub(super) fn busy(&self, kind: MediaKind) -> bool {
        let mut all = self.asked.iter().chain(&self.flowing);
        all.any(|(replacement, _)| replacement.new.kind() == kind)
    }

    /// Remembers what is to be done once the one under way has ended.
    pub(super) fn wait(&mut self, codec: Codec) {
        let kind = MediaKind::from(codec);
        self.waiting.retain(|other| MediaKind::from(*other) != kind);
        self.waiting.push_back(codec);
    }

    /// What has waited and can be begun now.
    pub(super) fn next(&mut self) -> Option<Codec> {
        let free = self
            .waiting
            .iter()
            .position(|codec| !self.busy((*codec).into()))?;
        self.waiting.remove(free)
    }

    /// The service is being asked.
    pub(super) fn begin(&mut self, replacement: Replacement, now: Instant) {
        self.asked.push((replacement, now));
    }

    /// The service expects these tracks: gives the new ones whose turn it is.
    pub(super) fn negotiated(&mut self, tracks: &[LocalTrackId]) -> Vec<Replacement> {
        take(&mut self.asked, |replacement, _| {
            tracks.contains(&replacement.new.local)
        })
    }

    /// The new track flows.
    pub(super) fn flows(&mut self, replacement: Replacement, now: Instant) {
        self.flowing.push((replacement, now));
    }

    /// Those whose old track is to be withdrawn now.
    pub(super) fn done(&mut self, now: Instant) -> Vec<Replacement> {
        take(&mut self.flowing, |_, since| {
            now.duration_since(since) >= BESIDE
        })
    }

    /// Those that the service did not expect in time.
    pub(super) fn late(&mut self, now: Instant) -> Vec<Replacement> {
        take(&mut self.asked, |_, since| {
            now.duration_since(since) >= PATIENCE
        })
    }

    /// The connection is over, and with it everything that was published: the codecs that were
    /// wanted and are not sent yet, in the order in which they were wanted.
    pub(super) fn end(&mut self) -> Vec<Codec> {
        self.flowing.clear();
        let asked = self
            .asked
            .drain(..)
            .map(|(replacement, _)| replacement.new.codec);
        asked.chain(self.waiting.drain(..)).collect()
    }
}

fn take(
    list: &mut Vec<(Replacement, Instant)>,
    wanted: impl Fn(&Replacement, Instant) -> bool,
) -> Vec<Replacement> {
    let (taken, kept) = list
        .drain(..)
        .partition(|(replacement, since)| wanted(replacement, *since));
    *list = kept;
    let taken: Vec<(Replacement, Instant)> = taken;
    taken
        .into_iter()
        .map(|(replacement, _)| replacement)
        .collect()
}

impl Running {
    pub(super) fn republish(&mut self, codec: Codec) {
        let Some(transport) = self.transport() else {
            self.go_over(codec);
            return;
        };
        let kind = MediaKind::from(codec);
        if self.replacements.busy(kind) {
            self.replacements.wait(codec);
            return;
        }
        let (Some(old), Some(new)) = (self.local_of(kind), self.capture.plan(codec)) else {
            self.not_replaced(codec, CaptureError::NoTrack.to_string());
            return;
        };
        match transport.add_track(new.clone()) {
            Ok(cid) => {
                let replacement = Replacement {
                    old,
                    new: new.clone(),
                    cid: cid.clone(),
                };
                self.replacements.begin(replacement, Instant::now());
                self.ask_to_take(cid, new);
            }
            Err(reason) => self.not_replaced(codec, reason.to_string()),
        }
    }

    /// Goes over to a codec while nothing is published.
    pub(super) fn go_over(&mut self, codec: Codec) {
        let Some(planned) = self.capture.plan(codec) else {
            return;
        };
        if let Err(error) = self.capture.go_over(&planned) {
            self.not_replaced(codec, error.to_string());
        }
    }

    /// The service expects these tracks: those that take the place of others flow from now on.
    pub(super) fn negotiated(&mut self, tracks: &[LocalTrackId]) {
        for replacement in self.replacements.negotiated(tracks) {
            let (old, new) = (replacement.old, replacement.new.local);
            match self.capture.go_over(&replacement.new) {
                Ok(()) => {
                    (self.events)(Event::Replaced { old, new });
                    self.replacements.flows(replacement, Instant::now());
                }
                Err(error) => self.abandon(&replacement, error.to_string()),
            }
        }
    }

    /// Withdraws what has been replaced, gives up what takes too long, begins what has waited.
    pub(super) fn replace(&mut self) {
        if self.transport().is_none() {
            return;
        }
        let now = Instant::now();
        for Replacement { old, .. } in self.replacements.done(now) {
            self.withdraw(old);
            (self.events)(Event::Withdrawn { local: old });
        }
        for replacement in self.replacements.late(now) {
            let reason = "the meeting service did not take the new track in time";
            self.abandon(&replacement, reason.into());
        }
        while let Some(codec) = self.replacements.next() {
            self.republish(codec);
        }
    }

    fn abandon(&mut self, replacement: &Replacement, reason: String) {
        self.awaited.remove(&replacement.cid);
        self.withdraw(replacement.new.local);
        self.not_replaced(replacement.new.codec, reason);
    }

    fn withdraw(&self, local: LocalTrackId) {
        if let Some(transport) = self.transport() {
            if let Err(error) = transport.remove_track(local) {
                tracing::warn!(?local, %error, "a track is not withdrawn");
            }
            self.offer();
        }
    }

    fn not_replaced(&self, codec: Codec, reason: String) {
        (self.events)(Event::NotReplaced { codec, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replacement(old: u32, new: u32, codec: Codec) -> Replacement {
        Replacement {
            old: LocalTrackId(old),
            new: PublishTrack {
                local: LocalTrackId(new),
                codec,
                stream: "camera".into(),
                size: None,
                framerate: None,
            },
            cid: format!("cid{new}"),
        }
    }

    #[test]
    fn the_new_track_flows_once_the_service_expects_it_and_the_old_one_goes_a_little_later() {
        let mut replacements = Replacements::default();
        let begin = Instant::now();
        let ours = replacement(2, 3, Codec::H264);
        replacements.begin(ours.clone(), begin);
        // The answer to an offer that was made before.
        assert_eq!(
            replacements.negotiated(&[LocalTrackId(1), LocalTrackId(2)]),
            []
        );
        assert_eq!(
            replacements.negotiated(&[LocalTrackId(2), LocalTrackId(3)]),
            std::slice::from_ref(&ours)
        );
        assert_eq!(replacements.negotiated(&[LocalTrackId(3)]), []);

        replacements.flows(ours.clone(), begin);
        assert!(replacements.busy(MediaKind::Video) && !replacements.busy(MediaKind::Audio));
        assert_eq!(replacements.done(begin + BESIDE / 2), []);
        assert_eq!(replacements.done(begin + BESIDE), [ours]);
        assert!(!replacements.busy(MediaKind::Video));
    }

    #[test]
    fn of_what_is_wanted_meanwhile_the_newest_of_a_kind_is_done_afterwards() {
        let mut replacements = Replacements::default();
        let begin = Instant::now();
        replacements.begin(replacement(2, 3, Codec::H264), begin);
        replacements.wait(Codec::Vp8);
        replacements.wait(Codec::Opus);
        replacements.wait(Codec::H264);
        assert_eq!(replacements.next(), Some(Codec::Opus));
        assert_eq!(replacements.next(), None, "the picture is busy");
        let late = replacements.late(begin + PATIENCE);
        assert_eq!(late, [replacement(2, 3, Codec::H264)]);
        assert_eq!(replacements.next(), Some(Codec::H264));
        assert_eq!(replacements.next(), None);
    }

    #[test]
    fn what_was_wanted_outlives_the_connection() {
        let mut replacements = Replacements::default();
        let now = Instant::now();
        replacements.begin(replacement(2, 3, Codec::H264), now);
        replacements.flows(replacement(1, 4, Codec::Opus), now);
        replacements.wait(Codec::Vp8);
        assert_eq!(replacements.end(), [Codec::H264, Codec::Vp8]);
        assert!(!replacements.busy(MediaKind::Audio));
    }
}
