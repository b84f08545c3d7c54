// SPDX-License-Identifier: MIT OR Apache-2.0

//! A meeting to be presented, and waiting for what comes of it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use gstroomseal::clock;
use gstroomseal::elements::framedecrypt::OpenMode;
use gstroomseal::present::layout::Size;
use gstroomseal::present::{
    Present, PresentConfig, PresentEvent, RecordConfig, RemoteTrackSpec, TrackSource, TrackState,
};
use roomseal_e2ee::{Codec, FrameKey, KeyIndex, KeyRing, RawKey};

use super::clip::{Clip, Sender};

pub(super) const SCREEN: Size = Size {
    width: 640,
    height: 360,
};

/// One meeting at a time: what is measured in real time needs the machine.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    gstroomseal::plugins::gst_init().unwrap();
    ONE.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits for something that takes a moment; the limit is for machines under load.
pub(super) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

pub(super) struct Meeting {
    pub(super) present: Present,
    pub(super) events: Arc<Mutex<Vec<PresentEvent>>>,
}

impl Meeting {
    pub(super) fn start(config: PresentConfig) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        let present = Present::start(
            config,
            Arc::new(move |event| sink.lock().unwrap().push(event)),
        )
        .unwrap();
        Self { present, events }
    }

    /// Sends a clip as fast as it is opened.
    pub(super) fn play(&self, sender: &mut Sender, clip: &Clip, sid: &str) {
        self.play_range(sender, clip, sid, 0..clip.frames.len());
    }

    pub(super) fn play_range(
        &self,
        sender: &mut Sender,
        clip: &Clip,
        sid: &str,
        range: std::ops::Range<usize>,
    ) {
        for frame in &clip.frames[range] {
            let arrived = self.arrived(sid);
            self.present.push(sid, sender.seal(frame, clock::now()));
            until("a frame to be looked at", || self.arrived(sid) > arrived);
        }
    }

    pub(super) fn arrived(&self, sid: &str) -> u64 {
        let stats = self.present.track_stats(sid).unwrap();
        let frames = stats.frames.frames;
        frames.opened + frames.refused()
    }

    pub(super) fn state_events(&self, of: &str) -> Vec<TrackState> {
        let events = self.events.lock().unwrap();
        let states = events.iter().filter_map(|event| match event {
            PresentEvent::TrackState { sid, state } if sid == of => Some(*state),
            _ => None,
        });
        states.collect()
    }

    pub(super) fn key_frames_wanted(&self, of: &str) -> usize {
        let events = self.events.lock().unwrap();
        let wanted = |event: &&PresentEvent| matches!(event, PresentEvent::KeyFrameWanted { sid } if sid == of);
        events.iter().filter(wanted).count()
    }

    pub(super) fn files_started(&self) -> usize {
        let events = self.events.lock().unwrap();
        let started =
            |event: &&PresentEvent| matches!(event, PresentEvent::RecordingStarted { .. });
        events.iter().filter(started).count()
    }

    pub(super) fn failures(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let reasons = events.iter().filter_map(|event| match event {
            PresentEvent::DecoderFailed { reason, .. }
            | PresentEvent::OutputFailed { reason, .. }
            | PresentEvent::RecordingFailed { reason } => Some(reason.clone()),
            _ => None,
        });
        reasons.collect()
    }
}

pub(super) fn spec(sid: &str, identity: &str, codec: Codec) -> RemoteTrackSpec {
    RemoteTrackSpec {
        sid: sid.to_owned(),
        identity: identity.to_owned(),
        name: identity.to_owned(),
        codec,
        source: match codec {
            Codec::Opus => TrackSource::Microphone,
            Codec::H264 | Codec::Vp8 => TrackSource::Camera,
        },
        mode: OpenMode::Require,
        sif_trailer: Vec::new(),
    }
}

pub(super) fn with_snapshots(directory: &Path) -> PresentConfig {
    PresentConfig {
        recording: Some(RecordConfig {
            directory: directory.to_owned(),
            streams: false,
            snapshot_every: Some(Duration::from_millis(500)),
        }),
        ..PresentConfig::default()
    }
}

pub(super) fn recording(directory: &Path) -> PresentConfig {
    PresentConfig {
        recording: Some(RecordConfig {
            directory: directory.to_owned(),
            streams: true,
            snapshot_every: None,
        }),
        ..PresentConfig::default()
    }
}

pub(super) fn key(number: u8) -> FrameKey {
    FrameKey::from_raw_key(&RawKey::new(vec![number; 32]))
}

pub(super) fn ring(number: u8) -> KeyRing {
    let mut ring = KeyRing::new();
    ring.set(KeyIndex::default(), key(number));
    ring
}

/// Pictures per second of every clip.
pub(super) const FPS: u64 = 30;
