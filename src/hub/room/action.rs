// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a room wants done.

use livekit_protocol::signal_response;

use super::{ConnectionId, MemberId};
use crate::token::Admission;

/// What to do.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Send to a client.
    Send(ConnectionId, Box<signal_response::Message>),
    /// Close the connection once everything is sent.
    Close(ConnectionId),
    /// Send a new token that says the same as this one.
    Renew(ConnectionId, Box<Admission>),
    /// Something for the media side.
    Media(Order),
    /// The room is over.
    End,
}

/// Something for the media side.
#[derive(Debug, PartialEq)]
pub enum Order {
    /// A new member: make its peer connections.
    Open(MemberId),
    /// It has left.
    Close(MemberId),
    /// It offers its publisher connection.
    Offer(MemberId, String, u32),
    /// It answers the offer of that number.
    Answer(MemberId, String, u32),
    /// Section `mid` of the member carries the track `sid`.
    Bind(MemberId, String, String),
    /// The track is over.
    Release(String),
    /// Let the member receive the track.
    Subscribe(MemberId, Subscription),
    /// Stop that.
    Unsubscribe(MemberId, String),
    /// How the member shows the track.
    View(MemberId, String, View),
    /// Make a new offer with new ICE credentials.
    Restart(MemberId),
    /// Send a data packet.
    Data {
        /// To whom.
        to: Vec<MemberId>,
        /// On which channel.
        reliable: bool,
        /// The packet.
        packet: Vec<u8>,
    },
}

/// A track for a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The track.
    pub sid: String,
    /// Name of the stream that it belongs to, as clients take it apart: the publisher's sid, and a name.
    pub stream: String,
    /// Whether it carries pictures; else sound.
    pub video: bool,
}

/// How a member shows a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Not at all.
    Hidden,
    /// At most this layer: 0 the smallest, 2 the largest.
    Layer(u8),
}

/// Why nobody comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwelcome {
    /// There are as many as may be.
    #[error("the room is full: it takes {0} participants")]
    Full(usize),
}
