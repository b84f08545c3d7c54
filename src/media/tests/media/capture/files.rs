// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file as camera and microphone.

use super::*;

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
