// SPDX-License-Identifier: MIT OR Apache-2.0

//! Camera to sealed frames, sealed frames to screen: GStreamer elements and pipelines.
//!
//! The library is two things at once: the crate `roomseal_media`, linked into the box, and the
//! GStreamer plugin `libgstroomseal.so`, so that `gst-launch-1.0` and other programs can use the
//! elements. The box calls [`plugin_register_static`] and needs no plugin path.

pub mod budget;
pub mod call;
pub mod capture;
pub mod clock;
pub mod elements;
pub mod encoder;
mod graph;
pub mod plugins;
pub mod present;
pub mod record;
pub mod sdp;
pub mod transport;

pub use entry::plugin_register_static;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    elements::register(plugin)
}

/// What GStreamer looks up in `libgstroomseal.so`.
mod entry {
    // The macro's items are part of GStreamer's binary interface and carry no documentation.
    #![allow(missing_docs)]

    use super::plugin_init;

    gst::plugin_define!(
        roomseal,
        env!("CARGO_PKG_DESCRIPTION"),
        plugin_init,
        env!("CARGO_PKG_VERSION"),
        // GStreamer knows a closed list of licence names; this is its word for ours.
        "MIT/X11",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        "Unknown package origin",
        // The day version 0.1.0 was begun: a fixed date keeps builds reproducible.
        "2026-11-22"
    );
}
