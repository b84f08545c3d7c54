// SPDX-License-Identifier: MIT OR Apache-2.0
//! Somebody without the key writes down everything that arrives: is any of it what the encoder made?

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use gst::prelude::*;
use roomseal_e2ee::{Codec, FrameKey, KeyIndex, Passphrase};
use roomseal_media::elements::{FrameEncrypt, SealMode};
use roomseal_service::livekit::{Encryption, TrackSource};
use roomseal_tests::bare::{Bare, Frame, Stream};
use roomseal_tests::livekit::Server;

use crate::{SOON, one_at_a_time, talking_clip};

/// Bytes that no two different encodings share by chance.
const WINDOW: usize = 16;

/// What an encoder made of a clip, and the same frames sealed by the element that the box seals with.
struct Encoded {
    codec: Codec,
    plain: Vec<Frame>,
    sealed: Vec<Frame>,
    interval: Duration,
}

impl Encoded {
    fn stream(&self, sealed: bool) -> Stream {
        Stream {
            codec: self.codec,
            encryption: if sealed {
                Encryption::Gcm
            } else {
                Encryption::None
            },
            frames: if sealed { &self.sealed } else { &self.plain }.clone(),
            interval: self.interval,
        }
    }

    /// How many bytes of each frame LiveKit's format leaves clear, so that a service can forward it.
    fn header(&self, key: bool) -> usize {
        match (self.codec, key) {
            (Codec::Opus, _) => 1,
            (_, true) => 10,
            (_, false) => 3,
        }
    }

    /// Every window of the encoder's output beyond the clear header.
    fn windows(&self) -> HashSet<[u8; WINDOW]> {
        let beyond = |frame: &Frame| {
            frame
                .bytes
                .get(self.header(frame.key)..)
                .unwrap_or_default()
                .to_vec()
        };
        self.plain
            .iter()
            .map(beyond)
            .flat_map(|bytes| windows(&bytes))
            .collect()
    }
}

fn windows(bytes: &[u8]) -> Vec<[u8; WINDOW]> {
    bytes
        .windows(WINDOW)
        .map(|w| w.try_into().expect("windows have this length"))
        .collect()
}

fn encode(clip: &Path, codec: Codec) -> Encoded {
    gst::init().unwrap();
    roomseal_media::plugin_register_static().unwrap();
    let branch = match codec {
        Codec::Opus => {
            "audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=1 ! opusenc bitrate=32000"
        }
        _ => {
            "videoconvert ! vp8enc deadline=1 cpu-used=-8 lag-in-frames=0 keyframe-max-dist=25 end-usage=cbr target-bitrate=1000000"
        }
    };
    let kind = if codec == Codec::Opus {
        "audio"
    } else {
        "video"
    };
    let pipeline = gst::parse::launch(&format!(
        "filesrc location={} ! decodebin name=decode decode. ! {kind}/x-raw ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 \
         ! {branch} ! tee name=made made. ! queue ! appsink name=plain sync=false \
         made. ! queue ! frameencrypt name=seal ! appsink name=sealed sync=false",
        clip.display()
    ))
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    let seal = pipeline
        .by_name("seal")
        .unwrap()
        .downcast::<FrameEncrypt>()
        .unwrap();
    seal.set_send_key(
        KeyIndex::default(),
        FrameKey::from_passphrase(&Passphrase::new("known to nobody who listens")),
    );
    seal.set_mode(SealMode::Seal);
    let [plain, sealed] = ["plain", "sealed"].map(|name| {
        let frames: std::sync::Arc<std::sync::Mutex<Vec<Frame>>> = std::sync::Arc::default();
        let sink = pipeline
            .by_name(name)
            .unwrap()
            .downcast::<gst_app::AppSink>()
            .unwrap();
        let into = std::sync::Arc::clone(&frames);
        sink.set_callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
                    let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
                    into.lock().unwrap().push(Frame {
                        bytes: buffer.map_readable().unwrap().to_vec(),
                        key,
                    });
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        );
        frames
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(gst::ClockTime::from_seconds(60), &end)
        .unwrap();
    assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
    pipeline.set_state(gst::State::Null).unwrap();
    let [plain, sealed] = [plain, sealed].map(|frames| frames.lock().unwrap().clone());
    assert_eq!(plain.len(), sealed.len(), "every frame was sealed");
    let interval = Duration::from_millis(if codec == Codec::Opus { 20 } else { 40 });
    Encoded {
        codec,
        plain,
        sealed,
        interval,
    }
}

#[test]
fn nothing_of_the_encoders_output_reaches_a_subscriber_when_sealed_and_all_of_it_does_when_not() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let encoded = [encode(&clip, Codec::Vp8), encode(&clip, Codec::Opus)];
    let server = Server::on_loopback();
    for sealed in [true, false] {
        let room = if sealed { "sealed" } else { "clear" };
        let listener = Bare::join(&server.url(), &server.token("listener", room), Vec::new());
        let streams = encoded.iter().map(|e| e.stream(sealed)).collect();
        let sender = Bare::join(&server.url(), &server.token("sender", room), streams);
        for (encoded, source, count) in [
            (&encoded[0], TrackSource::Camera, 100),
            (&encoded[1], TrackSource::Microphone, 200),
        ] {
            let got = listener.frames_of("sender", source, count, SOON);
            let known = encoded.windows();
            let (mut all, mut found) = (0, 0);
            for frame in &got {
                let windows = windows(frame);
                all += windows.len();
                found += windows.iter().filter(|w| known.contains(*w)).count();
            }
            println!(
                "{room} {source:?}: {found} of {all} windows in {} frames are the encoder's",
                got.len()
            );
            if sealed {
                assert_eq!(found, 0, "clear bytes went over the wire");
            } else {
                // The rest lies in the clear headers, which are not among the known windows.
                assert!(
                    found as f64 > 0.9 * all as f64,
                    "the control has to find what is there"
                );
            }
        }
        assert!(sender.refusals().is_empty(), "{:?}", sender.refusals());
    }
}
