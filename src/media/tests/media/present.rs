// SPDX-License-Identifier: MIT OR Apache-2.0

//! The receiving half: frames are encoded and sealed here, and looked at where they come out.

mod clip;
mod meeting;
mod played;
mod recordings;
mod sound;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gstroomseal::clock;
use gstroomseal::present::{
    Display, Output, Overlay, Patch, Present, PresentConfig, PresentEvent, RecordConfig,
    RemoteTrackSpec, Speaker, TrackState,
};
use roomseal_e2ee::{Codec, Verdict};

use clip::{Clip, Sender, garbage};
use meeting::{Meeting, SCREEN, alone, ring, spec, until, with_snapshots};
use played::{entries, is_red, last_picture, pixel, read_png};

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
fn a_drawing_lies_over_the_picture_for_as_long_as_it_is_renewed_and_nobody_is_shown_in_the_header()
{
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let composed = files.path().join("composed.rgb");
    let meeting = Meeting::start(PresentConfig {
        display: Display::Elements(format!(
            "videoconvert ! video/x-raw,format=RGB ! filesink buffer-mode=unbuffered location={}",
            composed.display()
        )),
        size: SCREEN,
        header: 40,
        ..PresentConfig::default()
    });
    let mut camera = Sender::new(Codec::Vp8, 1);
    let spec = spec("cam", "ann", Codec::Vp8);
    meeting.present.add_track(spec, ring(1)).unwrap();
    let clip = Clip::vp8("red", 20);
    let at = |x, y| last_picture(&composed).map(|picture| pixel(&picture, SCREEN, x, y));
    let drawn = |opacity: &str| Overlay {
        patches: vec![Patch {
            x: 100,
            y: 60,
            svg: format!(
                "<svg xmlns='http://www.w3.org/2000/svg' width='40' height='20'>\
                 <rect width='40' height='20' fill='white' fill-opacity='{opacity}'/></svg>"
            )
            .into(),
        }],
    };
    let white = |pixel: [u8; 3]| pixel.iter().all(|part| *part > 220);
    until("the drawing over the picture", || {
        meeting.play(&mut camera, &clip, "cam");
        meeting.present.set_overlay(drawn("1"));
        at(120, 70).is_some_and(white) && at(320, 200).is_some_and(is_red)
    });
    // Black above, where nobody is shown, and the picture beside it.
    assert!(at(320, 20).unwrap().iter().all(|part| *part < 40));
    assert!(is_red(at(160, 70).unwrap()));
    until("another drawing, through which the picture is seen", || {
        meeting.play(&mut camera, &clip, "cam");
        meeting.present.set_overlay(drawn("0.5"));
        at(120, 70).is_some_and(|p| p[0] > 180 && (90..190).contains(&p[1]))
    });
    until("the picture without the drawing that nobody renews", || {
        meeting.play(&mut camera, &clip, "cam");
        at(120, 70).is_some_and(is_red)
    });
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
