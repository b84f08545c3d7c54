// SPDX-License-Identifier: MIT OR Apache-2.0

//! Some seconds of an encoder at work, and a file of them.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use gst::prelude::*;
use roomseal_e2ee::Codec;

use super::{SelftestError, millis};
use crate::{
    budget::EncodeBudget,
    encoder::{Model, chain, force_key_frame, raw_caps},
};

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) at: Instant,
    pub(super) key: bool,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Recording {
    pub(super) begun: Instant,
    pub(super) key_frame_asked: Instant,
    pub(super) stepped: Instant,
    pub(super) ended: Instant,
    pub(super) frames: Vec<Frame>,
}

/// The bitrate after the step: low enough to show, high enough for every encoder to follow.
pub(super) fn stepped(bps: u32) -> u32 {
    bps / 2
}

pub(super) fn record(
    model: &dyn Model,
    budget: &EncodeBudget,
    length: Duration,
) -> Result<Recording, String> {
    let pipeline = gst::Pipeline::new();
    let (send, receive) = mpsc::channel();
    let outcome = play(&pipeline, model, budget, length, send, &receive);
    // Only a refusal to stop could fail here, and nothing is left to be done about it.
    let _ = pipeline.set_state(gst::State::Null);
    outcome
}

fn play(
    pipeline: &gst::Pipeline,
    model: &dyn Model,
    budget: &EncodeBudget,
    length: Duration,
    send: Sender<Frame>,
    receive: &Receiver<Frame>,
) -> Result<Recording, String> {
    let words = |error: gst::glib::BoolError| error.message.to_string();
    let source = gst::ElementFactory::make("videotestsrc")
        .property("is-live", true)
        // Fine rings that move: enough detail for the bitrate, not the quantiser, to be the limit.
        .property_from_str("pattern", "zone-plate")
        .property("kx2", 20_i32)
        .property("ky2", 20_i32)
        .property("kt", 3_i32)
        .build()
        .map_err(words)?;
    let filter = gst::ElementFactory::make("capsfilter")
        .property("caps", raw_caps(model, budget))
        .build()
        .map_err(words)?;
    let queue = gst::ElementFactory::make("queue")
        .property("max-size-buffers", 2_u32)
        .property_from_str("leaky", "downstream")
        .build()
        .map_err(words)?;
    let chain = chain(model, budget).map_err(words)?;
    let sink = gst_app::AppSink::builder().sync(false).build();
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
                let bytes = buffer
                    .map_readable()
                    .map_err(|_| gst::FlowError::Error)?
                    .to_vec();
                let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
                // Once the recording is over nobody listens, and the frame is not needed.
                let _ = send.send(Frame {
                    at: Instant::now(),
                    key,
                    bytes,
                });
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );

    let mut elements = vec![source, filter, queue];
    elements.extend(chain.elements);
    elements.push(sink.upcast());
    pipeline.add_many(&elements).map_err(words)?;
    gst::Element::link_many(&elements).map_err(words)?;
    let bus = pipeline.bus().ok_or("the pipeline has no bus")?;

    let begun = Instant::now();
    let started = pipeline.set_state(gst::State::Playing);
    let mut frames = Vec::new();
    let mut collect = |until: Instant| -> Result<(), String> {
        loop {
            if let Some(message) = bus.pop_filtered(&[gst::MessageType::Error])
                && let gst::MessageView::Error(error) = message.view()
            {
                return Err(error.error().message().to_owned());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            match receive.recv_timeout(left.min(Duration::from_millis(100))) {
                Ok(frame) => frames.push(frame),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err("stopped by itself".to_owned()),
            }
        }
    };
    collect(begun + length * 4 / 10)?;
    let key_frame_asked = Instant::now();
    force_key_frame(&chain.encoder);
    collect(begun + length * 5 / 10)?;
    let step = Instant::now();
    model.set_bitrate(&chain.encoder, stepped(budget.bitrate));
    collect(begun + length)?;
    if frames.is_empty() {
        return Err(match started {
            Ok(_) => format!("gave no frame in {} s", length.as_secs()),
            Err(_) => "does not start".to_owned(),
        });
    }
    Ok(Recording {
        begun,
        key_frame_asked,
        stepped: step,
        ended: Instant::now(),
        frames,
    })
}

/// Writes the stream so that a player can show it: Annex B as it is, VP8 in IVF.
pub(super) fn keep(
    folder: &Path,
    model: &dyn Model,
    budget: &EncodeBudget,
    recording: &Recording,
) -> Result<(), SelftestError> {
    let extension = if model.codec() == Codec::H264 {
        "h264"
    } else {
        "ivf"
    };
    let path = folder.join(model.name()).with_extension(extension);
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::File::create(&path))
        .and_then(|file| {
            let mut file = io::BufWriter::new(file);
            if model.codec() == Codec::Vp8 {
                file.write_all(&ivf_header(budget))?;
            }
            for frame in &recording.frames {
                if model.codec() == Codec::Vp8 {
                    let length = u32::try_from(frame.bytes.len()).map_err(io::Error::other)?;
                    file.write_all(&length.to_le_bytes())?;
                    file.write_all(&millis(frame.at - recording.begun).to_le_bytes())?;
                }
                file.write_all(&frame.bytes)?;
            }
            file.flush()
        });
    written.map_err(|source| SelftestError::Recording { path, source })
}

/// The file header of IVF: time stamps in milliseconds, number of frames unknown.
fn ivf_header(budget: &EncodeBudget) -> [u8; 32] {
    let mut header = *b"DKIF\0\0\x20\0VP80\0\0\0\0\xE8\x03\0\0\x01\0\0\0\0\0\0\0\0\0\0\0";
    let size = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX).to_le_bytes();
    header[12..14].copy_from_slice(&size(budget.width));
    header[14..16].copy_from_slice(&size(budget.height));
    header
}
