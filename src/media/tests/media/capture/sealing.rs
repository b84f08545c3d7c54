// SPDX-License-Identifier: MIT OR Apache-2.0
//! What leaves: nothing without a mode, and nothing that the key does not open.

use super::*;

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
