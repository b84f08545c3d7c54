// SPDX-License-Identifier: MIT OR Apache-2.0
//! What H.264 needs so that a sealed access unit reaches every LiveKit client unharmed.

mod bits;
mod escape;
mod headers;
mod normalise;
mod sps;
mod walk;

pub(crate) use escape::{escape, holds_escape, unescape};
pub(crate) use normalise::{MAX_GROWTH, Normaliser};
pub(crate) use walk::first_slice;

use walk::{IDR_SLICE, SPS, after_start_code, unit_type};

/// Whether an access unit in Annex B begins a picture that decodes alone; also for sealed ones.
///
/// As LiveKit's server, it takes an SPS for a key frame too.
pub fn is_key_frame(frame: &[u8]) -> bool {
    let slice = first_slice(frame);
    let mut next = after_start_code(frame, 0);
    while let Some(start) = next {
        let Some(first) = frame.get(start) else {
            return false;
        };
        if matches!(unit_type(*first), SPS | IDR_SLICE) {
            return true;
        }
        if slice == Some(start) {
            return false;
        }
        next = after_start_code(frame, start);
    }
    false
}

/// Turns the start codes of a sealed access unit into lengths (`stream-format=avc`), in place.
///
/// GStreamer's `rtph264pay` cuts zeros off the end of every Annex B unit, and the last byte of a sealed frame is its
/// key index. Everything behind the first slice's start code is one unit, since its ciphertext holds no start code.
///
/// # Errors
/// The frame did not come from [`Sealer::seal`](crate::Sealer::seal); it is unchanged.
pub fn sealed_to_avc(frame: &mut [u8]) -> Result<(), NotSealedAnnexB> {
    let slice = first_slice(frame).ok_or(NotSealedAnnexB)?;
    if !frame.starts_with(&START_CODE) {
        return Err(NotSealedAnnexB);
    }
    let mut start = START_CODE.len();
    while start != slice {
        let next = after_start_code(frame, start).ok_or(NotSealedAnnexB)?;
        if next - start < START_CODE.len() || frame[next - START_CODE.len()..next] != START_CODE {
            return Err(NotSealedAnnexB);
        }
        start = next;
    }
    let mut start = START_CODE.len();
    while start != slice {
        let next = after_start_code(frame, start).ok_or(NotSealedAnnexB)?;
        write_length(frame, start, next - START_CODE.len())?;
        start = next;
    }
    write_length(frame, slice, frame.len())
}

/// The frame is not a sealed access unit in Annex B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sealed H.264 access unit with 4-byte start codes: seal it first")]
pub struct NotSealedAnnexB;

fn write_length(frame: &mut [u8], start: usize, end: usize) -> Result<(), NotSealedAnnexB> {
    let length = u32::try_from(end - start).map_err(|_| NotSealedAnnexB)?;
    frame[start - START_CODE.len()..start].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

const START_CODE: [u8; 4] = [0, 0, 0, 1];
