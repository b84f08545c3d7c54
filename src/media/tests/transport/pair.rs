// SPDX-License-Identifier: MIT OR Apache-2.0

//! Two transports and the service between them, and frames for them to carry.

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
    transport::{
        LocalTrackId, PublishTrack, Refusal, RemoteOffer, Target, Transport, TransportEvent,
        WebRtcBin, WebRtcConfig,
    },
};
use roomseal_e2ee::Codec;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One test after the other: they count threads and share two cores.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Sender,
    Receiver,
}

pub(crate) type Rewrite = Box<dyn Fn(&str) -> String>;

pub(crate) struct Pair {
    pub(crate) sender: WebRtcBin,
    pub(crate) receiver: WebRtcBin,
    pub(crate) events: Receiver<(Side, TransportEvent)>,
    /// What the service makes of offers and answers.
    pub(crate) offer: Rewrite,
    pub(crate) answer: Rewrite,
    /// The track that the service says a section carries, by the section's place.
    pub(crate) sids: Vec<Option<&'static str>>,
    pub(crate) seen: Vec<(Side, TransportEvent)>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with_sif_trailer(Vec::new())
    }

    pub(crate) fn with_sif_trailer(sif_trailer: Vec<u8>) -> Self {
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
    pub(crate) fn step(&mut self, wait: Duration) -> bool {
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
    pub(crate) fn until(&mut self, what: &str, done: impl Fn(&[(Side, TransportEvent)]) -> bool) {
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

    pub(crate) fn brief(&self) -> Vec<String> {
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

    pub(crate) fn for_a_while(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.step(left);
        }
    }

    pub(crate) fn add(&mut self, local: u32, codec: Codec, sid: &'static str) -> String {
        self.sids.push(Some(sid));
        self.sender.add_track(track(local, codec)).unwrap()
    }

    pub(crate) fn connect(&mut self) {
        self.sender.negotiate();
        self.until("connection of both sides", |seen| {
            is_connected(seen, Side::Sender) && is_connected(seen, Side::Receiver)
        });
    }

    pub(crate) fn push(&self, local: u32, bytes: &[u8]) {
        self.sender.push(LocalTrackId(local), frame(bytes));
    }

    pub(crate) fn frames(&self, sid: &str) -> Vec<Vec<u8>> {
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

pub(crate) fn is_connected(seen: &[(Side, TransportEvent)], of: Side) -> bool {
    seen.iter()
        .any(|(side, event)| *side == of && matches!(event, TransportEvent::Connected { .. }))
}

pub(crate) fn refusals(seen: &[(Side, TransportEvent)]) -> Vec<(Side, Refusal)> {
    seen.iter()
        .filter_map(|(side, event)| match event {
            TransportEvent::Refused { reason } => Some((*side, reason.clone())),
            _ => None,
        })
        .collect()
}

pub(crate) fn track(local: u32, codec: Codec) -> PublishTrack {
    let video = codec != Codec::Opus;
    PublishTrack {
        local: LocalTrackId(local),
        codec,
        stream: format!("stream{local}"),
        size: video.then_some((640, 360)),
        framerate: video.then_some(30),
    }
}

pub(crate) fn frame(bytes: &[u8]) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_mut_slice(bytes.to_vec());
    let writable = buffer.get_mut().unwrap();
    writable.set_pts(clock::now());
    // VP8 and our H.264 frames alike: see below.
    if is_delta(bytes) {
        writable.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    buffer
}

pub(crate) fn is_delta(bytes: &[u8]) -> bool {
    if bytes.starts_with(&[0, 0, 0, 1]) {
        bytes[4] == 0x41
    } else {
        bytes[0] & 1 == 1
    }
}

/// Bytes as a cipher would give them, the same in each run, none of them zero.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
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
pub(crate) fn vp8(index: u64) -> Vec<u8> {
    let clear: &[u8] = if index.is_multiple_of(10) {
        &[0x10, 0x20, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]
    } else {
        &[0x31, 0x20, 0]
    };
    [clear, &noise(index, 300 + 700 * (index as usize % 7)), &[0]].concat()
}

/// H.264 as it is sealed: parameter sets and the first slice byte clear, key index 0 at the end.
pub(crate) fn h264(index: u64) -> Vec<u8> {
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

pub(crate) fn opus(index: u64) -> Vec<u8> {
    [&[0xfc], noise(index, 80).as_slice(), &[12, 0]].concat()
}

/// Another certificate's fingerprint in every section.
pub(crate) fn falsify(sdp: &str) -> String {
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

pub(crate) fn last_offer(pair: &Pair) -> String {
    let offers = pair.seen.iter().rev().find_map(|(_, event)| match event {
        TransportEvent::LocalOffer { sdp, .. } => Some(sdp.clone()),
        _ => None,
    });
    offers.unwrap()
}
