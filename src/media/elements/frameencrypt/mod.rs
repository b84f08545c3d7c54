// SPDX-License-Identifier: MIT OR Apache-2.0

//! `frameencrypt`: seals every encoded frame between encoder and payloader.
//!
//! Takes VP8, Opus or H.264 (byte-stream, whole access units) and puts out the same frames sealed
//! in LiveKit's format; H.264 comes out as `stream-format=avc`, whose lengths `rtph264pay` leaves
//! alone, and with its caps once the first key frame has told the parameter sets. Time stamps,
//! flags and metas stay on the frames. One buffer is allocated per frame, and no lock is held while
//! it is pushed.
//!
//! What may leave is the [`SealMode`]'s decision. It begins with *hold*: nothing leaves. In *seal* a
//! frame that cannot be sealed is dropped and counted, never sent as it is, and the encoder is asked
//! for a key frame, twice a second at most. A new key forces a key frame, so that a receiver who
//! missed the change has something to begin with. An empty buffer carries no frame and becomes a GAP
//! event; Opus' one- and two-byte frames of silence are sealed like any other.
//!
//! # Messages
//!
//! When what happens to frames changes, an element message `roomseal-frameencrypt` is posted:
//! `state` is `holding`, `no-key`, `sealing`, `clear` or `failing`, `key-index` the slot in use or -1,
//! `reason` says why nothing leaves.
//!
//! # Log
//!
//! At TRACE each sealed frame is logged as `frame digest=… len=… pts=…` (see `framedecrypt`, which
//! logs the same of each frame it opened): 16 hex digits of the plain frame's SHA-256. For H.264 that
//! is the frame in the normal form in which it will be found again.
//!
//! # Examples
//!
//! `room.keys` (mode 0600) holds one line, `passphrase = "correct horse"`. Each pipeline ends by
//! itself; with `GST_DEBUG=frame*:4` it says what happens to the frames, and with another key in the
//! second file it warns that none of them opened.
//!
//! ```text
//! gst-launch-1.0 videotestsrc num-buffers=90 ! vp8enc deadline=1 ! frameencrypt keys-file=room.keys mode=seal ! \
//!     framedecrypt keys-file=room.keys ! vp8dec ! fakesink
//!
//! gst-launch-1.0 audiotestsrc num-buffers=90 ! opusenc ! frameencrypt keys-file=room.keys mode=seal ! rtpopuspay ! \
//!     rtpopusdepay ! framedecrypt keys-file=room.keys ! opusdec ! fakesink
//!
//! gst-launch-1.0 videotestsrc num-buffers=90 ! video/x-raw,format=I420 ! x264enc tune=zerolatency bitrate=1000 ! \
//!     video/x-h264,profile=constrained-baseline ! h264parse config-interval=-1 ! \
//!     video/x-h264,stream-format=byte-stream,alignment=au ! frameencrypt keys-file=room.keys mode=seal ! \
//!     rtph264pay config-interval=0 aggregate-mode=zero-latency mtu=1200 pt=96 ! \
//!     capssetter replace=true join=false \
//!         caps="application/x-rtp,media=(string)video,encoding-name=(string)H264,clock-rate=(int)90000,payload=(int)96" ! \
//!     rtph264depay ! video/x-h264,stream-format=byte-stream,alignment=au ! \
//!     framedecrypt keys-file=room.keys ! h264parse ! avdec_h264 ! fakesink
//! ```
//!
//! The `capssetter` takes `sprop-parameter-sets` away, which would make the depayloader insert
//! parameter sets that the seal does not cover. VP8 over RTP is shown at `rtpvp8opaquepay`.

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use roomseal_e2ee::{FrameKey, KeyIndex};

mod avc_caps;
mod imp;
mod state;

/// What `frameencrypt` lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstRoomsealSealMode")]
pub enum SealMode {
    /// Nothing leaves: the policy is not known yet.
    #[default]
    #[enum_value(name = "Hold: drop every frame", nick = "hold")]
    Hold,
    /// Frames leave sealed or not at all.
    #[enum_value(name = "Seal: sealed frames only", nick = "seal")]
    Seal,
    /// Frames leave as they are: the host has turned encryption off.
    #[enum_value(name = "Clear: frames pass unsealed", nick = "clear")]
    Clear,
}

/// What happened to the frames of one `frameencrypt` since it was made; each is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncryptCounters {
    /// Frames that left sealed.
    pub sealed: u64,
    /// Frames that left as they were, in mode *clear*.
    pub clear: u64,
    /// Frames dropped because the mode is *hold*.
    pub held: u64,
    /// Frames dropped because they could not be sealed, or (H.264) came before any parameter sets.
    pub dropped: u64,
}

glib::wrapper! {
    /// The element; see the [module](self) for what it does.
    pub struct FrameEncrypt(ObjectSubclass<imp::FrameEncrypt>)
        @extends gst::Element, gst::Object;
}

impl Default for FrameEncrypt {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl FrameEncrypt {
    /// A new element in mode *hold*, without a key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Seals all following frames with this key and asks the encoder for a key frame.
    ///
    /// Does not wait for the stream; the request goes out on one of GStreamer's own threads.
    pub fn set_send_key(&self, index: KeyIndex, key: FrameKey) {
        self.imp().set_send_key(index, key);
    }

    /// Forgets the key: in mode *seal* nothing leaves until the next one is set.
    pub fn clear_send_key(&self) {
        self.imp().clear_send_key();
    }

    /// Says what may leave from the next frame on; frames begin again with a key frame.
    pub fn set_mode(&self, mode: SealMode) {
        self.imp().set_mode(mode);
    }

    /// What may leave now.
    pub fn mode(&self) -> SealMode {
        self.imp().mode()
    }

    /// The slot of the key in use.
    pub fn send_key_index(&self) -> Option<KeyIndex> {
        self.imp().key_index()
    }

    /// The bytes that every IV of this track begins with; none before the stream has caps.
    pub fn iv_prefix(&self) -> Option<[u8; roomseal_e2ee::PREFIX_LEN]> {
        self.imp().iv_prefix()
    }

    /// The counter of this track's next IV, or one that is lower by what is sealed just now; none before
    /// the stream has caps, and when the counter has ended.
    pub fn iv_counter(&self) -> Option<u32> {
        self.imp().iv_counter()
    }

    /// When a frame last left as it was. None does after [`FrameEncrypt::set_mode`] has returned with
    /// another mode than *clear*.
    pub fn clear_at(&self) -> Option<std::time::Instant> {
        self.imp().clear_at()
    }

    /// What happened to the frames so far.
    pub fn counters(&self) -> EncryptCounters {
        self.imp().counters()
    }
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "frameencrypt",
        // Never picked by auto-plugging: where frames are sealed is a decision.
        gst::Rank::NONE,
        FrameEncrypt::static_type(),
    )
}
