// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens the frames of one receiving track.

use alloc::vec::Vec;
use core::time::Duration;

use crate::codec::Codec;
use crate::counters::OpenCounters;
use crate::format::{FrameFormat, Unreadable};
use crate::iv::PREFIX_LEN;
use crate::livekit::LiveKit;
use crate::replay::{Guard, Replay};
use crate::ring::{KeyIndex, KeyRing};
use crate::verdict::{Failures, Verdict};

/// What is known about a frame from the way it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameContext {
    /// Packets were lost since the frame before.
    pub gap: bool,
    /// Time on any monotonic clock; only differences count.
    pub now: Duration,
}

/// Opens the frames of one track; a frame that does not open gets a verdict instead.
#[derive(Debug)]
pub struct Opener<F = LiveKit> {
    format: F,
    keys: KeyRing,
    sif_trailer: Vec<u8>,
    iv_prefix: Option<[u8; PREFIX_LEN]>,
    iv_floor: u32,
    guard: Guard,
    failures: Failures,
    counters: OpenCounters,
}

impl Opener {
    /// An opener for LiveKit's format, without keys.
    pub fn new(codec: Codec, replay: Replay) -> Self {
        Self::with_format(LiveKit::new(codec), replay)
    }
}

impl<F: FrameFormat> Opener<F> {
    /// An opener for another format, without keys.
    pub fn with_format(format: F, replay: Replay) -> Self {
        Self {
            format,
            keys: KeyRing::new(),
            sif_trailer: Vec::new(),
            iv_prefix: None,
            iv_floor: 0,
            guard: Guard::new(replay),
            failures: Failures::default(),
            counters: OpenCounters::default(),
        }
    }

    /// The keys to open with.
    pub fn keys(&mut self) -> &mut KeyRing {
        &mut self.keys
    }

    /// Bytes that the server ends its own frames with (`JoinResponse.sif_trailer`); such frames are dropped.
    pub fn set_sif_trailer(&mut self, trailer: Vec<u8>) {
        self.sif_trailer = trailer;
    }

    /// Opens only frames whose IV begins with these bytes, as the sender said of this track: one key seals all of a
    /// sender's tracks, so nothing else tells them apart. `None` takes any.
    pub fn set_iv_prefix(&mut self, prefix: Option<[u8; PREFIX_LEN]>) {
        self.iv_prefix = prefix;
    }

    /// Refuses frames of our own senders whose counter is lower: they were sent before the sender said so, and whoever
    /// begins to listen later remembers nothing that would tell them from live ones.
    pub fn set_iv_floor(&mut self, counter: u32) {
        self.iv_floor = counter;
    }

    /// Whether the peer proved to have the key, which tells altered frames from frames under another key.
    pub fn set_peer_confirmed(&mut self, confirmed: bool) {
        self.failures.peer_confirmed = confirmed;
    }

    /// Opens `frame` in place and gives the length of the plain frame.
    ///
    /// # Errors
    /// The frame must be dropped; its bytes may have been rearranged. At most one decryption was tried.
    #[inline]
    pub fn open(&mut self, frame: &mut [u8], context: &FrameContext) -> Result<usize, Verdict> {
        let opened = self.try_open(frame, context);
        self.counters.count(opened.err());
        opened
    }

    /// Whether replays of frames older than what is remembered would open, as with senders of random IVs.
    pub fn replay_is_bounded(&self) -> bool {
        self.guard.is_bounded()
    }

    /// What happened so far.
    pub fn counters(&self) -> OpenCounters {
        self.counters
    }

    fn try_open(&mut self, frame: &mut [u8], context: &FrameContext) -> Result<usize, Verdict> {
        if !self.sif_trailer.is_empty() && frame.ends_with(&self.sif_trailer) {
            return Err(Verdict::ServerInjected);
        }
        let envelope = self.format.envelope(frame).map_err(|why| match why {
            Unreadable::Clear => Verdict::Clear,
            Unreadable::Malformed => Verdict::Malformed,
        })?;
        let key = KeyIndex::try_from(envelope.key_index)
            .ok()
            .and_then(|index| self.keys.key(index))
            .ok_or(Verdict::NoKey)?;
        if self
            .iv_prefix
            .is_some_and(|own| own != envelope.iv.prefix())
        {
            return Err(Verdict::OtherTrack);
        }
        // Refused before the key is used: what was seen before is not worth a decryption.
        if envelope.iv.counter() < self.iv_floor || !self.guard.admits(&envelope.iv) {
            return Err(Verdict::Replayed);
        }
        let length = self
            .format
            .open(key, &envelope, frame)
            .map_err(|_| self.failures.judge(context.gap, context.now))?;
        // Remembered only now, so that nobody without the key can fill or shift this memory.
        self.guard.record(&envelope.iv);
        Ok(length)
    }
}
