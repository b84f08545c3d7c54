// SPDX-License-Identifier: MIT OR Apache-2.0
//! No type shows key bytes, however it is printed.

use std::fmt::Write;

use roomseal_e2ee::data::{DataOpener, DataSealer};
use roomseal_e2ee::envelope::DeviceKey;
use roomseal_e2ee::{
    Codec, FrameKey, IvSource, KeyRing, Passphrase, RawKey, Replay, SealError, Secret, Unauthentic,
    Verdict,
};

use crate::frames::{AES_KEY, SEED, index, open, opener, seal, sealer};

const PASSPHRASE: &str = "six random words kept from logs";
/// What PBKDF2 makes of it; computed by Python's hashlib.
const DERIVED: &str = "6c383232a8e8a7a24ddfc8c7535c0ff7";

/// Every way in which one would print bytes: raw, hexadecimal, base64 at any alignment, decimal lists.
fn shapes(secret: &[u8]) -> Vec<String> {
    let list = |separator: &str| {
        secret
            .iter()
            .map(u8::to_string)
            .collect::<Vec<_>>()
            .join(separator)
    };
    let hex_list = |prefix: &str| {
        secret
            .iter()
            .map(|b| format!("{prefix}{b:02x}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut shapes = vec![
        String::from_utf8_lossy(secret).into_owned(),
        hex::encode(secret),
        hex::encode_upper(secret),
        list(", "),
        list(","),
        hex_list("0x"),
        hex_list(""),
        secret
            .iter()
            .map(|b| format!("{b:x}"))
            .collect::<Vec<_>>()
            .join(", "),
        secret.escape_ascii().to_string(),
    ];
    for skip in 0..3 {
        let whole = (secret.len() - skip) / 3 * 3;
        shapes.push(base64(&secret[skip..skip + whole]));
        shapes.push(
            base64(&secret[skip..skip + whole])
                .replace('+', "-")
                .replace('/', "_"),
        );
    }
    shapes
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|c| {
            let word = (usize::from(c[0]) << 16) | (usize::from(c[1]) << 8) | usize::from(c[2]);
            [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(word >> shift) & 63]))
        })
        .collect()
}

/// The first secret that can be read from `text`. Eight bytes in a row are too many already.
fn leak(text: &str, secrets: &[(&'static str, Vec<u8>)]) -> Option<&'static str> {
    let lower = text.to_lowercase();
    secrets
        .iter()
        .find(|(_, secret)| {
            secret.windows(8).any(|window| {
                shapes(window).iter().any(|shape| {
                    text.contains(shape)
                        || lower.contains(&shape.to_lowercase()) && shape.len() > 12
                })
            })
        })
        .map(|(name, _)| *name)
}

fn secrets() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("passphrase", PASSPHRASE.into()),
        ("derived from passphrase", hex::decode(DERIVED).unwrap()),
        ("raw key", (0..32).collect()),
        ("secret of a meeting", (200..232).collect()),
        ("key of a box", (100..132).collect()),
        ("derived from raw key", AES_KEY.to_vec()),
    ]
}

#[test]
fn nothing_that_can_be_printed_holds_a_key() {
    let passphrase = Passphrase::new(PASSPHRASE);
    let raw = RawKey::new((0..32).collect());
    let key = FrameKey::from_passphrase(&passphrase);
    let raw_key = FrameKey::from_raw_key(&raw);
    let mut ring = KeyRing::new();
    ring.set(index(0), key.clone());
    ring.set(index(9), raw_key.clone());

    let secret = Secret::new(core::array::from_fn(|at| 200 + at as u8));
    let epoch = secret.epoch_key(&[1; 32]);
    let confirm = epoch.confirm_key();

    let device = DeviceKey::from_seed(&core::array::from_fn(|at| 100 + at as u8));

    let mut text = format!(
        "{device:?} {device:#?} {secret:?} {secret:#?} {epoch:?} {epoch:#?} {confirm:?} {confirm:#?}"
    );
    write!(
        text,
        "{passphrase:?} {passphrase:#?} {raw:?} {raw:#?} {key:?} {key:#?} {raw_key:?} {ring:#?}"
    )
    .unwrap();
    for codec in [Codec::Opus, Codec::Vp8, Codec::H264] {
        let mut sealer = sealer(codec, 9);
        let mut opener = opener(codec, 9);
        opener.keys().set(index(0), key.clone());
        let frame = crate::h264::access_unit(5, &[0xB8; 40]);
        let sealed = seal(&mut sealer, codec, &frame).unwrap();
        open(&mut opener, &sealed).unwrap();
        sealer.set_key(index(0), key.clone());
        write!(text, "{sealer:?} {sealer:#?} {opener:?} {opener:#?}").unwrap();
        write!(text, "{:?}", open(&mut opener, &sealed[1..])).unwrap();
    }
    let mut data_sealer = DataSealer::new(IvSource::new(SEED));
    data_sealer.set_key(index(9), raw_key.clone());
    let mut data_opener = DataOpener::new(Replay::Auto { clock_rate: 1000 });
    data_opener.keys().set(index(0), key);
    let packet = data_sealer.seal(b"hello").unwrap();
    let refused = data_opener.open(&packet.iv, 0, &packet.value);
    write!(
        text,
        "{data_sealer:#?} {data_opener:#?} {packet:?} {refused:?}"
    )
    .unwrap();
    for error in [
        SealError::NoKey,
        SealError::NoUsableIv,
        SealError::IvExhausted,
    ] {
        write!(text, "{error} {error:?}").unwrap();
    }
    write!(
        text,
        "{Unauthentic} {Unauthentic:?} {} {:?}",
        Verdict::OtherKey,
        Verdict::Altered
    )
    .unwrap();

    assert_eq!(leak(&text, &secrets()), None, "{text}");
    assert!(text.contains("FrameKey(..)") && text.contains("Passphrase(..)"));
}

#[test]
fn a_planted_key_is_found_in_every_shape() {
    for (name, secret) in secrets() {
        for shape in shapes(&secret) {
            assert_eq!(
                leak(&format!("before {shape} after"), &secrets()),
                Some(name),
                "{shape}"
            );
        }
        assert_eq!(leak(&format!("{:?}", &secret[..8]), &secrets()), Some(name));
        assert_eq!(
            leak(&format!("{:x?}", &secret[..9]), &secrets()),
            Some(name)
        );
    }
    assert_eq!(leak("nothing here", &secrets()), None);
}

#[test]
fn the_derived_key_looked_for_is_the_one_in_use() {
    let derived: [u8; 16] = hex::decode(DERIVED).unwrap().try_into().unwrap();
    let sealed = crate::reference::seal(&derived, &[5; 12], 0, 1, b"\x78xyz");
    let mut opener = roomseal_e2ee::Opener::new(Codec::Opus, Replay::RandomIvs);
    opener.keys().set(
        index(0),
        FrameKey::from_passphrase(&Passphrase::new(PASSPHRASE)),
    );
    assert!(open(&mut opener, &sealed).is_ok());
}
