// SPDX-License-Identifier: MIT OR Apache-2.0

//! The second half of a track: raw pictures or sound in, sealed frames out, in a pipeline of its
//! own.
//!
//! It knows no source. So a camera can be pulled out, or another encoder take over, without the
//! other half noticing; and because it begins with a queue that leaks, an encoder that takes long
//! never blocks the camera.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::Sender,
    },
};

use gst::prelude::*;
use roomseal_e2ee::Codec;

use super::control::Control;
use crate::{
    budget::EncodeBudget,
    clock,
    elements::FrameEncrypt,
    encoder::{Model, chain, force_key_frame, pixels},
    graph,
    transport::LocalTrackId,
};

/// Receives sealed frames, on streaming threads.
pub type OnFrame = Arc<dyn Fn(LocalTrackId, gst::Buffer) + Send + Sync>;

/// What sound gets of the bitrate, always: it is a fiftieth of a picture and carries the meeting.
pub(super) const AUDIO_BITRATE: u32 = 32_000;

/// What went through, over all lines of a track.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) offered: AtomicU64,
    pub(super) encoded: AtomicU64,
    pub(super) frames: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// Where the frames of a line go, and under which number.
#[derive(Clone)]
pub(super) struct Outlet {
    pub(super) local: LocalTrackId,
    pub(super) counts: Arc<Counts>,
    pub(super) on_frame: OnFrame,
    pub(super) control: Sender<Control>,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

/// One running pipeline from raw to sealed. Stops when dropped.
#[derive(Debug)]
pub(super) struct Line {
    /// Tells this line's errors from those of the one before it.
    pub(super) serial: u64,
    pipeline: gst::Pipeline,
    pub(super) entry: gst_app::AppSrc,
    /// Fixes the picture's size; none for sound.
    pub(super) size: Option<gst::Element>,
    /// Silences; none for pictures, which are stopped before the line.
    pub(super) mute: Option<gst::Element>,
    encoder: gst::Element,
    /// None for sound.
    pub(super) model: Option<&'static dyn Model>,
    pub(super) seal: FrameEncrypt,
}

impl Line {
    /// Builds the video half: convert, scale, encode, seal. Not started yet.
    pub(super) fn video(
        outlet: &Outlet,
        serial: u64,
        model: &'static dyn Model,
        budget: &EncodeBudget,
    ) -> Result<Self, gst::glib::BoolError> {
        let convert = gst::ElementFactory::make("videoconvertscale")
            .property("add-borders", false)
            .build()?;
        let size = gst::ElementFactory::make("capsfilter").build()?;
        let chain = chain(model, budget)?;
        let mut elements = vec![convert, size.clone()];
        elements.extend(chain.elements);
        let mut line = Self::assemble(outlet, serial, &elements, chain.encoder)?;
        // One picture in work and one waiting: an older one would only add to the delay.
        line.entry.set_max_buffers(2);
        line.size = Some(size);
        line.model = Some(model);
        Ok(line)
    }

    /// Builds the audio half: echo canceller (where a loudspeaker is used), mute, level, Opus,
    /// seal. Not started yet.
    pub(super) fn audio(
        outlet: &Outlet,
        serial: u64,
        echo_probe: Option<&str>,
    ) -> Result<Self, gst::glib::BoolError> {
        let make = gst::ElementFactory::make;
        let format = gst::Caps::builder("audio/x-raw")
            .field("format", "S16LE")
            .field("layout", "interleaved")
            .field("rate", 48_000_i32)
            .field("channels", 1_i32)
            .build();
        let mut elements = vec![
            make("audioconvert").build()?,
            make("audioresample").build()?,
            make("capsfilter").property("caps", format).build()?,
        ];
        if let Some(probe) = echo_probe {
            elements.push(
                make("webrtcdsp")
                    .property("probe", probe)
                    .property("delay-agnostic", true)
                    .property("extended-filter", true)
                    .build()?,
            );
        }
        let mute = make("volume").build()?;
        // Behind the mute, so that nobody is shown as speaking who is muted.
        let level = make("level")
            .property("audio-level-meta", true)
            .property("post-messages", false)
            .build()?;
        let encoder = make("opusenc")
            .property("bitrate", pixels(AUDIO_BITRATE))
            .property("inband-fec", true)
            // The redundancy is only written for a loss that is expected.
            .property("packet-loss-percentage", 5_i32)
            .property_from_str("frame-size", "20")
            .property_from_str("audio-type", "voice")
            .build()?;
        elements.extend([mute.clone(), level, encoder.clone()]);
        let mut line = Self::assemble(outlet, serial, &elements, encoder)?;
        line.entry.set_max_time(gst::ClockTime::from_mseconds(200));
        line.mute = Some(mute);
        Ok(line)
    }

    fn assemble(
        outlet: &Outlet,
        serial: u64,
        middle: &[gst::Element],
        encoder: gst::Element,
    ) -> Result<Self, gst::glib::BoolError> {
        let entry = gst_app::AppSrc::builder()
            .format(gst::Format::Time)
            .is_live(true)
            .leaky_type(gst_app::AppLeakyType::Downstream)
            .build();
        // Its default limit of 200 kB is less than one raw picture.
        entry.set_max_bytes(0);
        let seal = FrameEncrypt::new();
        let exit = exit(outlet.clone());

        let mut elements = vec![entry.clone().upcast()];
        elements.extend_from_slice(middle);
        elements.push(seal.clone().upcast());
        elements.push(exit);
        let pipeline = gst::Pipeline::new();
        pipeline.add_many(&elements)?;
        gst::Element::link_many(&elements)?;
        clock::join(&pipeline);
        graph::draw_when_it_flows(&pipeline);

        let counts = Arc::clone(&outlet.counts);
        let sealed_in = seal
            .static_pad("sink")
            .expect("frameencrypt always has a sink pad");
        sealed_in.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            counts.encoded.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
        report_errors(&pipeline, outlet, serial);
        Ok(Self {
            serial,
            pipeline,
            entry,
            size: None,
            mute: None,
            encoder,
            model: None,
            seal,
        })
    }

    pub(super) fn start(&self) -> Result<(), gst::StateChangeError> {
        self.pipeline.set_state(gst::State::Playing).map(|_| ())
    }

    pub(super) fn codec(&self) -> Codec {
        self.model.map_or(Codec::Opus, Model::codec)
    }

    pub(super) fn encoder_name(&self) -> &'static str {
        self.model.map_or("opusenc", Model::name)
    }

    pub(super) fn set_bitrate(&self, bps: u32) {
        if let Some(model) = self.model {
            model.set_bitrate(&self.encoder, bps);
        }
    }

    pub(super) fn force_key_frame(&self) {
        if self.model.is_some() {
            force_key_frame(&self.encoder);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
        // Only a refusal to stop could fail here, and nothing is left to be done about it.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// The end of the line: hands each sealed frame on, with its time on the shared clock.
fn exit(outlet: Outlet) -> gst::Element {
    let sink = gst_app::AppSink::builder()
        .sync(false)
        .async_(false)
        .enable_last_sample(false)
        .build();
    let mut last = None;
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                let Some(mut frame) = sample.buffer_owned() else {
                    return Ok(gst::FlowSuccess::Ok);
                };
                // Encoders may shift their time stamps and their segment with it (x264enc does).
                let pts = sample
                    .segment()
                    .and_then(|segment| segment.downcast_ref::<gst::ClockTime>())
                    .and_then(|segment| segment.to_running_time(frame.pts()));
                // Sound that came in bursts is given the time it arrived at; it must not go back.
                let pts = pts.max(last.map(|last| last + gst::ClockTime::NSECOND));
                last = pts;
                drop(sample);
                let bytes = u64::try_from(frame.size()).unwrap_or(u64::MAX);
                let stamped = frame.make_mut();
                stamped.set_pts(pts);
                // No frame is ever reordered.
                stamped.set_dts(gst::ClockTime::NONE);
                outlet.counts.frames.fetch_add(1, Ordering::Relaxed);
                outlet.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
                (outlet.on_frame)(outlet.local, frame);
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    sink.upcast()
}

fn report_errors(pipeline: &gst::Pipeline, outlet: &Outlet, serial: u64) {
    let Some(bus) = pipeline.bus() else { return };
    let control = outlet.control.clone();
    bus.set_sync_handler(move |_, message| {
        if let gst::MessageView::Error(error) = message.view() {
            let element = message
                .src()
                .map(|src| src.name().to_string())
                .unwrap_or_default();
            // The control thread is gone only when the capture stops.
            let _ = control.send(Control::LineFailed {
                serial,
                element,
                reason: error.error().message().to_owned(),
            });
        }
        gst::BusSyncReply::Drop
    });
}
