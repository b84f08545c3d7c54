// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sealed frames to and from a meeting service over WebRTC.
//!
//! A [`Transport`] is one membership of one room: a publisher connection that we offer, and a
//! subscriber connection that the service offers. It carries *sealed* frames only and knows no
//! key. [`WebRtcBin`] is the implementation on GStreamer's `webrtcbin`.
//!
//! How a call uses it:
//!
//! 1. [`warm_up`] once, when the process starts (it makes the DTLS key in the background).
//! 2. [`WebRtcBin::new`] with the ICE servers of the join response and a function for events.
//! 3. For each track: [`Transport::add_track`] gives the `cid` for the service's `AddTrackRequest`;
//!    once the service has answered `track_published` for all of them, [`Transport::negotiate`].
//! 4. Everything the service says about sessions goes in through [`Transport::remote_offer`],
//!    [`Transport::remote_answer`] and [`Transport::remote_candidate`]; what we have to say comes
//!    out as [`TransportEvent`]s.
//! 5. Sealed frames go in through [`Transport::push`] and come out as [`TransportEvent::Frame`].
//! 6. To publish anew without a gap: [`Transport::add_track`] and [`Transport::negotiate`] while the
//!    old track goes on; at [`TransportEvent::Negotiated`] push to the new one, then
//!    [`Transport::remove_track`] the old one and negotiate again.
//! 7. [`Transport::close`], or drop.
//!
//! Nothing is sent, and nothing that arrives is handed on, before DTLS is connected *and* the
//! certificate of the peer has the fingerprint of its session description. A peer that fails this
//! or sends a session description we cannot accept ends in [`TransportEvent::Refused`]: the
//! transport is then closed for good and the call decides whether to join again with a new one.
//!
//! Buffers: one buffer is one sealed frame. Time stamps are running time on the shared clock
//! ([`crate::clock`]); key frames lack `DELTA_UNIT`. H.264 is taken as Annex B with 4-byte start
//! codes or as AVC with 4-byte lengths, and comes out as Annex B with 4-byte start codes. Opus
//! buffers should carry a `GstAudioLevelMeta`, or nobody sees who speaks.

mod bandwidth;
mod webrtcbin;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use roomseal_e2ee::Codec;

pub use webrtcbin::{WebRtcBin, WebRtcConfig, warm_up};

use crate::sdp::SdpRefused;

/// The number of a track of ours, chosen by whoever captures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTrackId(pub u32);

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
}

impl From<Codec> for MediaKind {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::Opus => Self::Audio,
            Codec::H264 | Codec::Vp8 => Self::Video,
        }
    }
}

/// Which of the two connections a message belongs to, as in LiveKit's `SignalTarget`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The connection on which we send; we offer.
    Publisher,
    /// The connection on which we receive; the service offers.
    Subscriber,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publisher => "publisher",
            Self::Subscriber => "subscriber",
        })
    }
}

/// A track that we send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishTrack {
    /// Our number for it.
    pub local: LocalTrackId,
    /// The codec of its frames; also says whether it is audio or video.
    pub codec: Codec,
    /// Name of the media stream it belongs to (tracks of one stream are played in step), for
    /// instance `camera`. Letters, digits, `-` and `_`.
    pub stream: String,
    /// Picture size in pixels; `None` for audio.
    pub size: Option<(u32, u32)>,
    /// Pictures per second; `None` for audio.
    pub framerate: Option<u32>,
}

impl PublishTrack {
    /// Whether it is audio or video.
    pub fn kind(&self) -> MediaKind {
        self.codec.into()
    }
}

/// An offer of the service for the subscriber connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOffer {
    /// The session description.
    pub sdp: String,
    /// The offer's number, which the answer repeats.
    pub id: u32,
    /// Which track (`TR_...`) each section of the description carries, by its `mid`.
    pub mid_to_track: HashMap<String, String>,
}

/// One entry of `ice_servers` in the join response.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:host:port` or `turn:host:port?transport=udp|tcp`.
    pub urls: Vec<String>,
    /// User name, empty for STUN.
    pub username: String,
    /// Password, empty for STUN.
    pub credential: String,
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

/// What a transport tells its call.
#[derive(Clone, Debug)]
pub enum TransportEvent {
    /// Send this offer with target publisher.
    LocalOffer {
        /// The session description.
        sdp: String,
        /// Number that the service's answer will repeat.
        id: u32,
    },
    /// Send this answer with target subscriber.
    LocalAnswer {
        /// The session description.
        sdp: String,
        /// Number of the offer it answers.
        id: u32,
    },
    /// Send this ICE candidate.
    LocalCandidate {
        /// The connection it belongs to.
        target: Target,
        /// JSON of an `RTCIceCandidateInit`.
        init_json: String,
    },
    /// The service answered an offer: these tracks are what it expects from us now, and the others
    /// it no longer does.
    Negotiated {
        /// Our tracks in that offer.
        tracks: Vec<LocalTrackId>,
    },
    /// The connection stands and its peer is the one of the session description.
    Connected {
        /// Which connection.
        target: Target,
    },
    /// The connection broke and will not heal alone: restart ICE or join again.
    Failed {
        /// Which connection.
        target: Target,
        /// What happened.
        reason: String,
    },
    /// Somebody needs a key frame of this track.
    KeyFrameRequested {
        /// Our track.
        local: LocalTrackId,
    },
    /// What the network towards the service carries just now, for all our video together.
    BitrateEstimate {
        /// Bits per second.
        bps: u32,
    },
    /// Frames of a remote track begin to arrive.
    RemoteTrack {
        /// The track (`TR_...`).
        sid: Arc<str>,
        /// Codec of the frames that follow.
        codec: Codec,
    },
    /// A sealed frame. Comes on a streaming thread: do not block.
    Frame {
        /// The track (`TR_...`).
        sid: Arc<str>,
        /// The frame; `DISCONT` is set when packets were lost before it.
        buffer: gst::Buffer,
    },
    /// The track is gone.
    RemoteTrackEnded {
        /// The track (`TR_...`).
        sid: Arc<str>,
    },
    /// Messages can be sent: the publisher's channels are open and their peer is verified.
    DataOpen,
    /// A message on a data channel, as it came.
    Data {
        /// Whether it came on the ordered, reliable channel.
        reliable: bool,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The peer is not who it says, or sent what we cannot accept. The transport is closed.
    Refused {
        /// What was wrong.
        reason: Refusal,
    },
}

/// Takes events; called on the transport's own thread, and for [`TransportEvent::RemoteTrack`],
/// [`TransportEvent::Frame`], [`TransportEvent::Data`], [`TransportEvent::KeyFrameRequested`] and
/// [`TransportEvent::BitrateEstimate`] on streaming threads. It must not block, must not call
/// [`Transport::close`] and must not drop the transport.
pub type EventSink = Arc<dyn Fn(TransportEvent) + Send + Sync>;

/// Why a peer was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its session description breaks a rule.
    #[error("the service sent a session description that is refused: {0}")]
    Sdp(#[from] SdpRefused),
    /// Its certificate is not the one of the session description: somebody is in between.
    #[error(
        "the {target} connection ends at somebody else: its certificate has fingerprint {found}, \
         announced was {announced}; check the network between here and the service"
    )]
    Fingerprint {
        /// Which connection.
        target: Target,
        /// SHA-256 of the certificate shown, as in a session description.
        found: String,
        /// The fingerprint of the session description.
        announced: String,
    },
    /// It showed no certificate that could be checked.
    #[error("the {target} connection showed no certificate that could be checked")]
    NoCertificate {
        /// Which connection.
        target: Target,
    },
}

/// Why a call on the transport failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The transport was closed, or closed itself after a refusal.
    #[error("the transport is closed; join the room again with a new one")]
    Closed,
    /// The track number is in use.
    #[error("track {0:?} is already published; remove it first")]
    DuplicateTrack(LocalTrackId),
    /// There is no such track.
    #[error("track {0:?} is not published")]
    UnknownTrack(LocalTrackId),
    /// The channel is not open, or its peer is not verified yet.
    #[error("the data channel is not open yet; wait until the publisher is connected")]
    DataNotOpen,
    /// The message exceeds what both sides carry without loss.
    #[error("a data message has {len} bytes, more than the {max} that a channel carries")]
    DataTooLong {
        /// Length of the message in bytes.
        len: usize,
        /// Greatest length in bytes.
        max: usize,
    },
    /// Too much waits to be sent.
    #[error("the data channel is congested; send again later")]
    DataCongested,
    /// GStreamer did not do what it was asked.
    #[error("GStreamer failed: {0}")]
    Pipeline(String),
}

/// Counters of one remote track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteTrackStats {
    /// RTP packets handed to the depayloader.
    pub packets: u64,
    /// RTP packets that never came.
    pub lost: u64,
    /// Packets dropped because they carried the service's own frames.
    pub server_injected: u64,
    /// Frames handed on.
    pub frames: u64,
}

/// Counters of one track of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalTrackStats {
    /// Frames given to the payloader.
    pub frames: u64,
    /// Frames dropped: before the peer was verified, before the first key frame after that, or
    /// because too much waits to be sent.
    pub dropped: u64,
}

/// State of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    /// The peer's certificate was checked and media may flow.
    pub verified: bool,
    /// ICE has found a way to the peer, who need not be verified yet.
    pub reached: bool,
    /// Time since both sides agreed on a session, while it has not come to stand for the first time
    /// (way found, transport keys agreed on, certificate checked); `None` before and afterwards.
    pub awaited: Option<Duration>,
    /// Time since the last packet of the peer (media, feedback or data); `None` before the first.
    /// On a publisher that sends, and on a subscriber with tracks, more than two seconds means
    /// trouble; `webrtcbin` itself notices far later.
    pub last_received: Option<Duration>,
    /// Packets received.
    pub packets_received: u64,
}

/// What a transport counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransportStats {
    /// The connection on which we send.
    pub publisher: ConnectionStats,
    /// The connection on which we receive.
    pub subscriber: ConnectionStats,
    /// Our tracks.
    pub local: HashMap<LocalTrackId, LocalTrackStats>,
    /// The tracks of others, by `TR_...`.
    pub remote: HashMap<Arc<str>, RemoteTrackStats>,
    /// What the network towards the service carries, in bits per second.
    pub bitrate_estimate: u32,
    /// Messages that a data channel delivered.
    pub data_received: u64,
    /// None of the addresses that the connections were made from is on this machine any more: a
    /// new cable, another network. Nothing but a new transport helps, or the old address.
    pub stranded: bool,
}

/// One membership of one room, as seen by media.
///
/// All functions return at once except [`Transport::add_track`], [`Transport::remove_track`] and
/// [`Transport::close`], which wait for the transport's own thread (usually some milliseconds):
/// never call those three from a streaming thread or from inside the event function.
pub trait Transport: Send + Sync {
    /// Makes place for a track; returns the `cid` for the service's `AddTrackRequest`.
    fn add_track(&self, track: PublishTrack) -> Result<String, TransportError>;

    /// Ends a track; call [`Transport::negotiate`] afterwards.
    fn remove_track(&self, local: LocalTrackId) -> Result<(), TransportError>;

    /// Makes a publisher offer, now or as soon as the one under way is answered.
    fn negotiate(&self);

    /// Sends a sealed frame. Dropped, and counted, while the peer is not verified.
    fn push(&self, local: LocalTrackId, frame: gst::Buffer);

    /// Takes an offer for the subscriber connection.
    fn remote_offer(&self, offer: RemoteOffer);

    /// Takes the answer to the publisher offer with number `id`.
    fn remote_answer(&self, sdp: String, id: u32);

    /// Takes a candidate of the service: JSON of an `RTCIceCandidateInit`.
    fn remote_candidate(&self, target: Target, init_json: String);

    /// Replaces the ICE servers; counts for connections made from now on.
    fn set_ice_servers(&self, servers: Vec<IceServer>);

    /// Sets the bytes by which the service marks frames of its own (`sif_trailer`): what ends in
    /// them is dropped. Empty: nothing is.
    fn set_sif_trailer(&self, trailer: Vec<u8>);

    /// Asks the sender of a remote track for a key frame; at most one request in half a second
    /// goes out. A request can be lost, so repeat it until the frame has come.
    fn request_key_frame(&self, sid: &str);

    /// Sends a message on the publisher's data channel.
    fn send_data(&self, reliable: bool, bytes: Vec<u8>) -> Result<(), TransportError>;

    /// Restarts ICE on the publisher with a new offer, after signalling was lost too: an offer that
    /// was not answered is replaced. Nothing happens while nothing is published.
    ///
    /// The subscriber's restart is the service's: it is followed when an offer brings new
    /// credentials.
    fn restart_ice(&self);

    /// What was counted so far.
    fn stats(&self) -> TransportStats;

    /// Ends both connections, publisher first. Idempotent.
    fn close(&self);
}
