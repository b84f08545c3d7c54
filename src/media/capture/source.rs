// SPDX-License-Identifier: MIT OR Apache-2.0

//! The first half of a track: a pipeline from a device or file to raw pictures or sound.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc::Sender},
    time::{SystemTime, UNIX_EPOCH},
};

use gst::{element_factory::ElementBuilder, prelude::*};

use super::{
    camera, clip, clock_face,
    config::{AudioSource, CaptureConfig, VideoSource},
    fault::{SourceFault, of_message},
    keeper::Word,
    track::{Track, feed},
};
use crate::{
    budget::EncodeBudget,
    clock,
    encoder::{picture_caps, pixels},
    plugins,
    transport::MediaKind,
};

/// One thing to open. It feeds one track, or both if picture and sound come from one file.
#[derive(Clone, Debug)]
pub(super) enum Spec {
    Video(VideoSource),
    Audio(AudioSource),
    /// A media file, for whichever tracks there are.
    Clip(PathBuf),
}

impl Spec {
    /// What a configuration opens, each with the kinds of track it feeds.
    pub(super) fn of(config: &CaptureConfig) -> Vec<(Self, Vec<MediaKind>)> {
        let (video, audio) = (MediaKind::Video, MediaKind::Audio);
        let mut specs = Vec::new();
        match (&config.video, &config.audio) {
            (VideoSource::File(one), AudioSource::File(other)) if one == other => {
                return vec![(Self::Clip(one.clone()), vec![video, audio])];
            }
            _ => {}
        }
        match &config.video {
            VideoSource::None => {}
            VideoSource::File(path) => specs.push((Self::Clip(path.clone()), vec![video])),
            source => specs.push((Self::Video(source.clone()), vec![video])),
        }
        match &config.audio {
            AudioSource::None => {}
            AudioSource::File(path) => specs.push((Self::Clip(path.clone()), vec![audio])),
            source => specs.push((Self::Audio(source.clone()), vec![audio])),
        }
        specs
    }

    /// The device in words, for messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Video(source) => source.to_string(),
            Self::Audio(source) => source.to_string(),
            Self::Clip(path) => format!("file {}", path.display()),
        }
    }

    /// Whether it is opened for one size of picture.
    pub(super) fn follows_budget(&self) -> bool {
        matches!(
            self,
            Self::Video(
                VideoSource::V4l2 { .. } | VideoSource::LibCamera { .. } | VideoSource::TestPattern
            )
        )
    }

    /// The node or file that has to exist, if there is one to look at.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Video(VideoSource::V4l2 { device }) => Some(device),
            Self::Clip(path) => Some(path),
            _ => None,
        }
    }
}

/// What a source's pipeline said.
#[derive(Debug)]
pub(super) enum News {
    Fault(SourceFault),
    /// The end of a file that cannot be sought in, or of a device.
    Ended,
    /// A file has been read to its end; what was read is still being played.
    Loop,
    /// A state change or seek is done.
    Ready,
}

/// A running source. Stops when dropped.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) pipeline: gst::Pipeline,
    pub(super) clip: Option<clip::Clip>,
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
        // Only a refusal to stop could fail here, and nothing is left to be done about it.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl Source {
    /// Opens it. What happens later is told through `words`, marked with `serial`.
    pub(super) fn open(
        spec: &Spec,
        tracks: &[Arc<Track>],
        budget: &EncodeBudget,
        serial: u64,
        words: &Sender<Word>,
    ) -> Result<Self, SourceFault> {
        if let Some(path) = spec.path()
            && !path.exists()
        {
            return Err(SourceFault::absent(spec));
        }
        let pipeline = gst::Pipeline::new();
        tell(&pipeline, spec, serial, words);
        let mut source = Self {
            pipeline,
            clip: None,
        };
        let pipeline = &source.pipeline;
        match spec {
            Spec::Clip(path) => source.clip = Some(clip::build(spec, path, pipeline, tracks)?),
            Spec::Video(video) => {
                clock::join(pipeline);
                let elements = video_elements(spec, video, pipeline, budget)?;
                finish(spec, pipeline, elements, tracks)?;
            }
            Spec::Audio(audio) => {
                clock::join(pipeline);
                let elements = audio_elements(spec, audio)?;
                finish(spec, pipeline, elements, tracks)?;
            }
        }
        // An error says more than the refused state change and comes through the bus.
        let first = if source.clip.is_some() {
            gst::State::Paused
        } else {
            gst::State::Playing
        };
        if source.pipeline.set_state(first).is_err() {
            return Err(SourceFault::refused(spec));
        }
        Ok(source)
    }
}

/// Adds what is not in the pipeline yet and links all of it to the track.
fn finish(
    spec: &Spec,
    pipeline: &gst::Pipeline,
    mut elements: Vec<gst::Element>,
    tracks: &[Arc<Track>],
) -> Result<(), SourceFault> {
    let track = tracks.first().expect("a device is only opened for a track");
    elements.push(feed(track, false));
    let broken = |error: gst::glib::BoolError| SourceFault::broken(spec, &error.message);
    for element in &elements {
        if element.parent().is_none() {
            pipeline.add(element).map_err(broken)?;
        }
    }
    gst::Element::link_many(&elements).map_err(broken)
}

fn video_elements(
    spec: &Spec,
    video: &VideoSource,
    pipeline: &gst::Pipeline,
    budget: &EncodeBudget,
) -> Result<Vec<gst::Element>, SourceFault> {
    let make = Maker(spec);
    match video {
        VideoSource::V4l2 { device } => {
            let source = make.element("v4l2src", |b| {
                b.property("device", device.to_string_lossy().into_owned())
            })?;
            pipeline
                .add(&source)
                .map_err(|e| SourceFault::broken(spec, &e.message))?;
            // The formats are known once the device is open.
            if pipeline.set_state(gst::State::Ready).is_err() {
                return Err(SourceFault::refused(spec));
            }
            let pad = source
                .static_pad("src")
                .expect("every source has a src pad");
            let wanted = camera::format(&pad.query_caps(None), budget)
                .ok_or_else(|| SourceFault::no_picture(spec))?;
            let jpeg = camera::is_jpeg(&wanted);
            let mut elements = vec![source, make.caps(wanted)?, make.leaky_queue()?];
            if jpeg {
                elements.push(make.element("jpegdec", |b| b)?);
            }
            Ok(elements)
        }
        VideoSource::LibCamera { camera } => {
            let source = make.element("libcamerasrc", |b| {
                b.property_if_some("camera-name", camera.clone())
            })?;
            // Without each of these spelt out libcamera does not negotiate.
            let mut caps = picture_caps("NV12", budget.width, budget.height);
            let fields = caps.make_mut();
            fields.set("framerate", gst::Fraction::new(pixels(budget.framerate), 1));
            fields.set("interlace-mode", "progressive");
            fields.set("colorimetry", "bt709");
            if let Some(structure) = fields.structure_mut(0) {
                structure.remove_field("pixel-aspect-ratio");
            }
            Ok(vec![source, make.caps(caps)?, make.leaky_queue()?])
        }
        VideoSource::TestPattern => {
            let source = make.element("videotestsrc", |b| {
                b.property("is-live", true)
                    .property_from_str("pattern", "smpte75")
            })?;
            let mut caps = picture_caps("I420", budget.width, budget.height);
            caps.make_mut()
                .set("framerate", gst::Fraction::new(pixels(budget.framerate), 1));
            let pad = source
                .static_pad("src")
                .expect("every source has a src pad");
            pad.add_probe(gst::PadProbeType::BUFFER, |pad, info| {
                if let Some(buffer) = info.buffer_mut() {
                    draw_clock(pad, buffer.make_mut());
                }
                gst::PadProbeReturn::Ok
            });
            Ok(vec![source, make.caps(caps)?])
        }
        VideoSource::Custom(description) => {
            Ok(vec![make.described(description)?, make.leaky_queue()?])
        }
        VideoSource::File(_) | VideoSource::None => {
            unreachable!("files are clips, and no source is not opened")
        }
    }
}

fn audio_elements(spec: &Spec, audio: &AudioSource) -> Result<Vec<gst::Element>, SourceFault> {
    let make = Maker(spec);
    match audio {
        AudioSource::Alsa { device } => {
            let source = make.element("alsasrc", |b| {
                b.property("device", device.clone())
                    // The default of 200 ms would be heard as delay.
                    .property("buffer-time", 60_000_i64)
                    .property("latency-time", 10_000_i64)
                    // Some of ALSA's own plugins tell the time of day there.
                    .property("use-driver-timestamps", false)
                    // All pipelines count on the system clock.
                    .property("provide-clock", false)
            })?;
            Ok(vec![source])
        }
        AudioSource::PipeWire { target } => {
            let source = make.element("pipewiresrc", |b| {
                b.property("do-timestamp", true)
                    .property_if_some("target-object", target.clone())
            })?;
            Ok(vec![
                source,
                make.caps(gst::Caps::new_empty_simple("audio/x-raw"))?,
            ])
        }
        AudioSource::TestTone => {
            let source = make.element("audiotestsrc", |b| {
                b.property("is-live", true)
                    .property_from_str("wave", "ticks")
                    .property("freq", 440.0_f64)
                    .property("volume", 0.2_f64)
                    // Half of every second: 220 periods of 440 Hz.
                    .property("sine-periods-per-tick", 220_u32)
                    .property("tick-interval", gst::ClockTime::SECOND.nseconds())
                    .property("samplesperbuffer", 480_i32)
            })?;
            let caps = gst::Caps::builder("audio/x-raw")
                .field("rate", 48_000_i32)
                .build();
            Ok(vec![source, make.caps(caps)?])
        }
        AudioSource::Custom(description) => Ok(vec![make.described(description)?]),
        AudioSource::File(_) | AudioSource::None => {
            unreachable!("files are clips, and no source is not opened")
        }
    }
}

/// Makes elements, and faults of the source they are for.
pub(super) struct Maker<'a>(pub(super) &'a Spec);

impl Maker<'_> {
    pub(super) fn element(
        &self,
        factory: &str,
        set: impl FnOnce(ElementBuilder<'_>) -> ElementBuilder<'_>,
    ) -> Result<gst::Element, SourceFault> {
        plugins::require(&[factory]).map_err(|missing| SourceFault {
            what: self.0.name(),
            advice: missing.to_string(),
        })?;
        set(gst::ElementFactory::make(factory))
            .build()
            .map_err(|error| SourceFault::broken(self.0, &error.message))
    }

    fn caps(&self, caps: gst::Caps) -> Result<gst::Element, SourceFault> {
        self.element("capsfilter", |b| b.property("caps", caps))
    }

    /// Keeps a decoder behind it from holding up the device before it.
    fn leaky_queue(&self) -> Result<gst::Element, SourceFault> {
        self.element("queue", |b| {
            b.property("max-size-buffers", 2_u32)
                .property("max-size-bytes", 0_u32)
                .property("max-size-time", 0_u64)
                .property_from_str("leaky", "downstream")
        })
    }

    fn described(&self, description: &str) -> Result<gst::Element, SourceFault> {
        // So that it may end with caps, as people write it: a bin cannot.
        gst::parse::bin_from_description(&format!("{description} ! identity"), true)
            .map(|bin| bin.upcast())
            .map_err(|error| SourceFault::broken(self.0, error.message()))
    }
}

/// Draws the time of day into a picture of the test source, which is I420.
fn draw_clock(pad: &gst::Pad, buffer: &mut gst::BufferRef) {
    let Some(info) = pad
        .current_caps()
        .and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok())
    else {
        return;
    };
    let Ok(mut frame) = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, &info) else {
        return;
    };
    let (Ok(width), Ok(height)) = (
        usize::try_from(info.width()),
        usize::try_from(info.height()),
    ) else {
        return;
    };
    let stride = |plane: usize| usize::try_from(info.stride()[plane]).unwrap_or(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let milliseconds = u64::try_from(now.as_millis()).unwrap_or(0);
    if let Ok(luma) = frame.plane_data_mut(0) {
        clock_face::draw(luma, width, height, stride(0), milliseconds);
    }
    for chroma in 1..3_usize {
        let number = u32::try_from(chroma).expect("1 and 2 fit");
        if let Ok(plane) = frame.plane_data_mut(number) {
            clock_face::bleach(plane, width, height, stride(chroma));
        }
    }
}

/// Turns the pipeline's messages into news.
fn tell(pipeline: &gst::Pipeline, spec: &Spec, serial: u64, words: &Sender<Word>) {
    let Some(bus) = pipeline.bus() else { return };
    let (spec, words) = (spec.clone(), words.clone());
    bus.set_sync_handler(move |_, message| {
        let told = match message.view() {
            gst::MessageView::Error(error) => {
                tracing::debug!(source = spec.name(), error = %error.error(), debug = ?error.debug(),
                    "a source failed");
                Some(News::Fault(of_message(&spec, error)))
            }
            gst::MessageView::Eos(_) => Some(News::Ended),
            gst::MessageView::SegmentDone(_) => Some(News::Loop),
            gst::MessageView::AsyncDone(_) => Some(News::Ready),
            _ => None,
        };
        if let Some(told) = told {
            // The thread that listens is gone only when the capture stops.
            let _ = words.send(Word::News(serial, told));
        }
        gst::BusSyncReply::Drop
    });
}
