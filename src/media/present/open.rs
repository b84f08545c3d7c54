// SPDX-License-Identifier: MIT OR Apache-2.0

//! Opens the frames of one track.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gst::prelude::*;
use roomseal_e2ee::KeyRing;

use super::config::{PresentError, RemoteTrackSpec, TrackState, TrackStats};
use super::decode::opened_caps;
use super::feed::{Feed, lock};
use super::pipeline::{Running, chain, forward_key_frame_requests, sink, source};
use super::state::Watch;
use crate::clock;
use crate::elements::FrameDecrypt;
use crate::elements::framedecrypt::TrackVerdict;

/// Sealed frames that may wait: some seconds of sound, more of video.
const MOST_WAITING: u64 = 200;

/// The handle of one track, for whoever pushes frames or asks how it fares.
pub(super) struct Track {
    pub(super) id: u64,
    pub(super) spec: RemoteTrackSpec,
    pub(super) feed: Arc<Feed>,
    pub(super) restarts: AtomicU64,
    input: gst_app::AppSrc,
    decrypt: FrameDecrypt,
    watch: Mutex<Watch>,
}

impl Track {
    /// Starts opening. The pipeline runs as long as the second value lives.
    pub(super) fn start(
        id: u64,
        spec: RemoteTrackSpec,
        feed: Feed,
        keys: KeyRing,
        failed: impl Fn(String) + Send + Sync + 'static,
    ) -> Result<(Self, Running), PresentError> {
        let what = "opener";
        let feed = Arc::new(feed);
        let pipeline = gst::Pipeline::new();
        let input = source(MOST_WAITING);
        input.set_caps(Some(&opened_caps(spec.codec)));
        let decrypt = FrameDecrypt::new();
        decrypt.set_keys(keys);
        decrypt.set_mode(spec.mode);
        decrypt.set_sif_trailer(spec.sif_trailer.clone());
        let output = {
            let feed = Arc::clone(&feed);
            sink(None, move |sample| {
                if let Some(buffer) = sample.buffer_owned() {
                    feed.opened(buffer);
                }
            })
        };
        chain(
            what,
            &pipeline,
            &[
                input.upcast_ref(),
                decrypt.upcast_ref(),
                output.upcast_ref(),
            ],
        )?;
        forward_key_frame_requests(&input, &feed);
        let said = {
            let feed = Arc::downgrade(&feed);
            let passed = [TrackVerdict::Opened, TrackVerdict::Clear].map(TrackVerdict::name);
            move |said: &gst::StructureRef| {
                if said.name() == "roomseal-framedecrypt"
                    && said
                        .get::<&str>("verdict")
                        .is_ok_and(|it| passed.contains(&it))
                    && let Some(feed) = feed.upgrade()
                {
                    feed.tell_passed();
                }
            }
        };
        let running = Running::start_listening(pipeline, what, failed, said)?;
        let track = Self {
            id,
            spec,
            feed,
            restarts: AtomicU64::new(0),
            input,
            decrypt,
            watch: Mutex::default(),
        };
        Ok((track, running))
    }

    /// Takes one sealed frame; never blocks.
    pub(super) fn push(&self, mut buffer: gst::Buffer) {
        if buffer.pts().is_none() {
            buffer.make_mut().set_pts(clock::now());
        }
        // It refuses when the track is being taken down.
        let _ = self.input.push_buffer(buffer);
    }

    pub(super) fn decrypt(&self) -> &FrameDecrypt {
        &self.decrypt
    }

    /// The track's state, when it has changed since the last look.
    pub(super) fn look(&self) -> Option<TrackState> {
        lock(&self.watch).look(self.decrypt.counters())
    }

    pub(super) fn state(&self) -> TrackState {
        lock(&self.watch).state()
    }

    pub(super) fn stats(&self) -> TrackStats {
        TrackStats {
            frames: self.decrypt.counters(),
            state: self.state(),
            decoded: self.feed.decoded_count(),
            size: self.feed.size(),
            passed_clear_at: self.decrypt.passed_clear_at(),
            opened_ago: self.feed.opened_ago(),
            decoder_restarts: self.restarts.load(Ordering::Relaxed),
            skipped: self.feed.skipped_count(),
        }
    }
}
