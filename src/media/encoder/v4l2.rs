// SPDX-License-Identifier: MIT OR Apache-2.0

//! `v4l2h264enc`: H.264 by the board's own hardware (bcm2835-codec on Raspberry Pi 3 and 4).
//!
//! GStreamer registers the element only where a memory-to-memory encoder node exists.

use std::path::Path;

use gst::prelude::*;
use roomseal_e2ee::Codec;

use super::{KEY_FRAME_DISTANCE, Model, h264_level};
use crate::budget::EncodeBudget;

/// The node of the encoder on every Raspberry Pi that has one.
const NODE: &str = "/dev/video11";

#[derive(Debug)]
pub(super) struct V4l2H264;

impl Model for V4l2H264 {
    fn name(&self) -> &'static str {
        "v4l2h264enc"
    }

    fn codec(&self) -> Codec {
        Codec::H264
    }

    fn package(&self) -> &'static str {
        "gstreamer1.0-plugins-good"
    }

    fn absent(&self) -> Option<String> {
        Some(if Path::new(NODE).exists() {
            format!("{NODE} exists, but is no H.264 encoder or may not be opened")
        } else {
            format!("no {NODE}")
        })
    }

    fn raw_format(&self) -> &'static str {
        "NV12"
    }

    fn configure(&self, encoder: &gst::Element, budget: &EncodeBudget) {
        self.set_bitrate(encoder, budget.bitrate);
        answer_key_frame_requests(encoder);
    }

    fn encoded_caps(&self, budget: &EncodeBudget) -> gst::Caps {
        gst::Caps::builder("video/x-h264")
            .field(
                "level",
                h264_level(budget.width, budget.height, budget.framerate),
            )
            .field("profile", "constrained-baseline")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .build()
    }

    fn set_bitrate(&self, encoder: &gst::Element, bps: u32) {
        encoder.set_property("extra-controls", controls(bps, false));
    }
}

/// All controls, each time: the property replaces what was set before, and the driver gets the
/// whole set again whenever the element restarts.
fn controls(bps: u32, key_frame: bool) -> gst::Structure {
    let mut controls = gst::Structure::builder("controls")
        .field("video_bitrate", driver_bitrate(bps))
        // Constant bitrate: the network, not the picture, is what is short.
        .field("video_bitrate_mode", 1_i32)
        .field("h264_i_frame_period", KEY_FRAME_DISTANCE)
        // Off by default; a receiver that joins later could never decode.
        .field("repeat_sequence_header", 1_i32)
        // Constrained baseline.
        .field("h264_profile", 1_i32)
        .build();
    if key_frame {
        controls.set("force_key_frame", 1_i32);
    }
    controls
}

/// The driver takes 25 kbit/s to 25 Mbit/s in steps of 25 kbit/s.
fn driver_bitrate(bps: u32) -> i32 {
    const STEP: u32 = 25_000;
    let steps = (bps / STEP).clamp(1, 1_000);
    i32::try_from(steps * STEP).expect("25 Mbit/s fits an i32")
}

/// GStreamer's V4L2 encoders ignore requests for key frames (1.22 has no code for it), so a probe
/// presses the driver's button instead.
fn answer_key_frame_requests(encoder: &gst::Element) {
    let Some(pad) = encoder.static_pad("src") else {
        return;
    };
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, |pad, info| {
        let asks = info
            .event()
            .is_some_and(|event| gst_video::ForceKeyUnitEvent::is(event));
        if asks && let Some(encoder) = pad.parent_element() {
            let bps = encoder
                .property::<Option<gst::Structure>>("extra-controls")
                .and_then(|controls| controls.get::<i32>("video_bitrate").ok())
                .unwrap_or(0);
            encoder.set_property("extra-controls", controls(bps.unsigned_abs(), true));
        }
        gst::PadProbeReturn::Ok
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_controls_is_complete() {
        for set in [controls(1_510_000, false), controls(1_510_000, true)] {
            assert_eq!(set.get::<i32>("video_bitrate"), Ok(1_500_000));
            assert_eq!(set.get::<i32>("repeat_sequence_header"), Ok(1));
            assert_eq!(set.get::<i32>("h264_profile"), Ok(1));
            assert_eq!(set.get::<i32>("video_bitrate_mode"), Ok(1));
        }
    }

    #[test]
    fn only_a_request_presses_the_key_frame_button() {
        assert!(!controls(1_000_000, false).has_field("force_key_frame"));
        assert_eq!(
            controls(1_000_000, true).get::<i32>("force_key_frame"),
            Ok(1)
        );
    }

    #[test]
    fn the_bitrate_stays_in_the_range_of_the_driver() {
        assert_eq!(driver_bitrate(0), 25_000);
        assert_eq!(driver_bitrate(u32::MAX), 25_000_000);
    }
}
