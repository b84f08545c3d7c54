// SPDX-License-Identifier: MIT OR Apache-2.0

//! Reads what an H.264 stream says about itself: the sequence parameter set with its VUI, and the
//! type of a slice (ITU-T H.264, 7.3.2.1.1, 7.3.3 and E.1.1).
//!
//! For the self-test's report only; nothing that is sent depends on it.

use serde::Serialize;

/// The fields of a sequence parameter set that decide whether peers can decode, and how late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sps {
    /// 66 is baseline, 77 main, 100 high.
    pub profile_idc: u8,
    /// `constraint_set0_flag` is the highest bit; 0x40 with profile 66 is constrained baseline.
    pub constraint_flags: u8,
    /// Ten times the level.
    pub level_idc: u8,
    /// 0: an order of pictures is transmitted; 2: output order is decoding order.
    pub pic_order_cnt_type: u32,
    /// Reference pictures a decoder has to keep.
    pub max_num_ref_frames: u32,
    /// Picture width in pixels, after cropping.
    pub width: u32,
    /// Picture height in pixels, after cropping.
    pub height: u32,
    /// Video usability information, if the encoder writes any.
    pub vui: Option<Vui>,
}

/// The part of the video usability information that matters for calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Vui {
    /// Full-range samples rather than 16..=235.
    pub full_range: Option<bool>,
    /// Colour primaries, transfer and matrix, by the numbers of table E-3 to E-5.
    pub colour: Option<(u8, u8, u8)>,
    /// `num_units_in_tick`, `time_scale` and whether the rate is fixed.
    pub timing: Option<(u32, u32, bool)>,
    /// `max_num_reorder_frames` and `max_dec_frame_buffering`. Without this some decoders hold
    /// several frames back before they show the first.
    pub reorder: Option<(u32, u32)>,
}

/// Splits an Annex B access unit into its NAL units, without start codes.
pub(super) fn nal_units(frame: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = (0..frame.len().saturating_sub(2))
        .filter(|&at| frame[at..at + 3] == [0, 0, 1])
        .map(|at| at + 3)
        .collect();
    starts
        .iter()
        .enumerate()
        .map(|(n, &start)| {
            let end = starts.get(n + 1).map_or(frame.len(), |next| next - 3);
            let mut nal = &frame[start..end];
            // A four-byte start code, and trailing_zero_8bits.
            while let [rest @ .., 0] = nal {
                nal = rest;
            }
            nal
        })
        .collect()
}

/// `slice_type` of a slice NAL unit (types 1 and 5).
pub(super) fn slice_type(nal: &[u8]) -> Option<u32> {
    if !matches!(nal.first()? & 0x1F, 1 | 5) {
        return None;
    }
    let payload = unescape(&nal[1..nal.len().min(16)]);
    let mut bits = Bits::new(&payload);
    bits.ue()?; // first_mb_in_slice
    bits.ue()
}

/// Parses a sequence parameter set, its NAL header included.
pub(super) fn parse(nal: &[u8]) -> Option<Sps> {
    if nal.first()? & 0x1F != 7 {
        return None;
    }
    let payload = unescape(&nal[1..]);
    let mut bits = Bits::new(&payload);
    let profile_idc = bits.byte()?;
    let constraint_flags = bits.byte()?;
    let level_idc = bits.byte()?;
    bits.ue()?; // seq_parameter_set_id
    let mut chroma_format = 1;
    if matches!(
        profile_idc,
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128
    ) {
        chroma_format = bits.ue()?;
        if chroma_format == 3 {
            bits.flag()?;
        }
        bits.ue()?; // bit_depth_luma_minus8
        bits.ue()?; // bit_depth_chroma_minus8
        bits.flag()?;
        if bits.flag()? {
            // Scaling lists: no encoder for calls writes them, and nothing behind them would be
            // worth a parser of them here.
            return None;
        }
    }
    bits.ue()?; // log2_max_frame_num_minus4
    let pic_order_cnt_type = bits.ue()?;
    match pic_order_cnt_type {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.flag()?;
            bits.ue()?;
            bits.ue()?;
            for _ in 0..bits.ue()?.min(255) {
                bits.ue()?;
            }
        }
        _ => {}
    }
    let max_num_ref_frames = bits.ue()?;
    bits.flag()?; // gaps_in_frame_num_value_allowed_flag
    let width_blocks = bits.ue()?.checked_add(1)?;
    let height_units = bits.ue()?.checked_add(1)?;
    let frame_only = bits.flag()?;
    if !frame_only {
        bits.flag()?;
    }
    bits.flag()?; // direct_8x8_inference_flag
    let fields = if frame_only { 1 } else { 2 };
    let mut width = width_blocks.checked_mul(16)?;
    let mut height = height_units.checked_mul(16 * fields)?;
    if bits.flag()? {
        // Offsets count in chroma samples: two pixels each in 4:2:0.
        let (unit_x, unit_y) = if chroma_format == 1 {
            (2, 2 * fields)
        } else {
            (1, fields)
        };
        let (left, right, top, bottom) = (bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?);
        width = width.checked_sub(left.checked_add(right)?.checked_mul(unit_x)?)?;
        height = height.checked_sub(top.checked_add(bottom)?.checked_mul(unit_y)?)?;
    }
    let vui = if bits.flag()? {
        Some(vui(&mut bits)?)
    } else {
        None
    };
    Some(Sps {
        profile_idc,
        constraint_flags,
        level_idc,
        pic_order_cnt_type,
        max_num_ref_frames,
        width,
        height,
        vui,
    })
}

fn vui(bits: &mut Bits<'_>) -> Option<Vui> {
    let mut vui = Vui::default();
    if bits.flag()? && bits.byte()? == 255 {
        bits.read(32)?; // Extended_SAR
    }
    if bits.flag()? {
        bits.flag()?; // overscan_appropriate_flag
    }
    if bits.flag()? {
        bits.read(3)?; // video_format
        vui.full_range = Some(bits.flag()?);
        if bits.flag()? {
            vui.colour = Some((bits.byte()?, bits.byte()?, bits.byte()?));
        }
    }
    if bits.flag()? {
        bits.ue()?; // chroma_sample_loc_type_top_field
        bits.ue()?;
    }
    if bits.flag()? {
        vui.timing = Some((bits.read(32)?, bits.read(32)?, bits.flag()?));
    }
    let nal_hrd = bits.flag()?;
    if nal_hrd {
        hrd(bits)?;
    }
    let vcl_hrd = bits.flag()?;
    if vcl_hrd {
        hrd(bits)?;
    }
    if nal_hrd || vcl_hrd {
        bits.flag()?; // low_delay_hrd_flag
    }
    bits.flag()?; // pic_struct_present_flag
    if bits.flag()? {
        bits.flag()?; // motion_vectors_over_pic_boundaries_flag
        for _ in 0..4 {
            bits.ue()?;
        }
        vui.reorder = Some((bits.ue()?, bits.ue()?));
    }
    Some(vui)
}

fn hrd(bits: &mut Bits<'_>) -> Option<()> {
    let count = bits.ue()?.min(31);
    bits.read(8)?; // bit_rate_scale, cpb_size_scale
    for _ in 0..=count {
        bits.ue()?;
        bits.ue()?;
        bits.flag()?;
    }
    bits.read(20)?; // four lengths of five bits
    Some(())
}

/// Takes out the emulation prevention bytes (7.4.1).
fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut zeros = 0;
    for &byte in bytes {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// Reads bits from the front; `None` at the end of the bytes.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// At most 32 bits.
    fn read(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0_u32, |value, _| Some(value << 1 | u32::from(self.flag()?)))
    }

    fn byte(&mut self) -> Option<u8> {
        self.read(8).and_then(|value| u8::try_from(value).ok())
    }

    /// Exp-Golomb, unsigned (9.1). Signed values are read with it too where only the length
    /// matters: both are coded alike.
    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let base = (1_u32 << zeros) - 1;
        base.checked_add(self.read(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    // A failing unwrap is a failing test, with its line.
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// x264, constrained baseline, 320x180 at 15 frames per second, with VUI; made by
    /// `gst-launch-1.0 videotestsrc num-buffers=1 ! video/x-raw,width=320,height=180,framerate=15/1 !
    /// x264enc ! video/x-h264,profile=constrained-baseline,stream-format=byte-stream ! filesink`.
    const SPS: &str = "6742c015d901419f9f016a0c0c0d4a0000030002000003003d1e2c5c90";

    #[test]
    fn the_parameter_set_of_x264_is_read() {
        let sps = parse(&hex::decode(SPS).unwrap()).unwrap();
        assert_eq!((sps.profile_idc, sps.constraint_flags & 0x40), (66, 0x40));
        assert_eq!((sps.width, sps.height), (320, 180));
        let vui = sps.vui.unwrap();
        assert_eq!(
            vui.timing.map(|(units, scale, _)| scale / (2 * units)),
            Some(15)
        );
        assert!(vui.reorder.is_some_and(|(reorder, _)| reorder == 0));
    }

    #[test]
    fn a_cut_parameter_set_is_none_and_never_a_panic() {
        let whole = hex::decode(SPS).unwrap();
        for end in 0..whole.len() - 2 {
            assert_eq!(parse(&whole[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn an_access_unit_is_split_at_start_codes_of_both_lengths() {
        let frame = [
            0, 0, 0, 1, 0x67, 9, 0, 0, 1, 0x68, 8, 0, 0, 0, 1, 0x65, 0x88,
        ];
        assert_eq!(
            nal_units(&frame),
            [&[0x67, 9][..], &[0x68, 8], &[0x65, 0x88]]
        );
    }

    #[test]
    fn the_slice_type_is_read_from_the_first_bits() {
        // first_mb_in_slice 0 is the bit 1; slice_type 7 (I) is 0001000, 5 (P) is 00110.
        assert_eq!(slice_type(&[0x65, 0b1000_1000]), Some(7));
        assert_eq!(slice_type(&[0x41, 0b1001_1000]), Some(5));
        assert_eq!(slice_type(&[0x67, 0x42]), None);
    }
}
