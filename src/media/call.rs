// SPDX-License-Identifier: MIT OR Apache-2.0

//! The media of one call: capture, transport and presentation, put together.
//!
//! [`Call`] owns one thread. Commands go in without waiting, events come out through a function.
//! Frames take no part in that: they run from capture to the transport and from the transport to
//! presentation on GStreamer's streaming threads.
//!
//! Capture and presentation live as long as the call. The transport is made anew at every
//! [`Command::Join`], so that a camera keeps running and a screen keeps its picture while the
//! meeting is joined again. While there is no transport, sealed frames are dropped.
//!
//! [`Command::Republish`] publishes a track anew while the meeting goes on: with another codec, or
//! to declare something else about it. What is declared is not media's business: whoever answers
//! [`Event::Publish`] says it to the service.

mod republish;
mod word;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use roomseal_e2ee::{Codec, KeyRing};

use self::republish::Replacements;
pub use self::word::{Command, Counts, Event, Member, Played};
use crate::{
    capture::{Capture, CaptureConfig, CaptureEvent},
    present::{Present, PresentConfig, PresentError, PresentEvent, RemoteTrackSpec},
    transport::{
        EventSink, IceServer, LocalTrackId, MediaKind, PublishTrack, Target, Transport,
        TransportError, TransportEvent, WebRtcBin, WebRtcConfig,
    },
};

/// How often the loop comes round when nothing happens.
const TICK: Duration = Duration::from_millis(250);

/// What is counted out of turn is counted no sooner than this after the last time.
const CLOSEST: Duration = Duration::from_millis(20);

/// Presentation that has not come round for this long hangs.
const HANGS: Duration = Duration::from_secs(10);

/// What a call is made of.
#[derive(Clone, Debug)]
pub struct CallConfig {
    /// What is captured and how it is sealed.
    pub capture: CaptureConfig,
    /// Where what others send goes.
    pub present: PresentConfig,
}

/// Takes events; called on the call's own thread. It must not block.
pub type CallEvents = Arc<dyn Fn(Event) + Send + Sync>;

/// Why a call cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Nothing can be captured.
    #[error(transparent)]
    Capture(#[from] crate::capture::CaptureError),
    /// Nothing can be presented.
    #[error(transparent)]
    Present(#[from] PresentError),
    /// The process cannot start a thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// A running call. Dropping it ends it.
#[derive(Debug)]
pub struct Call {
    /// What may leave is decided here at once, whatever else waits in the inbox.
    capture: Arc<Capture>,
    inbox: mpsc::Sender<Message>,
    thread: Option<thread::JoinHandle<()>>,
}

enum Message {
    Command(Command),
    Transport(u64, TransportEvent),
    Capture(CaptureEvent),
    Present(PresentEvent),
}

/// The transport of the moment, as the streaming threads see it.
type Current = Arc<RwLock<Option<Arc<dyn Transport>>>>;

impl Call {
    /// Starts capture and presentation; nothing is connected before [`Command::Join`].
    ///
    /// # Errors
    /// When GStreamer lacks what the configuration asks for. A device that is missing is no error:
    /// it is told as an event and heals.
    pub fn start(config: CallConfig, events: CallEvents) -> Result<Self, CallError> {
        let (inbox, messages) = mpsc::channel();
        let current = Current::default();

        let frames = Arc::clone(&current);
        let capture_inbox = inbox.clone();
        let capture = Capture::start(
            config.capture,
            Arc::new(move |local, frame| {
                // The guard is gone before the frame is pushed.
                let transport = frames
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                if let Some(transport) = transport {
                    transport.push(local, frame);
                }
            }),
            Arc::new(move |event| post(&capture_inbox, Message::Capture(event))),
        )?;

        let capture = Arc::new(capture);
        let present_inbox = inbox.clone();
        let present = Present::start(
            config.present,
            Arc::new(move |event| post(&present_inbox, Message::Present(event))),
        )?;

        let state = Running {
            capture: Arc::clone(&capture),
            present: Arc::new(present),
            current,
            generation: 0,
            inbox: inbox.clone(),
            events,
            awaited: HashSet::new(),
            replacements: Replacements::default(),
            arrived: HashMap::new(),
            presented: HashSet::new(),
            sif_trailer: Vec::new(),
            turned: Instant::now(),
            due: Instant::now() + TICK,
        };
        let thread = thread::Builder::new()
            .name("call".into())
            .spawn(move || state.run(&messages))?;
        Ok(Self {
            capture,
            inbox,
            thread: Some(thread),
        })
    }

    /// Hands over a command. What may leave ([`Command::Send`]) and with which key has taken effect
    /// when this returns: no frame leaves by the rules of before because something slow is under
    /// way. All other commands are carried out in order, on the call's own thread.
    pub fn command(&self, command: Command) {
        match command {
            Command::Send(mode) => self.capture.set_mode(mode),
            Command::SendKey(index, key) => self.capture.set_send_key(index, key),
            Command::ForgetSendKey => self.capture.clear_send_key(),
            command => post(&self.inbox, Message::Command(command)),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.command(Command::Close);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

/// What cannot be delivered any more belongs to a call that has ended.
fn post(inbox: &mpsc::Sender<Message>, message: Message) {
    let _ = inbox.send(message);
}

/// The call's thread.
struct Running {
    capture: Arc<Capture>,
    present: Arc<Present>,
    current: Current,
    /// Tells events of this transport from those of the one before.
    generation: u64,
    inbox: mpsc::Sender<Message>,
    events: CallEvents,
    /// Client ids the service has not taken yet.
    awaited: HashSet<String>,
    replacements: Replacements,
    /// Tracks of which frames arrive.
    arrived: HashMap<String, Codec>,
    /// Tracks that are presented.
    presented: HashSet<String>,
    /// End of the service's own frames in this room.
    sif_trailer: Vec<u8>,
    /// When was last counted, and when it is next.
    turned: Instant,
    due: Instant,
}

impl Running {
    fn run(mut self, messages: &mpsc::Receiver<Message>) {
        loop {
            let wait = self.due.saturating_duration_since(Instant::now());
            // However many messages wait, counting does not.
            if wait.is_zero() {
                self.turn();
                continue;
            }
            match messages.recv_timeout(wait) {
                Ok(Message::Command(Command::Close))
                | Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Ok(Message::Command(command)) => self.command(command),
                Ok(Message::Transport(generation, event)) => {
                    if generation == self.generation {
                        self.transport_event(event);
                    }
                }
                Ok(Message::Capture(event)) => {
                    if let CaptureEvent::Limits(limits) = &event {
                        self.present
                            .set_max_tiles(usize::try_from(limits.tiles).unwrap_or(usize::MAX));
                    }
                    (self.events)(Event::Capture(event));
                }
                Ok(Message::Present(event)) => self.present_event(event),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
        // Capture ends with the call, which outlives this thread.
        self.disconnect();
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Join {
                ice_servers,
                sif_trailer,
                loopback,
            } => self.join(ice_servers, &sif_trailer, loopback),
            Command::Leave => self.disconnect(),
            Command::Resume { ice_servers } => {
                let Some(transport) = self.transport() else {
                    return;
                };
                if transport.stats().stranded {
                    (self.events)(Event::Stranded);
                } else {
                    transport.set_ice_servers(ice_servers);
                    transport.restart_ice();
                }
            }
            Command::RemoteOffer(offer) => {
                if let Some(transport) = self.transport() {
                    transport.remote_offer(offer);
                }
            }
            Command::RemoteAnswer { sdp, id } => {
                if let Some(transport) = self.transport() {
                    transport.remote_answer(sdp, id);
                }
            }
            Command::RemoteCandidate { target, init_json } => {
                if let Some(transport) = self.transport() {
                    transport.remote_candidate(target, init_json);
                }
            }
            Command::Published { cid } => {
                if self.awaited.remove(&cid) {
                    self.offer();
                }
            }
            // Carried out where they were given.
            Command::Send(_) | Command::SendKey(..) | Command::ForgetSendKey => {}
            Command::Play { track, keys } => self.play(track, keys),
            // A track that is gone needs neither keys nor a mode.
            Command::Keys { sid, keys } => drop(self.present.set_keys(&sid, keys)),
            Command::Open { sid, rules } => drop(self.present.set_rules(&sid, rules)),
            Command::Data { reliable, bytes } => self.send_data(reliable, bytes),
            Command::Stop { sid } => self.stop(&sid),
            Command::People(members) => {
                for member in &members {
                    self.present
                        .announce_tracks(&member.person.identity, member.tracks);
                }
                let people = members.into_iter().map(|member| member.person).collect();
                self.present.set_people(people);
            }
            Command::Chime => self.present.chime(),
            Command::Speakers(identities) => self.present.set_active_speakers(identities),
            Command::LookForCode(looks) => self.capture.look_for_code(looks),
            Command::Overlay(overlay) => self.present.set_overlay(overlay),
            Command::Mute { kind, muted } => {
                if let Some(local) = self.local_of(kind) {
                    self.capture.set_mute(local, muted);
                }
            }
            Command::Republish { codec } => self.republish(codec),
            Command::Count => self.hurry(),
            // The loop ends before it gets here.
            Command::Close => {}
        }
    }

    fn send_data(&self, reliable: bool, bytes: Vec<u8>) {
        let sent = self
            .transport()
            .ok_or(TransportError::Closed)
            .and_then(|transport| transport.send_data(reliable, bytes));
        if let Err(error) = sent {
            // Whoever needs to be heard says it again when the channels open.
            tracing::debug!(%error, "message not sent");
        }
    }

    fn transport(&self) -> Option<Arc<dyn Transport>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Offers what the service has taken, once it has taken everything.
    fn offer(&self) {
        if self.awaited.is_empty()
            && let Some(transport) = self.transport()
        {
            transport.negotiate();
        }
    }

    /// The track that carries our sound or picture now.
    fn local_of(&self, kind: MediaKind) -> Option<LocalTrackId> {
        let tracks = self.capture.tracks();
        let found = tracks.iter().find(|track| track.kind() == kind);
        found.map(|track| track.local)
    }

    fn join(&mut self, ice_servers: Vec<IceServer>, sif_trailer: &[u8], loopback: bool) {
        self.disconnect();
        for codec in self.replacements.end() {
            self.go_over(codec);
        }
        self.sif_trailer = sif_trailer.to_vec();
        let generation = self.generation;
        let inbox = self.inbox.clone();
        let present = Arc::clone(&self.present);
        let sink: EventSink = Arc::new(move |event| match event {
            // Straight from one streaming thread to the other: frames never wait for the loop.
            TransportEvent::Frame { sid, buffer } => present.push(&sid, buffer),
            event => post(&inbox, Message::Transport(generation, event)),
        });
        let transport = WebRtcBin::new(
            WebRtcConfig {
                ice_servers,
                loopback,
                relay_only: false,
                sif_trailer: sif_trailer.to_vec(),
            },
            sink,
        );
        let transport: Arc<dyn Transport> = match transport {
            Ok(transport) => Arc::new(transport),
            Err(reason) => {
                for target in [Target::Publisher, Target::Subscriber] {
                    (self.events)(Event::Failed {
                        target,
                        reason: reason.to_string(),
                    });
                }
                return;
            }
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(transport);
        self.publish();
    }

    /// Makes place for everything that is captured and asks the service to take it. Who captures
    /// nothing still needs the connection, for messages.
    fn publish(&mut self) {
        let Some(transport) = self.transport() else {
            return;
        };
        let tracks = self.capture.tracks();
        if tracks.is_empty() {
            transport.negotiate();
        }
        for track in tracks {
            let local = track.local;
            match transport.add_track(track.clone()) {
                Ok(cid) => self.ask_to_take(cid, track),
                Err(reason) => (self.events)(Event::CannotPublish { local, reason }),
            }
        }
    }

    fn ask_to_take(&mut self, cid: String, track: PublishTrack) {
        self.awaited.insert(cid.clone());
        let mut alternatives = match track.kind() {
            MediaKind::Audio => Vec::new(),
            MediaKind::Video => self.capture.video_codecs(),
        };
        alternatives.retain(|codec| *codec != track.codec);
        (self.events)(Event::Publish {
            cid,
            track,
            alternatives,
        });
    }

    /// Ends the transport. Presentation forgets the tracks; capture goes on.
    fn disconnect(&mut self) {
        self.generation += 1;
        let transport = self
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(transport) = transport {
            transport.close();
        }
        for sid in std::mem::take(&mut self.presented) {
            self.present.remove_track(&sid);
        }
        self.arrived.clear();
        self.awaited.clear();
    }

    fn play(&mut self, track: Played, keys: KeyRing) {
        let Some(codec) = self.arrived.get(&track.sid).copied() else {
            // It ended while the command was on its way.
            return;
        };
        self.stop(&track.sid);
        let sid = track.sid.clone();
        let spec = RemoteTrackSpec {
            sid: track.sid,
            identity: track.identity,
            name: track.name,
            codec,
            source: track.source,
            mode: track.mode,
            sif_trailer: self.sif_trailer.clone(),
        };
        match self.present.add_track(spec, keys) {
            Ok(()) => {
                // Whoever was sending already will not send a key frame by itself.
                if let Some(transport) = self.transport() {
                    transport.request_key_frame(&sid);
                }
                self.presented.insert(sid);
            }
            Err(error) => (self.events)(Event::CannotPlay { sid, error }),
        }
    }

    fn stop(&mut self, sid: &str) {
        if self.presented.remove(sid) {
            self.present.remove_track(sid);
        }
    }

    fn transport_event(&mut self, event: TransportEvent) {
        match event {
            TransportEvent::LocalOffer { sdp, id } => (self.events)(Event::LocalOffer { sdp, id }),
            TransportEvent::LocalAnswer { sdp, id } => {
                (self.events)(Event::LocalAnswer { sdp, id });
            }
            TransportEvent::LocalCandidate { target, init_json } => {
                (self.events)(Event::LocalCandidate { target, init_json });
            }
            TransportEvent::Negotiated { tracks } => self.negotiated(&tracks),
            TransportEvent::Connected { target } => {
                if target == Target::Publisher {
                    self.capture.sending();
                    for track in self.capture.tracks() {
                        self.capture.request_key_frame(track.local);
                    }
                }
                (self.events)(Event::Connected(target));
            }
            TransportEvent::Failed { target, reason } => {
                (self.events)(Event::Failed { target, reason });
            }
            TransportEvent::KeyFrameRequested { local } => self.capture.request_key_frame(local),
            TransportEvent::BitrateEstimate { bps } => self.capture.set_bitrate(bps),
            TransportEvent::RemoteTrack { sid, codec } => {
                let sid = sid.to_string();
                self.arrived.insert(sid.clone(), codec);
                (self.events)(Event::Arrived { sid });
            }
            TransportEvent::RemoteTrackEnded { sid } => {
                self.arrived.remove(&*sid);
                self.stop(&sid);
                let sid = sid.to_string();
                (self.events)(Event::Ended { sid });
            }
            TransportEvent::DataOpen => (self.events)(Event::DataOpen),
            TransportEvent::Data { reliable, bytes } => {
                (self.events)(Event::Data { reliable, bytes });
            }
            TransportEvent::Refused { reason } => {
                self.disconnect();
                (self.events)(Event::Refused(reason));
            }
            // Handed to presentation where it came from.
            TransportEvent::Frame { .. } => {}
        }
    }

    fn present_event(&mut self, event: PresentEvent) {
        if let PresentEvent::KeyFrameWanted { sid } = &event {
            if let Some(transport) = self.transport() {
                transport.request_key_frame(sid);
            }
            return;
        }
        if let PresentEvent::FirstPassed { .. } = &event {
            return self.hurry();
        }
        (self.events)(Event::Present(event));
    }

    /// Counts now, or a moment after it was done last.
    fn hurry(&mut self) {
        self.due = self.due.min(self.turned + CLOSEST);
    }

    fn turn(&mut self) {
        self.turned = Instant::now();
        self.due = self.turned + TICK;
        if self.present.beat_ago() > HANGS {
            // No turn, no heartbeat: whoever supervises the process ends it.
            return;
        }
        self.replace();
        let transport = self.transport().map(|transport| transport.stats());
        (self.events)(Event::Turn(Box::new(Counts {
            local: self.capture.stats(),
            remote: self.present.stats(),
            transport,
        })));
    }
}
