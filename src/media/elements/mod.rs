// SPDX-License-Identifier: MIT OR Apache-2.0

//! The GStreamer elements that touch frames.

/// Registers every element of this plugin.
///
/// # Errors
///
/// GStreamer's own, when it refuses a type; a plugin built against another version would do that.
pub fn register(_plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    Ok(())
}
