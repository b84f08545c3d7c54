// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lies about who is there, and what they publish.

use std::time::Duration;

use roomseal_e2ee::{Codec, FrameKey, IvSource, KeyIndex, RawKey, Sealer};
use roomseal_service::livekit::Encryption;
use roomseal_tests::appliance::{participant, track};
use roomseal_tests::bare::{Bare, Frame, Stream};

use super::service::Lies;
use super::{Sealed, never_clear, never_played, wait_for_reason};
use crate::{SOON, one_at_a_time};

#[test]
fn who_is_hidden_is_named_and_what_is_declared_about_encryption_changes_nothing() {
    let _turn = one_at_a_time();
    let meeting = Sealed::begin("hidden");
    let (liar, alice) = meeting.alice(Lies {
        hidden: vec!["bob".to_owned()],
        declared_clear: true,
        ..Lies::default()
    });
    wait_for_reason(
        &alice,
        "unsealed-peer",
        "bob is in the meeting, and the service hides it",
    );
    assert!(participant(&alice.status(), "bob").is_none());
    alice.wait_for_track("the host's camera", "box", "camera", SOON, |track| {
        track.verification == "verified" && track.opened > 50
    });
    // The same declaration, and the truth about who is there.
    liar.lie(|lies| lies.hidden.clear());
    liar.repeat_people();
    alice.wait_for("sealed meeting", SOON + SOON, |status| {
        (status.shield.state == "sealed" && participant(status, "bob").is_some()).then_some(())
    });
    alice.wait_for_track("bob's camera", "bob", "camera", SOON, |track| {
        track.verification == "verified"
    });
    never_clear(&alice);

    // A voice that is told to be the sound of a shared screen is not what its sender says it is.
    let voice = meeting.sid("bob", "microphone");
    liar.lie(|lies| lies.screen_sound = Some(voice.clone()));
    liar.repeat_people();
    wait_for_reason(
        &alice,
        "unsealed-peer",
        "a track comes under bob's name that it does not name, or not as this source",
    );
    let told = track(&alice.status(), "bob", "screen sound").unwrap();
    assert_ne!(told.verification, "verified", "{told:?}");
    liar.lie(|lies| lies.screen_sound = None);
    liar.repeat_people();
    alice.wait_for_track("bob's voice again", "bob", "microphone", SOON, |track| {
        track.sid == voice && track.verification == "verified"
    });
    never_clear(&alice);
}

#[test]
fn somebody_whom_the_service_adds_is_named_as_soon_as_frames_come_and_opens_nothing() {
    let _turn = one_at_a_time();
    let meeting = Sealed::begin("added");
    let (_liar, alice) = meeting.alice(Lies::default());
    alice.wait_for("sealed meeting", SOON, |status| {
        (status.shield.state == "sealed").then_some(())
    });
    // Let in with the server's own key, sealing with a key of its own.
    let server = &meeting.server;
    let mut sealer = Sealer::new(Codec::Opus, IvSource::new([7; 12]));
    let key = FrameKey::from_raw_key(&RawKey::new(vec![1; 32]));
    sealer.set_key(KeyIndex::default(), key);
    let frames = (0..200_u8).map(|number| {
        let mut out = vec![0; Sealer::max_sealed_len(Codec::Opus, 60)];
        let length = sealer.seal(&[[0x78; 20], [number; 20], [3; 20]].concat(), &mut out);
        out.truncate(length.unwrap());
        Frame {
            bytes: out,
            key: true,
        }
    });
    let eve = Bare::join(
        &server.url(),
        &server.token("eve", "added"),
        vec![Stream {
            codec: Codec::Opus,
            encryption: Encryption::Gcm,
            frames: frames.collect(),
            interval: Duration::from_millis(20),
        }],
    );
    wait_for_reason(
        &alice,
        "unsealed-peer",
        "frames come under eve's name, and it has not proved to be a member",
    );
    never_played(&alice, "eve", "microphone");
    never_clear(&alice);
    // Gone, it harms nobody.
    drop(eve);
    alice.wait_for("sealed meeting again", SOON + SOON, |status| {
        (status.shield.state == "sealed" && participant(status, "eve").is_none()).then_some(())
    });
}
