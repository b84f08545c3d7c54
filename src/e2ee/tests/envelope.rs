// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sealed host links: against vectors of a separate implementation, and against everything that is not quite right.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use proptest::prelude::*;
use roomseal_e2ee::envelope::{
    DeviceKey, DevicePublic, MOST_CHARS, MOST_LINK_BYTES, NotAPoint, OpenError, SealError, open,
    seal,
};
use serde::Deserialize;
use zeroize::Zeroizing;

#[derive(Deserialize)]
struct Envelopes {
    envelopes: Vec<Envelope>,
}

#[derive(Deserialize)]
struct Envelope {
    seed: String,
    public: String,
    random: String,
    room: String,
    link: String,
    sealed: String,
}

const LINK: &str = "https://meet.example.org/j/board-room#k=secret";

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn device(fill: u8) -> DeviceKey {
    DeviceKey::from_seed(&[fill; 32]).unwrap()
}

fn sealed(device: &DeviceKey, random: u8) -> String {
    let random = Zeroizing::new([random; 32]);
    seal(device.public(), "board-room", LINK, &random).unwrap()
}

fn sealed_for(device: &DeviceKey) -> String {
    sealed(device, 9)
}

fn again(device: &DeviceKey) -> String {
    sealed(device, 8)
}

fn decoded(text: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(text).unwrap()
}

fn opened(device: &DeviceKey, bytes: &[u8]) -> Result<Zeroizing<String>, OpenError> {
    open(
        device,
        "board-room",
        &Base64UrlUnpadded::encode_string(bytes),
    )
}

#[test]
fn envelopes_are_those_of_the_vectors() {
    let file: Envelopes = serde_json::from_str(include_str!("../vectors/envelopes.json")).unwrap();
    assert_eq!(file.envelopes.len(), 3);
    for vector in file.envelopes {
        let device = DeviceKey::from_seed(&bytes(&vector.seed)).unwrap();
        assert_eq!(device.public().as_bytes(), &bytes(&vector.public));
        let to = DevicePublic::new(&bytes(&vector.public)).unwrap();
        let random = Zeroizing::new(bytes(&vector.random));
        let sealed = seal(&to, &vector.room, &vector.link, &random).unwrap();
        assert_eq!(sealed, vector.sealed);
        let link = open(&device, &vector.room, &vector.sealed).unwrap();
        assert_eq!(*link, vector.link);
    }
}

#[test]
fn another_box_and_another_room_open_nothing() {
    let device = device(1);
    let sealed = sealed_for(&device);
    assert_eq!(
        *open(&device, "board-room", &sealed).unwrap(),
        LINK.to_owned()
    );
    for (key, room) in [
        (&self::device(2), "board-room"),
        (&device, "board-rooM"),
        (&device, "board-room\0"),
        (&device, ""),
    ] {
        let refused = open(key, room, &sealed).unwrap_err();
        assert_eq!(refused, OpenError::Unauthentic, "{room:?}");
    }
}

#[test]
fn the_same_link_is_sealed_in_another_way_each_time() {
    let device = device(1);
    assert_ne!(sealed_for(&device), again(&device));
}

#[test]
fn no_bit_of_an_envelope_can_be_changed_and_nothing_cut_off_or_added() {
    let device = device(1);
    let good = decoded(&sealed_for(&device));
    for at in 0..8 * good.len() {
        let mut bad = good.clone();
        bad[at / 8] ^= 1 << (at % 8);
        let refused = opened(&device, &bad).unwrap_err();
        let expected = match at / 8 {
            0 => OpenError::Version,
            // One changed bit leaves no point of the curve, nor its form.
            1..66 => OpenError::Malformed,
            _ => OpenError::Unauthentic,
        };
        assert_eq!(refused, expected, "bit {at}");
    }
    for length in 0..good.len() {
        assert!(opened(&device, &good[..length]).is_err(), "{length}");
    }
    assert!(opened(&device, &[&good[..], &[0]].concat()).is_err());
    // Another point of the curve in the place of the right one.
    let mut other = decoded(&again(&device));
    other[66..].copy_from_slice(&good[66..]);
    assert_eq!(opened(&device, &other), Err(OpenError::Unauthentic));
}

#[test]
fn the_text_has_one_form_and_a_bound() {
    let device = device(1);
    let sealed = sealed_for(&device);
    for bad in [
        format!("{sealed}="),
        format!(" {sealed}"),
        format!("{sealed}\n"),
        sealed.replacen(['-', '_'], "+", 1),
        "A".repeat(MOST_CHARS + 4),
        "A".repeat(1 << 20),
        String::new(),
    ] {
        let refused = open(&device, "board-room", &bad).unwrap_err();
        assert_eq!(refused, OpenError::Malformed);
    }
    let longest = "x".repeat(MOST_LINK_BYTES);
    let random = Zeroizing::new([3; 32]);
    let sealed = seal(device.public(), "r", &longest, &random).unwrap();
    assert_eq!(sealed.len(), MOST_CHARS);
    assert_eq!(*open(&device, "r", &sealed).unwrap(), longest);
    let longer = "x".repeat(MOST_LINK_BYTES + 1);
    assert_eq!(
        seal(device.public(), "r", &longer, &random),
        Err(SealError::TooLong)
    );
}

#[test]
fn a_key_is_a_point_of_the_curve_in_one_form() {
    let good = *device(1).public().as_bytes();
    assert!(DevicePublic::new(&good).is_ok());
    let mut compact = good;
    compact[0] = 5;
    // An x of no point; the neutral point; the x of a point, without the sign.
    let mut nowhere = [0xFF; 33];
    nowhere[0] = 2;
    for bad in [compact, nowhere, [0; 33], [4; 33]] {
        assert_eq!(DevicePublic::new(&bad), Err(NotAPoint), "{bad:?}");
    }
    // Zero, and the order of the group.
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    assert!(DeviceKey::from_seed(&[0; 32]).is_none());
    assert!(DeviceKey::from_seed(&bytes(order)).is_none());
}

proptest! {
    #[test]
    fn what_a_server_makes_up_opens_nothing(text in "[A-Za-z0-9_-]{0,300}", bytes: Vec<u8>) {
        let device = device(1);
        prop_assert!(open(&device, "board-room", &text).is_err());
        let bytes = [&[1_u8, 4][..], &bytes].concat();
        prop_assert!(opened(&device, &bytes).is_err());
    }
}
