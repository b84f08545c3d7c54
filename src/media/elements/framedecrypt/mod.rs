// SPDX-License-Identifier: MIT OR Apache-2.0

//! `framedecrypt`: opens every sealed frame between depayloader and decoder.
//!
//! Takes VP8, Opus or H.264 (byte-stream, whole access units) in LiveKit's sealed format and puts out
//! what was sealed, in place where the frame's memory allows it. A frame that does not open is
//! dropped, counted by its [`Verdict`], and makes the next frame DISCONT. DISCONT on a frame that
//! comes in is taken as a gap in the packets.
//!
//! What is played is the [`OpenMode`]'s decision. It begins with *require*: only frames that open. In
//! *allow-clear* clear frames pass too. A sealed frame is told from a clear one by its last two bytes,
//! which one clear frame in four thousand has by chance; therefore a single frame among clear ones
//! that looks sealed and does not open is passed as clear.
//!
//! # Key frames
//!
//! A video decoder fed with a frame whose predecessor was dropped smears the picture until the next
//! key frame. So at the beginning and after a frame that did not open, delta frames are *withheld*
//! until a key frame opens, but for one second at most, should the sender never send one. Withheld
//! frames count as opened, since they did. A key frame is asked for upstream, twice a second at most:
//! when a frame fails for a reason that may pass (not for a missing key, which a key frame does not
//! bring), when a delta frame is withheld, and when a delta frame follows a gap.
//!
//! # Messages
//!
//! When what happens to frames changes, an element message `roomseal-framedecrypt` is posted:
//! `verdict` is the name of a [`TrackVerdict`], `opened` and `refused` count frames, `reason` says it
//! in words. The first of each kind is posted at once, and so is the first frame that passes by new keys or
//! rules; repetitions twice a second at most. A stream that ends without one frame opened ends with a
//! warning.
//!
//! # Log
//!
//! At TRACE each opened frame is logged as `frame digest=… len=… pts=…`: 16 hex digits of the plain
//! frame's SHA-256, its length in bytes, its time stamp in nanoseconds or `none`. `frameencrypt` logs
//! the same of each frame that it sealed.
//!
//! # Example
//!
//! ```text
//! gst-launch-1.0 videotestsrc num-buffers=90 ! vp8enc deadline=1 ! frameencrypt keys-file=room.keys mode=seal ! \
//!     framedecrypt keys-file=room.keys ! vp8dec ! fakesink
//! ```
//!
//! Lines with RTP in between are at `frameencrypt` and `rtpvp8opaquepay`.

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use roomseal_e2ee::{FrameKey, KeyIndex, KeyRing, OpenCounters, PREFIX_LEN, Replay, Verdict};

mod imp;
mod state;

/// What `framedecrypt` lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstRoomsealOpenMode")]
pub enum OpenMode {
    /// Nothing passes: the sender is not verified yet.
    #[enum_value(name = "Hold: drop every frame", nick = "hold")]
    Hold,
    /// Frames pass that were sealed and opened; all others are dropped.
    #[default]
    #[enum_value(name = "Require: only frames that open", nick = "require")]
    Require,
    /// Clear frames pass until the first sealed frame opens; from then on as *require*.
    #[enum_value(name = "Grace: clear frames until one opens", nick = "grace")]
    Grace,
    /// Clear frames pass as well: the host has turned encryption off.
    #[enum_value(
        name = "Allow clear: frames that open, and clear ones",
        nick = "allow-clear"
    )]
    AllowClear,
}

/// What happened to the newest frame of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackVerdict {
    /// It was sealed and opened.
    Opened,
    /// It was clear and passed, as the mode allows.
    Clear,
    /// It was dropped unread, since the mode is *hold*.
    Held,
    /// It did not open and was dropped.
    Refused(Verdict),
}

impl TrackVerdict {
    /// Its name in messages; for refused frames also the name of its count in `stats`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Clear => "passed-clear",
            Self::Held => "held",
            Self::Refused(Verdict::Clear) => "clear",
            Self::Refused(Verdict::NoKey) => "no-key",
            Self::Refused(Verdict::Loss) => "loss",
            Self::Refused(Verdict::Unverified) => "unverified",
            Self::Refused(Verdict::Altered) => "altered",
            Self::Refused(Verdict::OtherKey) => "other-key",
            Self::Refused(Verdict::OtherTrack) => "other-track",
            Self::Refused(Verdict::Replayed) => "replayed",
            Self::Refused(Verdict::ServerInjected) => "server-injected",
            Self::Refused(Verdict::Malformed) => "malformed",
            Self::Refused(_) => "refused",
        }
    }
}

impl std::fmt::Display for TrackVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Opened => f.write_str("the frames open"),
            Self::Clear => f.write_str("the frames are clear, and clear ones may pass"),
            Self::Held => f.write_str("frames are held until the mode says otherwise"),
            Self::Refused(verdict) => verdict.fmt(f),
        }
    }
}

/// How frames are opened, where their sender proves what it says about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRules {
    /// What may pass. *Grace* is given once: asked for again before another mode, it stays spent.
    pub mode: OpenMode,
    /// What opens them.
    pub keys: KeyRing,
    /// What their IVs begin with; `None` takes any.
    pub iv_prefix: Option<[u8; PREFIX_LEN]>,
    /// Frames with a lower counter are replays.
    pub iv_floor: u32,
    /// The sender proved to have the key, which tells altered frames from a wrong key.
    pub confirmed: bool,
}

/// What happened to the frames of one `framedecrypt` since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecryptCounters {
    /// Frames that should open, each counted once by what came of it.
    pub frames: OpenCounters,
    /// Frames that passed as clear, in mode *grace* or *allow-clear*.
    pub passed_clear: u64,
    /// Video frames among those that opened or passed which were not pushed, since the decoder had
    /// no picture to apply them to.
    pub withheld: u64,
    /// Frames dropped unread because the mode is *hold*.
    pub held: u64,
}

glib::wrapper! {
    /// The element; see the [module](self) for what it does.
    pub struct FrameDecrypt(ObjectSubclass<imp::FrameDecrypt>)
        @extends gst::Element, gst::Object;
}

impl Default for FrameDecrypt {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl FrameDecrypt {
    /// A new element in mode *require*, without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens with these keys instead of those it had.
    pub fn set_keys(&self, keys: KeyRing) {
        self.imp().set_keys(keys);
    }

    /// Puts a key into a slot.
    pub fn set_key(&self, index: KeyIndex, key: FrameKey) {
        self.imp().set_key(index, key);
    }

    /// Empties a slot.
    pub fn remove_key(&self, index: KeyIndex) {
        self.imp().remove_key(index);
    }

    /// Opens by other rules from the next frame on; no frame meets a part of them.
    pub fn set_rules(&self, rules: OpenRules) {
        self.imp().set_rules(rules);
    }

    /// Says what may pass from the next frame on.
    pub fn set_mode(&self, mode: OpenMode) {
        self.imp().set_mode(mode);
    }

    /// What may pass now; *grace* turns into *require* by itself.
    pub fn mode(&self) -> OpenMode {
        self.imp().mode()
    }

    /// Bytes that the server ends its own frames with (`JoinResponse.sif_trailer`); such frames are
    /// dropped in every mode.
    pub fn set_sif_trailer(&self, trailer: Vec<u8>) {
        self.imp().set_sif_trailer(trailer);
    }

    /// How replays are told, for codecs the track has not had yet: to be set before the stream begins.
    /// Without it the sender's kind is told from its first frames.
    pub fn set_replay(&self, replay: Replay) {
        self.imp().set_replay(replay);
    }

    /// Opens only frames whose IV begins with these bytes, as the sender said of this track; `None`
    /// takes any.
    pub fn set_iv_prefix(&self, prefix: Option<[u8; PREFIX_LEN]>) {
        self.imp().set_iv_prefix(prefix);
    }

    /// Refuses frames whose IV ends in a lower number: they are older than the sender's word on where it
    /// stands.
    pub fn set_iv_floor(&self, counter: u32) {
        self.imp().set_iv_floor(counter);
    }

    /// Whether the sender proved to have the key, which tells altered frames from a wrong key.
    pub fn set_peer_confirmed(&self, confirmed: bool) {
        self.imp().set_peer_confirmed(confirmed);
    }

    /// Whether replays of old frames would open, as with senders of random IVs; none before the stream
    /// has caps.
    pub fn replay_is_bounded(&self) -> Option<bool> {
        self.imp().replay_is_bounded()
    }

    /// What happened to the newest frame; none before the first.
    pub fn verdict(&self) -> Option<TrackVerdict> {
        self.imp().verdict()
    }

    /// When a frame last passed as clear.
    pub fn passed_clear_at(&self) -> Option<std::time::Instant> {
        self.imp().passed_clear_at()
    }

    /// What happened to the frames so far.
    pub fn counters(&self) -> DecryptCounters {
        self.imp().counters()
    }
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "framedecrypt",
        // Never picked by auto-plugging: whose keys open a track is a decision.
        gst::Rank::NONE,
        FrameDecrypt::static_type(),
    )
}
