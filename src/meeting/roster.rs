// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is there and what they publish, as the service says. Nothing here is proof of anything.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// A service may list more; beyond this they are counted, not kept.
const MOST_PARTICIPANTS: usize = 1000;
/// More tracks of one participant are not kept.
const MOST_TRACKS: usize = 32;

/// Somebody in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Unique in the room at any time.
    pub identity: String,
    /// What it calls itself; may be empty.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// `false`: it has left.
    pub present: bool,
    /// What it publishes.
    pub tracks: Vec<Track>,
}

/// One published track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// The service's id for it.
    pub sid: String,
    /// Where it comes from.
    pub source: Source,
    /// Sound or picture.
    pub medium: Medium,
    /// Muted by its owner.
    pub muted: bool,
    /// What its owner declares about encryption.
    pub declared: Declared,
}

/// What a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// Of a kind this version does not know.
    Other,
    /// A person's client.
    Person,
    /// A telephone.
    Sip,
}

/// Where a track comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    /// Neither: it is listed, and not played.
    Other,
    /// Pictures.
    Picture,
    /// Sound.
    Sound,
}

/// What is declared about the frames of a track: a claim that the service passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Declared {
    /// Clear frames.
    Clear,
    /// An encryption this version does not know.
    Other,
    /// LiveKit's frame encryption.
    Sealed,
}

impl Participant {
    /// A person without tracks.
    pub fn new(identity: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            identity: identity.into(),
            name: name.into(),
            kind: Kind::Person,
            present: true,
            tracks: Vec::new(),
        }
    }

    /// The same with one track more.
    #[must_use]
    pub fn with_track(mut self, track: Track) -> Self {
        self.tracks.push(track);
        self
    }

    /// What to call it: its name, or its identity where it gave none.
    pub fn called(&self) -> &str {
        if self.name.trim().is_empty() {
            &self.identity
        } else {
            &self.name
        }
    }
}

impl Track {
    /// An unmuted track; the medium follows from the source, picture where it is not said.
    pub fn new(sid: impl Into<String>, source: Source, declared: Declared) -> Self {
        Self {
            sid: sid.into(),
            source,
            medium: match source {
                Source::Microphone | Source::ScreenSound => Medium::Sound,
                Source::Camera | Source::Other | Source::Screen => Medium::Picture,
            },
            muted: false,
            declared,
        }
    }
}

impl Kind {
    /// In a word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Bridge => "gateway",
            Self::Egress => "recorder",
            Self::Ingress => "outside stream",
            Self::Other => "unknown kind",
            Self::Person => "person",
            Self::Sip => "telephone",
        }
    }
}

impl Source {
    /// In a word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Microphone => "microphone",
            Self::Other => "track",
            Self::Screen => "screen",
            Self::ScreenSound => "screen sound",
        }
    }
}

/// The others, in order of arrival.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    participants: Vec<Participant>,
    /// How many were listed beyond what is kept.
    pub(crate) overflow: usize,
}

impl Roster {
    /// Takes what the service says about one participant; those not named stay as they are.
    pub(crate) fn update(&mut self, mut participant: Participant) {
        let known = self
            .participants
            .iter()
            .position(|known| known.identity == participant.identity);
        if !participant.present {
            if let Some(at) = known {
                self.participants.remove(at);
            }
            return;
        }
        participant.tracks.truncate(MOST_TRACKS);
        // A track is one participant's; who had it first keeps it, or a service could show one stream under two names.
        participant.tracks.retain(|track| {
            self.owner(&track.sid)
                .is_none_or(|owner| owner.identity == participant.identity)
        });
        let mut seen: Vec<String> = Vec::new();
        participant.tracks.retain(|track| {
            let new = !seen.contains(&track.sid);
            seen.push(track.sid.clone());
            new
        });
        match known {
            Some(at) => self.participants[at] = participant,
            None if self.participants.len() < MOST_PARTICIPANTS => {
                self.participants.push(participant);
            }
            None => self.overflow = self.overflow.saturating_add(1),
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Participant> {
        self.participants.iter()
    }

    /// Who publishes `sid`.
    pub(crate) fn owner(&self, sid: &str) -> Option<&Participant> {
        self.participants
            .iter()
            .find(|participant| participant.tracks.iter().any(|track| track.sid == sid))
    }

    /// The track `sid` with who publishes it.
    pub(crate) fn track(&self, sid: &str) -> Option<(&Participant, &Track)> {
        let owner = self.owner(sid)?;
        let track = owner.tracks.iter().find(|track| track.sid == sid)?;
        Some((owner, track))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn camera(sid: &str) -> Track {
        Track::new(sid, Source::Camera, Declared::Sealed)
    }

    #[test]
    fn a_track_stays_with_who_published_it_first() {
        let mut roster = Roster::default();
        roster.update(Participant::new("alice", "").with_track(camera("TR_1")));
        roster.update(Participant::new("mallory", "").with_track(camera("TR_1")));
        assert_eq!(
            roster.owner("TR_1").map(|p| p.identity.as_str()),
            Some("alice")
        );
        roster.update(Participant {
            present: false,
            ..Participant::new("alice", "")
        });
        assert!(roster.owner("TR_1").is_none());
    }

    #[test]
    fn a_list_without_end_is_cut() {
        let mut roster = Roster::default();
        for n in 0..MOST_PARTICIPANTS + 7 {
            roster.update(Participant::new(format!("p{n}"), ""));
        }
        assert_eq!(roster.iter().count(), MOST_PARTICIPANTS);
        assert_eq!(roster.overflow, 7);
    }

    #[test]
    fn who_gave_no_name_is_called_by_identity() {
        assert_eq!(Participant::new("alice", "  ").called(), "alice");
        assert_eq!(Participant::new("alice", "Alice").called(), "Alice");
    }
}
