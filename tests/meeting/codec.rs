// SPDX-License-Identifier: MIT OR Apache-2.0
//! The box goes over to another codec in the running meeting: to the better one once its encoder is proved, and back to
//! VP8 while somebody is there who cannot decode H.264.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use roomseal_appliance::status::Status;
use roomseal_media::budget::{EncodeBudget, MediaBudget};
use roomseal_media::encoder::Encoders;
use roomseal_service::livekit::TrackSource;
use roomseal_tests::appliance::{Appliance, Start, participant};
use roomseal_tests::bare::Bare;
use roomseal_tests::livekit::Server;
use roomseal_tests::{footage, places};

use crate::{HEIGHT, SOON, WIDTH, one_at_a_time, talking_clip};

/// A proof takes seconds, and all encoders are proved before the best is taken.
const PROVED: Duration = Duration::from_secs(60);

/// Best first. With a cold cache a box begins with VP8, which needs no proof.
const ENCODERS: [&str; 2] = ["x264enc", "vp8enc"];

/// A board whose best encoder is one for H.264.
fn board_that_prefers_h264(folder: &Path) -> PathBuf {
    let simulated = fs::read_to_string(places::root().join("board/sim/board.toml")).unwrap();
    let order = format!("encoders = {ENCODERS:?}");
    let lines = simulated.lines().map(|line| {
        if line.starts_with("id = ") {
            "id = \"proving\""
        } else if line.starts_with("encoders = ") {
            &order
        } else {
            line
        }
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    assert!(text.contains("\"proving\"") && text.contains(&order));
    let board = folder.join("proving");
    fs::create_dir(&board).unwrap();
    fs::write(board.join("board.toml"), text).unwrap();
    board
}

/// A box on such a board that keeps what it finds out in `cache`.
fn start_box(board: &Path, cache: &Path, clip: &Path, server: &Server) -> Appliance {
    Start::new("run", "box")
        .board(board)
        .playing(clip)
        .environment("CACHE_DIRECTORY", cache.to_str().unwrap())
        .join(server, "codec")
}

fn camera_codec(status: &Status) -> Option<&str> {
    let camera = status.local_tracks.iter().find(|t| t.source == "camera")?;
    Some(&camera.codec)
}

fn wait_for_codec(sender: &Appliance, since: Instant, codec: &str, within: Duration) -> Instant {
    sender.wait_since(since, &format!("{codec} at the box"), within, |status| {
        (camera_codec(status) == Some(codec)).then_some(())
    });
    Instant::now()
}

/// The names of the box's camera tracks for the guest, with how many frames of each have opened.
fn cameras(status: &Status) -> Vec<(String, u64)> {
    let of_box = participant(status, "box");
    let tracks = of_box.into_iter().flat_map(|p| &p.tracks);
    tracks
        .filter(|track| track.source == "camera" && track.verification == "verified")
        .map(|track| (track.sid.clone(), track.opened))
        .collect()
}

/// Waits until frames of another camera track than `before` open, and of no other; gives its name.
fn another_camera(guest: &Appliance, since: Instant, before: &str) -> String {
    guest.wait_since(
        since,
        "another verified camera track",
        SOON,
        |status| match &cameras(status)[..] {
            [(sid, opened)] if sid != before && *opened >= 25 => Some(sid.clone()),
            _ => None,
        },
    )
}

/// When the guest opened frames of pictures, by opening element in the order of their first, in the log's time.
fn opened_pictures(guest: &Appliance) -> Vec<Vec<Duration>> {
    let mut elements: Vec<(String, Vec<Duration>, Vec<u64>)> = Vec::new();
    for line in guest
        .gst_log()
        .lines()
        .filter(|l| l.contains("frame digest="))
    {
        let time = line.split(' ').next().unwrap_or_default();
        let mut parts = time.split(':').map(|part| part.parse::<f64>().unwrap());
        let (h, m, s) = (parts.next(), parts.next(), parts.next());
        let seconds = h.unwrap() * 3600.0 + m.unwrap() * 60.0 + s.unwrap();
        let element = line.rsplit_once('<').unwrap().1.split_once('>').unwrap().0;
        let length = line.rsplit_once("len=").unwrap().1;
        let length: u64 = length.split(' ').next().unwrap().parse().unwrap();
        let at = elements.iter().position(|(name, ..)| name == element);
        let at = at.unwrap_or_else(|| {
            elements.push((element.to_owned(), Vec::new(), Vec::new()));
            elements.len() - 1
        });
        elements[at].1.push(Duration::from_secs_f64(seconds));
        elements[at].2.push(length);
    }
    // A key frame of a picture is larger than any frame of sound.
    elements.retain(|(_, _, lengths)| lengths.iter().any(|length| *length > 2_000));
    elements.into_iter().map(|(_, times, _)| times).collect()
}

/// Prints the longest time without a picture around each change from one track to the next.
fn print_gaps(guest: &Appliance, changes: usize) {
    let tracks = opened_pictures(guest);
    assert_eq!(tracks.len(), changes + 1, "opening elements of pictures");
    for pair in tracks.windows(2) {
        let (last, first) = (*pair[0].last().unwrap(), pair[1][0]);
        let gap = first.saturating_sub(last);
        println!("gap at the change of codec: {} ms", gap.as_millis());
        assert!(gap < Duration::from_secs(3), "{gap:?}");
    }
}

/// Nothing of the box was ever clear, and nothing that came from it failed to open.
fn assert_sealed_throughout(sender: &Appliance, guest: &Appliance) {
    for (_, status) in sender.statuses() {
        let clear: u64 = status.local_tracks.iter().map(|track| track.clear).sum();
        assert_eq!(clear, 0, "{:#?}", status.local_tracks);
    }
    for (_, status) in guest.statuses() {
        for track in participant(&status, "box")
            .into_iter()
            .flat_map(|p| &p.tracks)
        {
            assert_eq!(track.refused, 0, "{track:#?}");
            assert_ne!(track.verification, "clear", "{track:#?}");
        }
    }
}

#[test]
fn an_encoder_proved_during_the_meeting_takes_over_and_the_guest_goes_on_seeing() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let board = board_that_prefers_h264(folder.path());
    let server = Server::on_loopback();
    let mut sender = start_box(&board, &folder.path().join("cache"), &clip, &server);
    let recordings = folder.path().join("recordings");
    let mut guest = Start::new("guest", "guest")
        .gst_debug("framedecrypt:TRACE")
        .with(["--record", recordings.to_str().unwrap()])
        .join(&server, "codec");
    let begun = Instant::now();
    let first = guest.wait_for_track("VP8 picture", "box", "camera", SOON, |t| t.opened > 0);
    assert_eq!(camera_codec(&sender.status()), Some("VP8"), "a cold start");

    wait_for_codec(&sender, begun, "H.264", PROVED);
    let second = another_camera(&guest, begun, &first.sid);
    assert_ne!(second, first.sid);
    guest.wait_for("more pictures", SOON, |status| {
        cameras(status)
            .iter()
            .any(|(sid, opened)| *sid == second && *opened >= 100)
            .then_some(())
    });
    assert_sealed_throughout(&sender, &guest);
    assert!(guest.interrupt_cleanly() && sender.interrupt_cleanly());
    print_gaps(&guest, 1);

    // The last file has the H.264 pictures of the clip.
    let mut files: Vec<PathBuf> = fs::read_dir(&recordings)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "mkv"))
        .collect();
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    let source = footage::pictures(&clip, WIDTH, HEIGHT);
    let pictures = footage::pictures(files.last().unwrap(), WIDTH, HEIGHT);
    assert!(pictures.len() >= 50, "{} pictures", pictures.len());
    // On a busy machine the network seems narrow for a while, and pictures are coarse: the best of some counts.
    let at = [3, 2, 1].map(|part| pictures.len() - pictures.len() / (part + 1));
    let best = at
        .map(|at| pictures[at].best_of(&source))
        .into_iter()
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let (number, correlation) = best.unwrap();
    println!(
        "a picture after the change is picture {number} of the clip: correlation {correlation:.3}"
    );
    assert!(correlation >= 0.9);
}

#[test]
fn while_somebody_is_there_who_cannot_decode_h264_everybody_gets_vp8() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let board = board_that_prefers_h264(folder.path());
    let server = Server::on_loopback();
    // What an earlier start found out, so that this one begins with H.264.
    let cache = folder.path().join("cache");
    gst::init().unwrap();
    let size = EncodeBudget {
        width: 640,
        height: 360,
        framerate: 25,
        bitrate: 900_000,
    };
    let budget = MediaBudget {
        vp8: size,
        h264: size,
        ..MediaBudget::default()
    };
    let order = ENCODERS.map(str::to_owned);
    Encoders::new(&order, Some(cache.join("encoders.json")), budget).prove_all(&|| false);
    let mut sender = start_box(&board, &cache, &clip, &server);
    let mut guest = Start::new("guest", "guest")
        .gst_debug("framedecrypt:TRACE")
        .join(&server, "codec");
    let begun = Instant::now();
    let first = another_camera(&guest, begun, "");
    assert_eq!(camera_codec(&sender.status()), Some("H.264"));

    // The guest was there before and decodes both, which nobody can tell from outside: the box goes back to H.264 only
    // when the guest has left too.
    let stranger = Bare::join_without_h264(&server.url(), &server.token("stranger", "codec"));
    let gave_way = wait_for_codec(&sender, begun, "VP8", SOON);
    let second = another_camera(&guest, begun, &first);
    let frames = stranger.frames_of("box", TrackSource::Camera, 25, SOON);
    assert!(
        frames.iter().all(|frame| !frame.starts_with(&[0, 0, 0, 1])),
        "VP8 for the stranger"
    );
    drop(stranger);
    assert_sealed_throughout(&sender, &guest);
    guest.wait_since(
        gave_way,
        "pictures after the stranger left",
        SOON,
        |status| {
            cameras(status)
                .iter()
                .any(|(sid, opened)| *sid == second && *opened >= 75)
                .then_some(())
        },
    );
    assert_eq!(
        camera_codec(&sender.status()),
        Some("VP8"),
        "the guest may be the one"
    );
    assert!(guest.interrupt_cleanly());
    wait_for_codec(&sender, gave_way, "H.264", SOON);
    assert!(sender.interrupt_cleanly());
    print_gaps(&guest, 1);
}
