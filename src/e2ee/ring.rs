// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sixteen slots that keys of one sender live in.

use core::fmt;

use crate::key::FrameKey;

/// Which slot of the ring a frame was sealed with: 0 to 15, as carried in the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyIndex(u8);

impl KeyIndex {
    /// How many slots a ring has, as in every LiveKit SDK by default.
    pub const COUNT: usize = 16;

    /// The slot of an epoch: its number modulo the ring.
    pub fn of_epoch(epoch: u64) -> Self {
        Self((epoch % Self::COUNT as u64) as u8)
    }
}

impl TryFrom<u8> for KeyIndex {
    type Error = KeyIndexOutOfRange;

    fn try_from(index: u8) -> Result<Self, Self::Error> {
        if usize::from(index) < Self::COUNT {
            Ok(Self(index))
        } else {
            Err(KeyIndexOutOfRange(index))
        }
    }
}

impl From<KeyIndex> for u8 {
    fn from(index: KeyIndex) -> Self {
        index.0
    }
}

impl fmt::Display for KeyIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A key index that no ring has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key index {0} does not exist: use 0 to 15")]
pub struct KeyIndexOutOfRange(pub u8);

/// The keys that frames of one sender may be sealed with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyRing([Option<FrameKey>; KeyIndex::COUNT]);

impl KeyRing {
    /// A ring without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a key into a slot; the one that was there is gone.
    pub fn set(&mut self, index: KeyIndex, key: FrameKey) {
        self.0[usize::from(index.0)] = Some(key);
    }

    /// Empties a slot.
    pub fn remove(&mut self, index: KeyIndex) {
        self.0[usize::from(index.0)] = None;
    }

    /// Empties every slot.
    pub fn clear(&mut self) {
        self.0 = Default::default();
    }

    /// The key in a slot.
    pub fn key(&self, index: KeyIndex) -> Option<&FrameKey> {
        self.0[usize::from(index.0)].as_ref()
    }

    /// Whether no slot has a key.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing")?;
        f.debug_set()
            .entries((0..KeyIndex::COUNT).filter(|slot| self.0[*slot].is_some()))
            .finish()
    }
}
