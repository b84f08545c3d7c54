// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which streams `webrtcbin` takes from the service: those that its offer announces, and no others.
//!
//! `webrtcbin` keeps a list of the section that each SSRC belongs to. Reports on a stream that nothing has come of
//! (RFC 3550, 6.3.5: the sender times out) take it off that list, reports that come before the offer put it there with no
//! section, and the first packet of a stream that has no section ends the process: up to 1.26 at least, it looks for the
//! first section's transceiver then, and uses what it did not find. Whoever is the service, or joins in silence and speaks
//! later, would take the box down.
//!
//! So the list holds what offers say and is changed by nothing else, and packets of other streams do not get that far.

// The two calls that take `webrtcbin`'s handlers off its `rtpbin`.
#![allow(unsafe_code)]

use std::{collections::HashSet, sync::Arc};

use gst::{
    glib::{
        self, gobject_ffi,
        prelude::*,
        subclass::SignalId,
        translate::{IntoGlib, ToGlibPtr},
    },
    prelude::*,
};
use gst_rtp::RTPBuffer;

use super::shared::{Shared, lock};
use crate::sdp::{Description, SectionKind};

/// The signals of `rtpbin` that make `webrtcbin` change its list.
const CHANGING: [&str; 5] = [
    "on-new-ssrc",
    "on-bye-ssrc",
    "on-bye-timeout",
    "on-sender-timeout",
    "on-timeout",
];

/// The SSRCs that a description announces as `webrtcbin` reads it (RFC 5576, 4.1: the line that gives the `cname`).
pub(super) fn announced(description: &Description) -> HashSet<u32> {
    let media = description.sections.iter();
    let media = media.filter(|section| section.kind != SectionKind::Application);
    media
        .flat_map(|section| section.attributes("ssrc"))
        .filter_map(|line| {
            let (ssrc, attribute) = line.split_once(' ')?;
            attribute.starts_with("cname:").then(|| ssrc.parse().ok())?
        })
        .collect()
}

/// Makes `webrtc` take announced streams only. Before the first description.
pub(super) fn take_announced_only(
    webrtc: &gst::Element,
    rtpbin: &gst::Element,
    shared: &Arc<Shared>,
) {
    for signal in CHANGING {
        if !disconnect(webrtc, rtpbin, signal) {
            tracing::warn!(
                signal,
                "webrtcbin does not listen to its rtpbin as it used to"
            );
        }
    }
    let shared = Arc::downgrade(shared);
    rtpbin.connect_pad_added(move |_, pad| {
        if !pad.name().starts_with("recv_rtp_sink_") {
            return;
        }
        let shared = shared.clone();
        let known = move |packet: &gst::BufferRef| {
            let Ok(rtp) = RTPBuffer::from_buffer_readable(packet) else {
                return false;
            };
            shared
                .upgrade()
                .is_some_and(|shared| lock(&shared.announced).contains(&rtp.ssrc()))
        };
        pad.add_probe(
            gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
            move |_, info| {
                let keep = match &info.data {
                    Some(gst::PadProbeData::Buffer(packet)) => known(packet),
                    Some(gst::PadProbeData::BufferList(packets)) => packets.iter().all(&known),
                    _ => true,
                };
                if keep {
                    gst::PadProbeReturn::Ok
                } else {
                    // Not Drop: the bindings free the buffer themselves, and GStreamer would again.
                    gst::PadProbeReturn::Handled
                }
            },
        );
    });
}

/// Takes the handlers of one signal off that `webrtc` connected; whether there were any.
fn disconnect(webrtc: &gst::Element, rtpbin: &gst::Element, signal: &str) -> bool {
    let Some(signal) = SignalId::lookup(signal, rtpbin.type_()) else {
        return false;
    };
    let instance: *mut gobject_ffi::GObject = rtpbin.upcast_ref::<glib::Object>().to_glib_none().0;
    let data: *mut gobject_ffi::GObject = webrtc.upcast_ref::<glib::Object>().to_glib_none().0;
    // SAFETY: both are alive as their wrappers are; `data` is compared with what the handlers were connected with and not
    // followed. GObject locks its list of handlers itself.
    let found = unsafe {
        gobject_ffi::g_signal_handlers_disconnect_matched(
            instance,
            gobject_ffi::G_SIGNAL_MATCH_ID | gobject_ffi::G_SIGNAL_MATCH_DATA,
            signal.into_glib(),
            0,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            data.cast(),
        )
    };
    found > 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]
mod tests {
    use super::*;

    #[test]
    fn streams_are_announced_by_the_line_with_their_name() {
        let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
            m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ssrc:7 cname:x\r\na=ssrc:7 msid:a b\r\na=ssrc:8 msid:a b\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=ssrc-group:FID 9 10\r\na=ssrc:9 cname:x\r\na=ssrc:10 cname:x\r\n";
        let description = Description::parse(sdp).unwrap();
        assert_eq!(announced(&description), HashSet::from([7, 9, 10]));
    }

    #[test]
    fn no_report_changes_the_list_any_more() {
        gst::init().unwrap();
        let webrtc = gst::ElementFactory::make("webrtcbin").build().unwrap();
        let bin = webrtc.downcast_ref::<gst::Bin>().unwrap();
        let rtpbin = bin.by_name("rtpbin").unwrap();
        for signal in CHANGING {
            assert!(disconnect(&webrtc, &rtpbin, signal), "{signal}");
            assert!(!disconnect(&webrtc, &rtpbin, signal), "{signal}");
        }
    }
}
