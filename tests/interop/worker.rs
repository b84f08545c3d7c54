// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frame worker of LiveKit's JavaScript client, unmodified, in Node: what one side seals, the other opens, byte by
//! byte.

use std::time::Duration;

use roomseal_e2ee::data::{DataOpener, DataSealer};
use roomseal_e2ee::{
    Codec, FrameContext, FrameKey, IvSource, KeyIndex, Opener, Passphrase, RawKey, Replay, Sealer,
    Verdict,
};
use roomseal_tests::places;
use serde_json::{Value, json};

use crate::node::Node;

/// The worker.
struct Worker(Node);

impl Worker {
    fn start() -> Self {
        let package = "node/node_modules/livekit-client/dist/livekit-client.e2ee.worker.mjs";
        Self(Node::run("worker/run.mjs", places::provided(package)))
    }

    /// Answers to one batch: what came out per frame, and the worker's error messages.
    fn batch(&mut self, request: &Value) -> (Vec<Value>, Vec<String>) {
        let mut reply = self.0.ask(request);
        let frames = serde_json::from_value(reply["frames"].take()).unwrap();
        (
            frames,
            serde_json::from_value(reply["errors"].take()).unwrap(),
        )
    }

    /// Frames through the worker with a key, none where it let nothing through.
    fn frames(
        &mut self,
        op: &str,
        codec: Codec,
        secret: &Secret,
        index: u8,
        frames: &[Vec<u8>],
    ) -> (Vec<Option<Vec<u8>>>, Vec<String>) {
        let (out, errors) = self.batch(&json!({
            "op": op,
            "codec": match codec { Codec::Opus => "opus", Codec::Vp8 => "vp8", Codec::H264 => "h264" },
            "kdf": secret.kdf(),
            "secret": hex::encode(secret.bytes()),
            "keyIndex": index,
            "frames": frames.iter().map(hex::encode).collect::<Vec<_>>(),
        }));
        let out = out
            .iter()
            .map(|frame| Some(hex::decode(frame.as_str()?).unwrap()));
        (out.collect(), errors)
    }
}

enum Secret {
    Passphrase(&'static str),
    Raw([u8; 32]),
}

impl Secret {
    fn kdf(&self) -> &'static str {
        match self {
            Self::Passphrase(_) => "PBKDF2",
            Self::Raw(_) => "HKDF",
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Passphrase(text) => text.as_bytes().to_vec(),
            Self::Raw(bytes) => bytes.to_vec(),
        }
    }

    fn key(&self) -> FrameKey {
        match self {
            Self::Passphrase(text) => FrameKey::from_passphrase(&Passphrase::new(*text)),
            Self::Raw(bytes) => FrameKey::from_raw_key(&RawKey::new(bytes.to_vec())),
        }
    }
}

const SECRETS: [Secret; 2] = [
    Secret::Passphrase("correct horse bättery staple"),
    Secret::Raw([0xA5; 32]),
];

/// Small, fast, the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.next() >> 32) as u8).collect()
    }

    /// What an H.264 slice may look like at its worst: zeros everywhere, escaped, with a stop bit.
    fn slice(&mut self, first: &[u8]) -> Vec<u8> {
        let mut slice = first.to_vec();
        let mut zeros = 0;
        for _ in 0..20 + self.next() % 400 {
            let byte = [0, 0, 0, 1, 2, 3, 0x80, (self.next() >> 40) as u8]
                [(self.next() >> 20) as usize % 8];
            if zeros >= 2 && byte <= 3 {
                slice.push(3);
                zeros = 0;
            }
            slice.push(byte);
            zeros = if byte == 0 { zeros + 1 } else { 0 };
        }
        slice.push(0x80);
        slice
    }
}

/// SPS (that needs no rewriting) and PPS of x264, constrained baseline.
const PARAMETER_SETS: &str = "000000016742d00bd9047b016a0c0c0d4a00000300020000030079\
                              1e244c900000000168cb8cb2";

/// Frames of one codec as an encoder makes them: key and delta, long and short.
fn clips(codec: Codec) -> Vec<Vec<u8>> {
    let mut random = Random(0x00C0_FFEE_1234_5678);
    let sizes = [0, 1, 2, 15, 16, 17, 100, 1200, 5000];
    (0..60)
        .map(|number| {
            let size = sizes[number % sizes.len()] + number / 9;
            match codec {
                Codec::Opus => [vec![0x78], random.bytes(size)].concat(),
                Codec::Vp8 if number % 5 == 0 => [
                    vec![0x50, 1, 0, 0x9D, 1, 0x2A, 64, 0, 48, 0],
                    random.bytes(size),
                ]
                .concat(),
                Codec::Vp8 => [vec![0x51, 1, 0], random.bytes(size)].concat(),
                Codec::H264 => {
                    let (mut frame, kind, first): (_, u8, &[u8]) = match number % 5 {
                        0 => (parameter_sets(), 0x65, &[0x88, 0x84]),
                        1 => (parameter_sets(), 0x65, &[0xB8, 0x41]),
                        _ => (Vec::new(), 0x41, &[0x9A, 0x41]),
                    };
                    for slice in 0..1 + number % 3 {
                        frame.extend([0, 0, 0, 1, kind]);
                        // Later slices begin at a later macroblock.
                        frame.extend(random.slice(if slice == 0 { first } else { &[0x46, 0xA1] }));
                    }
                    frame
                }
            }
        })
        .collect()
}

fn parameter_sets() -> Vec<u8> {
    hex::decode(PARAMETER_SETS).unwrap()
}

fn index(index: u8) -> KeyIndex {
    KeyIndex::try_from(index).unwrap()
}

fn seal_all(codec: Codec, key: FrameKey, key_index: u8, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut sealer = Sealer::new(codec, IvSource::new(*b"any 12 bytes"));
    sealer.set_key(index(key_index), key);
    let seal = |frame: &Vec<u8>| {
        let mut sealed = vec![0; Sealer::max_sealed_len(codec, frame.len())];
        let length = sealer.seal(frame, &mut sealed).unwrap();
        sealed.truncate(length);
        sealed
    };
    frames.iter().map(seal).collect()
}

fn open(opener: &mut Opener, sealed: &[u8]) -> Result<Vec<u8>, Verdict> {
    let mut frame = sealed.to_vec();
    let context = FrameContext {
        gap: false,
        now: Duration::ZERO,
    };
    let length = opener.open(&mut frame, &context)?;
    frame.truncate(length);
    Ok(frame)
}

const CODECS: [Codec; 3] = [Codec::Opus, Codec::Vp8, Codec::H264];

#[test]
fn what_the_browser_seals_opens_here_once() {
    let mut worker = Worker::start();
    for secret in &SECRETS {
        for (codec, clock_rate) in CODECS.into_iter().zip([48_000, 90_000, 90_000]) {
            let clips = clips(codec);
            let (sealed, errors) = worker.frames("encode", codec, secret, 11, &clips);
            assert!(errors.is_empty(), "{errors:?}");
            for replay in [
                Replay::Libwebrtc { clock_rate },
                Replay::Auto { clock_rate },
                Replay::RandomIvs,
            ] {
                let mut opener = Opener::new(codec, replay);
                opener.keys().set(index(11), secret.key());
                for (clip, sealed) in clips.iter().zip(&sealed) {
                    let sealed = sealed.as_ref().expect("the worker seals every frame");
                    assert_ne!(sealed, clip);
                    assert_eq!(open(&mut opener, sealed).as_ref(), Ok(clip), "{codec:?}");
                }
                for sealed in &sealed {
                    let again = open(&mut opener, sealed.as_ref().unwrap());
                    assert_eq!(again, Err(Verdict::Replayed), "{codec:?} {replay:?}");
                }
                // Only senders of random IVs leave a limit to be shown.
                assert_eq!(opener.replay_is_bounded(), replay == Replay::RandomIvs);
            }
        }
    }
}

#[test]
fn what_is_sealed_here_opens_in_the_browser() {
    let mut worker = Worker::start();
    for secret in &SECRETS {
        for codec in CODECS {
            let clips = clips(codec);
            let sealed = seal_all(codec, secret.key(), 15, &clips);
            let (opened, errors) = worker.frames("decode", codec, secret, 15, &sealed);
            assert!(errors.is_empty(), "{errors:?}");
            for (clip, opened) in clips.iter().zip(opened) {
                assert_eq!(opened.as_ref(), Some(clip), "{codec:?}");
            }
        }
    }
}

#[test]
fn escapes_did_occur_in_both_directions() {
    // The test above proves something about them only if random ciphertext holds some.
    let mut worker = Worker::start();
    let [_, secret] = &SECRETS;
    let clip = [
        parameter_sets(),
        vec![0, 0, 0, 1, 0x65, 0xB8],
        vec![0x55; 60_000],
    ]
    .concat();
    let clips = vec![clip; 200];
    let escaped = |frames: &[Vec<u8>]| {
        frames
            .iter()
            .filter(|frame| frame.len() > clips[0].len() + 30)
            .count()
    };

    let ours = seal_all(Codec::H264, secret.key(), 1, &clips);
    assert!(escaped(&ours) > 0);
    let (opened, _) = worker.frames("decode", Codec::H264, secret, 1, &ours);
    assert!(
        opened
            .iter()
            .zip(&clips)
            .all(|(opened, clip)| opened.as_ref() == Some(clip))
    );

    let (theirs, _) = worker.frames("encode", Codec::H264, secret, 1, &clips);
    let theirs: Vec<_> = theirs.into_iter().flatten().collect();
    assert!(escaped(&theirs) > 0);
    let mut opener = Opener::new(Codec::H264, Replay::Auto { clock_rate: 90_000 });
    opener.keys().set(index(1), secret.key());
    assert!(
        theirs
            .iter()
            .all(|sealed| open(&mut opener, sealed).as_ref() == Ok(&clips[0]))
    );
    assert_eq!(theirs.len(), clips.len());
}

#[test]
fn neither_side_opens_a_frame_without_its_key() {
    let mut worker = Worker::start();
    let [passphrase, raw] = &SECRETS;
    for codec in CODECS {
        let clips = &clips(codec)[..8];

        let unknown_index = seal_all(codec, raw.key(), 3, clips);
        let (opened, errors) = worker.frames("decode", codec, raw, 4, &unknown_index);
        assert!(opened.iter().all(Option::is_none));
        assert!(
            errors.iter().any(|error| error.contains("MissingKey")),
            "{errors:?}"
        );

        let other_key = seal_all(codec, passphrase.key(), 4, clips);
        let (opened, errors) = worker.frames("decode", codec, raw, 4, &other_key);
        assert!(opened.iter().all(Option::is_none));
        assert!(
            errors.iter().any(|error| error.contains("InvalidKey")),
            "{errors:?}"
        );

        let (theirs, _) = worker.frames("encode", codec, raw, 4, clips);
        let mut opener = Opener::new(codec, Replay::RandomIvs);
        opener.keys().set(index(3), raw.key());
        for sealed in theirs.iter().flatten() {
            assert_eq!(open(&mut opener, sealed), Err(Verdict::NoKey));
        }
        opener.keys().set(index(4), passphrase.key());
        for sealed in theirs.iter().flatten() {
            let verdict = open(&mut opener, sealed).unwrap_err();
            assert!(matches!(verdict, Verdict::Unverified | Verdict::OtherKey));
        }
        assert_eq!(opener.counters().refused(), 16);
    }
}

#[test]
fn data_packets_cross_in_both_directions() {
    let mut worker = Worker::start();
    let payloads: Vec<_> = [0, 1, 16, 15_000]
        .map(|length| Random(7).bytes(length))
        .to_vec();
    for secret in &SECRETS {
        let request = |op: &str, packets: Value| json!({ "op": op, "kdf": secret.kdf(), "secret": hex::encode(secret.bytes()), "keyIndex": 6, "packets": packets });
        let (theirs, errors) = worker.batch(&request(
            "encrypt",
            payloads.iter().map(hex::encode).collect(),
        ));
        assert!(errors.is_empty(), "{errors:?}");
        let mut opener = DataOpener::new(Replay::RandomIvs);
        opener.keys().set(index(6), secret.key());
        for (packet, payload) in theirs.iter().zip(&payloads) {
            let field = |name: &str| hex::decode(packet[name].as_str().unwrap()).unwrap();
            let key_index = packet["keyIndex"].as_u64().unwrap() as u32;
            let opened = opener.open(&field("iv"), key_index, &field("value"));
            assert_eq!(opened.as_ref(), Ok(payload));
        }

        let mut sealer = DataSealer::new(IvSource::new(*b"any 12 bytes"));
        sealer.set_key(index(6), secret.key());
        let ours = payloads.iter().map(|payload| {
            let packet = sealer.seal(payload).unwrap();
            json!({
                "iv": hex::encode(packet.iv),
                "keyIndex": u8::from(packet.key_index),
                "value": hex::encode(packet.value),
            })
        });
        let (opened, errors) = worker.batch(&request("decrypt", ours.collect()));
        assert!(errors.is_empty(), "{errors:?}");
        let expected: Vec<_> = payloads
            .iter()
            .map(|payload| json!(hex::encode(payload)))
            .collect();
        assert_eq!(opened, expected);
    }
}
