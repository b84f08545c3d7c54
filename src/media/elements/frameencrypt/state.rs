// SPDX-License-Identifier: MIT OR Apache-2.0

//! What becomes of each frame: sealed, passed or dropped, and what there is to say about it.
//!
//! Knows no pads, so that nothing is pushed or posted while the element's lock is held.

use std::fmt;
use std::time::{Duration, Instant};

use roomseal_e2ee::{
    Codec, FrameContext, FrameKey, IvSource, KeyIndex, Opener, Replay, SealError, Sealer, h264,
};

use super::avc_caps::AvcCaps;
use super::imp::CAT;
use super::{EncryptCounters, FrameEncrypt, SealMode};
use crate::elements::pace::{KEY_UNIT_INTERVAL, Pace};
use crate::elements::{avc, caps, digest};

#[derive(Debug)]
pub(super) struct State {
    pub(super) mode: SealMode,
    pub(super) counters: EncryptCounters,
    pub(super) clear_at: Option<Instant>,
    key: Option<(KeyIndex, FrameKey)>,
    /// Made with the first caps and kept over restarts, so that its IVs go on.
    stream: Option<Stream>,
    /// The last thing said on the bus.
    said: Option<Say>,
    failure_notice: Pace,
    key_unit: Pace,
    /// A frame was dropped, so the next one does not follow the last.
    discont: bool,
}

/// What to do about a frame once the lock is gone.
pub(super) struct Outcome {
    pub(super) frame: Result<gst::Buffer, Dropped>,
    /// What has to leave before the frame.
    pub(super) events: Vec<gst::Event>,
    pub(super) say: Option<Say>,
    pub(super) key_unit: bool,
}

/// Why a frame does not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    Held,
    Unsealed(SealError),
    NoParameterSets,
}

/// Why the stream ends.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("a frame came before the caps: link the element behind an encoder or parser")]
    NoCaps,
    #[error("a frame's memory cannot be read")]
    Unreadable,
    #[error("no memory for a sealed frame")]
    NoMemory,
}

/// What happens to frames, as said on the bus when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    Holding,
    NoKey,
    Sealing(KeyIndex),
    Clear,
    Failing(Dropped),
}

impl Default for State {
    fn default() -> Self {
        Self {
            mode: SealMode::default(),
            counters: EncryptCounters::default(),
            clear_at: None,
            key: None,
            stream: None,
            said: None,
            failure_notice: Pace::new(FAILURE_NOTICE_INTERVAL),
            key_unit: Pace::new(KEY_UNIT_INTERVAL),
            discont: false,
        }
    }
}

impl State {
    pub(super) fn set_key(&mut self, key: Option<(KeyIndex, FrameKey)>) {
        if let Some(stream) = &mut self.stream {
            match &key {
                Some((index, key)) => stream.sealer.set_key(*index, key.clone()),
                None => stream.sealer.clear_key(),
            }
        }
        self.key = key;
    }

    /// Takes the caps of the frames to come; gives the caps to send at once, if they are known.
    ///
    /// `seed` is random and used when the codec is new; a codec that returns begins anew.
    pub(super) fn set_caps(
        &mut self,
        codec: Codec,
        caps: gst::Caps,
        seed: [u8; 12],
    ) -> Option<gst::Caps> {
        let stream = match self.stream.take() {
            Some(stream) if stream.codec == codec => stream,
            _ => {
                let mut sealer = Sealer::new(codec, IvSource::new(seed));
                if let Some((index, key)) = &self.key {
                    sealer.set_key(*index, key.clone());
                }
                Stream {
                    codec,
                    sealer,
                    avc: AvcCaps::default(),
                }
            }
        };
        let stream = self.stream.insert(stream);
        match codec {
            Codec::H264 => stream.avc.begin(caps::to_avc(&caps)),
            Codec::Opus | Codec::Vp8 => Some(caps),
        }
    }

    /// Forgets caps and events that did not leave; the sealer stays.
    pub(super) fn stop(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.avc = AvcCaps::default();
        }
    }

    /// Keeps an event that has to leave behind caps which are not known yet; else gives it back.
    pub(super) fn keep(&mut self, event: gst::Event) -> Option<gst::Event> {
        match &mut self.stream {
            Some(stream) if stream.codec == Codec::H264 => stream.avc.keep(event),
            _ => Some(event),
        }
    }

    /// The events that were kept.
    pub(super) fn release(&mut self) -> Vec<gst::Event> {
        let stream = self.stream.as_mut();
        stream.map_or_else(Vec::new, |stream| stream.avc.release())
    }

    /// Decides about one frame; `element` is only logged with.
    pub(super) fn take(
        &mut self,
        frame: gst::Buffer,
        element: &FrameEncrypt,
    ) -> Result<Outcome, Failure> {
        let stream = self.stream.as_mut().ok_or(Failure::NoCaps)?;
        let mut events = Vec::new();
        let mut frame = match (self.mode, &self.key) {
            (SealMode::Hold, _) => Err(Dropped::Held),
            (SealMode::Seal, None) => Err(Dropped::Unsealed(SealError::NoKey)),
            (SealMode::Seal, Some(key)) => stream.seal(key, &frame, element)?,
            (SealMode::Clear, _) => stream.pass(frame)?,
        };
        if let (Codec::H264, Ok(avc)) = (stream.codec, &frame) {
            let map = avc.map_readable().map_err(|_| Failure::Unreadable)?;
            let known = stream.avc.follow(&map, &mut events);
            drop(map);
            if !known {
                frame = Err(Dropped::NoParameterSets);
            }
        }
        match &mut frame {
            Ok(frame) => {
                if std::mem::take(&mut self.discont) {
                    frame.make_mut().set_flags(gst::BufferFlags::DISCONT);
                }
            }
            Err(_) => self.discont = true,
        }
        let dropped = frame.as_ref().err().copied();
        self.count(dropped);
        Ok(Outcome {
            frame,
            events,
            say: self.news(dropped),
            key_unit: dropped.is_some_and(|dropped| self.wants_key_unit(dropped)),
        })
    }

    pub(super) fn key_index(&self) -> Option<KeyIndex> {
        self.key.as_ref().map(|(index, _)| *index)
    }

    pub(super) fn iv_prefix(&self) -> Option<[u8; roomseal_e2ee::PREFIX_LEN]> {
        self.stream.as_ref().map(|s| s.sealer.iv_prefix())
    }

    pub(super) fn iv_counter(&self) -> Option<u32> {
        self.stream.as_ref().and_then(|s| s.sealer.iv_counter())
    }

    pub(super) fn is_video(&self) -> bool {
        self.stream.as_ref().is_some_and(|s| s.codec != Codec::Opus)
    }

    fn count(&mut self, dropped: Option<Dropped>) {
        let counter = match (dropped, self.mode) {
            (None, SealMode::Clear) => &mut self.counters.clear,
            (None, _) => &mut self.counters.sealed,
            (Some(Dropped::Held), _) => &mut self.counters.held,
            (Some(_), _) => &mut self.counters.dropped,
        };
        *counter += 1;
        if (dropped, self.mode) == (None, SealMode::Clear) {
            self.clear_at = Some(Instant::now());
        }
    }

    /// What is new about the stream, if anything is.
    fn news(&mut self, dropped: Option<Dropped>) -> Option<Say> {
        let say = match (dropped, &self.key) {
            (None, Some((index, _))) if self.mode == SealMode::Seal => Say::Sealing(*index),
            (None, _) => Say::Clear,
            (Some(Dropped::Held), _) => Say::Holding,
            (Some(Dropped::Unsealed(SealError::NoKey)), _) => Say::NoKey,
            (Some(dropped), _) => Say::Failing(dropped),
        };
        if self.said == Some(say)
            || matches!(say, Say::Failing(_)) && !self.failure_notice.due(Instant::now())
        {
            return None;
        }
        self.said = Some(say);
        Some(say)
    }

    /// Whether a dropped frame leaves a hole that only a key frame can close.
    fn wants_key_unit(&mut self, dropped: Dropped) -> bool {
        match dropped {
            // Key frames would be dropped like all others; they are forced when the cause is gone.
            Dropped::Held | Dropped::Unsealed(SealError::NoKey | SealError::IvExhausted) => false,
            _ => self.is_video() && self.key_unit.due(Instant::now()),
        }
    }
}

#[derive(Debug)]
struct Stream {
    codec: Codec,
    sealer: Sealer,
    avc: AvcCaps,
}

impl Stream {
    fn seal(
        &mut self,
        key: &(KeyIndex, FrameKey),
        frame: &gst::Buffer,
        element: &FrameEncrypt,
    ) -> Result<Result<gst::Buffer, Dropped>, Failure> {
        let plain = frame.map_readable().map_err(|_| Failure::Unreadable)?;
        let room = Sealer::max_sealed_len(self.codec, plain.len());
        let mut sealed = gst::Buffer::with_size(room).map_err(|_| Failure::NoMemory)?;
        let writable = sealed
            .get_mut()
            .expect("nobody else holds a buffer that was just allocated");
        let mut out = writable.map_writable().map_err(|_| Failure::NoMemory)?;
        let length = match self.sealer.seal(&plain, &mut out) {
            Ok(length) => length,
            Err(error) => return Ok(Err(Dropped::Unsealed(error))),
        };
        let as_found_again = || match self.codec {
            Codec::H264 => reopened(key, &out[..length]),
            Codec::Opus | Codec::Vp8 => Some(plain.to_vec()),
        };
        digest::trace(*CAT, element, as_found_again, frame.pts());
        if self.codec == Codec::H264 {
            h264::sealed_to_avc(&mut out[..length])
                .expect("the sealer has just made it a sealed access unit");
        }
        drop(out);
        writable.set_size(length);
        frame
            .copy_into(writable, ALL_BUT_BYTES, ..)
            .map_err(|_| Failure::NoMemory)?;
        Ok(Ok(sealed))
    }

    fn pass(&self, frame: gst::Buffer) -> Result<Result<gst::Buffer, Dropped>, Failure> {
        if self.codec != Codec::H264 {
            return Ok(Ok(frame));
        }
        let map = frame.map_readable().map_err(|_| Failure::Unreadable)?;
        let mut clear = gst::Buffer::from_mut_slice(avc::from_annex_b(&map));
        let writable = clear
            .get_mut()
            .expect("nobody else holds a buffer that was just made");
        frame
            .copy_into(writable, ALL_BUT_BYTES, ..)
            .map_err(|_| Failure::NoMemory)?;
        Ok(Ok(clear))
    }
}

impl Say {
    /// Its name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Holding => "holding",
            Self::NoKey => "no-key",
            Self::Sealing(_) => "sealing",
            Self::Clear => "clear",
            Self::Failing(_) => "failing",
        }
    }
}

impl fmt::Display for Say {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holding => f.write_str("frames are held until the mode is seal or clear"),
            Self::NoKey => SealError::NoKey.fmt(f),
            Self::Sealing(index) => write!(f, "frames leave sealed with key index {index}"),
            Self::Clear => f.write_str("frames leave clear"),
            Self::Failing(dropped) => dropped.fmt(f),
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held => f.write_str("the mode is hold"),
            Self::Unsealed(error) => error.fmt(f),
            Self::NoParameterSets => SealError::NoParameterSets.fmt(f),
        }
    }
}

/// A sealed frame as its receiver will find it.
fn reopened(key: &(KeyIndex, FrameKey), sealed: &[u8]) -> Option<Vec<u8>> {
    let mut opener = Opener::new(Codec::H264, Replay::Window);
    opener.keys().set(key.0, key.1.clone());
    let mut frame = sealed.to_vec();
    let context = FrameContext {
        gap: false,
        now: Duration::ZERO,
    };
    let length = opener.open(&mut frame, &context).ok()?;
    frame.truncate(length);
    Some(frame)
}

/// A stream that fails frame by frame says so once in this time.
const FAILURE_NOTICE_INTERVAL: Duration = Duration::from_secs(1);

/// What is copied from the plain frame to the sealed one.
const ALL_BUT_BYTES: gst::BufferCopyFlags = gst::BufferCopyFlags::FLAGS
    .union(gst::BufferCopyFlags::TIMESTAMPS)
    .union(gst::BufferCopyFlags::META);
