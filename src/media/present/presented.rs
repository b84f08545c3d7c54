// SPDX-License-Identifier: MIT OR Apache-2.0

//! One track with its pipelines: an opener for as long as it lasts, a decoder while it is needed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::decode::Decoder;
use super::open::Track;
use super::pipeline::Running;
use super::worker::Command;

/// A decoder that gave up is replaced after this, doubled each time it gives up again.
const DECODER_RETRY: Duration = Duration::from_millis(250);
const DECODER_RETRY_MOST: Duration = Duration::from_secs(8);

/// A track with its pipelines.
pub(super) struct Presented {
    pub(super) track: Arc<Track>,
    decoder: Option<Decoder>,
    generation: u64,
    started: Instant,
    failures: u32,
    retry_at: Option<Instant>,
    _opener: Running,
}

impl Presented {
    pub(super) fn new(track: Arc<Track>, opener: Running) -> Self {
        Self {
            track,
            decoder: None,
            generation: 0,
            started: Instant::now(),
            failures: 0,
            retry_at: None,
            _opener: opener,
        }
    }

    /// Starts the next decoder when it is time.
    pub(super) fn tick(&mut self, now: Instant, sender: &Sender<Command>) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.start_decoder(sender);
        }
    }

    /// Takes down a decoder that reported an error; whether it was the one at work.
    pub(super) fn give_up(&mut self, generation: u64) -> bool {
        // One decoder may report several errors, the last ones after it was replaced.
        if self.generation != generation || self.decoder.is_none() {
            return false;
        }
        self.drop_decoder();
        if self.started.elapsed() > DECODER_RETRY_MOST {
            self.failures = 0;
        }
        let wait = DECODER_RETRY * 2u32.saturating_pow(self.failures);
        self.failures = (self.failures + 1).min(8);
        self.retry_at = Some(Instant::now() + wait.min(DECODER_RETRY_MOST));
        self.track.restarts.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Starts or ends decoding.
    pub(super) fn want_decoder(&mut self, wanted: bool, sender: &Sender<Command>) {
        if !wanted {
            self.drop_decoder();
            self.retry_at = None;
        } else if self.decoder.is_none() && self.retry_at.is_none() {
            self.start_decoder(sender);
        }
    }

    fn start_decoder(&mut self, sender: &Sender<Command>) {
        self.generation += 1;
        self.started = Instant::now();
        let failed = {
            let (sender, track, generation) = (sender.clone(), self.track.id, self.generation);
            move |reason| {
                let _ = sender.send(Command::DecoderFailed {
                    track,
                    generation,
                    reason,
                });
            }
        };
        let attempt = self.track.restarts.load(Ordering::Relaxed);
        match Decoder::start(&self.track.feed, self.track.spec.codec, attempt, failed) {
            Ok(decoder) => self.decoder = Some(decoder),
            Err(error) => {
                tracing::warn!(track = self.track.spec.sid, %error, "no decoder");
                self.retry_at = Some(Instant::now() + DECODER_RETRY_MOST);
            }
        }
    }

    fn drop_decoder(&mut self) {
        self.track.feed.set_decoder(None);
        self.decoder = None;
    }
}
