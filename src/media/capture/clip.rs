// SPDX-License-Identifier: MIT OR Apache-2.0

//! A media file as source, again and again without a seam.
//!
//! The file is played in *segments*: at its end the reader is told to begin anew while the last
//! pictures are still on their way, so that neither picture nor sound pauses, and both stay in
//! step. Time goes on over the seam. A file that cannot be sought in is opened anew instead, with
//! a pause of some frames.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use gst::prelude::*;

use super::{
    fault::SourceFault,
    source::{Maker, Spec},
    track::{Track, feed},
};
use crate::transport::MediaKind;

/// A file being read.
#[derive(Debug)]
pub(super) struct Clip {
    /// One sink per track, in the order of the tracks.
    sinks: Vec<gst::Element>,
    stage: Stage,
    /// Kinds of stream the file turned out to have.
    found: Arc<Mutex<Vec<MediaKind>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The streams are being found.
    Opening,
    /// Found; the first segment is being set up.
    Seeking,
    /// Playing in segments.
    Looping,
    /// Playing; at the end the file has to be opened anew.
    Once,
}

/// Puts a reader of the file into the pipeline, with a paced sink for each track.
pub(super) fn build(
    spec: &Spec,
    path: &Path,
    pipeline: &gst::Pipeline,
    tracks: &[Arc<Track>],
) -> Result<Clip, SourceFault> {
    let broken = |error: gst::glib::BoolError| SourceFault::broken(spec, &error.message);
    let absolute =
        std::path::absolute(path).map_err(|error| SourceFault::broken(spec, &error.to_string()))?;
    let uri = gst::glib::filename_to_uri(absolute, None)
        .map_err(|error| SourceFault::broken(spec, error.message()))?;
    // Not the shared base time: a file's own time begins with it, and is carried over (track.rs).
    pipeline.use_clock(Some(&gst::SystemClock::obtain()));
    let make = Maker(spec);
    let reader = make.element("uridecodebin", |b| b.property("uri", uri.to_string()))?;
    pipeline.add(&reader).map_err(broken)?;

    let mut sinks = Vec::new();
    let mut entries = Vec::new();
    for track in tracks {
        // A second or so of decoded sound, some pictures: enough to be ahead over the seam.
        let queue = make.element("queue", |b| {
            b.property("max-size-buffers", 0_u32)
                .property("max-size-bytes", 0_u32)
                .property("max-size-time", 300 * gst::ClockTime::MSECOND.nseconds())
        })?;
        let sink = feed(track, true);
        pipeline.add_many([&queue, &sink]).map_err(broken)?;
        queue.link(&sink).map_err(broken)?;
        entries.push((track.kind, queue));
        sinks.push(sink);
    }

    let found = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&found);
    let weak = pipeline.downgrade();
    reader.connect_pad_added(move |_, pad| {
        let Some(kind) = kind_of(pad) else { return };
        let entry = entries.iter().find(|(wanted, _)| *wanted == kind);
        let free = entry
            .and_then(|(_, queue)| queue.static_pad("sink"))
            .filter(|sink| !sink.is_linked());
        if let Some(sink) = free {
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(kind);
            // Raw streams of a decoder link with a queue whatever their format.
            let _ = pad.link(&sink);
            return;
        }
        // A second sound track, or a stream nobody publishes: its data has to go somewhere.
        let Some(pipeline) = weak.upgrade() else {
            return;
        };
        if let Ok(drain) = gst::ElementFactory::make("fakesink")
            .property("sync", false)
            .property("async", false)
            .build()
            && pipeline.add(&drain).is_ok()
        {
            // Both can only fail while the pipeline stops.
            let _ = drain.sync_state_with_parent();
            let _ = drain.static_pad("sink").map(|sink| pad.link(&sink));
        }
    });
    let (weak, seen) = (pipeline.downgrade(), Arc::clone(&found));
    let by_kind: Vec<_> = tracks
        .iter()
        .map(|track| track.kind)
        .zip(sinks.iter().cloned())
        .collect();
    reader.connect_no_more_pads(move |_| {
        // A sink without a stream would keep the pipeline from ever being ready.
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(pipeline) = weak.upgrade() else {
            return;
        };
        for (kind, sink) in &by_kind {
            if !seen.contains(kind) {
                // Both can only fail while the pipeline stops.
                let _ = pipeline.remove(sink);
                let _ = sink.set_state(gst::State::Null);
            }
        }
    });
    Ok(Clip {
        sinks,
        stage: Stage::Opening,
        found,
    })
}

fn kind_of(pad: &gst::Pad) -> Option<MediaKind> {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let name = caps.structure(0)?.name().to_string();
    if name.starts_with("video/") {
        Some(MediaKind::Video)
    } else if name.starts_with("audio/") {
        Some(MediaKind::Audio)
    } else {
        None
    }
}

impl Clip {
    /// The pipeline has done what it was told last. Returns the kinds of track the file has
    /// nothing for, once, when they are known.
    pub(super) fn ready(&mut self, pipeline: &gst::Pipeline) -> Option<Vec<MediaKind>> {
        match self.stage {
            Stage::Opening => {
                let found = self.found();
                self.stage = if self.seek(gst::SeekFlags::FLUSH) {
                    Stage::Seeking
                } else {
                    Stage::Once
                };
                if self.stage == Stage::Once {
                    play(pipeline);
                }
                let lacks = [MediaKind::Video, MediaKind::Audio];
                Some(
                    lacks
                        .into_iter()
                        .filter(|kind| !found.contains(kind))
                        .collect(),
                )
            }
            Stage::Seeking => {
                self.stage = Stage::Looping;
                play(pipeline);
                None
            }
            Stage::Looping | Stage::Once => None,
        }
    }

    /// The file has been read to its end. Returns whether it goes on from the start.
    pub(super) fn turn(&mut self) -> bool {
        self.stage == Stage::Looping && self.seek(gst::SeekFlags::empty())
    }

    fn found(&self) -> Vec<MediaKind> {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// To the start, as a segment. Asked of one sink: the reader moves all its streams.
    fn seek(&self, flags: gst::SeekFlags) -> bool {
        let Some(sink) = self.sinks.iter().find(|sink| sink.parent().is_some()) else {
            return false;
        };
        sink.seek(
            1.0,
            flags | gst::SeekFlags::SEGMENT | gst::SeekFlags::ACCURATE,
            gst::SeekType::Set,
            gst::ClockTime::ZERO,
            gst::SeekType::None,
            gst::ClockTime::NONE,
        )
        .is_ok()
    }
}

fn play(pipeline: &gst::Pipeline) {
    // A failure comes through the bus, with its reason.
    let _ = pipeline.set_state(gst::State::Playing);
}
