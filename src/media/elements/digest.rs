// SPDX-License-Identifier: MIT OR Apache-2.0

//! The trace line by which tests find a frame again on the other side of a meeting.

use gst::glib;
use gst::prelude::*;
use sha2::{Digest, Sha256};

/// Logs `frame digest=… len=… pts=…` at TRACE: the first 16 hex digits of the plain frame's
/// SHA-256, its length in bytes, its time stamp in nanoseconds or `none`.
///
/// Costs a comparison when that level is off.
pub(super) fn trace(
    category: gst::DebugCategory,
    element: &impl IsA<glib::Object>,
    frame: impl FnOnce() -> Option<Vec<u8>>,
    pts: Option<gst::ClockTime>,
) {
    if !category.above_threshold(gst::DebugLevel::Trace) {
        return;
    }
    let Some(frame) = frame() else { return };
    let digest = hex::encode(&Sha256::digest(&frame)[..8]);
    let len = frame.len();
    match pts {
        Some(pts) => gst::trace!(
            category,
            obj = element,
            "frame digest={digest} len={len} pts={}",
            pts.nseconds()
        ),
        None => gst::trace!(
            category,
            obj = element,
            "frame digest={digest} len={len} pts=none"
        ),
    }
}
