// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is heard at the box itself when encryption is about to go off.

use std::fs;
use std::time::{Duration, Instant};

use roomseal_tests::livekit::Server;
use roomseal_tests::toggle::Button;

use crate::roomseal::{new_meeting, start, wait_for_shield};
use crate::{SOON, one_at_a_time};

/// How many samples of a WAV file are louder than a thirtieth of what there is.
fn loud(file: &std::path::Path) -> usize {
    /// As `wavenc` writes it.
    const HEADER: usize = 44;
    let bytes = fs::read(file).unwrap_or_default();
    let samples = bytes.get(HEADER..).unwrap_or_default().chunks_exact(2);
    let loud = samples.filter(|pair| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs() > 1_000);
    loud.count()
}

#[test]
fn a_chime_says_that_encryption_is_about_to_go_off() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let (host_link, _) = new_meeting(&folder.path().join("meeting"), "chime", &[]);
    let panel = folder.path().join("panel");
    let sound = folder.path().join("speaker.wav");
    let speaker = format!("file:{}", sound.display());
    // Alone, so that nothing else is heard.
    let host = start("run", "box", &host_link)
        .with(["--camera", "test", "--microphone", "test"])
        .with(["--panel-dir", panel.to_str().unwrap()])
        .with(["--speaker", &speaker])
        .join(&server, "chime");
    wait_for_shield(&host, Instant::now(), "waiting");
    assert_eq!(loud(&sound), 0, "before anything is announced");
    let held = Button::of(&panel).hold();
    host.wait_since(held, "announcement that it goes off", SOON, |status| {
        let newest = status.happenings.last()?;
        newest.text.contains("goes off in").then_some(())
    });
    let deadline = Instant::now() + SOON;
    while loud(&sound) < 8_000 {
        assert!(
            Instant::now() < deadline,
            "no chime: {} loud samples",
            loud(&sound)
        );
        // A file has no event for that.
        std::thread::sleep(Duration::from_millis(100));
    }
}
