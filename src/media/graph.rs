// SPDX-License-Identifier: MIT OR Apache-2.0

//! Drawings of the pipelines, for whoever looks for a fault.

use gst::prelude::*;

/// Draws a pipeline into the directory `GST_DEBUG_DUMP_DOT_DIR`; does nothing when that is not set.
pub(crate) fn draw(pipeline: &gst::Pipeline) {
    pipeline.debug_to_dot_file(gst::DebugGraphDetails::all(), pipeline.name());
}

/// Draws a pipeline once something has come through it, when all formats are settled.
pub(crate) fn draw_when_it_flows(pipeline: &gst::Pipeline) {
    if std::env::var_os("GST_DEBUG_DUMP_DOT_DIR").is_none() {
        return;
    }
    let sinks = pipeline.iterate_sinks().into_iter().flatten();
    let Some(pad) = sinks.filter_map(|sink| sink.static_pad("sink")).next() else {
        return;
    };
    let weak = pipeline.downgrade();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        if let Some(pipeline) = weak.upgrade() {
            // Files are written elsewhere: this is a streaming thread.
            pipeline.call_async(draw);
        }
        gst::PadProbeReturn::Remove
    });
}
