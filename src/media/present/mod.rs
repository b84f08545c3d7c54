// SPDX-License-Identifier: MIT OR Apache-2.0

//! From sealed frames to screen, speaker and files.
//!
//! [`Present`] is the receiving half of a call. Frames of remote tracks go in as they came from
//! the transport, sealed; it opens them, shows the last speakers in tiles with their names, mixes
//! all sound, records, and says of every track whether it verifies.
//!
//! ```text
//!              ┌ opener of a track ───────────────────┐  ┌ decoder of a track ─┐  ┌ display ─┐
//! push(sid) ──►│ appsrc ► framedecrypt ► appsink      │─►│ appsrc ► vp8dec ►.. │─►│ tiles    │
//!              └──────────────────────────────────────┘  └─────────────────────┘  ├ speaker ─┤
//!                                       └─► recorder (the opened frames)          │ mix      │
//!                                                                                 └──────────┘
//! ```
//!
//! Every box is a pipeline of its own on the shared clock ([`crate::clock`]), so that what one
//! member sends can at worst end that member's decoder, which is then replaced and counted. A
//! track that is neither shown nor snapshot has no decoder at all; its frames are still opened and
//! judged.
//!
//! How a call uses it:
//!
//! 1. [`Present::start`] with a [`PresentConfig`] and a function for [`PresentEvent`]s.
//! 2. For each remote track [`Present::add_track`], then [`Present::push`] for each frame, from any
//!    thread; it never blocks. [`Present::remove_track`] at its end.
//! 3. [`Present::set_people`] and [`Present::set_active_speakers`] whenever the service says so,
//!    [`Present::set_keys`] or [`Present::set_rules`] whenever keys or policy change.
//! 4. [`PresentEvent::KeyFrameWanted`] goes to the transport's `request_key_frame`.
//! 5. [`Present::stop`], or drop: files are finished, all threads are gone when it returns.

mod chime;
mod compose;
mod config;
mod decode;
mod device;
mod feed;
pub mod frame;
mod gate;
pub mod label;
pub mod layout;
mod mix;
mod open;
mod overlay;
mod pipeline;
mod presented;
mod state;
mod worker;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use roomseal_e2ee::KeyRing;

use crate::elements::framedecrypt::OpenRules;
use crate::record::{self, Recorder, snapshot::Snapshots};
use crate::{clock, plugins};
use feed::Feed;
use open::Track;
use overlay::{Canvas, Painter};
use worker::{Command, Worker};

pub use config::*;
pub use feed::EventSink;
pub use mix::{ECHO_PROBE, MIX_RATE};
pub use overlay::{Overlay, Patch};

/// A meeting being presented; see the [module](self) for how to use it.
pub struct Present {
    config: PresentConfig,
    events: EventSink,
    tracks: RwLock<HashMap<String, Arc<Track>>>,
    next_id: AtomicU64,
    commands: Sender<Command>,
    worker: Option<JoinHandle<()>>,
    /// When the worker last went round, in nanoseconds on the shared clock.
    beat: Arc<AtomicU64>,
    canvas: Arc<Canvas>,
    /// `None`: there is no screen to draw on.
    painter: Option<Painter>,
    /// After the worker, so that everything recorded has reached it when it finishes.
    recorder: Option<Recorder>,
}

impl fmt::Debug for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Present")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Present {
    /// Starts presenting. `events` is called on several threads and must not block.
    ///
    /// A display or speaker that does not work at the moment is no error: it is reported by
    /// [`PresentEvent::OutputFailed`] and tried again.
    ///
    /// # Errors
    ///
    /// A missing plugin (named with its Debian package), a recording directory that cannot be
    /// used, or no thread to be had.
    pub fn start(mut config: PresentConfig, events: EventSink) -> Result<Self, PresentError> {
        plugins::gst_init()?;
        plugins::require(&required(&config))
            .map_err(|error| pipeline::build_error("presentation", &error))?;
        // What is misspelt stays so: trying it again later would not help.
        compose::display(&config.display)?;
        mix::speaker(&config.speaker)?;
        config.max_tiles = config.max_tiles.min(layout::MOST_TILES);

        let recorder = config
            .recording
            .as_ref()
            .filter(|recording| recording.streams)
            .map(|recording| Recorder::start(&recording.directory, Arc::clone(&events)))
            .transpose()?;
        let snapshots = config
            .recording
            .as_ref()
            .filter(|recording| recording.snapshot_every.is_some())
            .map(|recording| Snapshots::start(&recording.directory, Arc::clone(&events)))
            .transpose()?;

        let thread = |error: std::io::Error| PresentError::Thread {
            reason: error.to_string(),
        };
        let canvas = Arc::new(Canvas::default());
        let painter = (config.display != Display::None)
            .then(|| Painter::start(Arc::clone(&canvas)).map_err(thread))
            .transpose()?;
        let (commands, receiver) = mpsc::channel();
        let beat = Arc::new(AtomicU64::new(clock::now().nseconds()));
        let worker = Worker::new(
            config.clone(),
            Arc::clone(&events),
            commands.clone(),
            snapshots,
            Arc::clone(&canvas),
            Arc::clone(&beat),
        );
        let worker = std::thread::Builder::new()
            .name("present".to_owned())
            .spawn(move || worker.run(&receiver))
            .map_err(thread)?;
        Ok(Self {
            config,
            events,
            tracks: RwLock::default(),
            next_id: AtomicU64::new(1),
            commands,
            worker: Some(worker),
            beat,
            canvas,
            painter,
            recorder,
        })
    }

    /// Begins to open (and show, play, record) a remote track with these keys. Frames pushed from
    /// now on count.
    ///
    /// # Errors
    ///
    /// When the track is there already, or its pipeline cannot be built.
    pub fn add_track(&self, spec: RemoteTrackSpec, keys: KeyRing) -> Result<(), PresentError> {
        if self.track(&spec.sid).is_some() {
            return Err(PresentError::TrackExists { sid: spec.sid });
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let feed = Feed::new(
            spec.sid.clone(),
            spec.codec,
            Arc::clone(&self.events),
            self.recorder.as_ref().map(|recorder| recorder.input(id)),
            self.snapshots(),
        );
        let failed = {
            let commands = self.commands.clone();
            move |reason| {
                let _ = commands.send(Command::OpenerFailed(id, reason));
            }
        };
        let (track, opener) = Track::start(id, spec, feed, keys, failed)?;
        let track = Arc::new(track);
        if let Some(recorder) = &self.recorder {
            let feed = Arc::clone(&track.feed);
            recorder.add(
                id,
                record::Track {
                    identity: track.spec.identity.clone(),
                    name: label::plain(&track.spec.name, label::LONGEST_NAME),
                    codec: track.spec.codec,
                    source: track.spec.source,
                    want_key_frame: Box::new(move || feed.want_key_frame()),
                },
            );
        }
        self.tracks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(track.spec.sid.clone(), Arc::clone(&track));
        self.tell(Command::Add(track, opener));
        Ok(())
    }

    /// Ends a track; an unknown one is ignored, since ends are told more than once.
    pub fn remove_track(&self, sid: &str) {
        let track = self
            .tracks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(sid);
        if let Some(track) = track {
            self.tell(Command::Remove(track.id));
            if let Some(recorder) = &self.recorder {
                recorder.ended(track.id);
            }
        }
    }

    /// Takes one sealed frame of a track, `DISCONT` when something before it was lost. Never
    /// blocks; frames of unknown tracks are dropped.
    pub fn push(&self, sid: &str, frame: gst::Buffer) {
        if let Some(track) = self.track(sid) {
            track.push(frame);
        }
    }

    /// Opens a track with these keys from now on. `false` when there is no such track.
    pub fn set_keys(&self, sid: &str, keys: KeyRing) -> bool {
        self.with(sid, |track| track.decrypt().set_keys(keys))
    }

    /// Opens a track by other rules from the next frame on. `false` when there is no such track.
    pub fn set_rules(&self, sid: &str, rules: OpenRules) -> bool {
        self.with(sid, |track| track.decrypt().set_rules(rules))
    }

    /// Everybody in the room except us, in the order in which they joined; those who send nothing
    /// count as not shown.
    pub fn set_people(&self, people: Vec<Person>) {
        self.tell(Command::People(people));
    }

    /// Who is speaking, loudest first, by identity. Unknown identities are ignored.
    pub fn set_active_speakers(&self, identities: Vec<String>) {
        self.tell(Command::ActiveSpeakers(identities));
    }

    /// Sounds a chime at the loudspeaker, if there is one.
    pub fn chime(&self) {
        self.tell(Command::Chime);
    }

    /// Shows at most so many participants, and never more than configured: for when the board
    /// cannot keep up.
    pub fn set_max_tiles(&self, tiles: usize) {
        self.tell(Command::MaxTiles(tiles));
    }

    /// Draws this over the picture from now on. To be called again and again, also when nothing has changed: what was not
    /// renewed for one and a half seconds is not shown.
    pub fn set_overlay(&self, overlay: Overlay) {
        if self.painter.is_some() {
            self.canvas.show(overlay);
        }
    }

    /// A participant is going to have this many tracks: its first recorded file waits up to three
    /// seconds for them. Without this it waits as long for whatever comes.
    pub fn announce_tracks(&self, identity: &str, tracks: usize) {
        if let Some(recorder) = &self.recorder {
            recorder.announced(identity, tracks);
        }
    }

    /// How a track fares; `None` when there is no such track.
    pub fn track_stats(&self, sid: &str) -> Option<TrackStats> {
        self.track(sid).map(|track| track.stats())
    }

    /// How all tracks fare, by `sid`.
    pub fn stats(&self) -> HashMap<String, TrackStats> {
        self.tracks
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(sid, track)| (sid.clone(), track.stats()))
            .collect()
    }

    /// Time since the thread behind this last went round; it does so ten times a second. Seconds
    /// mean that a device holds it up, or that it is gone.
    pub fn beat_ago(&self) -> Duration {
        let beat = Duration::from_nanos(self.beat.load(Ordering::Relaxed));
        Duration::from(clock::now()).saturating_sub(beat)
    }

    /// Finishes all files and takes everything down; returns when it is gone. Not from a streaming
    /// thread and not from inside the event function.
    pub fn stop(self) {
        drop(self);
    }

    fn snapshots(&self) -> bool {
        self.config
            .recording
            .as_ref()
            .is_some_and(|recording| recording.snapshot_every.is_some())
    }

    fn track(&self, sid: &str) -> Option<Arc<Track>> {
        self.tracks
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(sid)
            .cloned()
    }

    fn with(&self, sid: &str, act: impl FnOnce(&Track)) -> bool {
        let track = self.track(sid);
        if let Some(track) = &track {
            act(track);
        }
        track.is_some()
    }

    fn tell(&self, command: Command) {
        // It fails only when the worker is gone, which `beat_ago` tells.
        let _ = self.commands.send(command);
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.tell(Command::Stop);
        if let Some(worker) = self.worker.take() {
            // A panic there was reported by its own thread.
            let _ = worker.join();
        }
        self.painter = None;
        // The tracks' feeds hold inputs of the recorder; it finishes after the last frame.
        self.tracks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.recorder = None;
    }
}

/// The elements that this configuration cannot do without.
fn required(config: &PresentConfig) -> Vec<&'static str> {
    let mut elements = vec!["appsrc", "appsink", "framedecrypt"];
    let pictures = config.display != Display::None
        || config
            .recording
            .as_ref()
            .is_some_and(|recording| recording.snapshot_every.is_some());
    if pictures {
        elements.push("vp8dec");
        elements.push("h264parse");
    }
    if config.display != Display::None {
        elements.extend([
            "capsfilter",
            "compositor",
            "overlaycomposition",
            "rsvgdec",
            "textoverlay",
            "videoconvert",
        ]);
    }
    match &config.display {
        Display::None | Display::Elements(_) => {}
        Display::Kms { .. } => elements.extend(plugins::KMS_SCREEN),
        Display::Wayland => elements.extend(plugins::WAYLAND_SCREEN),
        Display::Window => elements.extend(plugins::WINDOW),
    }
    if config.speaker != Speaker::None {
        elements.extend([
            "audioconvert",
            "audiomixer",
            "audioresample",
            "capsfilter",
            "opusdec",
        ]);
    }
    match &config.speaker {
        Speaker::None | Speaker::Elements(_) => {}
        Speaker::Alsa { .. } => elements.extend(["alsasink", "webrtcechoprobe"]),
        Speaker::PipeWire { .. } => elements.extend(["pipewiresink", "webrtcechoprobe"]),
    }
    elements
}
