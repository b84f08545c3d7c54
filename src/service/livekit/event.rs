// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the session tells its owner.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{
    error::Error,
    participant::{Participant, Quality, Track},
    secret::Secret,
};

/// Something happened. In the order in which it happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// An attempt to reach the server starts.
    Connecting {
        /// 1 for the first attempt since the last stable connection.
        attempt: u32,
    },
    /// A room was joined from zero. Publish everything anew.
    Joined(Box<JoinInfo>),
    /// The signalling connection is back and the session goes on: restart ICE on the publisher; the
    /// server does so on the subscriber.
    Resumed(ResumeInfo),
    /// The server offers the subscriber connection; answer with the same `id`.
    Offer(Description),
    /// The server answers the publisher's offer.
    Answer(Description),
    /// An ICE candidate of the server.
    Trickle {
        /// Which connection it is for.
        target: Target,
        /// An `RTCIceCandidateInit` as JSON.
        init_json: String,
        /// No more will follow.
        last: bool,
    },
    /// The server took a track: send the publisher's offer now.
    TrackPublished {
        /// The client id of the request.
        cid: String,
        /// What the server made of it.
        track: Track,
    },
    /// The server has ended one of our tracks.
    TrackUnpublished {
        /// Its sid.
        sid: String,
    },
    /// Somebody has subscribed to one of our tracks for the first time.
    TrackSubscribed {
        /// Its sid.
        sid: String,
    },
    /// These participants came, changed or left (see their `state`). Those not named are unchanged.
    /// The local one is among them when it changes.
    Participants(Vec<Participant>),
    /// The server has muted one of our tracks, or asks to unmute it.
    Mute {
        /// Its sid.
        sid: String,
        /// What is asked for.
        muted: bool,
    },
    /// The room's metadata or its recording state changed.
    Room(RoomInfo),
    /// Who speaks changed. Those not named are unchanged.
    Speakers(Vec<Speaker>),
    /// How well connections are changed.
    Quality(Vec<LinkQuality>),
    /// Which layers of one of our tracks anybody wants.
    SubscribedQuality {
        /// Its sid.
        sid: String,
        /// Per codec. Layers not named are unchanged.
        codecs: Vec<WantedLayers>,
    },
    /// The server has paused or restarted tracks towards us for lack of bandwidth.
    StreamState(Vec<StreamState>),
    /// A track cannot be received.
    SubscriptionError {
        /// Its sid.
        sid: String,
        /// Why.
        error: SubscriptionError,
    },
    /// We may or may no longer receive a track.
    SubscriptionPermission {
        /// The publisher's sid.
        participant_sid: String,
        /// The track's sid.
        track_sid: String,
        /// Whether we may.
        allowed: bool,
    },
    /// The server gave a new token for coming back with.
    TokenRefreshed,
    /// The connection was lost and is being made again.
    Reconnecting {
        /// Why it was lost.
        reason: Reason,
        /// Whether the session may go on. If not, [`Event::RestartMedia`] follows.
        resume: bool,
    },
    /// The session is over and a new one begins: close both peer connections now and make new ones
    /// after the next [`Event::Joined`]. All track and participant sids are void.
    RestartMedia,
    /// There is no connection.
    Disconnected {
        /// Why; its text says what to do.
        reason: Reason,
        /// Whether it is tried again. If not, this is the last event.
        will_retry: bool,
    },
    /// The server refused something that was asked for.
    RequestRefused {
        /// What was asked for.
        request: String,
        /// The server's word for the reason, for example `NOT_ALLOWED`.
        reason: String,
        /// The server's text, cleaned and shortened; may be empty.
        message: String,
    },
    /// The server sent something that is no message. It was ignored.
    Garbage {
        /// What it was.
        what: Garbage,
        /// How many on this connection so far; too many end it.
        count: u32,
    },
}

/// What a join answers.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinInfo {
    /// Counts the joins of this client. See [`super::Handle::for_join`].
    pub join: u64,
    /// The room.
    pub room: RoomInfo,
    /// This client.
    pub local: Participant,
    /// The others who are there already.
    pub others: Vec<Participant>,
    /// STUN and TURN servers for both connections.
    pub ice_servers: Vec<IceServer>,
    /// The end by which the frames that the server itself makes up are known; drop them. Empty when
    /// there is none.
    pub sif_trailer: Vec<u8>,
    /// The subscriber connection is the first one and will be offered without being asked for.
    pub subscriber_primary: bool,
    /// How often the server is asked whether it is there.
    pub ping_interval: Duration,
    /// After how much silence the connection counts as lost.
    pub ping_timeout: Duration,
    /// For example `1.13.5`.
    pub server_version: String,
    /// May be empty.
    pub server_region: String,
    /// MIME types that may be published, for example `video/VP8`.
    pub publish_codecs: Vec<String>,
    /// The publisher connection may be set up at once instead of with the first track.
    pub fast_publish: bool,
}

/// What a resume answers.
#[derive(Clone, Debug, PartialEq)]
pub struct ResumeInfo {
    /// STUN and TURN servers, with new credentials.
    pub ice_servers: Vec<IceServer>,
    /// The last reliable data packet of ours that the server has seen: send the later ones again.
    pub last_reliable_sequence: u32,
}

/// The room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomInfo {
    /// `RM_...`; may be empty at first.
    pub sid: String,
    /// Its name.
    pub name: String,
    /// Free text set by its administrator.
    pub metadata: String,
    /// How many people the server counts.
    pub participants: u32,
    /// Whether the server says that it records the room.
    pub recording: bool,
}

/// One STUN or TURN server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:`, `turn:` and `turns:` addresses.
    pub urls: Vec<String>,
    /// May be empty.
    pub username: String,
    /// May be empty.
    pub credential: Secret,
}

/// A session description of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The SDP text, unchecked.
    pub sdp: String,
    /// Number of the offer; the answer carries the same.
    pub id: u32,
    /// Which media section (`a=mid`) carries which track sid.
    pub mid_to_track: BTreeMap<String, String>,
}

/// Which of the two peer connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The one we send on.
    Publisher,
    /// The one we receive on.
    Subscriber,
}

/// How loud a participant is.
#[derive(Clone, Debug, PartialEq)]
pub struct Speaker {
    /// The participant's sid.
    pub participant_sid: String,
    /// 0 to 1, 1 is loudest.
    pub level: f32,
    /// Whether it speaks.
    pub active: bool,
}

/// How well a participant is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkQuality {
    /// The participant's sid.
    pub participant_sid: String,
    /// The server's verdict.
    pub grade: LinkGrade,
}

/// The server's verdict on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkGrade {
    /// Nothing arrives.
    Lost,
    /// Much is lost.
    Poor,
    /// Some is lost.
    Good,
    /// All is well.
    Excellent,
}

/// Which layers of a codec anybody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedLayers {
    /// For example `vp8`; empty when the server does not say.
    pub codec: String,
    /// Layer and whether it is wanted.
    pub layers: Vec<(Quality, bool)>,
}

/// Whether a track is sent to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// The publisher's sid.
    pub participant_sid: String,
    /// The track's sid.
    pub track_sid: String,
    /// Whether the server holds it back for lack of bandwidth.
    pub paused: bool,
}

/// Why a track cannot be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionError {
    /// We offered no codec that it comes in (`SE_CODEC_UNSUPPORTED`).
    CodecUnsupported,
    /// It is gone.
    TrackNotFound,
    /// Not said.
    Unknown,
}

/// What came instead of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Garbage {
    /// A message at a moment where it makes no sense, or with an empty field that must not be.
    Misplaced(&'static str),
    /// A text frame; we speak binary.
    Text,
    /// Bytes that are no protocol buffer.
    Undecodable,
}

impl fmt::Display for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misplaced(what) => f.write_str(what),
            Self::Text => f.write_str("a text frame where only binary ones are spoken"),
            Self::Undecodable => f.write_str("bytes that are no LiveKit message"),
        }
    }
}

/// Why a connection ended. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The server closed the connection or the network broke it.
    #[error("the connection to the server broke ({0})")]
    Broken(String),
    /// It could not be opened.
    #[error(transparent)]
    Connect(#[from] Error),
    /// The server sent too much that is no message.
    #[error(
        "the server sent {0} messages that make no sense: is it a LiveKit server of version 1.5 or newer?"
    )]
    Garbage(u32),
    /// We left.
    #[error("left the meeting")]
    Left,
    /// The media side asked for it.
    #[error("media needs a new connection ({0})")]
    Media(String),
    /// The server did not answer a new connection with a join.
    #[error("the server opened a connection but did not let us in within {} s: it may be overloaded", .0.as_secs())]
    NoJoin(Duration),
    /// A message beyond the size limit.
    #[error("the server sent a message larger than {} MiB, which no meeting needs", super::wire::MAX_MESSAGE >> 20)]
    Oversized,
    /// The server said so.
    #[error("{}", .0.text())]
    Server(LeaveReason),
    /// Nothing was heard for too long.
    #[error("the server was silent for {} s: check the network", .0.as_secs())]
    Silent(Duration),
}

/// Why the server ended the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaveReason {
    /// Somebody else joined with the same identity.
    DuplicateIdentity,
    /// The server could not let us in.
    JoinFailure,
    /// Our media did not arrive.
    MediaFailure,
    /// The session moves to another node.
    Migration,
    /// We were moved to another room.
    Moved,
    /// Something else, by its number.
    Other(i32),
    /// An administrator removed us.
    Removed,
    /// The room has ended.
    RoomClosed,
    /// An administrator deleted the room.
    RoomDeleted,
    /// The server stops.
    Shutdown,
    /// The server no longer knows our session.
    StateMismatch,
    /// The server lost our connection.
    Timeout,
    /// The server was told that we left.
    WeLeft,
}

impl LeaveReason {
    /// Whether coming back by itself would be wrong.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::DuplicateIdentity
                | Self::Removed
                | Self::RoomClosed
                | Self::RoomDeleted
                | Self::WeLeft
        )
    }

    fn text(self) -> String {
        match self {
            Self::DuplicateIdentity => "another client joined with the same identity: give each \
                device its own identity, or stop the other one"
                .into(),
            Self::JoinFailure => "the server could not complete the join: check the firewall for \
                the media ports of the server"
                .into(),
            Self::MediaFailure => "the server received no media from us: check the firewall for \
                the media ports of the server"
                .into(),
            Self::Migration => "the server moves the session to another node".into(),
            Self::Moved => "an administrator moved this participant to another room".into(),
            Self::Other(number) => format!("the server ended the session (reason {number})"),
            Self::Removed => "an administrator removed this participant from the room: ask to be \
                let in again"
                .into(),
            Self::RoomClosed => "the meeting has ended".into(),
            Self::RoomDeleted => "an administrator ended the meeting".into(),
            Self::Shutdown => "the server is shutting down".into(),
            Self::StateMismatch => "the server no longer knows this session".into(),
            Self::Timeout => "the server lost the connection to this participant".into(),
            Self::WeLeft => "the server was told that this participant left".into(),
        }
    }
}
