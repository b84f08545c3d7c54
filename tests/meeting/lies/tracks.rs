// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lies about whose frames these are.

use std::time::Duration;

use roomseal_e2ee::Codec;
use roomseal_service::livekit::{Encryption, TrackSource};
use roomseal_tests::bare::{Bare, Frame, Stream};

use super::service::Lies;
use super::{Sealed, never_clear, never_played, wait_for_reason, wait_for_sealed};
use crate::{SOON, one_at_a_time};

/// Where the counter begins, from the end of a sealed frame: four bytes of the IV, its length, the key index.
const COUNTER: usize = 6;

/// Sound in real time, declared sealed.
fn sound(frames: Vec<Vec<u8>>) -> Stream {
    let whole = |bytes| Frame { bytes, key: true };
    Stream {
        codec: Codec::Opus,
        encryption: Encryption::Gcm,
        frames: frames.into_iter().map(whole).collect(),
        interval: Duration::from_millis(20),
    }
}

#[test]
fn two_senders_whose_frames_are_swapped_are_both_named() {
    let _turn = one_at_a_time();
    let meeting = Sealed::begin("swapped");
    let [boxs, bobs] = ["box", "bob"].map(|name| meeting.sid(name, "microphone"));
    let (_liar, alice) = meeting.alice(Lies {
        carried: vec![(boxs.clone(), bobs.clone()), (bobs, boxs)],
        ..Lies::default()
    });
    for name in ["box", "bob"] {
        let reason = format!("frames of another track come under {name}'s name");
        wait_for_reason(&alice, "unsealed-peer", &reason);
        never_played(&alice, name, "microphone");
        // What was not touched is seen.
        alice.wait_for_track("picture", name, "camera", SOON, |track| {
            track.verification == "verified"
        });
    }
    never_clear(&alice);
}

/// What the service makes of one recorded frame; it knows how its own frames end.
type Make = fn(frame: Vec<u8>, trailer: &[u8]) -> Vec<u8>;

/// What the service sends in the place of bob's microphone, and what alice has to say about it.
fn passed_off(make: Make, reason: Option<&str>, room: &'static str) {
    let _turn = one_at_a_time();
    let meeting = Sealed::begin(room);
    let (server, host) = (&meeting.server, &meeting.host);
    let recorder = Bare::join(&server.url(), &server.token("recorder", room), Vec::new());
    let recorded = recorder.frames_of("bob", TrackSource::Microphone, 150, SOON);
    let trailer = recorder.sif_trailer();
    assert!(!trailer.is_empty(), "the server says how its frames end");
    let made = recorded.into_iter().map(|frame| make(frame, &trailer));
    let stream = sound(made.collect());
    let _eve = Bare::join(&server.url(), &server.token("eve", room), vec![stream]);
    let eves = host
        .wait_for_track("eve's microphone", "eve", "microphone", SOON, |_| true)
        .sid;
    let bobs = meeting.sid("bob", "microphone");
    let (_liar, alice) = meeting.alice(Lies {
        hidden: vec!["eve".to_owned(), "recorder".to_owned()],
        carried: vec![(eves, bobs.clone()), (bobs, "TR_nowhere".to_owned())],
        ..Lies::default()
    });
    alice.wait_for_track("the host's voice", "box", "microphone", SOON, |track| {
        track.opened > 500
    });
    match reason {
        Some(reason) => wait_for_reason(&alice, "unsealed-peer", reason),
        // Frames that a service makes, and says so, are held against nobody; they are nothing to hear, either.
        None => alice.wait_for("sealed meeting", SOON, |status| {
            (status.shield.state == "sealed").then_some(())
        }),
    }
    never_played(&alice, "bob", "microphone");
    never_clear(&alice);
    wait_for_sealed(&alice, 30);
}

#[cfg(feature = "full")]
#[test]
fn clear_frames_in_the_place_of_a_members_are_not_played_and_it_is_named() {
    fn clear(mut frame: Vec<u8>, _: &[u8]) -> Vec<u8> {
        // Nothing at its end looks like a seal.
        let from = frame.len() - 30;
        frame[from..].fill(0x55);
        frame
    }
    passed_off(clear, Some("bob sends clear; it is not played"), "clear");
}

#[test]
fn recorded_frames_are_not_played_to_a_late_joiner_and_their_sender_is_named() {
    fn recorded(frame: Vec<u8>, _: &[u8]) -> Vec<u8> {
        frame
    }
    let reason = "old frames of bob are played again";
    passed_off(recorded, Some(reason), "recorded");
}

#[test]
fn altered_frames_are_not_played_and_their_sender_is_named() {
    fn altered(mut frame: Vec<u8>, _: &[u8]) -> Vec<u8> {
        // With a counter that nobody has seen, for else it would be refused as a recording.
        let counter = frame.len() - COUNTER;
        frame[counter] |= 0x40;
        frame[1] ^= 1;
        frame
    }
    let reason = "frames of bob are altered on the way";
    passed_off(altered, Some(reason), "altered");
}

#[cfg(feature = "full")]
#[test]
fn frames_that_the_service_makes_itself_are_nobodys_voice() {
    fn injected(frame: Vec<u8>, trailer: &[u8]) -> Vec<u8> {
        [&frame[..], trailer].concat()
    }
    passed_off(injected, None, "injected");
}
