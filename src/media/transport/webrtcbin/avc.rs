// SPDX-License-Identifier: MIT OR Apache-2.0

//! Annex B to AVC: 4-byte start codes become 4-byte lengths, in place.
//!
//! `rtph264pay` strips zero bytes from the end of every unit it finds by start codes, and the
//! last byte of a sealed frame is its key index, often zero. Told the lengths, it leaves them.

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Rewrites an access unit with 4-byte start codes; leaves one with lengths alone.
///
/// Returns whether the result is AVC; if not, the frame is damaged and of no use. An access unit
/// that begins with a unit of one byte is not told from Annex B, but there is none.
pub(super) fn to_avc(frame: &mut [u8]) -> bool {
    if !frame.starts_with(&START_CODE) {
        return is_avc(frame);
    }
    let mut unit = 0;
    while unit < frame.len() {
        let payload = unit + 4;
        let Some(rest) = frame.get(payload..) else {
            return false;
        };
        // Emulation prevention keeps this pattern out of units. Of more than three zeros the
        // first belong to the unit before.
        let length = rest
            .windows(4)
            .position(|window| window == START_CODE)
            .unwrap_or(rest.len());
        let Ok(prefix) = u32::try_from(length) else {
            return false;
        };
        if length == 0 {
            return false;
        }
        frame[unit..payload].copy_from_slice(&prefix.to_be_bytes());
        unit = payload + length;
    }
    true
}

fn is_avc(mut frame: &[u8]) -> bool {
    if frame.is_empty() {
        return false;
    }
    while let Some((prefix, rest)) = frame.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        if length == 0 || length > rest.len() {
            return false;
        }
        frame = &rest[length..];
    }
    frame.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(frame: &[u8]) -> Option<Vec<u8>> {
        let mut frame = frame.to_vec();
        to_avc(&mut frame).then_some(frame)
    }

    #[test]
    fn start_codes_become_lengths_and_trailing_zeros_stay() {
        let annexb = [
            0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 0, 0, 0, 0, 1, 0x65, 9, 0, 0,
        ];
        let avc = [
            0, 0, 0, 3, 0x67, 1, 2, 0, 0, 0, 2, 0x68, 0, 0, 0, 0, 4, 0x65, 9, 0, 0,
        ];
        assert_eq!(converted(&annexb).as_deref(), Some(avc.as_slice()));
        assert_eq!(converted(&avc).as_deref(), Some(avc.as_slice()));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for frame in [
            &[][..],
            &[0],
            &[0, 0, 0, 1],
            &[0, 0, 1, 0x65, 4],
            &[0, 0, 0, 1, 0, 0, 0, 1, 5],
            &[0, 0, 0, 9, 0x65],
            &[0, 0, 0, 2, 0x65, 1, 7],
            &[0xff; 40],
        ] {
            assert_eq!(converted(frame), None, "{frame:?}");
        }
    }
}
