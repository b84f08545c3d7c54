// SPDX-License-Identifier: MIT OR Apache-2.0

//! The few bytes of a VP8 frame that say where one can start (RFC 6386, section 9.1).

use crate::present::layout::Size;

/// Size of the picture when `frame` is a key frame.
pub fn key_frame_size(frame: &[u8]) -> Option<Size> {
    let [tag, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = *frame else {
        return None;
    };
    // The two top bits of each are a scaling hint for the display.
    let width = u32::from(u16::from_le_bytes([w0, w1]) & 0x3fff);
    let height = u32::from(u16::from_le_bytes([h0, h1]) & 0x3fff);
    (tag & 1 == 0 && width > 0 && height > 0).then_some(Size { width, height })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_tells_its_size_and_nothing_else_does() {
        let key = [
            0x50, 0x42, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00, 1, 2,
        ];
        assert_eq!(
            key_frame_size(&key),
            Some(Size {
                width: 320,
                height: 240
            })
        );
        assert_eq!(key_frame_size(&key[..9]), None);
        assert_eq!(key_frame_size(&[0x51, 0, 0]), None);
        let mut delta = key;
        delta[0] |= 1;
        assert_eq!(key_frame_size(&delta), None);
        assert_eq!(key_frame_size(&[]), None);
    }
}
