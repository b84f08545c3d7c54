// SPDX-License-Identifier: MIT OR Apache-2.0
//! A participant without rules: the signalling client and the transport, and nothing of the box on top. It sends whatever
//! frames it is given, and keeps every frame it gets as it came over the wire; it knows no key.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use roomseal_e2ee::Codec;
use roomseal_media::clock;
use roomseal_media::transport::{
    LocalTrackId, PublishTrack, RemoteOffer, Target, Transport, TransportEvent, WebRtcBin,
    WebRtcConfig,
};
use roomseal_meeting::TOPIC;
use roomseal_service::livekit::data::{Body, Content, Packet};
use roomseal_service::livekit::{
    self, AddTrack, Client, Config, Encryption, Event, Layer, LiveKit, Participant, Plaintext,
    Quality, ServerUrl, Token, TokenSource, TrackKind, TrackSource, Trust,
};
use tokio::sync::mpsc;

/// What a [`Bare`] participant sends, in a loop and in real time.
#[derive(Debug, Clone)]
pub struct Stream {
    /// What the frames are.
    pub codec: Codec,
    /// What is declared about them.
    pub encryption: Encryption,
    /// Encoded frames, sealed or not; those of a video with a key frame every second or so.
    pub frames: Vec<Frame>,
    /// Time from one frame to the next.
    pub interval: Duration,
}

/// One encoded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// As it goes over the wire.
    pub bytes: Vec<u8>,
    /// Whether a decoder can begin with it.
    pub key: bool,
}

/// A participant; dropping it leaves the room.
#[derive(Debug)]
pub struct Bare {
    received: Arc<Received>,
    orders: mpsc::UnboundedSender<Turn>,
    thread: Option<JoinHandle<()>>,
}

/// What its loop has to do next.
enum Turn {
    /// Its transport says something.
    Transport(TransportEvent),
    /// Sends this to everybody, as soon as the channels are open.
    Say(Vec<u8>),
    Leave,
}

#[derive(Debug, Default)]
struct Received {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    joined: bool,
    done: bool,
    /// Identity and source by track sid.
    tracks: HashMap<String, (String, TrackSource)>,
    /// What is declared about each track.
    declared: HashMap<String, Encryption>,
    frames: HashMap<String, Vec<Arrived>>,
    /// Identity and text of every message on the meeting's own topic.
    said: Vec<(String, String)>,
    /// What the room's metadata have been, the newest last.
    metadata: Vec<String>,
    sif_trailer: Vec<u8>,
    refusals: Vec<String>,
}

/// A frame, and when it came.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// When.
    pub at: Instant,
    /// As it came over the wire.
    pub frame: Frame,
}

impl Bare {
    /// Joins with `token` and sends `streams`: at most one of sound and one of pictures.
    pub fn join(url: &str, token: &str, streams: Vec<Stream>) -> Self {
        Self::join_without(url, token, streams, None)
    }

    /// Joins with `token`, sends nothing, and tells the service that it cannot decode H.264.
    pub fn join_without_h264(url: &str, token: &str) -> Self {
        Self::join_without(url, token, Vec::new(), Some("H264/90000"))
    }

    fn join_without(
        url: &str,
        token: &str,
        streams: Vec<Stream>,
        refused: Option<&'static str>,
    ) -> Self {
        gst::init().expect("GStreamer starts");
        roomseal_media::plugin_register_static().expect("the plugin's elements can be registered");
        let config = Config {
            server: ServerUrl::parse(url, Plaintext::LoopbackOnly)
                .expect("the test's server has a valid address"),
            trust: Trust::default(),
            tokens: TokenSource::Given(
                Token::parse(token).expect("the test's token is well-formed"),
            ),
            client: Client::default(),
        };
        let received = Arc::new(Received::default());
        let (orders, turns) = mpsc::unbounded_channel();
        let (shared, to_self) = (Arc::clone(&received), orders.clone());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime starts");
            runtime.block_on(take_part(config, streams, refused, shared, to_self, turns));
        });
        let bare = Self {
            received,
            orders,
            thread: Some(thread),
        };
        bare.wait("entry into the room", Duration::from_secs(20), |state| {
            state.joined
        });
        bare
    }

    /// Waits until at least `count` frames of a track have come, and returns all of them.
    pub fn frames_of(
        &self,
        identity: &str,
        source: TrackSource,
        count: usize,
        within: Duration,
    ) -> Vec<Vec<u8>> {
        let of = |state: &State| {
            // Of a track that was published anew the service still lists the one before for a while.
            state
                .tracks
                .iter()
                .filter(|(_, owner)| *owner == &(identity.to_owned(), source))
                .filter_map(|(sid, _)| state.frames.get(sid))
                .max_by_key(|frames| frames.len())
                .cloned()
        };
        let what = format!("{count} frames of {identity}'s {source:?}");
        self.wait(&what, within, |state| {
            of(state).is_some_and(|frames| frames.len() >= count)
        });
        let arrived = of(&self.received.lock()).expect("they were there a moment ago");
        arrived.into_iter().map(|it| it.frame.bytes).collect()
    }

    /// All frames so far of all tracks, by whose they are.
    pub fn arrived(&self) -> Vec<(String, TrackSource, Vec<Arrived>)> {
        let state = self.received.lock();
        let tracks = state.tracks.iter();
        tracks
            .filter_map(|(sid, (identity, source))| {
                Some((identity.clone(), *source, state.frames.get(sid)?.clone()))
            })
            .collect()
    }

    /// What the room's metadata have been so far, the newest last.
    pub fn metadata(&self) -> Vec<String> {
        self.received.lock().metadata.clone()
    }

    /// Waits until the room's metadata are others than `before`, and gives them.
    pub fn metadata_after(&self, before: &str, within: Duration) -> String {
        let changed = |state: &State| state.metadata.last().is_some_and(|now| now != before);
        self.wait("other metadata", within, changed);
        self.metadata().pop().unwrap_or_default()
    }

    /// Waits until the service has put it out.
    pub fn wait_until_out(&self, within: Duration) {
        let state = self.received.lock();
        let changed = &self.received.changed;
        let (state, _) = changed
            .wait_timeout_while(state, within, |state| !state.done)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(state.done, "bare participant: still there after {within:?}");
    }

    /// Every message on the meeting's own topic so far: from whom, and its text.
    pub fn said(&self) -> Vec<(String, String)> {
        self.received.lock().said.clone()
    }

    /// Waits for a message on the meeting's own topic that `accept` takes, and returns its text.
    pub fn heard(
        &self,
        what: &str,
        within: Duration,
        accept: impl Fn(&str, &str) -> bool,
    ) -> String {
        let find = |state: &State| {
            let found = state
                .said
                .iter()
                .rev()
                .find(|(from, text)| accept(from, text));
            found.map(|(_, text)| text.clone())
        };
        self.wait(what, within, |state| find(state).is_some());
        find(&self.received.lock()).expect("it was there a moment ago")
    }

    /// Sends a text to everybody on the meeting's own topic.
    pub fn say(&self, text: &str) {
        let packet = Packet {
            body: Body::Clear(Content::User {
                topic: TOPIC.to_owned(),
                payload: text.as_bytes().to_vec(),
            }),
            ..Packet::default()
        };
        let bytes = packet.encode().expect("the text fits into a packet");
        // After its end nobody is there to say it.
        let _ = self.orders.send(Turn::Say(bytes));
    }

    /// How frames end that the service of this room makes itself.
    pub fn sif_trailer(&self) -> Vec<u8> {
        self.received.lock().sif_trailer.clone()
    }

    /// Every track of `identity` that frames came of so far, those that ended included: where it comes from, what was
    /// declared about it, and its frames.
    pub fn tracks_of(&self, identity: &str) -> Vec<(TrackSource, Encryption, Vec<Vec<u8>>)> {
        let state = self.received.lock();
        let of = state.tracks.iter().filter(|(_, (of, _))| of == identity);
        of.filter_map(|(sid, (_, source))| {
            let frames = state.frames.get(sid)?.iter();
            let bytes = frames.map(|arrived| arrived.frame.bytes.clone()).collect();
            Some((*source, *state.declared.get(sid)?, bytes))
        })
        .collect()
    }

    /// What the transport refused so far, in words.
    pub fn refusals(&self) -> Vec<String> {
        self.received.lock().refusals.clone()
    }

    fn wait(&self, what: &str, within: Duration, done: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + within;
        let mut state = self.received.lock();
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            let counts: HashMap<_, _> = state
                .frames
                .iter()
                .map(|(sid, frames)| (sid, frames.len()))
                .collect();
            assert!(
                !left.is_zero() && !state.done,
                "bare participant: no {what} within {within:?}; tracks {:?}, frames {counts:?}, refused {:?}",
                state.tracks,
                state.refusals
            );
            state = self
                .received
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.orders.send(Turn::Leave);
        if let Some(thread) = self.thread.take() {
            // Its own panic has been printed already.
            let _ = thread.join();
        }
    }
}

impl Received {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn hear(&self, bytes: &[u8]) {
        let Ok(packet) = Packet::decode(bytes) else {
            return;
        };
        if let Body::Clear(Content::User { topic, payload }) = packet.body
            && topic == TOPIC
        {
            let text = String::from_utf8_lossy(&payload).into_owned();
            self.change(|state| state.said.push((packet.sender_identity, text)));
        }
    }

    fn note(&self, participants: &[Participant]) {
        self.change(|state| {
            for participant in participants {
                for track in &participant.tracks {
                    state.tracks.insert(
                        track.sid.clone(),
                        (participant.identity.clone(), track.source),
                    );
                    state.declared.insert(track.sid.clone(), track.encryption);
                }
            }
        });
    }
}

async fn take_part(
    config: Config,
    streams: Vec<Stream>,
    refused: Option<&'static str>,
    received: Arc<Received>,
    to_self: mpsc::UnboundedSender<Turn>,
    mut turns: mpsc::UnboundedReceiver<Turn>,
) {
    let (handle, mut of_service) = LiveKit::connect(config);
    let mut transport: Option<Arc<WebRtcBin>> = None;
    let mut published = 0;
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            event = of_service.recv() => match event {
                None | Some(Event::Disconnected { will_retry: false, .. }) => break,
                Some(Event::Joined(info)) => {
                    let made = Arc::new(connect(&received, &to_self, info.sif_trailer.clone()));
                    for (number, stream) in (0..).zip(&streams) {
                        handle.add_track(declare(made.as_ref(), LocalTrackId(number), stream));
                    }
                    published = 0;
                    if streams.is_empty() {
                        // Nothing else would bring the channels about.
                        made.negotiate();
                    }
                    transport = Some(made);
                    received.note(&info.others);
                    received.change(|state| {
                        state.sif_trailer = info.sif_trailer.clone();
                        state.metadata.push(info.room.metadata.clone());
                        state.joined = true;
                    });
                }
                Some(Event::Room(room)) => {
                    received.change(|state| state.metadata.push(room.metadata));
                }
                Some(Event::Participants(participants)) => received.note(&participants),
                Some(Event::TrackPublished { .. }) => {
                    published += 1;
                    if let Some(transport) = &transport && published == streams.len() {
                        transport.negotiate();
                    }
                }
                Some(Event::Offer(offer)) => if let Some(transport) = &transport {
                    transport.remote_offer(RemoteOffer {
                        sdp: offer.sdp,
                        id: offer.id,
                        mid_to_track: offer.mid_to_track.into_iter().collect(),
                    });
                },
                Some(Event::Answer(answer)) => if let Some(transport) = &transport {
                    transport.remote_answer(answer.sdp, answer.id);
                },
                Some(Event::Trickle { target, init_json, .. }) => if let Some(transport) = &transport {
                    let target = match target {
                        livekit::Target::Publisher => Target::Publisher,
                        livekit::Target::Subscriber => Target::Subscriber,
                    };
                    transport.remote_candidate(target, init_json);
                },
                Some(_) => {}
            },
            turn = turns.recv() => match turn {
                None | Some(Turn::Leave) => break,
                Some(Turn::Say(bytes)) => {
                    waiting.push(bytes);
                    speak(transport.as_deref(), &mut waiting);
                }
                Some(Turn::Transport(TransportEvent::DataOpen)) => speak(transport.as_deref(), &mut waiting),
                Some(Turn::Transport(TransportEvent::Data { bytes, .. })) => received.hear(&bytes),
                Some(Turn::Transport(TransportEvent::LocalOffer { sdp, id })) => handle.offer(sdp, id),
                Some(Turn::Transport(TransportEvent::LocalAnswer { sdp, id })) => {
                    handle.answer(refused.map_or(sdp.clone(), |codec| without(&sdp, codec)), id);
                }
                Some(Turn::Transport(TransportEvent::LocalCandidate { target, init_json })) => {
                    let target = match target {
                        Target::Publisher => livekit::Target::Publisher,
                        Target::Subscriber => livekit::Target::Subscriber,
                    };
                    handle.trickle(target, init_json, false);
                }
                Some(Turn::Transport(TransportEvent::Connected { target: Target::Publisher })) => if let Some(transport) = &transport {
                    for (number, stream) in (0..).zip(&streams) {
                        send(Arc::downgrade(transport), LocalTrackId(number), stream.clone());
                    }
                },
                Some(Turn::Transport(TransportEvent::Refused { reason })) => {
                    received.change(|state| state.refusals.push(reason.to_string()));
                }
                Some(Turn::Transport(_)) => {}
            },
        }
    }
    handle.leave();
    if let Some(transport) = transport {
        transport.close();
    }
    received.change(|state| state.done = true);
}

/// Sends what waited for the channels to open; what does not go through waits on.
fn speak(transport: Option<&WebRtcBin>, waiting: &mut Vec<Vec<u8>>) {
    waiting.retain(|bytes| {
        transport.is_none_or(|transport| transport.send_data(true, bytes.clone()).is_err())
    });
}

fn connect(
    received: &Arc<Received>,
    to_self: &mpsc::UnboundedSender<Turn>,
    sif_trailer: Vec<u8>,
) -> WebRtcBin {
    let (received, to_self) = (Arc::clone(received), to_self.clone());
    let config = WebRtcConfig {
        loopback: true,
        sif_trailer,
        ..WebRtcConfig::default()
    };
    let events = move |event| match event {
        TransportEvent::Frame { sid, buffer } => {
            let frame = Frame {
                bytes: buffer
                    .map_readable()
                    .expect("system memory is readable")
                    .to_vec(),
                key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
            };
            let at = Instant::now();
            let arrived = Arrived { at, frame };
            received.change(|state| {
                state
                    .frames
                    .entry(sid.to_string())
                    .or_default()
                    .push(arrived)
            });
        }
        // The loop has ended: nobody is interested any more.
        other => drop(to_self.send(Turn::Transport(other))),
    };
    WebRtcBin::new(config, Arc::new(events)).expect("the transport can be made")
}

/// A description that does not offer a codec, where there is another in the section.
fn without(sdp: &str, codec: &str) -> String {
    let (session, sections) = sdp.split_once("m=").unwrap_or((sdp, ""));
    let mut text = session.to_owned();
    for section in sections.split("\r\nm=") {
        let named = |line: &str| {
            let (format, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            (name == codec).then(|| format.to_owned())
        };
        let mut gone: Vec<String> = section.lines().filter_map(named).collect();
        let retransmissions: Vec<String> = section
            .lines()
            .filter_map(|line| line.strip_prefix("a=fmtp:")?.split_once(" apt="))
            .filter(|(_, apt)| gone.iter().any(|format| format == apt))
            .map(|(format, _)| format.to_owned())
            .collect();
        gone.extend(retransmissions);
        for (number, line) in section.trim_end().lines().enumerate() {
            let about = |name: &str| {
                let format = line
                    .strip_prefix(name)
                    .and_then(|rest| rest.split(' ').next());
                format.is_some_and(|format| gone.iter().any(|gone| gone == format))
            };
            if number == 0 {
                let words: Vec<&str> = line.split(' ').collect();
                let (head, formats) = words.split_at(3.min(words.len()));
                let kept = formats
                    .iter()
                    .filter(|f| !gone.iter().any(|gone| gone == *f));
                let line: Vec<&str> = head.iter().chain(kept).copied().collect();
                text.push_str(&format!("m={}\r\n", line.join(" ")));
            } else if !["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"]
                .into_iter()
                .any(about)
            {
                text.push_str(&format!("{line}\r\n"));
            }
        }
    }
    text
}

fn declare(transport: &dyn Transport, local: LocalTrackId, stream: &Stream) -> AddTrack {
    let sound = stream.codec == Codec::Opus;
    let size = (!sound).then_some((640, 272));
    let track = PublishTrack {
        local,
        codec: stream.codec,
        stream: if sound { "microphone" } else { "camera" }.to_owned(),
        size,
        framerate: (!sound).then_some(25),
    };
    let (width, height) = size.unwrap_or_default();
    AddTrack {
        cid: transport
            .add_track(track)
            .expect("a new transport takes tracks"),
        kind: if sound {
            TrackKind::Audio
        } else {
            TrackKind::Video
        },
        source: if sound {
            TrackSource::Microphone
        } else {
            TrackSource::Camera
        },
        name: String::new(),
        width,
        height,
        layers: size
            .map(|_| Layer {
                quality: Quality::High,
                width,
                height,
                bitrate: 1_500_000,
                rid: String::new(),
            })
            .into_iter()
            .collect(),
        muted: false,
        disable_red: true,
        encryption: stream.encryption,
        stream: String::new(),
        codecs: Vec::new(),
    }
}

/// Sends in real time, until the transport is gone.
fn send(transport: std::sync::Weak<WebRtcBin>, local: LocalTrackId, stream: Stream) {
    thread::spawn(move || {
        let mut due = Instant::now();
        for frame in stream.frames.iter().cycle() {
            let Some(transport) = transport.upgrade() else {
                return;
            };
            let mut buffer = gst::Buffer::from_slice(frame.bytes.clone());
            let new = buffer.get_mut().expect("a new buffer has one owner");
            new.set_pts(clock::now());
            if !frame.key {
                new.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
            transport.push(local, buffer);
            drop(transport);
            due += stream.interval;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    });
}
