// SPDX-License-Identifier: MIT OR Apache-2.0
//! Box and guest: what is sealed on one side opens on the other, with the right key and with no other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use roomseal_appliance::status::Connection;
use roomseal_tests::appliance::{Start, participant};
use roomseal_tests::footage;
use roomseal_tests::livekit::Server;

use crate::{HEIGHT, SOON, WIDTH, one_at_a_time, sdk, talking_clip};

/// `(element, digest of the plain frame)` in the order of the log.
fn digests(log: &str) -> Vec<(String, String)> {
    log.lines()
        .filter_map(|line| {
            let (before, after) = line.split_once("frame digest=")?;
            let element = before.rsplit_once('<')?.1.split_once('>')?.0;
            Some((element.to_owned(), after.split(' ').next()?.to_owned()))
        })
        .collect()
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .collect();
    files.sort();
    files
}

/// The share of sealed frames that has to be found again on loopback. The rest is for packets that a busy machine really drops.
const LEAST_FOUND: f64 = 0.995;

#[test]
fn a_guest_with_the_key_opens_every_frame_and_records_the_clip_that_the_box_sends() {
    the_guest_opens_every_frame(Server::on_loopback);
}

/// `start`: makes the meeting service.
pub(crate) fn the_guest_opens_every_frame(start: fn() -> Server) {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let server = start();
    // With one encoder to choose from, no other takes over in the meeting, with a sealing element of its own.
    let boards = sdk::board_with("vp8enc", folder.path());
    let mut sender = Start::new("run", "box")
        .playing(&clip)
        .with(["--board-dir", boards.to_str().unwrap()])
        .gst_debug("frameencrypt:TRACE")
        .join(&server, "sealed");
    let recordings = folder.path().join("recordings");
    let mut guest = Start::new("guest", "guest")
        .gst_debug("framedecrypt:TRACE")
        .with(["--record", recordings.to_str().unwrap(), "--snapshots", "2"])
        .join(&server, "sealed");
    guest.wait_for_track("verified picture", "box", "camera", SOON, |t| {
        t.verification == "verified"
    });
    guest.wait_for_track("verified sound", "box", "microphone", SOON, |t| {
        t.verification == "verified"
    });
    // Long enough for several spoken words: 10 s of Opus frames at 20 ms.
    let heard = guest.wait_for_track("ten seconds of sound", "box", "microphone", SOON, |t| {
        t.opened >= 500
    });
    let seen = guest.wait_for_track("pictures", "box", "camera", SOON, |t| t.opened >= 100);
    println!(
        "guest: {} frames of sound and {} of video opened",
        heard.opened, seen.opened
    );
    assert!(
        guest.interrupt_cleanly(),
        "the guest ends cleanly on Ctrl-C"
    );
    assert!(sender.interrupt_cleanly(), "the box ends cleanly on Ctrl-C");

    // Every frame that was sealed while the guest was there is found again after opening.
    let opened: BTreeSet<String> = digests(&guest.gst_log())
        .into_iter()
        .map(|(_, digest)| digest)
        .collect();
    let mut sealed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (element, digest) in digests(&sender.gst_log()) {
        sealed.entry(element).or_default().push(digest);
    }
    assert_eq!(
        sealed.len(),
        2,
        "one sealing element for sound, one for video: {:?}",
        sealed.keys()
    );
    for (element, digests) in &sealed {
        // Frames of digital silence are all alike: only one that is unique says when the guest was there.
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for digest in digests {
            *times.entry(digest).or_default() += 1;
        }
        let found = |digest: &String| times[digest.as_str()] == 1 && opened.contains(digest);
        let first = digests
            .iter()
            .position(found)
            .expect("some of its frames were opened");
        let last = digests
            .iter()
            .rposition(found)
            .expect("some of its frames were opened");
        let span = &digests[first..=last];
        let found = span.iter().filter(|d| opened.contains(*d)).count();
        println!(
            "{element}: {found} of {} sealed frames found again after opening",
            span.len()
        );
        let map: String = span
            .iter()
            .map(|d| if opened.contains(d) { '.' } else { 'x' })
            .collect();
        assert!(span.len() >= 90);
        assert!(
            found as f64 >= LEAST_FOUND * span.len() as f64,
            "{element}: lost are those marked x: {map}"
        );
    }

    // The recording shows the clip and says its words.
    let recording = files(&recordings, "mkv")
        .pop()
        .expect("the guest wrote a recording");
    let source = footage::pictures(&clip, WIDTH, HEIGHT);
    let pictures = footage::pictures(&recording, WIDTH, HEIGHT);
    assert!(
        pictures.len() >= 100,
        "{} pictures in the recording",
        pictures.len()
    );
    for at in [
        pictures.len() / 3,
        pictures.len() / 2,
        pictures.len() * 3 / 4,
    ] {
        let (number, correlation) = pictures[at].best_of(&source);
        println!(
            "picture {at} of the recording is picture {number} of the clip: correlation {correlation:.3}"
        );
        assert!(correlation >= 0.9);
    }
    let found = footage::find_sound(&footage::sound(&recording), &footage::speech(), 2);
    println!(
        "sound: correlation {:.3}, {:.2} s into the source",
        found.correlation, found.lag
    );
    assert!(found.correlation >= 0.8);
    assert!(
        !files(&recordings, "png").is_empty(),
        "the guest wrote no snapshot"
    );
}

#[test]
fn a_guest_with_another_key_sees_who_is_there_opens_nothing_and_names_the_tracks() {
    let _turn = one_at_a_time();
    let server = Server::on_loopback();
    let _sender = Start::new("run", "box")
        .with(["--camera", "test"])
        .join(&server, "other-key");
    let mut guest = Start::new("guest", "guest")
        .passphrase("another")
        .join(&server, "other-key");
    opens_nothing(&mut guest);
}

#[test]
fn a_guest_without_a_key_sees_who_is_there_opens_nothing_and_names_the_tracks() {
    let _turn = one_at_a_time();
    let server = Server::on_loopback();
    let _sender = Start::new("run", "box")
        .with(["--camera", "test"])
        .join(&server, "no-key");
    let mut guest = Start::new("guest", "guest")
        .without_key()
        .join(&server, "no-key");
    opens_nothing(&mut guest);
}

fn opens_nothing(guest: &mut roomseal_tests::appliance::Appliance) {
    guest.wait_until_joined();
    guest.wait_for("box in the roster", SOON, |s| {
        participant(s, "box").map(|_| ())
    });
    for source in ["camera", "microphone"] {
        let track = guest.wait_for_track("refusals", "box", source, SOON, |t| t.refused >= 20);
        assert_eq!(track.opened, 0, "{source}");
        assert_ne!(track.verification, "verified", "{source}");
        guest.process.wait_for(
            &format!("line about the {source}"),
            Duration::from_secs(5),
            |line| {
                (line.contains("box") && line.contains(source) && line.contains("key"))
                    .then_some(())
            },
        );
    }
    let ended = guest.status();
    assert_eq!(ended.connection, Connection::Joined, "it stays in the room");
}
