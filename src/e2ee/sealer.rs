// SPDX-License-Identifier: MIT OR Apache-2.0
//! Seals the frames of one sending track.

use crate::codec::Codec;
use crate::counters::SealCounters;
use crate::format::{FrameFormat, SealError};
use crate::iv::{IvSource, PREFIX_LEN};
use crate::key::FrameKey;
use crate::livekit::LiveKit;
use crate::ring::KeyIndex;

/// Seals the frames of one track with the newest key it was given.
///
/// Without a key every frame fails; no frame ever comes out clear.
#[derive(Debug)]
pub struct Sealer<F = LiveKit> {
    format: F,
    ivs: IvSource,
    key: Option<(KeyIndex, FrameKey)>,
    counters: SealCounters,
}

impl Sealer {
    /// A sealer in LiveKit's format.
    pub fn new(codec: Codec, ivs: IvSource) -> Self {
        Self::with_format(LiveKit::new(codec), ivs)
    }

    /// Bytes that a frame of `plain_len` bytes takes at most when sealed in LiveKit's format.
    pub fn max_sealed_len(codec: Codec, plain_len: usize) -> usize {
        LiveKit::max_sealed_len(codec, plain_len)
    }
}

impl<F: FrameFormat> Sealer<F> {
    /// A sealer in another format.
    pub fn with_format(format: F, ivs: IvSource) -> Self {
        Self {
            format,
            ivs,
            key: None,
            counters: SealCounters::default(),
        }
    }

    /// Seals all following frames with this key. The caller forces a key frame, since receivers cannot ask in time.
    pub fn set_key(&mut self, index: KeyIndex, key: FrameKey) {
        self.key = Some((index, key));
    }

    /// Seals nothing until the next key is set.
    pub fn clear_key(&mut self) {
        self.key = None;
    }

    /// Seals `frame` into `out` and gives the length of the sealed frame.
    ///
    /// H.264 goes in as one access unit in Annex B, with start codes of any length, and comes out in Annex B with
    /// 4-byte start codes only.
    ///
    /// # Errors
    /// The frame must be dropped. `out` then holds nothing of use, and may hold clear bytes.
    #[inline]
    pub fn seal(&mut self, frame: &[u8], out: &mut [u8]) -> Result<usize, SealError> {
        let sealed = match &self.key {
            Some((index, key)) => self.format.seal(key, *index, &mut self.ivs, frame, out),
            None => Err(SealError::NoKey),
        };
        match sealed {
            Ok(_) => self.counters.sealed += 1,
            Err(_) => self.counters.dropped += 1,
        }
        sealed
    }

    /// Slot of the key in use.
    pub fn key_index(&self) -> Option<KeyIndex> {
        self.key.as_ref().map(|(index, _)| *index)
    }

    /// The bytes that every IV of this track begins with.
    pub fn iv_prefix(&self) -> [u8; PREFIX_LEN] {
        self.ivs.prefix()
    }

    /// The last four bytes, as a number, below which no later IV of this track is; none when they have ended.
    pub fn iv_counter(&self) -> Option<u32> {
        self.ivs.counter()
    }

    /// What happened so far.
    pub fn counters(&self) -> SealCounters {
        self.counters
    }
}
