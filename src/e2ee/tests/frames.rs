// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opus and VP8: byte by byte as the reference seals, and back.

use std::time::Duration;

use proptest::prelude::*;
use roomseal_e2ee::{
    Codec, FrameContext, FrameKey, IvSource, KeyIndex, Opener, Passphrase, RawKey, Replay,
    SealError, Sealer, Verdict,
};

use crate::reference;

/// HKDF of the bytes 00..1f, a vector of LiveKit's own.
pub(crate) const AES_KEY: [u8; 16] = [
    0x6d, 0x0d, 0xd7, 0xb3, 0xd6, 0xf4, 0xef, 0xde, 0x47, 0xab, 0x9a, 0x9e, 0x15, 0xab, 0xde, 0x76,
];
pub(crate) const SEED: [u8; 12] = [
    0x91, 0x22, 0xB3, 0x44, 0xD5, 0x66, 0xF7, 0x88, 0x19, 0x2A, 0x3B, 0x4C,
];
pub(crate) const NOW: FrameContext = FrameContext {
    gap: false,
    now: Duration::ZERO,
};

pub(crate) fn key() -> FrameKey {
    FrameKey::from_raw_key(&RawKey::new((0..32).collect()))
}

pub(crate) fn index(index: u8) -> KeyIndex {
    KeyIndex::try_from(index).unwrap()
}

pub(crate) fn sealer(codec: Codec, key_index: u8) -> Sealer {
    let mut sealer = Sealer::new(codec, IvSource::new(SEED));
    sealer.set_key(index(key_index), key());
    sealer
}

pub(crate) fn opener(codec: Codec, key_index: u8) -> Opener {
    let mut opener = Opener::new(codec, Replay::Window);
    opener.keys().set(index(key_index), key());
    opener
}

pub(crate) fn seal(sealer: &mut Sealer, codec: Codec, frame: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut out = vec![0xEE; Sealer::max_sealed_len(codec, frame.len())];
    let length = sealer.seal(frame, &mut out)?;
    out.truncate(length);
    Ok(out)
}

pub(crate) fn open(opener: &mut Opener, sealed: &[u8]) -> Result<Vec<u8>, Verdict> {
    let mut frame = sealed.to_vec();
    let length = opener.open(&mut frame, &NOW)?;
    frame.truncate(length);
    Ok(frame)
}

/// The IV that a sealed frame carries.
pub(crate) fn iv(sealed: &[u8]) -> [u8; 12] {
    sealed[sealed.len() - 14..sealed.len() - 2]
        .try_into()
        .unwrap()
}

fn plain() -> impl Strategy<Value = (Codec, usize, Vec<u8>)> {
    let body = prop::collection::vec(any::<u8>(), 0..600);
    (any::<bool>(), any::<u8>(), body).prop_map(|(audio, first, body)| {
        let header = match (audio, first & 1) {
            (true, _) => 1,
            (false, 0) => 10,
            (false, _) => 3,
        };
        let mut frame = vec![first; header];
        frame.extend(body);
        (if audio { Codec::Opus } else { Codec::Vp8 }, header, frame)
    })
}

proptest! {
    #[test]
    fn frames_are_sealed_as_the_reference_does_and_open_again(
        (codec, header, frame) in plain(),
        key_index in 0..16_u8,
    ) {
        let sealed = seal(&mut sealer(codec, key_index), codec, &frame).unwrap();
        let expected = reference::seal(&AES_KEY, &iv(&sealed), key_index, header, &frame);
        prop_assert_eq!(hex::encode(&sealed), hex::encode(expected));
        prop_assert_eq!(open(&mut opener(codec, key_index), &sealed), Ok(frame));
    }
}

#[test]
fn a_passphrase_gives_the_key_that_every_livekit_client_derives() {
    let aes_key: [u8; 16] = hex::decode("119011e7802a18863da8df5c9625d8c9")
        .unwrap()
        .try_into()
        .unwrap();
    let mut sealed = reference::seal(&aes_key, &[9; 12], 0, 1, b"\x78passphrase");
    let mut opener = Opener::new(Codec::Opus, Replay::RandomIvs);
    let key = FrameKey::from_passphrase(&Passphrase::new("mypassword"));
    opener.keys().set(index(0), key);
    let length = opener.open(&mut sealed, &NOW).unwrap();
    assert_eq!(&sealed[..length], b"\x78passphrase");
}

#[test]
fn no_iv_comes_twice_and_all_of_a_track_share_their_prefix() {
    let mut sealer = sealer(Codec::Opus, 0);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..5000 {
        let sealed = seal(&mut sealer, Codec::Opus, &[1]).unwrap();
        assert_eq!(iv(&sealed)[..8], sealer.iv_prefix());
        assert!(seen.insert(iv(&sealed)));
    }
    // A new key does not start the counter over.
    sealer.set_key(index(1), key());
    assert!(seen.insert(iv(&seal(&mut sealer, Codec::Opus, &[1]).unwrap())));
}

#[test]
fn without_key_nothing_is_sealed_and_nothing_opens() {
    let mut sealer = Sealer::new(Codec::Opus, IvSource::new(SEED));
    assert_eq!(
        seal(&mut sealer, Codec::Opus, &[1, 2]),
        Err(SealError::NoKey)
    );
    sealer.set_key(index(2), key());
    let sealed = seal(&mut sealer, Codec::Opus, &[1, 2]).unwrap();
    sealer.clear_key();
    assert_eq!(
        seal(&mut sealer, Codec::Opus, &[1, 2]),
        Err(SealError::NoKey)
    );
    let counters = sealer.counters();
    assert_eq!((counters.sealed, counters.dropped), (1, 2));

    let mut opener = opener(Codec::Opus, 3);
    assert_eq!(open(&mut opener, &sealed), Err(Verdict::NoKey));
    opener.keys().set(index(2), key());
    assert_eq!(open(&mut opener, &sealed), Ok(vec![1, 2]));
    opener.keys().clear();
    assert_eq!(open(&mut opener, &sealed), Err(Verdict::NoKey));
    let counters = opener.counters();
    assert_eq!(
        (counters.opened, counters.no_key, counters.refused()),
        (1, 2, 2)
    );
}

#[test]
fn a_frame_too_short_for_its_clear_header_is_never_sent() {
    for (codec, frame) in [
        (Codec::Opus, vec![]),
        (Codec::Vp8, vec![]),
        (Codec::Vp8, vec![1, 2]),
        (Codec::Vp8, vec![0; 9]),
    ] {
        let error = if frame.is_empty() {
            SealError::Empty
        } else {
            SealError::TooShort
        };
        assert_eq!(seal(&mut sealer(codec, 0), codec, &frame), Err(error));
    }
    for (codec, frame) in [
        (Codec::Opus, vec![7]),
        (Codec::Vp8, vec![1; 3]),
        (Codec::Vp8, vec![0; 10]),
    ] {
        let sealed = seal(&mut sealer(codec, 0), codec, &frame).unwrap();
        assert_eq!(open(&mut opener(codec, 0), &sealed), Ok(frame));
    }
}

#[test]
fn an_output_buffer_too_small_by_one_byte_is_refused() {
    let mut out = [0; 39];
    assert_eq!(
        sealer(Codec::Opus, 0).seal(&[0; 10], &mut out),
        Err(SealError::OutputTooSmall)
    );
}
