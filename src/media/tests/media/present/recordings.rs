// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a recording holds.

use gstroomseal::clock;
use roomseal_e2ee::Codec;

use super::clip::{Clip, Sender};
use super::meeting::{FPS, Meeting, alone, recording, ring, spec, until};
use super::played::{Played, power};

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
fn a_camera_that_is_published_anew_begins_a_file_without_the_one_it_takes_the_place_of() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let meeting = Meeting::start(recording(files.path()));
    meeting.present.announce_tracks("ann", 1);
    let begin = clock::now();
    let at = |index: usize| begin + gst::ClockTime::SECOND * index as u64 / FPS;
    let mut sent = 0;
    for (sid, codec, clip) in [
        ("old", Codec::Vp8, Clip::vp8("ball", 40)),
        ("new", Codec::H264, Clip::h264("ball", 60)),
    ] {
        let mut camera = Sender::new(codec, 1);
        let spec = spec(sid, "ann", codec);
        meeting.present.add_track(spec, ring(1)).unwrap();
        for frame in &clip.frames {
            meeting.present.push(sid, camera.seal(frame, at(sent)));
            sent += 1;
        }
        until("its frames to be opened", || {
            let opened = meeting.present.stats()[sid].frames.frames.opened;
            opened == clip.frames.len() as u64
        });
    }
    until("the second file", || meeting.files_started() == 2);
    meeting.present.stop();
    let first = Played::of(&files.path().join("ann-001.mkv"));
    assert_eq!(first.pictures, 40);
    let second = Played::of(&files.path().join("ann-002.mkv"));
    assert_eq!((second.videos, second.pictures), (1, 60));
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
