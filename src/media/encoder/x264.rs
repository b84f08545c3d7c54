// SPDX-License-Identifier: MIT OR Apache-2.0

//! `x264enc`: H.264 by x264, in software (a GPL plugin, used only where the board asks for it).

use gst::prelude::*;
use roomseal_e2ee::Codec;

use super::{KEY_FRAME_DISTANCE, Model};
use crate::budget::EncodeBudget;

#[derive(Debug)]
pub(super) struct X264;

impl Model for X264 {
    fn name(&self) -> &'static str {
        "x264enc"
    }

    fn codec(&self) -> Codec {
        Codec::H264
    }

    fn package(&self) -> &'static str {
        "gstreamer1.0-plugins-ugly"
    }

    fn raw_format(&self) -> &'static str {
        // With any other input format it leaves the constrained baseline profile.
        "I420"
    }

    fn configure(&self, encoder: &gst::Element, budget: &EncodeBudget) {
        encoder.set_property_from_str("tune", "zerolatency");
        encoder.set_property_from_str("speed-preset", "superfast");
        encoder.set_property("threads", 2_u32);
        encoder.set_property("key-int-max", KEY_FRAME_DISTANCE.unsigned_abs());
        encoder.set_property("bframes", 0_u32);
        encoder.set_property("byte-stream", true);
        encoder.set_property("aud", false);
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
        // The only one that counts in kbit/s.
        encoder.set_property("bitrate", (bps / 1_000).max(1));
    }
}
