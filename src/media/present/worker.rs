// SPDX-License-Identifier: MIT OR Apache-2.0

//! The one thread that builds and takes down pipelines.
//!
//! Streaming threads and callers only leave messages; whatever may wait for a device or a
//! streaming thread happens here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use roomseal_e2ee::Codec;

use super::compose::Composer;
use super::config::{
    Display, Output, Person, PresentConfig, PresentEvent, Speaker, TrackSource, TrackState,
};
use super::device::Device;
use super::feed::EventSink;
use super::label;
use super::layout::{Candidate, Rect, Scene, Size, Stage};
use super::mix::Mixer;
use super::open::Track;
use super::overlay::Canvas;
use super::pipeline::Running;
use super::presented::Presented;
use crate::clock;
use crate::record::snapshot::{Picture, Snapshots};

/// How often the counters of all tracks are looked at.
const TICK: Duration = Duration::from_millis(100);

/// A camera that sent nothing for this long is not shown: a still picture would pass for a person
/// sitting still. A shared screen may well stand still.
const CAMERA_STALL: Duration = Duration::from_secs(3);

/// What the thread is told.
pub(super) enum Command {
    Add(Arc<Track>, Running),
    Remove(u64),
    People(Vec<Person>),
    ActiveSpeakers(Vec<String>),
    MaxTiles(usize),
    Chime,
    OpenerFailed(u64, String),
    DecoderFailed {
        track: u64,
        generation: u64,
        reason: String,
    },
    OutputFailed {
        output: Output,
        generation: u64,
        reason: String,
    },
    Stop,
}

/// Everything the thread owns.
pub(super) struct Worker {
    config: PresentConfig,
    events: EventSink,
    sender: Sender<Command>,
    tracks: Vec<Presented>,
    people: Vec<Person>,
    stage: Stage,
    display: Device<Composer>,
    speaker: Device<Mixer>,
    scene: Scene,
    /// Who is at each place of the display; the last one is the shared screen.
    places: Vec<Option<Occupant>>,
    snapshots: Option<Snapshots>,
    /// What is drawn over the picture.
    canvas: Arc<Canvas>,
    next_snapshot: Instant,
    /// When this thread last went round.
    beat: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
struct Occupant {
    track: u64,
    since: Instant,
    visible: bool,
}

impl Worker {
    pub(super) fn new(
        config: PresentConfig,
        events: EventSink,
        sender: Sender<Command>,
        snapshots: Option<Snapshots>,
        canvas: Arc<Canvas>,
        beat: Arc<AtomicU64>,
    ) -> Self {
        let places = vec![None; config.max_tiles + 1];
        Self {
            stage: Stage::new(config.max_tiles),
            display: Device::new(Output::Display, config.display != Display::None),
            speaker: Device::new(Output::Speaker, config.speaker != Speaker::None),
            config,
            events,
            sender,
            tracks: Vec::new(),
            people: Vec::new(),
            scene: Scene::default(),
            places,
            snapshots,
            canvas,
            next_snapshot: Instant::now(),
            beat,
        }
    }

    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let mut next_tick = Instant::now();
        loop {
            let now = Instant::now();
            if now >= next_tick {
                self.beat.store(clock::now().nseconds(), Ordering::Relaxed);
                self.tick(now);
                next_tick = now + TICK;
            }
            match commands.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        self.snapshot();
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Add(track, opener) => {
                self.tracks.push(Presented::new(track, opener));
                self.connect_sound();
                self.arrange();
            }
            Command::Remove(id) => self.remove(id),
            Command::People(people) => {
                self.people = people;
                self.arrange();
            }
            Command::ActiveSpeakers(identities) => {
                self.stage.set_active_speakers(&identities);
                self.arrange();
            }
            Command::Chime => {
                if let Some(mixer) = &mut self.speaker.running
                    && let Err(error) = mixer.chime()
                {
                    tracing::warn!(%error, "the chime is not heard");
                }
            }
            Command::MaxTiles(tiles) => {
                self.stage.set_max_tiles(tiles.min(self.config.max_tiles));
                self.arrange();
            }
            Command::OpenerFailed(id, reason) => {
                // Its elements report no error over frames; what fails here is the machine.
                tracing::error!(track = id, reason, "opening frames failed");
                self.remove(id);
            }
            Command::DecoderFailed {
                track,
                generation,
                reason,
            } => self.decoder_failed(track, generation, reason),
            Command::OutputFailed {
                output,
                generation,
                reason,
            } => match output {
                Output::Display if generation == self.display.generation => {
                    self.leave_display();
                    self.display.fail(reason, &self.events);
                }
                Output::Speaker if generation == self.speaker.generation => {
                    self.leave_speaker();
                    self.speaker.fail(reason, &self.events);
                }
                Output::Display | Output::Speaker => {}
            },
            // Taken care of by the caller.
            Command::Stop => {}
        }
    }

    fn remove(&mut self, id: u64) {
        if let Some(mixer) = &mut self.speaker.running {
            mixer.release(id);
        }
        if let Some(index) = self.tracks.iter().position(|p| p.track.id == id) {
            let presented = self.tracks.remove(index);
            presented.track.feed.set_decoder(None);
            presented.track.feed.set_output(None);
        }
        self.arrange();
    }

    fn tick(&mut self, now: Instant) {
        self.start_outputs(now);
        let mut relabel = false;
        for presented in &mut self.tracks {
            let track = &presented.track;
            if let Some(state) = track.look() {
                relabel = true;
                (self.events)(PresentEvent::TrackState {
                    sid: track.spec.sid.clone(),
                    state,
                });
            }
            let opens = matches!(track.state(), TrackState::Verified | TrackState::Clear);
            if opens && track.feed.waits_for_key_frame() {
                track.feed.want_key_frame();
            }
            presented.tick(now, &self.sender);
        }
        if relabel {
            self.caption();
        }
        self.show(now);
        if let Some(recording) = &self.config.recording
            && let Some(every) = recording.snapshot_every
            && now >= self.next_snapshot
        {
            self.next_snapshot = now + every;
            self.snapshot();
        }
    }

    fn start_outputs(&mut self, now: Instant) {
        if self.display.due(now) {
            self.display.generation += 1;
            let failed = self.report(Output::Display, self.display.generation);
            let outcome = Composer::start(&self.config, &self.canvas, failed);
            self.display.settle(outcome, &self.events);
            self.arrange();
        }
        if self.speaker.due(now) {
            self.speaker.generation += 1;
            let failed = self.report(Output::Speaker, self.speaker.generation);
            let outcome = Mixer::start(&self.config, failed);
            self.speaker.settle(outcome, &self.events);
            self.connect_sound();
        }
        self.display.tick(now, &self.events);
        self.speaker.tick(now, &self.events);
    }

    fn report(&self, output: Output, generation: u64) -> impl Fn(String) + Send + Sync + 'static {
        let sender = self.sender.clone();
        move |reason| {
            let _ = sender.send(Command::OutputFailed {
                output,
                generation,
                reason,
            });
        }
    }

    /// Gives every voice an input of the mixer and a decoder, or takes both.
    fn connect_sound(&mut self) {
        for presented in &mut self.tracks {
            let track = &presented.track;
            if track.spec.codec != Codec::Opus {
                continue;
            }
            let Some(mixer) = &mut self.speaker.running else {
                continue;
            };
            match mixer.input(track.id) {
                Ok(input) => {
                    track.feed.set_output(Some(input));
                    presented.want_decoder(true, &self.sender);
                }
                Err(error) => tracing::error!(
                    track = track.spec.sid,
                    %error,
                    "the mixer takes no more sound"
                ),
            }
        }
    }

    fn leave_speaker(&mut self) {
        for presented in &mut self.tracks {
            if presented.track.spec.codec == Codec::Opus {
                presented.track.feed.set_output(None);
                presented.want_decoder(false, &self.sender);
            }
        }
    }

    fn leave_display(&mut self) {
        for place in &mut self.places {
            if let Some(occupant) = place.take()
                && let Some(presented) = self.tracks.iter().find(|p| p.track.id == occupant.track)
            {
                presented.track.feed.set_output(None);
            }
        }
    }

    /// Decides anew who is shown where.
    fn arrange(&mut self) {
        let candidates = self.candidates();
        let screen = self.newest_screen();
        let header = (self.config.header & !1).min(self.config.size.height);
        let below = Size {
            height: self.config.size.height - header,
            ..self.config.size
        };
        self.scene = self.stage.arrange(&candidates, screen.is_some(), below);
        let places = self.scene.tiles.iter_mut().map(|tile| &mut tile.rect);
        for place in places.chain(&mut self.scene.screen) {
            place.y += header;
        }

        let mut wanted: Vec<Option<(u64, Rect)>> = vec![None; self.places.len()];
        for tile in &self.scene.tiles {
            if let (Some(place), Some(camera)) =
                (wanted.get_mut(tile.seat), self.camera_of(&tile.identity))
            {
                *place = Some((camera, tile.rect));
            }
        }
        if let (Some(place), Some(track), Some(rect)) =
            (wanted.last_mut(), screen, self.scene.screen)
        {
            *place = Some((track, rect));
        }
        self.occupy(&wanted);

        for presented in &mut self.tracks {
            if presented.track.spec.codec == Codec::Opus {
                continue;
            }
            let id = presented.track.id;
            let shown = self.display.running.is_some()
                && wanted.iter().flatten().any(|(track, _)| *track == id);
            presented.want_decoder(shown || self.snapshots.is_some(), &self.sender);
        }
        self.caption();
    }

    /// Moves pictures to their places; who loses one is disconnected before who gets it comes.
    fn occupy(&mut self, wanted: &[Option<(u64, Rect)>]) {
        let Some(composer) = &self.display.running else {
            return;
        };
        let feed_of = |id: u64| {
            self.tracks
                .iter()
                .find(|presented| presented.track.id == id)
                .map(|presented| &presented.track.feed)
        };
        let stays = |occupant: &Option<Occupant>, want: &Option<(u64, Rect)>| match (occupant, want)
        {
            (Some(occupant), Some((track, _))) => occupant.track == *track,
            (None, None) => true,
            _ => false,
        };
        for (index, want) in wanted.iter().enumerate() {
            if stays(&self.places[index], want) {
                continue;
            }
            if let Some(occupant) = self.places[index].take() {
                if let Some(feed) = feed_of(occupant.track) {
                    feed.set_output(None);
                }
                let place = composer.place(index);
                place.show(false);
                place.wipe();
            }
        }
        for (index, want) in wanted.iter().enumerate() {
            let Some((track, rect)) = want else { continue };
            let place = composer.place(index);
            place.put(*rect);
            if self.places[index].is_none() {
                if let Some(feed) = feed_of(*track) {
                    feed.set_output(Some(place.source()));
                }
                self.places[index] = Some(Occupant {
                    track: *track,
                    since: Instant::now(),
                    visible: false,
                });
            }
        }
    }

    /// Shows the pictures that are alive and hides the others.
    fn show(&mut self, now: Instant) {
        let Some(composer) = &self.display.running else {
            return;
        };
        // By then the place's last picture of its last owner has left the compositor.
        let settling = self.config.playout_delay + Duration::from_millis(300);
        for (index, place) in self.places.iter_mut().enumerate() {
            let Some(occupant) = place else { continue };
            let Some(track) = self
                .tracks
                .iter()
                .map(|presented| &presented.track)
                .find(|track| track.id == occupant.track)
            else {
                continue;
            };
            let age = now.duration_since(occupant.since);
            let alive = track.feed.decoded_ago().is_some_and(|ago| {
                ago <= age && (track.spec.source == TrackSource::Screen || ago < CAMERA_STALL)
            });
            let refused = matches!(track.state(), TrackState::CannotOpen(_) | TrackState::Held);
            let visible = age >= settling && alive && !refused;
            if visible != occupant.visible {
                occupant.visible = visible;
                composer.place(index).show(visible);
            }
        }
    }

    /// Writes names and states.
    fn caption(&self) {
        let Some(composer) = &self.display.running else {
            return;
        };
        for seat in 0..self.config.max_tiles {
            let tile = self.scene.tiles.iter().find(|tile| tile.seat == seat);
            let text = tile.map(|tile| {
                let state = self.state_of(&tile.identity);
                (self.name_of(&tile.identity), state, tile.rect)
            });
            composer.caption(seat, text.as_ref());
        }
        let screen = self.newest_screen().and_then(|id| {
            let track = &self.tracks.iter().find(|p| p.track.id == id)?.track;
            let name = self.name_of(&track.spec.identity);
            let title = format!("Screen of {name}");
            Some((title, Some(track.state()), self.scene.screen?))
        });
        composer.caption(self.config.max_tiles, screen.as_ref());
        composer.caption_others(self.scene.others);
    }

    /// Everybody who may be shown: the roster, then whoever sends without being in it.
    fn candidates(&self) -> Vec<Candidate> {
        let mut identities: Vec<&str> = Vec::new();
        let senders = self.tracks.iter().map(|p| p.track.spec.identity.as_str());
        for identity in self
            .people
            .iter()
            .map(|person| person.identity.as_str())
            .chain(senders)
        {
            if !identities.contains(&identity) {
                identities.push(identity);
            }
        }
        identities
            .into_iter()
            .map(|identity| Candidate {
                identity: identity.to_owned(),
                picture: self.camera_of(identity).is_some(),
            })
            .collect()
    }

    fn camera_of(&self, identity: &str) -> Option<u64> {
        self.tracks
            .iter()
            .map(|presented| &presented.track)
            .rfind(|track| {
                track.spec.identity == identity
                    && track.spec.codec != Codec::Opus
                    && track.spec.source != TrackSource::Screen
            })
            .map(|track| track.id)
    }

    fn newest_screen(&self) -> Option<u64> {
        self.tracks
            .iter()
            .map(|presented| &presented.track)
            .rfind(|track| {
                track.spec.source == TrackSource::Screen && track.spec.codec != Codec::Opus
            })
            .map(|track| track.id)
    }

    fn name_of(&self, identity: &str) -> String {
        let roster = self
            .people
            .iter()
            .find(|person| person.identity == identity)
            .map(|person| person.name.as_str());
        let track = || {
            self.tracks
                .iter()
                .map(|presented| &presented.track.spec)
                .find(|spec| spec.identity == identity)
                .map(|spec| spec.name.as_str())
        };
        [roster, track(), Some(identity)]
            .into_iter()
            .flatten()
            .map(|name| label::plain(name, label::LONGEST_NAME))
            .find(|name| !name.is_empty())
            .unwrap_or_else(|| "(no name)".to_owned())
    }

    /// The worst that can be said of what somebody sends.
    fn state_of(&self, identity: &str) -> Option<TrackState> {
        self.tracks
            .iter()
            .filter(|presented| presented.track.spec.identity == identity)
            .map(|presented| presented.track.state())
            .max_by_key(|state| match state {
                TrackState::Waiting => 0,
                TrackState::Verified => 1,
                TrackState::Held => 2,
                TrackState::Clear => 3,
                TrackState::CannotOpen(_) => 4,
            })
    }

    fn decoder_failed(&mut self, track: u64, generation: u64, reason: String) {
        let Some(presented) = self.tracks.iter_mut().find(|p| p.track.id == track) else {
            return;
        };
        if presented.give_up(generation) {
            (self.events)(PresentEvent::DecoderFailed {
                sid: presented.track.spec.sid.clone(),
                reason,
            });
        }
    }

    fn snapshot(&self) {
        let Some(snapshots) = &self.snapshots else {
            return;
        };
        let pictures: Vec<Picture> = self
            .tracks
            .iter()
            .filter_map(|presented| {
                let spec = &presented.track.spec;
                Some(Picture {
                    stem: format!("{}-{}", label::file_stem(&spec.identity), spec.source),
                    sample: presented.track.feed.take_picture()?,
                })
            })
            .collect();
        if !pictures.is_empty() {
            snapshots.keep(pictures);
        }
    }
}
