// SPDX-License-Identifier: MIT OR Apache-2.0

//! What becomes of each frame: opened, passed, withheld or refused, and what there is to say about it.
//!
//! Knows no pads, so that nothing is pushed or posted while the element's lock is held.

use std::time::{Duration, Instant};

use roomseal_e2ee::{
    Codec, FrameContext, KeyIndex, KeyRing, OpenCounters, Opener, PREFIX_LEN, Replay, Verdict,
};

use super::imp::CAT;
use super::{DecryptCounters, FrameDecrypt, OpenMode, OpenRules, TrackVerdict};
use crate::elements::digest;
use crate::elements::pace::{KEY_UNIT_INTERVAL, Pace};

#[derive(Debug)]
pub(super) struct State {
    mode: OpenMode,
    /// A sealed frame has opened since grace was given.
    grace_spent: bool,
    pub(super) replay: Option<Replay>,
    keys: KeyRing,
    sif_trailer: Vec<u8>,
    iv_prefix: Option<[u8; PREFIX_LEN]>,
    iv_floor: u32,
    peer_confirmed: bool,
    /// One for each codec that the track has had, the one in use last. They are kept over restarts
    /// and changes of codec, so that neither makes a replay open.
    openers: Vec<(Codec, Opener)>,
    /// What openers cannot count.
    counters: DecryptCounters,
    passed_clear_at: Option<Instant>,
    verdict: Option<TrackVerdict>,
    /// The newest frame was clear beyond doubt.
    clear_before: bool,
    picture: Picture,
    /// A frame was dropped, so the next one does not follow the last.
    discont: bool,
    notices: Notices,
    key_unit: Pace,
    /// Where the openers' clock begins.
    made: Instant,
}

/// What to do about a frame once the lock is gone.
pub(super) struct Outcome {
    /// What came of it.
    pub(super) verdict: TrackVerdict,
    /// The frame to push, if it is.
    pub(super) frame: Option<gst::Buffer>,
    /// To be posted with the verdict, if that is news.
    pub(super) notice: Option<DecryptCounters>,
    /// Whether to ask for a key frame.
    pub(super) key_unit: bool,
}

/// Why the stream ends.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("a frame came before the caps: link the element behind a depayloader")]
    NoCaps,
    #[error("a frame's memory cannot be read and changed")]
    Unreadable,
}

impl Default for State {
    fn default() -> Self {
        Self {
            mode: OpenMode::default(),
            grace_spent: false,
            replay: None,
            keys: KeyRing::new(),
            sif_trailer: Vec::new(),
            iv_prefix: None,
            iv_floor: 0,
            peer_confirmed: false,
            openers: Vec::new(),
            counters: DecryptCounters::default(),
            passed_clear_at: None,
            verdict: None,
            clear_before: false,
            picture: Picture::Broken { since: None },
            discont: false,
            notices: Notices::default(),
            key_unit: Pace::new(KEY_UNIT_INTERVAL),
            made: Instant::now(),
        }
    }
}

impl State {
    pub(super) fn change_keys(&mut self, change: impl FnOnce(&mut KeyRing)) {
        change(&mut self.keys);
        for (_, opener) in &mut self.openers {
            *opener.keys() = self.keys.clone();
        }
        self.notices.forget_passed();
    }

    pub(super) fn mode(&self) -> OpenMode {
        self.mode
    }

    /// Gives the mode that was.
    pub(super) fn set_mode(&mut self, mode: OpenMode) -> OpenMode {
        self.grace_spent = false;
        std::mem::replace(&mut self.mode, mode)
    }

    pub(super) fn set_rules(&mut self, rules: OpenRules) {
        if rules.mode != OpenMode::Grace || !self.grace_spent {
            self.set_mode(rules.mode);
        }
        self.change_keys(|keys| *keys = rules.keys);
        self.set_iv_prefix(rules.iv_prefix);
        self.set_iv_floor(rules.iv_floor);
        self.set_peer_confirmed(rules.confirmed);
    }

    pub(super) fn set_sif_trailer(&mut self, trailer: Vec<u8>) {
        for (_, opener) in &mut self.openers {
            opener.set_sif_trailer(trailer.clone());
        }
        self.sif_trailer = trailer;
    }

    pub(super) fn set_iv_prefix(&mut self, prefix: Option<[u8; PREFIX_LEN]>) {
        for (_, opener) in &mut self.openers {
            opener.set_iv_prefix(prefix);
        }
        self.iv_prefix = prefix;
    }

    pub(super) fn set_iv_floor(&mut self, counter: u32) {
        for (_, opener) in &mut self.openers {
            opener.set_iv_floor(counter);
        }
        self.iv_floor = counter;
    }

    pub(super) fn set_peer_confirmed(&mut self, confirmed: bool) {
        for (_, opener) in &mut self.openers {
            opener.set_peer_confirmed(confirmed);
        }
        self.peer_confirmed = confirmed;
    }

    /// Frames of this codec follow.
    pub(super) fn set_codec(&mut self, codec: Codec) {
        let known = self.openers.iter().position(|(known, _)| *known == codec);
        let opener = match known {
            Some(at) if at + 1 == self.openers.len() => return,
            Some(at) => self.openers.remove(at),
            None => (codec, self.opener(codec)),
        };
        self.openers.push(opener);
        self.restart();
    }

    /// The decoder begins without a picture.
    pub(super) fn restart(&mut self) {
        self.picture = Picture::Broken { since: None };
        self.discont = false;
    }

    /// Decides about one frame; `element` is only logged with.
    pub(super) fn take(
        &mut self,
        buffer: gst::Buffer,
        now: Instant,
        element: &FrameDecrypt,
    ) -> Result<Outcome, Failure> {
        let &(codec, _) = self.openers.last().ok_or(Failure::NoCaps)?;
        let came = Came {
            video: codec != Codec::Opus,
            gap: buffer.flags().contains(gst::BufferFlags::DISCONT),
            delta: buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
            now,
        };
        let (verdict, frame) = if self.mode == OpenMode::Hold {
            self.counters.held += 1;
            (TrackVerdict::Held, None)
        } else if self.lets_clear_pass() && self.is_clear(&buffer)? {
            self.counters.passed_clear += 1;
            self.clear_before = true;
            (TrackVerdict::Clear, Some(buffer))
        } else {
            let opened = self.open(buffer, came, element)?;
            self.clear_before = false;
            opened
        };
        self.verdict = Some(verdict);
        if verdict == TrackVerdict::Clear {
            self.passed_clear_at = Some(now);
        }
        let (frame, key_unit) = match frame {
            Some(frame) => self.admit(frame, came),
            None => (None, self.refuse(verdict, came)),
        };
        let notice = self.notices.due(verdict, now).then(|| self.counters());
        Ok(Outcome {
            verdict,
            frame,
            notice,
            key_unit,
        })
    }

    pub(super) fn verdict(&self) -> Option<TrackVerdict> {
        self.verdict
    }

    pub(super) fn passed_clear_at(&self) -> Option<Instant> {
        self.passed_clear_at
    }

    pub(super) fn replay_is_bounded(&self) -> Option<bool> {
        self.openers.last().map(|(_, o)| o.replay_is_bounded())
    }

    pub(super) fn counters(&self) -> DecryptCounters {
        let mut counters = self.counters;
        for (_, opener) in &self.openers {
            counters.frames = sum(counters.frames, opener.counters());
        }
        counters
    }

    fn opener(&self, codec: Codec) -> Opener {
        let replay = self.replay.unwrap_or(Replay::Auto {
            clock_rate: match codec {
                Codec::Opus => 48_000,
                Codec::H264 | Codec::Vp8 => 90_000,
            },
        });
        let mut opener = Opener::new(codec, replay);
        *opener.keys() = self.keys.clone();
        opener.set_sif_trailer(self.sif_trailer.clone());
        opener.set_iv_prefix(self.iv_prefix);
        opener.set_iv_floor(self.iv_floor);
        opener.set_peer_confirmed(self.peer_confirmed);
        opener
    }

    fn lets_clear_pass(&self) -> bool {
        matches!(self.mode, OpenMode::Grace | OpenMode::AllowClear)
    }

    /// Whether a frame cannot be a sealed one, nor one that the server made.
    fn is_clear(&self, buffer: &gst::Buffer) -> Result<bool, Failure> {
        let map = buffer.map_readable().map_err(|_| Failure::Unreadable)?;
        let frame = map.as_slice();
        let looks_sealed = matches!(frame, [.., IV_LEN_BYTE, index]
            if usize::from(*index) < KeyIndex::COUNT);
        let injected = !self.sif_trailer.is_empty() && frame.ends_with(&self.sif_trailer);
        Ok(!looks_sealed && !injected)
    }

    fn open(
        &mut self,
        mut buffer: gst::Buffer,
        came: Came,
        element: &FrameDecrypt,
    ) -> Result<(TrackVerdict, Option<gst::Buffer>), Failure> {
        // Opening may rearrange the bytes, so what may yet pass as clear is kept.
        let perhaps_clear = (self.lets_clear_pass() && self.clear_before).then(|| buffer.clone());
        let (_, opener) = self.openers.last_mut().ok_or(Failure::NoCaps)?;
        let context = FrameContext {
            gap: came.gap,
            now: came.now.duration_since(self.made),
        };
        let frame = buffer.make_mut();
        let pts = frame.pts();
        let mut map = frame.map_writable().map_err(|_| Failure::Unreadable)?;
        let opened = opener.open(&mut map, &context);
        if let Ok(length) = opened {
            digest::trace(*CAT, element, || map.get(..length).map(<[u8]>::to_vec), pts);
        }
        drop(map);
        Ok(match (opened, perhaps_clear) {
            (Ok(length), _) => {
                frame.set_size(length);
                if self.mode == OpenMode::Grace {
                    self.mode = OpenMode::Require;
                    self.grace_spent = true;
                }
                (TrackVerdict::Opened, Some(buffer))
            }
            (Err(verdict @ (Verdict::Replayed | Verdict::ServerInjected)), _)
            | (Err(verdict), None) => (TrackVerdict::Refused(verdict), None),
            (Err(_), Some(original)) => {
                // The next one that looks sealed is taken at its word.
                self.counters.passed_clear += 1;
                (TrackVerdict::Clear, Some(original))
            }
        })
    }

    /// Decides whether the decoder gets a frame that may pass, and whether a key frame is asked for.
    fn admit(&mut self, mut frame: gst::Buffer, came: Came) -> (Option<gst::Buffer>, bool) {
        let mut key_unit = false;
        if came.video && came.delta {
            if let Picture::Broken { since } = &mut self.picture {
                let since = *since.get_or_insert(came.now);
                key_unit = self.key_unit.due(came.now);
                if came.now.duration_since(since) < WITHHOLD_LIMIT {
                    self.discont = true;
                    self.counters.withheld += 1;
                    return (None, key_unit);
                }
            } else if came.gap {
                key_unit = self.key_unit.due(came.now);
            }
        }
        self.picture = Picture::Whole;
        if std::mem::take(&mut self.discont) {
            frame.make_mut().set_flags(gst::BufferFlags::DISCONT);
        }
        (Some(frame), key_unit)
    }

    /// Notes that a frame does not pass; gives whether a key frame is asked for.
    fn refuse(&mut self, verdict: TrackVerdict, came: Came) -> bool {
        self.discont = true;
        // A replay or a frame of the server's own takes the place of no frame.
        let hole = !matches!(
            verdict,
            TrackVerdict::Refused(Verdict::Replayed | Verdict::ServerInjected)
        );
        if hole && matches!(self.picture, Picture::Whole) {
            self.picture = Picture::Broken { since: None };
        }
        let repairable = matches!(
            verdict,
            TrackVerdict::Refused(
                Verdict::Loss | Verdict::Unverified | Verdict::Altered | Verdict::Malformed
            )
        );
        came.video && repairable && self.key_unit.due(came.now)
    }
}

/// What is known of a frame before it is opened.
#[derive(Clone, Copy)]
struct Came {
    video: bool,
    gap: bool,
    delta: bool,
    now: Instant,
}

/// Whether a video decoder has a picture that a delta frame can be applied to.
#[derive(Clone, Copy, Debug)]
enum Picture {
    Whole,
    /// Since the first frame that was withheld, if one was.
    Broken {
        since: Option<Instant>,
    },
}

/// Which verdicts were posted, and when the last one was.
#[derive(Debug, Default)]
struct Notices {
    said: Option<TrackVerdict>,
    before: Vec<TrackVerdict>,
    last: Option<Instant>,
}

impl Notices {
    /// Whether to post this verdict now.
    fn due(&mut self, verdict: TrackVerdict, now: Instant) -> bool {
        if self.said == Some(verdict) {
            return false;
        }
        let new = !self.before.contains(&verdict);
        let paused = self
            .last
            .is_none_or(|last| now.duration_since(last) >= NOTICE_INTERVAL);
        if !new && !paused {
            return false;
        }
        if new {
            self.before.push(verdict);
        }
        self.said = Some(verdict);
        self.last = Some(now);
        true
    }

    /// Posts the next frame that passes as if none had before.
    fn forget_passed(&mut self) {
        let refused =
            |said: &TrackVerdict| !matches!(said, TrackVerdict::Opened | TrackVerdict::Clear);
        self.before.retain(refused);
        self.said = self.said.filter(refused);
    }
}

fn sum(a: OpenCounters, b: OpenCounters) -> OpenCounters {
    OpenCounters {
        opened: a.opened + b.opened,
        clear: a.clear + b.clear,
        no_key: a.no_key + b.no_key,
        loss: a.loss + b.loss,
        unverified: a.unverified + b.unverified,
        altered: a.altered + b.altered,
        other_key: a.other_key + b.other_key,
        other_track: a.other_track + b.other_track,
        replayed: a.replayed + b.replayed,
        server_injected: a.server_injected + b.server_injected,
        malformed: a.malformed + b.malformed,
    }
}

/// A verdict that was posted before is posted again no sooner than this after the last.
const NOTICE_INTERVAL: Duration = Duration::from_millis(500);

/// How long delta frames are withheld while no key frame comes.
const WITHHOLD_LIMIT: Duration = Duration::from_secs(1);

/// Stands before the key index at the end of a sealed frame: the length of its IV.
const IV_LEN_BYTE: u8 = 12;
