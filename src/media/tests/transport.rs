// SPDX-License-Identifier: MIT OR Apache-2.0

//! Two transports in one process: the publisher of one offers to the subscriber of the other, as
//! if a service stood between them that changes nothing, or something.

// A failed step in a test is best reported where it happened.
#![allow(clippy::unwrap_used)]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver},
    },
    time::{Duration, Instant},
};

use gstroomseal::{
    clock,
    sdp::SdpRefused,
    transport::{
        LocalTrackId, PublishTrack, Refusal, RemoteOffer, Target, Transport, TransportError,
        TransportEvent, WebRtcBin, WebRtcConfig,
    },
};
use roomseal_e2ee::Codec;

const PATIENCE: Duration = Duration::from_secs(30);

/// One test after the other: they count threads and share two cores.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Sender,
    Receiver,
}

type Rewrite = Box<dyn Fn(&str) -> String>;

struct Pair {
    sender: WebRtcBin,
    receiver: WebRtcBin,
    events: Receiver<(Side, TransportEvent)>,
    /// What the service makes of offers and answers.
    offer: Rewrite,
    answer: Rewrite,
    /// The track that the service says a section carries, by the section's place.
    sids: Vec<Option<&'static str>>,
    seen: Vec<(Side, TransportEvent)>,
}

impl Pair {
    fn new() -> Self {
        Self::with_sif_trailer(Vec::new())
    }

    fn with_sif_trailer(sif_trailer: Vec<u8>) -> Self {
        let (sender, events) = mpsc::channel();
        let make = |side| {
            let events = sender.clone();
            let config = WebRtcConfig {
                loopback: true,
                sif_trailer: sif_trailer.clone(),
                ..WebRtcConfig::default()
            };
            let sink = Arc::new(move |event| {
                let _ = events.send((side, event));
            });
            WebRtcBin::new(config, sink).unwrap()
        };
        Self {
            sender: make(Side::Sender),
            receiver: make(Side::Receiver),
            events,
            offer: Box::new(str::to_owned),
            answer: Box::new(str::to_owned),
            sids: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Carries one event to where it belongs; false when none came in time.
    fn step(&mut self, wait: Duration) -> bool {
        let Ok((side, event)) = self.events.recv_timeout(wait) else {
            return false;
        };
        match (side, &event) {
            (Side::Sender, TransportEvent::LocalOffer { sdp, id }) => {
                let sdp = (self.offer)(sdp);
                let mids = sdp.lines().filter_map(|line| line.strip_prefix("a=mid:"));
                let mid_to_track = mids
                    .zip(&self.sids)
                    .filter_map(|(mid, sid)| Some((mid.to_owned(), (*sid)?.to_owned())))
                    .collect::<HashMap<_, _>>();
                self.receiver.remote_offer(RemoteOffer {
                    sdp,
                    id: *id,
                    mid_to_track,
                });
            }
            (Side::Receiver, TransportEvent::LocalAnswer { sdp, id }) => {
                self.sender.remote_answer((self.answer)(sdp), *id);
            }
            (Side::Sender, TransportEvent::LocalCandidate { init_json, .. }) => {
                self.receiver
                    .remote_candidate(Target::Subscriber, init_json.clone());
            }
            (Side::Receiver, TransportEvent::LocalCandidate { init_json, .. }) => {
                self.sender
                    .remote_candidate(Target::Publisher, init_json.clone());
            }
            _ => (),
        }
        self.seen.push((side, event));
        true
    }

    /// Lets things happen until `done` is found in what was seen.
    fn until(&mut self, what: &str, done: impl Fn(&[(Side, TransportEvent)]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.seen) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                self.step(left),
                "{what} did not happen: {:#?}",
                self.brief()
            );
        }
    }

    fn brief(&self) -> Vec<String> {
        self.seen
            .iter()
            .filter(|(_, event)| !matches!(event, TransportEvent::Frame { .. }))
            .map(|(side, event)| format!("{side:?} {event:?}").chars().take(160).collect())
            .chain([format!(
                "{:?} {:?}",
                self.sender.stats(),
                self.receiver.stats()
            )])
            .collect()
    }

    fn for_a_while(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.step(left);
        }
    }

    fn add(&mut self, local: u32, codec: Codec, sid: &'static str) -> String {
        self.sids.push(Some(sid));
        self.sender.add_track(track(local, codec)).unwrap()
    }

    fn connect(&mut self) {
        self.sender.negotiate();
        self.until("connection of both sides", |seen| {
            is_connected(seen, Side::Sender) && is_connected(seen, Side::Receiver)
        });
    }

    fn push(&self, local: u32, bytes: &[u8]) {
        self.sender.push(LocalTrackId(local), frame(bytes));
    }

    fn frames(&self, sid: &str) -> Vec<Vec<u8>> {
        self.seen
            .iter()
            .filter_map(|(_, event)| match event {
                TransportEvent::Frame { sid: found, buffer } if &**found == sid => {
                    Some(buffer.map_readable().unwrap().to_vec())
                }
                _ => None,
            })
            .collect()
    }
}

fn is_connected(seen: &[(Side, TransportEvent)], of: Side) -> bool {
    seen.iter()
        .any(|(side, event)| *side == of && matches!(event, TransportEvent::Connected { .. }))
}

fn refusals(seen: &[(Side, TransportEvent)]) -> Vec<(Side, Refusal)> {
    seen.iter()
        .filter_map(|(side, event)| match event {
            TransportEvent::Refused { reason } => Some((*side, reason.clone())),
            _ => None,
        })
        .collect()
}

fn track(local: u32, codec: Codec) -> PublishTrack {
    let video = codec != Codec::Opus;
    PublishTrack {
        local: LocalTrackId(local),
        codec,
        stream: format!("stream{local}"),
        size: video.then_some((640, 360)),
        framerate: video.then_some(30),
    }
}

fn frame(bytes: &[u8]) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_mut_slice(bytes.to_vec());
    let writable = buffer.get_mut().unwrap();
    writable.set_pts(clock::now());
    // VP8 and our H.264 frames alike: see below.
    if is_delta(bytes) {
        writable.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    buffer
}

fn is_delta(bytes: &[u8]) -> bool {
    if bytes.starts_with(&[0, 0, 0, 1]) {
        bytes[4] == 0x41
    } else {
        bytes[0] & 1 == 1
    }
}

/// Bytes as a cipher would give them, the same in each run, none of them zero.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .filter(|byte| *byte != 0)
    .take(len)
    .collect()
}

/// VP8 whose first 10 or 3 bytes are clear (RFC 7741 §4.3), the rest noise.
fn vp8(index: u64) -> Vec<u8> {
    let clear: &[u8] = if index.is_multiple_of(10) {
        &[0x10, 0x20, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]
    } else {
        &[0x31, 0x20, 0]
    };
    [clear, &noise(index, 300 + 700 * (index as usize % 7)), &[0]].concat()
}

/// H.264 as it is sealed: parameter sets and the first slice byte clear, key index 0 at the end.
fn h264(index: u64) -> Vec<u8> {
    let clear: &[u8] = if index.is_multiple_of(10) {
        &[
            0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0xc0, 0x44, 0, 0, 0,
            1, 0x68, 0xce, 0x0f, 0xc8, 0, 0, 0, 1, 0x65, 0xb8,
        ]
    } else {
        &[0, 0, 0, 1, 0x41, 0x9a]
    };
    [
        clear,
        &noise(index, 300 + 700 * (index as usize % 7)),
        &[12, 0],
    ]
    .concat()
}

fn opus(index: u64) -> Vec<u8> {
    [&[0xfc], noise(index, 80).as_slice(), &[12, 0]].concat()
}

#[test]
fn frames_of_every_codec_arrive_byte_for_byte() {
    let _alone = alone();
    let mut pair = Pair::new();
    let cids = [
        pair.add(1, Codec::Vp8, "TR_vp8"),
        pair.add(2, Codec::Opus, "TR_opus"),
        pair.add(3, Codec::H264, "TR_h264"),
    ];
    assert!(cids[0] != cids[1] && cids[1] != cids[2]);
    pair.connect();
    let offer = pair.seen.iter().find_map(|(_, event)| match event {
        TransportEvent::LocalOffer { sdp, .. } => Some(sdp.clone()),
        _ => None,
    });
    let offer = offer.unwrap();
    for cid in &cids {
        assert!(offer.contains(&format!(" {cid}\r\n")), "{cid} in {offer}");
    }
    assert!(!offer.contains("sprop-parameter-sets"), "{offer}");

    let count = 60;
    for index in 0..count {
        pair.push(1, &vp8(index));
        pair.push(2, &opus(index));
        pair.push(3, &h264(index));
        pair.for_a_while(Duration::from_millis(5));
    }
    let all = usize::try_from(count).unwrap();
    pair.until("arrival of all frames", |seen| {
        let of = |wanted: &str| {
            seen.iter()
                .filter(|(_, event)| {
                    matches!(event, TransportEvent::Frame { sid, .. } if &**sid == wanted)
                })
                .count()
        };
        // The last H.264 frame is complete only when its marker came, which it did.
        of("TR_vp8") == all && of("TR_opus") == all && of("TR_h264") == all
    });
    let expect = |make: fn(u64) -> Vec<u8>| (0..count).map(make).collect::<Vec<_>>();
    assert_eq!(pair.frames("TR_vp8"), expect(vp8));
    assert_eq!(pair.frames("TR_opus"), expect(opus));
    assert_eq!(pair.frames("TR_h264"), expect(h264));

    let stats = pair.receiver.stats();
    assert!(stats.subscriber.verified && stats.subscriber.packets_received > 180);
    assert!(stats.subscriber.last_received.unwrap() < Duration::from_secs(10));
    assert_eq!(stats.remote["TR_vp8"].lost, 0);
    assert_eq!(pair.sender.stats().local[&LocalTrackId(3)].frames, count);
}

/// Another certificate's fingerprint in every section.
fn falsify(sdp: &str) -> String {
    sdp.split("\r\n")
        .map(|line| match line.strip_prefix("a=fingerprint:sha-256 ") {
            Some(digits) => {
                let other = if digits.starts_with("00") { "11" } else { "00" };
                format!("a=fingerprint:sha-256 {other}{}", &digits[2..])
            }
            None => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\r\n")
}

#[test]
fn a_service_with_another_certificate_gets_nothing_from_us() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.answer = Box::new(falsify);
    pair.add(1, Codec::Vp8, "TR_vp8");
    pair.add(2, Codec::Opus, "TR_opus");
    pair.sender.negotiate();
    let deadline = Instant::now() + PATIENCE;
    while refusals(&pair.seen).is_empty() {
        assert!(Instant::now() < deadline, "{:#?}", pair.brief());
        pair.push(1, &vp8(0));
        pair.push(2, &opus(0));
        assert!(pair.sender.send_data(true, b"secret".to_vec()).is_err());
        pair.step(Duration::from_millis(2));
    }
    pair.push(1, &vp8(0));
    pair.for_a_while(Duration::from_millis(300));
    let found = refusals(&pair.seen);
    assert!(
        matches!(
            found.as_slice(),
            [(
                Side::Sender,
                Refusal::Fingerprint {
                    target: Target::Publisher,
                    ..
                }
            )]
        ),
        "{found:?}"
    );
    assert!(!is_connected(&pair.seen, Side::Sender));
    let nothing = pair.seen.iter().all(|(_, event)| {
        !matches!(
            event,
            TransportEvent::Frame { .. } | TransportEvent::Data { .. }
        )
    });
    assert!(nothing, "{:#?}", pair.brief());
    assert_eq!(
        pair.sender.add_track(track(9, Codec::Opus)),
        Err(TransportError::Closed)
    );
    assert_eq!(
        pair.sender.send_data(true, vec![1]),
        Err(TransportError::Closed)
    );
}

#[test]
fn nothing_is_taken_from_a_service_with_another_certificate() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.offer = Box::new(falsify);
    pair.add(1, Codec::Vp8, "TR_vp8");
    pair.add(2, Codec::Opus, "TR_opus");
    pair.sender.negotiate();
    pair.until("refusal", |seen| !refusals(seen).is_empty());
    for index in 0..20 {
        pair.push(1, &vp8(index));
        pair.push(2, &opus(index));
        let _ = pair.sender.send_data(true, b"from whom?".to_vec());
        pair.for_a_while(Duration::from_millis(5));
    }
    let found = refusals(&pair.seen);
    assert!(
        matches!(
            found.as_slice(),
            [(
                Side::Receiver,
                Refusal::Fingerprint {
                    target: Target::Subscriber,
                    ..
                }
            )]
        ),
        "{found:?}"
    );
    let nothing = pair.seen.iter().all(|(_, event)| {
        !matches!(
            event,
            TransportEvent::Frame { .. } | TransportEvent::Data { .. }
        )
    });
    assert!(
        nothing && !is_connected(&pair.seen, Side::Receiver),
        "{:#?}",
        pair.brief()
    );
}

#[test]
fn messages_cross_on_both_channels() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.add(1, Codec::Opus, "TR_opus");
    assert_eq!(
        pair.sender.send_data(true, vec![1]),
        Err(TransportError::DataNotOpen)
    );
    pair.connect();
    let large = noise(3, 64_000);
    let deadline = Instant::now() + PATIENCE;
    for (reliable, bytes) in [
        (true, b"reliable".to_vec()),
        (false, b"lossy".to_vec()),
        (true, large),
    ] {
        // The channels open a moment after the connection.
        while pair.sender.send_data(reliable, bytes.clone()) == Err(TransportError::DataNotOpen) {
            assert!(Instant::now() < deadline);
            pair.step(Duration::from_millis(5));
        }
        pair.until("message", |seen| {
            seen.iter().any(|(side, event)| {
                *side == Side::Receiver
                    && matches!(event, TransportEvent::Data { reliable: r, bytes: b } if *r == reliable && *b == bytes)
            })
        });
    }
    let too_long = TransportError::DataTooLong {
        len: 64_001,
        max: 64_000,
    };
    assert_eq!(pair.sender.send_data(true, vec![0; 64_001]), Err(too_long));
    assert_eq!(pair.receiver.stats().data_received, 3);
}

#[test]
fn a_request_for_a_key_frame_reaches_the_sender() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.add(1, Codec::H264, "TR_h264");
    pair.add(2, Codec::Vp8, "TR_vp8");
    pair.connect();
    // A source of packets counts only after some of them (RFC 3550 A.1).
    for index in 0..3 {
        pair.push(1, &h264(index));
        pair.push(2, &vp8(index));
    }
    pair.until("both tracks", |seen| {
        ["TR_h264", "TR_vp8"].iter().all(|wanted| {
            seen.iter().any(|(_, event)| {
                matches!(event, TransportEvent::Frame { sid, .. } if &**sid == *wanted)
            })
        })
    });
    for (local, sid) in [(1, "TR_h264"), (2, "TR_vp8")] {
        pair.seen.clear();
        let deadline = Instant::now() + PATIENCE;
        let arrived = |(side, event): &(Side, TransportEvent)| {
            *side == Side::Sender
                && matches!(event, TransportEvent::KeyFrameRequested { local: l } if l.0 == local)
        };
        while !pair.seen.iter().any(arrived) {
            assert!(Instant::now() < deadline, "{:#?}", pair.brief());
            pair.receiver.request_key_frame(sid);
            pair.for_a_while(Duration::from_millis(200));
        }
    }
}

#[test]
fn frames_of_the_service_are_dropped_before_they_become_part_of_anything() {
    let _alone = alone();
    let trailer = b"0123456789abcdef0123456789abcdef".to_vec();
    let mut pair = Pair::with_sif_trailer(trailer.clone());
    pair.add(1, Codec::Opus, "TR_opus");
    pair.add(2, Codec::H264, "TR_h264");
    pair.connect();
    for index in 0..10 {
        let injected = [opus(index), trailer.clone()].concat();
        pair.push(1, &opus(index));
        pair.push(1, &injected);
        pair.push(2, &h264(index));
        pair.for_a_while(Duration::from_millis(5));
    }
    pair.push(2, &[h264(1), trailer].concat());
    pair.push(1, &opus(99));
    pair.until("the last frame", |seen| {
        seen.iter().any(|(_, event)| {
            matches!(event, TransportEvent::Frame { buffer, .. }
                if *buffer.map_readable().unwrap() == *opus(99))
        })
    });
    let expected: Vec<_> = (0..10).chain([99]).map(opus).collect();
    assert_eq!(pair.frames("TR_opus"), expected);
    let stats = pair.receiver.stats();
    assert_eq!(stats.remote["TR_opus"].server_injected, 10);
    assert_eq!(stats.remote["TR_opus"].lost, 0);
}

fn last_offer(pair: &Pair) -> String {
    let offers = pair.seen.iter().rev().find_map(|(_, event)| match event {
        TransportEvent::LocalOffer { sdp, .. } => Some(sdp.clone()),
        _ => None,
    });
    offers.unwrap()
}

/// The description with its media sections in another order, or with fewer of them.
fn arrange(sdp: &str, order: &[usize]) -> String {
    let parts: Vec<_> = sdp.split("m=").collect();
    let sections: String = order
        .iter()
        .map(|&index| format!("m={}", parts[index + 1]))
        .collect();
    format!("{}{sections}", parts[0])
}

#[test]
fn a_hostile_offer_is_named_and_the_process_lives() {
    let _alone = alone();
    type Edit = fn(&str) -> String;
    let table: [(Edit, SdpRefused); 6] = [
        (
            |sdp| arrange(sdp, &[1, 0, 2]),
            SdpRefused::KindChanged { section: 0 },
        ),
        (
            |sdp| arrange(sdp, &[0, 1]),
            SdpRefused::SectionCount {
                found: 2,
                expected: 3,
            },
        ),
        (
            |sdp| sdp.replace("a=mid:", "a=middle:"),
            SdpRefused::MidMissing { section: 0 },
        ),
        (
            |sdp| sdp.replace("a=fingerprint:", "a=print:"),
            SdpRefused::FingerprintMissing { section: 0 },
        ),
        (falsify, SdpRefused::FingerprintDiffers { section: 0 }),
        (
            |_| "\u{0}garbage".into(),
            SdpRefused::Line {
                line: 1,
                what: "begins with no letter",
            },
        ),
    ];
    for (edit, expected) in table {
        let mut pair = Pair::new();
        pair.add(1, Codec::Vp8, "TR_vp8");
        pair.add(2, Codec::Opus, "TR_opus");
        pair.connect();
        let sdp = edit(&last_offer(&pair));
        let mid_to_track = HashMap::new();
        pair.receiver.remote_offer(RemoteOffer {
            sdp,
            id: 77,
            mid_to_track,
        });
        pair.until("refusal", |seen| !refusals(seen).is_empty());
        assert_eq!(
            refusals(&pair.seen),
            [(Side::Receiver, Refusal::Sdp(expected))]
        );
        pair.push(1, &vp8(0));
        pair.for_a_while(Duration::from_millis(50));
        assert_eq!(pair.frames("TR_vp8"), Vec::<Vec<u8>>::new());
    }
    // After all of that a new one works.
    let mut pair = Pair::new();
    pair.add(1, Codec::Opus, "TR_opus");
    pair.connect();
}

#[test]
fn offers_during_teardown_do_no_harm() {
    let _alone = alone();
    for round in 0..8 {
        let mut pair = Pair::new();
        pair.add(1, Codec::Vp8, "TR_vp8");
        pair.add(2, Codec::Opus, "TR_opus");
        pair.sender.negotiate();
        // Each round is torn down at another moment of the negotiation.
        for _ in 0..round * 2 {
            pair.step(Duration::from_millis(200));
        }
        let offer = pair.seen.iter().find_map(|(_, event)| match event {
            TransportEvent::LocalOffer { sdp, .. } => Some(sdp.clone()),
            _ => None,
        });
        let receiver = &pair.receiver;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for id in 100..110 {
                    let sdp = offer.clone().unwrap_or_else(|| "v=0".into());
                    receiver.remote_offer(RemoteOffer {
                        sdp,
                        id,
                        mid_to_track: HashMap::new(),
                    });
                }
            });
            scope.spawn(|| receiver.close());
        });
        pair.receiver.close();
        pair.sender.close();
    }
}

#[test]
fn a_section_serves_one_track_after_the_other() {
    let _alone = alone();
    let mut pair = Pair::new();
    let cid = pair.add(1, Codec::Vp8, "TR_one");
    pair.add(2, Codec::Opus, "TR_opus");
    pair.connect();
    let some_frames = |pair: &mut Pair, local: u32, sid: &str, make: fn(u64) -> Vec<u8>| {
        let deadline = Instant::now() + PATIENCE;
        let mut index = 0;
        while pair.frames(sid).len() < 3 {
            assert!(Instant::now() < deadline, "{sid}: {:#?}", pair.brief());
            pair.push(local, &make(index));
            index += 1;
            pair.for_a_while(Duration::from_millis(10));
        }
    };
    some_frames(&mut pair, 1, "TR_one", vp8);

    pair.sender.remove_track(LocalTrackId(1)).unwrap();
    pair.sids[0] = None;
    pair.sender.negotiate();
    pair.until("end of the track", |seen| {
        let is_end = |event: &TransportEvent| {
            matches!(event, TransportEvent::RemoteTrackEnded { sid } if &**sid == "TR_one")
        };
        let end = seen.iter().position(|(_, event)| is_end(event));
        end.is_some_and(|end| {
            let answer = |event: &TransportEvent| matches!(event, TransportEvent::LocalAnswer { .. });
            seen[end..].iter().any(|(_, event)| answer(event))
        })
    });
    assert!(last_offer(&pair).contains("a=inactive"));
    assert!(pair.sender.remove_track(LocalTrackId(1)).is_err());

    // A new track of another codec gets a section of its own.
    pair.sids.extend([None, Some("TR_h264")]);
    let other = pair.sender.add_track(track(3, Codec::H264)).unwrap();
    assert_ne!(other, cid);
    assert_eq!(pair.sender.add_track(track(4, Codec::Vp8)), Ok(cid));
    assert_eq!(
        pair.sender.add_track(track(4, Codec::Vp8)),
        Err(TransportError::DuplicateTrack(LocalTrackId(4)))
    );
    pair.seen.clear();
    pair.sids[0] = Some("TR_two");
    pair.sender.negotiate();
    pair.until("answer", |seen| {
        seen.iter()
            .any(|(_, event)| matches!(event, TransportEvent::LocalAnswer { .. }))
    });
    assert!(!last_offer(&pair).contains("a=inactive"));
    some_frames(&mut pair, 3, "TR_h264", h264);
    pair.push(4, &vp8(0));
    assert_eq!(pair.sender.stats().local[&LocalTrackId(4)].frames, 1);
}

#[test]
fn media_flows_on_after_an_ice_restart() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.add(1, Codec::Vp8, "TR_vp8");
    pair.connect();
    let ufrag = |sdp: &str| {
        sdp.lines()
            .find(|line| line.starts_with("a=ice-ufrag"))
            .map(str::to_owned)
            .unwrap()
    };
    let before = ufrag(&last_offer(&pair));
    pair.seen.clear();
    pair.sender.restart_ice();
    pair.until("answer", |seen| {
        seen.iter()
            .any(|(_, event)| matches!(event, TransportEvent::LocalAnswer { .. }))
    });
    assert_ne!(ufrag(&last_offer(&pair)), before);
    let deadline = Instant::now() + PATIENCE;
    let mut index = 0;
    while pair.frames("TR_vp8").len() < 20 {
        assert!(Instant::now() < deadline, "{:#?}", pair.brief());
        pair.push(1, &vp8(index));
        index += 1;
        pair.for_a_while(Duration::from_millis(10));
    }
}

fn threads_and_files() -> (usize, usize) {
    let count = |path| std::fs::read_dir(path).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[test]
fn threads_and_files_stay_level_over_many_connections() {
    let _alone = alone();
    let cycle = || {
        let mut pair = Pair::new();
        pair.add(1, Codec::Vp8, "TR_vp8");
        pair.add(2, Codec::Opus, "TR_opus");
        pair.connect();
        for index in 0..5 {
            pair.push(1, &vp8(index));
            pair.push(2, &opus(index));
        }
        pair.until("a frame", |seen| {
            seen.iter()
                .any(|(_, event)| matches!(event, TransportEvent::Frame { .. }))
        });
        pair.sender.close();
        pair.receiver.close();
    };
    // Pools and caches fill up first.
    for _ in 0..3 {
        cycle();
    }
    let (threads, files) = threads_and_files();
    for _ in 0..20 {
        cycle();
    }
    // The last threads may still be on their way out.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let (threads_now, files_now) = threads_and_files();
        if threads_now <= threads && files_now <= files {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "threads {threads} -> {threads_now}, files {files} -> {files_now}"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_video_begins_with_a_key_frame_and_asks_until_it_comes() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.add(1, Codec::Vp8, "TR_vp8");
    pair.connect();
    pair.for_a_while(Duration::from_millis(20));
    pair.seen.clear();
    for index in 1..=20 {
        pair.push(
            1,
            &[&[0x31, 0x20, 0], noise(index, 100).as_slice()].concat(),
        );
    }
    pair.until("two requests", |seen| {
        let requests = seen.iter().filter(|(side, event)| {
            *side == Side::Sender && matches!(event, TransportEvent::KeyFrameRequested { .. })
        });
        requests.count() == 2
    });
    let stats = pair.sender.stats().local[&LocalTrackId(1)];
    assert_eq!((stats.frames, stats.dropped), (0, 20));
    for index in 0..3 {
        pair.push(1, &vp8(index));
    }
    pair.until("frames", |seen| {
        seen.iter()
            .any(|(_, event)| matches!(event, TransportEvent::Frame { .. }))
    });
    assert_eq!(pair.frames("TR_vp8")[0], vp8(0));
}
