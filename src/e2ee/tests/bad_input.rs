// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a network, a server or an attacker may hand to an opener: nothing opens, nothing panics.

use std::time::Duration;

use proptest::prelude::*;
use roomseal_e2ee::{Codec, FrameContext, FrameKey, Opener, RawKey, Replay, Verdict};

use crate::frames::{NOW, index, key, open, opener, seal, sealer};
use crate::h264::access_unit;

/// One sealed frame of each kind, key index 5.
fn sealed_frames() -> Vec<(Codec, Vec<u8>)> {
    [
        (Codec::Opus, vec![0x78; 60]),
        (Codec::Vp8, [&[0x10][..], &[0x55; 70]].concat()),
        (Codec::Vp8, [&[0x11][..], &[0x66; 70]].concat()),
        (Codec::H264, access_unit(5, &[0xB8, 0x9A, 0, 0, 3, 1, 7, 8])),
    ]
    .map(|(codec, frame)| {
        let sealed = seal(&mut sealer(codec, 5), codec, &frame).unwrap();
        (codec, sealed)
    })
    .to_vec()
}

#[test]
fn every_single_flipped_bit_is_noticed() {
    for (codec, sealed) in sealed_frames() {
        assert!(open(&mut opener(codec, 5), &sealed).is_ok());
        for bit in 0..sealed.len() * 8 {
            let mut frame = sealed.clone();
            frame[bit / 8] ^= 1 << (bit % 8);
            assert!(
                open(&mut opener(codec, 5), &frame).is_err(),
                "{codec:?}, bit {bit}"
            );
        }
    }
}

#[test]
fn no_truncated_frame_opens() {
    for (codec, sealed) in sealed_frames() {
        for length in 0..sealed.len() {
            assert!(open(&mut opener(codec, 5), &sealed[..length]).is_err());
            assert!(open(&mut opener(codec, 5), &sealed[sealed.len() - length..]).is_err());
        }
    }
}

#[test]
fn no_lengthened_frame_opens() {
    for (codec, sealed) in sealed_frames() {
        for extra in [1, 2, 13, 4096, 1 << 20] {
            let mut frame = sealed.clone();
            frame.resize(sealed.len() + extra, 0x0C);
            assert!(open(&mut opener(codec, 5), &frame).is_err());
        }
    }
}

#[test]
fn a_key_index_is_no_way_around_the_key() {
    for (codec, sealed) in sealed_frames() {
        for key_index in (0..=255).filter(|key_index| *key_index != 5) {
            let mut frame = sealed.clone();
            *frame.last_mut().unwrap() = key_index;
            let mut opener = opener(codec, 5);
            assert_eq!(
                open(&mut opener, &frame),
                Err(Verdict::NoKey),
                "{codec:?} {key_index}"
            );
            if key_index < 16 {
                let other = FrameKey::from_raw_key(&RawKey::new(vec![1; 32]));
                opener.keys().set(index(key_index), other);
                assert_eq!(open(&mut opener, &frame), Err(Verdict::Unverified));
            }
        }
    }
}

#[test]
fn a_frame_of_zero_bytes_is_malformed() {
    for codec in [Codec::Opus, Codec::Vp8, Codec::H264] {
        assert_eq!(open(&mut opener(codec, 5), &[]), Err(Verdict::Malformed));
    }
}

#[test]
fn clear_frames_are_called_clear() {
    let mut opener = opener(Codec::Opus, 5);
    assert_eq!(open(&mut opener, &[0xF8, 0xFF, 0xFE]), Err(Verdict::Clear));
    assert_eq!(open(&mut opener, &[0x78; 80]), Err(Verdict::Clear));
    assert_eq!(opener.counters().clear, 2);
    let clear = access_unit(5, &[0xB8; 200]);
    assert_eq!(
        open(&mut crate::frames::opener(Codec::H264, 5), &clear),
        Err(Verdict::Clear)
    );
}

#[test]
fn what_the_server_injects_is_dropped_even_if_it_would_open() {
    for (codec, sealed) in sealed_frames() {
        let mut opener = opener(codec, 5);
        opener.set_sif_trailer(sealed[sealed.len() - 9..].to_vec());
        assert_eq!(open(&mut opener, &sealed), Err(Verdict::ServerInjected));
        opener.set_sif_trailer(Vec::new());
        assert!(open(&mut opener, &sealed).is_ok());
    }
}

#[test]
fn verdicts_on_failed_tags_follow_gaps_repetition_and_confirmation() {
    let (codec, mut damaged) = sealed_frames().swap_remove(0);
    damaged[7] ^= 1;
    let mut opener = opener(codec, 5);
    let judge = |opener: &mut Opener, gap, millis| {
        let context = FrameContext {
            gap,
            now: Duration::from_millis(millis),
        };
        opener.open(&mut damaged.clone(), &context).unwrap_err()
    };
    assert_eq!(judge(&mut opener, true, 0), Verdict::Loss);
    assert_eq!(judge(&mut opener, false, 1), Verdict::Unverified);
    assert_eq!(judge(&mut opener, false, 2), Verdict::Unverified);
    assert_eq!(judge(&mut opener, false, 3), Verdict::OtherKey);
    opener.set_peer_confirmed(true);
    assert_eq!(judge(&mut opener, false, 4), Verdict::Altered);
    assert_eq!(judge(&mut opener, true, 5), Verdict::Loss);
    assert_eq!(judge(&mut opener, false, 3000), Verdict::Unverified);
    let counters = opener.counters();
    assert_eq!(
        (
            counters.loss,
            counters.unverified,
            counters.other_key,
            counters.altered
        ),
        (2, 3, 1, 1)
    );
}

proptest! {
    #[test]
    fn random_bytes_never_open_and_never_panic(
        bytes in prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(0), 1 => Just(12)], 0..300),
        end in prop::option::of(0..16_u8),
    ) {
        let mut bytes = bytes;
        if let Some(key_index) = end {
            bytes.extend([12, key_index]);
        }
        for codec in [Codec::Opus, Codec::Vp8, Codec::H264] {
            for replay in [Replay::Window, Replay::RandomIvs, Replay::Auto { clock_rate: 90_000 }] {
                let mut opener = Opener::new(codec, replay);
                for slot in 0..16 {
                    opener.keys().set(index(slot), key());
                }
                prop_assert!(opener.open(&mut bytes.clone(), &NOW).is_err());
            }
        }
    }
}
