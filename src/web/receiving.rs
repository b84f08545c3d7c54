// SPDX-License-Identifier: MIT OR Apache-2.0
//! What comes into this browser: opened, clear where that is allowed, or dropped, by the rules of the meeting.

use std::collections::BTreeMap;
use std::time::Duration;

use roomseal_e2ee::{Codec, FrameContext, Iv, KeyIndex, OpenCounters, Opener, Replay, Verdict};
use roomseal_meeting::{Opening, Rules};

/// What became of a frame that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is played as it is: encryption is off.
    Clear,
    /// It is not played.
    Dropped,
    /// It opened, and is this long.
    Opened(usize),
}

/// All pipes that lead in, and how the tracks in them are opened.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    pipes: BTreeMap<u32, String>,
    tracks: BTreeMap<String, Track>,
    trailer: Vec<u8>,
    /// Whoever has the key sends, with a client of any kind.
    of_anybody: bool,
}

#[derive(Debug)]
struct Track {
    rules: Rules,
    /// The first sealed frame has opened, which ends the grace for good.
    grace_spent: bool,
    /// The frame before was clear.
    clear_before: bool,
    passed_clear: u64,
    of_anybody: bool,
    /// One for each codec that came; a sender has one, two where it changed.
    openers: Vec<(Codec, Opener)>,
}

impl Incoming {
    /// For a room in which not only members send.
    pub(crate) fn of_anybody() -> Self {
        Self {
            of_anybody: true,
            ..Self::default()
        }
    }

    pub(crate) fn set_trailer(&mut self, trailer: Vec<u8>) {
        for track in self.tracks.values_mut() {
            for (_, opener) in &mut track.openers {
                opener.set_sif_trailer(trailer.clone());
            }
        }
        self.trailer = trailer;
    }

    /// What comes through a pipe is this track; gives the one that came there before.
    pub(crate) fn begin(&mut self, number: u32, sid: String) -> Option<String> {
        self.pipes
            .insert(number, sid.clone())
            .filter(|old| *old != sid)
    }

    /// Nothing comes through a pipe any more; gives the track that did.
    pub(crate) fn end(&mut self, number: u32) -> Option<String> {
        self.pipes.remove(&number)
    }

    /// Out of the room.
    pub(crate) fn end_all(&mut self) {
        self.pipes.clear();
        self.tracks.clear();
    }

    /// A track is played from now on, by these rules and with counters at zero.
    pub(crate) fn play(&mut self, sid: String, rules: Rules) {
        let track = Track {
            rules,
            grace_spent: false,
            clear_before: false,
            passed_clear: 0,
            of_anybody: self.of_anybody,
            openers: Vec::new(),
        };
        self.tracks.insert(sid, track);
    }

    /// A track that is played has other rules from now on.
    pub(crate) fn reopen(&mut self, sid: &str, rules: Rules) {
        if let Some(track) = self.tracks.get_mut(sid) {
            track.reopen(rules);
        }
    }

    pub(crate) fn stop(&mut self, sid: &str) {
        self.tracks.remove(sid);
    }

    /// Decides about one frame; when it opened, it begins `frame`.
    pub(crate) fn take(
        &mut self,
        number: u32,
        codec: Codec,
        frame: &mut [u8],
        now: Duration,
    ) -> Received {
        let track = self
            .pipes
            .get(&number)
            .and_then(|sid| self.tracks.get_mut(sid));
        match track {
            Some(track) => track.take(codec, frame, &self.trailer, now),
            None => Received::Dropped,
        }
    }

    /// What happened to each track since it is played. A clear frame is clear, whether it was played or not.
    pub(crate) fn counted(&self) -> Vec<(String, OpenCounters)> {
        let tracks = self.tracks.iter();
        tracks
            .map(|(sid, track)| (sid.clone(), track.counters()))
            .collect()
    }
}

impl Track {
    fn reopen(&mut self, rules: Rules) {
        // The grace is given once; asked for again before anything else, it stays spent.
        if rules.opening != Opening::Grace {
            self.grace_spent = false;
        }
        for (_, opener) in &mut self.openers {
            obey(opener, &rules);
        }
        self.rules = rules;
    }

    fn take(&mut self, codec: Codec, frame: &mut [u8], trailer: &[u8], now: Duration) -> Received {
        let lets_clear_pass = match self.rules.opening {
            Opening::AllowClear => true,
            Opening::Grace => !self.grace_spent,
            Opening::Required => false,
        };
        if lets_clear_pass && is_clear(frame, trailer) {
            self.passed_clear += 1;
            self.clear_before = true;
            return Received::Clear;
        }
        let clear_before = std::mem::take(&mut self.clear_before);
        // Opening may rearrange the bytes, so what may yet pass as clear is kept.
        let original = (lets_clear_pass && clear_before).then(|| frame.to_vec());
        let context = FrameContext { gap: false, now };
        match (self.opener(codec, trailer).open(frame, &context), original) {
            (Ok(length), _) => {
                self.grace_spent = self.rules.opening == Opening::Grace;
                Received::Opened(length)
            }
            (Err(Verdict::Replayed | Verdict::ServerInjected), _) | (Err(_), None) => {
                Received::Dropped
            }
            // A clear frame may end as sealed ones do; the next one that does so is taken at its word.
            (Err(_), Some(original)) => {
                frame.copy_from_slice(&original);
                self.passed_clear += 1;
                Received::Clear
            }
        }
    }

    fn opener(&mut self, codec: Codec, trailer: &[u8]) -> &mut Opener {
        let known = self.openers.iter().position(|(known, _)| *known == codec);
        let at = known.unwrap_or_else(|| {
            let replay = match (self.of_anybody, codec) {
                (false, _) => Replay::Window,
                (true, Codec::Opus) => Replay::Auto { clock_rate: 48_000 },
                (true, _) => Replay::Auto { clock_rate: 90_000 },
            };
            let mut opener = Opener::new(codec, replay);
            opener.set_sif_trailer(trailer.to_vec());
            obey(&mut opener, &self.rules);
            self.openers.push((codec, opener));
            self.openers.len() - 1
        });
        &mut self.openers[at].1
    }

    fn counters(&self) -> OpenCounters {
        let mut all = OpenCounters {
            clear: self.passed_clear,
            ..OpenCounters::default()
        };
        for (_, opener) in &self.openers {
            let one = opener.counters();
            all.opened += one.opened;
            all.clear += one.clear;
            all.no_key += one.no_key;
            all.loss += one.loss;
            all.unverified += one.unverified;
            all.altered += one.altered;
            all.other_key += one.other_key;
            all.other_track += one.other_track;
            all.replayed += one.replayed;
            all.server_injected += one.server_injected;
            all.malformed += one.malformed;
        }
        all
    }
}

fn obey(opener: &mut Opener, rules: &Rules) {
    *opener.keys() = rules.keys.clone();
    opener.set_iv_prefix(rules.iv_prefix);
    opener.set_iv_floor(rules.iv_floor);
    opener.set_peer_confirmed(rules.confirmed);
}

/// Whether a frame cannot be a sealed one, nor one that the service made.
fn is_clear(frame: &[u8], trailer: &[u8]) -> bool {
    let looks_sealed = matches!(frame, [.., length, index]
        if usize::from(*length) == Iv::LEN && usize::from(*index) < KeyIndex::COUNT);
    let injected = !trailer.is_empty() && frame.ends_with(trailer);
    !looks_sealed && !injected
}
