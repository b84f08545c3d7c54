// SPDX-License-Identifier: MIT OR Apache-2.0

//! What comes out of the loudspeaker.

use std::path::Path;
use std::time::Duration;

use gstroomseal::clock;
use gstroomseal::present::{PresentConfig, Speaker};
use roomseal_e2ee::Codec;

use super::clip::{Clip, Sender};
use super::meeting::{Meeting, alone, ring, spec, until};
use super::played::{power, samples};

/// A loudspeaker whose sound is written into a file.
fn loudspeaker(file: &Path) -> Speaker {
    Speaker::Elements(format!(
        "audioconvert ! audio/x-raw,format=S16LE,rate=48000,channels=1 ! \
         filesink sync=true buffer-mode=unbuffered location={}",
        file.display()
    ))
}

#[test]
fn two_packets_that_are_lost_leave_no_hole_in_the_sound() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let mixed = files.path().join("mixed.raw");
    let meeting = Meeting::start(PresentConfig {
        speaker: loudspeaker(&mixed),
        // Packets may come as late as a machine under load lets them.
        playout_delay: Duration::from_millis(900),
        ..PresentConfig::default()
    });
    let mut ann = Sender::new(Codec::Opus, 1);
    let spec = spec("a", "ann", Codec::Opus);
    meeting.present.add_track(spec, ring(1)).unwrap();
    // What comes before the decoder is made is not heard, so until then nothing is said.
    let silence = &Clip::opus(0, 1).frames[0];
    until("the decoder", || {
        meeting.present.push("a", ann.seal(silence, clock::now()));
        meeting.present.track_stats("a").unwrap().decoded > 0
    });
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
        speaker: loudspeaker(&mixed),
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
fn a_chime_is_heard_where_nobody_speaks_and_each_time() {
    let _alone = alone();
    let files = tempfile::tempdir().unwrap();
    let mixed = files.path().join("mixed.raw");
    let meeting = Meeting::start(PresentConfig {
        speaker: loudspeaker(&mixed),
        ..PresentConfig::default()
    });
    until("a loudspeaker", || !samples(&mixed).is_empty());
    let loud = || samples(&mixed).iter().filter(|s| s.abs() > 1_000.0).count();
    for times in 1..=2 {
        meeting.present.chime();
        // Each tone is louder than that for more than a third of its time.
        until("the chime", || loud() > times * 8_000);
    }
    let sound = samples(&mixed);
    let first = sound.iter().position(|s| s.abs() > 1_000.0).unwrap();
    let (high, low) = (
        &sound[first..first + 9_600],
        &sound[first + 14_400..first + 24_000],
    );
    assert!(power(high, 1_319) > 20.0 * power(high, 880));
    assert!(power(low, 880) > 20.0 * power(low, 1_319));
    assert!(meeting.failures().is_empty(), "{:?}", meeting.failures());
}
