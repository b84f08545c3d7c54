// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a meeting asks to be done: one vocabulary for Roomseal meetings and foreign rooms.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use roomseal_e2ee::{FrameKey, KeyIndex, KeyRing, PREFIX_LEN};

use crate::roster::{Kind, Medium, Source};

/// What to do. Actions of one answer are done in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Tell people something that happens now, with a chime where there is one.
    Announce(Announcement),
    /// Open and play a track with a new opening element, whose counters begin at zero.
    Play(Play),
    /// Ask the service to put somebody out: bots and gateways, while encryption is on.
    Remove {
        /// Whom.
        identity: String,
    },
    /// Open a track that is played by other rules from now on; its element and counters stay.
    Reopen {
        /// Which track.
        sid: String,
        /// The new rules.
        rules: Rules,
    },
    /// Open data packets of a participant by these rules; none before the first of this.
    ReopenData {
        /// Whose.
        identity: String,
        /// The rules.
        rules: Rules,
    },
    /// Publish everything that is published anew, in a foreign room: declared as what may leave.
    Republish,
    /// Send a text on topic [`TOPIC`](crate::TOPIC), reliably, not sealed: it authenticates itself.
    Say {
        /// Whom to; everybody when empty.
        to: Vec<String>,
        /// The message.
        text: String,
    },
    /// From now on only this may leave.
    Send(Sending),
    /// Seal media and data with this key from now on, or with none, and force key frames.
    SendKey(Option<(KeyIndex, FrameKey)>),
    /// Stop playing a track.
    Stop {
        /// Which track.
        sid: String,
    },
    /// Come back with [`Event::Tick`](crate::call::Event::Tick) at this time, unless another comes before. Replaces the
    /// one before.
    WakeAt(Duration),
    /// Write the room's metadata, if this box may.
    WriteMetadata(String),
}

/// What may leave this box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Clear frames, declared clear.
    Clear,
    /// Nothing: encryption is off, and no other member has been heard since this one came (back).
    NothingAlone,
    /// Nothing: the invitation says sealed, and no host has confirmed that encryption is off.
    NothingUnvouched,
    /// Nothing: sealed frames are required and this box has no key of its own.
    NothingWithoutKey,
    /// Nothing: what is published is declared as something else than what may leave, and is being published anew.
    NothingSwitching,
    /// Nothing: no host has said yet whether encryption is on.
    NothingYet,
    /// Nothing: not in the room.
    NothingOutside,
    /// Sealed frames, declared sealed.
    Sealed,
}

/// What may be played of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Frames that open, and clear ones.
    AllowClear,
    /// Frames that open, and clear ones until the first has opened.
    Grace,
    /// Only frames that open.
    Required,
}

/// How frames or packets of one sender are opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What may be played.
    pub opening: Opening,
    /// With which keys; an empty ring opens nothing. In foreign rooms it is empty: keys come from the configuration.
    pub keys: KeyRing,
    /// What every IV begins with; `None` while the sender has not said it.
    pub iv_prefix: Option<[u8; PREFIX_LEN]>,
    /// Frames with a lower counter in their IV are recordings.
    pub iv_floor: u32,
    /// Whether the sender proved to have the key, which tells altered frames from a wrong key.
    pub confirmed: bool,
}

/// A track to be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// Which track.
    pub sid: String,
    /// Whose keys open it.
    pub identity: String,
    /// What to call its owner.
    pub called: String,
    /// Where it comes from.
    pub source: Source,
    /// Sound or picture.
    pub medium: Medium,
    /// What may be played.
    pub opening: Opening,
    /// How it is opened; in foreign rooms keys come from the configuration, and this is `None`.
    pub rules: Option<Rules>,
}

/// Something that people should hear of when it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// A host is about to turn encryption off.
    OffSoon {
        /// The host's name.
        by: String,
        /// How long until then.
        left: Duration,
    },
    /// Encryption stays on after all.
    OffCancelled,
    /// A host turned encryption off.
    Off {
        /// The host's name.
        by: String,
    },
    /// A host turned encryption on.
    On {
        /// The host's name.
        by: String,
    },
    /// Somebody who cannot be part of a sealed meeting is put out.
    Removed {
        /// What it is called.
        called: String,
        /// What it is.
        kind: Kind,
    },
    /// A press had no effect.
    Denied(Denied),
}

/// Why a press had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    /// This member is no host.
    NotHost,
    /// The press came over the network from somebody who may not do this.
    NotFromHere,
    /// This box has no secret, or the wrong one.
    NoSecret,
    /// The meeting has seen too many switches.
    Full,
    /// Not in the room yet.
    Outside,
}

impl Announcement {
    /// In words for people.
    pub fn text(&self) -> String {
        match self {
            Self::OffSoon { by, left } => alloc::format!(
                "encryption goes off in {} s: {by}. Any host's press keeps it on",
                left.as_millis().div_ceil(1000)
            ),
            Self::OffCancelled => "encryption stays on".into(),
            Self::Off { by } => alloc::format!("{by} turned encryption off"),
            Self::On { by } => alloc::format!("{by} turned encryption on"),
            Self::Removed { called, kind } => alloc::format!(
                "{called} ({}) is removed: it cannot be part of a sealed meeting",
                kind.word()
            ),
            Self::Denied(why) => why.text().into(),
        }
    }
}

impl Denied {
    /// In words for people, with what to do.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotHost => {
                "only a host turns encryption on and off: ask one, or join by a host link"
            }
            Self::NotFromHere => "this is for a host who is signed in, or for somebody at the box",
            Self::NoSecret => {
                "this box has no key for this meeting: enter its link, passphrase or key first"
            }
            Self::Full => "too many switches in one meeting: start a new one",
            Self::Outside => "not in the meeting yet: wait until it is joined",
        }
    }
}
