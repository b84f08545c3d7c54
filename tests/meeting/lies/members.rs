// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lies about who is there, and what they publish.

use std::time::Duration;

use roomseal_e2ee::{Codec, FrameKey, IvSource, KeyIndex, RawKey, Sealer};
use roomseal_service::livekit::Encryption;
use roomseal_tests::bare::{Bare, Frame, Stream};

use super::service::{Liar, Lies};
use super::{By, Deceived, Sealed};
use crate::one_at_a_time;

const RENAMED: &str = "a track comes under bob's name that it does not name, or not as this source";

#[test]
fn who_is_hidden_is_named_and_what_is_declared_about_encryption_changes_nothing() {
    let _turn = one_at_a_time();
    let (meeting, liar, mut alice) = hidden(By::Box);
    // The same declaration, and the truth about who is there.
    liar.lie(|lies| lies.hidden.clear());
    liar.repeat_people();
    alice.wait_for_opened("bob", "camera", 0);
    alice.wait_for_shield("sealed");
    alice.never_clear();

    // A voice that is told to be the sound of a shared screen is not what its sender says it is.
    let voice = meeting.sid("bob", "microphone");
    liar.lie(|lies| lies.screen_sound = Some(voice.clone()));
    liar.repeat_people();
    alice.wait_for_reason("unsealed-peer", RENAMED);
    let told = alice.verification("bob", "screen sound").unwrap();
    assert_ne!(told, "verified");
    liar.lie(|lies| lies.screen_sound = None);
    liar.repeat_people();
    alice.wait_for_opened("bob", "microphone", 0);
    alice.never_clear();
}

#[test]
fn a_page_names_who_is_hidden_and_what_is_declared_about_encryption_changes_nothing() {
    let _turn = one_at_a_time();
    hidden(By::Page);
}

fn hidden(by: By) -> (Sealed, Liar, Box<dyn Deceived>) {
    let meeting = Sealed::begin("hidden");
    let lies = Lies {
        hidden: vec!["bob".to_owned()],
        declared_clear: true,
        ..Lies::default()
    };
    let (liar, mut alice) = meeting.alice(by, lies);
    alice.wait_for_reason(
        "unsealed-peer",
        "bob is in the meeting, and the service hides it",
    );
    assert!(!alice.lists("bob"));
    alice.wait_for_opened("box", "camera", 50);
    alice.never_clear();
    (meeting, liar, alice)
}

#[cfg(feature = "full")]
#[test]
fn a_page_takes_no_voice_for_the_sound_of_a_screen() {
    let _turn = one_at_a_time();
    let meeting = Sealed::begin("renamed");
    // Told from the start: LiveKit's client does not take a change.
    let lies = Lies {
        screen_sound: Some(meeting.sid("bob", "microphone")),
        ..Lies::default()
    };
    let (_liar, mut alice) = meeting.alice(By::Page, lies);
    alice.wait_for_reason("unsealed-peer", RENAMED);
    alice.never_played("bob", "screen sound");
    alice.wait_for_opened("bob", "camera", 50);
    alice.never_clear();
}

#[test]
fn somebody_whom_the_service_adds_is_named_as_soon_as_frames_come_and_opens_nothing() {
    added(By::Box);
}

#[cfg(feature = "full")]
#[test]
fn a_page_names_somebody_whom_the_service_adds_as_soon_as_frames_come() {
    added(By::Page);
}

fn added(by: By) {
    let _turn = one_at_a_time();
    let meeting = Sealed::begin("added");
    let (_liar, mut alice) = meeting.alice(by, Lies::default());
    alice.wait_for_shield("sealed");
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
    alice.wait_for_reason(
        "unsealed-peer",
        "frames come under eve's name, and it has not proved to be a member",
    );
    alice.never_played("eve", "microphone");
    alice.never_clear();
    // Gone, it harms nobody.
    drop(eve);
    alice.wait_until_gone("eve");
    alice.wait_for_shield("sealed");
}
