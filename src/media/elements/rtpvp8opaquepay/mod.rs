// SPDX-License-Identifier: MIT OR Apache-2.0

//! `rtpvp8opaquepay`: VP8 frames into RTP packets without looking inside them.
//!
//! The stock `rtpvp8pay` decodes the frame header to find partitions. Behind `frameencrypt` that
//! header is ciphertext, and it stops the pipeline with "Failed to parse VP8 frame" on most frames.
//! This payloader only cuts: one picture is one run of packets, the start bit on the first of
//! them, the RTP marker on the last, partition index 0 and a 15-bit picture ID (RFC 7741 §4.2).
//! That is all a forwarding server and any depayloader need; the ten clear bytes of a sealed key
//! frame are theirs to read.
//!
//! # Example
//!
//! ```text
//! gst-launch-1.0 videotestsrc num-buffers=90 ! vp8enc deadline=1 ! frameencrypt keys-file=room.keys mode=seal ! \
//!     rtpvp8opaquepay mtu=1200 ! rtpvp8depay ! framedecrypt keys-file=room.keys ! vp8dec ! fakesink
//! ```

use gst::glib;
use gst::prelude::*;

mod imp;

glib::wrapper! {
    /// The payloader; all of its interface is `GstRTPBasePayload`'s.
    pub struct RtpVp8OpaquePay(ObjectSubclass<imp::RtpVp8OpaquePay>)
        @extends gst_rtp::RTPBasePayload, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "rtpvp8opaquepay",
        // Never picked by auto-plugging: for a clear stream the stock payloader is the better one.
        gst::Rank::NONE,
        RtpVp8OpaquePay::static_type(),
    )
}
