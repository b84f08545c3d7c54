// SPDX-License-Identifier: MIT OR Apache-2.0

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use roomseal_e2ee::{
    Codec, FrameContext, FrameKey, IvSource, KeyIndex, Opener, Replay, SealError, Sealer, h264,
};

use super::{EncryptCounters, SealMode};
use crate::elements::pace::{KEY_UNIT_INTERVAL, Pace};
use crate::elements::{avc, caps, digest, keys_file};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "frameencrypt",
        gst::DebugColorFlags::empty(),
        Some("Seals encoded frames"),
    )
});

/// A stream that fails frame by frame says so once in this time.
const FAILURE_NOTICE_INTERVAL: Duration = Duration::from_secs(1);

/// All that belongs to a frame except its bytes.
const COPIED: gst::BufferCopyFlags = gst::BufferCopyFlags::FLAGS
    .union(gst::BufferCopyFlags::TIMESTAMPS)
    .union(gst::BufferCopyFlags::META);

#[derive(Debug, Default)]
struct Settings {
    keys_file: Option<PathBuf>,
}

#[derive(Debug)]
struct State {
    mode: SealMode,
    key: Option<(KeyIndex, FrameKey)>,
    /// Made with the first caps and kept over restarts, so that its IVs go on.
    stream: Option<Stream>,
    counters: EncryptCounters,
    /// The last thing said on the bus.
    said: Option<Say>,
    failure_notice: Pace,
    key_unit: Pace,
    /// A frame was dropped, so the next one does not follow the last.
    discont: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            mode: SealMode::default(),
            key: None,
            stream: None,
            counters: EncryptCounters::default(),
            said: None,
            failure_notice: Pace::new(FAILURE_NOTICE_INTERVAL),
            key_unit: Pace::new(KEY_UNIT_INTERVAL),
            discont: false,
        }
    }
}

#[derive(Debug)]
struct Stream {
    codec: Codec,
    sealer: Sealer,
    avc: AvcCaps,
}

/// The caps of an H.264 stream, which cannot be told before its parameter sets are.
#[derive(Debug, Default)]
struct AvcCaps {
    /// What upstream said, already as avc but without `codec_data`.
    base: Option<gst::Caps>,
    /// The parameter sets that downstream knows, with their lengths.
    header: Vec<u8>,
    /// Events that came in behind the caps and have to leave behind them.
    waiting: Vec<gst::Event>,
}

/// Why a frame does not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    Held,
    Unsealed(SealError),
    NoParameterSets,
}

/// What happens to frames, as said on the bus when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Say {
    Holding,
    NoKey,
    Sealing(KeyIndex),
    Clear,
    Failing(Dropped),
}

#[derive(Debug)]
pub struct FrameEncrypt {
    srcpad: gst::Pad,
    sinkpad: gst::Pad,
    settings: Mutex<Settings>,
    state: Mutex<State>,
}

impl FrameEncrypt {
    pub(super) fn set_send_key(&self, index: KeyIndex, key: FrameKey) {
        let force = {
            let mut state = self.state();
            if let Some(stream) = &mut state.stream {
                stream.sealer.set_key(index, key.clone());
            }
            state.key = Some((index, key));
            state.mode == SealMode::Seal
        };
        gst::info!(CAT, imp = self, "sealing with key index {index}");
        if force {
            self.force_key_unit_later();
        }
    }

    pub(super) fn clear_send_key(&self) {
        let mut state = self.state();
        state.key = None;
        if let Some(stream) = &mut state.stream {
            stream.sealer.clear_key();
        }
    }

    pub(super) fn set_mode(&self, mode: SealMode) {
        let before = std::mem::replace(&mut self.state().mode, mode);
        if before != mode {
            gst::info!(CAT, imp = self, "mode {before:?} -> {mode:?}");
            if mode != SealMode::Hold {
                self.force_key_unit_later();
            }
        }
    }

    pub(super) fn mode(&self) -> SealMode {
        self.state().mode
    }

    pub(super) fn key_index(&self) -> Option<KeyIndex> {
        self.state().key.as_ref().map(|(index, _)| *index)
    }

    pub(super) fn iv_prefix(&self) -> Option<[u8; roomseal_e2ee::PREFIX_LEN]> {
        let state = self.state();
        state.stream.as_ref().map(|s| s.sealer.iv_prefix())
    }

    pub(super) fn counters(&self) -> EncryptCounters {
        self.state().counters
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
        let mut events = Vec::new();
        let mut say = None;
        let mut key_unit = false;
        let outcome = {
            let mut state = self.state();
            let outcome = self.take_frame(&mut state, buffer, &mut events)?;
            state.count(&outcome);
            say = state.news(&outcome).or(say);
            if let Err(dropped) = outcome {
                key_unit = state.wants_key_unit(dropped);
            }
            outcome
        };

        // From here on without the lock: neither the bus, nor upstream, nor downstream may find it held.
        if let Some(say) = say {
            self.tell(say);
        }
        if key_unit {
            self.force_key_unit();
        }
        match outcome {
            Ok(frame) => {
                for event in events {
                    self.srcpad.push_event(event);
                }
                self.srcpad.push(frame)
            }
            Err(dropped) => {
                gst::debug!(CAT, imp = self, "frame dropped: {dropped}");
                Ok(gst::FlowSuccess::Ok)
            }
        }
    }

    fn take_frame(
        &self,
        state: &mut State,
        frame: gst::Buffer,
        events: &mut Vec<gst::Event>,
    ) -> Result<Result<gst::Buffer, Dropped>, gst::FlowError> {
        let State {
            mode,
            key,
            stream: Some(stream),
            discont,
            ..
        } = state
        else {
            gst::element_imp_error!(
                self,
                gst::CoreError::Negotiation,
                ["A frame came before the caps"]
            );
            return Err(gst::FlowError::NotNegotiated);
        };
        let mut outcome = match mode {
            SealMode::Hold => Err(Dropped::Held),
            SealMode::Seal => self.seal(stream, key.as_ref(), &frame)?,
            SealMode::Clear => self.pass(stream.codec, frame)?,
        };
        if let (Codec::H264, Ok(frame)) = (stream.codec, &outcome)
            && !stream.avc.follow(frame, events)
        {
            outcome = Err(Dropped::NoParameterSets);
        }
        match &mut outcome {
            Ok(frame) => {
                if std::mem::take(discont) {
                    frame.make_mut().set_flags(gst::BufferFlags::DISCONT);
                }
            }
            Err(_) => *discont = true,
        }
        Ok(outcome)
    }

    fn seal(
        &self,
        stream: &mut Stream,
        key: Option<&(KeyIndex, FrameKey)>,
        frame: &gst::Buffer,
    ) -> Result<Result<gst::Buffer, Dropped>, gst::FlowError> {
        let Some(key) = key else {
            return Ok(Err(Dropped::Unsealed(SealError::NoKey)));
        };
        let plain = frame.map_readable().map_err(|_| self.unreadable())?;
        let room = Sealer::max_sealed_len(stream.codec, plain.len());
        let mut sealed = gst::Buffer::with_size(room).map_err(|_| self.no_memory())?;
        {
            let sealed = sealed
                .get_mut()
                .expect("nobody else holds a buffer that was just allocated");
            let length = {
                let mut out = sealed.map_writable().map_err(|_| self.no_memory())?;
                let length = match stream.sealer.seal(&plain, &mut out) {
                    Ok(length) => length,
                    Err(error) => return Ok(Err(Dropped::Unsealed(error))),
                };
                digest::trace(
                    *CAT,
                    &*self.obj(),
                    || match stream.codec {
                        Codec::H264 => reopened(key, &out[..length]),
                        Codec::Opus | Codec::Vp8 => Some(plain.to_vec()),
                    },
                    frame.pts(),
                );
                if stream.codec == Codec::H264 {
                    h264::sealed_to_avc(&mut out[..length])
                        .expect("the sealer has just made it a sealed access unit");
                }
                length
            };
            sealed.set_size(length);
            frame
                .copy_into(sealed, COPIED, ..)
                .map_err(|_| self.no_memory())?;
        }
        Ok(Ok(sealed))
    }

    fn pass(
        &self,
        codec: Codec,
        frame: gst::Buffer,
    ) -> Result<Result<gst::Buffer, Dropped>, gst::FlowError> {
        if codec != Codec::H264 {
            return Ok(Ok(frame));
        }
        let clear = avc::from_annex_b(&frame.map_readable().map_err(|_| self.unreadable())?);
        let mut clear = gst::Buffer::from_mut_slice(clear);
        frame
            .copy_into(
                clear
                    .get_mut()
                    .expect("nobody else holds a buffer that was just made"),
                COPIED,
                ..,
            )
            .map_err(|_| self.no_memory())?;
        Ok(Ok(clear))
    }

    /// An empty buffer is time that passes without a frame.
    fn push_gap(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        if let Some(pts) = buffer.pts() {
            let gap = gst::event::Gap::builder(pts)
                .duration(buffer.duration())
                .build();
            gst::Pad::event_default(&self.sinkpad, Some(&*self.obj()), gap);
        }
        Ok(gst::FlowSuccess::Ok)
    }

    fn sink_event(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::Caps(caps) => return self.set_caps(caps.caps_owned()),
            gst::EventView::FlushStop(_) => {
                if let Some(stream) = &mut self.state().stream {
                    stream.avc.waiting.clear();
                }
            }
            gst::EventView::Eos(_) => {
                let waiting = match &mut self.state().stream {
                    Some(stream) => std::mem::take(&mut stream.avc.waiting),
                    None => Vec::new(),
                };
                for event in waiting {
                    self.srcpad.push_event(event);
                }
            }
            gst::EventView::StreamStart(_) => {}
            _ if event.is_serialized() => {
                if let Some(stream) = &mut self.state().stream
                    && stream.codec == Codec::H264
                    && stream.avc.header.is_empty()
                {
                    // The caps have to leave first, and they wait for a key frame.
                    stream.avc.waiting.push(event);
                    return true;
                }
            }
            _ => {}
        }
        gst::Pad::event_default(pad, Some(&*self.obj()), event)
    }

    fn set_caps(&self, caps: gst::Caps) -> bool {
        let Some(codec) = caps::codec(&caps) else {
            gst::error!(CAT, imp = self, "no codec of ours in {caps}");
            return false;
        };
        let passed_on = {
            let mut state = self.state();
            if state.stream.as_ref().is_none_or(|s| s.codec != codec) {
                let mut seed = [0; 12];
                if let Err(error) = getrandom::fill(&mut seed) {
                    drop(state);
                    gst::element_imp_error!(
                        self,
                        gst::LibraryError::Failed,
                        ["The system gives no random bytes ({error}): nothing can be sealed"]
                    );
                    return false;
                }
                let mut sealer = Sealer::new(codec, IvSource::new(seed));
                if let Some((index, key)) = &state.key {
                    sealer.set_key(*index, key.clone());
                }
                state.stream = Some(Stream {
                    codec,
                    sealer,
                    avc: AvcCaps::default(),
                });
            }
            match (&mut state.stream, codec) {
                (Some(stream), Codec::H264) => stream.avc.begin(caps::to_avc(&caps)),
                _ => Some(caps),
            }
        };
        match passed_on {
            Some(caps) => self.srcpad.push_event(gst::event::Caps::new(&caps)),
            None => true,
        }
    }

    fn query(&self, pad: &gst::Pad, query: &mut gst::QueryRef) -> bool {
        if let gst::QueryViewMut::Caps(caps_query) = query.view_mut() {
            let caps = if *pad == self.srcpad {
                caps::to_avc(&self.sinkpad.peer_query_caps(None))
            } else {
                caps::to_byte_stream(&self.srcpad.peer_query_caps(None))
            };
            let caps = caps.intersect(&pad.pad_template_caps());
            let caps = match caps_query.filter() {
                Some(filter) => filter.intersect_with_mode(&caps, gst::CapsIntersectMode::First),
                None => caps,
            };
            caps_query.set_result(&caps);
            return true;
        }
        gst::Pad::query_default(pad, Some(&*self.obj()), query)
    }

    fn force_key_unit(&self) {
        if !self.sinkpad.push_event(caps::force_key_unit()) {
            gst::debug!(CAT, imp = self, "nobody upstream forces key frames");
        }
    }

    /// Asks from a thread that may wait, whoever the caller is.
    fn force_key_unit_later(&self) {
        let is_video = |s: &Stream| s.codec != Codec::Opus;
        if self.state().stream.as_ref().is_some_and(is_video) {
            self.obj()
                .call_async(|element| element.imp().force_key_unit());
        }
    }

    fn tell(&self, say: Say) {
        match say {
            Say::NoKey | Say::Failing(_) => gst::warning!(CAT, imp = self, "{say}"),
            _ => gst::info!(CAT, imp = self, "{say}"),
        }
        let key_index = match say {
            Say::Sealing(index) => i32::from(u8::from(index)),
            _ => -1,
        };
        let structure = gst::Structure::builder("roomseal-frameencrypt")
            .field("state", say.state())
            .field("key-index", key_index)
            .field("reason", say.to_string())
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
            Ok(mut keys) => {
                if let Some((index, key)) = keys.pop() {
                    self.set_send_key(index, key);
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

    fn no_memory(&self) -> gst::FlowError {
        gst::element_imp_error!(
            self,
            gst::ResourceError::NoSpaceLeft,
            ["No memory for a sealed frame"]
        );
        gst::FlowError::Error
    }
}

impl State {
    fn count(&mut self, outcome: &Result<gst::Buffer, Dropped>) {
        let counter = match (outcome, self.mode) {
            (Ok(_), SealMode::Clear) => &mut self.counters.clear,
            (Ok(_), _) => &mut self.counters.sealed,
            (Err(Dropped::Held), _) => &mut self.counters.held,
            (Err(_), _) => &mut self.counters.dropped,
        };
        *counter += 1;
    }

    /// What is new about the stream, if anything is.
    fn news(&mut self, outcome: &Result<gst::Buffer, Dropped>) -> Option<Say> {
        let say = match (outcome, &self.key) {
            (Ok(_), Some((index, _))) if self.mode == SealMode::Seal => Say::Sealing(*index),
            (Ok(_), _) => Say::Clear,
            (Err(Dropped::Held), _) => Say::Holding,
            (Err(Dropped::Unsealed(SealError::NoKey)), _) => Say::NoKey,
            (Err(dropped), _) => Say::Failing(*dropped),
        };
        if self.said == Some(say)
            || matches!(say, Say::Failing(_)) && !self.failure_notice.due(Instant::now())
        {
            return None;
        }
        self.said = Some(say);
        Some(say)
    }

    /// Whether a dropped frame leaves a hole that only a key frame can close.
    fn wants_key_unit(&mut self, dropped: Dropped) -> bool {
        let audio = self.stream.as_ref().is_some_and(|s| s.codec == Codec::Opus);
        match dropped {
            // Key frames would be dropped like all others; they are forced when the cause is gone.
            Dropped::Held | Dropped::Unsealed(SealError::NoKey | SealError::IvExhausted) => false,
            _ => !audio && self.key_unit.due(Instant::now()),
        }
    }
}

impl AvcCaps {
    /// Takes what upstream says; gives the caps to send at once when the parameter sets are known
    /// already.
    fn begin(&mut self, base: gst::Caps) -> Option<gst::Caps> {
        self.base = Some(base);
        self.complete()
    }

    /// The caps of the stream as far as it is known.
    fn complete(&self) -> Option<gst::Caps> {
        let mut caps = self.base.clone()?;
        caps.make_mut()
            .set("codec_data", avc::codec_data(&self.header)?);
        Some(caps)
    }

    /// Follows the parameter sets; puts what has to leave before this frame into `events`. False when
    /// the frame cannot leave, since nobody could tell downstream what it is.
    fn follow(&mut self, frame: &gst::Buffer, events: &mut Vec<gst::Event>) -> bool {
        let Ok(map) = frame.map_readable() else {
            return false;
        };
        let Some(header) = avc::header(&map) else {
            return false;
        };
        if header.is_empty() || header == self.header {
            return !self.header.is_empty();
        }
        if avc::codec_data(header).is_none() {
            return !self.header.is_empty();
        }
        self.header.clear();
        self.header.extend_from_slice(header);
        let Some(caps) = self.complete() else {
            return false;
        };
        events.push(gst::event::Caps::new(&caps));
        events.append(&mut self.waiting);
        true
    }
}

impl Say {
    fn state(self) -> &'static str {
        match self {
            Self::Holding => "holding",
            Self::NoKey => "no-key",
            Self::Sealing(_) => "sealing",
            Self::Clear => "clear",
            Self::Failing(_) => "failing",
        }
    }
}

impl std::fmt::Display for Say {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Holding => f.write_str("frames are held until the mode is seal or clear"),
            Self::NoKey => SealError::NoKey.fmt(f),
            Self::Sealing(index) => write!(f, "frames leave sealed with key index {index}"),
            Self::Clear => f.write_str("frames leave clear"),
            Self::Failing(dropped) => dropped.fmt(f),
        }
    }
}

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Held => f.write_str("the mode is hold"),
            Self::Unsealed(error) => error.fmt(f),
            Self::NoParameterSets => SealError::NoParameterSets.fmt(f),
        }
    }
}

/// A sealed frame as its receiver will find it.
fn reopened(key: &(KeyIndex, FrameKey), sealed: &[u8]) -> Option<Vec<u8>> {
    let mut opener = Opener::new(Codec::H264, Replay::Window);
    opener.keys().set(key.0, key.1.clone());
    let mut frame = sealed.to_vec();
    let context = FrameContext {
        gap: false,
        now: Duration::ZERO,
    };
    let length = opener.open(&mut frame, &context).ok()?;
    frame.truncate(length);
    Some(frame)
}

#[glib::object_subclass]
impl ObjectSubclass for FrameEncrypt {
    const NAME: &'static str = "GstRoomsealFrameEncrypt";
    type Type = super::FrameEncrypt;
    type ParentType = gst::Element;

    fn with_class(class: &Self::Class) -> Self {
        let template = |name| {
            class
                .pad_template(name)
                .expect("the class has this template, see below")
        };
        let sinkpad = gst::Pad::builder_from_template(&template("sink"))
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
            .query_function(|pad, parent, query| {
                Self::catch_panic_pad_function(parent, || false, |this| this.query(pad, query))
            })
            .build();
        let srcpad = gst::Pad::builder_from_template(&template("src"))
            .query_function(|pad, parent, query| {
                Self::catch_panic_pad_function(parent, || false, |this| this.query(pad, query))
            })
            .build();
        Self {
            srcpad,
            sinkpad,
            settings: Mutex::default(),
            state: Mutex::default(),
        }
    }
}

impl ObjectImpl for FrameEncrypt {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecString::builder("keys-file")
                    .nick("Keys file")
                    .blurb(
                        "File with the key to seal with: key-index = 0 to 15, then passphrase = \
                         \"...\" or raw-key-hex = \"...\"; mode 0600 and your own; the last key counts",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("mode", SealMode::default())
                    .nick("Mode")
                    .blurb("What may leave; nothing does until this is set")
                    .mutable_playing()
                    .build(),
                glib::ParamSpecInt::builder("key-index")
                    .nick("Key index")
                    .blurb("Slot of the key in use, -1 without a key")
                    .minimum(-1)
                    .maximum(KeyIndex::COUNT as i32 - 1)
                    .default_value(-1)
                    .read_only()
                    .build(),
                glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                    .nick("Statistics")
                    .blurb("Frames so far: sealed, clear, held, dropped")
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
            "key-index" => self
                .key_index()
                .map_or(-1, |index| i32::from(u8::from(index)))
                .to_value(),
            "stats" => {
                let counters = self.counters();
                gst::Structure::builder("frameencrypt-stats")
                    .field("sealed", counters.sealed)
                    .field("clear", counters.clear)
                    .field("held", counters.held)
                    .field("dropped", counters.dropped)
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

impl GstObjectImpl for FrameEncrypt {}

impl ElementImpl for FrameEncrypt {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Frame sealer",
                "Filter/Encryptor/Network",
                "Seals encoded VP8, H.264 and Opus frames end to end in LiveKit's format, \
                 between encoder and payloader",
                "The Roomseal developers",
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static PAD_TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            vec![
                caps::template("src", gst::PadDirection::Src, "avc"),
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
        if transition == gst::StateChange::PausedToReady
            && let Some(stream) = &mut self.state().stream
        {
            stream.avc = AvcCaps::default();
        }
        Ok(success)
    }
}
