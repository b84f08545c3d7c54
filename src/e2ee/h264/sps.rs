// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes sequence parameter sets that no receiver feels the need to rewrite.
//!
//! libwebrtc rewrites an incoming SPS before the frame is opened, unless its VUI already says that pictures come in
//! decoding order. The SPS is part of what the tag authenticates, so a rewritten one blackens every key frame.

use alloc::vec::Vec;

use super::bits::{BitReader, BitWriter};
use super::escape::{escaped, unescaped};

/// The number of an SPS, and its NAL unit as it may travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NormalSps {
    pub(super) id: u32,
    pub(super) unit: Vec<u8>,
}

/// Reads the NAL unit of an SPS and states in its VUI that pictures are neither reordered nor held back; a unit that
/// says so already stays as it is, byte by byte.
pub(super) fn normalise(unit: &[u8]) -> Option<NormalSps> {
    let (header, payload) = unit.split_first()?;
    let rbsp = unescaped(payload);
    let fields = Fields::read(&rbsp)?;
    let unit = if fields
        .restriction
        .is_some_and(|it| it.is_normal(fields.max_num_ref_frames))
    {
        unit.to_vec()
    } else {
        let mut unit = Vec::from([*header]);
        unit.extend(escaped(&fields.rewritten(&rbsp)?));
        unit
    };
    Some(NormalSps {
        id: fields.id,
        unit,
    })
}

/// What has to be known of an SPS (7.3.2.1.1) to rewrite the end of its VUI (E.1.1).
#[derive(Debug)]
struct Fields {
    id: u32,
    max_num_ref_frames: u32,
    has_vui: bool,
    /// Bits before the first that may have to change: `vui_parameters_present_flag` or `bitstream_restriction_flag`.
    kept_bits: usize,
    restriction: Option<Restriction>,
}

impl Fields {
    fn read(rbsp: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(rbsp);
        let profile = bits.bits(8)?;
        bits.bits(16)?; // constraint flags and level
        let id = bits.ue()?;
        if HAS_CHROMA_FORMAT.contains(&profile) {
            skip_chroma_format(&mut bits)?;
        }
        bits.ue()?; // log2_max_frame_num_minus4
        skip_picture_order(&mut bits)?;
        let max_num_ref_frames = bits.ue()?;
        bits.flag()?; // gaps_in_frame_num_value_allowed_flag
        bits.ue()?; // width
        bits.ue()?; // height
        if !bits.flag()? {
            bits.flag()?; // mb_adaptive_frame_field_flag
        }
        bits.flag()?; // direct_8x8_inference_flag
        if bits.flag()? {
            for _ in 0..4 {
                bits.ue()?; // cropping
            }
        }
        let mut kept_bits = bits.position();
        let has_vui = bits.flag()?;
        let mut restriction = None;
        if has_vui {
            skip_vui(&mut bits)?;
            kept_bits = bits.position();
            if bits.flag()? {
                restriction = Some(Restriction::read(&mut bits)?);
            }
        }
        Some(Self {
            id,
            max_num_ref_frames,
            has_vui,
            kept_bits,
            restriction,
        })
    }

    fn rewritten(&self, rbsp: &[u8]) -> Option<Vec<u8>> {
        let mut bits = BitWriter::copy_of(rbsp, self.kept_bits)?;
        if !self.has_vui {
            bits.flag(true);
            for _ in 0..VUI_FLAGS_BEFORE_RESTRICTION {
                bits.flag(false);
            }
        }
        bits.flag(true);
        self.restriction
            .unwrap_or_default()
            .normal(self.max_num_ref_frames)
            .write(&mut bits);
        Some(bits.into_rbsp())
    }
}

/// The last part of a VUI, `bitstream_restriction_flag` being 1.
#[derive(Clone, Copy, Debug)]
struct Restriction {
    motion_vectors_over_pic_boundaries: bool,
    max_bytes_per_pic_denom: u32,
    max_bits_per_mb_denom: u32,
    log2_max_mv_length_horizontal: u32,
    log2_max_mv_length_vertical: u32,
    max_num_reorder_frames: u32,
    max_dec_frame_buffering: u32,
}

impl Restriction {
    fn read(bits: &mut BitReader<'_>) -> Option<Self> {
        Some(Self {
            motion_vectors_over_pic_boundaries: bits.flag()?,
            max_bytes_per_pic_denom: bits.ue()?,
            max_bits_per_mb_denom: bits.ue()?,
            log2_max_mv_length_horizontal: bits.ue()?,
            log2_max_mv_length_vertical: bits.ue()?,
            max_num_reorder_frames: bits.ue()?,
            max_dec_frame_buffering: bits.ue()?,
        })
    }

    fn write(&self, bits: &mut BitWriter) {
        bits.flag(self.motion_vectors_over_pic_boundaries);
        bits.ue(self.max_bytes_per_pic_denom);
        bits.ue(self.max_bits_per_mb_denom);
        bits.ue(self.log2_max_mv_length_horizontal);
        bits.ue(self.log2_max_mv_length_vertical);
        bits.ue(self.max_num_reorder_frames);
        bits.ue(self.max_dec_frame_buffering);
    }

    fn is_normal(&self, max_num_ref_frames: u32) -> bool {
        self.max_num_reorder_frames == 0 && self.max_dec_frame_buffering <= max_num_ref_frames
    }

    fn normal(self, max_num_ref_frames: u32) -> Self {
        Self {
            max_num_reorder_frames: 0,
            max_dec_frame_buffering: self.max_dec_frame_buffering.min(max_num_ref_frames),
            ..self
        }
    }
}

impl Default for Restriction {
    /// What the standard infers where the part is missing (E.2.1).
    fn default() -> Self {
        Self {
            motion_vectors_over_pic_boundaries: true,
            max_bytes_per_pic_denom: 2,
            max_bits_per_mb_denom: 1,
            log2_max_mv_length_horizontal: 16,
            log2_max_mv_length_vertical: 16,
            max_num_reorder_frames: 0,
            max_dec_frame_buffering: u32::MAX,
        }
    }
}

fn skip_chroma_format(bits: &mut BitReader<'_>) -> Option<()> {
    let chroma_format = bits.ue()?;
    if chroma_format == 3 {
        bits.flag()?; // separate_colour_plane_flag
    }
    bits.ue()?; // bit_depth_luma_minus8
    bits.ue()?; // bit_depth_chroma_minus8
    bits.flag()?; // qpprime_y_zero_transform_bypass_flag
    if bits.flag()? {
        for list in 0..if chroma_format == 3 { 12 } else { 8 } {
            if bits.flag()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(())
}

fn skip_scaling_list(bits: &mut BitReader<'_>, size: usize) -> Option<()> {
    let mut last = 8;
    for _ in 0..size {
        let next = (last + bits.se()?).rem_euclid(256);
        if next == 0 {
            break;
        }
        last = next;
    }
    Some(())
}

fn skip_picture_order(bits: &mut BitReader<'_>) -> Option<()> {
    match bits.ue()? {
        0 => {
            bits.ue()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.flag()?; // delta_pic_order_always_zero_flag
            bits.ue()?; // offset_for_non_ref_pic
            bits.ue()?; // offset_for_top_to_bottom_field
            for _ in 0..bits.ue().filter(|count| *count < 256)? {
                bits.ue()?; // offset_for_ref_frame
            }
        }
        _ => {}
    }
    Some(())
}

/// Everything of a VUI up to `bitstream_restriction_flag`.
fn skip_vui(bits: &mut BitReader<'_>) -> Option<()> {
    if bits.flag()? && bits.bits(8)? == EXTENDED_SAR {
        bits.bits(32)?; // sar_width, sar_height
    }
    if bits.flag()? {
        bits.flag()?; // overscan_appropriate_flag
    }
    if bits.flag()? {
        bits.bits(4)?; // video_format, video_full_range_flag
        if bits.flag()? {
            bits.bits(24)?; // colour description
        }
    }
    if bits.flag()? {
        bits.ue()?; // chroma_sample_loc_type_top_field
        bits.ue()?; // chroma_sample_loc_type_bottom_field
    }
    if bits.flag()? {
        bits.bits(32)?; // num_units_in_tick
        bits.bits(32)?; // time_scale
        bits.flag()?; // fixed_frame_rate_flag
    }
    let nal_hrd = bits.flag()?;
    if nal_hrd {
        skip_hrd(bits)?;
    }
    let vcl_hrd = bits.flag()?;
    if vcl_hrd {
        skip_hrd(bits)?;
    }
    if nal_hrd || vcl_hrd {
        bits.flag()?; // low_delay_hrd_flag
    }
    bits.flag()?; // pic_struct_present_flag
    Some(())
}

fn skip_hrd(bits: &mut BitReader<'_>) -> Option<()> {
    let count = bits.ue().filter(|count| *count < 32)?;
    bits.bits(8)?; // scales
    for _ in 0..=count {
        bits.ue()?; // bit_rate_value_minus1
        bits.ue()?; // cpb_size_value_minus1
        bits.flag()?; // cbr_flag
    }
    bits.bits(20)?; // lengths of delays
    Some(())
}

/// Profiles whose SPS names a chroma format.
const HAS_CHROMA_FORMAT: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// Aspect ratio, overscan, video signal, chroma location, timing, two HRDs, picture structure: none of them present.
const VUI_FLAGS_BEFORE_RESTRICTION: usize = 8;
const EXTENDED_SAR: u32 = 255;
