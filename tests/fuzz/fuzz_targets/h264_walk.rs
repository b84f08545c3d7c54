// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever an encoder brings: an access unit is refused, or leaves in the form that reaches every receiver unchanged.
//!
//! The input is one access unit, or several that one sealer gets in turn, parted by `FF 00 FF`.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use roomseal_e2ee::{
    Codec, FrameContext, FrameKey, IvSource, KeyIndex, Opener, RawKey, Replay, Sealer, h264,
};

static KEY: LazyLock<FrameKey> =
    LazyLock::new(|| FrameKey::from_raw_key(&RawKey::new(vec![0x42; 32])));
const TRAILER: usize = 14;

fuzz_target!(|input: &[u8]| {
    let mut sealer = Sealer::new(Codec::H264, IvSource::new([1; 12]));
    sealer.set_key(KeyIndex::default(), KEY.clone());
    let mut opener = Opener::new(Codec::H264, Replay::Window);
    opener.keys().set(KeyIndex::default(), KEY.clone());
    let mut rest = input;
    loop {
        let end = rest.windows(3).position(|window| window == [0xFF, 0, 0xFF]);
        access_unit(&mut sealer, &mut opener, &rest[..end.unwrap_or(rest.len())]);
        let Some(end) = end else {
            break;
        };
        rest = &rest[end + 3..];
    }
});

fn access_unit(sealer: &mut Sealer, opener: &mut Opener, frame: &[u8]) {
    h264::is_key_frame(frame);
    let mut same = frame.to_vec();
    if h264::sealed_to_avc(&mut same).is_err() {
        assert_eq!(same, frame);
    }

    let mut sealed = vec![0; Sealer::max_sealed_len(Codec::H264, frame.len())];
    let Ok(length) = sealer.seal(frame, &mut sealed) else {
        return;
    };
    sealed.truncate(length);
    let header = (4..length)
        .find(|at| sealed[at - 4..*at] == [0, 0, 0, 1] && matches!(sealed[*at] & 0x1F, 1 | 5))
        .expect("a slice is what makes a frame")
        + 2;
    assert!(header <= 255);
    assert!(
        sealed[header..]
            .windows(3)
            .all(|w| w[0] != 0 || w[1] != 0 || w[2] > 2)
    );
    assert_eq!(sealed[length - 2..], [12, 0]);
    assert_eq!(sealed[length - TRAILER..][..8], sealer.iv_prefix());

    let mut avc = sealed.clone();
    h264::sealed_to_avc(&mut avc).expect("it was just sealed");
    let context = FrameContext {
        gap: false,
        now: Duration::ZERO,
    };
    let length = opener
        .open(&mut sealed, &context)
        .expect("it was just sealed");
    let plain = &sealed[..length];

    // Normal form stays as it is.
    let mut again = vec![0; Sealer::max_sealed_len(Codec::H264, plain.len())];
    let length = sealer
        .seal(plain, &mut again)
        .expect("it could be sealed before");
    let length = opener
        .open(&mut again[..length], &context)
        .expect("it was just sealed");
    assert_eq!(&again[..length], plain);
}
