// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the status says in sentences: the shield's verdict, what happened, and what people wrote.

use std::time::{SystemTime, UNIX_EPOCH};

use roomseal_meeting::ForeignVerdict;
use roomseal_meeting::call::{Reason, Verdict};
use serde::{Deserialize, Serialize};

/// More would scroll away unread.
pub(super) const MOST_HAPPENINGS: usize = 30;

/// Lines of chat that are kept.
const MOST_LINES: usize = 50;

/// Bytes of chat that are kept: some long lines push out the others, and every view stays quick.
const MOST_CHAT: usize = 64 * 1024;

/// What lamp and views say about the whole meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Shield {
    /// The state, as [`roomseal_meeting::Shield::word`] writes it: for programs.
    pub state: String,
    /// The state in one sentence for people.
    pub text: String,
    /// What it rests on, one sentence each.
    pub reasons: Vec<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Happening {
    /// Seconds since 1970 by the clock of the box.
    pub at: u64,
    /// What happened, and from where if a person did it.
    pub text: String,
}

/// A line of chat. What people write is theirs: it is shown, and neither logged nor kept when the meeting is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChatLine {
    /// Seconds since 1970 by the clock of the box.
    pub at: u64,
    /// Whom it comes from, as the service says; only of a sealed line a member said so.
    pub from: String,
    /// What was written; untrusted.
    pub text: String,
    /// It came or left sealed.
    pub sealed: bool,
    /// This box wrote it.
    pub own: bool,
    /// A member says that it was written before this box came: nothing of it is proven but who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<ToldBy>,
}

/// Whose word an earlier line is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ToldBy {
    /// The identity of the member that told of it.
    pub by: String,
    /// What that member calls its author; untrusted.
    pub called: String,
}

/// Puts `line` behind the others, or one that somebody tells of where its time is, and drops as many of the oldest as it takes.
pub(super) fn keep(lines: &mut Vec<ChatLine>, line: ChatLine) {
    let place = match line.told {
        Some(_) => lines.partition_point(|other| other.at <= line.at),
        None => lines.len(),
    };
    lines.insert(place, line);
    let mut bytes = 0;
    let kept = lines
        .iter()
        .rev()
        .take(MOST_LINES)
        .take_while(|line| {
            bytes += line.from.len() + line.text.len();
            bytes <= MOST_CHAT
        })
        .count()
        // The newest is always one of them.
        .max(1);
    lines.drain(..lines.len() - kept);
}

impl Shield {
    /// In no meeting.
    pub fn outside() -> Self {
        Self {
            state: roomseal_meeting::Shield::Dark.word().to_owned(),
            text: "Nothing is sent from here, and nothing is played.".to_owned(),
            reasons: Vec::new(),
        }
    }

    /// A state of the box itself, with what it rests on.
    pub(super) fn of(shield: roomseal_meeting::Shield, reason: Option<String>) -> Self {
        Self {
            state: shield.word().to_owned(),
            text: sentence(shield).to_owned(),
            reasons: reason.into_iter().collect(),
        }
    }
}

impl Default for Shield {
    fn default() -> Self {
        Self::outside()
    }
}

impl From<ForeignVerdict> for Shield {
    fn from(verdict: ForeignVerdict) -> Self {
        Self {
            state: verdict.shield.word().to_owned(),
            text: verdict.text.to_owned(),
            reasons: verdict.reasons,
        }
    }
}

impl From<Verdict> for Shield {
    fn from(verdict: Verdict) -> Self {
        Self {
            state: verdict.shield.word().to_owned(),
            text: sentence(verdict.shield).to_owned(),
            reasons: verdict.reasons.iter().map(Reason::text).collect(),
        }
    }
}

/// What people in the room have to know; the reasons say why.
fn sentence(shield: roomseal_meeting::Shield) -> &'static str {
    use roomseal_meeting::Shield as S;
    match shield {
        S::Fault => "Something is broken, so nothing is promised.",
        S::Denied => "That press had no effect.",
        S::WrongKey => {
            "This box does not have the key of this meeting: it can neither be seen nor heard, and opens nothing."
        }
        S::UnsealedPeer => {
            "Encryption is on, and somebody is not provably part of it. What does not open is not played."
        }
        S::Sealing => "Encryption is on. Somebody is being verified.",
        S::Waiting => "Encryption is on. Nobody else is verified yet.",
        S::SealedByService => "Everything is sealed, but one thing has to be believed.",
        S::Sealed => {
            "Everything that this box sends and plays is sealed, and everybody it plays is verified."
        }
        S::Open => "This meeting is not encrypted end to end.",
        S::Connecting => "Nothing is sent from here until it is decided how.",
        S::SetUp => "This box is not set up yet.",
        S::Updating => "An update is being installed. Do not unplug this box.",
        S::Dark => "Nothing is sent from here, and nothing is played.",
    }
}

impl Happening {
    /// Says that `text` happened at `when`.
    pub(super) fn at(when: SystemTime, text: &str) -> Self {
        Self {
            at: seconds(when),
            text: text.to_owned(),
        }
    }
}

/// Seconds since 1970. A clock before that belongs to a box that has not heard the time yet.
pub(super) fn seconds(when: SystemTime) -> u64 {
    when.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
