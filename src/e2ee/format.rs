// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a frame format has to do, so that another can stand beside LiveKit's.

use crate::iv::{Iv, IvSource};
use crate::key::FrameKey;
use crate::ring::KeyIndex;

/// How sealed frames are laid out: what stays clear, and where tag, IV and key index lie.
///
/// A format may keep state of the stream, such as parameter sets. It never gives out a clear frame. Formats live in this
/// crate, because only here can keys be used and IVs be drawn.
pub trait FrameFormat {
    /// Bytes that `out` of [`seal`](Self::seal) needs at most for a frame of `plain_len` bytes.
    fn max_sealed_len(&self, plain_len: usize) -> usize;

    /// Seals `frame` into `out` and gives the length of the sealed frame.
    fn seal(
        &mut self,
        key: &FrameKey,
        index: KeyIndex,
        ivs: &mut IvSource,
        frame: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SealError>;

    /// Reads what is needed to choose a key; may rearrange `frame`, for which [`open`](Self::open) is then meant.
    fn envelope(&self, frame: &mut [u8]) -> Result<Envelope, Unreadable>;

    /// Opens `frame` in place with one try and gives the length of the plain frame.
    fn open(
        &self,
        key: &FrameKey,
        envelope: &Envelope,
        frame: &mut [u8],
    ) -> Result<usize, Unauthentic>;
}

/// What a sealed frame says about itself, none of it authenticated yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Length of the clear part in bytes.
    pub header: usize,
    /// Length of the encrypted part in bytes, without the tag.
    pub body: usize,
    /// IV of this frame.
    pub iv: Iv,
    /// Slot of the key; may lie outside every ring.
    pub key_index: u8,
}

/// Why a frame has no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Not in this format: most likely a frame that nobody sealed.
    Clear,
    /// Not a frame of this codec.
    Malformed,
}

/// The frame does not fit its tag: damaged, altered, or sealed with another key. Nothing can tell which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the frame does not authenticate")]
pub struct Unauthentic;

/// Why a frame was not sealed; it must be dropped, never sent as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// No key is set.
    #[error("no key to seal with: set one before sending")]
    NoKey,
    /// The frame has no bytes.
    #[error("the frame is empty: leave out frames without content")]
    Empty,
    /// The frame is shorter than the part that stays clear.
    #[error("the frame is shorter than its clear header: check that the codec is right")]
    TooShort,
    /// The output buffer is too small.
    #[error("the output buffer is too small: give the size that max_sealed_len says")]
    OutputTooSmall,
    /// The IV counter has ended.
    #[error("no IV is left: publish the track anew with a fresh IV source")]
    IvExhausted,
    /// No IV in reach makes ciphertext that packetisers carry unharmed.
    #[error("no usable IV in 64 tries: drop this frame and ask the encoder for a key frame")]
    NoUsableIv,
    /// An H.264 frame without a slice of type 1 or 5.
    #[error("the H.264 frame has no slice: feed whole access units in Annex B")]
    NoSlice,
    /// An H.264 key frame came before any parameter sets.
    #[error("no SPS and PPS before the first H.264 key frame: let the encoder repeat them in band")]
    NoParameterSets,
    /// SPS and PPS are so long that native LiveKit clients miscount the clear header.
    #[error(
        "SPS and PPS leave no room in the 255 bytes of clear header: simplify the encoder's SPS"
    )]
    HeaderTooLong,
    /// A parameter set that cannot be read.
    #[error("an H.264 parameter set cannot be read: check the encoder")]
    BadParameterSet,
    /// A picture parameter set other than 0.
    #[error(
        "H.264 picture parameter sets other than 0 cannot cross WebRTC sealed: configure the encoder for one"
    )]
    PpsId,
    /// The first slice does not begin at the first macroblock, or its header cannot be read.
    #[error("the first H.264 slice does not begin the picture: switch off arbitrary slice order")]
    BadSlice,
    /// More NAL units than any encoder makes.
    #[error("the H.264 frame has more than 256 NAL units: use fewer slices")]
    TooManyUnits,
}

impl SealError {
    /// Whether the stream needs a key frame to go on, because a frame others refer to was dropped.
    pub fn wants_key_frame(&self) -> bool {
        matches!(self, Self::NoUsableIv | Self::NoParameterSets)
    }
}
