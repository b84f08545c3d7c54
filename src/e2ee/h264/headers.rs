// SPDX-License-Identifier: MIT OR Apache-2.0
//! The few fields of slice headers and PPS that decide whether a frame survives sealing.

use super::bits::BitReader;
use super::escape::unescaped;

/// The beginning of a slice header (7.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SliceHeader {
    /// First macroblock of the slice.
    pub(super) first_mb: u32,
    /// Number of the PPS.
    pub(super) pps_id: u32,
    /// Bits before the PPS number.
    pub(super) bits_before_pps_id: usize,
}

impl SliceHeader {
    /// Reads the header of a slice's NAL unit.
    pub(super) fn read(unit: &[u8]) -> Option<Self> {
        let mut copy = [0; LONGEST_HEADER];
        let length = unit.len().saturating_sub(1).min(LONGEST_HEADER);
        copy[..length].copy_from_slice(&unit[1..][..length]);
        let length = super::escape::unescape(&mut copy[..length]);
        let mut bits = BitReader::new(&copy[..length]);
        let first_mb = bits.ue()?;
        bits.ue()
            .filter(|slice_type| *slice_type <= LAST_SLICE_TYPE)?;
        Some(Self {
            first_mb,
            bits_before_pps_id: bits.position(),
            pps_id: bits.ue()?,
        })
    }
}

/// The beginning of a PPS (7.3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PpsHeader {
    /// Number of this PPS.
    pub(super) id: u32,
    /// Number of the SPS it builds on.
    pub(super) sps_id: u32,
}

impl PpsHeader {
    /// Reads the header of a PPS's NAL unit.
    pub(super) fn read(unit: &[u8]) -> Option<Self> {
        let rbsp = unescaped(unit.get(1..)?);
        let mut bits = BitReader::new(&rbsp);
        Some(Self {
            id: bits.ue()?,
            sps_id: bits.ue()?,
        })
    }
}

/// All slices of a picture being I, P, B, SP or SI is 5 to 9 (table 7-6).
const LAST_SLICE_TYPE: u32 = 9;
/// Three codes of at most 31 + 1 + 31 bits, with room for escapes.
const LONGEST_HEADER: usize = 36;
