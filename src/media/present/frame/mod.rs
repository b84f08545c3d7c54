// SPDX-License-Identifier: MIT OR Apache-2.0

//! What an opened frame says about itself.
//!
//! Flags and caps that came with the packets are the service's word; what is read here was
//! authenticated together with the frame. The frame itself may still be anything a member of the
//! meeting chose to seal.

pub mod h264;
pub mod opus;
pub mod vp8;

use roomseal_e2ee::Codec;

/// Larger pictures are refused before a decoder makes room for them: a few bytes of VP8 can claim
/// a picture that takes 400 MB.
pub const MOST_PIXELS: u32 = 4096 * 2304;

/// Whether a decoder may and can start at a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameKind {
    /// A decoder can start here.
    pub key: bool,
    /// Its picture is larger than [`MOST_PIXELS`].
    pub oversized: bool,
}

impl FrameKind {
    /// Reads it from an opened frame.
    pub fn of(codec: Codec, frame: &[u8]) -> Self {
        let (key, size) = match codec {
            Codec::Opus => (true, None),
            Codec::Vp8 => {
                let size = vp8::key_frame_size(frame);
                (size.is_some(), size)
            }
            Codec::H264 => (h264::is_key_frame(frame), h264::largest_picture(frame)),
        };
        Self {
            key,
            oversized: size.is_some_and(|size| {
                size.width
                    .checked_mul(size.height)
                    .is_none_or(|pixels| pixels > MOST_PIXELS)
            }),
        }
    }
}
