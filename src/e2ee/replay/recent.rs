// SPDX-License-Identifier: MIT OR Apache-2.0
//! The exact set of the last IVs, in space taken once.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::iv::Iv;

/// The last IVs, oldest forgotten first.
#[derive(Default)]
pub(crate) struct RecentIvs {
    /// The IVs in a ring, in the order they came.
    ring: Vec<Iv>,
    /// Where in the ring the next one goes once it is full.
    next: usize,
    /// Hash table with open addressing: position in the ring plus one, or 0. Twice as large as the ring.
    table: Vec<u32>,
    capacity: usize,
}

impl RecentIvs {
    /// An empty set for `capacity` IVs, a power of two.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            ring: Vec::with_capacity(capacity),
            next: 0,
            table: vec![0; 2 * capacity],
            capacity,
        }
    }

    pub(super) fn contains(&self, iv: &Iv) -> bool {
        self.table[self.find(iv)] != 0
    }

    /// Adds an IV, forgetting the oldest if there is no room.
    pub(super) fn insert(&mut self, iv: &Iv) {
        if self.contains(iv) {
            return;
        }
        let position = if self.ring.len() < self.capacity {
            self.ring.push(*iv);
            self.ring.len() - 1
        } else {
            let position = self.next;
            self.forget(position);
            self.ring[position] = *iv;
            self.next = (position + 1) % self.capacity;
            position
        };
        let slot = self.find(iv);
        self.table[slot] = position as u32 + 1;
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Iv> {
        let (newer, older) = self.ring.split_at(self.next);
        older.iter().chain(newer)
    }

    /// Slot of the table that holds this IV, or the empty one where it belongs.
    fn find(&self, iv: &Iv) -> usize {
        let mut slot = self.home(iv);
        while let Some(position) = (self.table[slot] as usize).checked_sub(1) {
            if self.ring[position] == *iv {
                break;
            }
            slot = (slot + 1) & self.mask();
        }
        slot
    }

    /// Empties the slot of a position and closes the gap, so that no search ends too early.
    fn forget(&mut self, position: usize) {
        let mut gap = self.find(&self.ring[position]);
        let mut slot = gap;
        loop {
            slot = (slot + 1) & self.mask();
            let Some(other) = (self.table[slot] as usize).checked_sub(1) else {
                break;
            };
            let home = self.home(&self.ring[other]);
            if slot.wrapping_sub(home) & self.mask() >= slot.wrapping_sub(gap) & self.mask() {
                self.table[gap] = self.table[slot];
                gap = slot;
            }
        }
        self.table[gap] = 0;
    }

    /// Slot where the search for an IV begins. Only who has the key gets an IV in here, so a plain mix is enough.
    fn home(&self, iv: &Iv) -> usize {
        let mixed = (u64::from(iv.word(0)) << 32 | u64::from(iv.word(1)))
            .wrapping_add(u64::from(iv.word(2)).wrapping_mul(0xD6E8_FEB8_6659_FD93))
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as usize & self.mask()
    }

    fn mask(&self) -> usize {
        self.table.len() - 1
    }
}

impl fmt::Debug for RecentIvs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecentIvs({} of {})", self.ring.len(), self.capacity)
    }
}
