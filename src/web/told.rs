// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the page tells, as JSON: `{"t": "joined", …}`.

use roomseal_meeting as meeting;
use serde::{Deserialize, Serialize};

/// Something that happened, as the page saw it. Everything in it comes from the service or from the person at the page.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "t", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Told {
    /// The button was held for two seconds, on from its last press.
    Hold,
    /// In the room, from zero.
    Joined {
        /// The own identity.
        me: String,
        /// Who is there already.
        others: Vec<Who>,
        /// The room's metadata.
        metadata: String,
    },
    /// Out of the room.
    Left,
    /// The room's metadata changed.
    Metadata {
        /// All of them.
        text: String,
    },
    /// These came, changed or left.
    Participants {
        /// Who, each with all of its tracks.
        who: Vec<Who>,
    },
    /// Somebody entered the passphrase.
    Passphrase {
        /// As typed.
        words: String,
    },
    /// The button was pressed.
    Press,
    /// What comes through a pipe is this track.
    Receives {
        /// The page's number of it.
        pipe: u32,
        /// The service's name of the track.
        sid: String,
    },
    /// The connection came back within the same session.
    Resumed,
    /// A message on topic `roomseal` came.
    Said {
        /// Whom it comes from, as the service says.
        from: String,
        /// The message.
        text: String,
    },
    /// The service took what leaves through a pipe.
    Sends {
        /// The page's number of it.
        pipe: u32,
        /// The service's name of the track.
        sid: String,
        /// What it is.
        source: Source,
    },
    /// A pipe has no track any more.
    Stopped {
        /// Which.
        pipe: u32,
    },
    /// Time has passed.
    Tick,
    /// What the service ends its own frames with.
    Trailer {
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// A participant, as the service says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// Unique in the room.
    pub identity: String,
    /// What it calls itself.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// `false`: it has left.
    pub present: bool,
    /// What it publishes.
    pub tracks: Vec<Track>,
}

/// A published track, as the service says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Track {
    /// The service's name of it.
    pub sid: String,
    /// Where it comes from.
    pub source: Source,
    /// Sound or picture.
    pub sort: Sort,
    /// Muted by its owner.
    pub muted: bool,
    /// Declared as sealed.
    pub sealed: bool,
}

/// What a participant is.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An automated participant.
    Agent,
    /// A gateway to another network or service.
    Bridge,
    /// A recorder or re-streamer.
    Egress,
    /// A stream from outside.
    Ingress,
    /// Of a kind the page does not know.
    Other,
    /// A person's client.
    Person,
    /// A telephone.
    Sip,
}

/// Where a track comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A camera.
    Camera,
    /// A microphone.
    Microphone,
    /// Not said.
    Other,
    /// A shared screen.
    Screen,
    /// The sound of a shared screen.
    ScreenSound,
}

/// Sound or picture.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// Neither.
    Other,
    /// Pictures.
    Picture,
    /// Sound.
    Sound,
}

impl From<Who> for meeting::Participant {
    fn from(who: Who) -> Self {
        Self {
            identity: who.identity,
            name: who.name,
            kind: match who.kind {
                Kind::Agent => meeting::Kind::Agent,
                Kind::Bridge => meeting::Kind::Bridge,
                Kind::Egress => meeting::Kind::Egress,
                Kind::Ingress => meeting::Kind::Ingress,
                Kind::Other => meeting::Kind::Other,
                Kind::Person => meeting::Kind::Person,
                Kind::Sip => meeting::Kind::Sip,
            },
            present: who.present,
            tracks: who.tracks.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Track> for meeting::Track {
    fn from(track: Track) -> Self {
        Self {
            sid: track.sid,
            source: track.source.into(),
            medium: match track.sort {
                Sort::Other => meeting::Medium::Other,
                Sort::Picture => meeting::Medium::Picture,
                Sort::Sound => meeting::Medium::Sound,
            },
            muted: track.muted,
            declared: match track.sealed {
                true => meeting::Declared::Sealed,
                false => meeting::Declared::Clear,
            },
        }
    }
}

impl From<Source> for meeting::Source {
    fn from(source: Source) -> Self {
        match source {
            Source::Camera => Self::Camera,
            Source::Microphone => Self::Microphone,
            Source::Other => Self::Other,
            Source::Screen => Self::Screen,
            Source::ScreenSound => Self::ScreenSound,
        }
    }
}

impl From<meeting::Source> for Source {
    fn from(source: meeting::Source) -> Self {
        match source {
            meeting::Source::Camera => Self::Camera,
            meeting::Source::Microphone => Self::Microphone,
            meeting::Source::Other => Self::Other,
            meeting::Source::Screen => Self::Screen,
            meeting::Source::ScreenSound => Self::ScreenSound,
        }
    }
}
