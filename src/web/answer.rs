// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the page has to do, as JSON: `{"todo": [{"do": "say", …}], "wake": 1250.0}`.

use roomseal_meeting::{Action, Announcement};
use serde::Serialize;

/// What the page has to do about what it told.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Answer {
    /// In this order.
    pub todo: Vec<Todo>,
    /// When to come back with a tick, in milliseconds of the clock that was passed in.
    pub wake: Option<f64>,
    /// Why what was told had no effect, for the person who did it.
    pub refused: Option<String>,
}

/// One thing to do. What concerns keys and frames is done already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Todo {
    /// Tell people.
    Announce {
        /// In words.
        text: String,
        /// A press of the person at this page was refused.
        denied: bool,
    },
    /// Ask the meeting service for something that only hosts may ask for.
    Deed {
        /// The certificate of this host.
        certificate: String,
        /// What is asked for, signed.
        deed: String,
    },
    /// Show the meeting service that a host comes in.
    Enter {
        /// The certificate of this host.
        certificate: String,
        /// That it is this host's, signed.
        proof: String,
        /// What the service calls this browser.
        identity: String,
    },
    /// Show a line of chat.
    Line(Line),
    /// Show or sound a track from now on; what does not open by the meeting's rules does not come through its pipe.
    Play {
        /// Which.
        sid: String,
    },
    /// Ask the service to put somebody out.
    Remove {
        /// Whom.
        identity: String,
    },
    /// Send a text on topic `roomseal`, reliably.
    Say {
        /// Whom to; everybody when empty.
        to: Vec<String>,
        /// The message.
        text: String,
    },
    /// Send data packets, reliably and in this order.
    Send {
        /// Each as the bytes of a `DataPacket`.
        packets: Vec<Vec<u8>>,
        /// They are not sealed: they leave at once or not at all, while [`View::writes`](crate::View::writes) still says so.
        clear: bool,
        /// They are about earlier lines: nobody at this page waits for them.
        unasked: bool,
    },
    /// Stop showing a track.
    Stop {
        /// Which.
        sid: String,
    },
    /// Write the room's metadata.
    WriteMetadata {
        /// All of them.
        text: String,
    },
}

/// A line of chat, or one that is not shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Whom it comes from, by identity; `None`: the person at this page. Only of a sealed line a member said so.
    pub from: Option<String>,
    /// What to call whom it comes from; unchecked text of others.
    pub called: String,
    /// What was written, untrusted; or why it is not shown.
    pub text: String,
    /// `sealed`, `clear`, or `refused`.
    pub how: &'static str,
    /// Somebody says that this was written before: nothing of it is proven but who says so.
    pub told: Option<ToldBy>,
}

/// Whose word an earlier line is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToldBy {
    /// What to call the member; unchecked text of others.
    pub by: String,
    /// How long ago it was written, in seconds.
    pub ago: u64,
}

impl Todo {
    /// What is left for the page of an action; nothing of those that are about keys and frames.
    pub(crate) fn of(action: Action) -> Option<Self> {
        Some(match action {
            Action::Announce(announcement) => Self::Announce {
                text: announcement.text(),
                denied: matches!(announcement, Announcement::Denied(_)),
            },
            Action::Play(play) => Self::Play { sid: play.sid },
            Action::Remove { identity } => Self::Remove { identity },
            Action::Say { to, text } => Self::Say { to, text },
            Action::Stop { sid } => Self::Stop { sid },
            Action::WriteMetadata(text) => Self::WriteMetadata { text },
            _ => return None,
        })
    }
}
