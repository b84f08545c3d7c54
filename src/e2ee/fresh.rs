// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random bytes for code that has no source of its own.

use core::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Expands 32 random bytes into as many as are needed; nothing is given out twice. Wiped when dropped.
///
/// A clone gives the same bytes again: for searching through what could happen, never for two meetings.
#[derive(Clone)]
pub struct Fresh {
    seed: Zeroizing<[u8; 32]>,
    drawn: u64,
}

impl Fresh {
    /// Starts from bytes of the operating system's generator, new for every meeting.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            seed: Zeroizing::new(seed),
            drawn: 0,
        }
    }

    /// Bytes that nobody without the seed can tell from random ones.
    pub fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        Hkdf::<Sha256>::new(None, &*self.seed)
            .expand_multi_info(
                &[b"roomseal fresh v1", &self.drawn.to_be_bytes()],
                &mut bytes,
            )
            .expect("no caller draws more than the 8160 bytes that HKDF can give");
        self.drawn += 1;
        bytes
    }
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fresh(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_given_out_twice_and_another_seed_gives_something_else() {
        let mut one = Fresh::new([1; 32]);
        let mut two = Fresh::new([2; 32]);
        let drawn: std::collections::BTreeSet<[u8; 16]> = (0..50)
            .flat_map(|_| [one.draw::<16>(), two.draw::<16>()])
            .collect();
        assert_eq!(drawn.len(), 100);
    }
}
