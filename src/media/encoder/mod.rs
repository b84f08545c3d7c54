// SPDX-License-Identifier: MIT OR Apache-2.0

//! Video encoders: which there are, how each is driven, which one is taken and why.
//!
//! One small file per encoder holds all that is peculiar to it. [`Encoders`] picks one in the
//! board's order of preference: at once from what an earlier start found out, and for good after
//! each candidate was *proved* by encoding a few frames. [`selftest`] records ten seconds and
//! reports what an encoder really does.

mod cache;
mod choice;
mod openh264;
mod proof;
pub mod selftest;
mod sps;
mod v4l2;
mod vp8;
mod x264;

use std::fmt;

use gst::prelude::*;
use roomseal_e2ee::Codec;

pub use choice::{EncoderVerdict, Encoders, NoEncoder};

use crate::budget::EncodeBudget;

/// The board's order when its file names none: hardware first, then VP8, which every peer decodes,
/// then H.264 in software for peers that ask for it.
pub const DEFAULT_ORDER: [&str; 4] = ["v4l2h264enc", "vp8enc", "openh264enc", "x264enc"];

/// Frames between two key frames nobody asked for. Receivers ask when they need one, and a key
/// frame costs as much as ten others.
const KEY_FRAME_DISTANCE: i32 = 3_000;

/// What is peculiar to one encoder.
pub(crate) trait Model: fmt::Debug + Sync {
    /// The element factory, which is also the name in the board file.
    fn name(&self) -> &'static str;
    fn codec(&self) -> Codec;
    /// The Debian package that has the element.
    fn package(&self) -> &'static str;
    /// More on why the element does not exist, for a reader who has the package.
    fn absent(&self) -> Option<String> {
        None
    }
    /// The raw picture format it takes.
    fn raw_format(&self) -> &'static str;
    /// Real-time settings and the first bitrate, before the element leaves NULL.
    fn configure(&self, encoder: &gst::Element, budget: &EncodeBudget);
    /// What has to be asked of its source pad.
    fn encoded_caps(&self, budget: &EncodeBudget) -> gst::Caps;
    /// Changes the bitrate, in bit/s, in any state.
    fn set_bitrate(&self, encoder: &gst::Element, bps: u32);
}

/// Every encoder there is knowledge of.
static MODELS: [&dyn Model; 4] = [&v4l2::V4l2H264, &vp8::Vp8, &openh264::OpenH264, &x264::X264];

pub(crate) fn model(name: &str) -> Option<&'static dyn Model> {
    MODELS.into_iter().find(|model| model.name() == name)
}

/// The name of a codec as people write it.
#[must_use]
pub fn codec_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Opus => "Opus",
        Codec::Vp8 => "VP8",
        Codec::H264 => "H.264",
    }
}

/// The raw pictures to feed an encoder with: its format, at exactly this size and rate.
fn raw_caps(model: &dyn Model, budget: &EncodeBudget) -> gst::Caps {
    let mut caps = picture_caps(model.raw_format(), budget.width, budget.height);
    caps.make_mut()
        .set("framerate", gst::Fraction::new(pixels(budget.framerate), 1));
    caps
}

/// Raw pictures of square pixels, at any rate.
pub(crate) fn picture_caps(format: &str, width: u32, height: u32) -> gst::Caps {
    gst::Caps::builder("video/x-raw")
        .field("format", format)
        .field("width", pixels(width))
        .field("height", pixels(height))
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build()
}

/// GStreamer counts pixels and rates in `i32`.
pub(crate) fn pixels(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// An encoder with what has to follow it, ready to be linked.
#[derive(Debug)]
pub(crate) struct EncoderChain {
    pub(crate) encoder: gst::Element,
    /// The encoder first; already in this order, not yet linked.
    pub(crate) elements: Vec<gst::Element>,
}

/// Makes the encoder and what brings its output to the form that is sealed: VP8 as it is, H.264 as
/// Annex B access units with SPS and PPS before every key frame.
pub(crate) fn chain(
    model: &dyn Model,
    budget: &EncodeBudget,
) -> Result<EncoderChain, gst::glib::BoolError> {
    let encoder = gst::ElementFactory::make(model.name()).build()?;
    model.configure(&encoder, budget);
    let filter = gst::ElementFactory::make("capsfilter")
        .property("caps", model.encoded_caps(budget))
        .build()?;
    let mut elements = vec![encoder.clone(), filter];
    if model.codec() == Codec::H264 {
        elements.push(
            gst::ElementFactory::make("h264parse")
                .property("config-interval", -1)
                .build()?,
        );
        let byte_stream = gst::Caps::builder("video/x-h264")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .build();
        elements.push(
            gst::ElementFactory::make("capsfilter")
                .property("caps", byte_stream)
                .build()?,
        );
    }
    Ok(EncoderChain { encoder, elements })
}

/// Asks an encoder for a key frame; it comes with the next picture.
pub(crate) fn force_key_frame(encoder: &gst::Element) {
    // Sent to the source pad, where the base class of the soft encoders and our probe on the
    // hardware encoder (v4l2.rs) both catch it.
    if let Some(pad) = encoder.static_pad("src") {
        pad.send_event(
            gst_video::UpstreamForceKeyUnitEvent::builder()
                .all_headers(true)
                .count(0)
                .build(),
        );
    }
}

/// The lowest H.264 level for a size and rate (table A-1). The hardware encoder of the Raspberry Pi
/// fails or stalls when the level is too low for the picture.
fn h264_level(width: u32, height: u32, framerate: u32) -> &'static str {
    let blocks = width.div_ceil(16) * height.div_ceil(16);
    let rate = blocks * framerate;
    match (blocks, rate) {
        (..=1_620, ..=40_500) => "3",
        (..=3_600, ..=108_000) => "3.1",
        _ => "4",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_fits_the_picture() {
        assert_eq!(h264_level(640, 480, 30), "3");
        assert_eq!(h264_level(1280, 720, 30), "3.1");
        assert_eq!(h264_level(1280, 720, 60), "4");
        assert_eq!(h264_level(1920, 1080, 30), "4");
    }

    #[test]
    fn every_encoder_of_the_default_order_is_known() {
        assert!(DEFAULT_ORDER.into_iter().all(|name| model(name).is_some()));
    }
}
