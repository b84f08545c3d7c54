// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vectors in `vectors/`: what LiveKit's own worker and a separate implementation made of given frames.

use roomseal_e2ee::{
    Codec, FrameKey, IvSource, Opener, Passphrase, RawKey, Replay, Sealer, Verdict,
};
use serde::Deserialize;

use crate::frames::{NOW, index, open, seal};
use crate::reference;

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    kdf: String,
    secret: String,
    aes_key: String,
}

#[derive(Deserialize)]
struct Tracks {
    tracks: Vec<Track>,
}

#[derive(Deserialize)]
struct Track {
    codec: String,
    kdf: String,
    secret: String,
    key_index: u8,
    seed: String,
    frames: Vec<Frame>,
}

#[derive(Deserialize)]
struct Frame {
    plain: String,
    ours: String,
    worker: String,
}

#[derive(Deserialize)]
struct ParameterSets {
    sps: Vec<ParameterSet>,
}

#[derive(Deserialize)]
struct ParameterSet {
    what: String,
    sps: String,
    normal: String,
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn frame_key(kdf: &str, secret: &str) -> FrameKey {
    match kdf {
        "PBKDF2" => FrameKey::from_passphrase(&Passphrase::new(bytes(secret))),
        "HKDF" => FrameKey::from_raw_key(&RawKey::new(bytes(secret))),
        other => panic!("no derivation is called {other}"),
    }
}

fn codec(name: &str) -> Codec {
    match name {
        "opus" => Codec::Opus,
        "vp8" => Codec::Vp8,
        "h264" => Codec::H264,
        other => panic!("no codec is called {other}"),
    }
}

fn tracks() -> Vec<Track> {
    let file: Tracks = serde_json::from_str(include_str!("../vectors/frames.json")).unwrap();
    assert_eq!(file.tracks.len(), 6);
    file.tracks
}

#[test]
fn keys_are_derived_as_in_the_vectors() {
    let file: Keys = serde_json::from_str(include_str!("../vectors/keys.json")).unwrap();
    assert_eq!(file.keys.len(), 5);
    for key in file.keys {
        let aes_key = bytes(&key.aes_key).try_into().unwrap();
        let mut sealed = reference::seal(&aes_key, b"no matter...", 0, 1, b"\x78content");
        let mut opener = Opener::new(Codec::Opus, Replay::RandomIvs);
        opener
            .keys()
            .set(index(0), frame_key(&key.kdf, &key.secret));
        let length = opener.open(&mut sealed, &NOW).unwrap();
        assert_eq!(&sealed[..length], b"\x78content");
    }
}

#[test]
fn frames_are_sealed_byte_by_byte_as_in_the_vectors() {
    for track in tracks() {
        let codec = codec(&track.codec);
        let seed = bytes(&track.seed).try_into().unwrap();
        let mut sealer = Sealer::new(codec, IvSource::new(seed));
        sealer.set_key(index(track.key_index), frame_key(&track.kdf, &track.secret));
        for frame in track.frames {
            let sealed = seal(&mut sealer, codec, &bytes(&frame.plain)).unwrap();
            assert_eq!(hex::encode(sealed), frame.ours, "{codec:?}");
        }
    }
}

#[test]
fn frames_of_the_vectors_open_and_no_altered_one_does() {
    for track in tracks() {
        let codec = codec(&track.codec);
        let key = frame_key(&track.kdf, &track.secret);
        let fresh = || {
            let mut opener = Opener::new(codec, Replay::Window);
            opener.keys().set(index(track.key_index), key.clone());
            opener
        };
        for frame in &track.frames {
            for sealed in [&frame.ours, &frame.worker] {
                let sealed = bytes(sealed);
                let mut opener = fresh();
                assert_eq!(open(&mut opener, &sealed), Ok(bytes(&frame.plain)));
                assert_eq!(open(&mut opener, &sealed), Err(Verdict::Replayed));
                for at in 0..sealed.len() {
                    let mut altered = sealed.clone();
                    altered[at] ^= 0x40;
                    assert!(
                        open(&mut fresh(), &altered).is_err(),
                        "{codec:?}, byte {at}"
                    );
                }
            }
        }
    }
}

#[test]
fn parameter_sets_are_made_normal_as_in_the_vectors() {
    let file: ParameterSets = serde_json::from_str(include_str!("../vectors/sps.json")).unwrap();
    assert_eq!(file.sps.len(), 8);
    let key = FrameKey::from_raw_key(&RawKey::new(vec![1; 16]));
    for set in file.sps {
        let mut sealer = Sealer::new(Codec::H264, IvSource::new([7; 12]));
        sealer.set_key(index(0), key.clone());
        let unit = |unit: &[u8]| [&[0, 0, 0, 1], unit].concat();
        let others = [
            unit(&[0x68, 0xCE, 0x3C, 0x80]),
            unit(&[0x65, 0xB8, 1, 2, 3]),
        ]
        .concat();
        for sps in [&set.sps, &set.normal] {
            let frame = [unit(&bytes(sps)), others.clone()].concat();
            let sealed = seal(&mut sealer, Codec::H264, &frame).unwrap();
            assert!(
                sealed.starts_with(&unit(&bytes(&set.normal))),
                "{}",
                set.what
            );
        }
    }
}
