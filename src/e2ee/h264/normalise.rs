// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rebuilds an access unit in the one form that reaches the receiver unchanged.
//!
//! Receivers rebuild every unit with a 4-byte start code, rewrite parameter sets they do not like, insert missing
//! ones, and count the clear header in one byte. All of that is covered by the tag, so it has to be settled here.

use alloc::vec::Vec;
use core::ops::Range;

use super::headers::{PpsHeader, SliceHeader};
use super::sps::{self, NormalSps};
use super::walk::{self, IDR_SLICE, PPS, SLICE, SPS};
use crate::format::SealError;

/// Bytes that [`Normaliser::write`] adds at most: a start code grows by one byte per unit, and parameter sets are
/// inserted.
pub(crate) const MAX_GROWTH: usize = MAX_UNITS + MAX_HEADER;

/// An access unit in normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Normal {
    /// Length of the clear header: all before the second byte behind the first slice's start code, and that byte.
    pub(crate) header: usize,
    /// Length of it all.
    pub(crate) length: usize,
    /// The PPS number begins exactly where the ciphertext does, and receivers look for it there.
    pub(crate) first_bit_set: bool,
}

/// Remembers parameter sets of a stream, and where the units of the current access unit lie.
#[derive(Debug, Default)]
pub(crate) struct Normaliser {
    sps: Option<Sps>,
    pps: Option<Vec<u8>>,
    slices: Vec<Range<usize>>,
    with_parameter_sets: bool,
}

impl Normaliser {
    /// Takes an access unit apart and checks that it can be sealed.
    pub(crate) fn read(&mut self, frame: &[u8]) -> Result<(), SealError> {
        self.slices.clear();
        self.with_parameter_sets = false;
        for (count, range) in walk::units(frame).enumerate() {
            if count == MAX_UNITS {
                return Err(SealError::TooManyUnits);
            }
            let unit = &frame[range.clone()];
            match walk::unit_type(unit[0]) {
                SPS => self.learn_sps(unit)?,
                PPS => self.learn_pps(unit)?,
                kind @ (SLICE | IDR_SLICE) => {
                    self.with_parameter_sets |= kind == IDR_SLICE;
                    self.slices.push(range);
                }
                // Delimiters, SEI and filler say nothing that a decoder of this stream needs, and an SEI can
                // be longer than the whole header may be. Other kinds are extensions that WebRTC does not carry.
                _ => {}
            }
        }
        for (at, slice) in self.slices.iter().enumerate() {
            let header = SliceHeader::read(&frame[slice.clone()]).ok_or(SealError::BadSlice)?;
            if at == 0 && header.first_mb != 0 {
                return Err(SealError::BadSlice);
            }
            if header.pps_id != 0 {
                return Err(SealError::PpsId);
            }
        }
        Ok(())
    }

    /// Writes the access unit that was just read.
    pub(crate) fn write(&self, frame: &[u8], out: &mut [u8]) -> Result<Normal, SealError> {
        let mut writer = Writer { out, length: 0 };
        let first = self.slices.first().ok_or(SealError::NoSlice)?;
        if self.with_parameter_sets {
            let (Some(sps), Some(pps)) = (&self.sps, &self.pps) else {
                return Err(SealError::NoParameterSets);
            };
            let pps_header = PpsHeader::read(pps).ok_or(SealError::BadParameterSet)?;
            if pps_header.sps_id != sps.normal.id {
                return Err(SealError::BadParameterSet);
            }
            if 3 * START_CODE.len() + sps.normal.unit.len() + pps.len() + CLEAR_OF_SLICE
                > MAX_HEADER
            {
                return Err(SealError::HeaderTooLong);
            }
            writer.unit(&sps.normal.unit)?;
            writer.unit(pps)?;
        }
        let header = writer.length + START_CODE.len() + CLEAR_OF_SLICE;
        for slice in &self.slices {
            writer.unit(&frame[slice.clone()])?;
        }
        let slice_header = SliceHeader::read(&frame[first.clone()]).ok_or(SealError::BadSlice)?;
        if header >= writer.length {
            return Err(SealError::BadSlice);
        }
        Ok(Normal {
            header,
            length: writer.length,
            first_bit_set: walk::unit_type(frame[first.start]) == IDR_SLICE
                && slice_header.bits_before_pps_id == 8 * (CLEAR_OF_SLICE - 1),
        })
    }

    fn learn_sps(&mut self, unit: &[u8]) -> Result<(), SealError> {
        self.with_parameter_sets = true;
        if self.sps.as_ref().is_none_or(|sps| sps.original != unit) {
            self.sps = Some(Sps {
                original: unit.to_vec(),
                normal: sps::normalise(unit).ok_or(SealError::BadParameterSet)?,
            });
        }
        Ok(())
    }

    fn learn_pps(&mut self, unit: &[u8]) -> Result<(), SealError> {
        self.with_parameter_sets = true;
        if self.pps.as_deref() == Some(unit) {
            return Ok(());
        }
        let header = PpsHeader::read(unit).ok_or(SealError::BadParameterSet)?;
        // One that no slice may name is not worth its bytes in the header.
        if header.id == 0 {
            self.pps = Some(unit.to_vec());
        }
        Ok(())
    }
}

/// An SPS as the encoder wrote it, to see when it changes, and as it is sent.
#[derive(Debug)]
struct Sps {
    original: Vec<u8>,
    normal: NormalSps,
}

struct Writer<'a> {
    out: &'a mut [u8],
    length: usize,
}

impl Writer<'_> {
    fn unit(&mut self, unit: &[u8]) -> Result<(), SealError> {
        for part in [&START_CODE[..], unit] {
            self.out
                .get_mut(self.length..self.length + part.len())
                .ok_or(SealError::OutputTooSmall)?
                .copy_from_slice(part);
            self.length += part.len();
        }
        Ok(())
    }
}

/// The only start code that survives a receiver's depacketiser.
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// NAL header and first byte of the slice header.
const CLEAR_OF_SLICE: usize = 2;
/// Native LiveKit clients keep the length of the header in one byte.
const MAX_HEADER: usize = 255;
/// No level allows a picture that needs as many slices as this.
const MAX_UNITS: usize = 256;
