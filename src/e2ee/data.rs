// SPDX-License-Identifier: MIT OR Apache-2.0
//! Data packets: LiveKit's `EncryptedPacket`, AES-GCM without additional data.
//!
//! Sender, destination and order of a packet are not authenticated; topic and payload are.

use alloc::vec::Vec;

use crate::counters::{OpenCounters, SealCounters};
use crate::format::SealError;
use crate::iv::{Iv, IvSource, PREFIX_LEN};
use crate::key::{FrameKey, TAG_LEN};
use crate::replay::{Guard, Replay};
use crate::ring::{KeyIndex, KeyRing};
use crate::verdict::Verdict;

/// The fields of an `EncryptedPacket`. Its `encryption_type` says nothing: senders disagree on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedData {
    /// Field 2, 12 bytes.
    pub iv: [u8; Iv::LEN],
    /// Field 3.
    pub key_index: KeyIndex,
    /// Field 4: ciphertext and tag.
    pub value: Vec<u8>,
}

/// Seals the data packets of one participant; all of them count as one track.
#[derive(Debug)]
pub struct DataSealer {
    ivs: IvSource,
    key: Option<(KeyIndex, FrameKey)>,
    counters: SealCounters,
}

impl DataSealer {
    /// A sealer without key.
    pub fn new(ivs: IvSource) -> Self {
        Self {
            ivs,
            key: None,
            counters: SealCounters::default(),
        }
    }

    /// Seals all following packets with this key.
    pub fn set_key(&mut self, index: KeyIndex, key: FrameKey) {
        self.key = Some((index, key));
    }

    /// Seals nothing until the next key is set.
    pub fn clear_key(&mut self) {
        self.key = None;
    }

    /// Seals a serialized `EncryptedPacketPayload`.
    ///
    /// # Errors
    /// Without key, or when the IVs have ended: the packet must not be sent.
    pub fn seal(&mut self, payload: &[u8]) -> Result<EncryptedData, SealError> {
        let sealed = self.try_seal(payload);
        match sealed {
            Ok(_) => self.counters.sealed += 1,
            Err(_) => self.counters.dropped += 1,
        }
        sealed
    }

    /// The bytes that every IV begins with.
    pub fn iv_prefix(&self) -> [u8; PREFIX_LEN] {
        self.ivs.prefix()
    }

    /// What happened so far.
    pub fn counters(&self) -> SealCounters {
        self.counters
    }

    fn try_seal(&mut self, payload: &[u8]) -> Result<EncryptedData, SealError> {
        let (key_index, key) = self.key.as_ref().ok_or(SealError::NoKey)?;
        let iv = self.ivs.draw().ok_or(SealError::IvExhausted)?;
        let mut value = Vec::with_capacity(payload.len() + TAG_LEN);
        value.extend_from_slice(payload);
        let tag = key.seal(&iv, &[], value.as_mut_slice().into());
        value.extend_from_slice(&tag);
        Ok(EncryptedData {
            iv: *iv.as_bytes(),
            key_index: *key_index,
            value,
        })
    }
}

/// Opens the data packets of one sender.
#[derive(Debug)]
pub struct DataOpener {
    keys: KeyRing,
    iv_prefix: Option<[u8; PREFIX_LEN]>,
    guard: Guard,
    peer_confirmed: bool,
    counters: OpenCounters,
}

impl DataOpener {
    /// An opener without keys. JavaScript senders draw a random number per packet: `Replay::RandomIvs` fits them.
    pub fn new(replay: Replay) -> Self {
        Self {
            keys: KeyRing::new(),
            iv_prefix: None,
            guard: Guard::new(replay),
            peer_confirmed: false,
            counters: OpenCounters::default(),
        }
    }

    /// The keys to open with.
    pub fn keys(&mut self) -> &mut KeyRing {
        &mut self.keys
    }

    /// Opens only packets whose IV begins with these bytes, as the sender said of its packets: one key seals its tracks
    /// too. `None` takes any.
    pub fn set_iv_prefix(&mut self, prefix: Option<[u8; PREFIX_LEN]>) {
        self.iv_prefix = prefix;
    }

    /// Whether the peer proved to have the key, which tells altered packets from packets under another key.
    pub fn set_peer_confirmed(&mut self, confirmed: bool) {
        self.peer_confirmed = confirmed;
    }

    /// Opens a packet, given by its fields as they came, and gives the serialized `EncryptedPacketPayload`.
    ///
    /// # Errors
    /// The packet must be dropped. Data channels deliver whole messages, so a failed tag is never loss.
    pub fn open(&mut self, iv: &[u8], key_index: u32, value: &[u8]) -> Result<Vec<u8>, Verdict> {
        let opened = self.try_open(iv, key_index, value);
        self.counters.count(opened.as_ref().err().copied());
        opened
    }

    /// What happened so far.
    pub fn counters(&self) -> OpenCounters {
        self.counters
    }

    fn try_open(&mut self, iv: &[u8], key_index: u32, value: &[u8]) -> Result<Vec<u8>, Verdict> {
        let iv: [u8; Iv::LEN] = iv.try_into().map_err(|_| Verdict::Malformed)?;
        let iv = Iv::from(iv);
        let (sealed, tag) = value
            .split_last_chunk::<TAG_LEN>()
            .ok_or(Verdict::Malformed)?;
        let key = u8::try_from(key_index)
            .ok()
            .and_then(|index| KeyIndex::try_from(index).ok())
            .and_then(|index| self.keys.key(index))
            .ok_or(Verdict::NoKey)?;
        if self.iv_prefix.is_some_and(|own| own != iv.prefix()) {
            return Err(Verdict::OtherTrack);
        }
        if !self.guard.admits(&iv) {
            return Err(Verdict::Replayed);
        }
        let mut payload = sealed.to_vec();
        key.open(&iv, &[], &mut payload, tag)
            .map_err(|_| match self.peer_confirmed {
                true => Verdict::Altered,
                false => Verdict::OtherKey,
            })?;
        self.guard.record(&iv);
        Ok(payload)
    }
}
