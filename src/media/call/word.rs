// SPDX-License-Identifier: MIT OR Apache-2.0

//! What goes into a call and what comes out of it.

use std::collections::HashMap;

use roomseal_e2ee::{Codec, FrameKey, KeyIndex, KeyRing};

use crate::{
    capture::{CaptureEvent, TrackStats as LocalStats},
    elements::{OpenMode, OpenRules, SealMode},
    present::{Overlay, Person, PresentError, PresentEvent, TrackSource, TrackStats},
    transport::{
        IceServer, LocalTrackId, MediaKind, PublishTrack, Refusal, RemoteOffer, Target,
        TransportError, TransportStats,
    },
};

/// A track to present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// `TR_...`.
    pub sid: String,
    /// Who sends it.
    pub identity: String,
    /// The sender's name; untrusted.
    pub name: String,
    /// What it shows or carries.
    pub source: TrackSource,
    /// Which of its frames may be played.
    pub mode: OpenMode,
}

/// Somebody in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who it is.
    pub person: Person,
    /// How many tracks of sound and picture the service says it sends: a recording waits for
    /// them, so that they share a file.
    pub tracks: usize,
}

/// What a call can be asked for.
#[derive(Debug)]
pub enum Command {
    /// The room was joined from zero: connect, and publish what is captured.
    Join {
        /// STUN and TURN servers.
        ice_servers: Vec<IceServer>,
        /// End of the service's own frames; empty when there is none.
        sif_trailer: Vec<u8>,
        /// The service is on this machine.
        loopback: bool,
    },
    /// The session is over: nothing is connected any more.
    Leave,
    /// The session goes on over a new signalling connection.
    Resume {
        /// STUN and TURN servers, with new credentials.
        ice_servers: Vec<IceServer>,
    },
    /// The service offers the subscriber connection.
    RemoteOffer(RemoteOffer),
    /// The service answers our offer.
    RemoteAnswer {
        /// The session description.
        sdp: String,
        /// Number of our offer.
        id: u32,
    },
    /// An ICE candidate of the service.
    RemoteCandidate {
        /// Which connection it is for.
        target: Target,
        /// JSON of an `RTCIceCandidateInit`.
        init_json: String,
    },
    /// The service took a track of ours.
    Published {
        /// The `cid` of [`Event::Publish`].
        cid: String,
    },
    /// Sounds a chime at the loudspeaker.
    Chime,
    /// What may leave from now on: nothing, sealed frames, or clear ones.
    Send(SealMode),
    /// The key that is sealed with from now on.
    SendKey(KeyIndex, FrameKey),
    /// Nothing is sealed any more until there is another key.
    ForgetSendKey,
    /// Presents a track of which frames arrive ([`Event::Arrived`]).
    Play {
        /// The track.
        track: Played,
        /// What opens its frames.
        keys: KeyRing,
    },
    /// Opens the frames of a track with these keys from the next frame on, instead of those it had.
    Keys {
        /// `TR_...`.
        sid: String,
        /// What opens its frames.
        keys: KeyRing,
    },
    /// Opens the frames of a track by other rules from the next one on; its decoder and its picture
    /// stay.
    Open {
        /// `TR_...`.
        sid: String,
        /// The rules.
        rules: OpenRules,
    },
    /// Sends a message to the others, on a data channel.
    Data {
        /// Whether it goes on the ordered, reliable channel.
        reliable: bool,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Presents a track no longer.
    Stop {
        /// `TR_...`.
        sid: String,
    },
    /// Everybody in the room, ourselves apart, in order of arrival.
    People(Vec<Member>),
    /// Identities of who speaks, loudest first.
    Speakers(Vec<String>),
    /// Looks for a QR code in what the camera sees, or no longer.
    LookForCode(bool),
    /// Draws this over the picture; what is not renewed within a second is not shown.
    Overlay(Overlay),
    /// Mutes or unmutes our sound or picture, whatever tracks carry it.
    Mute {
        /// Which.
        kind: MediaKind,
        /// Whether it is to be silent.
        muted: bool,
    },
    /// Publishes the track of this codec's kind anew, with this codec, which may be the one it has.
    /// [`Event::Publish`] and [`Event::Withdrawn`], or [`Event::NotReplaced`], follow; outside of a
    /// meeting nothing does, and the next join publishes it so. Of what is asked for while another
    /// is under way, the newest counts.
    Republish {
        /// The codec.
        codec: Codec,
    },
    /// Asks for an [`Event::Turn`] now: something may look different than when it was last counted.
    Count,
    /// Ends the call.
    Close,
}

/// What a call tells its owner.
#[derive(Debug)]
pub enum Event {
    /// Ask the service to take this track, then send [`Command::Published`].
    Publish {
        /// The client id to ask with.
        cid: String,
        /// What it is.
        track: PublishTrack,
        /// Codecs that it could be published anew with.
        alternatives: Vec<Codec>,
    },
    /// From now on the frames of one track are sent as those of another.
    Replaced {
        /// Of which nothing more comes.
        old: LocalTrackId,
        /// Which [`Event::Publish`] told.
        new: LocalTrackId,
    },
    /// A track that was replaced is no longer published.
    Withdrawn {
        /// The track.
        local: LocalTrackId,
    },
    /// A track could not be published anew: what was published still is.
    NotReplaced {
        /// The codec that was asked for.
        codec: Codec,
        /// Why.
        reason: String,
    },
    /// Send this offer for the publisher connection.
    LocalOffer {
        /// The session description.
        sdp: String,
        /// Its number.
        id: u32,
    },
    /// Send this answer for the subscriber connection.
    LocalAnswer {
        /// The session description.
        sdp: String,
        /// Number of the offer.
        id: u32,
    },
    /// Send this ICE candidate.
    LocalCandidate {
        /// Which connection it is for.
        target: Target,
        /// JSON of an `RTCIceCandidateInit`.
        init_json: String,
    },
    /// A connection stands, and its peer is the one of the session description.
    Connected(Target),
    /// A connection broke and will not heal alone.
    Failed {
        /// Which connection.
        target: Target,
        /// What happened.
        reason: String,
    },
    /// The session was resumed, but this machine has none of the addresses any more that the
    /// connections were made from: the room has to be joined anew.
    Stranded,
    /// The service is not who it says, or sends what cannot be accepted. Nothing is connected now.
    Refused(Refusal),
    /// Something of ours could not be published.
    CannotPublish {
        /// The track.
        local: LocalTrackId,
        /// Why.
        reason: TransportError,
    },
    /// Frames of a remote track begin to arrive; nothing of it is played before [`Command::Play`].
    Arrived {
        /// `TR_...`.
        sid: String,
    },
    /// No more frames of this track arrive.
    Ended {
        /// `TR_...`.
        sid: String,
    },
    /// A track cannot be presented.
    CannotPlay {
        /// `TR_...`.
        sid: String,
        /// Why.
        error: PresentError,
    },
    /// Messages can be sent now; before, they go nowhere.
    DataOpen,
    /// A message on a data channel.
    Data {
        /// Whether it came on the reliable channel.
        reliable: bool,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// What capture says.
    Capture(CaptureEvent),
    /// What presentation says.
    Present(PresentEvent),
    /// The counters, at every turn of the loop, and as soon as a track is played by other keys or rules.
    Turn(Box<Counts>),
}

/// What was counted so far.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Our tracks.
    pub local: Vec<LocalStats>,
    /// The tracks of others, by `TR_...`.
    pub remote: HashMap<String, TrackStats>,
    /// The connections; `None` without transport.
    pub transport: Option<TransportStats>,
}
