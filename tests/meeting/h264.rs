// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each rule of sealing H.264, broken alone, leaves the official SDK in the dark: the rules are needed, and a meeting
//! with the SDK (`sdk.rs`) would show the lack of one.
//!
//! The frames are sealed here, by code that shares nothing with the box but the cipher.

use std::time::{Duration, Instant};

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Nonce};
use gst::prelude::*;
use roomseal_e2ee::Codec;
use roomseal_service::livekit::Encryption;
use roomseal_tests::bare::{Bare, Frame, Stream};
use roomseal_tests::footage;
use roomseal_tests::livekit::Server;
use roomseal_tests::sdk::{Peer, Published};

use crate::{SOON, one_at_a_time};

/// What LiveKit's unit tests derive from this passphrase.
const PASSPHRASE: &str = "mypassword";
const KEY: [u8; 16] = [
    0x11, 0x90, 0x11, 0xE7, 0x80, 0x2A, 0x18, 0x86, 0x3D, 0xA8, 0xDF, 0x5C, 0x96, 0x25, 0xD8, 0xC9,
];

const SLICE: u8 = 1;
const IDR: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const DELIMITER: u8 = 9;

/// A rule that is not kept, and what becomes of the frames for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    /// An escape falls among the last 14 bytes, which native clients read before they take escapes out.
    EscapedIv,
    /// Units before the slice make a header of more than 255 bytes, and native clients count it in one byte.
    LongHeader,
    /// The tag covers start codes of three bytes; receivers rebuild all of them with four.
    ShortStartCodes,
    /// The SPS has no VUI, so that libwebrtc writes another one before it opens the frame.
    NoVui,
    /// What lies where receivers look for the PPS number is ciphertext that says another number.
    OtherPps,
    /// The key index 0 ends a unit whose trailing zeros the payloader takes for padding.
    IndexTrimmed,
}

#[test]
fn each_rule_of_sealing_h264_broken_alone_leaves_the_official_sdk_without_a_picture() {
    use Mistake::{EscapedIv, IndexTrimmed, LongHeader, NoVui, OtherPps, ShortStartCodes};
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let units = encode();
    let server = Server::on_loopback();
    let join = |identity: &str, mistake| {
        let stream = Stream {
            codec: Codec::H264,
            encryption: Encryption::Gcm,
            frames: seal(&units, mistake),
            interval: Duration::from_millis(66),
        };
        Bare::join(
            &server.url(),
            &server.token(identity, "rules"),
            vec![stream],
        )
    };
    let mut peer = Peer::join(
        &server.url(),
        &server.token("sdk", "rules"),
        Some(PASSPHRASE),
        Published::NOTHING,
        folder.path(),
    );
    let frames = |peer: &mut Peer, identity: &str| {
        let seen = peer.report();
        seen[identity]["video"]["frames"].as_u64().unwrap_or(0)
    };
    let _right = join("right", None);
    peer.wait_for("first_picture", SOON, |e| e["identity"] == "right");
    for mistake in [
        EscapedIv,
        LongHeader,
        ShortStartCodes,
        NoVui,
        OtherPps,
        IndexTrimmed,
    ] {
        let identity = format!("{mistake:?}");
        let wrong = join(&identity, Some(mistake));
        peer.wait_for("track", SOON, |e| e["identity"] == identity.as_str());
        // As long as it takes to see three key frames of the one that keeps the rules.
        let (before, deadline) = (frames(&mut peer, "right"), Instant::now() + SOON);
        while frames(&mut peer, "right") < before + 60 {
            assert!(Instant::now() < deadline, "the right one is not decoded");
            std::thread::sleep(Duration::from_millis(500));
        }
        let decoded = frames(&mut peer, &identity);
        let states = peer.events("e2ee");
        let of_it = states.iter().filter(|e| e["identity"] == identity.as_str());
        let states: Vec<_> = of_it.map(|e| e["state"].clone()).collect();
        println!("{mistake:?}: {decoded} pictures, {states:?}");
        assert_eq!(decoded, 0, "{mistake:?}");
        // Packets with an unknown PPS number end before the cryptor; everything else fails in it.
        assert_eq!(
            states.iter().any(|state| state == "DECRYPTION_FAILED"),
            mistake != OtherPps
        );
        drop(wrong);
    }
}

/// An access unit as the encoder made it, its units without start codes.
struct Picture {
    units: Vec<Vec<u8>>,
    key: bool,
}

/// The bikes, small, as constrained baseline with a key frame every 15 pictures.
fn encode() -> Vec<Picture> {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(&format!(
        "filesrc location={} ! decodebin ! videoconvert ! videoscale add-borders=false \
         ! video/x-raw,format=I420,width=320,height=136,pixel-aspect-ratio=1/1 \
         ! x264enc tune=zerolatency speed-preset=superfast key-int-max=15 bitrate=300 threads=1 byte-stream=true \
         ! video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au \
         ! appsink name=made sync=false",
        footage::clip("bikes.mp4").display()
    ))
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    let sink = pipeline.by_name("made").unwrap();
    let sink = sink.downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut pictures = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let frame = sample.buffer().unwrap().map_readable().unwrap().to_vec();
        let units = units(&frame);
        let key = units.iter().any(|unit| kind(unit) == IDR);
        pictures.push(Picture { units, key });
    }
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(pictures.len() >= 60, "{} pictures", pictures.len());
    pictures
}

fn kind(unit: &[u8]) -> u8 {
    unit[0] & 0x1F
}

/// What lies between start codes.
fn units(frame: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> = (3..=frame.len())
        .filter(|at| frame[at - 3..*at] == [0, 0, 1])
        .collect();
    let ends = starts
        .iter()
        .skip(1)
        .map(|next| next - 3)
        .chain([frame.len()]);
    let unit = |(start, end): (&usize, usize)| {
        let zeros = frame[*start..end].iter().rev().take_while(|b| **b == 0);
        frame[*start..end - zeros.count()].to_vec()
    };
    starts.iter().zip(ends).map(unit).collect()
}

fn seal(pictures: &[Picture], mistake: Option<Mistake>) -> Vec<Frame> {
    let mut counter = 0x0101_0101;
    let sealed = pictures.iter().map(|picture| Frame {
        bytes: seal_one(picture, mistake, &mut counter),
        key: picture.key,
    });
    sealed.collect()
}

fn seal_one(picture: &Picture, mistake: Option<Mistake>, counter: &mut u32) -> Vec<u8> {
    let mut before = Vec::new();
    let mut slices = Vec::new();
    for unit in &picture.units {
        match kind(unit) {
            SLICE | IDR => slices.push(unit.clone()),
            SEI | DELIMITER => {}
            SPS if mistake == Some(Mistake::NoVui) => before.push(without_vui(unit)),
            _ => before.push(unit.clone()),
        }
    }
    if mistake == Some(Mistake::LongHeader) && picture.key {
        // User data, as x264 writes it about itself.
        before.push([&[SEI, 5, 255, 45][..], &[0x55; 300], &[0x80]].concat());
    }
    let joined = |code: &[u8], units: &[Vec<u8>]| -> Vec<u8> {
        units
            .iter()
            .flat_map(|unit| [code, unit].concat())
            .collect()
    };
    let header = |code: &[u8]| [&joined(code, &before), code, &slices[0][..2]].concat();
    let sent = header(&[0, 0, 0, 1]);
    let covered = match mistake {
        Some(Mistake::ShortStartCodes) => header(&[0, 0, 1]),
        _ => sent.clone(),
    };
    let plain = [&slices[0][2..], &joined(&[0, 0, 0, 1], &slices[1..])].concat();
    // A slice type of one byte puts the PPS number where the ciphertext begins: 1 there says number 0.
    let number_hidden = picture.key && slices[0][1] == 0x88;
    loop {
        *counter += 1;
        let mut iv = [0x77; 12];
        iv[8..].copy_from_slice(&counter.to_be_bytes());
        if mistake == Some(Mistake::EscapedIv) {
            iv[2..5].copy_from_slice(&[0, 0, 1]);
        }
        let mut text = plain.clone();
        let tag = Aes128Gcm::new(&KEY.into())
            .encrypt_inout_detached(&Nonce::from(iv), &covered, text.as_mut_slice().into())
            .unwrap();
        if number_hidden && (text[0] & 0x80 == 0) != (mistake == Some(Mistake::OtherPps)) {
            continue;
        }
        let tail = [&text[..], &tag[..], &iv[..], &[12, 0]].concat();
        let mut escaped = escape(&tail);
        let last = &tail[tail.len() - 16..];
        if (escape(last) != last) != (mistake == Some(Mistake::EscapedIv)) {
            continue;
        }
        if mistake == Some(Mistake::IndexTrimmed) {
            escaped.pop();
        }
        return [sent, escaped].concat();
    }
}

fn escape(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut zeros) = (Vec::new(), 0);
    for byte in bytes {
        if zeros >= 2 && *byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        out.push(*byte);
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
    }
    out
}

/// The same SPS, ended before its VUI (H.264, 7.3.2.1.1).
fn without_vui(sps: &[u8]) -> Vec<u8> {
    let mut at = 8 * 4;
    let bit = |at: usize| sps[at / 8] >> (7 - at % 8) & 1;
    let number = |at: &mut usize| {
        let zeros = (0..).take_while(|n| bit(*at + n) == 0).count();
        let digits = *at + zeros..=*at + 2 * zeros;
        *at += 2 * zeros + 1;
        digits.fold(0_u32, |n, at| n << 1 | u32::from(bit(at))) - 1
    };
    assert_eq!(sps[1], 66, "constrained baseline has no chroma format");
    let [_id, _frame_numbers] = [(); 2].map(|()| number(&mut at));
    assert_eq!(number(&mut at), 2, "pictures come in order");
    let _references = number(&mut at);
    at += 1;
    let [_width, _height] = [(); 2].map(|()| number(&mut at));
    // Frames only, direct 8 x 8 inference.
    at += 2;
    at += 1;
    if bit(at - 1) == 1 {
        for _side in 0..4 {
            number(&mut at);
        }
    }
    assert_eq!(bit(at), 1, "x264 writes a VUI");
    let mut short = sps[..=(at + 1) / 8].to_vec();
    assert!(
        !short.windows(3).any(|w| w == [0, 0, 3]),
        "the bits were counted without escapes"
    );
    // No VUI, then the bit that ends the unit, then zeros.
    short[at / 8] &= !(1 << (7 - at % 8));
    let end = at + 1;
    short[end / 8] |= 1 << (7 - end % 8);
    *short.last_mut().unwrap() &= 0xFF << (7 - end % 8);
    short
}
