// SPDX-License-Identifier: MIT OR Apache-2.0

//! A display or a loudspeaker: something that may be missing, break, and come back.

use std::time::{Duration, Instant};

use super::config::{Output, PresentEvent};
use super::feed::EventSink;

/// A display or speaker that failed is tried again after this.
const OUTPUT_RETRY: Duration = Duration::from_secs(3);

/// An output that ran this long after a failure works again.
const OUTPUT_PROVED: Duration = Duration::from_secs(2);

/// A display or speaker that may fail and come back.
pub(super) struct Device<T> {
    output: Output,
    pub(super) running: Option<T>,
    pub(super) generation: u64,
    started: Instant,
    retry_at: Option<Instant>,
    failed: bool,
}

impl<T> Device<T> {
    pub(super) fn new(output: Output, wanted: bool) -> Self {
        Self {
            output,
            running: None,
            generation: 0,
            started: Instant::now(),
            retry_at: wanted.then(Instant::now),
            failed: false,
        }
    }

    /// Whether it should be started now.
    pub(super) fn due(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| at <= now)
    }

    /// Takes the outcome of a start.
    pub(super) fn settle<E: std::fmt::Display>(
        &mut self,
        outcome: Result<Option<T>, E>,
        events: &EventSink,
    ) {
        self.started = Instant::now();
        self.retry_at = None;
        match outcome {
            Ok(running) => self.running = running,
            Err(error) => self.fail(error.to_string(), events),
        }
    }

    pub(super) fn fail(&mut self, reason: String, events: &EventSink) {
        self.running = None;
        self.retry_at = Some(Instant::now() + OUTPUT_RETRY);
        if !self.failed {
            self.failed = true;
            events(PresentEvent::OutputFailed {
                output: self.output,
                reason,
            });
        }
    }

    /// Notices that it works again.
    pub(super) fn tick(&mut self, now: Instant, events: &EventSink) {
        let proved = self.running.is_some() && now.duration_since(self.started) >= OUTPUT_PROVED;
        if self.failed && proved {
            self.failed = false;
            events(PresentEvent::OutputWorks {
                output: self.output,
            });
        }
    }
}
