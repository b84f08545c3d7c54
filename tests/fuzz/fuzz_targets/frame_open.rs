// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever the network brings: nothing opens that was not sealed with the key, and nothing panics.
//!
//! The first byte chooses codec, memory for replays and whether a server trailer is known; the rest is the frame.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use roomseal_e2ee::data::DataOpener;
use roomseal_e2ee::{Codec, FrameContext, FrameKey, KeyIndex, Opener, RawKey, Replay};

static KEY: LazyLock<FrameKey> =
    LazyLock::new(|| FrameKey::from_raw_key(&RawKey::new(vec![0x42; 32])));

fuzz_target!(|input: &[u8]| {
    let Some((choice, frame)) = input.split_first() else {
        return;
    };
    let codec = [Codec::Opus, Codec::Vp8, Codec::H264][usize::from(choice % 3)];
    let replay = match choice / 3 % 3 {
        0 => Replay::Window,
        1 => Replay::Libwebrtc { clock_rate: 90_000 },
        _ => Replay::Auto { clock_rate: 90_000 },
    };
    let mut opener = Opener::new(codec, replay);
    if choice & 0x80 != 0 {
        opener.set_sif_trailer(frame[frame.len() / 2..].to_vec());
    }
    for slot in 0..16 {
        opener
            .keys()
            .set(KeyIndex::try_from(slot).expect("less than 16"), KEY.clone());
    }
    for attempt in 0..4 {
        let context = FrameContext {
            gap: attempt == 3,
            now: Duration::from_millis(attempt),
        };
        assert!(opener.open(&mut frame.to_vec(), &context).is_err());
    }
    assert_eq!(opener.counters().refused(), 4);

    let mut opener = DataOpener::new(replay);
    opener.keys().set(KeyIndex::default(), KEY.clone());
    let (iv, value) = frame.split_at(frame.len().min(12));
    assert!(opener.open(iv, 0, value).is_err());
});
