// SPDX-License-Identifier: MIT OR Apache-2.0

//! Our tracks: sealed frames into payloaders into the publisher's `webrtcbin`.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use gst::{glib, prelude::*};
use gst_app::AppSrc;
use gst_rtp::{RTPHeaderExtension, prelude::*};
use gst_webrtc::{WebRTCRTPTransceiver, WebRTCRTPTransceiverDirection};
use roomseal_e2ee::Codec;

use super::{
    avc,
    control::Command,
    peer::Peer,
    pipeline_error,
    shared::{LocalCounters, Shared, lock},
};
use crate::transport::{
    LocalTrackId, LocalTrackStats, MediaKind, PublishTrack, Target, TransportError, TransportEvent,
};

/// More than this waiting to be sent is congestion: what is older is of no use to anybody.
const MAX_QUEUED: gst::ClockTime = gst::ClockTime::from_seconds(1);

/// Frames without a key frame after which one is asked for again.
const REQUEST_INTERVAL: u32 = 15;

/// Longest packet that crosses tunnels unfragmented.
const MTU: u32 = 1200;

/// Ids of header extensions. All sections are bundled, so each extension needs its own
/// (RFC 8843 §9); `rtpfunnel` takes no packet otherwise.
const CONGESTION_CONTROL_ID: u32 = 1;
const AUDIO_LEVEL_ID: u32 = 2;

/// A track that is being sent.
pub(super) struct LocalTrack {
    codec: Codec,
    source: AppSrc,
    /// Frames are of no use until the next key frame.
    needs_key_frame: AtomicBool,
    /// Frames dropped for that reason.
    waited: AtomicU32,
    counters: LocalCounters,
}

impl LocalTrack {
    pub(super) fn stats(&self) -> LocalTrackStats {
        self.counters.stats()
    }

    pub(super) fn is_video(&self) -> bool {
        MediaKind::from(self.codec) == MediaKind::Video
    }

    /// The next frame that is sent has to be a key frame.
    pub(super) fn await_key_frame(&self) {
        self.needs_key_frame
            .store(self.is_video(), Ordering::SeqCst);
    }
}

/// Gives a sealed frame to its payloader.
pub(super) fn push(shared: &Shared, local: LocalTrackId, mut frame: gst::Buffer) {
    let track = {
        let tracks = shared.local.read().unwrap_or_else(PoisonError::into_inner);
        tracks.get(&local).cloned()
    };
    let Some(track) = track else { return };
    if track.accept(shared, local, &mut frame) && track.source.push_buffer(frame).is_ok() {
        track.counters.frames.fetch_add(1, Ordering::Relaxed);
    } else {
        track.counters.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl LocalTrack {
    fn accept(&self, shared: &Shared, local: LocalTrackId, frame: &mut gst::Buffer) -> bool {
        if !shared.is_open(Target::Publisher) {
            return false;
        }
        if self.source.current_level_time() > MAX_QUEUED {
            self.await_key_frame();
            return false;
        }
        if self.needs_key_frame.load(Ordering::SeqCst) {
            if frame.flags().contains(gst::BufferFlags::DELTA_UNIT) {
                // Asked again: the last one may have been dropped like the others.
                let waited = self.waited.fetch_add(1, Ordering::Relaxed);
                if waited.is_multiple_of(REQUEST_INTERVAL) {
                    shared.command(Command::KeyFrameNeeded { local });
                }
                return false;
            }
            self.waited.store(0, Ordering::Relaxed);
            self.needs_key_frame.store(false, Ordering::SeqCst);
        }
        match self.codec {
            Codec::Opus | Codec::Vp8 => true,
            Codec::H264 => frame
                .make_mut()
                .map_writable()
                .is_ok_and(|mut map| avc::to_avc(map.as_mut_slice())),
        }
    }
}

/// A section of the publisher's description, with or without a track at present.
///
/// `webrtcbin` 1.22 can never send again on a section that was turned off. So a section whose
/// track ended stays as it is inside, is inactive in what the service sees, and serves the next
/// track of the same codec.
pub(super) struct Slot {
    codec: Codec,
    cid: String,
    source: AppSrc,
    transceiver: WebRTCRTPTransceiver,
    sink: gst::Pad,
    track: Arc<Mutex<Option<LocalTrackId>>>,
}

impl Slot {
    /// Name by which the service finds the section of a track.
    pub(super) fn cid(&self) -> &str {
        &self.cid
    }

    pub(super) fn is_free_for(&self, codec: Codec) -> bool {
        self.codec == codec && self.track().is_none()
    }

    /// The track that uses it at present.
    pub(super) fn track(&self) -> Option<LocalTrackId> {
        *lock(&self.track)
    }

    pub(super) fn carries(&self, local: LocalTrackId) -> bool {
        self.track() == Some(local)
    }

    pub(super) fn park(&self) {
        *lock(&self.track) = None;
    }

    /// The section's name if no track uses it, and it has one.
    pub(super) fn parked_mid(&self) -> Option<String> {
        self.track()
            .is_none()
            .then(|| self.transceiver.mid())
            .flatten()
            .map(Into::into)
    }

    /// Whether `webrtcbin` knows what will be sent. If it does not, its offer lacks the section
    /// and the answer ends the process.
    pub(super) fn has_caps(&self) -> bool {
        self.sink.current_caps().is_some()
    }

    /// Begins to send a track.
    pub(super) fn start(&self, track: &PublishTrack) -> Arc<LocalTrack> {
        *lock(&self.track) = Some(track.local);
        Arc::new(LocalTrack {
            codec: self.codec,
            source: self.source.clone(),
            needs_key_frame: AtomicBool::new(track.kind() == MediaKind::Video),
            waited: AtomicU32::new(0),
            counters: LocalCounters::default(),
        })
    }

    /// Adds a section to the publisher.
    pub(super) fn new(
        peer: &Peer,
        shared: &Arc<Shared>,
        track: &PublishTrack,
    ) -> Result<Self, TransportError> {
        let caps = frame_caps(track);
        let source = AppSrc::builder()
            .caps(&caps)
            .format(gst::Format::Time)
            .is_live(true)
            .do_timestamp(false)
            // The level is watched in `push`, where a dropped frame can be made good.
            .max_bytes(0)
            .build();
        let current = Arc::new(Mutex::new(None));
        forward_key_frame_requests(&source, &current, shared);
        let payloader = payloader(track.codec)?;
        peer.pipeline
            .add_many([source.upcast_ref(), &payloader])
            .map_err(pipeline_error)?;
        source.link(&payloader).map_err(pipeline_error)?;

        let sink = peer
            .webrtc
            .request_pad_simple("sink_%u")
            .ok_or_else(|| pipeline_error("webrtcbin gives no pad"))?;
        sink.set_property("msid", &track.stream);
        let transceiver = sink.property::<WebRTCRTPTransceiver>("transceiver");
        transceiver.set_direction(WebRTCRTPTransceiverDirection::Sendonly);
        transceiver.set_property("do-nack", true);
        let pad = payloader
            .static_pad("src")
            .expect("a payloader has a source pad");
        pad.link(&sink).map_err(pipeline_error)?;
        payloader.sync_state_with_parent().map_err(pipeline_error)?;
        announce(&payloader, &caps);
        source.sync_state_with_parent().map_err(pipeline_error)?;
        Ok(Self {
            codec: track.codec,
            // The description names the track after this object, whose name cannot be chosen.
            cid: transceiver.name().into(),
            source,
            transceiver,
            sink,
            track: current,
        })
    }
}

/// PLI of the service arrives as an event that `appsrc` would swallow.
fn forward_key_frame_requests(
    source: &AppSrc,
    track: &Arc<Mutex<Option<LocalTrackId>>>,
    shared: &Arc<Shared>,
) {
    let pad = source.static_pad("src").expect("a source has a source pad");
    let track = Arc::clone(track);
    pad.add_probe(
        gst::PadProbeType::EVENT_UPSTREAM,
        glib::clone!(
            #[weak]
            shared,
            #[upgrade_or]
            gst::PadProbeReturn::Ok,
            move |_, info| {
                let is_request = info.event().is_some_and(|event| {
                    gst_video::UpstreamForceKeyUnitEvent::parse(event).is_ok()
                });
                let local = *lock(&track);
                if let Some(local) = local.filter(|_| is_request) {
                    shared.emit(TransportEvent::KeyFrameRequested { local });
                }
                gst::PadProbeReturn::Ok
            }
        ),
    );
}

/// Tells `webrtcbin` what will be sent, before anything is.
fn announce(payloader: &gst::Element, caps: &gst::Caps) {
    let sink = payloader
        .static_pad("sink")
        .expect("a payloader has a sink pad");
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    for event in [
        gst::event::StreamStart::new(&payloader.name()),
        gst::event::Caps::new(caps),
        gst::event::Segment::new(&segment),
    ] {
        // `appsrc` is not running yet, so nobody else pushes here.
        if !sink.send_event(event) {
            tracing::warn!(payloader = %payloader.name(), "payloader does not take the format");
        }
    }
}

/// What the frames of a track are.
fn frame_caps(track: &PublishTrack) -> gst::Caps {
    let caps = match track.codec {
        Codec::Opus => gst::Caps::builder("audio/x-opus")
            .field("rate", 48_000)
            .field("channels", 2)
            .field("channel-mapping-family", 0),
        Codec::Vp8 => gst::Caps::builder("video/x-vp8"),
        Codec::H264 => gst::Caps::builder("video/x-h264")
            .field("stream-format", "avc")
            .field("alignment", "au")
            .field("codec_data", gst::Buffer::from_slice(H264_CODEC_DATA)),
    };
    let (width, height) = track.size.unwrap_or_default();
    let size = [("width", width), ("height", height)]
        .into_iter()
        .filter_map(|(name, value)| {
            i32::try_from(value)
                .ok()
                .filter(|value| *value > 0)
                .map(|value| (name, value))
        });
    let framerate = track.framerate.and_then(|rate| i32::try_from(rate).ok());
    size.fold(caps, |caps, (name, value)| caps.field(name, value))
        .field_if_some(
            "framerate",
            framerate.map(|rate| gst::Fraction::new(rate, 1)),
        )
        .build()
}

/// Parameter sets of some constrained baseline stream (ISO/IEC 14496-15 §5.3.3.1).
///
/// `rtph264pay` names its format only once it knows some. The real ones are in band, the
/// description that is sent has none.
const H264_CODEC_DATA: [u8; 40] = [
    // Version, profile, lengths of 4 bytes.
    1, 0x42, 0xc0, 0x1e, 0xff, // One SPS.
    0xe1, 0, 25, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0xc0, 0x44, 0x00, 0x00,
    0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x58, 0xba, 0x80, // One PPS.
    1, 0, 4, 0x68, 0xce, 0x0f, 0xc8,
];

fn payloader(codec: Codec) -> Result<gst::Element, TransportError> {
    let (factory, payload_type) = match codec {
        Codec::Opus => ("rtpopuspay", 111u32),
        Codec::Vp8 => ("rtpvp8opaquepay", 96),
        Codec::H264 => ("rtph264pay", 102),
    };
    let payloader = gst::ElementFactory::make(factory)
        .property("pt", payload_type)
        .property("mtu", MTU)
        .build()
        .map_err(pipeline_error)?;
    if codec == Codec::H264 {
        // Anything inserted would break the seal of the frame.
        payloader.set_property("config-interval", 0);
        payloader.set_property_from_str("aggregate-mode", "zero-latency");
    }
    // Transport-wide congestion control only on video: on audio it reports phantom loss.
    let (extension, id) = match MediaKind::from(codec) {
        MediaKind::Audio => ("rtphdrextclientaudiolevel", AUDIO_LEVEL_ID),
        MediaKind::Video => ("rtphdrexttwcc", CONGESTION_CONTROL_ID),
    };
    let extension = gst::ElementFactory::make(extension)
        .build()
        .map_err(pipeline_error)?
        .downcast::<RTPHeaderExtension>()
        .map_err(|_| pipeline_error("no header extension"))?;
    extension.set_id(id);
    payloader.emit_by_name::<()>("add-extension", &[&extension]);
    Ok(payloader)
}

/// Turns feedback about what arrived into estimates of what the network carries.
pub(super) fn watch_feedback(session: &gst::Element, shared: &Arc<Shared>) {
    session.connect_notify(
        Some("twcc-stats"),
        glib::clone!(
            #[weak]
            shared,
            move |session, _| {
                let Some(stats) = session.property::<Option<gst::Structure>>("twcc-stats") else {
                    return;
                };
                tracing::trace!(%stats, "feedback of the service");
                let now = Duration::from_nanos(crate::clock::now().nseconds());
                let changed = lock(&shared.bandwidth).feedback(feedback(&stats), now);
                if let Some(bps) = changed {
                    shared.emit(TransportEvent::BitrateEstimate { bps });
                }
            }
        ),
    );
}

fn feedback(stats: &gst::StructureRef) -> crate::transport::bandwidth::Feedback {
    let number = |name| stats.get::<u32>(name).unwrap_or_default();
    crate::transport::bandwidth::Feedback {
        sent: number("bitrate-sent"),
        received: number("bitrate-recv"),
        packets: number("packets-recv"),
        loss: stats.get::<f64>("packet-loss-pct").unwrap_or_default() / 100.0,
        delay_growth: stats.get::<i64>("avg-delta-of-delta").unwrap_or_default(),
    }
}
