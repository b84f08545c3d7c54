// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keeps what each participant sends, as it was encoded.
//!
//! Each participant gets a Matroska file `IDENTITY-001.mkv` with all its tracks, made of the very
//! frames that opened: nothing is decoded or encoded for it. A track that comes later, or changes
//! its codec, begins the next file; the one that it takes the place of is not in that any more. [`snapshot`] keeps pictures beside them.
//!
//! Frames come from streaming threads through a bounded queue; one thread writes. When it cannot
//! (the disk is full, say), recording stops with a message and the meeting goes on.

pub mod mkv;
mod participant;
pub mod snapshot;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use roomseal_e2ee::Codec;

use crate::present::{EventSink, PresentError, PresentEvent, TrackSource};
use participant::Participant;

/// Frames that may wait for the disk. Four participants with sound and picture fill it in five
/// seconds.
const MOST_WAITING: usize = 2_048;

/// How often to see whether a file that waits for its tracks has waited long enough.
const TICK: Duration = Duration::from_millis(200);

/// How long to wait for the disk when the recording ends.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A recording under way. Dropping it finishes all files.
#[derive(Debug)]
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    sender: Sender<Message>,
    /// Behind a lock only so that the recorder can be shared between threads.
    done: Mutex<Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    stopped: AtomicBool,
}

/// Where the frames of one track go in. Never blocks.
pub(crate) struct Input {
    id: u64,
    shared: Arc<Shared>,
    sender: Sender<Message>,
    /// A frame was dropped: what builds on it is of no use.
    broken: AtomicBool,
}

/// A track to record.
pub(crate) struct Track {
    /// Identity of its sender.
    pub(crate) identity: String,
    /// Name of its sender, fit to be shown.
    pub(crate) name: String,
    /// Codec of its frames.
    pub(crate) codec: Codec,
    /// What it shows or carries.
    pub(crate) source: TrackSource,
    /// Asks its sender for a key frame.
    pub(crate) want_key_frame: Box<dyn Fn() + Send>,
}

enum Message {
    Track(u64, Track),
    Frame(Frame),
    Ended(u64),
    Announced(String, usize),
    Stop,
}

/// One opened frame on its way into a file.
pub(crate) struct Frame {
    track: u64,
    key: bool,
    buffer: gst::Buffer,
}

impl Recorder {
    /// Starts recording into `directory`, which is made if it is not there.
    pub(crate) fn start(directory: &Path, events: EventSink) -> Result<Self, PresentError> {
        prepare(directory)?;
        let shared = Arc::new(Shared::default());
        let (sender, receiver) = mpsc::channel();
        let (done_sender, done) = mpsc::sync_channel(1);
        let thread = {
            let shared = Arc::clone(&shared);
            let directory = directory.to_owned();
            std::thread::Builder::new()
                .name("record".to_owned())
                .spawn(move || {
                    Library::new(directory, events, shared).run(&receiver);
                    let _ = done_sender.send(());
                })
                .map_err(|error| PresentError::Thread {
                    reason: error.to_string(),
                })?
        };
        Ok(Self {
            shared,
            sender,
            done: Mutex::new(done),
            thread: Some(thread),
        })
    }

    /// An input for a new track. `id` must be one never used before.
    pub(crate) fn input(&self, id: u64) -> Input {
        Input {
            id,
            shared: Arc::clone(&self.shared),
            sender: self.sender.clone(),
            broken: AtomicBool::new(false),
        }
    }

    /// Begins to record a track.
    pub(crate) fn add(&self, id: u64, track: Track) {
        self.tell(Message::Track(id, track));
    }

    /// The track with this number is gone.
    pub(crate) fn ended(&self, id: u64) {
        self.tell(Message::Ended(id));
    }

    /// A participant will have this many tracks; its first file waits a moment for them.
    pub(crate) fn announced(&self, identity: &str, tracks: usize) {
        self.tell(Message::Announced(identity.to_owned(), tracks));
    }

    fn tell(&self, message: Message) {
        // It fails once the thread has ended, after a failure that was reported.
        let _ = self.sender.send(message);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tell(Message::Stop);
        // A disk that does not answer (a network drive that is gone) must not hold up the end of
        // the meeting; the thread then ends with the process.
        match self
            .done
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .recv_timeout(STOP_TIMEOUT)
        {
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("the disk does not take the end of the recording");
            }
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                if let Some(thread) = self.thread.take() {
                    let _ = thread.join();
                }
            }
        }
    }
}

impl Input {
    /// Records one opened frame; `key` when one can begin to play at it.
    pub(crate) fn frame(&self, buffer: &gst::Buffer, key: bool) {
        if self.shared.stopped.load(Ordering::Relaxed) {
            return;
        }
        if key {
            self.broken.store(false, Ordering::Relaxed);
        } else if self.broken.load(Ordering::Relaxed) {
            return;
        }
        if self.shared.waiting.load(Ordering::Relaxed) >= MOST_WAITING {
            self.broken.store(true, Ordering::Relaxed);
            return;
        }
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        let _ = self.sender.send(Message::Frame(Frame {
            track: self.id,
            key,
            buffer: buffer.clone(),
        }));
    }
}

/// The side that writes.
struct Library {
    directory: PathBuf,
    events: EventSink,
    shared: Arc<Shared>,
    participants: HashMap<String, Participant>,
    /// Whose track is whose.
    owners: HashMap<u64, String>,
}

impl Library {
    fn new(directory: PathBuf, events: EventSink, shared: Arc<Shared>) -> Self {
        Self {
            directory,
            events,
            shared,
            participants: HashMap::new(),
            owners: HashMap::new(),
        }
    }

    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let outcome = match messages.recv_timeout(TICK) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => Ok(()),
            };
            if let Err(error) = outcome.and_then(|()| self.tick()) {
                self.shared.stopped.store(true, Ordering::Relaxed);
                (self.events)(PresentEvent::RecordingFailed {
                    reason: describe(&self.directory, &error),
                });
                return;
            }
        }
        for participant in self.participants.values_mut() {
            if let Err(error) = participant.finish(&self.directory, &self.events) {
                (self.events)(PresentEvent::RecordingFailed {
                    reason: describe(&self.directory, &error),
                });
            }
        }
    }

    fn take(&mut self, message: Message) -> io::Result<()> {
        match message {
            Message::Track(id, track) => {
                self.owners.insert(id, track.identity.clone());
                self.participant(&track.identity.clone()).add(id, track);
            }
            Message::Announced(identity, tracks) => self.participant(&identity).announced(tracks),
            Message::Ended(id) => {
                if let Some(owner) = self.owners.remove(&id)
                    && let Some(participant) = self.participants.get_mut(&owner)
                {
                    participant.ended(id, &self.directory, &self.events)?;
                    if participant.is_gone() {
                        self.participants.remove(&owner);
                    }
                }
            }
            Message::Frame(frame) => {
                self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                if let Some(owner) = self.owners.get(&frame.track)
                    && let Some(participant) = self.participants.get_mut(owner)
                {
                    participant.frame(frame, Instant::now(), &self.directory, &self.events)?;
                }
            }
            // Taken care of by the caller.
            Message::Stop => {}
        }
        Ok(())
    }

    fn tick(&mut self) -> io::Result<()> {
        let now = Instant::now();
        for participant in self.participants.values_mut() {
            participant.tick(now, &self.directory, &self.events)?;
        }
        Ok(())
    }

    fn participant(&mut self, identity: &str) -> &mut Participant {
        self.participants
            .entry(identity.to_owned())
            .or_insert_with(|| Participant::new(identity))
    }
}

/// Makes the directory, and sees that it can be written to before the meeting depends on it.
pub(crate) fn prepare(directory: &Path) -> Result<(), PresentError> {
    let probe = directory.join(format!(".roomseal-{}", std::process::id()));
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&probe, b""))
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|error| PresentError::Directory {
            directory: directory.display().to_string(),
            reason: error.to_string(),
        })
}

/// What to tell people when `directory` cannot be written to any more.
pub(crate) fn describe(directory: &Path, error: &io::Error) -> String {
    let directory = directory.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!(
            "the disk with {directory} is full: free some space, then start the recording again"
        ),
        _ => format!(
            "{directory} cannot be written to ({error}): see to it, then start the recording again"
        ),
    }
}
