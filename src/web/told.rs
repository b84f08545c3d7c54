// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the page tells, as JSON: `{"t": "joined", …}`.

use roomseal_meeting::chat::Piece;
use roomseal_meeting::{self as meeting, Kind, Medium, Source};
use roomseal_policy::Act;
use serde::{Deserialize, Serialize};

/// Something that happened, as the page saw it. Everything in it comes from the service or from the person at the page.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "t", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Told {
    /// The person at the page, a host, wants something of the service.
    Deed {
        /// What.
        act: Act,
        /// Whom or what it is about, by the service's name of it for this stay.
        to: String,
    },
    /// The person at the page, a host, is to be taken for one by the service.
    Enter {
        /// What the service calls this browser: its identity, or its place in the waiting room.
        identity: String,
        /// What this browser calls the service.
        hub: String,
    },
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
    /// Somebody wrote, and it came in the clear.
    Heard {
        /// Whom it comes from, as the service says.
        from: String,
        /// What came.
        piece: Piece,
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
    /// A sealed data packet came.
    Sealed {
        /// Whom it comes from, as the service says.
        from: String,
        /// As it came.
        iv: Vec<u8>,
        /// As it came.
        key_index: u32,
        /// Ciphertext and tag.
        value: Vec<u8>,
    },
    /// The service gave the secret that it made.
    Secret {
        /// As it came.
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
    /// The person at the page wrote a line.
    Write {
        /// As written.
        line: String,
        /// The page said that it leaves sealed.
        sealed: bool,
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
    /// It has left because it was put out.
    #[serde(default)]
    pub removed: bool,
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
    pub sort: Medium,
    /// Muted by its owner.
    pub muted: bool,
    /// Declared as sealed.
    pub sealed: bool,
}

impl From<Who> for meeting::Participant {
    fn from(who: Who) -> Self {
        Self {
            identity: who.identity,
            name: who.name,
            kind: who.kind,
            present: who.present,
            tracks: who.tracks.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Track> for meeting::Track {
    fn from(track: Track) -> Self {
        Self {
            sid: track.sid,
            source: track.source,
            medium: track.sort,
            muted: track.muted,
            declared: match track.sealed {
                true => meeting::Declared::Sealed,
                false => meeting::Declared::Clear,
            },
        }
    }
}
