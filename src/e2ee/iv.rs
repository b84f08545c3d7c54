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

    /// The counter below which no IV is drawn any more.
    pub fn counter(&self) -> Option<u32> {
        self.next
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

#[cfg(test)]
mod tests {
    use super::*;

    fn counting_from(next: u32) -> IvSource {
        IvSource {
            prefix: [0x55; PREFIX_LEN],
            next: Some(next),
        }
    }

    #[test]
    fn counters_that_would_hold_a_start_code_are_skipped() {
        let mut ivs = counting_from(0x01FF_FFFE);
        let counters = core::array::from_fn(|_| ivs.draw().map(|iv| iv.counter()));
        assert_eq!(
            counters,
            [0x01FF_FFFE, 0x01FF_FFFF, 0x0200_0004, 0x0200_0005].map(Some)
        );
        // Every counter that is drawn, next to what surrounds it in a frame, is free of start codes.
        for next in (0x00FF_FFF0..0x0100_0010).chain(0x0200_FFF0..0x0201_0010) {
            let iv = counting_from(next.max(COUNTER_FIRST))
                .draw()
                .expect("far from the end");
            for key_index in 0..16 {
                let mut tail = [0; 14];
                tail[..12].copy_from_slice(iv.as_bytes());
                tail[12..].copy_from_slice(&[0x0C, key_index]);
                assert!(tail.windows(3).all(|w| w[0] != 0 || w[1] != 0 || w[2] > 3));
            }
        }
    }

    #[test]
    fn the_counter_ends_and_never_starts_over() {
        let mut ivs = counting_from(u32::MAX);
        assert_eq!(ivs.draw().map(|iv| iv.counter()), Some(u32::MAX));
        assert_eq!(ivs.draw(), None);
        assert_eq!(ivs.draw(), None);
    }

    #[test]
    fn every_seed_gives_a_prefix_without_zeros_and_a_start_in_range() {
        for last in [0, 1, 0x3EFE_FEFF, 0x3EFE_FF00, 0x7FFF_FFFF, u32::MAX] {
            let mut seed = [0; Iv::LEN];
            seed[8..].copy_from_slice(&last.to_be_bytes());
            let ivs = IvSource::new(seed);
            assert!(ivs.prefix().iter().all(|byte| *byte != 0));
            let start = ivs.next.expect("nothing was drawn");
            assert!((COUNTER_FIRST..=COUNTER_START_LAST).contains(&start));
        }
    }
}
