// SPDX-License-Identifier: MIT OR Apache-2.0

//! The elements under GStreamer's own test harness.

#![allow(
    clippy::unwrap_used,
    reason = "a panic is how a test reports that something is not as it should be"
)]

mod decrypt;
mod encrypt;
mod network;
mod payloader;
mod secrecy;

use gst::prelude::*;
use gst_check::Harness;
use roomseal_e2ee::{FrameKey, KeyIndex, RawKey};

use super::{FrameDecrypt, FrameEncrypt, SealMode};

const VP8: &str = "video/x-vp8, width=(int)320, height=(int)240, framerate=(fraction)30/1";
const OPUS: &str = "audio/x-opus, channel-mapping-family=(int)0, channels=(int)1, rate=(int)48000";
const H264: &str = "video/x-h264, stream-format=(string)byte-stream, alignment=(string)au, \
                    width=(int)320, height=(int)240, framerate=(fraction)30/1";

/// Starts GStreamer; every test begins with it.
fn init() {
    crate::plugins::gst_init().unwrap();
}

/// Bytes that look random and are the same in every run.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

fn key(number: u8) -> FrameKey {
    FrameKey::from_raw_key(&RawKey::new(vec![number; 32]))
}

fn index(number: u8) -> KeyIndex {
    KeyIndex::try_from(number).unwrap()
}

fn time(number: u64) -> gst::ClockTime {
    number * 33 * gst::ClockTime::MSECOND
}

/// A VP8 frame of the given kind as far as anything before the decoder reads it.
fn vp8_bytes(number: u64, delta: bool) -> Vec<u8> {
    let mut bytes = vec![0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xF0, 0x00];
    bytes[0] |= u8::from(delta);
    bytes.extend(noise(200, number + 1));
    // Nothing here looks sealed by chance.
    bytes.push(0);
    bytes
}

fn buffer(bytes: Vec<u8>, number: u64, delta: bool) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    let writable = buffer.get_mut().unwrap();
    writable.set_pts(time(number));
    writable.set_dts(time(number));
    writable.set_duration(time(1));
    if delta {
        writable.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    buffer
}

fn vp8(number: u64, delta: bool) -> gst::Buffer {
    buffer(vp8_bytes(number, delta), number, delta)
}

fn bytes(buffer: &gst::Buffer) -> Vec<u8> {
    buffer.map_readable().unwrap().to_vec()
}

/// A harness around a new `frameencrypt`, and its bus.
fn encryptor(caps: &str) -> (FrameEncrypt, Harness, gst::Bus) {
    init();
    let element = FrameEncrypt::new();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
    harness.set_src_caps_str(caps);
    (element, harness, bus)
}

/// The same, sealing with key 1 at index 0.
fn sealing(caps: &str) -> (FrameEncrypt, Harness, gst::Bus) {
    let (element, harness, bus) = encryptor(caps);
    element.set_send_key(index(0), key(1));
    element.set_mode(SealMode::Seal);
    (element, harness, bus)
}

/// A harness around a new `framedecrypt`, and its bus.
fn decryptor(caps: &str) -> (FrameDecrypt, Harness, gst::Bus) {
    init();
    let element = FrameDecrypt::new();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
    harness.set_src_caps_str(caps);
    (element, harness, bus)
}

/// The values of one field in the element messages posted so far.
fn posted(bus: &gst::Bus, field: &str) -> Vec<String> {
    std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Element]))
        .map(|message| {
            message
                .structure()
                .unwrap()
                .get::<String>(field)
                .unwrap()
                .to_string()
        })
        .collect()
}

/// Requests for a key frame that reached the upstream side so far.
fn key_units_asked(harness: &mut Harness) -> usize {
    std::iter::from_fn(|| harness.try_pull_upstream_event())
        .filter(|event| {
            event
                .structure()
                .is_some_and(|s| s.name() == "GstForceKeyUnit")
        })
        .count()
}

/// Waits for the next request for a key frame.
fn await_key_unit(harness: &mut Harness) {
    while harness
        .pull_upstream_event()
        .unwrap()
        .structure()
        .is_none_or(|s| s.name() != "GstForceKeyUnit")
    {}
}

/// The events that reached the downstream side so far.
fn events(harness: &mut Harness) -> Vec<gst::EventType> {
    std::iter::from_fn(|| harness.try_pull_event())
        .map(|event| event.type_())
        .collect()
}

/// Access units of x264 as they come to `frameencrypt`, with their DELTA_UNIT flags.
fn h264_frames(count: u32) -> Vec<gst::Buffer> {
    init();
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc num-buffers={count} pattern=ball ! \
         video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! \
         x264enc tune=zerolatency speed-preset=ultrafast bitrate=600 key-int-max=10 ! \
         video/x-h264,profile=constrained-baseline ! h264parse config-interval=-1 ! \
         video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=sink sync=false"
    ))
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    let sink = pipeline
        .by_name("sink")
        .unwrap()
        .downcast::<gst_app::AppSink>()
        .unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let frames = std::iter::from_fn(|| sink.pull_sample().ok())
        .map(|sample| sample.buffer_owned().unwrap())
        .collect();
    pipeline.set_state(gst::State::Null).unwrap();
    frames
}
