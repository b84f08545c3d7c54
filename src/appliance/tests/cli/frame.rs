// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal frame`, against keys that other implementations derive the same.

use std::io::Read;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes128Gcm, KeyInit};
use proptest::prelude::*;

use crate::program::{Place, Ran};

/// LiveKit derives this from `mypassword` (PBKDF2) …
const PASSPHRASE_KEY: &str = "119011e7802a18863da8df5c9625d8c9";
/// … and this from the bytes 00 to 1f (HKDF).
const RAW_KEY: &str = "6d0dd7b3d6f4efde47ab9a9e15abde76";

const OPUS: &[u8] = &[0x78, 1, 2, 3, 4, 5];
/// A key frame: bit 0 of the first byte is clear; ten bytes stay clear.
const VP8: &[u8] = &[
    0x10, 0x02, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01, 1, 2, 3, 4, 5, 6,
];
/// SPS, PPS and one IDR slice, as x264 writes them for constrained baseline at 320×180.
const H264: &[u8] = &[
    0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x05, 0xa8, 0x08, 0x08, 0x0a,
    0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x79, 0x1e, 0x28, 0x54, 0x90, 0, 0, 0, 1,
    0x68, 0xce, 0x3c, 0x80, 0, 0, 0, 1, 0x65, 0x88, 0x84, 0x0a, 0xf2, 0x62, 0x80, 0x00, 0xa7, 0xbe,
];

fn place() -> Place {
    let place = Place::new();
    place.secret("passphrase", "mypassword\n");
    place.secret("other", "anotherpassword\n");
    let raw: Vec<u8> = (0..32).collect();
    place.secret("key.hex", &hex::encode(raw));
    place
}

fn frame(place: &Place, action: &str, codec: &str, key: &[&str], input: &[u8]) -> Ran {
    let mut arguments = vec!["frame", action, "--codec", codec];
    arguments.extend(key);
    place.roomseal(&arguments, input)
}

const PASSPHRASE: &[&str] = &["--passphrase-file", "passphrase"];

#[test]
fn what_is_sealed_opens_with_the_same_key_and_no_other() {
    let place = place();
    for (codec, plain) in [("opus", OPUS), ("vp8", VP8), ("h264", H264)] {
        for key in [
            PASSPHRASE,
            &["--key-hex-file", "key.hex", "--key-index", "7"],
        ] {
            let sealed = frame(&place, "seal", codec, key, plain);
            assert_eq!(sealed.code, 0, "{codec}: {sealed:?}");
            assert!(sealed.out.len() >= plain.len() + 30);
            let opened = frame(&place, "open", codec, key, &sealed.out);
            assert_eq!(opened.code, 0, "{codec}: {}", opened.err);
            let again = frame(&place, "seal", codec, key, &opened.out);
            let again = frame(&place, "open", codec, key, &again.out);
            // H.264 may be normalised by the first sealing; from then on it is the same.
            assert_eq!(again.out, opened.out, "{codec}");
            if codec != "h264" {
                assert_eq!(opened.out, plain, "{codec}");
            }
            frame(
                &place,
                "open",
                codec,
                &["--passphrase-file", "other"],
                &sealed.out,
            )
            .refused(1, "cannot open");
        }
    }
}

#[test]
fn the_bytes_are_livekits() {
    let place = place();
    for (key, derived, index) in [
        (
            &["--passphrase-file", "passphrase", "--key-index", "0"],
            PASSPHRASE_KEY,
            0,
        ),
        (
            &["--key-hex-file", "key.hex", "--key-index", "9"],
            RAW_KEY,
            9,
        ),
    ] {
        let cipher = Aes128Gcm::new_from_slice(&hex::decode(derived).unwrap()).unwrap();
        for (codec, plain, header) in [("opus", OPUS, 1), ("vp8", VP8, 10)] {
            let sealed = frame(&place, "seal", codec, key, plain).out;
            assert_eq!(sealed[..header], plain[..header]);
            let (rest, trailer) = sealed[header..].split_at(sealed.len() - header - 14);
            assert_eq!(trailer[12..], [12, index]);
            let opened = cipher
                .decrypt(
                    &trailer[..12].try_into().unwrap(),
                    Payload {
                        msg: rest,
                        aad: &sealed[..header],
                    },
                )
                .unwrap();
            assert_eq!(opened, plain[header..]);

            // And the other way: made here, opened there.
            let iv = [7; 12];
            let mut made = plain[..header].to_vec();
            made.extend(
                cipher
                    .encrypt(
                        &iv.into(),
                        Payload {
                            msg: &plain[header..],
                            aad: &plain[..header],
                        },
                    )
                    .unwrap(),
            );
            made.extend(iv);
            made.extend([12, index]);
            let opened = frame(&place, "open", codec, key, &made);
            assert_eq!(opened.out, plain, "{opened:?}");
        }
    }
}

#[test]
fn two_seals_of_one_frame_share_no_iv() {
    let place = place();
    let first = frame(&place, "seal", "opus", PASSPHRASE, OPUS).out;
    let second = frame(&place, "seal", "opus", PASSPHRASE, OPUS).out;
    assert_ne!(first[first.len() - 14..], second[second.len() - 14..]);
}

#[test]
fn what_is_cut_off_empty_clear_or_of_another_index_prints_nothing() {
    let place = place();
    let sealed = frame(&place, "seal", "vp8", PASSPHRASE, VP8).out;
    for length in 1..sealed.len() {
        frame(&place, "open", "vp8", PASSPHRASE, &sealed[..length]).refused(1, "cannot open");
    }
    for action in ["seal", "open"] {
        frame(&place, action, "vp8", PASSPHRASE, b"").refused(1, "standard input is empty");
    }
    frame(&place, "open", "vp8", PASSPHRASE, VP8).refused(1, "clear");
    let three = ["--passphrase-file", "passphrase", "--key-index", "3"];
    frame(&place, "open", "vp8", &three, &sealed).refused(1, "--key-index");
}

#[test]
fn every_changed_byte_is_noticed() {
    let place = place();
    let sealed = frame(&place, "seal", "opus", PASSPHRASE, OPUS).out;
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 0x40;
        frame(&place, "open", "opus", PASSPHRASE, &altered).refused(1, "cannot open");
    }
}

#[test]
fn more_than_a_frame_is_refused_and_not_swallowed() {
    let place = place();
    let endless = vec![0x10; 17 * 1024 * 1024];
    for action in ["seal", "open"] {
        frame(&place, action, "vp8", PASSPHRASE, &endless).refused(1, "16 MiB");
    }
}

#[test]
fn a_key_file_that_is_unfit_is_named_with_what_helps() {
    let place = place();
    place.file("loose", "mypassword", 0o644);
    place.secret("short.hex", "0011");
    place.secret("none.hex", "correct horse");
    let open = |key: &[&str]| frame(&place, "open", "opus", key, OPUS);
    open(&["--passphrase-file", "loose"]).refused(3, "chmod 600");
    open(&["--passphrase-file", "absent"]).refused(3, "cannot read absent");
    open(&["--passphrase-file", "."]).refused(3, "is not a file that holds a secret");
    open(&["--key-hex-file", "short.hex"]).refused(3, "at least 16 bytes");
    let ran = open(&["--key-hex-file", "none.hex"]);
    ran.refused(3, "openssl rand -hex 32");
    assert!(!ran.err.contains("horse"), "{}", ran.err);
}

#[test]
fn wrong_use_is_told_apart_from_failure() {
    let place = place();
    let ran = |arguments: &[&str]| place.roomseal(arguments, b"");
    ran(&["frame", "open", "--codec", "opus"]).refused(2, "--passphrase-file");
    ran(&[
        "frame",
        "open",
        "--codec",
        "av1",
        "--passphrase-file",
        "passphrase",
    ])
    .refused(2, "opus, vp8, h264");
    ran(&[
        "frame",
        "open",
        "--codec",
        "opus",
        "--passphrase-file",
        "passphrase",
        "--key-index",
        "16",
    ])
    .refused(2, "16");
    ran(&[
        "frame",
        "open",
        "--codec",
        "opus",
        "--passphrase-file",
        "passphrase",
        "--key-hex-file",
        "key.hex",
    ])
    .refused(2, "cannot be used with");
}

#[test]
fn no_output_holds_the_key_in_any_form() {
    let place = place();
    let secrets: [&[u8]; 3] = [
        b"mypassword",
        &hex::decode(PASSPHRASE_KEY).unwrap(),
        &hex::decode(RAW_KEY).unwrap(),
    ];
    let forms: Vec<Vec<u8>> = secrets.iter().flat_map(|secret| forms(secret)).collect();
    let found = |bytes: &[u8]| {
        forms
            .iter()
            .any(|form| bytes.windows(form.len()).any(|window| window == form))
    };
    for form in &forms {
        // The control: the search finds what is planted.
        let planted = [b"log line ", form.as_slice(), b" end"].concat();
        assert!(found(&planted));
    }
    let sealed = frame(&place, "seal", "opus", PASSPHRASE, OPUS);
    let mut altered = sealed.out.clone();
    altered[3] ^= 1;
    for ran in [
        frame(&place, "open", "opus", PASSPHRASE, &sealed.out),
        frame(&place, "open", "opus", PASSPHRASE, &altered),
        frame(
            &place,
            "open",
            "opus",
            &["--key-hex-file", "passphrase"],
            OPUS,
        ),
        frame(&place, "open", "h264", &["--key-hex-file", "key.hex"], OPUS),
        sealed,
    ] {
        assert!(!found(&ran.out) && !found(ran.err.as_bytes()), "{ran:?}");
    }
}

/// Raw, hexadecimal, base64, base64url and decimal list.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let decimal: Vec<String> = secret.iter().map(u8::to_string).collect();
    let hex = hex::encode(secret);
    vec![
        secret.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        base64(secret, b"+/"),
        base64(secret, b"-_"),
        decimal.join(", ").into_bytes(),
        decimal.join(",").into_bytes(),
    ]
}

/// Without padding, so that it is found inside of a padded one too; whole groups only.
fn base64(bytes: &[u8], last: &[u8; 2]) -> Vec<u8> {
    let alphabet: Vec<u8> = (b'A'..=b'Z')
        .chain(b'a'..=b'z')
        .chain(b'0'..=b'9')
        .chain(*last)
        .collect();
    bytes
        .chunks_exact(3)
        .flat_map(|group| {
            let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
            [18, 12, 6, 0].map(|shift| alphabet[(bits >> shift & 63) as usize])
        })
        .collect()
}

proptest! {
    // Each case starts a process.
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn random_bytes_open_nothing_and_break_nothing(
        bytes in prop::collection::vec(any::<u8>(), 1..200),
        codec in prop::sample::select(vec!["opus", "vp8", "h264"]),
        trailer in any::<bool>(),
    ) {
        let place = place();
        let mut bytes = bytes;
        if trailer {
            bytes.extend([0; 12]);
            bytes.extend([12, 0]);
        }
        frame(&place, "open", codec, PASSPHRASE, &bytes).refused(1, "cannot open");
    }
}

#[test]
fn a_key_file_without_end_is_not_read() {
    let mut byte = [0];
    std::fs::File::open("/dev/zero")
        .unwrap()
        .read_exact(&mut byte)
        .unwrap();
    let place = place();
    frame(
        &place,
        "seal",
        "opus",
        &["--passphrase-file", "/dev/zero"],
        OPUS,
    )
    .refused(3, "is not a file that holds a secret");
}
