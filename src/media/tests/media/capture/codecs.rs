// SPDX-License-Identifier: MIT OR Apache-2.0
//! Codecs and encoders, and what they give up on a narrow network or a busy board.

use super::*;

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
