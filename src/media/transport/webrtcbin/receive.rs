// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tracks of others: from the subscriber's `webrtcbin` through depayloaders to sealed frames.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use gst::{glib, prelude::*};
use gst_rtp::RTPBuffer;
use gst_webrtc::WebRTCRTPTransceiver;
use roomseal_e2ee::Codec;

use super::{
    control::Command,
    peer::Peer,
    pipeline_error,
    shared::{RemoteCounters, Shared, lock},
    streams,
};
use crate::transport::{MediaKind, Target, TransportError, TransportEvent};

/// LiveKit forwards at most one request in this time.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);

/// What hangs on one pad of `webrtcbin`: one SSRC with one payload type.
pub(super) struct Branch {
    sid: Arc<str>,
    codec: Codec,
    pad: gst::Pad,
    elements: Vec<gst::Element>,
    /// Where requests for key frames begin their way up.
    end: gst::Pad,
    last_request: Option<Instant>,
}

impl Branch {
    pub(super) fn sid(&self) -> &Arc<str> {
        &self.sid
    }

    /// The event that asks for a key frame and where to send it, unless one was just asked for.
    pub(super) fn key_frame_request(&mut self, now: Instant) -> Option<(gst::Pad, gst::Event)> {
        let is_due = self
            .last_request
            .is_none_or(|last| now.duration_since(last) >= KEY_FRAME_INTERVAL);
        if MediaKind::from(self.codec) == MediaKind::Audio || !is_due {
            return None;
        }
        self.last_request = Some(now);
        // With all headers it would become FIR, which LiveKit ignores.
        let event = gst_video::UpstreamForceKeyUnitEvent::builder()
            .all_headers(false)
            .build();
        Some((self.end.clone(), event))
    }

    /// Takes everything down that the track needed. Not on a streaming thread.
    ///
    /// `webrtcbin` keeps the pad, its jitter buffer and two threads for ever otherwise.
    pub(super) fn remove(self, peer: &Peer) {
        if let Some(downstream) = self.pad.peer() {
            let _ = self.pad.unlink(&downstream);
        }
        for element in &self.elements {
            let _ = element.set_state(gst::State::Null);
            let _ = peer.pipeline.remove(element);
        }
        let target = self
            .pad
            .downcast_ref::<gst::GhostPad>()
            .and_then(gst::prelude::GhostPadExt::target);
        if let (Some(rtpbin), Some(target)) = (peer.rtpbin(), target)
            && let Some((session, ssrc)) = stream_of(&target.name())
        {
            clear(&rtpbin, session, ssrc, &target);
        }
        let _ = self.pad.set_active(false);
        let _ = peer.webrtc.remove_pad(&self.pad);
    }
}

/// Makes `rtpbin` forget a stream.
///
/// Up to 1.22 at least, `rtpssrcdemux` takes a stream off its list first and removes its pads later,
/// without a lock: a packet that comes in between (the service sends silence after the end of a
/// track) makes pads of the same names, which are refused, freed, and used all the same. So nothing
/// may come in meanwhile.
fn clear(rtpbin: &gst::Element, session: u32, ssrc: u32, pad: &gst::Pad) {
    let sinks = ["recv_rtp_sink", "recv_rtcp_sink"]
        .map(|name| rtpbin.static_pad(&format!("{name}_{session}")));
    let _nothing_comes_in: Vec<_> = sinks
        .iter()
        .flatten()
        .map(PadExtManual::stream_lock)
        .collect();
    rtpbin.emit_by_name::<()>("clear-ssrc", &[&session, &ssrc]);
    // Its own pad it may keep, and would have no name for the next were the SSRC to come back.
    if pad.parent().as_ref() == Some(rtpbin.upcast_ref()) {
        let _ = pad.set_active(false);
        let _ = rtpbin.remove_pad(pad);
    }
}

/// Session and SSRC in the name `recv_rtp_src_<session>_<ssrc>_<pt>`.
fn stream_of(name: &str) -> Option<(u32, u32)> {
    let mut numbers = name
        .strip_prefix("recv_rtp_src_")?
        .split('_')
        .map(str::parse);
    let session = numbers.next()?.ok()?;
    let ssrc = numbers.next()?.ok()?;
    Some((session, ssrc))
}

/// Prepares the subscriber for what the service will offer.
pub(super) fn watch(peer: &Peer, shared: &Arc<Shared>) {
    if let Some(rtpbin) = peer.rtpbin() {
        streams::take_announced_only(&peer.webrtc, &rtpbin, shared);
    }
    peer.webrtc.connect("on-new-transceiver", false, |values| {
        // During create-answer: without it the answer has neither NACK nor retransmission.
        if let Ok(transceiver) = values[1].get::<WebRTCRTPTransceiver>() {
            transceiver.set_property("do-nack", true);
        }
        None
    });
    let pipeline = peer.pipeline.downgrade();
    peer.webrtc.connect_pad_added(glib::clone!(
        #[weak]
        shared,
        move |_, pad| {
            let Some(pipeline) = pipeline.upgrade() else {
                return;
            };
            if pad.direction() != gst::PadDirection::Src {
                return;
            }
            if let Err(error) = attach(&pipeline, pad, &shared) {
                tracing::warn!(pad = %pad.name(), %error, "a remote track is not received");
            }
        }
    ));
}

/// Hangs a branch on a new pad. Has to be done before this returns, or `webrtcbin` meets a pad
/// without a peer and stops the stream.
fn attach(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    shared: &Arc<Shared>,
) -> Result<(), TransportError> {
    let transceiver = pad.property::<Option<WebRTCRTPTransceiver>>("transceiver");
    let mid = transceiver.and_then(|transceiver| transceiver.mid());
    let sid = mid.and_then(|mid| lock(&shared.mids).get(mid.as_str()).cloned());
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let (Some(sid), Some(codec)) = (sid, codec_of(&caps)) else {
        // Nobody's track, or a codec we did not ask for.
        return discard(pipeline, pad);
    };
    let counters = Arc::clone(lock(&shared.remote).entry(Arc::clone(&sid)).or_default());
    let gap = Arc::new(AtomicBool::new(false));
    let sink = frame_sink(&sid, &counters, &gap, shared);
    let mut elements = depayloader(codec, &caps)?;
    elements.push(sink.upcast());
    pipeline.add_many(&elements).map_err(pipeline_error)?;
    gst::Element::link_many(&elements).map_err(pipeline_error)?;
    for element in elements.iter().rev() {
        element.sync_state_with_parent().map_err(pipeline_error)?;
    }
    let first = elements[0]
        .static_pad("sink")
        .expect("the first element takes packets");
    let last = elements[elements.len() - 1]
        .static_pad("sink")
        .expect("appsink has a sink pad");
    inspect_packets(&first, &sid, codec, &counters, &gap, shared);
    lock(&shared.branches).push(Branch {
        sid: Arc::clone(&sid),
        codec,
        pad: pad.clone(),
        elements,
        end: last,
        last_request: None,
    });
    // On this thread, so that it is known before the first frame.
    shared.emit(TransportEvent::RemoteTrack { sid, codec });
    pad.link(&first).map_err(pipeline_error)?;
    Ok(())
}

fn discard(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), TransportError> {
    let sink = gst::ElementFactory::make("fakesink")
        .property("sync", false)
        .property("async", false)
        .build()
        .map_err(pipeline_error)?;
    pipeline.add(&sink).map_err(pipeline_error)?;
    sink.sync_state_with_parent().map_err(pipeline_error)?;
    let peer = sink.static_pad("sink").expect("fakesink has a sink pad");
    pad.link(&peer).map_err(pipeline_error)?;
    Ok(())
}

fn codec_of(caps: &gst::Caps) -> Option<Codec> {
    match caps.structure(0)?.get::<&str>("encoding-name").ok()? {
        "OPUS" => Some(Codec::Opus),
        "VP8" => Some(Codec::Vp8),
        "H264" => Some(Codec::H264),
        _ => None,
    }
}

/// Elements from packets to frames.
fn depayloader(codec: Codec, caps: &gst::Caps) -> Result<Vec<gst::Element>, TransportError> {
    let make = |name| {
        gst::ElementFactory::make(name)
            .build()
            .map_err(pipeline_error)
    };
    Ok(match codec {
        Codec::Opus => vec![make("rtpopusdepay")?],
        Codec::Vp8 => vec![make("rtpvp8depay")?],
        Codec::H264 => {
            // Parameter sets of the description would be put before the first frame and break its
            // seal, so the depayloader is not told any.
            let payload_type = caps.structure(0).and_then(|s| s.get::<i32>("payload").ok());
            let plain = gst::Caps::builder("application/x-rtp")
                .field("media", "video")
                .field("encoding-name", "H264")
                .field("clock-rate", 90_000)
                .field_if_some("payload", payload_type)
                .build();
            let setter = make("capssetter")?;
            setter.set_property("replace", true);
            setter.set_property("join", false);
            setter.set_property("caps", plain);
            // Any other layout moves parameter sets out of the stream.
            let layout = make("capsfilter")?;
            let annex_b = gst::Caps::builder("video/x-h264")
                .field("stream-format", "byte-stream")
                .field("alignment", "au")
                .build();
            layout.set_property("caps", annex_b);
            vec![setter, make("rtph264depay")?, layout]
        }
    })
}

fn frame_sink(
    sid: &Arc<str>,
    counters: &Arc<RemoteCounters>,
    gap: &Arc<AtomicBool>,
    shared: &Arc<Shared>,
) -> gst_app::AppSink {
    let sid = Arc::clone(sid);
    let counters = Arc::clone(counters);
    let gap = Arc::clone(gap);
    let shared = Arc::downgrade(shared);
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let (Some(mut buffer), Some(shared)) = (sample.buffer_owned(), shared.upgrade()) else {
                return Ok(gst::FlowSuccess::Ok);
            };
            drop(sample);
            // The depayloader also marks packets that we dropped; only a real gap counts.
            let discont = gap.swap(false, Ordering::SeqCst);
            let marked = buffer.flags().contains(gst::BufferFlags::DISCONT);
            if discont != marked {
                let buffer = buffer.make_mut();
                if discont {
                    buffer.set_flags(gst::BufferFlags::DISCONT);
                } else {
                    buffer.unset_flags(gst::BufferFlags::DISCONT);
                }
            }
            if shared.is_open(Target::Subscriber) {
                counters.frames.fetch_add(1, Ordering::Relaxed);
                shared.emit(TransportEvent::Frame {
                    sid: Arc::clone(&sid),
                    buffer,
                });
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    gst_app::AppSink::builder()
        .sync(false)
        .async_(false)
        .callbacks(callbacks)
        .build()
}

/// Counts packets, notices gaps, and drops the service's own frames before they become part of
/// anything.
fn inspect_packets(
    pad: &gst::Pad,
    sid: &Arc<str>,
    codec: Codec,
    counters: &Arc<RemoteCounters>,
    gap: &Arc<AtomicBool>,
    shared: &Arc<Shared>,
) {
    let sid = Arc::clone(sid);
    let counters = Arc::clone(counters);
    let gap = Arc::clone(gap);
    let is_video = MediaKind::from(codec) == MediaKind::Video;
    let mut next = None;
    let mut inspect = move |shared: &Shared, buffer: &gst::BufferRef| -> bool {
        let Ok(packet) = RTPBuffer::from_buffer_readable(buffer) else {
            return false;
        };
        counters.packets.fetch_add(1, Ordering::Relaxed);
        let lost = missing(next, packet.seq());
        next = Some(packet.seq().wrapping_add(1));
        if lost > 0 {
            counters.lost.fetch_add(lost.into(), Ordering::Relaxed);
            gap.store(true, Ordering::SeqCst);
            if is_video {
                // Nothing below asks for one, and the frames that follow refer to what is lost.
                shared.command(Command::RequestKeyFrame(Arc::clone(&sid)));
            }
        }
        let payload = packet.payload().unwrap_or_default();
        let trailer = shared.sif_trailer();
        if !trailer.is_empty() && payload.ends_with(&trailer) {
            counters.server_injected.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        // Padding, by which a service probes the network.
        !payload.is_empty()
    };
    // Probes are shared closures; the pad pushes from one thread at a time.
    let inspect = std::sync::Mutex::new(move |shared: &Shared, buffer: &gst::BufferRef| {
        inspect(shared, buffer)
    });
    pad.add_probe(
        gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
        glib::clone!(
            #[weak]
            shared,
            #[upgrade_or]
            gst::PadProbeReturn::Handled,
            move |_, info| {
                let mut inspect = lock(&inspect);
                let keep = match &mut info.data {
                    Some(gst::PadProbeData::Buffer(buffer)) => inspect(&shared, buffer),
                    Some(gst::PadProbeData::BufferList(list)) => {
                        let kept: gst::BufferList = list
                            .iter_owned()
                            .filter(|buffer| inspect(&shared, buffer))
                            .collect();
                        let any = !kept.is_empty();
                        *list = kept;
                        any
                    }
                    _ => true,
                };
                // Not Drop: the bindings free the packet themselves, and GStreamer would again.
                if keep {
                    gst::PadProbeReturn::Ok
                } else {
                    gst::PadProbeReturn::Handled
                }
            }
        ),
    );
}

/// How many packets are missing before `sequence` when `next` was expected.
fn missing(next: Option<u16>, sequence: u16) -> u16 {
    let ahead = next.map_or(0, |next| sequence.wrapping_sub(next));
    // More than half the numbers ahead is really behind.
    if ahead < 0x8000 { ahead } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_counted_across_the_wrap() {
        assert_eq!(missing(None, 700), 0);
        assert_eq!(missing(Some(700), 700), 0);
        assert_eq!(missing(Some(700), 703), 3);
        assert_eq!(missing(Some(65_535), 1), 2);
        assert_eq!(missing(Some(703), 700), 0);
    }

    #[test]
    fn a_pad_name_tells_session_and_ssrc() {
        assert_eq!(
            stream_of("recv_rtp_src_0_4106102579_96"),
            Some((0, 4_106_102_579))
        );
        for name in [
            "",
            "src_0",
            "recv_rtp_src_",
            "recv_rtp_src_0",
            "recv_rtp_src_x_1_2",
        ] {
            assert_eq!(stream_of(name), None);
        }
    }
}
