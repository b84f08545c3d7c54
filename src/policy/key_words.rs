// SPDX-License-Identifier: MIT OR Apache-2.0
//! Five words by which people compare the key of a box: what a service says it is, with what the box itself shows.

use crate::digest::sha256;
use crate::words::{LIST_LEN, word};

/// How many words a key has: 5 × log₂ 7776 = 64.6 bits.
pub const KEY_WORDS: usize = 5;

/// The words of a box's key, which is given as its compressed point (SEC 1, 2.3.3).
///
/// Each 5 bytes of the first 25 of the point's SHA-256 are, as a big-endian number modulo 7 776, the place of a word in
/// the EFF's large list. To find a key with the words of another takes some 2⁶⁴ tries.
pub fn key_words(point: &[u8; 33]) -> [&'static str; KEY_WORDS] {
    let digest = sha256(point);
    core::array::from_fn(|place| {
        let number = digest[place * 5..][..5]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        word(usize::try_from(number % LIST_LEN as u64).expect("four digits fit"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_words_that_its_hash_says_and_another_key_has_others() {
        // SHA-256 of 33 bytes 0x02: made with `sha256sum`, the places with `bc`, the words with `sed`.
        assert_eq!(
            key_words(&[2; 33]),
            ["relay", "recite", "glimmer", "undying", "coveted"]
        );
        let mut other = [2; 33];
        other[32] ^= 1;
        assert!(
            key_words(&other)
                .iter()
                .zip(key_words(&[2; 33]))
                .all(|(one, two)| *one != two)
        );
    }
}
