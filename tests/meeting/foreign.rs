// SPDX-License-Identifier: MIT OR Apache-2.0
//! The button in a room of another application: what the box requires of every frame, its own included, while LiveKit's
//! official SDK and somebody without a key are there.

use std::time::{Duration, Instant};

use roomseal_e2ee::{Codec, FrameContext, FrameKey, KeyIndex, Opener, Passphrase, Replay};
use roomseal_service::livekit::{Encryption, TrackSource};
use roomseal_tests::appliance::{Appliance, PASSPHRASE, Start};
use roomseal_tests::bare::Bare;
use roomseal_tests::livekit::Server;
use roomseal_tests::sdk::{Peer, Published};
use roomseal_tests::toggle::Button;

use crate::roomseal::{ask, wait_for_shield};
use crate::sdk::{board_with, numbered, raw_clip};
use crate::{SOON, one_at_a_time, talking_clip};

const ROOM: &str = "button";

/// Waits until the peer has subscribed to another camera track of the box than `before`, declared so; gives its name.
fn another_camera(peer: &Peer, encryption: u8, before: &[String]) -> String {
    let new = peer.wait_for("track", SOON, |e| {
        let sid = e["sid"].as_str().unwrap_or_default();
        e["identity"] == "box"
            && e["kind"] == "video"
            && e["encryption"] == encryption
            && !before.iter().any(|before| before == sid)
    });
    new["sid"].as_str().unwrap().to_owned()
}

/// The peer decodes what the box sends now, picture and sound.
fn plays(peer: &mut Peer, phase: &str) {
    let mut before = peer.decoder("box");
    let deadline = Instant::now() + SOON;
    loop {
        let now = peer.decoder("box");
        let (received, energy) = (now.received - before.received, now.energy - before.energy);
        let decoded = now.decoded - before.decoded;
        if received >= 50 && energy > 1e-4 {
            // Whoever has no key decodes one sealed picture in thirty, and shows rubbish.
            if decoded * 10 >= received * 9 {
                println!("{phase}: the SDK decodes {decoded} of {received} pictures");
                return;
            }
            // Those before the first key frame do not count.
            before = now;
        }
        assert!(
            Instant::now() < deadline,
            "{phase}: {before:?}, then {now:?}"
        );
        // It tells when asked; asking a few times a second is soon enough.
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// The box writes a line, and gets one of the peer.
fn they_write(of: &Appliance, peer: &mut Peer, phase: &str) {
    let (done, said) = ask(of, &["chat", &format!("box while {phase}")]);
    assert!(done, "{said}");
    peer.wait_for("chat", SOON, |e| {
        e["identity"] == "box" && e["text"] == format!("box while {phase}")
    });
    peer.write(&format!("sdk while {phase}"));
    wait_for_line(of, "sdk", &format!("sdk while {phase}"), true);
}

fn wait_for_line(of: &Appliance, from: &str, text: &str, sealed: bool) {
    of.wait_for(text, SOON, |status| {
        let line = status.chat.iter().find(|line| line.text == text)?;
        assert_eq!((line.from.as_str(), line.sealed), (from, sealed));
        Some(())
    });
}

fn clear(of: &Appliance) -> u64 {
    let status = of.status();
    status.local_tracks.iter().map(|track| track.clear).sum()
}

/// How many frames open with the meeting's key, and how many do not.
fn opened(source: TrackSource, frames: &[Vec<u8>]) -> (usize, usize) {
    let codec = match source {
        TrackSource::Microphone => Codec::Opus,
        _ => Codec::Vp8,
    };
    let key = FrameKey::from_passphrase(&Passphrase::new(PASSPHRASE));
    let mut opener = Opener::new(codec, Replay::RandomIvs);
    opener.keys().set(KeyIndex::default(), key);
    let context = FrameContext {
        gap: false,
        now: Duration::ZERO,
    };
    let opens = |frame: &&Vec<u8>| opener.open(&mut (*frame).clone(), &context).is_ok();
    let opened = frames.iter().filter(opens).count();
    (opened, frames.len() - opened)
}

#[test]
fn the_button_turns_encryption_off_and_on_again_and_the_official_sdk_follows() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let clip = talking_clip(folder);
    let server = Server::on_loopback();
    let url = server.url();
    let panel = folder.join("panel");
    let boards = board_with("vp8enc", folder);
    // Nobody gave this one a key: it keeps every frame as it came.
    let listener = Bare::join(&url, &server.token("listener", ROOM), Vec::new());
    let mut sender = Start::new("run", "box")
        .playing(&clip)
        .with(["--board-dir", boards.to_str().unwrap()])
        .with(["--panel-dir", panel.to_str().unwrap()])
        .join(&server, ROOM);
    let button = Button::of(&panel);
    let (picture, sound) = raw_clip(folder);
    let published = Published {
        picture: Some(numbered(&picture, Codec::Vp8)),
        sound: Some(&sound),
    };
    let token = server.token("sdk", ROOM);
    let mut peer = Peer::join(&url, &token, Some(PASSPHRASE), published, folder);
    let token = server.token("plain", ROOM);
    let mut plain = Peer::join(&url, &token, None, Published::NOTHING, folder);

    // On, as it is unless somebody wants it otherwise.
    wait_for_shield(&sender, Instant::now(), "sealed");
    let first = another_camera(&peer, 1, &[]);
    plays(&mut peer, "on");
    they_write(&sender, &mut peer, "on");
    plain.write("nobody may believe this");
    they_write(&sender, &mut peer, "still on");
    let seen = plain.decoder("box");
    assert!(
        seen.received > 25 && seen.decoded * 5 < seen.received,
        "without a key: {seen:?}"
    );
    assert_eq!(clear(&sender), 0);

    // A hold is announced; a press ends that, and another hold turns it off.
    let announced = |since: Instant| {
        sender.wait_since(since, "announcement that it goes off", SOON, |status| {
            let newest = status.happenings.last()?;
            newest.text.contains("goes off in").then_some(())
        });
    };
    announced(button.hold());
    let pressed = button.press();
    sender.wait_since(pressed, "end of the countdown", SOON, |status| {
        let newest = status.happenings.last()?;
        newest.text.contains("stays on").then_some(())
    });
    let held = button.hold();
    announced(held);
    let took = wait_for_shield(&sender, held, "open");
    assert!(took >= Duration::from_secs(5), "{took:?}");
    let second = another_camera(&peer, 0, &[]);
    println!(
        "off: {} ms from the key to a clear track at the SDK",
        held.elapsed().as_millis()
    );
    plays(&mut peer, "off");
    plays(&mut plain, "off, without a key");
    they_write(&sender, &mut peer, "off");
    plain.write("plain while off");
    wait_for_line(&sender, "plain", "plain while off", false);
    for source in ["camera", "microphone"] {
        sender.wait_for_track("what the SDK seals", "sdk", source, SOON, |track| {
            track.verification == "verified"
        });
    }

    // One press, and all is sealed again.
    let pressed = button.press();
    let took = wait_for_shield(&sender, pressed, "sealed");
    println!("on: sealed {} ms after the press", took.as_millis());
    another_camera(&peer, 1, &[first, second]);
    println!(
        "on: {} ms from the press to a sealed track at the SDK",
        pressed.elapsed().as_millis()
    );
    let before = clear(&sender);
    assert!(before > 0, "it was off a moment ago");
    plays(&mut peer, "on again");
    they_write(&sender, &mut peer, "on again");
    let sealed = |status: &roomseal_appliance::status::Status| -> u64 {
        status.local_tracks.iter().map(|track| track.sealed).sum()
    };
    let then = sealed(&sender.status());
    sender.wait_for("more sealed frames", SOON, |status| {
        (sealed(status) > then + 100).then_some(())
    });
    assert_eq!(clear(&sender), before, "nothing left clear after the press");
    let chat = sender.status().chat;
    assert!(
        !chat.iter().any(|line| line.text.contains("may believe")),
        "{chat:?}"
    );
    assert!(sender.interrupt_cleanly());
    drop(plain);
    peer.leave();

    // What somebody without a key got: in tracks declared sealed nothing but sealed frames, in the others none.
    let mut kinds = Vec::new();
    for (source, declared, frames) in listener.tracks_of("box") {
        let (opens, not) = opened(source, &frames);
        println!("{source:?} declared {declared:?}: {opens} sealed frames, {not} clear ones");
        match declared {
            Encryption::Gcm => assert!(not == 0 && opens > 25),
            _ => assert!(opens == 0 && not > 25),
        }
        kinds.push((source, declared));
    }
    for source in [TrackSource::Camera, TrackSource::Microphone] {
        let count = |declared| {
            let of = kinds.iter().filter(|kind| **kind == (source, declared));
            of.count()
        };
        assert_eq!([count(Encryption::Gcm), count(Encryption::None)], [2, 1]);
    }
}
