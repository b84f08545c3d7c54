// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is sent: encoded here, or made up, and sealed.

use gst::prelude::*;
use roomseal_e2ee::{Codec, IvSource, KeyIndex, Sealer};

use super::meeting::{FPS, key};

/// One sending track.
pub(super) struct Sender {
    pub(super) codec: Codec,
    sealer: Sealer,
}

impl Sender {
    pub(super) fn new(codec: Codec, key_number: u8) -> Self {
        use std::sync::atomic::{AtomicU8, Ordering};
        // No two senders may share an IV.
        static SENDERS: AtomicU8 = AtomicU8::new(1);
        let mut sealer = Sealer::new(
            codec,
            IvSource::new([SENDERS.fetch_add(1, Ordering::Relaxed); 12]),
        );
        sealer.set_key(KeyIndex::default(), key(key_number));
        Self { codec, sealer }
    }

    pub(super) fn seal(&mut self, frame: &gst::Buffer, pts: gst::ClockTime) -> gst::Buffer {
        self.try_seal(frame, pts).unwrap()
    }

    pub(super) fn try_seal(
        &mut self,
        frame: &gst::Buffer,
        pts: gst::ClockTime,
    ) -> Option<gst::Buffer> {
        let plain = frame.map_readable().unwrap();
        let mut sealed = vec![0; Sealer::max_sealed_len(self.codec, plain.len())];
        let length = self.sealer.seal(&plain, &mut sealed).ok()?;
        sealed.truncate(length);
        let mut buffer = gst::Buffer::from_mut_slice(sealed);
        let fields = buffer.make_mut();
        fields.set_pts(pts);
        fields.set_flags(frame.flags() & gst::BufferFlags::DELTA_UNIT);
        Some(buffer)
    }
}

/// Encoded frames; only the first is a key frame.
pub(super) struct Clip {
    pub(super) frames: Vec<gst::Buffer>,
}

impl Clip {
    pub(super) fn vp8(pattern: &str, frames: u32) -> Self {
        Self::video(pattern, frames, "vp8enc deadline=1 keyframe-max-dist=9999")
    }

    pub(super) fn h264(pattern: &str, frames: u32) -> Self {
        Self::video(
            pattern,
            frames,
            "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=9999 ! \
             video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au",
        )
    }

    pub(super) fn video(pattern: &str, frames: u32, encoder: &str) -> Self {
        Self::encode(&format!(
            "videotestsrc pattern={pattern} num-buffers={frames} ! \
             video/x-raw,format=I420,width=320,height=240,framerate={FPS}/1 ! {encoder}"
        ))
    }

    /// A tone; each packet is 20 ms.
    pub(super) fn opus(hertz: u32, packets: u32) -> Self {
        let mut clip = Self::encode(&format!(
            "audiotestsrc freq={hertz} num-buffers={packets} samplesperbuffer=960 ! \
             audio/x-raw,format=S16LE,rate=48000,channels=1 ! opusenc frame-size=20"
        ));
        clip.frames.truncate(packets as usize);
        clip
    }

    pub(super) fn encode(description: &str) -> Self {
        let pipeline = gst::parse::launch(&format!("{description} ! appsink name=out sync=false"))
            .unwrap()
            .downcast::<gst::Pipeline>()
            .unwrap();
        let sink = pipeline.by_name("out").unwrap();
        let sink = sink.downcast::<gst_app::AppSink>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut frames = Vec::new();
        while let Ok(sample) = sink.pull_sample() {
            frames.push(sample.buffer_owned().unwrap());
        }
        pipeline.set_state(gst::State::Null).unwrap();
        Self { frames }
    }
}

/// A frame that looks like one of its codec to whoever reads its first bytes only.
pub(super) fn garbage(codec: Codec, seed: u64) -> gst::Buffer {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let length = 20 + usize::from(noise()) * 4;
    let mut bytes: Vec<u8> = (0..length).map(|_| noise()).collect();
    match codec {
        Codec::Vp8 if seed.is_multiple_of(2) => {
            bytes[0] &= !1;
            bytes[3..10].copy_from_slice(&[0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00]);
        }
        Codec::Vp8 => bytes[0] |= 1,
        Codec::H264 => {
            let start = [0, 0, 0, 1];
            // Parameter sets of x264 for 320 x 240, so that a decoder gets as far as the slice.
            let sps = [
                0x67, 0x42, 0xc0, 0x15, 0xda, 0x05, 0x07, 0xec, 0x05, 0xa8, 0x30, 0x30, 0x35, 0x28,
                0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x01, 0xe4, 0x78, 0xb1, 0x75,
            ];
            let pps = [0x68, 0xce, 0x3c, 0x80];
            let slice = if seed.is_multiple_of(2) { 0x65 } else { 0x41 };
            bytes = [&start[..], &sps, &start, &pps, &start, &[slice], &bytes].concat();
        }
        Codec::Opus => {}
    }
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    if codec != Codec::Opus && !seed.is_multiple_of(2) {
        buffer.make_mut().set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    buffer
}
