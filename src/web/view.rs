// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the page shows, as JSON. A view is true for a moment: the page shows nothing green on one older than 1.5 s.

use roomseal_meeting::call::{self, Why};
use roomseal_meeting::{Denied, Sending, Source, TrackReport};
use serde::Serialize;

/// How everything stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    /// The shield's state in one word, as the lamp and every other view have it.
    pub shield: &'static str,
    /// The same for people.
    pub name: &'static str,
    /// It tells people that what is said stays among the members.
    pub green: bool,
    /// What it rests on, the gravest first.
    pub reasons: Vec<Reason>,
    /// The others, in order of arrival.
    pub people: Vec<Person>,
    /// Who was put out since encryption went on, and why, a sentence each.
    pub dropped: Vec<String>,
    /// What leaves this browser, in words.
    pub sending: &'static str,
    /// How a line leaves that is written now: `sealed` or `clear`; `None`: not at all.
    pub writes: Option<&'static str>,
    /// What is published, and how it left.
    pub own: Vec<OwnTrack>,
    /// Whether the followed policy says on; `None`: none is followed.
    pub on: Option<bool>,
    /// Whether the person at the page is a host.
    pub host: bool,
    /// What has to be entered before this member can take part: `passphrase`, `key` for what people told each other, or
    /// `link` for another one.
    pub asks: Option<&'static str>,
    /// A host is about to turn encryption off.
    pub countdown: Option<Countdown>,
}

/// A host is about to turn encryption off.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Countdown {
    /// By identity; `None`: this member.
    pub by: Option<String>,
    /// Milliseconds.
    pub left: u64,
}

/// Why the shield shows what it shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Whom it is about, by identity.
    pub who: Option<String>,
    /// In a sentence without a full stop.
    pub text: String,
}

/// A participant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Person {
    /// Its identity.
    pub identity: String,
    /// What to call it; unchecked text of others.
    pub called: String,
    /// `open`, `verified`, `pending`, `unsealed` or `keyless`.
    pub standing: &'static str,
    /// Why.
    pub why: String,
    /// Its tracks.
    pub tracks: Vec<RemoteTrack>,
}

/// A track of somebody else.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RemoteTrack {
    /// The service's name of it.
    pub sid: String,
    /// Where it comes from.
    pub source: Source,
    /// As the service says.
    pub muted: bool,
    /// `clear`, `refused`, `silent`, `verified` or `waiting`.
    pub verification: &'static str,
    /// In words, with the reason.
    pub text: String,
    /// Frames that opened.
    pub opened: u64,
    /// Frames that did not.
    pub refused: u64,
}

/// A track of this browser.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OwnTrack {
    /// The service's name of it.
    pub sid: String,
    /// Where it comes from.
    pub source: Source,
    /// Frames that left sealed.
    pub sealed: u64,
    /// Frames that left clear.
    pub clear: u64,
    /// Frames that did not leave.
    pub dropped: u64,
}

impl From<&call::Reason> for Reason {
    fn from(reason: &call::Reason) -> Self {
        Self {
            who: reason.who.clone(),
            text: text(reason),
        }
    }
}

/// The reason in words for who sits at a browser; what is about others is said as at the box.
fn text(reason: &call::Reason) -> String {
    let here = match reason.why {
        Why::Leaked => "frames left this browser clear: reload the page",
        Why::NoSecret => {
            "this browser has no key: open the whole link of the meeting, or enter its passphrase"
        }
        Why::WrongSecret => {
            "this browser has another key than the host: open the link that the host gives out, or enter the passphrase \
             again"
        }
        Why::Denied(Denied::NoSecret) => {
            "that press was refused: this browser has no key for this meeting"
        }
        _ => return reason.text(),
    };
    here.to_owned()
}

/// What leaves, in words for who sits at a browser.
pub(crate) fn sending_text(sending: Sending, text: &'static str) -> &'static str {
    match sending {
        Sending::NothingWithoutKey => "nothing leaves: this browser has no key for this meeting",
        _ => text,
    }
}

impl Person {
    pub(crate) fn new(person: &call::Person, tracks: &[TrackReport]) -> Self {
        Self {
            identity: person.identity.clone(),
            called: person.called.clone(),
            standing: person.word(),
            why: person.text(),
            tracks: tracks.iter().map(RemoteTrack::from).collect(),
        }
    }
}

impl From<&TrackReport> for RemoteTrack {
    fn from(track: &TrackReport) -> Self {
        Self {
            sid: track.sid.clone(),
            source: track.source,
            muted: track.muted,
            verification: track.verification.word(),
            text: track.text.clone(),
            opened: track.opened,
            refused: track.refused,
        }
    }
}
