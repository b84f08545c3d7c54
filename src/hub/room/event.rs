// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens to a room.

use std::collections::HashMap;

use livekit_protocol::signal_request;

/// One join of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// One signalling connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Which of a member's two peer connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// It sends to us.
    Publisher,
    /// We send to it.
    Subscriber,
}

/// What a client asks for when it connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    /// Whether it wants every track of everybody.
    pub auto_subscribe: bool,
    /// The session that it wants to go on with.
    pub resume: Option<String>,
    /// Which of the newer protocols between clients it speaks.
    pub client_protocol: i32,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A client asks for something.
    Signal(ConnectionId, Box<signal_request::Message>),
    /// A connection is closed or broken.
    Gone(ConnectionId),
    /// The media side tells something about a member.
    Media(MemberId, Report),
    /// The deadline has come.
    Tick,
}

/// What the media side tells about a member.
#[derive(Debug)]
pub enum Report {
    /// The member's offer was accepted; the room says which track is which, and sends the answer.
    Answered {
        /// The answer.
        sdp: String,
        /// The number of the offer.
        id: u32,
        /// Where media arrives, as ICE candidates.
        candidates: Vec<String>,
        /// What the sections of the offer carry.
        sections: Vec<Section>,
    },
    /// A peer connection is up.
    Connected(Target),
    /// A message on a data channel.
    Data {
        /// On which of the two.
        reliable: bool,
        /// As it came.
        packet: Vec<u8>,
    },
    /// How loud its microphone was in one packet: -dBov, 0 is the loudest.
    Loudness(u8),
    /// An offer to the member is ready.
    Offer {
        /// The offer.
        sdp: String,
        /// Its number.
        id: u32,
        /// Where media arrives, as ICE candidates.
        candidates: Vec<String>,
        /// Which section carries which track.
        tracks: HashMap<String, String>,
    },
    /// What is sent in a section.
    Flowing {
        /// The section.
        mid: String,
        /// For example `video/VP8`.
        mime: String,
    },
    /// The member takes no codec that the track is sent in.
    Unsupported {
        /// The track.
        sid: String,
    },
    /// The two sides no longer agree: the member has to join anew.
    Broken(Broken),
}

/// Why media with a member cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// What it sends as a description makes no sense, or not at this point.
    #[error("a session description that cannot be used")]
    Description,
    /// Nothing arrives from it any more.
    #[error("no packet for too long")]
    Silent,
    /// It does not take what is sent to it reliably.
    #[error("too many messages wait for it")]
    Slow,
}

/// A section of a publisher's offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub mid: String,
    /// Whether it carries pictures; else sound.
    pub video: bool,
    /// Whether something is sent in it.
    pub sending: bool,
    /// The codec that the client puts first, for example `video/VP8`, if it is one that is forwarded.
    pub mime: Option<&'static str>,
    /// What the client calls the track: the track ids of its `msid`s.
    pub cids: Vec<String>,
}
