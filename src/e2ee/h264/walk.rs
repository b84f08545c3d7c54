// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds NAL units between Annex B start codes.

use core::ops::Range;

use super::escape::behind_two_zeros;

/// A slice of a picture that others do not refer to as an entry point.
pub(super) const SLICE: u8 = 1;
/// A slice of an instantaneous decoding refresh picture.
pub(super) const IDR_SLICE: u8 = 5;
/// Sequence parameter set.
pub(super) const SPS: u8 = 7;
/// Picture parameter set.
pub(super) const PPS: u8 = 8;

/// Type of the NAL unit that begins with this byte.
pub(super) fn unit_type(first: u8) -> u8 {
    first & 0x1F
}

/// Where the units of an access unit lie, without start codes and without the zeros that may follow a unit.
pub(super) fn units(frame: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut next = after_start_code(frame, 0);
    core::iter::from_fn(move || {
        let start = next?;
        next = after_start_code(frame, start);
        // A unit never ends in a zero byte (7.4.1): zeros here belong to the next start code or are padding.
        let end = next.map_or(frame.len(), |after| after - START_CODE.len());
        let length = frame[start..end]
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        Some(start..start + length)
    })
    .filter(|unit| !unit.is_empty())
}

/// Offset of the first unit's first byte behind `from`: the one after `00 00 01`.
pub(super) fn after_start_code(frame: &[u8], from: usize) -> Option<usize> {
    behind_two_zeros(frame, from, |byte| byte == 1).map(|third| third + 1)
}

/// Offset of the first slice's NAL header. What follows it is never looked at, since it may be ciphertext.
pub(crate) fn first_slice(frame: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let start = after_start_code(frame, from)?;
        if matches!(unit_type(*frame.get(start)?), SLICE | IDR_SLICE) {
            return Some(start);
        }
        from = start;
    }
}

const START_CODE: [u8; 3] = [0, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn start_codes_of_three_and_four_bytes_separate_units() {
        let frame = [
            0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2, 0, 0, 0, 0, 1, 0x65, 3, 0, 0,
        ];
        assert_eq!(units(&frame).collect::<Vec<_>>(), [4..6, 9..11, 16..18]);
        assert_eq!(first_slice(&frame), Some(16));
    }

    #[test]
    fn what_is_no_annex_b_has_no_units() {
        for frame in [
            &[][..],
            &[0],
            &[0, 0],
            &[0, 0, 1],
            &[0, 0, 1, 0, 0, 1],
            &[1, 0, 0, 2],
            &[0; 40],
        ] {
            assert_eq!(units(frame).count(), 0);
            assert_eq!(first_slice(frame), None);
        }
    }

    #[test]
    fn the_fast_search_finds_what_a_plain_one_finds() {
        for pattern in 0..4_u32.pow(8) {
            let frame: Vec<u8> = (0..8).map(|at| (pattern >> (2 * at) & 3) as u8).collect();
            let plain = frame
                .windows(3)
                .position(|window| window == START_CODE)
                .map(|at| at + 3);
            assert_eq!(after_start_code(&frame, 0), plain, "{frame:?}");
        }
    }
}
