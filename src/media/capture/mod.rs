// SPDX-License-Identifier: MIT OR Apache-2.0

//! Camera and microphone to sealed frames.
//!
//! A [`Capture`] publishes up to two tracks, sound ([`AUDIO`]) and picture ([`VIDEO`]), and outlives
//! calls: frames go to one function, and whether anybody sends them is not its business.
//!
//! ```text
//! source: device or file ! queue ! (decoder) ! appsink      one pipeline per source, kept open
//!                                                │          by a thread of its own (keeper.rs)
//!    mute, pace, shared time (track.rs)          ▼
//! line:   appsrc (leaks) ! scale ! encoder ! frameencrypt ! appsink ──► on_frame
//! ```
//!
//! Source and line do not know each other. A camera that is missing, pulled out or silent is a
//! [`SourceState`] and heals; the other track does not notice. An encoder that breaks is replaced
//! by the next in the board's order. An encoder that is too slow loses pictures before it, never
//! holds the camera up, and after some seconds the picture is reduced ([`crate::budget`]).
//!
//! How a call uses it:
//!
//! 1. [`Capture::start`]; it returns at once, whatever the devices do.
//! 2. [`Capture::tracks`] for `Transport::add_track`; each frame of `on_frame` goes to
//!    `Transport::push`.
//! 3. [`Capture::set_send_key`] and [`Capture::set_mode`]. Until then nothing leaves
//!    ([`SealMode::Hold`]).
//! 4. [`Capture::request_key_frame`] on PLI, [`Capture::set_bitrate`] on estimates.
//! 5. To publish a track anew (with another codec when a peer cannot decode this one or on
//!    [`CaptureEvent::CodecPreferred`], or under another declaration): [`Capture::plan`] gives the
//!    new one, and once the service expects its frames [`Capture::go_over`] sends them.
//!
//! Frames: one buffer is one frame. Time stamps are running time on the shared clock
//! ([`crate::clock`]), growing; key frames lack `DELTA_UNIT`. H.264 is as `frameencrypt` leaves it.
//! Opus frames are 20 ms, mono, and carry a `GstAudioLevelMeta`.

mod camera;
mod clip;
mod clock_face;
mod code;
mod config;
mod control;
mod event;
mod fault;
mod inlet;
mod keeper;
mod line;
mod retry;
mod shared;
mod source;
mod switch;
mod track;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use roomseal_e2ee::{Codec, FrameKey, KeyIndex};

pub use code::SeenCode;
pub use config::{AudioSource, CaptureConfig, VideoSource};
pub use event::{CaptureEvent, SourceState, TrackStats};
pub use line::OnFrame;

use self::{
    control::Control,
    keeper::Keeper,
    line::Outlet,
    shared::{Echo, Inner, VideoChoice, lock},
    source::Spec,
    switch::CaptureSwitch,
    track::Track,
};
use crate::{
    clock,
    elements::SealMode,
    encoder::{EncoderVerdict, Encoders, NoEncoder},
    plugins::{self, InitError, MissingElements},
    transport::{LocalTrackId, MediaKind, PublishTrack},
};

/// The sound track.
pub const AUDIO: LocalTrackId = LocalTrackId(1);
/// The picture track.
pub const VIDEO: LocalTrackId = LocalTrackId(2);

/// Both tracks belong together and are played in step.
const STREAM: &str = "camera";

/// Encoders are tried when the first frames are out ([`Capture::sending`]) and everything that a
/// join takes is done: a proof takes seconds of the processor.
const PROOF_DELAY: Duration = Duration::from_secs(3);
/// Without a meeting they are tried after this time.
const PROOF_PATIENCE: Duration = Duration::from_secs(30);

/// Receives events, on threads of the capture.
pub type OnEvent = Arc<dyn Fn(CaptureEvent) + Send + Sync>;

/// Why a capture does not start. A device that is missing is none of these: it is waited for.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// GStreamer is not there.
    #[error(transparent)]
    GStreamer(#[from] InitError),
    /// What every capture needs is not there.
    #[error(transparent)]
    Missing(#[from] MissingElements),
    /// No encoder for the picture.
    #[error(transparent)]
    NoEncoder(#[from] NoEncoder),
    /// GStreamer refused to build a pipeline.
    #[error("cannot build the pipeline to the {encoder} encoder: {reason}")]
    Line {
        /// The encoder's element.
        encoder: &'static str,
        /// What GStreamer said.
        reason: String,
    },
    /// The system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// There is no such track.
    #[error("nothing of that kind is captured, so there is nothing to publish anew")]
    NoTrack,
}

/// Sources, encoders and seals at work. Stops when dropped.
pub struct Capture {
    inner: Arc<Inner>,
    keepers: Mutex<Vec<Keeper>>,
    /// The microphone's own switch, where the sound comes from ALSA.
    switch: Option<CaptureSwitch>,
    control: Option<JoinHandle<()>>,
    /// Tells the proof thread that frames are out, and to end.
    proof: Option<Sender<()>>,
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture")
            .field("tracks", &self.tracks())
            .finish_non_exhaustive()
    }
}

impl Capture {
    /// Starts all sources and encoders. Returns at once: devices are opened, and encoders proved,
    /// in the background. Nothing leaves before a mode is set.
    ///
    /// `on_frame` gets each sealed frame on a streaming thread and must not block.
    ///
    /// # Errors
    ///
    /// [`CaptureError`], when no encoder can be had at all or plugins every capture needs are
    /// missing. A missing device is no error.
    pub fn start(
        config: CaptureConfig,
        on_frame: OnFrame,
        on_event: OnEvent,
    ) -> Result<Self, CaptureError> {
        plugins::gst_init()?;
        plugins::require(plugins::ENCODE)?;
        plugins::require(&["appsrc", "appsink", "videoconvertscale", "volume"])?;
        if config.echo_probe.is_some() {
            plugins::require(plugins::ECHO_CANCELLER)?;
        }
        // Fixes the base time before any source can be older.
        clock::now();

        let specs = Spec::of(&config);
        let has = |kind| specs.iter().any(|(_, kinds)| kinds.contains(&kind));
        let encoders = Encoders::new(&config.encoders, config.encoder_cache, config.budget);
        let codec = if has(MediaKind::Video) {
            encoders.pick(None)?.codec()
        } else {
            Codec::Vp8
        };
        let limits = config.budget.encode(codec);

        let (control, inbox) = mpsc::channel();
        let mut tracks = Vec::new();
        for (kind, local) in [(MediaKind::Audio, AUDIO), (MediaKind::Video, VIDEO)] {
            if has(kind) {
                let outlet = Outlet {
                    local,
                    counts: Arc::default(),
                    on_frame: Arc::clone(&on_frame),
                    control: control.clone(),
                };
                tracks.push(Arc::new(Track::new(kind, limits, outlet)));
            }
        }
        let inner = Arc::new(Inner {
            tracks,
            budget: config.budget,
            encoders,
            on_event,
            control,
            sealing: Mutex::default(),
            video: Mutex::new(VideoChoice {
                codec,
                size: None,
                limits,
                available: u32::MAX,
            }),
            echo: Mutex::new(Echo {
                probe: config.echo_probe,
                active: false,
            }),
            building: Mutex::new(()),
            serial: AtomicU64::new(0),
            next_local: AtomicU32::new(VIDEO.0 + 1),
            stopped: AtomicBool::new(false),
        });

        let switch = match &config.audio {
            AudioSource::Alsa { device } => Some(CaptureSwitch::watch(device)?),
            _ => None,
        };
        let mut capture = Self {
            inner: Arc::clone(&inner),
            keepers: Mutex::default(),
            switch,
            control: None,
            proof: None,
        };
        if has(MediaKind::Audio) {
            inner.build_audio()?;
        }
        if has(MediaKind::Video) {
            inner.build_video(None)?;
            capture.prove_encoders()?;
        }
        let shared = Arc::clone(&inner);
        let control = thread::Builder::new()
            .name("capture-control".to_owned())
            .spawn(move || control::run(&shared, &inbox))?;
        capture.control = Some(control);
        inner.send(Control::EncoderTaken);
        for (spec, kinds) in specs {
            let tracks = kinds
                .into_iter()
                .filter_map(|kind| inner.track_of(kind).cloned())
                .collect();
            let on_event = Arc::clone(&inner.on_event);
            let keeper = Keeper::start(spec, tracks, limits, config.stall_after, on_event)?;
            lock(&capture.keepers).push(keeper);
        }
        Ok(capture)
    }

    fn prove_encoders(&mut self) -> Result<(), CaptureError> {
        let (word, words) = mpsc::channel();
        let inner = Arc::clone(&self.inner);
        // Not waited for when the capture stops: a driver may hang, and it touches nothing of ours.
        thread::Builder::new()
            .name("capture-proof".to_owned())
            .spawn(move || {
                let mut left = PROOF_PATIENCE;
                loop {
                    match words.recv_timeout(left) {
                        Ok(()) => left = PROOF_DELAY,
                        Err(RecvTimeoutError::Timeout) => break,
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
                inner
                    .encoders
                    .prove_all(&|| inner.stopped.load(Ordering::Relaxed));
                inner.send(Control::Proved);
            })?;
        self.proof = Some(word);
        Ok(())
    }

    /// Frames reach the meeting service from now on.
    pub fn sending(&self) {
        if let Some(proof) = &self.proof {
            // It has ended when everything is proved.
            let _ = proof.send(());
        }
    }

    /// What is published, sound first.
    #[must_use]
    pub fn tracks(&self) -> Vec<PublishTrack> {
        self.inner
            .tracks
            .iter()
            .map(|track| self.inner.announcement(track))
            .collect()
    }

    /// The bytes every IV of a track begins with; `None` before its first frame. Changes when
    /// another encoder takes over.
    #[must_use]
    pub fn iv_prefix(&self, local: LocalTrackId) -> Option<[u8; roomseal_e2ee::PREFIX_LEN]> {
        self.inner.track(local)?.iv_prefix()
    }

    /// A receiver cannot decode: makes the next picture a key frame. Requests that follow each
    /// other closely are served together.
    pub fn request_key_frame(&self, local: LocalTrackId) {
        if let Some(track) = self.inner.track(local) {
            track.request_key_frame(clock::now().into());
        }
    }

    /// What the network gives to all tracks together, in bit/s. Sound takes its part first, the
    /// picture gets the rest up to its budget.
    pub fn set_bitrate(&self, bps: u32) {
        lock(&self.inner.video).available = bps;
        self.inner.share_bitrate();
    }

    /// Seals all tracks with this key from the next frame on, and begins with key frames.
    pub fn set_send_key(&self, index: KeyIndex, key: FrameKey) {
        let mut sealing = lock(&self.inner.sealing);
        for track in &self.inner.tracks {
            track.seal_with(index, &key);
        }
        sealing.key = Some((index, key));
    }

    /// Forgets the key: in mode *seal* nothing leaves until the next one is set.
    pub fn clear_send_key(&self) {
        let mut sealing = lock(&self.inner.sealing);
        for track in &self.inner.tracks {
            track.seal_no_more();
        }
        sealing.key = None;
    }

    /// Says what may leave: nothing, sealed frames, or clear ones.
    pub fn set_mode(&self, mode: SealMode) {
        let mut sealing = lock(&self.inner.sealing);
        sealing.mode = mode;
        for track in &self.inner.tracks {
            track.set_mode(mode);
        }
    }

    /// Mutes a track: sound becomes silence before it is encoded, and the switch of an ALSA
    /// microphone is turned off; pictures stop.
    pub fn set_mute(&self, local: LocalTrackId, muted: bool) {
        if let Some(track) = self.inner.track(local) {
            track.set_mute(muted);
            if let (MediaKind::Audio, Some(switch)) = (track.kind, &self.switch) {
                switch.mute(muted);
            }
        }
    }

    /// Looks for a QR code in what the camera sees from now on, or no longer; [`CaptureEvent::CodeSeen`] tells each that
    /// is seen, about twice a second. A muted camera is not looked at.
    pub fn look_for_code(&self, looks: bool) {
        if let Some(track) = self.inner.track_of(MediaKind::Video) {
            let on_event = Arc::clone(&self.inner.on_event);
            track.look(looks.then_some(move |code| on_event(CaptureEvent::CodeSeen(code))));
        }
    }

    /// Whether a track is muted.
    #[must_use]
    pub fn muted(&self, local: LocalTrackId) -> bool {
        self.inner.track(local).is_some_and(|track| track.muted())
    }

    /// The codecs the picture could be encoded with, best first.
    #[must_use]
    pub fn video_codecs(&self) -> Vec<Codec> {
        self.inner.encoders.codecs()
    }

    /// What the track of this codec's kind will be when it is published anew with it, which may be
    /// the codec it has: a track with a number of its own. Nothing changes before
    /// [`Capture::go_over`]. `None` if nothing of that kind is captured.
    #[must_use]
    pub fn plan(&self, codec: Codec) -> Option<PublishTrack> {
        let track = self.inner.track_of(codec.into())?;
        Some(PublishTrack {
            local: self.inner.next_number(),
            ..self.inner.announcement_with(track, codec)
        })
    }

    /// Sends as `planned` from the next frame on, which is a key frame, with the best encoder for
    /// its codec. No frame of the track that it takes the place of comes any more.
    ///
    /// # Errors
    ///
    /// [`CaptureError::NoEncoder`] if none is left for the codec, [`CaptureError::Line`] if sound
    /// cannot be encoded; everything then stays as it was.
    pub fn go_over(&self, planned: &PublishTrack) -> Result<(), CaptureError> {
        let inner = &self.inner;
        match planned.kind() {
            MediaKind::Audio => inner.renew_audio(planned.local),
            MediaKind::Video => {
                let before = inner.video_codec();
                inner.renew_video(planned)?;
                inner.send(Control::EncoderTaken);
                if planned.codec != before {
                    for keeper in lock(&self.keepers).iter() {
                        keeper.set_budget(inner.budget.encode(planned.codec));
                    }
                }
                Ok(())
            }
        }
    }

    /// The board is overloaded by something else, for instance by showing the others: treated like
    /// an encoder that cannot keep up. Call it about once a second for as long as it lasts.
    pub fn report_overrun(&self) {
        self.inner.send(Control::Overrun);
    }

    /// Which encoder was taken and why the others were not.
    #[must_use]
    pub fn encoders(&self) -> Vec<EncoderVerdict> {
        self.inner.verdicts()
    }

    /// What each track did so far, sound first.
    #[must_use]
    pub fn stats(&self) -> Vec<TrackStats> {
        self.inner
            .tracks
            .iter()
            .map(|track| TrackStats {
                switched_off: self.switched_off(track.kind),
                ..track.stats(self.inner.codec_of(track))
            })
            .collect()
    }

    fn switched_off(&self, kind: MediaKind) -> Option<bool> {
        match kind {
            MediaKind::Audio => self.switch.as_ref()?.is_off(),
            MediaKind::Video => None,
        }
    }

    /// Closes all devices. No frame comes after it returns. Not from `on_frame` or `on_event`.
    pub fn stop(self) {
        drop(self);
    }

    fn shut_down(&mut self) {
        self.inner.stopped.store(true, Ordering::Relaxed);
        self.proof = None;
        self.inner.send(Control::Stop);
        for keeper in std::mem::take(&mut *lock(&self.keepers)) {
            keeper.stop();
        }
        if let Some(control) = self.control.take() {
            // A panic there was printed and has no other consequence here.
            let _ = control.join();
        }
        for track in &self.inner.tracks {
            track.remove_line();
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shut_down();
    }
}
