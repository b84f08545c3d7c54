// SPDX-License-Identifier: MIT OR Apache-2.0

//! The receiving half: frames are encoded and sealed here, and looked at where they come out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstroomseal::clock;
use gstroomseal::elements::framedecrypt::OpenMode;
use gstroomseal::present::layout::Size;
use gstroomseal::present::{
    Display, Output, Present, PresentConfig, PresentEvent, RecordConfig, RemoteTrackSpec, Speaker,
    TrackSource, TrackState,
};
use roomseal_e2ee::{Codec, FrameKey, IvSource, KeyIndex, KeyRing, RawKey, Sealer, Verdict};

const FPS: u64 = 30;

#[test]
fn a_red_picture_is_red_on_the_screen_and_in_the_snapshot_and_a_hostile_name_is_only_text() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let composed = files.path().join("composed.rgb");
    let meeting = Meeting::start(PresentConfig {
        display: Display::Elements(format!(
            "videoconvert ! video/x-raw,format=RGB ! filesink buffer-mode=unbuffered location={}",
            composed.display()
        )),
        size: SCREEN,
        recording: Some(RecordConfig {
            directory: files.path().to_owned(),
            streams: false,
            snapshot_every: Some(Duration::from_millis(200)),
        }),
        ..PresentConfig::default()
    });
    let mut camera = Sender::new(Codec::Vp8, 1);
    let spec = RemoteTrackSpec {
        name: "<b size='9999999'>&Mallory\u{202e}\n</b>".to_owned(),
        ..spec("cam", "mallory", Codec::Vp8)
    };
    meeting.present.add_track(spec, ring(1)).unwrap();

    let clip = Clip::vp8("red", 20);
    let newest = || last_picture(&composed);
    // Red in the middle, and white letters on a shade in the lower left corner.
    until("the screen to be red", || {
        meeting.play(&mut camera, &clip, "cam");
        newest().is_some_and(|picture| {
            is_red(pixel(&picture, SCREEN, SCREEN.width / 2, SCREEN.height / 2))
        })
    });
    until("the name to be written", || {
        meeting.play(&mut camera, &clip, "cam");
        newest().is_some_and(|picture| {
            let corner = (0..SCREEN.width / 2)
                .flat_map(|x| (SCREEN.height * 8 / 10..SCREEN.height).map(move |y| (x, y)));
            corner
                .filter(|(x, y)| pixel(&picture, SCREEN, *x, *y).iter().all(|c| *c > 200))
                .count()
                > 50
        })
    });
    let snapshot = files.path().join("mallory-camera.png");
    until("a snapshot", || snapshot.exists());
    let (size, pixels) = read_png(&snapshot);
    assert_eq!((size.width, size.height), (320, 240));
    assert!(is_red(pixel(&pixels, size, 160, 120)));
    let stats = meeting.present.track_stats("cam").unwrap();
    assert_eq!(stats.size, Some(size));
    assert_eq!(stats.state, TrackState::Verified);
    assert!(meeting.failures().is_empty(), "{:?}", meeting.failures());
}

#[test]
fn an_output_that_cannot_be_described_is_an_error_at_once() {
    let _alone = alone();
    for (display, speaker, named) in [
        ("videoconvert ! nonesuchsink", "fakesink", "display"),
        ("fakesink", "audio/x-raw ! fakesink", "speaker"),
    ] {
        let config = PresentConfig {
            display: Display::Elements(display.to_owned()),
            speaker: Speaker::Elements(speaker.to_owned()),
            ..PresentConfig::default()
        };
        let error = Present::start(config, Arc::new(|_| {})).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn a_display_that_breaks_is_reported_and_tried_again_while_tracks_are_opened_on() {
    let _alone = alone();
    let meeting = Meeting::start(PresentConfig {
        // A display that breaks after a little more than two seconds.
        display: Display::Elements("identity error-after=150 ! fakesink sync=true".to_owned()),
        framerate: 60,
        size: SCREEN,
        ..PresentConfig::default()
    });
    let mut camera = Sender::new(Codec::Vp8, 1);
    let spec = spec("cam", "ann", Codec::Vp8);
    meeting.present.add_track(spec, ring(1)).unwrap();
    let clip = Clip::vp8("red", 5);
    let output = Output::Display;
    until("the failure, and that it works again", || {
        meeting.play(&mut camera, &clip, "cam");
        let events = meeting.events.lock().unwrap();
        let failed = events
            .iter()
            .position(|event| matches!(event, PresentEvent::OutputFailed { .. }));
        let works = events
            .iter()
            .position(|event| *event == PresentEvent::OutputWorks { output });
        failed
            .zip(works)
            .is_some_and(|(failed, works)| failed < works)
    });
    let decoded = meeting.present.stats()["cam"].decoded;
    until("pictures to be decoded for the new display", || {
        meeting.play(&mut camera, &clip, "cam");
        meeting.present.stats()["cam"].decoded > decoded
    });
}

#[test]
fn a_missing_screen_and_loudspeaker_are_named_once_and_tracks_are_opened_without_them() {
    let _alone = alone();
    let meeting = Meeting::start(PresentConfig {
        display: Display::Kms {
            connector: None,
            driver: Some("no-such-driver".to_owned()),
        },
        speaker: Speaker::Alsa {
            device: Some("no-such-card".to_owned()),
        },
        size: SCREEN,
        ..PresentConfig::default()
    });
    let mut mic = Sender::new(Codec::Opus, 1);
    let spec = spec("mic", "ann", Codec::Opus);
    meeting.present.add_track(spec, ring(1)).unwrap();
    let sound = Clip::opus(440, 5);
    let began = Instant::now();
    // Long enough for each to be tried a second time.
    until("both to be named, and nothing to be said twice", || {
        meeting.play(&mut mic, &sound, "mic");
        meeting.failures().len() >= 2 && began.elapsed() > Duration::from_secs(4)
    });
    assert_eq!(meeting.failures().len(), 2, "{:?}", meeting.failures());
    let reasons = meeting.failures().join("\n");
    assert!(
        reasons.contains("display") && reasons.contains("speaker"),
        "{reasons}"
    );
    assert_eq!(meeting.present.stats()["mic"].state, TrackState::Verified);
    assert!(meeting.present.beat_ago() < Duration::from_secs(5));
}

#[test]
fn two_packets_that_are_lost_leave_no_hole_in_the_sound() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let mixed = files.path().join("mixed.raw");
    let meeting = Meeting::start(PresentConfig {
        speaker: Speaker::Elements(format!(
            "audioconvert ! audio/x-raw,format=S16LE,rate=48000,channels=1 ! \
             filesink sync=true buffer-mode=unbuffered location={}",
            mixed.display()
        )),
        // Packets may come as late as a machine under load lets them.
        playout_delay: Duration::from_millis(900),
        ..PresentConfig::default()
    });
    let mut ann = Sender::new(Codec::Opus, 1);
    let spec = spec("a", "ann", Codec::Opus);
    meeting.present.add_track(spec, ring(1)).unwrap();
    let begin = clock::now();
    for (index, frame) in Clip::opus(400, 50).frames.iter().enumerate() {
        let pts = begin + gst::ClockTime::from_mseconds(20 * index as u64);
        until("the next packet to be due", || clock::now() >= pts);
        let sealed = ann.seal(frame, pts);
        if !(25..27).contains(&index) {
            meeting.present.push("a", sealed);
        }
    }
    until("the sound to end", || {
        let sound = samples(&mixed);
        let tail = sound.len().saturating_sub(9_600);
        let sounded = sound.iter().any(|s| s.abs() > 500.0);
        sounded && sound[tail..].iter().all(|s| s.abs() < 50.0)
    });
    let sound = samples(&mixed);
    let first = sound.iter().position(|s| s.abs() > 500.0).unwrap();
    let last = sound.iter().rposition(|s| s.abs() > 500.0).unwrap();
    assert!((last - first).abs_diff(48_000) < 3_000, "{}", last - first);
    // 40 ms are missing; without concealment as long a silence would be heard.
    let silence = sound[first..last]
        .split(|s| s.abs() > 100.0)
        .map(<[f64]>::len)
        .max()
        .unwrap();
    assert!(silence < 960, "a hole of {silence} samples");
}

#[test]
fn two_voices_are_mixed_and_one_that_falls_silent_does_not_stop_the_other() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let mixed = files.path().join("mixed.raw");
    let meeting = Meeting::start(PresentConfig {
        speaker: Speaker::Elements(format!(
            "audioconvert ! audio/x-raw,format=S16LE,rate=48000,channels=1 ! \
             filesink sync=true buffer-mode=unbuffered location={}",
            mixed.display()
        )),
        // Packets may come as late as a machine under load lets them.
        playout_delay: Duration::from_millis(900),
        ..PresentConfig::default()
    });
    let (low, high) = (Clip::opus(400, 50), Clip::opus(1000, 50));
    let (mut ann, mut bob) = (Sender::new(Codec::Opus, 1), Sender::new(Codec::Opus, 1));
    for (sid, who) in [("a", "ann"), ("b", "bob")] {
        let spec = spec(sid, who, Codec::Opus);
        meeting.present.add_track(spec, ring(1)).unwrap();
    }
    let begin = clock::now();
    for (index, (frame, other)) in low.frames.iter().zip(&high.frames).enumerate() {
        let pts = begin + gst::ClockTime::from_mseconds(20 * index as u64);
        until("the next packet to be due", || clock::now() >= pts);
        meeting.present.push("a", ann.seal(frame, pts));
        // The second one says something for 200 ms only.
        if index < 10 {
            meeting.present.push("b", bob.seal(other, pts));
        }
    }
    until("a second of sound", || {
        samples(&mixed).iter().filter(|s| s.abs() > 500.0).count() > 40_000
    });
    let sound = samples(&mixed);
    let first = sound.iter().position(|s| s.abs() > 500.0).unwrap();
    let early = &sound[first + 4_800..first + 9_600];
    let late = &sound[first + 19_200..first + 38_400];
    assert!(power(early, 400) > 50.0 * power(early, 2_000));
    assert!(power(early, 1_000) > 50.0 * power(early, 2_000));
    assert!(power(late, 400) > 200.0 * power(late, 1_000));
    assert!(meeting.failures().is_empty(), "{:?}", meeting.failures());
}

#[test]
fn with_a_wrong_key_nothing_is_decoded_and_the_right_one_heals_it() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let meeting = Meeting::start(with_snapshots(files.path()));
    let mut camera = Sender::new(Codec::Vp8, 1);
    let spec = spec("cam", "ann", Codec::Vp8);
    meeting.present.add_track(spec, ring(2)).unwrap();
    let clip = Clip::vp8("blue", 10);
    let refused = TrackState::CannotOpen(Verdict::OtherKey);
    until("the track to be called unreadable", || {
        meeting.play(&mut camera, &clip, "cam");
        meeting.state_events("cam").contains(&refused)
    });
    let stats = meeting.present.track_stats("cam").unwrap();
    assert_eq!((stats.frames.frames.opened, stats.decoded), (0, 0));
    assert!(!files.path().join("ann-camera.png").exists());

    assert!(meeting.present.set_keys("cam", ring(1)));
    until("the track to verify and be decoded", || {
        meeting.play(&mut camera, &clip, "cam");
        meeting.state_events("cam").last() == Some(&TrackState::Verified)
            && meeting.present.track_stats("cam").unwrap().decoded > 0
    });
}

#[test]
fn clear_frames_are_neither_decoded_nor_recorded_where_sealed_ones_are_required() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let mut config = with_snapshots(files.path());
    config.recording.as_mut().unwrap().streams = true;
    let meeting = Meeting::start(config);
    let spec = spec("cam", "ann", Codec::Vp8);
    meeting.present.add_track(spec, ring(1)).unwrap();
    let clip = Clip::vp8("red", 10);
    let clear = TrackState::CannotOpen(Verdict::Clear);
    until("the track to be called clear", || {
        for frame in &clip.frames {
            let mut buffer = frame.clone();
            buffer.make_mut().set_pts(clock::now());
            meeting.present.push("cam", buffer);
        }
        meeting.state_events("cam").contains(&clear)
    });
    assert_eq!(meeting.present.track_stats("cam").unwrap().decoded, 0);
    meeting.present.stop();
    assert_eq!(std::fs::read_dir(files.path()).unwrap().count(), 0);
}

#[test]
fn without_display_and_recording_frames_are_judged_but_not_decoded() {
    let _alone = alone();
    let meeting = Meeting::start(PresentConfig::default());
    let mut camera = Sender::new(Codec::Vp8, 1);
    let spec = spec("cam", "ann", Codec::Vp8);
    meeting.present.add_track(spec, ring(1)).unwrap();
    let clip = Clip::vp8("red", 20);
    for frame in &clip.frames {
        let sealed = camera.seal(frame, clock::now());
        meeting.present.push("cam", sealed);
    }
    until("all frames to be opened", || {
        meeting
            .present
            .track_stats("cam")
            .unwrap()
            .frames
            .frames
            .opened
            == 20
    });
    assert_eq!(meeting.present.track_stats("cam").unwrap().decoded, 0);
    // Nobody would use a key frame, so none was asked for.
    assert_eq!(meeting.key_frames_wanted("cam"), 0);
}

#[test]
fn sealed_garbage_ends_its_own_decoder_and_nobody_elses() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let meeting = Meeting::start(PresentConfig {
        speaker: Speaker::Elements("fakesink sync=true".to_owned()),
        ..with_snapshots(files.path())
    });
    let mut good = Sender::new(Codec::Vp8, 1);
    let spec_of_good = spec("good", "ann", Codec::Vp8);
    meeting.present.add_track(spec_of_good, ring(1)).unwrap();
    let mut bad: HashMap<&str, Sender> = HashMap::new();
    for (sid, codec) in [
        ("vp8", Codec::Vp8),
        ("h264", Codec::H264),
        ("opus", Codec::Opus),
    ] {
        let spec = spec(sid, "mallory", codec);
        meeting.present.add_track(spec, ring(1)).unwrap();
        bad.insert(sid, Sender::new(codec, 1));
    }
    let clip = Clip::vp8("green", 10);
    let mut seed = 1;
    let opened = |sid: &str| {
        meeting
            .present
            .track_stats(sid)
            .unwrap()
            .frames
            .frames
            .opened
    };
    until("much garbage to be opened", || {
        for (sid, sender) in &mut bad {
            for _ in 0..20 {
                seed += 1;
                let frame = garbage(sender.codec, seed);
                // Our own sealer refuses some of it; a member's need not, but it is all the same.
                if let Some(sealed) = sender.try_seal(&frame, clock::now()) {
                    meeting.present.push(sid, sealed);
                }
            }
        }
        meeting.play(&mut good, &clip, "good");
        bad.keys().all(|sid| opened(sid) > 300)
    });
    // The good one was decoded to its last frame, and still is.
    let before = meeting.present.track_stats("good").unwrap();
    assert!(before.decoded > 0);
    assert_eq!(before.decoder_restarts, 0);
    meeting.play(&mut good, &clip, "good");
    assert!(meeting.present.beat_ago() < Duration::from_secs(5));
    // Who stops sending garbage is seen again.
    let sender = bad.get_mut("vp8").unwrap();
    let decoded = meeting.present.track_stats("vp8").unwrap().decoded;
    until("the sender of garbage to be decoded again", || {
        for frame in &clip.frames {
            meeting
                .present
                .push("vp8", sender.seal(frame, clock::now()));
        }
        meeting.present.track_stats("vp8").unwrap().decoded > decoded
    });
}

#[test]
fn after_a_loss_nothing_is_decoded_until_a_key_frame_which_is_asked_for() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let meeting = Meeting::start(with_snapshots(files.path()));
    let mut camera = Sender::new(Codec::Vp8, 1);
    let spec = spec("cam", "ann", Codec::Vp8);
    meeting.present.add_track(spec, ring(1)).unwrap();
    let clip = Clip::vp8("ball", 40);
    let decoded = || meeting.present.track_stats("cam").unwrap().decoded;
    until("the start to be decoded", || {
        if decoded() == 0 {
            meeting.play_range(&mut camera, &clip, "cam", 0..10);
        }
        decoded() >= 10
    });
    let asked = meeting.key_frames_wanted("cam");
    let whole = decoded();
    let mut after_loss = camera.seal(&clip.frames[15], clock::now());
    after_loss.make_mut().set_flags(gst::BufferFlags::DISCONT);
    meeting.present.push("cam", after_loss);
    for frame in &clip.frames[16..30] {
        meeting
            .present
            .push("cam", camera.seal(frame, clock::now()));
    }
    until("a key frame to be asked for", || {
        meeting.key_frames_wanted("cam") > asked
    });
    until("the frames after the loss to be skipped", || {
        let stats = meeting.present.track_stats("cam").unwrap();
        stats.skipped + stats.frames.withheld >= 15
    });
    assert_eq!(decoded(), whole);
    meeting.play_range(&mut camera, &clip, "cam", 0..10);
    until("it to go on at the key frame", || decoded() >= whole + 10);
}

#[test]
fn a_recording_has_picture_and_sound_of_the_right_length_and_in_step() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let meeting = Meeting::start(recording(files.path()));
    meeting.present.announce_tracks("ann/../x", 2);
    let (mut camera, mut mic) = (Sender::new(Codec::Vp8, 1), Sender::new(Codec::Opus, 1));
    for (sid, codec) in [("cam", Codec::Vp8), ("mic", Codec::Opus)] {
        let spec = spec(sid, "ann/../x", codec);
        meeting.present.add_track(spec, ring(1)).unwrap();
    }
    let (pictures, sound) = (Clip::vp8("ball", 120), Clip::opus(440, 200));
    let begin = clock::now();
    for (index, frame) in pictures.frames.iter().enumerate() {
        let pts = begin + gst::ClockTime::SECOND * index as u64 / FPS;
        meeting.present.push("cam", camera.seal(frame, pts));
    }
    for (index, frame) in sound.frames.iter().enumerate() {
        let pts = begin + gst::ClockTime::from_mseconds(20 * index as u64);
        meeting.present.push("mic", mic.seal(frame, pts));
    }
    until("all frames to be opened", || {
        let stats = meeting.present.stats();
        stats["cam"].frames.frames.opened == 120 && stats["mic"].frames.frames.opened == 200
    });
    let file = files.path().join("ann%2f..%2fx-001.mkv");
    // What is on disk when the process is killed plays, without an end.
    until("three seconds to be on disk", || {
        file.metadata().is_ok_and(|file| file.len() > 20_000)
    });
    let killed = files.path().join("killed.mkv");
    std::fs::copy(&file, &killed).unwrap();
    // A full disk, or one that was pulled out, cuts somewhere in the middle.
    let cut = std::fs::File::options().write(true).open(&killed).unwrap();
    cut.set_len(cut.metadata().unwrap().len() - 100).unwrap();
    meeting.present.stop();

    let played = Played::of(&file);
    assert_eq!((played.pictures, played.size), (120, (320, 240)));
    let length = played.length.unwrap().mseconds();
    assert!((3_900..=4_050).contains(&length), "{length} ms");
    assert!(
        (185_000..=192_500).contains(&played.sound.len()),
        "{}",
        played.sound.len()
    );
    let middle = &played.sound[48_000..96_000];
    assert!(power(middle, 440) > 100.0 * power(middle, 880));
    // Same beginning: both tracks start within a frame of each other.
    assert!(played.first_picture.absdiff(played.first_sound) < gst::ClockTime::from_mseconds(40));
    assert!(played.seekable);

    let played = Played::of(&killed);
    assert!(played.pictures >= 30, "{} pictures", played.pictures);
    assert!(played.sound.len() > 40_000);
}

#[test]
fn an_h264_recording_plays_however_short() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let meeting = Meeting::start(recording(files.path()));
    let mut camera = Sender::new(Codec::H264, 1);
    let spec = spec("cam", "ann", Codec::H264);
    meeting.present.add_track(spec, ring(1)).unwrap();
    let clip = Clip::h264("ball", 60);
    let begin = clock::now();
    for (index, frame) in clip.frames.iter().enumerate() {
        let pts = begin + gst::ClockTime::SECOND * index as u64 / FPS;
        meeting.present.push("cam", camera.seal(frame, pts));
    }
    until("all frames to be opened", || {
        meeting.present.stats()["cam"].frames.frames.opened == 60
    });
    meeting.present.stop();
    let played = Played::of(&files.path().join("ann-001.mkv"));
    assert_eq!((played.pictures, played.size), (60, (320, 240)));
}

#[test]
fn a_track_that_comes_later_begins_the_next_file_which_starts_at_a_key_frame() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let meeting = Meeting::start(recording(files.path()));
    meeting.present.announce_tracks("ann", 1);
    let mut camera = Sender::new(Codec::Vp8, 1);
    meeting
        .present
        .add_track(spec("cam", "ann", Codec::Vp8), ring(1))
        .unwrap();
    let clip = Clip::vp8("ball", 30);
    let begin = clock::now();
    let at = |index: u64| begin + gst::ClockTime::SECOND * index / FPS;
    let send = |camera: &mut Sender, range: std::ops::Range<u64>| {
        for index in range {
            let frame = &clip.frames[index as usize % 30];
            meeting.present.push("cam", camera.seal(frame, at(index)));
        }
    };
    send(&mut camera, 0..40);
    until("the first file", || meeting.files_started() == 1);
    until("the first pictures to be opened", || {
        meeting.present.stats()["cam"].frames.frames.opened == 40
    });

    let asked = meeting.key_frames_wanted("cam");
    let mut mic = Sender::new(Codec::Opus, 1);
    meeting
        .present
        .add_track(spec("mic", "ann", Codec::Opus), ring(1))
        .unwrap();
    let sound = Clip::opus(440, 50);
    for (index, frame) in sound.frames.iter().enumerate() {
        let pts = at(40) + gst::ClockTime::from_mseconds(20 * index as u64);
        meeting.present.push("mic", mic.seal(frame, pts));
    }
    until("the second file", || meeting.files_started() == 2);
    until("a key frame to be asked for", || {
        meeting.key_frames_wanted("cam") > asked
    });
    // Ten frames that need a predecessor, then a key frame and what follows it.
    send(&mut camera, 40..90);
    until("the rest to be opened", || {
        let stats = meeting.present.stats();
        stats["cam"].frames.frames.opened == 90 && stats["mic"].frames.frames.opened == 50
    });
    meeting.present.stop();

    let first = Played::of(&files.path().join("ann-001.mkv"));
    assert_eq!((first.pictures, first.sound.len()), (40, 0));
    let second = Played::of(&files.path().join("ann-002.mkv"));
    assert_eq!(second.pictures, 30, "from the key frame on");
    assert!(second.sound.len() > 40_000);
}

#[test]
fn a_recording_that_cannot_go_on_says_so_and_the_meeting_goes_on() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let directory = files.path().join("gone");
    let meeting = Meeting::start(recording(&directory));
    std::fs::remove_dir(&directory).unwrap();
    meeting.present.announce_tracks("ann", 1);
    let mut mic = Sender::new(Codec::Opus, 1);
    meeting
        .present
        .add_track(spec("mic", "ann", Codec::Opus), ring(1))
        .unwrap();
    let sound = Clip::opus(440, 10);
    until("the failure to be told", || {
        meeting.play(&mut mic, &sound, "mic");
        meeting
            .failures()
            .iter()
            .any(|failure| failure.contains("start the recording again"))
    });
    let opened = || meeting.present.stats()["mic"].frames.frames.opened;
    let before = opened();
    until("frames to be opened after that", || {
        meeting.play(&mut mic, &sound, "mic");
        opened() > before
    });
    let told = meeting.failures().len();
    assert_eq!(told, 1, "{:?}", meeting.failures());
}

#[test]
fn fifty_tracks_come_and_go_without_a_thread_or_file_left_behind() {
    const INSIDE: &str = "ROOMSEAL_TEST_ALONE";
    // Threads and files can only be counted in a process in which nothing else runs.
    if std::env::var_os(INSIDE).is_none() {
        let this = std::thread::current();
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this.name().unwrap(), "--nocapture"])
            .env(INSIDE, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let mut config = with_snapshots(files.path());
    config.recording.as_mut().unwrap().streams = true;
    config.speaker = Speaker::Elements("fakesink sync=true".to_owned());
    config.display = Display::Elements("fakesink sync=true".to_owned());
    config.size = SCREEN;
    let meeting = Meeting::start(config);
    let (pictures, sound) = (Clip::vp8("red", 3), Clip::opus(440, 3));
    let cycle = |number: usize| {
        let (cam, mic) = (format!("cam{number}"), format!("mic{number}"));
        for (sid, codec) in [(&cam, Codec::Vp8), (&mic, Codec::Opus)] {
            let spec = spec(sid, "ann", codec);
            meeting.present.add_track(spec, ring(1)).unwrap();
        }
        let (mut camera, mut voice) = (Sender::new(Codec::Vp8, 1), Sender::new(Codec::Opus, 1));
        until("both to be decoded", || {
            meeting.play(&mut camera, &pictures, &cam);
            meeting.play(&mut voice, &sound, &mic);
            let stats = meeting.present.stats();
            stats[&cam].decoded > 0 && stats[&mic].decoded > 0
        });
        meeting.present.remove_track(&cam);
        meeting.present.remove_track(&mic);
        assert!(meeting.present.track_stats(&cam).is_none());
    };
    // The first ones make what is kept: inputs of the mixer, buffers, fonts.
    for number in 0..3 {
        cycle(number);
    }
    let settled = |limit: (usize, usize)| {
        let now = (entries("/proc/self/task"), entries("/proc/self/fd"));
        now.0 <= limit.0 && now.1 <= limit.1
    };
    let mut before = (usize::MAX, usize::MAX);
    until("the first tracks to be gone", || {
        let now = (entries("/proc/self/task"), entries("/proc/self/fd"));
        std::mem::replace(&mut before, now) == now
    });
    for number in 3..53 {
        cycle(number);
    }
    until("as few threads and files as before", || settled(before));
    assert!(meeting.failures().is_empty(), "{:?}", meeting.failures());
}

// What the tests are made with.

const SCREEN: Size = Size {
    width: 640,
    height: 360,
};

/// One meeting at a time: what is measured in real time needs the machine.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    gstroomseal::plugins::gst_init().unwrap();
    ONE.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits for something that takes a moment; the limit is for machines under load.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

struct Meeting {
    present: Present,
    events: Arc<Mutex<Vec<PresentEvent>>>,
}

impl Meeting {
    fn start(config: PresentConfig) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        let present = Present::start(
            config,
            Arc::new(move |event| sink.lock().unwrap().push(event)),
        )
        .unwrap();
        Self { present, events }
    }

    /// Sends a clip as fast as it is opened.
    fn play(&self, sender: &mut Sender, clip: &Clip, sid: &str) {
        self.play_range(sender, clip, sid, 0..clip.frames.len());
    }

    fn play_range(
        &self,
        sender: &mut Sender,
        clip: &Clip,
        sid: &str,
        range: std::ops::Range<usize>,
    ) {
        for frame in &clip.frames[range] {
            let arrived = self.arrived(sid);
            self.present.push(sid, sender.seal(frame, clock::now()));
            until("a frame to be looked at", || self.arrived(sid) > arrived);
        }
    }

    fn arrived(&self, sid: &str) -> u64 {
        let stats = self.present.track_stats(sid).unwrap();
        let frames = stats.frames.frames;
        frames.opened + frames.refused()
    }

    fn state_events(&self, of: &str) -> Vec<TrackState> {
        let events = self.events.lock().unwrap();
        let states = events.iter().filter_map(|event| match event {
            PresentEvent::TrackState { sid, state } if sid == of => Some(*state),
            _ => None,
        });
        states.collect()
    }

    fn key_frames_wanted(&self, of: &str) -> usize {
        let events = self.events.lock().unwrap();
        let wanted = |event: &&PresentEvent| matches!(event, PresentEvent::KeyFrameWanted { sid } if sid == of);
        events.iter().filter(wanted).count()
    }

    fn files_started(&self) -> usize {
        let events = self.events.lock().unwrap();
        let started =
            |event: &&PresentEvent| matches!(event, PresentEvent::RecordingStarted { .. });
        events.iter().filter(started).count()
    }

    fn failures(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let reasons = events.iter().filter_map(|event| match event {
            PresentEvent::DecoderFailed { reason, .. }
            | PresentEvent::OutputFailed { reason, .. }
            | PresentEvent::RecordingFailed { reason } => Some(reason.clone()),
            _ => None,
        });
        reasons.collect()
    }
}

fn spec(sid: &str, identity: &str, codec: Codec) -> RemoteTrackSpec {
    RemoteTrackSpec {
        sid: sid.to_owned(),
        identity: identity.to_owned(),
        name: identity.to_owned(),
        codec,
        source: match codec {
            Codec::Opus => TrackSource::Microphone,
            Codec::H264 | Codec::Vp8 => TrackSource::Camera,
        },
        mode: OpenMode::Require,
        sif_trailer: Vec::new(),
    }
}

fn with_snapshots(directory: &Path) -> PresentConfig {
    PresentConfig {
        recording: Some(RecordConfig {
            directory: directory.to_owned(),
            streams: false,
            snapshot_every: Some(Duration::from_millis(500)),
        }),
        ..PresentConfig::default()
    }
}

fn recording(directory: &Path) -> PresentConfig {
    PresentConfig {
        recording: Some(RecordConfig {
            directory: directory.to_owned(),
            streams: true,
            snapshot_every: None,
        }),
        ..PresentConfig::default()
    }
}

fn key(number: u8) -> FrameKey {
    FrameKey::from_raw_key(&RawKey::new(vec![number; 32]))
}

fn ring(number: u8) -> KeyRing {
    let mut ring = KeyRing::new();
    ring.set(KeyIndex::default(), key(number));
    ring
}

/// One sending track.
struct Sender {
    codec: Codec,
    sealer: Sealer,
}

impl Sender {
    fn new(codec: Codec, key_number: u8) -> Self {
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

    fn seal(&mut self, frame: &gst::Buffer, pts: gst::ClockTime) -> gst::Buffer {
        self.try_seal(frame, pts).unwrap()
    }

    fn try_seal(&mut self, frame: &gst::Buffer, pts: gst::ClockTime) -> Option<gst::Buffer> {
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
struct Clip {
    frames: Vec<gst::Buffer>,
}

impl Clip {
    fn vp8(pattern: &str, frames: u32) -> Self {
        Self::video(pattern, frames, "vp8enc deadline=1 keyframe-max-dist=9999")
    }

    fn h264(pattern: &str, frames: u32) -> Self {
        Self::video(
            pattern,
            frames,
            "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=9999 ! \
             video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au",
        )
    }

    fn video(pattern: &str, frames: u32, encoder: &str) -> Self {
        Self::encode(&format!(
            "videotestsrc pattern={pattern} num-buffers={frames} ! \
             video/x-raw,format=I420,width=320,height=240,framerate={FPS}/1 ! {encoder}"
        ))
    }

    /// A tone; each packet is 20 ms.
    fn opus(hertz: u32, packets: u32) -> Self {
        let mut clip = Self::encode(&format!(
            "audiotestsrc freq={hertz} num-buffers={packets} samplesperbuffer=960 ! \
             audio/x-raw,format=S16LE,rate=48000,channels=1 ! opusenc frame-size=20"
        ));
        clip.frames.truncate(packets as usize);
        clip
    }

    fn encode(description: &str) -> Self {
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
fn garbage(codec: Codec, seed: u64) -> gst::Buffer {
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

/// What a player makes of a recording.
struct Played {
    pictures: usize,
    size: (i32, i32),
    sound: Vec<f64>,
    first_picture: gst::ClockTime,
    first_sound: gst::ClockTime,
    length: Option<gst::ClockTime>,
    seekable: bool,
}

impl Played {
    fn of(path: &Path) -> Self {
        let pipeline = gst::Pipeline::new();
        let source = gst::ElementFactory::make("filesrc")
            .property("location", path.to_str().unwrap())
            .build()
            .unwrap();
        let decoder = gst::ElementFactory::make("decodebin").build().unwrap();
        pipeline.add_many([&source, &decoder]).unwrap();
        source.link(&decoder).unwrap();
        let sinks: Arc<Mutex<Vec<(bool, gst_app::AppSink)>>> = Arc::default();
        {
            let (pipeline, sinks) = (pipeline.downgrade(), Arc::clone(&sinks));
            decoder.connect_pad_added(move |_, pad| {
                let pipeline = pipeline.upgrade().unwrap();
                let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
                let video = caps.structure(0).unwrap().name() == "video/x-raw";
                let convert = if video {
                    "videoconvert"
                } else {
                    "audioconvert"
                };
                let convert = gst::ElementFactory::make(convert).build().unwrap();
                let sink = gst_app::AppSink::builder().sync(false).build();
                if !video {
                    let mono = "audio/x-raw,format=S16LE,channels=1";
                    sink.set_caps(Some(&mono.parse().unwrap()));
                }
                pipeline.add_many([&convert, sink.upcast_ref()]).unwrap();
                convert.link(&sink).unwrap();
                pad.link(&convert.static_pad("sink").unwrap()).unwrap();
                sink.sync_state_with_parent().unwrap();
                convert.sync_state_with_parent().unwrap();
                sinks.lock().unwrap().push((video, sink));
            });
        }
        pipeline.set_state(gst::State::Playing).unwrap();
        let (outcome, ..) = pipeline.state(gst::ClockTime::from_seconds(20));
        outcome.unwrap_or_else(|_| panic!("{} does not play", path.display()));
        let length = pipeline.query_duration::<gst::ClockTime>();
        let mut query = gst::query::Seeking::new(gst::Format::Time);
        let seekable = pipeline.query(&mut query) && query.result().0;
        let mut played = Self {
            pictures: 0,
            size: (0, 0),
            sound: Vec::new(),
            first_picture: gst::ClockTime::ZERO,
            first_sound: gst::ClockTime::ZERO,
            length,
            seekable,
        };
        let sinks = std::mem::take(&mut *sinks.lock().unwrap());
        // Both at once, or the demuxer would wait for the one that is not read.
        std::thread::scope(|scope| {
            let readers: Vec<_> = sinks
                .iter()
                .map(|(video, sink)| {
                    scope.spawn(move || {
                        let samples: Vec<gst::Sample> =
                            std::iter::from_fn(|| sink.pull_sample().ok()).collect();
                        (*video, samples)
                    })
                })
                .collect();
            for reader in readers {
                let (video, samples) = reader.join().unwrap();
                let first = samples
                    .first()
                    .and_then(|sample| sample.buffer()?.pts())
                    .unwrap_or_default();
                if video {
                    played.pictures = samples.len();
                    played.first_picture = first;
                    if let Some(sample) = samples.first() {
                        let caps = sample.caps().unwrap().structure(0).unwrap();
                        played.size = (caps.get("width").unwrap(), caps.get("height").unwrap());
                    }
                } else {
                    played.first_sound = first;
                    for sample in samples {
                        let data = sample.buffer().unwrap().map_readable().unwrap();
                        let values = data.chunks_exact(2);
                        played.sound.extend(
                            values.map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]]))),
                        );
                    }
                }
            }
        });
        pipeline.set_state(gst::State::Null).unwrap();
        played
    }
}

/// What a file of raw samples holds.
fn samples(path: &Path) -> Vec<f64> {
    std::fs::read(path)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])))
        .collect()
}

/// Power at one frequency (Goertzel), for 48 000 samples per second.
fn power(samples: &[f64], hertz: u32) -> f64 {
    let turn = std::f64::consts::TAU * f64::from(hertz) / 48_000.0;
    let (mut re, mut im) = (0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let angle = turn * index as f64;
        re += sample * angle.cos();
        im += sample * angle.sin();
    }
    re.hypot(im) / samples.len() as f64
}

/// The newest whole picture in a file of raw RGB pictures.
fn last_picture(path: &Path) -> Option<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path).ok()?;
    let one = u64::from(SCREEN.width * SCREEN.height * 3);
    let whole = file.metadata().ok()?.len() / one;
    file.seek(SeekFrom::Start(whole.checked_sub(1)? * one))
        .ok()?;
    let mut picture = vec![0; one as usize];
    file.read_exact(&mut picture).ok()?;
    Some(picture)
}

fn pixel(picture: &[u8], size: Size, x: u32, y: u32) -> [u8; 3] {
    let at = ((y * size.width + x) * 3) as usize;
    [picture[at], picture[at + 1], picture[at + 2]]
}

fn is_red([red, green, blue]: [u8; 3]) -> bool {
    red > 200 && green < 60 && blue < 60
}

fn read_png(path: &PathBuf) -> (Size, Vec<u8>) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let size = Size {
        width: info.width,
        height: info.height,
    };
    (size, pixels)
}

fn entries(directory: &str) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}
