// SPDX-License-Identifier: MIT OR Apache-2.0

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::Instant;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use roomseal_e2ee::{FrameKey, KeyIndex, KeyRing, PREFIX_LEN, Replay, Verdict};

use super::state::{Failure, State};
use super::{DecryptCounters, OpenMode, OpenRules, TrackVerdict};
use crate::elements::{caps, keys_file};

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "framedecrypt",
        gst::DebugColorFlags::empty(),
        Some("Opens sealed frames"),
    )
});

#[derive(Debug, Default)]
struct Settings {
    keys_file: Option<PathBuf>,
}

#[derive(Debug)]
pub struct FrameDecrypt {
    srcpad: gst::Pad,
    sinkpad: gst::Pad,
    settings: Mutex<Settings>,
    state: Mutex<State>,
}

impl FrameDecrypt {
    pub(super) fn set_keys(&self, keys: KeyRing) {
        self.state().change_keys(|ring| *ring = keys);
    }

    pub(super) fn set_key(&self, index: KeyIndex, key: FrameKey) {
        self.state().change_keys(|ring| ring.set(index, key));
    }

    pub(super) fn remove_key(&self, index: KeyIndex) {
        self.state().change_keys(|ring| ring.remove(index));
    }

    pub(super) fn set_rules(&self, rules: OpenRules) {
        self.state().set_rules(rules);
    }

    pub(super) fn set_mode(&self, mode: OpenMode) {
        let before = self.state().set_mode(mode);
        if before != mode {
            gst::info!(CAT, imp = self, "mode {before:?} -> {mode:?}");
        }
    }

    pub(super) fn mode(&self) -> OpenMode {
        self.state().mode()
    }

    pub(super) fn set_sif_trailer(&self, trailer: Vec<u8>) {
        self.state().set_sif_trailer(trailer);
    }

    pub(super) fn set_replay(&self, replay: Replay) {
        self.state().replay = Some(replay);
    }

    pub(super) fn set_iv_prefix(&self, prefix: Option<[u8; PREFIX_LEN]>) {
        self.state().set_iv_prefix(prefix);
    }

    pub(super) fn set_iv_floor(&self, counter: u32) {
        self.state().set_iv_floor(counter);
    }

    pub(super) fn set_peer_confirmed(&self, confirmed: bool) {
        self.state().set_peer_confirmed(confirmed);
    }

    pub(super) fn replay_is_bounded(&self) -> Option<bool> {
        self.state().replay_is_bounded()
    }

    pub(super) fn verdict(&self) -> Option<TrackVerdict> {
        self.state().verdict()
    }

    pub(super) fn passed_clear_at(&self) -> Option<Instant> {
        self.state().passed_clear_at()
    }

    pub(super) fn counters(&self) -> DecryptCounters {
        self.state().counters()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the state")
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings
            .lock()
            .expect("nothing panics while it holds the settings")
    }

    fn sink_chain(&self, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        if buffer.size() == 0 {
            return self.push_gap(&buffer);
        }
        let outcome = self.state().take(buffer, Instant::now(), &self.obj());
        // From here on without the lock: neither the bus, nor upstream, nor downstream may find it held.
        let outcome = outcome.map_err(|failure| self.fail(failure))?;
        if let Some(counters) = outcome.notice {
            self.tell(outcome.verdict, &counters);
        }
        if outcome.key_unit && !self.sinkpad.push_event(caps::force_key_unit()) {
            gst::debug!(CAT, imp = self, "nobody upstream asks for key frames");
        }
        match outcome.frame {
            Some(frame) => self.srcpad.push(frame),
            None => {
                gst::debug!(CAT, imp = self, "frame not pushed: {}", outcome.verdict);
                Ok(gst::FlowSuccess::Ok)
            }
        }
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
            gst::EventView::Caps(caps) => {
                let Some(codec) = caps::codec(caps.caps()) else {
                    gst::error!(CAT, imp = self, "no codec of ours in {}", caps.caps());
                    return false;
                };
                self.state().set_codec(codec);
            }
            gst::EventView::Eos(_) => self.warn_if_nothing_opened(),
            gst::EventView::FlushStop(_) => self.state().restart(),
            _ => {}
        }
        gst::Pad::event_default(pad, Some(&*self.obj()), event)
    }

    /// Without this, a pipeline with the wrong key ends as quietly as one with the right one.
    fn warn_if_nothing_opened(&self) {
        let (counters, verdict) = {
            let state = self.state();
            (state.counters(), state.verdict())
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
        let path = self.settings().keys_file.clone();
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

    fn fail(&self, failure: Failure) -> gst::FlowError {
        match failure {
            Failure::NoCaps => {
                gst::element_imp_error!(self, gst::CoreError::Negotiation, ("{failure}"));
                gst::FlowError::NotNegotiated
            }
            Failure::Unreadable => {
                gst::element_imp_error!(self, gst::ResourceError::Failed, ("{failure}"));
                gst::FlowError::Error
            }
        }
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
                self.settings().keys_file = path.map(PathBuf::from);
            }
            "mode" => self.set_mode(value.get().expect("type checked upstream")),
            _ => unimplemented!(),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "keys-file" => {
                let settings = self.settings();
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
                    .field(refused(Verdict::OtherTrack), counters.frames.other_track)
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
            self.state().restart();
        }
        Ok(success)
    }
}
