// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a source to sealed frames.

mod codecs;
mod files;
mod sealing;
mod sources;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver},
    },
    time::{Duration, Instant},
};

use gst::prelude::*;
use gstroomseal::{
    budget::{EncodeBudget, MediaBudget},
    capture::{
        AUDIO, AudioSource, Capture, CaptureConfig, CaptureEvent, SourceState, VIDEO, VideoSource,
    },
    elements::SealMode,
    plugins::gst_init,
    transport::LocalTrackId,
};
use roomseal_e2ee::{Codec, FrameContext, FrameKey, KeyIndex, Opener, Passphrase, RawKey, Replay};

/// Long enough for a loaded machine; no test waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

const SMALL: EncodeBudget = EncodeBudget {
    width: 320,
    height: 180,
    framerate: 15,
    bitrate: 300_000,
};

/// A capture with everything it said and gave.
struct Scene {
    capture: Capture,
    frames: Receiver<(LocalTrackId, gst::Buffer)>,
    events: Receiver<CaptureEvent>,
}

fn config(video: VideoSource, audio: AudioSource) -> CaptureConfig {
    CaptureConfig {
        video,
        audio,
        budget: MediaBudget {
            vp8: SMALL,
            h264: SMALL,
            ..MediaBudget::default()
        },
        encoders: vec!["vp8enc".into(), "x264enc".into()],
        ..CaptureConfig::default()
    }
}

fn start(config: CaptureConfig) -> Scene {
    let (frame, frames) = mpsc::channel();
    let (event, events) = mpsc::channel();
    let (frame, event) = (Mutex::new(frame), Mutex::new(event));
    let capture = Capture::start(
        config,
        Arc::new(move |local, buffer| {
            let _ = frame.lock().unwrap().send((local, buffer));
        }),
        Arc::new(move |news| {
            let _ = event.lock().unwrap().send(news);
        }),
    )
    .unwrap();
    Scene {
        capture,
        frames,
        events,
    }
}

fn start_clear(config: CaptureConfig) -> Scene {
    let scene = start(config);
    scene.capture.set_mode(SealMode::Clear);
    scene
}

impl Scene {
    /// The next frame of a track for which `wanted` holds.
    fn frame(&self, local: LocalTrackId, wanted: impl Fn(&gst::Buffer) -> bool) -> gst::Buffer {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok((from, buffer)) = self.frames.recv_timeout(left) else {
                panic!("no such frame came: {:#?}", self.capture.stats());
            };
            if from == local && wanted(&buffer) {
                return buffer;
            }
        }
    }

    /// A key frame among the next few frames, however slow the machine is.
    fn key_frame_soon(&self, local: LocalTrackId) -> gst::Buffer {
        (0..6)
            .map(|_| self.frame(local, |_| true))
            .find(is_key_frame)
            .expect("one of the next six frames is a key frame")
    }

    /// Waits for a state of a track's source.
    fn state(&self, local: LocalTrackId, wanted: impl Fn(&SourceState) -> bool) -> SourceState {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(event) = self.events.recv_timeout(left) else {
                panic!("no such state came: {:#?}", self.capture.stats());
            };
            if let CaptureEvent::SourceState { local: of, state } = event
                && of == local
                && wanted(&state)
            {
                return state;
            }
        }
    }
}

fn key(word: &str) -> FrameKey {
    FrameKey::from_passphrase(&Passphrase::new(word))
}

fn index(n: u8) -> KeyIndex {
    KeyIndex::try_from(n).unwrap()
}

fn is_key_frame(buffer: &gst::Buffer) -> bool {
    !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT)
}

struct Reader(Opener);

impl Reader {
    fn new(codec: Codec, keys: &[(u8, FrameKey)]) -> Self {
        let mut opener = Opener::new(codec, Replay::Window);
        for (slot, key) in keys {
            opener.keys().set(index(*slot), key.clone());
        }
        Self(opener)
    }

    fn opens(&mut self, buffer: &gst::Buffer) -> bool {
        let mut bytes = buffer.map_readable().unwrap().to_vec();
        self.0
            .open(
                &mut bytes,
                &FrameContext {
                    gap: false,
                    now: Duration::ZERO,
                },
            )
            .is_ok()
    }
}

#[test]
fn a_capture_can_be_shared_between_threads_and_stops_at_once() {
    fn shared<T: Send + Sync>(_: &T) {}
    let scene = start_clear(config(VideoSource::TestPattern, AudioSource::TestTone));
    shared(&scene.capture);
    scene.frame(VIDEO, |_| true);
    let Scene {
        capture, frames, ..
    } = scene;
    let begun = Instant::now();
    capture.stop();
    assert!(begun.elapsed() < Duration::from_secs(5));
    frames.try_iter().for_each(drop);
    assert!(
        frames.recv_timeout(Duration::from_millis(200)).is_err(),
        "a frame after the end"
    );
}

#[test]
fn the_echo_is_cancelled_as_soon_as_the_loudspeaker_is_there() {
    let scene = start(CaptureConfig {
        echo_probe: Some("probe-of-this-test".into()),
        ..config(VideoSource::None, AudioSource::TestTone)
    });
    scene.capture.set_send_key(index(0), key("k"));
    scene.capture.set_mode(SealMode::Seal);
    scene.frame(AUDIO, |_| true);
    let before = scene.capture.iv_prefix(AUDIO);
    let speaker = gst::parse::launch(
        "audiotestsrc is-live=true ! audio/x-raw,format=S16LE,rate=48000,channels=1 ! \
         webrtcechoprobe name=probe-of-this-test ! fakesink",
    )
    .unwrap();
    speaker.set_state(gst::State::Playing).unwrap();
    // The line with the canceller is a new one, with IVs of its own.
    let mut reader = Reader::new(Codec::Opus, &[(0, key("k"))]);
    let cancelled = scene.frame(AUDIO, |_| {
        let now = scene.capture.iv_prefix(AUDIO);
        now.is_some() && now != before
    });
    assert!(reader.opens(&cancelled));
    assert!(reader.opens(&scene.frame(AUDIO, |_| true)));
    speaker.set_state(gst::State::Null).unwrap();
}
