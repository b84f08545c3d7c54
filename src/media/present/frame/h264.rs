// SPDX-License-Identifier: MIT OR Apache-2.0

//! The parts of H.264 that a recording needs (ITU-T H.264, sections 7.3 and B.1).

use crate::present::layout::Size;

const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;

/// Whether a decoder can start at this access unit (Annex B).
pub fn is_key_frame(frame: &[u8]) -> bool {
    units(frame).any(|unit| kind(unit) == IDR)
}

/// The largest picture that the sequence parameter sets in an access unit allow. `None` when there
/// are none; one that cannot be read counts as larger than anything.
pub fn largest_picture(frame: &[u8]) -> Option<Size> {
    const BEYOND: Size = Size {
        width: u32::MAX,
        height: u32::MAX,
    };
    units(frame)
        .filter(|unit| kind(unit) == SPS)
        .map(|sps| picture_size(sps).unwrap_or(BEYOND))
        .max_by_key(|size| u64::from(size.width) * u64::from(size.height))
}

/// The same frame with a 4-byte length before each unit, without the parameter sets (a file has
/// them in its head) and delimiters.
pub fn with_lengths(frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(frame.len() + 16);
    for unit in units(frame).filter(|unit| !matches!(kind(unit), SPS | PPS | DELIMITER)) {
        let length = u32::try_from(unit.len()).expect("no frame has 4 GB");
        out.extend(length.to_be_bytes());
        out.extend_from_slice(unit);
    }
    out
}

/// What a decoder must know before the first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSets {
    sps: Vec<u8>,
    pps: Vec<u8>,
}

impl ParameterSets {
    /// The first of each in an access unit, if it has both and they fit into a file's head.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let first = |wanted, least| {
            units(frame)
                .find(|unit| kind(unit) == wanted)
                .filter(|unit| (least..=usize::from(u16::MAX)).contains(&unit.len()))
                .map(<[u8]>::to_vec)
        };
        Some(Self {
            // Header, profile, constraints, level.
            sps: first(SPS, 4)?,
            pps: first(PPS, 2)?,
        })
    }

    /// Size of the picture, after cropping.
    pub fn size(&self) -> Option<Size> {
        picture_size(&self.sps)
    }

    /// The `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, section 5.3.3.1).
    pub fn config(&self) -> Vec<u8> {
        // Version 1; profile, constraints and level; 4-byte lengths; one of each set.
        let mut out = vec![1, self.sps[1], self.sps[2], self.sps[3], 0xff, 0xe1];
        for (set, count_after) in [(&self.sps, Some(1)), (&self.pps, None)] {
            let length = u16::try_from(set.len()).expect("checked when they were found");
            out.extend(length.to_be_bytes());
            out.extend_from_slice(set);
            out.extend(count_after);
        }
        if has_chroma_fields(self.sps[1]) {
            // Chroma 4:2:0, 8 bits each, no extensions: all that our decoders take.
            out.extend([0xfd, 0xf8, 0xf8, 0]);
        }
        out
    }
}

fn kind(unit: &[u8]) -> u8 {
    unit[0] & 0x1f
}

/// The units of a byte stream, without start codes; none is empty.
fn units(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(frame);
    std::iter::from_fn(move || {
        loop {
            let unit = rest?;
            let end = (0..unit.len())
                .find(|at| unit[*at..].starts_with(&[0, 0, 1]))
                .unwrap_or(unit.len());
            rest = after_start_code(&unit[end..]);
            // A unit never ends in zero; those belong to the next start code or are padding.
            let length = unit[..end].iter().rposition(|byte| *byte != 0);
            if let Some(last) = length {
                return Some(&unit[..=last]);
            }
        }
    })
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    let at = bytes.windows(3).position(|window| window == [0, 0, 1])?;
    Some(&bytes[at + 3..])
}

fn has_chroma_fields(profile: u8) -> bool {
    matches!(
        profile,
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
    )
}

/// Reads a sequence parameter set as far as the size of the picture (section 7.3.2.1.1).
fn picture_size(sps: &[u8]) -> Option<Size> {
    let profile = *sps.get(1)?;
    let mut bits = Bits::new(sps.get(4..)?);
    bits.ue()?; // seq_parameter_set_id
    let mut chroma = 1;
    if has_chroma_fields(profile) {
        chroma = bits.ue()?;
        if chroma == 3 {
            bits.take(1)?;
        }
        bits.ue()?; // bit depths
        bits.ue()?;
        bits.take(1)?;
        if bits.take(1)? == 1 {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if bits.take(1)? == 1 {
                    bits.skip_scaling_list(if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.ue()?; // log2_max_frame_num
    match bits.ue()? {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.take(1)?;
            bits.se()?;
            bits.se()?;
            for _ in 0..bits.ue().filter(|count| *count < 256)? {
                bits.se()?;
            }
        }
        _ => {}
    }
    bits.ue()?; // max_num_ref_frames
    bits.take(1)?;
    let columns = bits.ue()?.checked_add(1)?;
    let rows = bits.ue()?.checked_add(1)?;
    let frames_only = bits.take(1)?;
    if frames_only == 0 {
        bits.take(1)?;
    }
    bits.take(1)?;
    let mut crop = [0; 4];
    if bits.take(1)? == 1 {
        for side in &mut crop {
            *side = bits.ue()?;
        }
    }
    let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
    let unit_y = (2 - frames_only) * if chroma == 1 { 2 } else { 1 };
    let [left, right, top, bottom] = crop;
    let width = columns
        .checked_mul(16)?
        .checked_sub(left.checked_add(right)?.checked_mul(unit_x)?)?;
    let height = rows
        .checked_mul(16 * (2 - frames_only))?
        .checked_sub(top.checked_add(bottom)?.checked_mul(unit_y)?)?;
    (width > 0 && height > 0).then_some(Size { width, height })
}

/// Reads bits, most significant first, over emulation prevention bytes.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    zeros: u8,
    bit: u8,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            zeros: 0,
            bit: 0,
        }
    }

    fn one(&mut self) -> Option<u32> {
        if self.bit == 0 {
            if self.zeros >= 2 && self.bytes.get(self.at) == Some(&3) {
                self.at += 1;
                self.zeros = 0;
            }
            let byte = *self.bytes.get(self.at)?;
            self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
        }
        let value = self.bytes[self.at] >> (7 - self.bit) & 1;
        self.bit = (self.bit + 1) % 8;
        if self.bit == 0 {
            self.at += 1;
        }
        Some(value.into())
    }

    fn take(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some(value << 1 | self.one()?))
    }

    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.one()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.take(zeros)?)
    }

    fn se(&mut self) -> Option<i32> {
        let value = i64::from(self.ue()?);
        let magnitude = (value + 1) / 2;
        i32::try_from(if value % 2 == 0 {
            -magnitude
        } else {
            magnitude
        })
        .ok()
    }

    fn skip_scaling_list(&mut self, length: usize) -> Option<()> {
        let (mut last, mut next) = (8i64, 8i64);
        for _ in 0..length {
            if next != 0 {
                next = (last + i64::from(self.se()?)).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // x264 at 320 x 240, constrained baseline, and at 1920 x 1080 (cropped from 1088), high.
    const SPS_240: [u8; 27] = [
        0x67, 0x42, 0xc0, 0x15, 0xda, 0x05, 0x07, 0xec, 0x05, 0xa8, 0x30, 0x30, 0x35, 0x28, 0x00,
        0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x01, 0xe4, 0x78, 0xb1, 0x75,
    ];
    const PPS_240: [u8; 4] = [0x68, 0xce, 0x3c, 0x80];
    const SPS_1080: [u8; 28] = [
        0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x5a, 0x80, 0x80,
        0x80, 0xa0, 0x00, 0x00, 0x03, 0x00, 0x20, 0x00, 0x00, 0x07, 0x91, 0xe3, 0x06,
    ];

    fn key_frame() -> Vec<u8> {
        [
            &[0, 0, 0, 1, 9, 0x10][..],
            &[0, 0, 0, 1],
            &SPS_240,
            &[0, 0, 0, 1],
            &PPS_240,
            &[0, 0, 1, 0x65, 1, 2, 3],
            &[0, 0, 1, 0x65, 4, 5, 0x80, 0, 0],
        ]
        .concat()
    }

    #[test]
    fn a_key_frame_is_one_with_an_idr_slice() {
        assert!(is_key_frame(&key_frame()));
        assert!(!is_key_frame(&[0, 0, 0, 1, 0x41, 1, 2]));
        assert!(!is_key_frame(&[0x65, 1, 2]));
        assert!(!is_key_frame(&[]));
        assert!(!is_key_frame(&[0, 0, 1]));
        assert!(!is_key_frame(&[0, 0, 1, 0, 0, 1, 0, 0, 0]));
    }

    #[test]
    fn parameter_sets_give_the_size_and_move_to_the_head() {
        let sets = ParameterSets::of(&key_frame()).expect("both are there");
        assert_eq!(
            sets.size(),
            Some(Size {
                width: 320,
                height: 240
            })
        );
        let config = sets.config();
        assert_eq!(config[..6], [1, 0x42, 0xc0, 0x15, 0xff, 0xe1]);
        assert_eq!(config[6..8], [0, 27]);
        assert_eq!(config[8 + 27..], [&[1, 0, 4][..], &PPS_240].concat());
        assert_eq!(
            with_lengths(&key_frame()),
            [0, 0, 0, 4, 0x65, 1, 2, 3, 0, 0, 0, 4, 0x65, 4, 5, 0x80]
        );
    }

    #[test]
    fn the_largest_picture_counts_and_an_unreadable_one_is_too_large() {
        assert_eq!(largest_picture(&[0, 0, 1, 0x65, 1]), None);
        let start: &[u8] = &[0, 0, 0, 1];
        let both = [start, &SPS_240, start, &SPS_1080].concat();
        assert_eq!(largest_picture(&both).map(|size| size.width), Some(1920));
        let cut = [start, &SPS_240, start, &SPS_1080[..9]].concat();
        assert_eq!(largest_picture(&cut).map(|size| size.width), Some(u32::MAX));
    }

    #[test]
    fn the_size_leaves_out_what_is_cropped_and_a_cut_off_set_has_none() {
        for length in 0..8 {
            assert_eq!(picture_size(&SPS_240[..length]), None);
        }
        assert_eq!(
            picture_size(&SPS_1080),
            Some(Size {
                width: 1920,
                height: 1080
            })
        );
        assert_eq!(picture_size(&[0x67, 100, 0, 31, 0, 0, 0, 0, 0, 0]), None);
    }
}
