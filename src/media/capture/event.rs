// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a capture tells its call, and what it measures.

use std::{fmt, time::Instant};

use roomseal_e2ee::{Codec, PREFIX_LEN};

use super::code::SeenCode;
use crate::{
    budget::Limits,
    encoder::EncoderVerdict,
    transport::{LocalTrackId, PublishTrack},
};

/// How a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// It gives pictures or sound.
    Running,
    /// It is not there. Looked for again by itself.
    Missing {
        /// The device and what is wrong with it, in words for people.
        what: String,
        /// What to do about it.
        advice: String,
    },
    /// It is there but gives nothing.
    Stalled,
    /// It is being closed and opened again.
    Rebuilding,
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("running"),
            Self::Missing { what, advice } => write!(f, "{what}: {advice}"),
            Self::Stalled => f.write_str("gives nothing"),
            Self::Rebuilding => f.write_str("being opened again"),
        }
    }
}

/// What a capture tells its call. Comes on threads of the capture: the callee must not block and
/// must not call [`super::Capture::stop`].
#[derive(Clone, Debug)]
pub enum CaptureEvent {
    /// A source came, went or stalled.
    SourceState {
        /// The track it feeds.
        local: LocalTrackId,
        /// How it is now.
        state: SourceState,
    },
    /// A QR code was held to the camera while one was looked for.
    CodeSeen(SeenCode),
    /// Which encoder was taken and why the others were not; again when more is known.
    Encoders(Vec<EncoderVerdict>),
    /// The encoder that the board likes best, of those that work, is now one for another codec than
    /// before: it was proved, or the one before it broke. At the start it is that of the published
    /// track. [`super::Capture::go_over`] takes it.
    CodecPreferred {
        /// Its codec.
        codec: Codec,
    },
    /// The board cannot keep up, or can again: the capture has already adapted itself; the tiles
    /// are the callee's to adapt.
    Limits(Limits),
    /// No encoder works: the video track sends nothing. Tried again by itself.
    NoEncoder {
        /// Why, and what to do.
        reason: String,
    },
    /// A track's picture has another size than was announced.
    TrackChanged(PublishTrack),
}

/// What one track did so far.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackStats {
    /// The track.
    pub local: LocalTrackId,
    /// Its codec.
    pub codec: Codec,
    /// Name of the encoder's element; `None` while there is none.
    pub encoder: Option<String>,
    /// How its source is.
    pub source: SourceState,
    /// Whether it is muted.
    pub muted: bool,
    /// Whether the source's own switch is off, whoever turned it; `None` where it has none.
    pub switched_off: Option<bool>,
    /// Pictures or blocks of sound the encoder was given.
    pub offered: u64,
    /// Frames the encoder made.
    pub encoded: u64,
    /// Frames handed on to the transport.
    pub frames: u64,
    /// Frames sealed; part of `frames`.
    pub sealed: u64,
    /// Frames that left clear, in mode *clear*; part of `frames`.
    pub clear: u64,
    /// When a frame last left clear.
    pub clear_at: Option<Instant>,
    /// Encoded frames dropped in mode *hold*.
    pub held: u64,
    /// Encoded frames that could not be sealed and were dropped.
    pub dropped: u64,
    /// What its IVs begin with, and a counter below which no later one is; `None` before the first
    /// frame. Changes when another encoder takes over.
    pub iv: Option<([u8; PREFIX_LEN], u32)>,
    /// Bitrate asked of the encoder, in bit/s.
    pub bitrate: u32,
    /// Bitrate handed on in the last second, in bit/s.
    pub measured_bitrate: u32,
    /// Frames handed on in the last second.
    pub fps: u32,
}
