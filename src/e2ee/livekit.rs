// SPDX-License-Identifier: MIT OR Apache-2.0
//! LiveKit's frame format: `header | ciphertext | tag | IV | 0x0C | key index`, the header being the AAD.

use aes_gcm::aead::inout::InOutBuf;

use crate::codec::Codec;
use crate::format::{Envelope, FrameFormat, SealError, Unauthentic, Unreadable};
use crate::h264::{self, Normaliser};
use crate::iv::{Iv, IvSource};
use crate::key::{FrameKey, TAG_LEN};
use crate::ring::KeyIndex;

/// The format that all LiveKit clients seal frames of one track in.
#[derive(Debug)]
pub struct LiveKit {
    codec: Codec,
    h264: Normaliser,
}

impl LiveKit {
    /// The format for one track.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            h264: Normaliser::default(),
        }
    }

    /// Bytes that a sealed frame takes at most.
    pub fn max_sealed_len(codec: Codec, plain_len: usize) -> usize {
        match codec {
            Codec::Opus | Codec::Vp8 => plain_len + OVERHEAD,
            Codec::H264 => plain_len + h264::MAX_GROWTH + OVERHEAD + escape_room(plain_len),
        }
    }

    fn seal_h264(
        &mut self,
        key: &FrameKey,
        index: KeyIndex,
        ivs: &mut IvSource,
        frame: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        let room = Self::max_sealed_len(Codec::H264, frame.len());
        let out = out.get_mut(..room).ok_or(SealError::OutputTooSmall)?;
        self.h264.read(frame)?;
        for _ in 0..MAX_TRIES {
            // The last try left ciphertext, so each begins with the plain frame.
            let normal = self.h264.write(frame, out)?;
            let iv = ivs.draw().ok_or(SealError::IvExhausted)?;
            let (clear, rest) = out.split_at_mut(normal.header);
            let (text, trailer) = rest.split_at_mut(normal.length - normal.header);
            if normal.first_bit_set && key.first_byte(&iv, text[0]) & 0x80 == 0 {
                continue;
            }
            let tag = key.seal(&iv, clear, text.into());
            write_trailer(trailer, &tag, &iv, index);
            // Native receivers read these bytes before they take escapes out.
            if h264::holds_escape(&trailer[TAG_LEN - 2..OVERHEAD]) {
                continue;
            }
            if let Some(end) = h264::escape(out, normal.header, normal.length + OVERHEAD) {
                return Ok(end);
            }
        }
        Err(SealError::NoUsableIv)
    }
}

impl FrameFormat for LiveKit {
    fn max_sealed_len(&self, plain_len: usize) -> usize {
        Self::max_sealed_len(self.codec, plain_len)
    }

    #[inline]
    fn seal(
        &mut self,
        key: &FrameKey,
        index: KeyIndex,
        ivs: &mut IvSource,
        frame: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        let first = *frame.first().ok_or(SealError::Empty)?;
        let header = match self.codec {
            Codec::Opus => OPUS_HEADER,
            Codec::Vp8 => vp8_header(first),
            Codec::H264 => return self.seal_h264(key, index, ivs, frame, out),
        };
        if frame.len() < header {
            return Err(SealError::TooShort);
        }
        let end = frame.len() + OVERHEAD;
        let out = out.get_mut(..end).ok_or(SealError::OutputTooSmall)?;
        let (clear, rest) = out.split_at_mut(header);
        let (text, trailer) = rest.split_at_mut(frame.len() - header);
        clear.copy_from_slice(&frame[..header]);
        let iv = ivs.draw().ok_or(SealError::IvExhausted)?;
        // Reads the frame and writes the output in one pass: cheaper than copy, then encrypt.
        let text =
            InOutBuf::new(&frame[header..], text).expect("both are frame.len() - header long");
        let tag = key.seal(&iv, clear, text);
        write_trailer(trailer, &tag, &iv, index);
        Ok(end)
    }

    #[inline]
    fn envelope(&self, frame: &mut [u8]) -> Result<Envelope, Unreadable> {
        let first = *frame.first().ok_or(Unreadable::Malformed)?;
        let header = match self.codec {
            Codec::Opus => OPUS_HEADER,
            Codec::Vp8 => vp8_header(first),
            Codec::H264 => return h264_envelope(frame),
        };
        read_trailer(header, frame)
    }

    #[inline]
    fn open(
        &self,
        key: &FrameKey,
        envelope: &Envelope,
        frame: &mut [u8],
    ) -> Result<usize, Unauthentic> {
        let plain_len = envelope.header + envelope.body;
        let (clear, rest) = frame
            .split_at_mut_checked(envelope.header)
            .ok_or(Unauthentic)?;
        let (text, trailer) = rest
            .split_at_mut_checked(envelope.body)
            .ok_or(Unauthentic)?;
        let tag = trailer.first_chunk::<TAG_LEN>().ok_or(Unauthentic)?;
        key.open(&envelope.iv, clear, text, tag)?;
        Ok(plain_len)
    }
}

/// Header of a VP8 frame, told by the frame tag's lowest bit (RFC 6386, 9.1): 0 is a key frame.
fn vp8_header(first: u8) -> usize {
    if first & 1 == 0 {
        VP8_KEY_HEADER
    } else {
        VP8_DELTA_HEADER
    }
}

fn h264_envelope(frame: &mut [u8]) -> Result<Envelope, Unreadable> {
    // Without a slice nothing in it could have been sealed: parameter sets alone, or no H.264 at all.
    let header = h264::first_slice(frame).ok_or(Unreadable::Malformed)? + H264_CLEAR_OF_SLICE;
    let sealed = frame.get_mut(header..).ok_or(Unreadable::Malformed)?;
    let length = h264::unescape(sealed);
    read_trailer(header, &frame[..header + length])
}

fn write_trailer(trailer: &mut [u8], tag: &[u8; TAG_LEN], iv: &Iv, index: KeyIndex) {
    let trailer = trailer
        .first_chunk_mut::<OVERHEAD>()
        .expect("the caller leaves room for the trailer");
    trailer[..TAG_LEN].copy_from_slice(tag);
    trailer[TAG_LEN..TAG_LEN + Iv::LEN].copy_from_slice(iv.as_bytes());
    trailer[OVERHEAD - 2] = IV_LEN_BYTE;
    trailer[OVERHEAD - 1] = index.into();
}

fn read_trailer(header: usize, frame: &[u8]) -> Result<Envelope, Unreadable> {
    let body = frame
        .len()
        .checked_sub(header + OVERHEAD)
        .ok_or(Unreadable::Clear)?;
    let trailer = frame.last_chunk::<OVERHEAD>().ok_or(Unreadable::Clear)?;
    // Native clients take 12 and nothing else, and so does everyone send.
    if trailer[OVERHEAD - 2] != IV_LEN_BYTE {
        return Err(Unreadable::Clear);
    }
    let mut iv = [0; Iv::LEN];
    iv.copy_from_slice(&trailer[TAG_LEN..TAG_LEN + Iv::LEN]);
    Ok(Envelope {
        header,
        body,
        iv: iv.into(),
        key_index: trailer[OVERHEAD - 1],
    })
}

/// Bytes set aside for escapes. Ciphertext looks random, which makes one in four million bytes an escape; a frame that
/// needs more than this is sealed with another IV.
fn escape_room(plain_len: usize) -> usize {
    64 + plain_len / 64
}

/// Bytes that a sealed frame is longer: tag, IV, length of the IV, key index.
const OVERHEAD: usize = TAG_LEN + Iv::LEN + 2;
const IV_LEN_BYTE: u8 = Iv::LEN as u8;
/// NAL header and first byte of the slice header.
const H264_CLEAR_OF_SLICE: usize = 2;
/// Tries with another IV before an H.264 frame is given up.
const MAX_TRIES: usize = 64;
const OPUS_HEADER: usize = 1;
const VP8_KEY_HEADER: usize = 10;
const VP8_DELTA_HEADER: usize = 3;
