// SPDX-License-Identifier: MIT OR Apache-2.0

//! GStreamer itself: started once, with our own elements registered.

use std::sync::OnceLock;

/// Starts GStreamer and registers our elements; safe to call from anywhere, any number of times.
///
/// # Errors
///
/// [`InitError`] when GStreamer cannot start; the first outcome is kept.
pub fn gst_init() -> Result<(), InitError> {
    static OUTCOME: OnceLock<Result<(), InitError>> = OnceLock::new();
    OUTCOME
        .get_or_init(|| {
            gst::init()
                .and_then(|()| {
                    crate::plugin_register_static().map_err(|error| {
                        gst::glib::Error::new(gst::CoreError::Failed, &error.to_string())
                    })
                })
                .map_err(|error| InitError(error.to_string()))
        })
        .clone()
}

/// GStreamer could not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("GStreamer does not start ({0}): is libgstreamer1.0-0 1.22 or newer installed?")]
pub struct InitError(String);
