// SPDX-License-Identifier: MIT OR Apache-2.0
//! A window over the counters of one IV prefix, as IPsec and SRTP have it.

use alloc::vec::Vec;
use core::fmt;

use crate::iv::{Iv, PREFIX_LEN};

/// One window per prefix that authenticated.
pub(crate) struct Windows(Vec<Window>);

impl Windows {
    pub(super) fn admits(&self, iv: &Iv) -> bool {
        match self.0.iter().find(|window| window.prefix == iv.prefix()) {
            Some(window) => window.admits(iv.counter()),
            // Forgetting a prefix would let its frames play again.
            None => self.0.len() < MAX_PREFIXES,
        }
    }

    pub(super) fn record(&mut self, iv: &Iv) {
        let prefix = iv.prefix();
        match self.0.iter_mut().find(|window| window.prefix == prefix) {
            Some(window) => window.record(iv.counter()),
            None => self.0.push(Window::new(prefix, iv.counter())),
        }
    }
}

impl Default for Windows {
    fn default() -> Self {
        Self(Vec::with_capacity(MAX_PREFIXES))
    }
}

impl fmt::Debug for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|window| window.highest))
            .finish()
    }
}

struct Window {
    prefix: [u8; PREFIX_LEN],
    highest: u32,
    /// Bit `counter % SIZE` for each of the last `SIZE` counters.
    seen: [u64; WORDS],
}

impl Window {
    fn new(prefix: [u8; PREFIX_LEN], counter: u32) -> Self {
        let mut window = Self {
            prefix,
            highest: counter,
            seen: [0; WORDS],
        };
        window.mark(counter);
        window
    }

    fn admits(&self, counter: u32) -> bool {
        match self.highest.checked_sub(counter) {
            None => true,
            Some(age) => age < SIZE && !self.is_marked(counter),
        }
    }

    fn record(&mut self, counter: u32) {
        if let Some(ahead) = counter.checked_sub(self.highest) {
            if ahead >= SIZE {
                self.seen = [0; WORDS];
            } else {
                for skipped in 1..=ahead {
                    let (word, bit) = place(self.highest + skipped);
                    self.seen[word] &= !bit;
                }
            }
            self.highest = counter;
        }
        self.mark(counter);
    }

    fn mark(&mut self, counter: u32) {
        let (word, bit) = place(counter);
        self.seen[word] |= bit;
    }

    fn is_marked(&self, counter: u32) -> bool {
        let (word, bit) = place(counter);
        self.seen[word] & bit != 0
    }
}

fn place(counter: u32) -> (usize, u64) {
    let at = counter % SIZE;
    ((at / u64::BITS) as usize, 1 << (at % u64::BITS))
}

/// How far behind the newest frame one may come.
const SIZE: u32 = 1024;
const WORDS: usize = (SIZE / u64::BITS) as usize;
/// A track has one prefix; more come only if a sender joins again under the same track.
const MAX_PREFIXES: usize = 16;
