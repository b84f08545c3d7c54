// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sealed frames through the payloaders and depayloaders that a meeting uses.

use std::sync::{Arc, Mutex};

use gst::prelude::*;

use super::encrypt::annex_b;
use super::{index, init, key};
use crate::elements::{FrameDecrypt, FrameEncrypt, SealMode};

const FRAMES: u64 = 60;

/// The buffers that passed a pad.
type Seen = Arc<Mutex<Vec<Vec<u8>>>>;

fn watch(element: &impl IsA<gst::Element>, pad: &str) -> Seen {
    let seen = Seen::default();
    let pad = element.as_ref().static_pad(pad).unwrap();
    let notes = seen.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let map = info.buffer().unwrap().map_readable().unwrap();
        notes.lock().unwrap().push(map.to_vec());
        gst::PadProbeReturn::Ok
    });
    seen
}

/// What was seen around the elements, and how many pictures or sounds the decoder made.
struct Crossing {
    plain: Vec<Vec<u8>>,
    sealed: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
    opened: Vec<Vec<u8>>,
    decoded: usize,
}

/// Runs a pipeline with `frameencrypt name=e`, `framedecrypt name=d` and a sink named `out` to its end,
/// sealing with the given key index.
fn cross(launch: &str, slot: u8) -> Crossing {
    init();
    let pipeline = gst::parse::launch(launch)
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
    let encrypt = pipeline.by_name("e").unwrap();
    let encrypt = encrypt.downcast::<FrameEncrypt>().unwrap();
    let decrypt = pipeline.by_name("d").unwrap();
    let decrypt = decrypt.downcast::<FrameDecrypt>().unwrap();
    encrypt.set_send_key(index(slot), key(1));
    encrypt.set_mode(SealMode::Seal);
    decrypt.set_key(index(slot), key(1));
    let plain = watch(&encrypt, "sink");
    let sealed = watch(&encrypt, "src");
    let received = watch(&decrypt, "sink");
    let opened = watch(&decrypt, "src");
    let decoded = watch(&pipeline.by_name("out").unwrap(), "sink");

    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let end = bus.timed_pop_filtered(
        gst::ClockTime::from_seconds(60),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    let end = end.expect("the pipeline comes to its end");
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
    pipeline.set_state(gst::State::Null).unwrap();

    assert_eq!(encrypt.counters().dropped, 0);
    assert_eq!(decrypt.counters().frames.refused(), 0);
    assert_eq!(decrypt.counters().withheld, 0);
    let take = |seen: Seen| std::mem::take(&mut *seen.lock().unwrap());
    Crossing {
        plain: take(plain),
        sealed: take(sealed),
        received: take(received),
        opened: take(opened),
        decoded: take(decoded).len(),
    }
}

#[test]
fn every_vp8_frame_crosses_the_opaque_payloader_unchanged() {
    let seen = cross(
        &format!(
            "videotestsrc num-buffers={FRAMES} pattern=snow ! \
             video/x-raw,width=320,height=240,framerate=30/1 ! \
             vp8enc deadline=1 cpu-used=16 keyframe-max-dist=20 target-bitrate=2000000 token-partitions=3 ! \
             frameencrypt name=e ! rtpvp8opaquepay mtu=1200 ! rtpvp8depay ! \
             framedecrypt name=d ! vp8dec ! fakesink name=out"
        ),
        0,
    );
    assert_eq!(seen.plain.len() as u64, FRAMES);
    assert_eq!(seen.received, seen.sealed);
    assert_eq!(seen.opened, seen.plain);
    assert_eq!(seen.decoded as u64, FRAMES);
}

#[test]
fn every_h264_frame_crosses_the_stock_payloader_unchanged() {
    // Index 0 is a frame that ends in a zero byte, which Annex B does not survive.
    for slot in [0, 1] {
        let seen = cross(
            &format!(
                "videotestsrc num-buffers={FRAMES} pattern=smpte ! \
                 video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! \
                 x264enc tune=zerolatency speed-preset=ultrafast bitrate=800 key-int-max=20 ! \
                 video/x-h264,profile=constrained-baseline ! h264parse config-interval=-1 ! \
                 video/x-h264,stream-format=byte-stream,alignment=au ! frameencrypt name=e ! \
                 rtph264pay config-interval=0 aggregate-mode=zero-latency mtu=1200 pt=96 ! \
                 capssetter replace=true join=false caps=\"application/x-rtp,media=(string)video,\
                 encoding-name=(string)H264,clock-rate=(int)90000,payload=(int)96\" ! \
                 rtph264depay ! video/x-h264,stream-format=byte-stream,alignment=au ! \
                 framedecrypt name=d ! h264parse ! avdec_h264 ! fakesink name=out"
            ),
            slot,
        );
        assert_eq!(seen.sealed.len() as u64, FRAMES);
        let sealed: Vec<_> = seen.sealed.iter().map(|frame| annex_b(frame)).collect();
        assert!(sealed.iter().all(|frame| frame.ends_with(&[12, slot])));
        assert!(seen.received == sealed, "all bytes arrive");
        assert_eq!(seen.opened.len() as u64, FRAMES);
        assert_eq!(seen.decoded as u64, FRAMES);
        // The picture itself is not touched: each slice is found again.
        for (plain, opened) in seen.plain.iter().zip(&seen.opened) {
            let slice = opened
                .windows(4)
                .rposition(|window| window == [0, 0, 0, 1])
                .unwrap();
            let slice = &opened[slice + 4..];
            assert!(plain.windows(slice.len()).any(|window| window == slice));
        }
    }
}

#[test]
fn every_opus_frame_crosses_the_stock_payloader_unchanged() {
    let seen = cross(
        "audiotestsrc wave=ticks num-buffers=100 samplesperbuffer=960 ! \
         audio/x-raw,rate=48000,channels=1 ! opusenc frame-size=20 dtx=true ! \
         frameencrypt name=e ! rtpopuspay ! rtpopusdepay ! framedecrypt name=d ! \
         opusdec ! fakesink name=out",
        15,
    );
    assert!(seen.plain.len() >= 100);
    assert_eq!(seen.received, seen.sealed);
    assert_eq!(seen.opened, seen.plain);
}
