// SPDX-License-Identifier: MIT OR Apache-2.0
//! The box in a room with LiveKit's official SDK: other code for every byte on the wire.

use std::fs;
use std::path::{Path, PathBuf};

use roomseal_e2ee::Codec;
use roomseal_tests::appliance::{PASSPHRASE, Start};
use roomseal_tests::footage::{self, Luma};
use roomseal_tests::livekit::Server;
use roomseal_tests::places;
use roomseal_tests::sdk::{Peer, Picture, Published};

use crate::{HEIGHT, SOON, WIDTH, one_at_a_time, talking_clip};

/// The size that the SDK publishes in.
const SENT: (usize, usize) = (640, 272);
/// Rows at the top of its pictures that hold the drawn number.
const NUMBER_ROWS: usize = 32;

#[test]
fn the_official_sdk_opens_what_the_box_seals() {
    the_sdk_opens(Server::on_loopback, "vp8enc", "to-sdk", "video/VP8");
}

#[test]
fn the_official_sdk_opens_h264_that_the_box_seals() {
    the_sdk_opens(Server::on_loopback, "x264enc", "h264-to-sdk", "video/H264");
}

/// The simulated board with one video encoder; returns the directory of board files.
pub(crate) fn board_with(encoder: &str, folder: &Path) -> PathBuf {
    let shipped = fs::read_to_string(places::root().join("board/sim/board.toml")).unwrap();
    let order = shipped
        .lines()
        .find(|line| line.starts_with("encoders = "))
        .expect("the shipped board names encoders");
    let boards = folder.join("boards");
    fs::create_dir_all(boards.join("sim")).unwrap();
    fs::write(
        boards.join("sim/board.toml"),
        shipped.replace(order, &format!("encoders = [\"{encoder}\"]")),
    )
    .unwrap();
    boards
}

/// `start`: makes the meeting service.
pub(crate) fn the_sdk_opens(start: fn() -> Server, encoder: &str, room: &str, mime: &str) {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let server = start();
    let boards = board_with(encoder, folder.path());
    let sender = Start::new("run", "box")
        .playing(&clip)
        .with(["--board-dir", boards.to_str().unwrap()])
        .join(&server, room);
    let url = server.url();
    let mut peer = Peer::join(
        &url,
        &server.token("sdk", room),
        Some(PASSPHRASE),
        Published::NOTHING,
        folder.path(),
    );
    peer.wait_for("first_picture", SOON, |e| e["identity"] == "box");
    peer.wait_for("first_sound", SOON, |e| e["identity"] == "box");
    peer.wait_until_decoded("box", 120, 8 * footage::RATE as u64);
    let failures: Vec<_> = peer
        .events("e2ee")
        .into_iter()
        .filter(|e| e["state"] != "OK" && e["state"] != "NEW")
        .collect();
    assert!(failures.is_empty(), "{failures:?}");
    let tracks = peer.events("track");
    assert!(
        tracks.iter().all(|t| t["encryption"] == 1),
        "tracks are declared GCM: {tracks:?}"
    );
    assert!(tracks.iter().any(|t| t["mime"] == mime), "{tracks:?}");
    let sent = sender.status().local_tracks;
    assert!(
        sent.iter().any(|t| t.encoder.starts_with(encoder)),
        "{sent:?}"
    );
    peer.leave();

    let pictures = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().path());
    let pictures: Vec<_> = pictures
        .filter(|p| p.extension().is_some_and(|e| e == "pgm"))
        .collect();
    let one = Luma::from_pgm(pictures.last().expect("the peer saved pictures"));
    let source = footage::pictures(&clip, one.width, one.height);
    let (number, correlation) = one.best_of(&source);
    println!(
        "the SDK decoded {} x {}: picture {number} of the clip, correlation {correlation:.3}",
        one.width, one.height
    );
    assert!(correlation >= 0.9);
    let heard = footage::samples_of(&fs::read(folder.path().join("box.s16")).unwrap());
    // Its jitter buffer stretches and shortens what it plays to keep the delay small, so only a short piece lies
    // still enough to be laid over the source.
    let found = footage::find_sound(&heard, &footage::speech(), 1);
    println!(
        "sound: correlation {:.3}, {:.2} s into the source",
        found.correlation, found.lag
    );
    assert!(found.correlation >= 0.8);
}

#[test]
fn the_official_sdk_with_another_key_reports_failure_and_decodes_nothing() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let _sender = Start::new("run", "box")
        .with(["--camera", "test"])
        .join(&server, "sdk-other");
    let token = server.token("sdk", "sdk-other");
    let peer = Peer::join(
        &server.url(),
        &token,
        Some("another"),
        Published::NOTHING,
        folder.path(),
    );
    peer.wait_for("e2ee", SOON, |e| {
        e["identity"] == "box" && e["state"] == "DECRYPTION_FAILED"
    });
    let seen = peer.leave();
    assert_eq!(seen["box"]["video"]["frames"].as_u64().unwrap_or(0), 0);
}

#[test]
fn the_box_opens_what_the_official_sdk_seals() {
    the_box_opens(Server::on_loopback, Codec::Vp8, "from-sdk", "video/VP8");
}

#[test]
fn the_box_opens_h264_that_the_official_sdk_seals() {
    the_box_opens(
        Server::on_loopback,
        Codec::H264,
        "h264-from-sdk",
        "video/H264",
    );
}

/// Files of pictures and sound for the SDK to publish.
pub(crate) fn raw_clip(folder: &Path) -> (PathBuf, PathBuf) {
    let (picture, sound) = (folder.join("clip.i420"), folder.join("speech.s16"));
    let bikes = footage::clip("bikes.mp4");
    fs::write(&picture, footage::raw_frames(&bikes, SENT.0, SENT.1)).unwrap();
    fs::write(&sound, footage::bytes_of(&footage::speech())).unwrap();
    (picture, sound)
}

/// The pictures of such a file, with their numbers drawn over them.
pub(crate) fn numbered(file: &Path, codec: Codec) -> Picture<'_> {
    Picture {
        file,
        width: SENT.0,
        height: SENT.1,
        rate: 15,
        codec,
    }
}

/// `start`: makes the meeting service.
pub(crate) fn the_box_opens(start: fn() -> Server, codec: Codec, room: &str, mime: &str) {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let (picture, sound) = raw_clip(folder.path());
    let bikes = footage::clip("bikes.mp4");
    let server = start();
    let recordings = folder.path().join("recordings");
    let mut guest = Start::new("guest", "guest")
        .with(["--record", recordings.to_str().unwrap()])
        .join(&server, room);
    let published = Published {
        picture: Some(numbered(&picture, codec)),
        sound: Some(&sound),
    };
    let peer = Peer::join(
        &server.url(),
        &server.token("sdk", room),
        Some(PASSPHRASE),
        published,
        folder.path(),
    );
    guest.wait_for_track("ten seconds of sound", "sdk", "microphone", SOON, |t| {
        t.opened >= 500
    });
    let seen = guest.wait_for_track("pictures", "sdk", "camera", SOON, |t| t.opened >= 90);
    println!(
        "{} frames of the SDK opened, {} refused",
        seen.opened, seen.refused
    );
    assert_eq!(seen.refused, 0);
    assert_eq!(seen.verification, "verified");
    // What the SDK says of its own tracks leaves the codec out; the server has to know it.
    assert!(server.says_codec(mime), "{}", server.log());
    assert!(guest.interrupt_cleanly());
    peer.leave();

    let recording = fs::read_dir(&recordings)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "mkv"));
    let recording = recording.expect("the guest wrote a recording");
    let pictures = footage::pictures(&recording, WIDTH, HEIGHT);
    // The drawn number covers the top rows.
    let rows = NUMBER_ROWS * HEIGHT / SENT.1 + 1;
    let source: Vec<Luma> = footage::pictures(&bikes, WIDTH, HEIGHT)
        .iter()
        .map(|p| p.below(rows))
        .collect();
    let (number, correlation) = pictures[pictures.len() / 2].below(rows).best_of(&source);
    println!("picture {number} of the clip, correlation {correlation:.3}");
    assert!(correlation >= 0.9);
    let found = footage::find_sound(&footage::sound(&recording), &footage::speech(), 2);
    println!(
        "sound: correlation {:.3}, {:.2} s into the source",
        found.correlation, found.lag
    );
    assert!(found.correlation >= 0.8);
}
