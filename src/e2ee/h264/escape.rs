// SPDX-License-Identifier: MIT OR Apache-2.0
//! Emulation prevention (ITU-T H.264, 7.4.1): keeps start codes out of arbitrary bytes.

use alloc::vec::Vec;

/// Offset, at least `from + 2`, of a wanted byte behind two zeros that lie behind `from`.
pub(super) fn behind_two_zeros(
    bytes: &[u8],
    from: usize,
    wanted: impl Fn(u8) -> bool,
) -> Option<usize> {
    let mut at = from;
    loop {
        // Most of a frame has no zeros, and looking at single bytes would cost more than encrypting them.
        while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk())
            && !holds_zero(chunk)
        {
            at += CHUNK;
        }
        let near = bytes.get(at..)?;
        let near = &near[..near.len().min(CHUNK + 2)];
        let found = near
            .windows(3)
            .position(|w| w[0] == 0 && w[1] == 0 && wanted(w[2]));
        if let Some(found) = found {
            return Some(at + found + 2);
        }
        at += CHUNK;
    }
}

/// Whether one of the bytes is zero, asked in the one way that becomes a few vector instructions.
fn holds_zero(chunk: &[u8; CHUNK]) -> bool {
    chunk
        .iter()
        .fold(0, |zeros, byte| zeros | u8::from(*byte == 0))
        != 0
}

/// Escapes the bytes of `buffer` from `start` to `end` in place and gives their new end; none if it does not fit.
pub(crate) fn escape(buffer: &mut [u8], start: usize, mut end: usize) -> Option<usize> {
    let mut from = start;
    while let Some(at) = behind_two_zeros(&buffer[..end], from, needs_escape) {
        if end == buffer.len() {
            return None;
        }
        buffer.copy_within(at..end, at + 1);
        buffer[at] = ESCAPE;
        end += 1;
        // The run of zeros begins anew behind the escape.
        from = at + 1;
    }
    Some(end)
}

/// Whether an escape would fall into `bytes` behind the second.
pub(crate) fn holds_escape(bytes: &[u8]) -> bool {
    behind_two_zeros(bytes, 0, needs_escape).is_some()
}

/// Takes the escapes out of `bytes` in place and gives the length that is left.
pub(crate) fn unescape(bytes: &mut [u8]) -> usize {
    let (mut read, mut write) = (0, 0);
    while let Some(at) = behind_two_zeros(bytes, read, |byte| byte == ESCAPE) {
        bytes.copy_within(read..at, write);
        write += at - read;
        read = at + 1;
    }
    bytes.copy_within(read.., write);
    write + bytes.len() - read
}

/// A copy of `bytes` without escapes.
pub(super) fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    let length = unescape(&mut copy);
    copy.truncate(length);
    copy
}

/// A copy of `bytes` with escapes.
pub(super) fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    // Each escape stands for two zeros of its own.
    copy.resize(bytes.len() + bytes.len() / 2, 0);
    let length = escape(&mut copy, 0, bytes.len()).expect("at most one escape per two bytes");
    copy.truncate(length);
    copy
}

fn needs_escape(byte: u8) -> bool {
    byte <= ESCAPE
}

const CHUNK: usize = 32;
/// The byte that breaks up what would look like a start code.
const ESCAPE: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The standard's rule, byte by byte.
    fn plain_escaped(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut zeros = 0;
        for byte in bytes {
            if zeros == 2 && *byte <= 3 {
                out.push(3);
                zeros = 0;
            }
            out.push(*byte);
            zeros = if *byte == 0 { zeros + 1 } else { 0 };
        }
        out
    }

    fn zero_rich() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(
            prop_oneof![5 => Just(0), 4 => 1..5_u8, 1 => any::<u8>()],
            0..200,
        )
    }

    proptest! {
        #[test]
        fn escaping_follows_the_standard_and_can_be_undone(bytes in zero_rich()) {
            let escaped = escaped(&bytes);
            prop_assert_eq!(&escaped, &plain_escaped(&bytes));
            prop_assert!(!escaped.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] < 3));
            prop_assert_eq!(unescaped(&escaped), bytes);
        }

        #[test]
        fn unescaping_takes_anything(bytes in zero_rich()) {
            prop_assert!(unescaped(&bytes).len() <= bytes.len());
        }
    }

    #[test]
    fn escaping_stops_at_the_end_of_the_buffer() {
        let mut buffer = [9, 0, 0, 1, 0, 0, 2, 0];
        assert_eq!(escape(&mut buffer, 1, 7), None);
        assert_eq!(escape(&mut [0, 0, 7], 0, 3), Some(3));
    }
}
