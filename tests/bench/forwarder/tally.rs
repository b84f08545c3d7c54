// SPDX-License-Identifier: MIT OR Apache-2.0
//! What arrives at all participants together.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Packets of all participants, counted while it is wanted.
pub(crate) struct Tally {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    streams: BTreeMap<usize, usize>,
    is_complete: bool,
    is_wanted: bool,
    arrived: Arrived,
}

/// What arrived in a while.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived {
    pub(crate) bytes: usize,
    /// From the hands of one participant to the socket of another.
    pub(crate) took: Vec<Duration>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            state: Mutex::default(),
        }
    }

    /// The time as packets carry it, in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).expect("a measurement takes no centuries")
    }

    /// A participant receives one more.
    pub(crate) fn another_stream(&self, participant: usize) {
        *self.state().streams.entry(participant).or_default() += 1;
    }

    /// Streams that each participant receives.
    pub(crate) fn streams(&self) -> BTreeMap<usize, usize> {
        self.state().streams.clone()
    }

    /// A packet that was sent at `sent` was there `at` this time.
    pub(crate) fn arrived(&self, sent: u64, at: Instant, bytes: usize) {
        let at = at.saturating_duration_since(self.began);
        let took = at.saturating_sub(Duration::from_nanos(sent));
        let mut state = self.state();
        if state.is_wanted {
            state.arrived.bytes += bytes;
            state.arrived.took.push(took);
        }
    }

    /// Whether not everybody is there yet.
    pub(crate) fn is_gathering(&self) -> bool {
        !self.state().is_complete
    }

    /// Everybody is there.
    pub(crate) fn complete(&self) {
        self.state().is_complete = true;
    }

    /// Counts from now on.
    pub(crate) fn begin(&self) {
        self.state().is_wanted = true;
    }

    /// Counts no more: what there was.
    pub(crate) fn end(&self) -> Arrived {
        let mut state = self.state();
        state.is_wanted = false;
        std::mem::take(&mut state.arrived)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
