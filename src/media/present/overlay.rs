// SPDX-License-Identifier: MIT OR Apache-2.0

//! Drawings over the composed picture: what the box says about the meeting, in words and shapes.
//!
//! A drawing is SVG, painted by `rsvgdec` on a thread of its own when it changes, and laid over every picture from then
//! on. What nobody renews is not shown: a box that hangs must not go on saying that all is well.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use gst::prelude::*;
use zeroize::Zeroizing;

use super::config::PresentError;
use super::feed::lock;
use super::pipeline::{build_error, make};

/// A drawing that was not renewed for this long is not shown (PROTOCOL §8).
const STALE: Duration = Duration::from_millis(1500);

/// A drawing takes some tens of milliseconds; longer than this it never will be.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(5);

/// Everything that is drawn over the picture, the later over the earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// The drawings. Small ones, where they will do: each is laid over every picture.
    pub patches: Vec<Patch>,
}

/// One drawing.
#[derive(Clone, PartialEq, Eq)]
pub struct Patch {
    /// Pixels from the left edge of the composed picture.
    pub x: u32,
    /// Pixels from its top edge.
    pub y: u32,
    /// An SVG document; its own `width` and `height` are its size in pixels. Wiped when dropped, since a drawing may show
    /// an invitation.
    pub svg: Zeroizing<String>,
}

impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patch")
            .field("x", &self.x)
            .field("y", &self.y)
            .finish_non_exhaustive()
    }
}

/// Where drawings are left and taken. Outlives every display.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    wanted: Overlay,
    /// The drawing of `wanted` is still to be made.
    unpainted: bool,
    renewed: Option<Instant>,
    painted: Option<gst_video::VideoOverlayComposition>,
    stopped: bool,
}

impl Canvas {
    /// Shows `overlay` from now on, for as long as this is called again and again.
    pub(super) fn show(&self, overlay: Overlay) {
        let mut state = lock(&self.state);
        state.renewed = Some(Instant::now());
        if state.wanted != overlay {
            state.wanted = overlay;
            state.unpainted = true;
            self.changed.notify_one();
        }
    }

    fn stop(&self) {
        lock(&self.state).stopped = true;
        self.changed.notify_one();
    }

    /// What to lay over a picture now.
    fn composition(&self) -> Option<gst_video::VideoOverlayComposition> {
        let state = lock(&self.state);
        let renewed = state.renewed?;
        (renewed.elapsed() < STALE)
            .then(|| state.painted.clone())
            .flatten()
    }

    /// Paints until stopped.
    fn paint(&self) {
        loop {
            let wanted = {
                let mut state = lock(&self.state);
                while !state.unpainted && !state.stopped {
                    state = self
                        .changed
                        .wait(state)
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                }
                if state.stopped {
                    return;
                }
                state.unpainted = false;
                state.wanted.clone()
            };
            let painted = compose(&wanted);
            if let Err(error) = &painted {
                tracing::error!(%error, "the screen says nothing about the meeting");
            }
            lock(&self.state).painted = painted.ok().flatten();
        }
    }
}

/// The thread that paints. Stops when dropped.
#[derive(Debug)]
pub(super) struct Painter {
    canvas: Arc<Canvas>,
    thread: Option<JoinHandle<()>>,
}

impl Painter {
    pub(super) fn start(canvas: Arc<Canvas>) -> std::io::Result<Self> {
        let painting = Arc::clone(&canvas);
        let thread = std::thread::Builder::new()
            .name("painter".to_owned())
            .spawn(move || painting.paint())?;
        Ok(Self {
            canvas,
            thread: Some(thread),
        })
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        self.canvas.stop();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by its own thread.
            let _ = thread.join();
        }
    }
}

/// The element that lays the drawings of `canvas` over what passes.
pub(super) fn element(canvas: &Arc<Canvas>) -> Result<gst::Element, PresentError> {
    let element = make("display", "overlaycomposition")?;
    let canvas = Arc::clone(canvas);
    element.connect("draw", false, move |_| {
        Some(canvas.composition().to_value())
    });
    Ok(element)
}

fn compose(overlay: &Overlay) -> Result<Option<gst_video::VideoOverlayComposition>, PresentError> {
    let rectangles = overlay
        .patches
        .iter()
        .map(rectangle)
        .collect::<Result<Vec<_>, _>>()?;
    if rectangles.is_empty() {
        return Ok(None);
    }
    gst_video::VideoOverlayComposition::new(&rectangles)
        .map(Some)
        .map_err(|error| build_error("drawing", &error))
}

fn rectangle(patch: &Patch) -> Result<gst_video::VideoOverlayRectangle, PresentError> {
    let failed = |reason: &dyn fmt::Display| build_error("drawing", reason);
    let sample = rasterise(&patch.svg)?;
    let info = sample
        .caps()
        .and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok())
        .ok_or_else(|| failed(&"it has no size"))?;
    let mut buffer = sample
        .buffer_owned()
        .ok_or_else(|| failed(&"it is empty"))?;
    if buffer.meta::<gst_video::VideoMeta>().is_none() {
        gst_video::VideoMeta::add(
            buffer.make_mut(),
            gst_video::VideoFrameFlags::empty(),
            info.format(),
            info.width(),
            info.height(),
        )
        .map_err(|error| failed(&error))?;
    }
    let place = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    Ok(gst_video::VideoOverlayRectangle::new_raw(
        &buffer,
        place(patch.x),
        place(patch.y),
        info.width(),
        info.height(),
        // As cairo, which draws it, leaves it.
        gst_video::VideoOverlayFormatFlags::PREMULTIPLIED_ALPHA,
    ))
}

/// Pixels of an SVG document.
fn rasterise(svg: &str) -> Result<gst::Sample, PresentError> {
    let what = "drawing";
    let source = gst_app::AppSrc::builder()
        .caps(&gst::Caps::new_empty_simple("image/svg+xml"))
        .build();
    let decoder = make(what, "rsvgdec")?;
    let sink = gst_app::AppSink::builder()
        .sync(false)
        .enable_last_sample(false)
        .build();
    let pipeline = gst::Pipeline::new();
    let elements: [&gst::Element; 3] = [source.upcast_ref(), &decoder, sink.upcast_ref()];
    super::pipeline::chain(what, &pipeline, &elements)?;
    let sample = pipeline
        .set_state(gst::State::Playing)
        .map_err(|error| build_error(what, &error))
        .and_then(|_| {
            // Refusals show below: then there is no picture.
            let _ = source.push_buffer(gst::Buffer::from_slice(svg.as_bytes().to_vec()));
            let _ = source.end_of_stream();
            sink.try_pull_sample(PATIENCE)
                .ok_or_else(|| build_error(what, &"rsvgdec makes no picture of it"))
        });
    // It fails only for elements that are gone.
    let _ = pipeline.set_state(gst::State::Null);
    sample
}
