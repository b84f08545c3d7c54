// SPDX-License-Identifier: MIT OR Apache-2.0

//! The proof that an encoder encodes: a few frames of a moving picture, under a time-out.
//!
//! That an element exists says little: the device can be busy, out of contiguous memory, or refuse
//! the size.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use gst::prelude::*;

use super::{Model, cache::Proof, chain, raw_caps};
use crate::budget::EncodeBudget;

const FRAMES: i32 = 5;
const TIME_OUT: Duration = Duration::from_secs(5);

/// Encodes a few frames as large as the budget allows. Blocks for at most [`TIME_OUT`].
pub(super) fn prove(model: &'static dyn Model, budget: EncodeBudget) -> Proof {
    let (send, receive) = mpsc::channel();
    // A thread of its own: a driver that hangs in a system call keeps this thread, not ours.
    let spawned = thread::Builder::new()
        .name(format!("prove-{}", model.name()))
        .spawn(move || {
            // Nobody listens any more after the time-out, which is all that a failed send means.
            let _ = send.send(encode(model, &budget));
        });
    if let Err(error) = spawned {
        return Proof::Fails {
            reason: format!("no thread to try it on: {error}"),
        };
    }
    match receive.recv_timeout(TIME_OUT + Duration::from_secs(1)) {
        Ok(Ok(first_frame)) => Proof::Works {
            first_frame_ms: u64::try_from(first_frame.as_millis()).unwrap_or(u64::MAX),
        },
        Ok(Err(reason)) => Proof::Fails { reason },
        Err(RecvTimeoutError::Timeout) => Proof::Fails {
            reason: format!(
                "hangs: no answer from the driver in {} s",
                TIME_OUT.as_secs() + 1
            ),
        },
        Err(RecvTimeoutError::Disconnected) => Proof::Fails {
            reason: "broke while it was tried".to_owned(),
        },
    }
}

/// The time to the first frame, or why there was none.
fn encode(model: &dyn Model, budget: &EncodeBudget) -> Result<Duration, String> {
    let pipeline = gst::Pipeline::new();
    let outcome = run(&pipeline, model, budget);
    // Only a refusal to stop could fail here, and nothing is left to be done about it.
    let _ = pipeline.set_state(gst::State::Null);
    outcome
}

fn run(
    pipeline: &gst::Pipeline,
    model: &dyn Model,
    budget: &EncodeBudget,
) -> Result<Duration, String> {
    let words = |error: gst::glib::BoolError| error.message.to_string();
    let source = gst::ElementFactory::make("videotestsrc")
        .property("num-buffers", FRAMES)
        .property_from_str("pattern", "ball")
        .build()
        .map_err(words)?;
    let filter = gst::ElementFactory::make("capsfilter")
        .property("caps", raw_caps(model, budget))
        .build()
        .map_err(words)?;
    let chain = chain(model, budget).map_err(words)?;
    let sink = gst::ElementFactory::make("fakesink")
        .property("sync", false)
        .build()
        .map_err(words)?;

    let mut elements = vec![source, filter];
    elements.extend(chain.elements);
    elements.push(sink.clone());
    pipeline.add_many(&elements).map_err(words)?;
    gst::Element::link_many(&elements).map_err(words)?;

    let begun = Instant::now();
    let seen = Arc::new(Mutex::new((0_i32, None)));
    let counter = Arc::clone(&seen);
    let pad = sink.static_pad("sink").ok_or("the sink has no pad")?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        let mut seen = counter.lock().unwrap_or_else(PoisonError::into_inner);
        seen.0 += 1;
        seen.1.get_or_insert_with(|| begun.elapsed());
        gst::PadProbeReturn::Ok
    });

    let bus = pipeline.bus().ok_or("the pipeline has no bus")?;
    let started = pipeline.set_state(gst::State::Playing);
    let time_out = gst::ClockTime::try_from(TIME_OUT).map_err(|error| error.to_string())?;
    let message =
        bus.timed_pop_filtered(time_out, &[gst::MessageType::Eos, gst::MessageType::Error]);
    let (frames, first) = *seen.lock().unwrap_or_else(PoisonError::into_inner);
    match message.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Eos(_)) if frames >= FRAMES => {
            first.ok_or_else(|| "gave no frame".to_owned())
        }
        Some(gst::MessageView::Eos(_)) => Err(format!("gave {frames} frames for {FRAMES}")),
        Some(gst::MessageView::Error(error)) => Err(error.error().message().to_owned()),
        _ if started.is_err() => Err("does not start".to_owned()),
        _ => Err(format!(
            "gave {frames} of {FRAMES} frames in {} s",
            TIME_OUT.as_secs()
        )),
    }
}
