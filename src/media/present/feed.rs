// SPDX-License-Identifier: MIT OR Apache-2.0

//! The way of one track's frames between threads: opened frames to decoder and recorder, decoded
//! ones to screen and speaker.
//!
//! Everything here runs on streaming threads. Locks are held for a look or a clone, never while
//! something is pushed, and every push goes to a bounded queue that drops instead of waiting.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering},
};
use std::time::Duration;

use roomseal_e2ee::Codec;

use super::config::PresentEvent;
use super::frame::FrameKind;
use super::gate::{Gate, KeyFrameRequests, Passage};
use super::layout::Size;
use crate::{clock, record};

/// Takes events; called on streaming threads too, so it must not block.
pub type EventSink = Arc<dyn Fn(PresentEvent) + Send + Sync>;

/// A decoder that has this many frames waiting is too slow; it starts anew at a key frame.
const MOST_WAITING: u64 = 20;

/// One track, as its streaming threads see it.
pub(super) struct Feed {
    sid: String,
    codec: Codec,
    events: EventSink,
    recorder: Option<record::Input>,
    keep_pictures: bool,
    inner: Mutex<Inner>,
    /// Where decoded pictures or sound go at the moment.
    output: Mutex<Option<gst_app::AppSrc>>,
    picture: Mutex<Option<gst::Sample>>,
    decoded: AtomicU64,
    skipped: AtomicU64,
    width: AtomicU32,
    height: AtomicU32,
    /// Running time in nanoseconds plus one; 0 for never.
    opened_at: AtomicU64,
    decoded_at: AtomicU64,
}

struct Inner {
    /// Whether the track arrives whole.
    stream: Gate,
    /// Whether the decoder got it whole.
    decoding: Gate,
    decoder: Option<gst_app::AppSrc>,
    requests: KeyFrameRequests,
}

impl Feed {
    pub(super) fn new(
        sid: String,
        codec: Codec,
        events: EventSink,
        recorder: Option<record::Input>,
        keep_pictures: bool,
    ) -> Self {
        Self {
            sid,
            codec,
            events,
            recorder,
            keep_pictures,
            inner: Mutex::new(Inner {
                stream: Gate::new(codec),
                decoding: Gate::new(codec),
                decoder: None,
                requests: KeyFrameRequests::default(),
            }),
            output: Mutex::new(None),
            picture: Mutex::new(None),
            decoded: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            width: AtomicU32::new(0),
            height: AtomicU32::new(0),
            opened_at: AtomicU64::new(0),
            decoded_at: AtomicU64::new(0),
        }
    }

    /// Takes a frame that may be played.
    pub(super) fn opened(&self, buffer: gst::Buffer) {
        store_now(&self.opened_at);
        let Ok(kind) = buffer
            .map_readable()
            .map(|map| FrameKind::of(self.codec, &map))
        else {
            return;
        };
        let gap = buffer.flags().contains(gst::BufferFlags::DISCONT);

        let mut inner = lock(&self.inner);
        let whole = inner.stream.pass(kind, gap) == Passage::Pass;
        let decoder = inner.decoder.clone();
        let too_slow = decoder
            .as_ref()
            .is_some_and(|input| input.current_level_buffers() >= MOST_WAITING);
        if too_slow {
            inner.decoding.reset();
        }
        let decodable =
            decoder.is_some() && !too_slow && inner.decoding.pass(kind, gap) == Passage::Pass;
        let wanted = (decoder.is_some() && inner.decoding.waits())
            || (self.recorder.is_some() && inner.stream.waits());
        let ask = wanted && inner.requests.ask(clock::now().into());
        drop(inner);

        if ask {
            self.send_key_frame_request();
        }
        if !whole || (decoder.is_some() && !decodable) {
            self.skipped.fetch_add(1, Ordering::Relaxed);
        }
        if whole && let Some(recorder) = &self.recorder {
            recorder.frame(&buffer, kind.key);
        }
        if decodable && let Some(input) = decoder {
            // It refuses when its pipeline is being taken down, and then nobody misses the frame.
            let _ = input.push_buffer(buffer);
        }
    }

    /// Takes a decoded picture or piece of sound.
    pub(super) fn decoded(&self, sample: &gst::Sample) {
        self.decoded.fetch_add(1, Ordering::Relaxed);
        store_now(&self.decoded_at);
        if self.codec != Codec::Opus {
            if let Some(caps) = sample.caps()
                && let Some(structure) = caps.structure(0)
                && let (Ok(width), Ok(height)) = (
                    structure.get::<i32>("width"),
                    structure.get::<i32>("height"),
                )
            {
                self.width.store(width.unsigned_abs(), Ordering::Relaxed);
                self.height.store(height.unsigned_abs(), Ordering::Relaxed);
            }
            if self.keep_pictures {
                *lock(&self.picture) = Some(sample.clone());
            }
        }
        let output = lock(&self.output).clone();
        if let Some(output) = output {
            let _ = output.push_sample(&fit_for_mixing(sample, self.codec));
        }
    }

    /// Asks for a key frame, unless one was asked for just now or nobody would use it.
    pub(super) fn want_key_frame(&self) {
        let ask = {
            let mut inner = lock(&self.inner);
            let used = inner.decoder.is_some() || self.recorder.is_some();
            self.codec != Codec::Opus && used && inner.requests.ask(clock::now().into())
        };
        if ask {
            self.send_key_frame_request();
        }
    }

    /// Whether nothing can be decoded or recorded before a key frame comes.
    pub(super) fn waits_for_key_frame(&self) -> bool {
        let inner = lock(&self.inner);
        (inner.decoder.is_some() && inner.decoding.waits())
            || (self.recorder.is_some() && inner.stream.waits())
    }

    /// Connects a new decoder, or none. It begins at a key frame.
    pub(super) fn set_decoder(&self, decoder: Option<gst_app::AppSrc>) {
        let mut inner = lock(&self.inner);
        inner.decoding.reset();
        inner.decoder = decoder;
    }

    /// Connects what is decoded to a place on the screen or in the mix, or to none.
    pub(super) fn set_output(&self, output: Option<gst_app::AppSrc>) {
        *lock(&self.output) = output;
    }

    /// The newest decoded picture, where pictures are kept; each is given once.
    pub(super) fn take_picture(&self) -> Option<gst::Sample> {
        lock(&self.picture).take()
    }

    pub(super) fn decoded_count(&self) -> u64 {
        self.decoded.load(Ordering::Relaxed)
    }

    pub(super) fn skipped_count(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    pub(super) fn size(&self) -> Option<Size> {
        let size = Size {
            width: self.width.load(Ordering::Relaxed),
            height: self.height.load(Ordering::Relaxed),
        };
        (size.width > 0 && size.height > 0).then_some(size)
    }

    pub(super) fn opened_ago(&self) -> Option<Duration> {
        ago(&self.opened_at)
    }

    pub(super) fn decoded_ago(&self) -> Option<Duration> {
        ago(&self.decoded_at)
    }

    /// Tells that a frame passed, the first by the keys or rules of the moment.
    pub(super) fn tell_passed(&self) {
        (self.events)(PresentEvent::FirstPassed {
            sid: self.sid.clone(),
        });
    }

    fn send_key_frame_request(&self) {
        (self.events)(PresentEvent::KeyFrameWanted {
            sid: self.sid.clone(),
        });
    }
}

/// A lock whose holder panicked is used on: what is behind it are flags and handles, each valid
/// by itself.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A picture without an end stays until the next one comes, however late that is; and a time
/// stamp far off, as a hostile sender can make them, must not hold up what comes after it.
fn fit_for_mixing(sample: &gst::Sample, codec: Codec) -> gst::Sample {
    const FAR: gst::ClockTime = gst::ClockTime::from_seconds(1);
    let Some(buffer) = sample.buffer() else {
        return sample.clone();
    };
    let now = clock::now();
    let near = buffer
        .pts()
        .is_some_and(|pts| pts <= now + FAR && pts + FAR >= now);
    let video = codec != Codec::Opus;
    if near && !(video && buffer.duration().is_some()) {
        return sample.clone();
    }
    let mut buffer = buffer.copy();
    let fields = buffer.make_mut();
    if !near {
        fields.set_pts(now);
    }
    if video {
        fields.set_duration(gst::ClockTime::NONE);
    }
    let caps = sample.caps_owned();
    gst::Sample::builder()
        .buffer(&buffer)
        .caps_if_some(caps.as_ref())
        .build()
}

fn store_now(at: &AtomicU64) {
    at.store(clock::now().nseconds() + 1, Ordering::Relaxed);
}

fn ago(at: &AtomicU64) -> Option<Duration> {
    let at = at.load(Ordering::Relaxed).checked_sub(1)?;
    Some(Duration::from_nanos(
        clock::now().nseconds().saturating_sub(at),
    ))
}
