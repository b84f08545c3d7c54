// SPDX-License-Identifier: MIT OR Apache-2.0

//! Caps and events that the sealing elements share.

use roomseal_e2ee::Codec;

/// The codec of a stream, when it is one whose frames can be sealed.
pub(super) fn codec(caps: &gst::CapsRef) -> Option<Codec> {
    match caps.structure(0)?.name().as_str() {
        "audio/x-opus" => Some(Codec::Opus),
        "video/x-h264" => Some(Codec::H264),
        "video/x-vp8" => Some(Codec::Vp8),
        _ => None,
    }
}

/// An always-there pad of either element; `h264` is its stream format for H.264.
pub(super) fn template(
    name: &str,
    direction: gst::PadDirection,
    h264: &'static str,
) -> gst::PadTemplate {
    let caps = gst::Caps::builder_full()
        .structure(gst::Structure::new_empty("video/x-vp8"))
        .structure(
            gst::Structure::builder("video/x-h264")
                .field("stream-format", h264)
                .field("alignment", "au")
                .build(),
        )
        .structure(gst::Structure::new_empty("audio/x-opus"))
        .build();
    gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps)
        .expect("the template's name and caps are well-formed")
}

/// H.264 as it leaves `frameencrypt`; other caps unchanged.
pub(super) fn to_avc(caps: &gst::Caps) -> gst::Caps {
    with_stream_format(caps, "avc")
}

/// H.264 as it enters `frameencrypt`; other caps unchanged.
pub(super) fn to_byte_stream(caps: &gst::Caps) -> gst::Caps {
    with_stream_format(caps, "byte-stream")
}

fn with_stream_format(caps: &gst::Caps, format: &str) -> gst::Caps {
    let mut caps = caps.clone();
    if !caps.is_any() {
        for structure in caps.make_mut().iter_mut() {
            if structure.name() == "video/x-h264" {
                structure.set("stream-format", format);
                structure.set("alignment", "au");
                structure.remove_field("codec_data");
            }
        }
    }
    caps
}

/// The request for a key frame, to be sent upstream.
pub(super) fn force_key_unit() -> gst::Event {
    gst_video::UpstreamForceKeyUnitEvent::builder()
        .all_headers(true)
        .build()
}
