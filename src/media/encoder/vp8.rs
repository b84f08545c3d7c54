// SPDX-License-Identifier: MIT OR Apache-2.0

//! `vp8enc`: VP8 by libvpx, in software, on every board.

use gst::prelude::*;
use roomseal_e2ee::Codec;

use super::{KEY_FRAME_DISTANCE, Model, pixels};
use crate::budget::EncodeBudget;

#[derive(Debug)]
pub(super) struct Vp8;

impl Model for Vp8 {
    fn name(&self) -> &'static str {
        "vp8enc"
    }

    fn codec(&self) -> Codec {
        Codec::Vp8
    }

    fn package(&self) -> &'static str {
        "gstreamer1.0-plugins-good"
    }

    fn raw_format(&self) -> &'static str {
        "I420"
    }

    fn configure(&self, encoder: &gst::Element, budget: &EncodeBudget) {
        encoder.set_property("deadline", 1_i64);
        encoder.set_property("cpu-used", cpu_used());
        encoder.set_property("threads", threads(budget));
        encoder.set_property("lag-in-frames", 0_i32);
        encoder.set_property("keyframe-max-dist", KEY_FRAME_DISTANCE);
        encoder.set_property_from_str("end-usage", "cbr");
        // libwebrtc's rate control for calls: a second of buffer, 15 % over target at most, a key
        // frame of at most nine frames' worth.
        encoder.set_property("buffer-size", 1_000_i32);
        encoder.set_property("buffer-initial-size", 500_i32);
        encoder.set_property("buffer-optimal-size", 600_i32);
        encoder.set_property("overshoot", 15_i32);
        encoder.set_property("max-intra-bitrate", 900_i32);
        encoder.set_property("min-quantizer", 2_i32);
        encoder.set_property("max-quantizer", 56_i32);
        self.set_bitrate(encoder, budget.bitrate);
    }

    fn encoded_caps(&self, _budget: &EncodeBudget) -> gst::Caps {
        gst::Caps::new_empty_simple("video/x-vp8")
    }

    fn set_bitrate(&self, encoder: &gst::Element, bps: u32) {
        encoder.set_property("target-bitrate", pixels(bps));
    }
}

/// One thread, unless the picture is large and processors are to spare: libvpx' threads wait for
/// each other in busy loops, and on two busy cores two threads took thirty times the time of one
/// (measured: 640 × 360, 48 ms of processor per picture instead of 1.6).
fn threads(budget: &EncodeBudget) -> i32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores >= 4 && budget.width * budget.height >= 1280 * 720 {
        2
    } else {
        1
    }
}

/// A fixed speed: positive values adapt to the load by themselves and then jump with it. The cores
/// of the small boards need the faster one.
fn cpu_used() -> i32 {
    if matches!(std::env::consts::ARCH, "aarch64" | "arm") {
        -12
    } else {
        -8
    }
}
