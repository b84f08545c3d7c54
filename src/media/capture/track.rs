// SPDX-License-Identifier: MIT OR Apache-2.0

//! One published track: where raw pictures or sound arrive, and the line that seals them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use gst::prelude::*;
use roomseal_e2ee::{Codec, FrameKey, KeyIndex};

use super::{
    code::{Looker, SeenCode},
    control::Control,
    event::{SourceState, TrackStats},
    inlet::{Pacer, PictureShape, fit, plausible, with_framerate},
    line::{AUDIO_BITRATE, Line, Outlet},
    shared::lock,
};
use crate::{
    budget::EncodeBudget,
    clock,
    elements::{EncryptCounters, SealMode},
    encoder::picture_caps,
    transport::{LocalTrackId, MediaKind},
};

/// Key frames asked for by receivers come at most this often; each costs as much as ten others.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(300);

/// What may leave, and sealed with what. Outlives every line.
#[derive(Clone, Debug, Default)]
pub(super) struct Sealing {
    pub(super) mode: SealMode,
    pub(super) key: Option<(KeyIndex, FrameKey)>,
}

#[derive(Debug)]
pub(super) struct Track {
    pub(super) kind: MediaKind,
    outlet: Outlet,
    /// Our number for it; another one whenever the codec changes, so that no frame of the one codec
    /// is ever sent as one of the other.
    local: AtomicU32,
    line: Mutex<Option<Line>>,
    /// Of lines that are gone.
    retired: Mutex<Retired>,
    gate: Mutex<Gate>,
    muted: AtomicBool,
    /// When the source last gave something, in milliseconds of the shared clock plus one; 0: never
    /// since it was opened.
    arrived: AtomicU64,
    source: Mutex<SourceState>,
    key_frame: Mutex<KeyFrameRequests>,
    bitrate: AtomicU32,
    measured: Mutex<Measured>,
    /// Who looks for a code in the pictures, while one is wanted.
    looker: Mutex<Option<Arc<Looker>>>,
}

/// What only the source's streaming thread changes, apart from the limits.
#[derive(Debug)]
struct Gate {
    limits: EncodeBudget,
    pacer: Pacer,
    last: Option<gst::ClockTime>,
    source_caps: Option<gst::Caps>,
    line_caps: Option<gst::Caps>,
    /// The size last asked for, of which line.
    applied: Option<(u64, (u32, u32))>,
}

/// What lines that are gone have counted.
#[derive(Clone, Copy, Debug, Default)]
struct Retired {
    counters: EncryptCounters,
    clear_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct KeyFrameRequests {
    last: Option<Duration>,
    pending: bool,
}

#[derive(Debug, Default)]
struct Measured {
    at: Duration,
    frames: u64,
    bytes: u64,
    fps: u32,
    bitrate: u32,
}

impl Track {
    pub(super) fn new(kind: MediaKind, limits: EncodeBudget, outlet: Outlet) -> Self {
        let bitrate = match kind {
            MediaKind::Audio => AUDIO_BITRATE,
            MediaKind::Video => limits.bitrate,
        };
        Self {
            kind,
            local: AtomicU32::new(outlet.local.0),
            outlet,
            line: Mutex::new(None),
            retired: Mutex::default(),
            gate: Mutex::new(Gate {
                limits,
                pacer: Pacer::default(),
                last: None,
                source_caps: None,
                line_caps: None,
                applied: None,
            }),
            muted: AtomicBool::new(false),
            arrived: AtomicU64::new(0),
            source: Mutex::new(SourceState::Rebuilding),
            key_frame: Mutex::new(KeyFrameRequests::default()),
            bitrate: AtomicU32::new(bitrate),
            measured: Mutex::new(Measured::default()),
            looker: Mutex::default(),
        }
    }

    /// Has the pictures looked at for a code, or no longer.
    pub(super) fn look(&self, seen: Option<impl Fn(SeenCode) + Send + 'static>) {
        let mut looker = lock(&self.looker);
        match seen {
            None => *looker = None,
            Some(_) if looker.is_some() => {}
            Some(seen) => match Looker::start(seen) {
                Ok(started) => *looker = Some(Arc::new(started)),
                Err(error) => tracing::warn!(%error, "no thread to read codes with"),
            },
        }
    }

    pub(super) fn local(&self) -> LocalTrackId {
        LocalTrackId(self.local.load(Ordering::Relaxed))
    }

    /// Gives the track another number, for the lines built from now on.
    pub(super) fn renumber(&self, local: LocalTrackId) {
        self.local.store(local.0, Ordering::Relaxed);
    }

    /// Where the frames of a new line go.
    pub(super) fn outlet(&self) -> Outlet {
        Outlet {
            local: self.local(),
            ..self.outlet.clone()
        }
    }

    /// Takes one picture or block of sound from the source, whose pipeline counts from `base`.
    /// Called on the source's streaming thread; never blocks.
    pub(super) fn offer(&self, sample: &gst::Sample, base: Option<gst::ClockTime>) {
        self.arrived
            .store(clock::now().mseconds() + 1, Ordering::Relaxed);
        if self.kind == MediaKind::Video && self.muted() {
            return;
        }
        if self.kind == MediaKind::Video {
            let looker = lock(&self.looker).clone();
            if let Some(looker) = looker {
                looker.offer(sample);
            }
        }
        let Some((buffer, caps)) = self.admit(sample, base) else {
            return;
        };
        let target = {
            let line = lock(&self.line);
            let Some(line) = line.as_ref() else { return };
            Target {
                serial: line.serial,
                entry: line.entry.clone(),
                size: line.size.clone(),
                format: line.model.map(|model| model.raw_format()),
            }
        };
        self.apply_size(&target);
        self.outlet.counts.offered.fetch_add(1, Ordering::Relaxed);
        let sample = gst::Sample::builder().buffer(&buffer).caps(&caps).build();
        // Refused only while the line stops.
        let _ = target.entry.push_sample(&sample);
    }

    /// The buffer with its time on the shared clock, if it is wanted, and the caps to push it with.
    fn admit(
        &self,
        sample: &gst::Sample,
        base: Option<gst::ClockTime>,
    ) -> Option<(gst::Buffer, gst::Caps)> {
        let mut buffer = sample.buffer_owned()?;
        let pts = sample
            .segment()?
            .downcast_ref::<gst::ClockTime>()?
            .to_running_time(buffer.pts())
            .and_then(|running| clock::shared(running, base?))?;
        let pts = plausible(pts, clock::now());
        let source_caps = sample.caps()?;

        let mut gate = lock(&self.gate);
        if gate.last.is_some_and(|last| pts <= last) {
            return None;
        }
        let framerate = gate.limits.framerate;
        if self.kind == MediaKind::Video && !gate.pacer.wants(pts.into(), framerate) {
            return None;
        }
        gate.last = Some(pts);
        if gate.source_caps.as_deref() != Some(source_caps) {
            gate.source_caps = Some(source_caps.to_owned());
            gate.line_caps = Some(match self.kind {
                MediaKind::Audio => source_caps.to_owned(),
                MediaKind::Video => with_framerate(source_caps, framerate),
            });
            gate.applied = None;
        }
        let caps = gate.line_caps.clone()?;
        drop(gate);

        let stamped = buffer.make_mut();
        stamped.set_pts(pts);
        stamped.set_dts(gst::ClockTime::NONE);
        if self.kind == MediaKind::Video {
            // Encoders reckon their rate from it.
            stamped.set_duration(gst::ClockTime::SECOND / u64::from(framerate.max(1)));
        }
        Some((buffer, caps))
    }

    /// Tells the line the size that source and limits now give.
    fn apply_size(&self, target: &Target) {
        let (Some(filter), Some(format)) = (&target.size, target.format) else {
            return;
        };
        let (width, height) = {
            let mut gate = lock(&self.gate);
            let Some(shape) = gate.source_caps.as_deref().and_then(PictureShape::of) else {
                return;
            };
            let size = fit(shape, &gate.limits);
            if gate.applied == Some((target.serial, size)) {
                return;
            }
            gate.applied = Some((target.serial, size));
            size
        };
        filter.set_property("caps", picture_caps(format, width, height));
        // The control thread is gone only when the capture stops.
        let _ = self.outlet.control.send(Control::Size { width, height });
    }

    /// Starts a line with what is to be sealed. There must be none.
    pub(super) fn install(
        &self,
        line: Line,
        sealing: &Sealing,
    ) -> Result<(), gst::StateChangeError> {
        if let Some((index, key)) = &sealing.key {
            line.seal.set_send_key(*index, key.clone());
        }
        line.seal.set_mode(sealing.mode);
        line.set_bitrate(self.bitrate.load(Ordering::Relaxed));
        if let Some(mute) = &line.mute {
            mute.set_property("mute", self.muted());
        }
        line.start()?;
        *lock(&self.line) = Some(line);
        Ok(())
    }

    /// Stops the line, if there is one, and remembers what it counted. Waits for its streaming
    /// threads: hold no lock they could want.
    pub(super) fn remove_line(&self) {
        let Some(line) = lock(&self.line).take() else {
            return;
        };
        let seal = line.seal.clone();
        drop(line);
        let mut retired = lock(&self.retired);
        retired.counters = sum(retired.counters, seal.counters());
        retired.clear_at = retired.clear_at.max(seal.clear_at());
    }

    pub(super) fn seal_with(&self, index: KeyIndex, key: &FrameKey) {
        if let Some(line) = lock(&self.line).as_ref() {
            line.seal.set_send_key(index, key.clone());
        }
    }

    pub(super) fn seal_no_more(&self) {
        if let Some(line) = lock(&self.line).as_ref() {
            line.seal.clear_send_key();
        }
    }

    pub(super) fn set_mode(&self, mode: SealMode) {
        if let Some(line) = lock(&self.line).as_ref() {
            line.seal.set_mode(mode);
        }
    }

    /// Codec, encoder and serial of the running line.
    pub(super) fn running(&self) -> Option<(Codec, &'static str, u64)> {
        lock(&self.line)
            .as_ref()
            .map(|line| (line.codec(), line.encoder_name(), line.serial))
    }

    pub(super) fn iv_prefix(&self) -> Option<[u8; roomseal_e2ee::PREFIX_LEN]> {
        lock(&self.line)
            .as_ref()
            .and_then(|line| line.seal.iv_prefix())
    }

    pub(super) fn muted(&self) -> bool {
        self.muted.load(Ordering::Relaxed)
    }

    pub(super) fn set_mute(&self, muted: bool) {
        let before = self.muted.swap(muted, Ordering::Relaxed);
        let line = lock(&self.line);
        let Some(line) = line.as_ref() else { return };
        if let Some(mute) = &line.mute {
            mute.set_property("mute", muted);
        }
        if before && !muted {
            // Receivers have thrown away what they had.
            line.force_key_frame();
        }
    }

    pub(super) fn set_limits(&self, limits: EncodeBudget) {
        lock(&self.gate).limits = limits;
    }

    pub(super) fn set_bitrate(&self, bps: u32) {
        self.bitrate.store(bps, Ordering::Relaxed);
        if let Some(line) = lock(&self.line).as_ref() {
            line.set_bitrate(bps);
        }
    }

    /// Forces a key frame now, or a little later if one was forced just before.
    pub(super) fn request_key_frame(&self, now: Duration) {
        lock(&self.key_frame).pending = true;
        self.serve_key_frame(now);
    }

    /// Forces the key frame that was put off, once its time has come.
    pub(super) fn serve_key_frame(&self, now: Duration) {
        {
            let mut requests = lock(&self.key_frame);
            let early = requests
                .last
                .is_some_and(|last| now.saturating_sub(last) < KEY_FRAME_INTERVAL);
            if !requests.pending || early {
                return;
            }
            *requests = KeyFrameRequests {
                last: Some(now),
                pending: false,
            };
        }
        if let Some(line) = lock(&self.line).as_ref() {
            line.force_key_frame();
        }
    }

    /// When the source last gave something, on the shared clock; `None` since it was opened.
    pub(super) fn arrived(&self) -> Option<Duration> {
        self.arrived
            .load(Ordering::Relaxed)
            .checked_sub(1)
            .map(Duration::from_millis)
    }

    /// A new source begins: what the last one gave does not count.
    pub(super) fn await_source(&self) {
        self.arrived.store(0, Ordering::Relaxed);
    }

    /// Remembers the state; whether it is news.
    pub(super) fn set_source_state(&self, state: &SourceState) -> bool {
        let mut source = lock(&self.source);
        if *source == *state {
            return false;
        }
        *source = state.clone();
        true
    }

    /// Measures rate and bitrate of the time since the last call.
    pub(super) fn measure(&self, now: Duration) {
        let frames = self.outlet.counts.frames.load(Ordering::Relaxed);
        let bytes = self.outlet.counts.bytes.load(Ordering::Relaxed);
        let mut measured = lock(&self.measured);
        let ms = u64::try_from((now - measured.at.min(now)).as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let per_second =
            |count: u64| u32::try_from(count.saturating_mul(1_000) / ms).unwrap_or(u32::MAX);
        *measured = Measured {
            at: now,
            fps: per_second(frames.saturating_sub(measured.frames)),
            bitrate: per_second(bytes.saturating_sub(measured.bytes).saturating_mul(8)),
            frames,
            bytes,
        };
    }

    pub(super) fn stats(&self, codec: Codec) -> TrackStats {
        // Read first: a frame is sealed before it is handed on, and must not seem to be handed on unsealed.
        let frames = self.outlet.counts.frames.load(Ordering::Relaxed);
        let (codec, encoder, counters, clear_at, iv) = match lock(&self.line).as_ref() {
            Some(line) => (
                line.codec(),
                Some(line.encoder_name().to_owned()),
                line.seal.counters(),
                line.seal.clear_at(),
                line.seal.iv_prefix().zip(line.seal.iv_counter()),
            ),
            None => (codec, None, EncryptCounters::default(), None, None),
        };
        let retired = *lock(&self.retired);
        let counters = sum(retired.counters, counters);
        let measured = lock(&self.measured);
        let counts = &self.outlet.counts;
        TrackStats {
            local: self.local(),
            codec,
            encoder,
            source: lock(&self.source).clone(),
            muted: self.muted(),
            switched_off: None,
            offered: counts.offered.load(Ordering::Relaxed),
            encoded: counts.encoded.load(Ordering::Relaxed),
            frames,
            sealed: counters.sealed,
            clear: counters.clear,
            clear_at: retired.clear_at.max(clear_at),
            held: counters.held,
            dropped: counters.dropped,
            iv,
            bitrate: self.bitrate.load(Ordering::Relaxed),
            measured_bitrate: measured.bitrate,
            fps: measured.fps,
        }
    }

    /// How many pictures the encoder was given and how many it made.
    pub(super) fn load(&self) -> (u64, u64) {
        let counts = &self.outlet.counts;
        (
            counts.offered.load(Ordering::Relaxed),
            counts.encoded.load(Ordering::Relaxed),
        )
    }
}

/// What a picture needs to know of the line it goes to.
struct Target {
    serial: u64,
    entry: gst_app::AppSrc,
    size: Option<gst::Element>,
    format: Option<&'static str>,
}

fn sum(a: EncryptCounters, b: EncryptCounters) -> EncryptCounters {
    EncryptCounters {
        sealed: a.sealed + b.sealed,
        clear: a.clear + b.clear,
        held: a.held + b.held,
        dropped: a.dropped + b.dropped,
    }
}

/// A sink that gives a source's output to a track. `paced`: the sink waits for each buffer's time
/// (files, which come as fast as they are read); otherwise the source is the clock.
pub(super) fn feed(track: &Arc<Track>, paced: bool) -> gst::Element {
    let sink = gst_app::AppSink::builder()
        .sync(paced)
        .max_buffers(2)
        .drop(!paced)
        .enable_last_sample(false)
        .build();
    let track = Arc::clone(track);
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                track.offer(&sample, sink.base_time());
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    sink.upcast()
}
