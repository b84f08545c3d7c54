// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sender, a receiver and an attacker between them, driven by the input: what arrives unchanged opens once, and
//! nothing else does.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use roomseal_e2ee::{
    Codec, FrameContext, FrameKey, IvSource, KeyIndex, Opener, RawKey, Replay, SealError, Sealer,
    Verdict,
};

static KEYS: LazyLock<Vec<FrameKey>> = LazyLock::new(|| {
    (0..16)
        .map(|n| FrameKey::from_raw_key(&RawKey::new(vec![n; 32])))
        .collect()
});

fuzz_target!(|input: &[u8]| {
    let Some((seed, mut steps)) = input.split_first_chunk::<12>() else {
        return;
    };
    let codec = if seed[0] & 1 == 0 {
        Codec::Opus
    } else {
        Codec::Vp8
    };
    let replay = if seed[1] & 1 == 0 {
        Replay::Window
    } else {
        Replay::Auto { clock_rate: 48_000 }
    };
    let mut sealer = Sealer::new(codec, IvSource::new(*seed));
    let mut opener = Opener::new(codec, replay);
    let mut receiver_has = [false; 16];
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let context = FrameContext {
        gap: false,
        now: Duration::ZERO,
    };

    while let Some(([step, argument], rest)) = steps.split_first_chunk() {
        steps = rest;
        let slot = argument % 16;
        let index = KeyIndex::try_from(slot).expect("less than 16");
        match step % 6 {
            0 => sealer.set_key(index, KEYS[usize::from(slot)].clone()),
            1 => {
                opener.keys().set(index, KEYS[usize::from(slot)].clone());
                receiver_has[usize::from(slot)] = true;
            }
            2 => {
                opener.keys().remove(index);
                receiver_has[usize::from(slot)] = false;
            }
            3 if sent.is_empty() => {}
            3 => {
                // A frame of before, as it was.
                let frame = &sent[usize::from(*argument) % sent.len()];
                let expected = if receiver_has[usize::from(frame[frame.len() - 1])] {
                    Verdict::Replayed
                } else {
                    Verdict::NoKey
                };
                assert_eq!(opener.open(&mut frame.clone(), &context), Err(expected));
            }
            4 if sent.is_empty() => {}
            4 => {
                // A frame of before with one byte changed.
                let mut frame = sent[usize::from(step / 6) % sent.len()].clone();
                let at = usize::from(*argument) % frame.len();
                frame[at] ^= step | 1;
                assert!(opener.open(&mut frame, &context).is_err());
            }
            _ => {
                let (frame, rest) = steps.split_at(steps.len().min(usize::from(*argument)));
                steps = rest;
                let mut sealed = vec![0; Sealer::max_sealed_len(codec, frame.len())];
                let length = match sealer.seal(frame, &mut sealed) {
                    Ok(length) => length,
                    Err(SealError::NoKey | SealError::Empty | SealError::TooShort) => continue,
                    Err(other) => panic!("{other}"),
                };
                sealed.truncate(length);
                let mut arriving = sealed.clone();
                let opened = opener.open(&mut arriving, &context);
                if receiver_has[usize::from(sealed[length - 1])] {
                    assert_eq!(&arriving[..opened.expect("the key is there")], frame);
                    sent.push(sealed);
                } else {
                    assert_eq!(opened, Err(Verdict::NoKey));
                }
            }
        }
    }
});
