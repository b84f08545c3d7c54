// SPDX-License-Identifier: MIT OR Apache-2.0

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use roomseal_e2ee::{Codec, FrameContext, FrameKey, KeyIndex, KeyRing, Opener, Replay, Verdict};

use super::{DecryptCounters, OpenMode, TrackVerdict};
use crate::elements::pace::{KEY_UNIT_INTERVAL, Pace};
use crate::elements::{caps, digest, keys_file};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "framedecrypt",
        gst::DebugColorFlags::empty(),
        Some("Opens sealed frames"),
    )
});

/// A verdict that was posted before is posted again no sooner than this after the last.
const NOTICE_INTERVAL: Duration = Duration::from_millis(500);

/// How long delta frames are withheld while no key frame comes.
const WITHHOLD_LIMIT: Duration = Duration::from_secs(1);

/// The last two bytes of a sealed frame: the length of its IV, and a key index of a ring.
const IV_LEN_BYTE: u8 = 12;

#[derive(Debug, Default)]
struct Settings {
    keys_file: Option<PathBuf>,
}

#[derive(Debug)]
struct State {
    mode: OpenMode,
    keys: KeyRing,
    sif_trailer: Vec<u8>,
    replay: Option<Replay>,
    peer_confirmed: bool,
    /// Made with the first caps and kept over restarts, so that it does not forget what it has seen.
    stream: Option<Stream>,
    /// Counts of streams before this one, and what the opener cannot count.
    counters: DecryptCounters,
    verdict: Option<TrackVerdict>,
    /// The newest frame was clear beyond doubt.
    clear_before: bool,
    notices: Notices,
    key_unit: Pace,
    /// A frame was dropped, so the next one does not follow the last.
    discont: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            mode: OpenMode::default(),
            keys: KeyRing::new(),
            sif_trailer: Vec::new(),
            replay: None,
            peer_confirmed: false,
            stream: None,
            counters: DecryptCounters::default(),
            verdict: None,
            clear_before: false,
            notices: Notices::default(),
            key_unit: Pace::new(KEY_UNIT_INTERVAL),
            discont: false,
        }
    }
}

#[derive(Debug)]
struct Stream {
    codec: Codec,
    opener: Opener,
    picture: Picture,
}

/// Whether the decoder has a picture that a delta frame can be applied to.
#[derive(Clone, Copy, Debug)]
enum Picture {
    Whole,
    /// Since the first frame that was withheld, if one was.
    Broken {
        since: Option<Instant>,
    },
}

/// Which verdicts were posted, and when the last one was.
#[derive(Debug, Default)]
struct Notices {
    said: Option<TrackVerdict>,
    before: Vec<TrackVerdict>,
    last: Option<Instant>,
}

/// What to do about a frame once the lock is gone.
struct Outcome {
    frame: Option<gst::Buffer>,
    notice: Option<(TrackVerdict, DecryptCounters)>,
    key_unit: bool,
}

#[derive(Debug)]
pub struct FrameDecrypt {
    srcpad: gst::Pad,
    sinkpad: gst::Pad,
    settings: Mutex<Settings>,
    state: Mutex<State>,
    /// Where the opener's clock begins.
    made: Instant,
}

impl FrameDecrypt {
    pub(super) fn set_keys(&self, keys: KeyRing) {
        let mut state = self.state();
        state.keys = keys;
        state.pass_keys_on();
    }

    pub(super) fn set_key(&self, index: KeyIndex, key: FrameKey) {
        let mut state = self.state();
        state.keys.set(index, key);
        state.pass_keys_on();
    }

    pub(super) fn remove_key(&self, index: KeyIndex) {
        let mut state = self.state();
        state.keys.remove(index);
        state.pass_keys_on();
    }

    pub(super) fn set_mode(&self, mode: OpenMode) {
        let before = std::mem::replace(&mut self.state().mode, mode);
        if before != mode {
            gst::info!(CAT, imp = self, "mode {before:?} -> {mode:?}");
        }
    }

    pub(super) fn mode(&self) -> OpenMode {
        self.state().mode
    }

    pub(super) fn set_sif_trailer(&self, trailer: Vec<u8>) {
        let mut state = self.state();
        if let Some(stream) = &mut state.stream {
            stream.opener.set_sif_trailer(trailer.clone());
        }
        state.sif_trailer = trailer;
    }

    pub(super) fn set_replay(&self, replay: Replay) {
        self.state().replay = Some(replay);
    }

    pub(super) fn set_peer_confirmed(&self, confirmed: bool) {
        let mut state = self.state();
        if let Some(stream) = &mut state.stream {
            stream.opener.set_peer_confirmed(confirmed);
        }
        state.peer_confirmed = confirmed;
    }

    pub(super) fn replay_is_bounded(&self) -> Option<bool> {
        let state = self.state();
        state.stream.as_ref().map(|s| s.opener.replay_is_bounded())
    }

    pub(super) fn verdict(&self) -> Option<TrackVerdict> {
        self.state().verdict
    }

    pub(super) fn counters(&self) -> DecryptCounters {
        self.state().counters()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the state")
    }

    fn sink_chain(&self, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        if buffer.size() == 0 {
            return self.push_gap(&buffer);
        }
        let outcome = self.take_frame(&mut self.state(), buffer)?;

        // From here on without the lock: neither the bus, nor upstream, nor downstream may find it held.
        if let Some((verdict, counters)) = outcome.notice {
            self.tell(verdict, &counters);
        }
        if outcome.key_unit && !self.sinkpad.push_event(caps::force_key_unit()) {
            gst::debug!(CAT, imp = self, "nobody upstream asks for key frames");
        }
        match outcome.frame {
            Some(frame) => self.srcpad.push(frame),
            None => Ok(gst::FlowSuccess::Ok),
        }
    }

    fn take_frame(
        &self,
        state: &mut State,
        buffer: gst::Buffer,
    ) -> Result<Outcome, gst::FlowError> {
        if state.stream.is_none() {
            gst::element_imp_error!(
                self,
                gst::CoreError::Negotiation,
                ["A frame came before the caps"]
            );
            return Err(gst::FlowError::NotNegotiated);
        }
        let now = Instant::now();
        let gap = buffer.flags().contains(gst::BufferFlags::DISCONT);
        let delta = buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let (verdict, frame) = if state.mode == OpenMode::Hold {
            state.counters.held += 1;
            (TrackVerdict::Held, None)
        } else if state.lets_clear_pass() && state.is_clear(&self.read(&buffer)?) {
            state.counters.passed_clear += 1;
            state.clear_before = true;
            (TrackVerdict::Clear, Some(buffer))
        } else {
            let opened = self.open(state, buffer, gap, now)?;
            state.clear_before = false;
            opened
        };
        state.verdict = Some(verdict);

        let (frame, key_unit) = state.settle(verdict, frame, gap, delta, now);
        if frame.is_none() {
            gst::debug!(CAT, imp = self, "frame not pushed: {verdict}");
        }
        let notice = state
            .notices
            .due(verdict, now)
            .then(|| (verdict, state.counters()));
        Ok(Outcome {
            frame,
            notice,
            key_unit,
        })
    }

    fn open(
        &self,
        state: &mut State,
        mut buffer: gst::Buffer,
        gap: bool,
        now: Instant,
    ) -> Result<(TrackVerdict, Option<gst::Buffer>), gst::FlowError> {
        // Opening may rearrange the bytes, so what may yet pass as clear is kept.
        let perhaps_clear = (state.lets_clear_pass() && state.clear_before).then(|| buffer.clone());
        let context = FrameContext {
            gap,
            now: now.duration_since(self.made),
        };
        let stream = state
            .stream
            .as_mut()
            .expect("the caller has seen that there is a stream");
        let frame = buffer.make_mut();
        let opened = {
            let mut map = frame.map_writable().map_err(|_| self.unreadable())?;
            let opened = stream.opener.open(&mut map, &context);
            if let Ok(length) = opened {
                digest::trace(
                    *CAT,
                    &*self.obj(),
                    || map.get(..length).map(<[u8]>::to_vec),
                    map.buffer().pts(),
                );
            }
            opened
        };
        Ok(match (opened, perhaps_clear) {
            (Ok(length), _) => {
                frame.set_size(length);
                if state.mode == OpenMode::Grace {
                    state.mode = OpenMode::Require;
                }
                (TrackVerdict::Opened, Some(buffer))
            }
            (Err(verdict @ (Verdict::Replayed | Verdict::ServerInjected)), _)
            | (Err(verdict), None) => (TrackVerdict::Refused(verdict), None),
            (Err(_), Some(original)) => {
                // The next one that looks sealed is taken at its word.
                state.counters.passed_clear += 1;
                (TrackVerdict::Clear, Some(original))
            }
        })
    }

    fn read<'a>(
        &self,
        buffer: &'a gst::Buffer,
    ) -> Result<gst::BufferMap<'a, gst::buffer::Readable>, gst::FlowError> {
        buffer.map_readable().map_err(|_| self.unreadable())
    }

    /// An empty buffer is time that passes without a frame.
    fn push_gap(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        if let Some(pts) = buffer.pts() {
            let gap = gst::event::Gap::builder(pts)
                .duration(buffer.duration())
                .build();
            self.srcpad.push_event(gap);
        }
        Ok(gst::FlowSuccess::Ok)
    }

    fn sink_event(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::Caps(caps) if !self.set_caps(caps.caps()) => return false,
            gst::EventView::Eos(_) => self.warn_if_nothing_opened(),
            gst::EventView::FlushStop(_) => {
                let mut state = self.state();
                state.discont = false;
                if let Some(stream) = &mut state.stream {
                    stream.picture = Picture::of(stream.codec);
                }
            }
            _ => {}
        }
        gst::Pad::event_default(pad, Some(&*self.obj()), event)
    }

    /// Without this, a pipeline with the wrong key ends as quietly as one with the right one.
    fn warn_if_nothing_opened(&self) {
        let (counters, verdict) = {
            let state = self.state();
            (state.counters(), state.verdict)
        };
        let dropped = counters.frames.refused() + counters.held;
        if let Some(verdict) = verdict
            && dropped > 0
            && counters.frames.opened + counters.passed_clear == 0
        {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Decrypt,
                ("None of {dropped} frames opened ({verdict}): check mode and keys of both sides")
            );
        }
    }

    fn set_caps(&self, caps: &gst::CapsRef) -> bool {
        let Some(codec) = caps::codec(caps) else {
            gst::error!(CAT, imp = self, "no codec of ours in {caps}");
            return false;
        };
        let mut state = self.state();
        if state.stream.as_ref().is_some_and(|s| s.codec == codec) {
            return true;
        }
        state.counters.frames = state.frames();
        let replay = state.replay.unwrap_or(Replay::Auto {
            clock_rate: match codec {
                Codec::Opus => 48_000,
                Codec::H264 | Codec::Vp8 => 90_000,
            },
        });
        let mut opener = Opener::new(codec, replay);
        *opener.keys() = state.keys.clone();
        opener.set_sif_trailer(state.sif_trailer.clone());
        opener.set_peer_confirmed(state.peer_confirmed);
        state.stream = Some(Stream {
            codec,
            opener,
            picture: Picture::of(codec),
        });
        true
    }

    fn tell(&self, verdict: TrackVerdict, counters: &DecryptCounters) {
        match verdict {
            TrackVerdict::Refused(_) => gst::warning!(CAT, imp = self, "{verdict}"),
            _ => gst::info!(CAT, imp = self, "{verdict}"),
        }
        let structure = gst::Structure::builder("roomseal-framedecrypt")
            .field("verdict", verdict.name())
            .field("opened", counters.frames.opened)
            .field("refused", counters.frames.refused())
            .field("reason", verdict.to_string())
            .build();
        let element = self.obj();
        let message = gst::message::Element::builder(structure)
            .src(&*element)
            .build();
        // Without a bus nobody wants to know.
        let _ = element.post_message(message);
    }

    fn load_keys(&self) -> Result<(), gst::StateChangeError> {
        let path = {
            let settings = self.settings.lock();
            let settings = settings.expect("nothing panics while it holds the settings");
            settings.keys_file.clone()
        };
        let Some(path) = path else { return Ok(()) };
        match keys_file::read(&path) {
            Ok(keys) => {
                for (index, key) in keys {
                    self.set_key(index, key);
                }
                Ok(())
            }
            Err(error) => {
                gst::error!(CAT, imp = self, "{error}");
                gst::element_imp_error!(self, gst::ResourceError::OpenRead, ("{error}"));
                Err(gst::StateChangeError)
            }
        }
    }

    fn unreadable(&self) -> gst::FlowError {
        gst::element_imp_error!(
            self,
            gst::ResourceError::Read,
            ["A frame's memory cannot be read"]
        );
        gst::FlowError::Error
    }
}

impl State {
    fn pass_keys_on(&mut self) {
        if let Some(stream) = &mut self.stream {
            *stream.opener.keys() = self.keys.clone();
        }
    }

    fn lets_clear_pass(&self) -> bool {
        matches!(self.mode, OpenMode::Grace | OpenMode::AllowClear)
    }

    /// Whether a frame cannot be a sealed one, nor one that the server made.
    fn is_clear(&self, frame: &[u8]) -> bool {
        let looks_sealed = matches!(frame, [.., IV_LEN_BYTE, index]
            if usize::from(*index) < KeyIndex::COUNT);
        let injected = !self.sif_trailer.is_empty() && frame.ends_with(&self.sif_trailer);
        !looks_sealed && !injected
    }

    /// Decides whether the decoder gets a frame, and whether a key frame is asked for.
    fn settle(
        &mut self,
        verdict: TrackVerdict,
        frame: Option<gst::Buffer>,
        gap: bool,
        delta: bool,
        now: Instant,
    ) -> (Option<gst::Buffer>, bool) {
        let stream = self
            .stream
            .as_mut()
            .expect("the caller has seen that there is a stream");
        let video = stream.codec != Codec::Opus;
        let Some(mut frame) = frame else {
            self.discont = true;
            // A replay or a frame of the server's own takes the place of no frame.
            let hole = !matches!(
                verdict,
                TrackVerdict::Refused(Verdict::Replayed | Verdict::ServerInjected)
            );
            if video && hole && matches!(stream.picture, Picture::Whole) {
                stream.picture = Picture::Broken { since: None };
            }
            let repairable = matches!(
                verdict,
                TrackVerdict::Refused(
                    Verdict::Loss | Verdict::Unverified | Verdict::Altered | Verdict::Malformed
                )
            );
            return (None, video && repairable && self.key_unit.due(now));
        };

        let mut key_unit = false;
        if video && delta {
            if let Picture::Broken { since } = &mut stream.picture {
                let since = *since.get_or_insert(now);
                key_unit = self.key_unit.due(now);
                if now.duration_since(since) < WITHHOLD_LIMIT {
                    self.discont = true;
                    self.counters.withheld += 1;
                    return (None, key_unit);
                }
                stream.picture = Picture::Whole;
            } else if gap {
                key_unit = self.key_unit.due(now);
            }
        } else {
            stream.picture = Picture::Whole;
        }
        if std::mem::take(&mut self.discont) {
            frame.make_mut().set_flags(gst::BufferFlags::DISCONT);
        }
        (Some(frame), key_unit)
    }

    fn counters(&self) -> DecryptCounters {
        let mut counters = self.counters;
        counters.frames = self.frames();
        counters
    }

    /// What all openers counted.
    fn frames(&self) -> roomseal_e2ee::OpenCounters {
        let before = self.counters.frames;
        let Some(stream) = &self.stream else {
            return before;
        };
        let now = stream.opener.counters();
        roomseal_e2ee::OpenCounters {
            opened: before.opened + now.opened,
            clear: before.clear + now.clear,
            no_key: before.no_key + now.no_key,
            loss: before.loss + now.loss,
            unverified: before.unverified + now.unverified,
            altered: before.altered + now.altered,
            other_key: before.other_key + now.other_key,
            replayed: before.replayed + now.replayed,
            server_injected: before.server_injected + now.server_injected,
            malformed: before.malformed + now.malformed,
        }
    }
}

impl Picture {
    /// A decoder begins without a picture; sound has none.
    fn of(codec: Codec) -> Self {
        match codec {
            Codec::Opus => Self::Whole,
            Codec::H264 | Codec::Vp8 => Self::Broken { since: None },
        }
    }
}

impl Notices {
    /// Whether to post this verdict now.
    fn due(&mut self, verdict: TrackVerdict, now: Instant) -> bool {
        if self.said == Some(verdict) {
            return false;
        }
        let new = !self.before.contains(&verdict);
        let paused = self
            .last
            .is_none_or(|last| now.duration_since(last) >= NOTICE_INTERVAL);
        if !new && !paused {
            return false;
        }
        if new {
            self.before.push(verdict);
        }
        self.said = Some(verdict);
        self.last = Some(now);
        true
    }
}

#[glib::object_subclass]
impl ObjectSubclass for FrameDecrypt {
    const NAME: &'static str = "GstRoomsealFrameDecrypt";
    type Type = super::FrameDecrypt;
    type ParentType = gst::Element;

    fn with_class(class: &Self::Class) -> Self {
        let template = |name| {
            class
                .pad_template(name)
                .expect("the class has this template, see below")
        };
        let sinkpad = gst::Pad::builder_from_template(&template("sink"))
            .flags(gst::PadFlags::PROXY_CAPS)
            .chain_function(|_, parent, buffer| {
                Self::catch_panic_pad_function(
                    parent,
                    || Err(gst::FlowError::Error),
                    |this| this.sink_chain(buffer),
                )
            })
            .event_function(|pad, parent, event| {
                Self::catch_panic_pad_function(parent, || false, |this| this.sink_event(pad, event))
            })
            .build();
        let srcpad = gst::Pad::builder_from_template(&template("src"))
            .flags(gst::PadFlags::PROXY_CAPS)
            .build();
        Self {
            srcpad,
            sinkpad,
            settings: Mutex::default(),
            state: Mutex::default(),
            made: Instant::now(),
        }
    }
}

impl ObjectImpl for FrameDecrypt {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecString::builder("keys-file")
                    .nick("Keys file")
                    .blurb(
                        "File with the keys to open with: key-index = 0 to 15, then passphrase = \
                         \"...\" or raw-key-hex = \"...\", as often as needed; mode 0600 and your own",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("mode", OpenMode::default())
                    .nick("Mode")
                    .blurb("What may pass")
                    .mutable_playing()
                    .build(),
                glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                    .nick("Statistics")
                    .blurb(
                        "Frames so far: opened, withheld (opened, but useless without a key frame), \
                         passed-clear, held, and those that did not open by verdict: clear, no-key, \
                         loss, unverified, altered, other-key, replayed, server-injected, malformed",
                    )
                    .read_only()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        match pspec.name() {
            "keys-file" => {
                let path: Option<String> = value.get().expect("type checked upstream");
                let settings = self.settings.lock();
                settings
                    .expect("nothing panics while it holds the settings")
                    .keys_file = path.map(PathBuf::from);
            }
            "mode" => self.set_mode(value.get().expect("type checked upstream")),
            _ => unimplemented!(),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "keys-file" => {
                let settings = self.settings.lock();
                let settings = settings.expect("nothing panics while it holds the settings");
                let path = settings.keys_file.as_ref();
                path.map(|p| p.to_string_lossy().into_owned()).to_value()
            }
            "mode" => self.mode().to_value(),
            "stats" => {
                let counters = self.counters();
                let refused = |verdict| TrackVerdict::Refused(verdict).name();
                gst::Structure::builder("framedecrypt-stats")
                    .field(TrackVerdict::Opened.name(), counters.frames.opened)
                    .field("withheld", counters.withheld)
                    .field(TrackVerdict::Clear.name(), counters.passed_clear)
                    .field(TrackVerdict::Held.name(), counters.held)
                    .field(refused(Verdict::Clear), counters.frames.clear)
                    .field(refused(Verdict::NoKey), counters.frames.no_key)
                    .field(refused(Verdict::Loss), counters.frames.loss)
                    .field(refused(Verdict::Unverified), counters.frames.unverified)
                    .field(refused(Verdict::Altered), counters.frames.altered)
                    .field(refused(Verdict::OtherKey), counters.frames.other_key)
                    .field(refused(Verdict::Replayed), counters.frames.replayed)
                    .field(
                        refused(Verdict::ServerInjected),
                        counters.frames.server_injected,
                    )
                    .field(refused(Verdict::Malformed), counters.frames.malformed)
                    .build()
                    .to_value()
            }
            _ => unimplemented!(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        let element = self.obj();
        for pad in [&self.sinkpad, &self.srcpad] {
            element
                .add_pad(pad)
                .expect("a new element has no pad of this name");
        }
    }
}

impl GstObjectImpl for FrameDecrypt {}

impl ElementImpl for FrameDecrypt {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Frame opener",
                "Filter/Decryptor/Network",
                "Opens VP8, H.264 and Opus frames that were sealed end to end in LiveKit's format, \
                 between depayloader and decoder",
                "The Roomseal developers",
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static PAD_TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            vec![
                caps::template("src", gst::PadDirection::Src, "byte-stream"),
                caps::template("sink", gst::PadDirection::Sink, "byte-stream"),
            ]
        });
        &PAD_TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::NullToReady {
            self.load_keys()?;
        }
        let success = self.parent_change_state(transition)?;
        if transition == gst::StateChange::PausedToReady {
            let mut state = self.state();
            if let Some(stream) = &mut state.stream {
                stream.picture = Picture::of(stream.codec);
            }
        }
        Ok(success)
    }
}
