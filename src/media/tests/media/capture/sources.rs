// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sources that are missing, vanish, or fall silent.

use super::*;

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
