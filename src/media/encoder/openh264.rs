// SPDX-License-Identifier: MIT OR Apache-2.0

//! `openh264enc`: H.264 by Cisco's OpenH264, in software.

use gst::prelude::*;
use roomseal_e2ee::Codec;

use super::{KEY_FRAME_DISTANCE, Model};
use crate::budget::EncodeBudget;

#[derive(Debug)]
pub(super) struct OpenH264;

impl Model for OpenH264 {
    fn name(&self) -> &'static str {
        "openh264enc"
    }

    fn codec(&self) -> Codec {
        Codec::H264
    }

    fn package(&self) -> &'static str {
        "gstreamer1.0-plugins-bad"
    }

    fn raw_format(&self) -> &'static str {
        "I420"
    }

    fn configure(&self, encoder: &gst::Element, budget: &EncodeBudget) {
        encoder.set_property_from_str("rate-control", "bitrate");
        encoder.set_property_from_str("complexity", "low");
        encoder.set_property_from_str("usage-type", "camera");
        encoder.set_property("gop-size", KEY_FRAME_DISTANCE.unsigned_abs());
        // A scene change would force a key frame that no receiver asked for.
        encoder.set_property("scene-change-detection", false);
        self.set_bitrate(encoder, budget.bitrate);
    }

    fn encoded_caps(&self, _budget: &EncodeBudget) -> gst::Caps {
        gst::Caps::builder("video/x-h264")
            .field("profile", "constrained-baseline")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .build()
    }

    fn set_bitrate(&self, encoder: &gst::Element, bps: u32) {
        encoder.set_property("bitrate", bps);
    }
}
