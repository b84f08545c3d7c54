// SPDX-License-Identifier: MIT OR Apache-2.0
//! Data packets: as the reference seals, and nothing but that opens.

use proptest::prelude::*;
use roomseal_e2ee::data::{DataOpener, DataSealer};
use roomseal_e2ee::{IvSource, Replay, SealError, Verdict};

use crate::frames::{AES_KEY, SEED, index, key};
use crate::reference;

fn pair() -> (DataSealer, DataOpener) {
    let mut sealer = DataSealer::new(IvSource::new(SEED));
    sealer.set_key(index(4), key());
    let mut opener = DataOpener::new(Replay::Window);
    opener.keys().set(index(4), key());
    (sealer, opener)
}

proptest! {
    #[test]
    fn packets_are_sealed_as_the_reference_does_and_open_once(payload in prop::collection::vec(any::<u8>(), 0..300)) {
        let (mut sealer, mut opener) = pair();
        let packet = sealer.seal(&payload).unwrap();
        prop_assert_eq!(&packet.value, &reference::gcm(&AES_KEY, &packet.iv, &[], &payload));
        prop_assert_eq!(packet.iv[..8].to_vec(), sealer.iv_prefix().to_vec());
        prop_assert_eq!(opener.open(&packet.iv, 4, &packet.value), Ok(payload));
        prop_assert_eq!(opener.open(&packet.iv, 4, &packet.value), Err(Verdict::Replayed));
    }
}

#[test]
fn only_packets_open_that_the_sender_sealed_as_packets() {
    let (mut packets, mut opener) = pair();
    let mut track = DataSealer::new(IvSource::new([0x77; 12]));
    track.set_key(index(4), key());
    opener.set_iv_prefix(Some(packets.iv_prefix()));
    let packet = packets.seal(b"raise hand").unwrap();
    let other = track.seal(b"raise hand").unwrap();
    assert!(opener.open(&packet.iv, 4, &packet.value).is_ok());
    assert_eq!(
        opener.open(&other.iv, 4, &other.value),
        Err(Verdict::OtherTrack)
    );
    assert_eq!(opener.counters().other_track, 1);
}

#[test]
fn bad_packets_get_a_verdict() {
    let (mut sealer, mut opener) = pair();
    let packet = sealer.seal(b"raise hand").unwrap();
    assert_eq!(
        opener.open(&packet.iv[..11], 4, &packet.value),
        Err(Verdict::Malformed)
    );
    assert_eq!(
        opener.open(&packet.iv, 4, &packet.value[..15]),
        Err(Verdict::Malformed)
    );
    for key_index in [5, 16, 260, u32::MAX] {
        assert_eq!(
            opener.open(&packet.iv, key_index, &packet.value),
            Err(Verdict::NoKey)
        );
    }
    for bit in 0..packet.value.len() * 8 {
        let mut value = packet.value.clone();
        value[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(opener.open(&packet.iv, 4, &value), Err(Verdict::OtherKey));
    }
    opener.set_peer_confirmed(true);
    assert_eq!(
        opener.open(&[1; 12], 4, &packet.value),
        Err(Verdict::Altered)
    );
    assert!(opener.open(&packet.iv, 4, &packet.value).is_ok());
    let counters = opener.counters();
    assert_eq!(
        (
            counters.opened,
            counters.malformed,
            counters.no_key,
            counters.altered,
            counters.other_key
        ),
        (1, 2, 4, 1, packet.value.len() as u64 * 8)
    );
}

#[test]
fn without_key_no_packet_is_sealed() {
    let (mut sealer, _) = pair();
    sealer.clear_key();
    assert_eq!(sealer.seal(b"x"), Err(SealError::NoKey));
    assert_eq!(sealer.counters().dropped, 1);
}
