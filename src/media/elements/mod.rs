// SPDX-License-Identifier: MIT OR Apache-2.0

//! The GStreamer elements that touch frames.

mod avc;
mod caps;
mod digest;
pub mod framedecrypt;
pub mod frameencrypt;
mod keys_file;
mod pace;
pub mod rtpvp8opaquepay;

#[cfg(test)]
mod tests;

pub use framedecrypt::{DecryptCounters, FrameDecrypt, OpenMode, OpenRules, TrackVerdict};
pub use frameencrypt::{EncryptCounters, FrameEncrypt, SealMode};
pub use rtpvp8opaquepay::RtpVp8OpaquePay;

/// Registers every element of this plugin.
///
/// # Errors
///
/// GStreamer's own, when it refuses a type; a plugin built against another version would do that.
pub fn register(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    framedecrypt::register(plugin)?;
    frameencrypt::register(plugin)?;
    rtpvp8opaquepay::register(plugin)
}
