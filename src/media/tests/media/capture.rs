// SPDX-License-Identifier: MIT OR Apache-2.0

//! From a source to sealed frames.

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
fn what_leaves_opens_with_the_key_and_only_with_it() {
    let scene = start(config(VideoSource::TestPattern, AudioSource::TestTone));
    scene.capture.set_send_key(index(3), key("right"));
    scene.capture.set_mode(SealMode::Seal);
    for (local, codec) in [(VIDEO, Codec::Vp8), (AUDIO, Codec::Opus)] {
        let mut right = Reader::new(codec, &[(3, key("right"))]);
        let mut wrong = Reader::new(codec, &[(3, key("wrong"))]);
        let mut last = gst::ClockTime::ZERO;
        let mut key_frames = 0;
        for n in 0..20 {
            let frame = scene.frame(local, |_| true);
            key_frames += usize::from(is_key_frame(&frame));
            assert!(right.opens(&frame), "frame {n} of {codec:?}");
            assert!(!wrong.opens(&frame));
            let pts = frame.pts().unwrap();
            assert!(
                pts > last || n == 0,
                "time stands still at frame {n} of {codec:?}"
            );
            last = pts;
        }
        assert!(key_frames > 0, "no key frame of {codec:?}");
    }
    let stats = scene.capture.stats();
    assert!(
        stats
            .iter()
            .all(|track| track.sealed >= 20 && track.clear == 0 && track.dropped == 0)
    );
    assert!(
        stats
            .iter()
            .all(|track| track.source == SourceState::Running)
    );
}

#[test]
fn nothing_leaves_before_a_mode_is_set_nor_sealed_without_a_key() {
    let scene = start(config(VideoSource::TestPattern, AudioSource::TestTone));
    let encoded = |least: u64| {
        let until = Instant::now() + PATIENCE;
        while scene
            .capture
            .stats()
            .iter()
            .any(|track| track.encoded < least)
        {
            assert!(Instant::now() < until, "nothing is encoded");
            assert!(
                scene
                    .frames
                    .recv_timeout(Duration::from_millis(20))
                    .is_err(),
                "a frame left"
            );
        }
    };
    encoded(10);
    scene.capture.set_mode(SealMode::Seal);
    encoded(30);
    scene.capture.set_send_key(index(0), key("late"));
    let first = scene.frame(VIDEO, is_key_frame);
    assert!(Reader::new(Codec::Vp8, &[(0, key("late"))]).opens(&first));
}

#[test]
fn a_new_key_begins_with_a_key_frame_at_once() {
    let scene = start(config(VideoSource::TestPattern, AudioSource::None));
    scene.capture.set_send_key(index(1), key("one"));
    scene.capture.set_mode(SealMode::Seal);
    for _ in 0..5 {
        scene.frame(VIDEO, |_| true);
    }
    scene
        .capture
        .set_send_key(index(2), FrameKey::from_raw_key(&RawKey::new(vec![9; 32])));
    let two = || {
        Reader::new(
            Codec::Vp8,
            &[(2, FrameKey::from_raw_key(&RawKey::new(vec![9; 32])))],
        )
    };
    let first = scene.frame(VIDEO, |frame| two().opens(frame));
    let key_frame = if is_key_frame(&first) {
        first
    } else {
        scene.key_frame_soon(VIDEO)
    };
    assert!(two().opens(&key_frame));
}

#[test]
fn a_request_gives_a_key_frame_and_a_storm_of_them_does_not_give_only_key_frames() {
    let scene = start_clear(config(VideoSource::TestPattern, AudioSource::None));
    scene.frame(VIDEO, is_key_frame);
    scene.frame(VIDEO, |frame| !is_key_frame(frame));
    let mut keys = 0;
    let begun = Instant::now();
    for _ in 0..30 {
        scene.capture.request_key_frame(VIDEO);
        keys += u128::from(is_key_frame(&scene.frame(VIDEO, |_| true)));
    }
    let most = begun.elapsed().as_millis() / 300 + 2;
    assert!(
        (1..=most).contains(&keys),
        "{keys} of 30 frames are key frames, {most} are allowed"
    );
}

#[test]
fn sound_frames_carry_their_level_and_mute_silences_them() {
    let tone = "audiotestsrc is-live=true wave=sine volume=0.5 samplesperbuffer=480".to_owned();
    let scene = start_clear(config(VideoSource::None, AudioSource::Custom(tone)));
    let level = |frame: &gst::Buffer| {
        frame
            .meta::<gst_audio::AudioLevelMeta>()
            .map(|meta| meta.level())
    };
    // Level counts in -dBov: 0 is full scale, 127 and more is silence.
    scene.frame(AUDIO, |frame| level(frame).is_some_and(|level| level < 20));
    scene.capture.set_mute(AUDIO, true);
    scene.frame(AUDIO, |frame| {
        level(frame).is_some_and(|level| level >= 127)
    });
    for _ in 0..10 {
        let heard = level(&scene.frame(AUDIO, |_| true));
        assert!(
            heard.is_some_and(|level| level >= 127),
            "{heard:?} of a muted microphone"
        );
    }
    scene.capture.set_mute(AUDIO, false);
    scene.frame(AUDIO, |frame| level(frame).is_some_and(|level| level < 20));
}

#[test]
fn a_muted_picture_stops_and_begins_again_with_a_key_frame() {
    let scene = start_clear(config(VideoSource::TestPattern, AudioSource::TestTone));
    scene.frame(VIDEO, |_| true);
    scene.capture.set_mute(VIDEO, true);
    // What was already in the encoder may still come.
    let mut late = 0;
    let mut sounds = 0;
    while sounds < 50 {
        let (local, _) = scene.frames.recv_timeout(PATIENCE).unwrap();
        if local == AUDIO {
            sounds += 1
        } else {
            late += 1
        }
    }
    assert!(late <= 4, "{late} pictures in a second of mute");
    scene.capture.set_mute(VIDEO, false);
    scene.key_frame_soon(VIDEO);
}

#[test]
fn a_missing_camera_is_a_state_with_advice_and_sound_goes_on() {
    let device = PathBuf::from("/dev/video-that-is-not-there");
    let scene = start_clear(config(VideoSource::V4l2 { device }, AudioSource::TestTone));
    let state = scene.state(VIDEO, |state| matches!(state, SourceState::Missing { .. }));
    let words = state.to_string();
    assert!(
        words.contains("/dev/video-that-is-not-there is not there"),
        "{words}"
    );
    assert!(words.contains("plug the camera in"), "{words}");
    for _ in 0..20 {
        scene.frame(AUDIO, |_| true);
    }
    assert_eq!(scene.capture.tracks().len(), 2, "the track stays published");
}

#[test]
fn a_missing_microphone_is_a_state_with_advice_and_the_picture_goes_on() {
    let device = "hw:CARD=NotThere".to_owned();
    let scene = start_clear(config(
        VideoSource::TestPattern,
        AudioSource::Alsa { device },
    ));
    let state = scene.state(AUDIO, |state| matches!(state, SourceState::Missing { .. }));
    let words = state.to_string();
    assert!(
        words.contains("hw:CARD=NotThere") && words.contains("arecord -L"),
        "{words}"
    );
    scene.frame(VIDEO, |_| true);
}

#[test]
fn a_source_that_vanishes_comes_back_and_time_goes_on() {
    let short =
        "videotestsrc is-live=true num-buffers=8 ! video/x-raw,width=320,height=180,framerate=30/1";
    let scene = start_clear(config(
        VideoSource::Custom(short.to_owned()),
        AudioSource::None,
    ));
    scene.state(VIDEO, |state| *state == SourceState::Running);
    scene.state(VIDEO, |state| matches!(state, SourceState::Missing { .. }));
    scene.state(VIDEO, |state| *state == SourceState::Running);
    let mut last = None;
    for _ in 0..8 {
        let pts = scene.frame(VIDEO, |_| true).pts();
        assert!(pts > last);
        last = pts;
    }
}

#[test]
fn a_silent_source_is_opened_again() {
    let silent = "videotestsrc is-live=true ! valve drop=true".to_owned();
    let scene = start_clear(CaptureConfig {
        stall_after: Duration::from_millis(500),
        ..config(VideoSource::Custom(silent), AudioSource::TestTone)
    });
    scene.state(VIDEO, |state| *state == SourceState::Stalled);
    scene.state(VIDEO, |state| *state == SourceState::Rebuilding);
    scene.frame(AUDIO, |_| true);
}

#[test]
fn a_picture_smaller_than_announced_is_announced_anew() {
    let old =
        "videotestsrc is-live=true ! video/x-raw,width=176,height=144,framerate=15/1".to_owned();
    let scene = start_clear(config(VideoSource::Custom(old), AudioSource::None));
    assert_eq!(scene.capture.tracks()[0].size, Some((320, 180)));
    scene.frame(VIDEO, |_| true);
    let until = Instant::now() + PATIENCE;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if let CaptureEvent::TrackChanged(track) = scene.events.recv_timeout(left).unwrap() {
            assert_eq!(track.size, Some((176, 144)));
            break;
        }
    }
}

#[test]
fn another_codec_is_another_track_and_its_frames_open() {
    let scene = start(config(VideoSource::TestPattern, AudioSource::None));
    scene.capture.set_send_key(index(0), key("k"));
    scene.capture.set_mode(SealMode::Seal);
    scene.frame(VIDEO, |_| true);
    let before = scene.capture.iv_prefix(VIDEO);

    let track = scene.capture.plan(Codec::H264).unwrap();
    assert_eq!(track.codec, Codec::H264);
    assert_ne!(
        track.local, VIDEO,
        "a frame of one codec must not be sent as one of the other"
    );
    assert_eq!(scene.capture.tracks()[0].local, VIDEO, "only planned");
    scene.capture.go_over(&track).unwrap();
    let first = scene.frame(track.local, |_| true);
    assert!(is_key_frame(&first));
    assert_ne!(
        scene.capture.iv_prefix(track.local),
        before,
        "no IV is used twice"
    );
    assert_eq!(scene.capture.tracks(), std::slice::from_ref(&track));

    let back = scene.capture.plan(Codec::Vp8).unwrap();
    scene.capture.go_over(&back).unwrap();
    let mut reader = Reader::new(Codec::Vp8, &[(0, key("k"))]);
    assert!(reader.opens(&scene.frame(back.local, |_| true)));
}

#[test]
fn a_track_published_anew_with_its_codec_has_another_number_and_stays_muted() {
    let scene = start(config(VideoSource::TestPattern, AudioSource::TestTone));
    scene.capture.set_send_key(index(0), key("k"));
    scene.capture.set_mode(SealMode::Seal);
    scene.capture.set_mute(VIDEO, true);
    scene.frame(AUDIO, |_| true);
    for (local, codec) in [(AUDIO, Codec::Opus), (VIDEO, Codec::Vp8)] {
        let before = scene.capture.iv_prefix(local);
        let track = scene.capture.plan(codec).unwrap();
        scene.capture.go_over(&track).unwrap();
        assert_ne!(track.local, local);
        assert_eq!(scene.capture.muted(track.local), local == VIDEO);
        // What comes from here on is all of the new track.
        while scene.frames.try_recv().is_ok() {}
        scene.capture.set_mute(track.local, false);
        let mut reader = Reader::new(codec, &[(0, key("k"))]);
        assert!(reader.opens(&scene.frame(track.local, |_| true)));
        assert_ne!(scene.capture.iv_prefix(track.local), before);
        assert!(scene.frames.try_iter().all(|(from, _)| from != local));
    }
}

#[test]
fn a_codec_without_an_encoder_is_refused_and_the_picture_goes_on() {
    let scene = start_clear(CaptureConfig {
        encoders: vec!["vp8enc".into()],
        ..config(VideoSource::TestPattern, AudioSource::None)
    });
    let planned = scene.capture.plan(Codec::H264).unwrap();
    let error = scene.capture.go_over(&planned).unwrap_err().to_string();
    assert!(
        error.starts_with("no H.264 encoder works on this box"),
        "{error}"
    );
    scene.frame(VIDEO, |_| true);
    assert_eq!(scene.capture.tracks()[0].codec, Codec::Vp8);
    assert_eq!(
        scene.capture.plan(Codec::Opus),
        None,
        "no sound is captured"
    );
}

#[test]
fn the_start_says_which_encoder_was_taken_and_why() {
    let scene = start(CaptureConfig {
        encoders: vec!["nosuchenc".into(), "vp8enc".into()],
        ..config(VideoSource::TestPattern, AudioSource::None)
    });
    let verdicts = loop {
        if let CaptureEvent::Encoders(verdicts) = scene.events.recv_timeout(PATIENCE).unwrap() {
            break verdicts;
        }
    };
    assert!(verdicts[0].reason.starts_with("unknown") && !verdicts[0].taken);
    assert!(verdicts[1].taken, "{verdicts:?}");
}

#[test]
fn a_narrow_network_takes_from_the_picture_and_never_from_sound() {
    let scene = start_clear(config(VideoSource::TestPattern, AudioSource::TestTone));
    let bitrates = || -> Vec<_> { scene.capture.stats().iter().map(|t| t.bitrate).collect() };
    assert_eq!(bitrates(), [32_000, 300_000]);
    scene.capture.set_bitrate(200_000);
    assert_eq!(bitrates(), [32_000, 168_000]);
    scene.capture.set_bitrate(1_000);
    assert_eq!(bitrates(), [32_000, 50_000]);
    scene.capture.set_bitrate(10_000_000);
    assert_eq!(bitrates(), [32_000, 300_000]);
}

#[test]
fn an_overloaded_board_gives_up_frame_rate_first() {
    let scene = start_clear(config(VideoSource::TestPattern, AudioSource::TestTone));
    let limits = loop {
        scene.capture.report_overrun();
        scene.frame(AUDIO, |_| true);
        let told = scene.events.try_iter().find_map(|event| match event {
            CaptureEvent::Limits(limits) => Some(limits),
            _ => None,
        });
        if let Some(limits) = told {
            break limits;
        }
    };
    assert_eq!(limits.encode.framerate, 10);
    assert_eq!((limits.encode.width, limits.tiles), (SMALL.width, 6));
}

/// Makes a clip of one second, with or without sound.
fn clip(folder: &Path, sound: bool) -> PathBuf {
    gst_init().unwrap();
    let path = folder.join("clip.mkv");
    let sound = if sound {
        "audiotestsrc num-buffers=50 samplesperbuffer=960 ! audio/x-raw,rate=48000 ! opusenc ! mux."
    } else {
        ""
    };
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc num-buffers=15 ! video/x-raw,width=320,height=180,framerate=15/1 ! \
         vp8enc deadline=1 ! matroskamux name=mux ! filesink location={} {sound}",
        path.display()
    ))
    .unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(
            gst::ClockTime::from_seconds(20),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        )
        .unwrap();
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
    pipeline.set_state(gst::State::Null).unwrap();
    path
}

#[test]
fn a_file_goes_round_without_a_seam_and_stays_in_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), true);
    let scene = start_clear(config(
        VideoSource::File(path.clone()),
        AudioSource::File(path),
    ));
    let mut times: [Vec<u64>; 2] = Default::default();
    // Three rounds and a half.
    while times[0].len() < 175 {
        let (local, frame) = scene.frames.recv_timeout(PATIENCE).unwrap();
        times[usize::from(local == VIDEO)].push(frame.pts().unwrap().mseconds());
    }
    for (kind, times) in ["sound", "picture"].into_iter().zip(&times) {
        for pair in times.windows(2) {
            assert!(pair[1] > pair[0], "{kind} goes back: {times:?}");
        }
    }
    let [sound, picture] = times
        .each_ref()
        .map(|times| times.last().unwrap() - times[0]);
    assert!(
        sound.abs_diff(picture) < 400,
        "{sound} ms of sound, {picture} ms of pictures"
    );
    // A seam would be a pause in each round. A third allows for a machine that is busy elsewhere.
    let heard = u64::try_from(times[0].len()).unwrap() * 20;
    assert!(heard * 3 >= sound * 2, "{heard} ms of sound in {sound} ms");
    // An encoder that is late leaves pictures out, so what it was given is counted.
    let stats = scene.capture.stats();
    let given = stats
        .iter()
        .find(|track| track.local == VIDEO)
        .unwrap()
        .offered
        * 1_000
        / 15;
    assert!(
        given * 3 >= picture * 2,
        "{given} ms of pictures in {picture} ms"
    );
}

#[test]
fn a_file_without_sound_says_so_and_shows_its_picture() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), false);
    let scene = start_clear(config(
        VideoSource::File(path.clone()),
        AudioSource::File(path),
    ));
    scene.frame(VIDEO, |_| true);
    let state = scene.state(AUDIO, |state| matches!(state, SourceState::Missing { .. }));
    assert!(
        state.to_string().contains("clip.mkv has no sound"),
        "{state}"
    );
}

#[test]
fn a_file_that_appears_later_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    let scene = start_clear(config(VideoSource::File(path), AudioSource::None));
    scene.state(VIDEO, |state| matches!(state, SourceState::Missing { .. }));
    clip(folder.path(), false);
    scene.frame(VIDEO, |_| true);
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
