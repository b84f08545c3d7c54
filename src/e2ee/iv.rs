// SPDX-License-Identifier: MIT OR Apache-2.0
//! IVs that never come twice and never look like an H.264 start code.

/// Length of the part of our IVs that stays the same for one track, in bytes.
pub const PREFIX_LEN: usize = 8;

/// The 12 bytes that make one frame's encryption unique under its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Iv([u8; Self::LEN]);

impl Iv {
    /// Length in bytes.
    pub const LEN: usize = 12;

    /// The bytes as they travel.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The bytes that our own senders keep for one track.
    pub fn prefix(&self) -> [u8; PREFIX_LEN] {
        let [prefix @ .., _, _, _, _] = self.0;
        prefix
    }

    /// The bytes that our own senders count with.
    pub(crate) fn counter(&self) -> u32 {
        self.word(2)
    }

    /// One of the three big-endian words that LiveKit's own senders put an IV together from.
    pub(crate) fn word(&self, at: usize) -> u32 {
        let bytes = self.0[at * 4..at * 4 + 4].try_into();
        u32::from_be_bytes(bytes.expect("the slice has four bytes"))
    }
}

impl From<[u8; Self::LEN]> for Iv {
    fn from(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }
}

/// Gives the IVs of one sender and track: 8 random bytes, then a big-endian counter with a random start.
///
/// Neither can be rewound nor cloned, so no IV comes twice. It outlives key changes: the counter simply goes on.
#[derive(Debug)]
pub struct IvSource {
    prefix: [u8; PREFIX_LEN],
    next: Option<u32>,
}

impl IvSource {
    /// Starts a source from 12 random bytes, fresh for every join and track.
    ///
    /// Zero bytes of the first eight are replaced, so that the prefix cannot be part of a start code.
    pub fn new(seed: [u8; Iv::LEN]) -> Self {
        let seed = Iv(seed);
        let mut prefix = seed.prefix();
        for (byte, other) in prefix.iter_mut().zip(1..) {
            if *byte == 0 {
                *byte = other;
            }
        }
        let start = COUNTER_FIRST + seed.counter() % (COUNTER_START_LAST - COUNTER_FIRST + 1);
        Self {
            prefix,
            next: Some(start),
        }
    }

    /// The bytes that all IVs of this source begin with.
    pub fn prefix(&self) -> [u8; PREFIX_LEN] {
        self.prefix
    }

    /// The next IV, or none when the counter has ended and the track has to be published anew.
    pub(crate) fn draw(&mut self) -> Option<Iv> {
        let mut counter = self.next?;
        // Only the counter's own middle can hold a start code: zero-free bytes stand before it and 0x0C after it.
        while counter & 0x00FF_FFFF <= 3 {
            counter += 1;
        }
        self.next = counter.checked_add(1);
        let mut iv = [0; Iv::LEN];
        iv[..PREFIX_LEN].copy_from_slice(&self.prefix);
        iv[PREFIX_LEN..].copy_from_slice(&counter.to_be_bytes());
        Some(Iv(iv))
    }
}

/// Least start: no byte of it is zero.
const COUNTER_FIRST: u32 = 0x0101_0101;
/// Greatest start: leaves three thousand million frames.
const COUNTER_START_LAST: u32 = 0x4000_0000;
