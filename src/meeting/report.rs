// SPDX-License-Identifier: MIT OR Apache-2.0
//! The call in words for people.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use crate::action::Sending;
use crate::roster::{Declared, Kind, Participant, Roster, Source, Track};
use crate::verification::{Refusal, Verification, Watched};

/// Who is there and where each track stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What may leave this box.
    pub sending: Sending,
    /// The same in words.
    pub sending_text: &'static str,
    /// The others, in order of arrival.
    pub participants: Vec<ParticipantReport>,
    /// How many more the service listed than are kept.
    pub not_listed: usize,
}

/// Somebody in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantReport {
    /// Unique in the room.
    pub identity: String,
    /// What it calls itself; unchecked text of others.
    pub name: String,
    /// What it is, as the service says.
    pub kind: Kind,
    /// What it publishes.
    pub tracks: Vec<TrackReport>,
}

/// One track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackReport {
    /// The service's id.
    pub sid: String,
    /// Where it comes from.
    pub source: Source,
    /// Muted by its owner, as the service says.
    pub muted: bool,
    /// Where it stands; [`Verification::Waiting`] also while no media flow.
    pub verification: Verification,
    /// The same in words, with the reason; holds the owner's name, unchecked.
    pub text: String,
    /// Frames that opened.
    pub opened: u64,
    /// Frames that did not.
    pub refused: u64,
}

impl Report {
    /// Whether all that arrives has verified, and something has.
    pub fn all_verified(&self) -> bool {
        let mut tracks = self
            .participants
            .iter()
            .flat_map(|participant| &participant.tracks)
            .filter(|track| {
                !matches!(
                    track.verification,
                    Verification::Silent | Verification::Waiting
                )
            })
            .peekable();
        tracks.peek().is_some() && tracks.all(|track| track.verification == Verification::Verified)
    }
}

impl Verification {
    /// In one word, for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Refused(_) => "refused",
            Self::Silent => "silent",
            Self::Verified => "verified",
            Self::Waiting => "waiting",
        }
    }
}

/// What there is to say where somebody names a key that is not known here: in a foreign room people have to tell it.
pub(crate) const KEY_BY_APP: &str = "no key for it; ask for the key and its index";
/// The same in a Roomseal meeting, where every member says by itself what it seals with.
pub(crate) const KEY_BY_CONFIRM: &str = "it has not proved yet to be a member";

pub(crate) fn report<'a>(
    roster: &Roster,
    sending: Sending,
    no_key: &'static str,
    now: Duration,
    watched: impl Fn(&str) -> Option<&'a Watched>,
) -> Report {
    Report {
        sending,
        sending_text: match sending {
            Sending::Clear => "leaves clear: end-to-end encryption is not required",
            Sending::NothingAlone => {
                "nothing leaves: nobody else in the meeting has been heard yet"
            }
            Sending::NothingUnvouched => {
                "nothing leaves: this meeting was announced as sealed, and no host has confirmed that it is not"
            }
            Sending::NothingSwitching => {
                "nothing leaves: what this box sends is being published anew"
            }
            Sending::NothingYet => "nothing leaves: waiting for the host",
            Sending::NothingOutside => "nothing leaves: not in the room",
            Sending::NothingWithoutKey => {
                "nothing leaves: this box has no key; give it the meeting's passphrase or key"
            }
            Sending::Sealed => "leaves sealed, keys by the app",
        },
        participants: roster
            .iter()
            .map(|participant| ParticipantReport {
                identity: participant.identity.clone(),
                name: participant.name.clone(),
                kind: participant.kind,
                tracks: participant
                    .tracks
                    .iter()
                    .map(|track| {
                        let watched = watched(&track.sid);
                        track_report(participant, track, watched, no_key, now)
                    })
                    .collect(),
            })
            .collect(),
        not_listed: roster.overflow,
    }
}

fn track_report(
    owner: &Participant,
    track: &Track,
    watched: Option<&Watched>,
    no_key: &'static str,
    now: Duration,
) -> TrackReport {
    let verification = watched.map_or(Verification::Waiting, |watched| watched.verification(now));
    let text = match verification {
        Verification::Verified => match watched.and_then(|watched| watched.refused_beside(now)) {
            Some(refusal) => format!(
                "verified; other frames under its name are refused: {}",
                reason(refusal, no_key)
            ),
            None => "verified".to_string(),
        },
        Verification::Waiting | Verification::Silent if track.muted => "muted".to_string(),
        Verification::Waiting => "waiting for the first frame".to_string(),
        Verification::Silent => "no frames at the moment".to_string(),
        Verification::Clear => "clear: played, not encrypted end to end".to_string(),
        Verification::Refused(Refusal::Clear) if track.declared == Declared::Sealed => {
            "clear, although declared sealed: not played".to_string()
        }
        Verification::Refused(Refusal::Clear) => "clear: not played".to_string(),
        Verification::Refused(refusal) => format!(
            "cannot open {}'s {}: {}",
            owner.called(),
            track.source.word(),
            reason(refusal, no_key)
        ),
    };
    let counters = watched.map(Watched::counters).copied().unwrap_or_default();
    TrackReport {
        sid: track.sid.clone(),
        source: track.source,
        muted: track.muted,
        verification,
        text,
        opened: counters.opened,
        refused: counters.refused(),
    }
}

fn reason(refusal: Refusal, no_key: &'static str) -> &'static str {
    match refusal {
        Refusal::Altered => "altered on the way",
        Refusal::Clear => "clear",
        Refusal::Damaged => "damaged by packet loss",
        Refusal::Malformed => "not frames",
        Refusal::NoKey => no_key,
        Refusal::OtherKey => "other key, or altered",
        Refusal::OtherTrack => "frames of another track",
        Refusal::Replayed => "old frames played again",
        Refusal::Unverified => "it does not authenticate (other key, altered, or damaged)",
    }
}
