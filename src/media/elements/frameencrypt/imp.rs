// SPDX-License-Identifier: MIT OR Apache-2.0

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::Instant;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use roomseal_e2ee::{FrameKey, KeyIndex};

use super::state::{Failure, Say, State};
use super::{EncryptCounters, SealMode};
use crate::elements::{caps, keys_file};

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "frameencrypt",
        gst::DebugColorFlags::empty(),
        Some("Seals encoded frames"),
    )
});

#[derive(Debug, Default)]
struct Settings {
    keys_file: Option<PathBuf>,
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
            state.set_key(Some((index, key)));
            state.mode == SealMode::Seal
        };
        gst::info!(CAT, imp = self, "sealing with key index {index}");
        if force {
            self.force_key_unit_later();
        }
    }

    pub(super) fn clear_send_key(&self) {
        self.state().set_key(None);
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
        self.state().key_index()
    }

    pub(super) fn iv_prefix(&self) -> Option<[u8; roomseal_e2ee::PREFIX_LEN]> {
        self.state().iv_prefix()
    }

    pub(super) fn iv_counter(&self) -> Option<u32> {
        self.state().iv_counter()
    }

    pub(super) fn clear_at(&self) -> Option<Instant> {
        self.state().clear_at
    }

    pub(super) fn counters(&self) -> EncryptCounters {
        self.state().counters
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
        let outcome = self.state().take(buffer, &self.obj());
        // From here on without the lock: neither the bus, nor upstream, nor downstream may find it held.
        let outcome = outcome.map_err(|failure| self.fail(failure))?;
        if let Some(say) = outcome.say {
            self.tell(say);
        }
        if outcome.key_unit {
            self.force_key_unit();
        }
        match outcome.frame {
            Ok(frame) => {
                for event in outcome.events {
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

    /// An empty buffer is time that passes without a frame.
    fn push_gap(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        if let Some(pts) = buffer.pts() {
            let gap = gst::event::Gap::builder(pts)
                .duration(buffer.duration())
                .build();
            self.sink_event(&self.sinkpad, gap);
        }
        Ok(gst::FlowSuccess::Ok)
    }

    fn sink_event(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        let event = match event.view() {
            gst::EventView::Caps(caps) => return self.set_caps(caps.caps_owned()),
            gst::EventView::FlushStop(_) => {
                self.state().release();
                event
            }
            gst::EventView::Eos(_) => {
                let waiting = self.state().release();
                for event in waiting {
                    self.srcpad.push_event(event);
                }
                event
            }
            gst::EventView::StreamStart(_) => event,
            _ if event.is_serialized() => match self.state().keep(event) {
                Some(event) => event,
                None => return true,
            },
            _ => event,
        };
        gst::Pad::event_default(pad, Some(&*self.obj()), event)
    }

    fn set_caps(&self, caps: gst::Caps) -> bool {
        let Some(codec) = caps::codec(&caps) else {
            gst::error!(CAT, imp = self, "no codec of ours in {caps}");
            return false;
        };
        let mut seed = [0; 12];
        if let Err(error) = getrandom::fill(&mut seed) {
            gst::element_imp_error!(
                self,
                gst::LibraryError::Failed,
                ("The system gives no random bytes ({error}), so nothing can be sealed")
            );
            return false;
        }
        let known = self.state().set_caps(codec, caps, seed);
        known.is_none_or(|caps| self.srcpad.push_event(gst::event::Caps::new(&caps)))
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
        if self.state().is_video() {
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
            .field("state", say.name())
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
        let path = self.settings().keys_file.clone();
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

    fn fail(&self, failure: Failure) -> gst::FlowError {
        match failure {
            Failure::NoCaps => {
                gst::element_imp_error!(self, gst::CoreError::Negotiation, ("{failure}"));
                gst::FlowError::NotNegotiated
            }
            Failure::Unreadable | Failure::NoMemory => {
                gst::element_imp_error!(self, gst::ResourceError::Failed, ("{failure}"));
                gst::FlowError::Error
            }
        }
    }
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
        if transition == gst::StateChange::PausedToReady {
            self.state().stop();
        }
        Ok(success)
    }
}
