// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys of meetings: against vectors of a separate implementation, and against mixing them up.

use roomseal_e2ee::{Codec, FrameKey, KeyIndex, KeyRing, Opener, Replay, Secret, Verdict};
use serde::Deserialize;

use crate::frames::{NOW, index, open, opener, seal, sealer};
use crate::reference;

#[derive(Deserialize)]
struct Epochs {
    epochs: Vec<Epoch>,
}

#[derive(Deserialize)]
struct Epoch {
    passphrase: Option<String>,
    room: Option<String>,
    secret: String,
    nonce: String,
    check: String,
    policy: String,
    identity: String,
    instance: String,
    frame_key: String,
    message: String,
    tag: String,
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn opens(key: FrameKey, aes_key: &[u8; 16]) -> bool {
    let mut sealed = reference::seal(aes_key, b"no matter...", 0, 1, b"\x78content");
    let mut opener = Opener::new(Codec::Opus, Replay::Window);
    opener.keys().set(index(0), key);
    opener.open(&mut sealed, &NOW).is_ok()
}

#[test]
fn keys_checks_and_tags_are_those_of_the_vectors() {
    let file: Epochs = serde_json::from_str(include_str!("../vectors/epochs.json")).unwrap();
    assert_eq!(file.epochs.len(), 4);
    for vector in file.epochs {
        let mut secret = Secret::new(bytes(&vector.secret));
        if let (Some(passphrase), Some(room)) = (&vector.passphrase, &vector.room) {
            secret = Secret::from_passphrase(passphrase.as_bytes(), room);
        }
        assert_eq!(
            hex::encode(secret.check_value(&bytes(&vector.nonce))),
            vector.check
        );
        let epoch = secret.epoch_key(&bytes(&vector.policy));
        let key = epoch.sender_key(&vector.identity, &bytes(&vector.instance));
        assert!(opens(key, &bytes(&vector.frame_key)));
        let message = hex::decode(&vector.message).unwrap();
        let confirm = epoch.confirm_key();
        assert_eq!(hex::encode(confirm.tag(&message)), vector.tag);
        let mut tag: [u8; 32] = bytes(&vector.tag);
        assert!(confirm.verifies(&message, &tag));
        assert!(!confirm.verifies(&[&message[..], b" "].concat(), &tag));
        assert!(!confirm.verifies(&message, &tag[..31]));
        tag[31] ^= 1;
        assert!(!confirm.verifies(&message, &tag));
    }
}

#[test]
fn another_secret_policy_identity_or_join_gives_another_key() {
    let secret = Secret::new([3; 32]);
    let key = |secret: &Secret, policy, identity: &str, instance| {
        secret
            .epoch_key(&[policy; 32])
            .sender_key(identity, &[instance; 16])
    };
    let mut sealer = sealer(Codec::Opus, 0);
    sealer.set_key(index(0), key(&secret, 1, "alice", 1));
    let sealed = seal(&mut sealer, Codec::Opus, b"\x78content").unwrap();
    let opened_with = |key| {
        let mut opener = Opener::new(Codec::Opus, Replay::Window);
        opener.keys().set(index(0), key);
        open(&mut opener, &sealed).is_ok()
    };
    assert!(opened_with(key(&secret, 1, "alice", 1)));
    assert!(!opened_with(key(&Secret::new([4; 32]), 1, "alice", 1)));
    assert!(!opened_with(key(&secret, 2, "alice", 1)));
    assert!(!opened_with(key(&secret, 1, "carol", 1)));
    assert!(!opened_with(key(&secret, 1, "alice", 2)));
}

#[test]
fn frames_of_another_track_of_the_same_sender_do_not_open() {
    let mut camera = sealer(Codec::Opus, 0);
    let frame = seal(&mut camera, Codec::Opus, b"\x78content").unwrap();
    let mut opener = opener(Codec::Opus, 0);
    let mut other = camera.iv_prefix();
    other[0] ^= 1;
    opener.set_iv_prefix(Some(other));
    assert_eq!(open(&mut opener, &frame), Err(Verdict::OtherTrack));
    assert_eq!(opener.counters().other_track, 1);
    opener.set_iv_prefix(Some(camera.iv_prefix()));
    assert!(open(&mut opener, &frame).is_ok());
}

#[test]
fn frames_sent_before_the_sender_said_where_it_stands_do_not_open() {
    let mut sealer = sealer(Codec::Opus, 0);
    let early = seal(&mut sealer, Codec::Opus, b"\x78early").unwrap();
    let floor = sealer.iv_counter().unwrap();
    let late = seal(&mut sealer, Codec::Opus, b"\x78late").unwrap();
    let mut opener = opener(Codec::Opus, 0);
    opener.set_iv_floor(floor);
    assert_eq!(open(&mut opener, &early), Err(Verdict::Replayed));
    assert!(open(&mut opener, &late).is_ok());
}

#[test]
fn an_epoch_begins_with_its_slot_empty_sixteen_epochs_later_too() {
    let key = Secret::new([3; 32])
        .epoch_key(&[1; 32])
        .sender_key("a", &[1; 16]);
    let mut ring = KeyRing::new();
    ring.set(KeyIndex::of_epoch(3), key.clone());
    assert_eq!(ring.key(KeyIndex::of_epoch(19)), Some(&key));
    ring.remove(KeyIndex::of_epoch(19));
    assert!(ring.is_empty());
}
