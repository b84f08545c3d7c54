// SPDX-License-Identifier: MIT OR Apache-2.0

//! A decoder of its own for each track.
//!
//! The frames were authenticated, which says who made them and not that they are harmless. What
//! makes a decoder give up takes down this pipeline only; it is built again from scratch.

use std::sync::Arc;

use gst::prelude::*;
use roomseal_e2ee::Codec;

use super::config::PresentError;
use super::feed::Feed;
use super::frame::opus;
use super::mix;
use super::pipeline::{Running, chain, forward_key_frame_requests, make, sink, source};

/// A decoder at work.
#[derive(Debug)]
pub(super) struct Decoder {
    _pipeline: Running,
}

/// H.264 decoders from best to worst; the first needs a board that has one.
const H264_DECODERS: [&str; 3] = ["v4l2h264dec", "avdec_h264", "openh264dec"];

/// Frames that wait for a decoder; the feed stops giving before this is reached.
const MOST_WAITING: u64 = 30;

/// A gap of sound longer than this was silence or an interruption, and is not made up for.
const LONGEST_CONCEALED: gst::ClockTime = gst::ClockTime::from_mseconds(200);
/// Time stamps wobble by less than this.
const WOBBLE: gst::ClockTime = gst::ClockTime::from_mseconds(4);

impl Decoder {
    /// Starts a decoder between the two ends of `feed`. `attempt` counts the decoders that gave
    /// up before, so that another kind is tried where there is one.
    pub(super) fn start(
        feed: &Arc<Feed>,
        codec: Codec,
        attempt: u64,
        failed: impl Fn(String) + Send + Sync + 'static,
    ) -> Result<Self, PresentError> {
        let what = "decoder";
        let pipeline = gst::Pipeline::new();
        let input = source(MOST_WAITING);
        let output = {
            let feed = Arc::clone(feed);
            let caps = match codec {
                Codec::Opus => mix::caps(),
                Codec::H264 | Codec::Vp8 => gst::Caps::new_empty_simple("video/x-raw"),
            };
            sink(Some(&caps), move |sample| feed.decoded(&sample))
        };
        input.set_caps(Some(&opened_caps(codec)));
        let (first, last) = (input.upcast_ref(), output.upcast_ref());
        match codec {
            Codec::Opus => {
                let decoder = make(what, "opusdec")?;
                decoder.set_property("plc", true);
                decoder.set_property("use-inband-fec", true);
                let convert = make(what, "audioconvert")?;
                let resample = make(what, "audioresample")?;
                chain(
                    what,
                    &pipeline,
                    &[first, &decoder, &convert, &resample, last],
                )?;
                mark_gaps(&input);
            }
            Codec::Vp8 => {
                let decoder = video_decoder("vp8dec")?;
                chain(what, &pipeline, &[first, &decoder, last])?;
            }
            Codec::H264 => {
                let there: Vec<&str> = H264_DECODERS
                    .into_iter()
                    .filter(|name| gst::ElementFactory::find(name).is_some())
                    .collect();
                let choice = usize::try_from(attempt).unwrap_or(0) % there.len().max(1);
                // With none there, the error names the package of the usual one.
                let name = there.get(choice).copied().unwrap_or("avdec_h264");
                let parser = make(what, "h264parse")?;
                let decoder = video_decoder(name)?;
                chain(what, &pipeline, &[first, &parser, &decoder, last])?;
            }
        }
        forward_key_frame_requests(&input, feed);
        let running = Running::start(pipeline, what, failed)?;
        feed.set_decoder(Some(input));
        Ok(Self { _pipeline: running })
    }
}

/// Caps of the opened frames of a codec.
pub(super) fn opened_caps(codec: Codec) -> gst::Caps {
    match codec {
        Codec::Opus => gst::Caps::builder("audio/x-opus")
            .field("channel-mapping-family", 0)
            .field("rate", 48_000)
            .field("channels", 2)
            .build(),
        Codec::Vp8 => gst::Caps::new_empty_simple("video/x-vp8"),
        Codec::H264 => gst::Caps::builder("video/x-h264")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .build(),
    }
}

fn video_decoder(name: &str) -> Result<gst::Element, PresentError> {
    let decoder = make("decoder", name)?;
    for (property, value) in [
        // A smeared picture is worse than the last good one.
        ("discard-corrupted-frames", true),
        ("automatic-request-sync-points", true),
        // Nothing here is ever too late: what is shown is decided downstream.
        ("qos", false),
    ] {
        if decoder.find_property(property).is_some() {
            decoder.set_property(property, value);
        }
    }
    Ok(decoder)
}

/// Tells the Opus decoder of missing packets, so that it bridges them (and uses the copy that the
/// next packet carries). Frames that did not open leave the same gap as lost ones.
fn mark_gaps(input: &gst_app::AppSrc) {
    let pad = input.static_pad("src").expect("appsrc has a source pad");
    let expected = std::sync::Mutex::new(None::<gst::ClockTime>);
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(buffer) = info.buffer() else {
            return gst::PadProbeReturn::Ok;
        };
        let Some(pts) = buffer.pts() else {
            return gst::PadProbeReturn::Ok;
        };
        let sounds = buffer
            .map_readable()
            .ok()
            .and_then(|map| opus::duration(&map))
            .and_then(|duration| gst::ClockTime::try_from(duration).ok());
        let missing = {
            let mut expected = super::feed::lock(&expected);
            let before = expected.take();
            *expected = sounds.map(|duration| pts + duration);
            before.and_then(|end| pts.checked_sub(end).map(|gap| (end, gap)))
        };
        if let Some((end, gap)) = missing
            && gap > WOBBLE
            && gap <= LONGEST_CONCEALED
        {
            pad.push_event(gst::event::Gap::builder(end).duration(gap).build());
        }
        gst::PadProbeReturn::Ok
    });
}
