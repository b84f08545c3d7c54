// SPDX-License-Identifier: MIT OR Apache-2.0
//! The codecs whose frames can be sealed.

/// What an encoded frame holds; it decides how many of its bytes stay readable for packetisers and servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Opus: the TOC byte stays clear.
    Opus,
    /// VP8: 10 bytes of a key frame and 3 of any other stay clear.
    Vp8,
    /// H.264 access units in Annex B: everything up to the second byte of the first slice stays clear.
    H264,
}
