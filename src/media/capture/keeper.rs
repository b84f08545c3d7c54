// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keeps one source open: a missing device is looked for, a vanished one waited for, a silent one
//! opened again. Each has a thread of its own, so that a driver that hangs takes nothing along.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    OnEvent,
    event::{CaptureEvent, SourceState},
    fault::SourceFault,
    retry::{BackOff, StallWatch},
    source::{News, Source, Spec},
    track::Track,
};
use crate::{budget::EncodeBudget, clock, transport::MediaKind};

/// How often arrivals are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often a device node is looked for that is not there.
const LOOK: Duration = Duration::from_millis(500);
/// How long a driver may take to let go before it is left alone.
const STOP: Duration = Duration::from_secs(3);

/// What a keeper's thread is told.
#[derive(Debug)]
pub(super) enum Word {
    /// By the pipeline with this serial.
    News(u64, News),
    /// The encoder can take pictures of another size: open the camera anew for it.
    Budget(EncodeBudget),
    Stop,
}

/// A source that is kept open until it is stopped.
#[derive(Debug)]
pub(super) struct Keeper {
    words: Sender<Word>,
    done: Receiver<()>,
    thread: JoinHandle<()>,
    name: String,
}

impl Keeper {
    pub(super) fn start(
        spec: Spec,
        tracks: Vec<Arc<Track>>,
        budget: EncodeBudget,
        stall_after: Duration,
        on_event: OnEvent,
    ) -> std::io::Result<Self> {
        let (words, inbox) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        let name = spec.name();
        let watch = Watch {
            spec,
            tracks,
            budget,
            stall_after,
            on_event,
            words: words.clone(),
            inbox,
            serial: 0,
        };
        let thread = thread::Builder::new()
            .name("capture-source".to_owned())
            .spawn(move || {
                watch.run();
                // The stopper may have given up waiting.
                let _ = finished.send(());
            })?;
        Ok(Self {
            words,
            done,
            thread,
            name,
        })
    }

    /// Goes over to pictures for another encoder.
    pub(super) fn set_budget(&self, budget: EncodeBudget) {
        // If nobody listens, the thread has ended already.
        let _ = self.words.send(Word::Budget(budget));
    }

    /// Closes the source. Returns after at most three seconds, even if the driver hangs.
    pub(super) fn stop(self) {
        // If nobody listens, the thread has ended already.
        let _ = self.words.send(Word::Stop);
        if self.done.recv_timeout(STOP) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(
                source = self.name,
                "the driver does not let go; it is left behind"
            );
            return;
        }
        // A panic there was printed and has no other consequence here.
        let _ = self.thread.join();
    }
}

struct Watch {
    spec: Spec,
    tracks: Vec<Arc<Track>>,
    budget: EncodeBudget,
    stall_after: Duration,
    on_event: OnEvent,
    words: Sender<Word>,
    inbox: Receiver<Word>,
    serial: u64,
}

/// How the life of an open source ended.
enum End {
    Stopped,
    Failed(SourceFault),
    Stalled,
    /// It has to be opened anew, for no fault of its own.
    Again,
}

impl Watch {
    fn run(mut self) {
        let mut back_off = BackOff::default();
        loop {
            let begun = Instant::now();
            let end = match self.open() {
                Ok(source) => self.live(source),
                Err(fault) => End::Failed(fault),
            };
            let ran = begun.elapsed();
            match end {
                End::Stopped => return,
                End::Again => continue,
                End::Stalled => {
                    self.tell_all(&SourceState::Stalled);
                    tracing::warn!(source = self.spec.name(), "gives nothing; opened again");
                    if self.pause(back_off.next(ran), &mut back_off) {
                        return;
                    }
                    self.tell_all(&SourceState::Rebuilding);
                }
                End::Failed(SourceFault { what, advice }) => {
                    let state = SourceState::Missing { what, advice };
                    if self.tell_all(&state) {
                        tracing::warn!("{state}");
                    }
                    if self.pause(back_off.next(ran), &mut back_off) {
                        return;
                    }
                }
            }
        }
    }

    fn open(&mut self) -> Result<Source, SourceFault> {
        self.serial += 1;
        for track in &self.tracks {
            track.await_source();
        }
        let (spec, budget) = (&self.spec, &self.budget);
        let opened = Source::open(spec, &self.tracks, budget, self.serial, &self.words);
        opened.map_err(|fault| self.cause().unwrap_or(fault))
    }

    /// What the pipeline itself said about why it did not start.
    fn cause(&mut self) -> Option<SourceFault> {
        let words: Vec<_> = self.inbox.try_iter().collect();
        let mut cause = None;
        for word in words {
            match word {
                Word::News(serial, News::Fault(fault)) if serial == self.serial => {
                    cause.get_or_insert(fault);
                }
                Word::News(..) => {}
                Word::Budget(budget) => self.budget = budget,
                // For the loop that can act on it.
                Word::Stop => drop(self.words.send(Word::Stop)),
            }
        }
        cause
    }

    /// Looks after an open source until it ends.
    fn live(&mut self, mut source: Source) -> End {
        let now = || clock::now().into();
        // What a file has nothing for is neither waited for nor called stalled.
        let mut wanted: Vec<_> = self
            .tracks
            .iter()
            .map(|track| (Arc::clone(track), StallWatch::new(self.stall_after, now())))
            .collect();
        loop {
            match self.inbox.recv_timeout(TICK) {
                Ok(Word::Stop) | Err(RecvTimeoutError::Disconnected) => return End::Stopped,
                Ok(Word::Budget(budget)) => {
                    if self.take_budget(budget) {
                        return End::Again;
                    }
                }
                Ok(Word::News(serial, _)) if serial != self.serial => continue,
                Ok(Word::News(_, News::Fault(fault))) => return End::Failed(fault),
                Ok(Word::News(_, News::Ended)) => {
                    return if source.clip.is_some()
                        && wanted.iter().any(|(t, _)| t.arrived().is_some())
                    {
                        End::Again
                    } else {
                        End::Failed(SourceFault::ended(&self.spec))
                    };
                }
                Ok(Word::News(_, News::Loop)) => {
                    if source.clip.as_mut().is_some_and(|clip| !clip.turn()) {
                        return End::Again;
                    }
                }
                Ok(Word::News(_, News::Ready)) => {
                    let pipeline = source.pipeline.clone();
                    if let Some(lacks) = source.clip.as_mut().and_then(|clip| clip.ready(&pipeline))
                    {
                        wanted.retain(|(track, _)| !lacks.contains(&track.kind));
                        self.tell_lacks(&lacks);
                        if wanted.is_empty() {
                            return End::Failed(SourceFault::lacks(&self.spec, "usable stream"));
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            for (track, watch) in &mut wanted {
                if track.arrived().is_some() {
                    self.tell(track, &SourceState::Running);
                }
                if watch.stalled(now(), track.arrived(), track.muted()) {
                    return End::Stalled;
                }
            }
        }
    }

    /// Returns whether the source has to be opened anew for it.
    fn take_budget(&mut self, budget: EncodeBudget) -> bool {
        let other = self.budget != budget;
        self.budget = budget;
        other && self.spec.follows_budget()
    }

    fn tell_lacks(&self, lacks: &[MediaKind]) {
        for track in self
            .tracks
            .iter()
            .filter(|track| lacks.contains(&track.kind))
        {
            let kind = if track.kind == MediaKind::Audio {
                "sound"
            } else {
                "picture"
            };
            let SourceFault { what, advice } = SourceFault::lacks(&self.spec, kind);
            self.tell(track, &SourceState::Missing { what, advice });
        }
    }

    /// Waits before the next attempt; returns whether to stop instead. A device that comes back is
    /// not kept waiting.
    fn pause(&mut self, wait: Duration, back_off: &mut BackOff) -> bool {
        let until = Instant::now() + wait;
        let spec = self.spec.clone();
        let there = || spec.path().is_none_or(std::path::Path::exists);
        let was_there = there();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            if !was_there && there() {
                back_off.reset();
                return false;
            }
            match self.inbox.recv_timeout(left.min(LOOK)) {
                Ok(Word::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
                Ok(Word::Budget(budget)) => self.budget = budget,
                Ok(Word::News(..)) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Returns whether it was news to any track.
    fn tell_all(&self, state: &SourceState) -> bool {
        self.tracks
            .iter()
            .fold(false, |news, track| self.tell(track, state) | news)
    }

    fn tell(&self, track: &Arc<Track>, state: &SourceState) -> bool {
        let news = track.set_source_state(state);
        if news {
            (self.on_event)(CaptureEvent::SourceState {
                local: track.local(),
                state: state.clone(),
            });
        }
        news
    }
}
