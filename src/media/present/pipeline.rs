// SPDX-License-Identifier: MIT OR Apache-2.0

//! What all pipelines of the presentation have in common.

use std::sync::{Arc, Mutex};

use gst::prelude::*;

use super::config::PresentError;
use super::feed::{Feed, lock};
use crate::{clock, graph};

/// A running pipeline that is taken down when dropped. Its errors go to one function and nowhere
/// else, so that what one member sends ends at that member's pipeline.
#[derive(Debug)]
pub(super) struct Running(gst::Pipeline);

impl Running {
    /// Starts `pipeline` on the shared clock. `failed` is called on streaming threads.
    pub(super) fn start(
        pipeline: gst::Pipeline,
        what: &str,
        failed: impl Fn(String) + Send + Sync + 'static,
    ) -> Result<Self, PresentError> {
        Self::start_at(gst::ClockTime::ZERO, pipeline, what, failed)
    }

    /// The same; `said` hears what its elements post, on streaming threads too.
    pub(super) fn start_listening(
        pipeline: gst::Pipeline,
        what: &str,
        failed: impl Fn(String) + Send + Sync + 'static,
        said: impl Fn(&gst::StructureRef) + Send + Sync + 'static,
    ) -> Result<Self, PresentError> {
        Self::run(gst::ClockTime::ZERO, pipeline, what, failed, said)
    }

    /// The same, for a pipeline whose time begins at `begin` on the shared clock. One that mixes
    /// produces everything from the beginning of its time, be that hours ago.
    pub(super) fn start_at(
        begin: gst::ClockTime,
        pipeline: gst::Pipeline,
        what: &str,
        failed: impl Fn(String) + Send + Sync + 'static,
    ) -> Result<Self, PresentError> {
        Self::run(begin, pipeline, what, failed, |_| {})
    }

    fn run(
        begin: gst::ClockTime,
        pipeline: gst::Pipeline,
        what: &str,
        failed: impl Fn(String) + Send + Sync + 'static,
        said: impl Fn(&gst::StructureRef) + Send + Sync + 'static,
    ) -> Result<Self, PresentError> {
        clock::join(&pipeline);
        let shared = pipeline.base_time().unwrap_or_default();
        pipeline.set_base_time(shared + begin);
        graph::draw_when_it_flows(&pipeline);
        let running = Self(pipeline);
        let bus = running.0.bus().expect("every pipeline has a bus");
        let first_error = Arc::new(Mutex::new(None::<String>));
        let (noted, weak) = (Arc::clone(&first_error), running.0.downgrade());
        // Nobody polls this bus: whatever is not dropped here would pile up.
        bus.set_sync_handler(move |_, message| {
            match message.view() {
                gst::MessageView::Error(error) => {
                    let source = error
                        .src()
                        .map(|source| source.name().to_string())
                        .unwrap_or_default();
                    let reason = format!("{source}: {}", error.error());
                    lock(&noted).get_or_insert_with(|| reason.clone());
                    failed(reason);
                }
                // Not from the streaming thread, which may hold what this needs.
                gst::MessageView::Latency(_) => {
                    if let Some(pipeline) = weak.upgrade() {
                        pipeline.call_async(|pipeline| {
                            let _ = pipeline.recalculate_latency();
                        });
                    }
                }
                gst::MessageView::Element(element) => {
                    if let Some(structure) = element.structure() {
                        said(structure);
                    }
                }
                _ => {}
            }
            gst::BusSyncReply::Drop
        });
        match running.0.set_state(gst::State::Playing) {
            Ok(_) => Ok(running),
            Err(error) => {
                // What an element said is more use than that it said no.
                let said = lock(&first_error).take();
                Err(build_error(
                    what,
                    &said.unwrap_or_else(|| error.to_string()),
                ))
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Going to NULL joins the streaming threads. It fails only for elements that are gone.
        let _ = self.0.set_state(gst::State::Null);
        if let Some(bus) = self.0.bus() {
            bus.unset_sync_handler();
        }
    }
}

/// Makes one element; a missing one is named together with its package.
pub(super) fn make(what: &str, factory: &str) -> Result<gst::Element, PresentError> {
    crate::plugins::require(&[factory]).map_err(|error| build_error(what, &error))?;
    gst::ElementFactory::make(factory)
        .build()
        .map_err(|error| build_error(what, &error))
}

pub(super) fn build_error(what: &str, reason: &dyn std::fmt::Display) -> PresentError {
    PresentError::Build {
        what: what.to_owned(),
        reason: reason.to_string(),
    }
}

/// Puts elements into `pipeline` and links them in a row.
pub(super) fn chain(
    what: &str,
    pipeline: &gst::Pipeline,
    elements: &[&gst::Element],
) -> Result<(), PresentError> {
    pipeline
        .add_many(elements)
        .and_then(|()| gst::Element::link_many(elements))
        .map_err(|error| build_error(what, &error))
}

/// A source into which other threads push; it never lets them wait, and drops the oldest when
/// `most` buffers are queued.
pub(super) fn source(most: u64) -> gst_app::AppSrc {
    gst_app::AppSrc::builder()
        .is_live(true)
        .format(gst::Format::Time)
        .block(false)
        .max_buffers(most)
        .max_bytes(0)
        .leaky_type(gst_app::AppLeakyType::Downstream)
        .build()
}

/// Makes a source of shared time fit a pipeline whose time begins at `begin`.
pub(super) fn count_from(source: &gst_app::AppSrc, begin: gst::ClockTime) {
    let pad = source.static_pad("src").expect("appsrc has a source pad");
    pad.set_offset(-i64::try_from(begin.nseconds()).unwrap_or(i64::MAX));
}

/// Passes the requests for a key frame on that come up a pipeline to its source.
pub(super) fn forward_key_frame_requests(source: &gst_app::AppSrc, feed: &Arc<Feed>) {
    let pad = source.static_pad("src").expect("appsrc has a source pad");
    // The feed holds the source, so that the source must not hold the feed.
    let feed = Arc::downgrade(feed);
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        if let Some(event) = info.event()
            && gst_video::UpstreamForceKeyUnitEvent::parse(event).is_ok()
            && let Some(feed) = feed.upgrade()
        {
            feed.want_key_frame();
        }
        gst::PadProbeReturn::Ok
    });
}

/// A sink that hands every buffer on at once.
pub(super) fn sink(
    caps: Option<&gst::Caps>,
    take: impl Fn(gst::Sample) + Send + Sync + 'static,
) -> gst_app::AppSink {
    let sink = gst_app::AppSink::builder()
        .sync(false)
        .async_(false)
        .enable_last_sample(false)
        .max_buffers(1)
        .build();
    sink.set_caps(caps);
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                take(sample);
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    sink
}
