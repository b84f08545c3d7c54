// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happened to the frames of one track.

use crate::verdict::Verdict;

/// Frames of one sending track since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealCounters {
    /// Frames that left sealed.
    pub sealed: u64,
    /// Frames that could not be sealed and must not leave.
    pub dropped: u64,
}

/// Frames of one receiving track since it began; each frame is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenCounters {
    /// Frames that authenticated and were handed on.
    pub opened: u64,
    /// Frames without a valid trailer: the sender does not seal.
    pub clear: u64,
    /// Frames whose key index has no key.
    pub no_key: u64,
    /// Frames that failed after a gap in the packets.
    pub loss: u64,
    /// Frames that failed, too few yet to say why.
    pub unverified: u64,
    /// Frames that failed again and again although the peer has the key.
    pub altered: u64,
    /// Frames that failed again and again, and nothing says that the peer has the key.
    pub other_key: u64,
    /// Frames of another track of the same sender.
    pub other_track: u64,
    /// Frames that were seen before, or are too old to tell.
    pub replayed: u64,
    /// Frames that the server made itself.
    pub server_injected: u64,
    /// Frames that are not frames at all: empty, or without a slice.
    pub malformed: u64,
}

impl OpenCounters {
    /// Counts one frame: opened, or refused with this verdict.
    pub(crate) fn count(&mut self, refused: Option<Verdict>) {
        let counter = match refused {
            None => &mut self.opened,
            Some(Verdict::Clear) => &mut self.clear,
            Some(Verdict::NoKey) => &mut self.no_key,
            Some(Verdict::Loss) => &mut self.loss,
            Some(Verdict::Unverified) => &mut self.unverified,
            Some(Verdict::Altered) => &mut self.altered,
            Some(Verdict::OtherKey) => &mut self.other_key,
            Some(Verdict::OtherTrack) => &mut self.other_track,
            Some(Verdict::Replayed) => &mut self.replayed,
            Some(Verdict::ServerInjected) => &mut self.server_injected,
            Some(Verdict::Malformed) => &mut self.malformed,
        };
        *counter += 1;
    }

    /// Frames that did not open, whatever the reason.
    pub fn refused(&self) -> u64 {
        self.clear
            + self.no_key
            + self.loss
            + self.unverified
            + self.altered
            + self.other_key
            + self.other_track
            + self.replayed
            + self.server_injected
            + self.malformed
    }
}
