// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who decides what is sent, played and shown: a Roomseal meeting, or a room that was made without a host's key, whose
//! people share one key and whose policy stands from its beginning.

use std::time::Duration;

use roomseal_e2ee::{FrameKey, KeyIndex, KeyRing, Passphrase};
use roomseal_meeting::call::{BoxState, Event};
use roomseal_meeting::{
    Action, Circumstances, ForeignRoom, Kind, Meeting, Opening, Report, Requirement, Rules, Shield,
    TrackReport, Verification,
};
use roomseal_policy::E2ee;
use serde::Deserialize;

use crate::view::{Person, Reason, RemoteTrack};

/// Where the key of a room without a link comes from, as the service says at its door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyFrom {
    /// There is none: the room was made without encryption.
    None,
    /// People tell it each other, and type it.
    People,
    /// The service makes it, and can read everything.
    Service,
}

/// Who decides.
#[derive(Debug)]
pub(crate) enum Decides {
    Meeting(Box<Meeting>),
    Shared(Box<Shared>),
}

/// A room whose people share one key.
#[derive(Debug)]
pub(crate) struct Shared {
    room: ForeignRoom,
    from: KeyFrom,
    key: Option<FrameKey>,
}

/// How everything stands, in words for views.
pub(crate) struct Standing {
    pub(crate) shield: Shield,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) people: Vec<Person>,
}

impl Shared {
    pub(crate) fn new(from: KeyFrom) -> Self {
        let requirement = match from {
            KeyFrom::None => Requirement::Open,
            KeyFrom::People | KeyFrom::Service => Requirement::Sealed,
        };
        Self {
            room: ForeignRoom::new(requirement, false),
            from,
            key: None,
        }
    }

    /// What people typed or the service made, as LiveKit's own clients take a shared key; gives the key, and what
    /// follows from it.
    pub(crate) fn take_key(
        &mut self,
        text: &str,
        now: Duration,
    ) -> ((KeyIndex, FrameKey), Vec<Action>) {
        let key = FrameKey::from_passphrase(&Passphrase::new(text.as_bytes()));
        self.key = Some(key.clone());
        ((index(), key), self.room.own_key(true, now))
    }

    /// How what comes is opened.
    pub(crate) fn rules(&self, opening: Opening) -> Rules {
        let mut keys = KeyRing::new();
        if let Some(key) = &self.key {
            keys.set(index(), key.clone());
        }
        Rules {
            opening,
            keys,
            iv_prefix: None,
            iv_floor: 0,
            confirmed: false,
        }
    }

    /// The tracks that are played.
    pub(crate) fn playing(&self) -> Vec<String> {
        self.room.playing().map(|(sid, _)| sid.to_owned()).collect()
    }

    /// By what everything is opened that is played.
    pub(crate) fn opening(&self) -> Opening {
        match self.room.requirement() {
            Requirement::Open => Opening::AllowClear,
            Requirement::Sealed => Opening::Required,
        }
    }

    fn standing(&self, report: &Report, now: Duration) -> Standing {
        let around = Circumstances {
            connecting: true,
            ..Circumstances::default()
        };
        let verdict = self.room.verdict(around, now);
        let shield = match (verdict.shield, self.from) {
            (Shield::Sealed, KeyFrom::Service) => Shield::SealedByService,
            (shield, _) => shield,
        };
        let here = |text: &str| Reason {
            who: None,
            text: text.trim_end_matches('.').replace("box", "browser"),
        };
        let of_key = match self.from {
            KeyFrom::None => None,
            KeyFrom::People => Some(
                "the key is what people type: whoever knows it can see and hear, and nobody proves who he is",
            ),
            KeyFrom::Service => {
                Some("the service holds the key of this meeting: it can see and hear")
            }
        };
        let mut reasons = vec![here(verdict.text)];
        reasons.extend(
            verdict
                .reasons
                .into_iter()
                .map(|text| Reason { who: None, text }),
        );
        reasons.extend(of_key.map(here));
        let people = report.participants.iter().map(|other| {
            let (standing, why) = judge(self.room.requirement(), other.kind, &other.tracks);
            let called = match other.name.trim() {
                "" => &other.identity,
                _ => &other.name,
            };
            Person {
                identity: other.identity.clone(),
                called: called.clone(),
                standing,
                why,
                tracks: other.tracks.iter().map(RemoteTrack::from).collect(),
            }
        });
        Standing {
            shield,
            reasons,
            people: people.collect(),
        }
    }
}

/// The one slot that a shared key has.
fn index() -> KeyIndex {
    KeyIndex::of_epoch(0)
}

/// How somebody stands of whom nothing is known but what comes under the name.
fn judge(asked: Requirement, kind: Kind, tracks: &[TrackReport]) -> (&'static str, String) {
    if asked == Requirement::Open {
        return ("open", String::new());
    }
    let refused = |track: &&TrackReport| matches!(track.verification, Verification::Refused(_));
    if let Some(track) = tracks.iter().find(refused) {
        return ("unsealed", track.text.clone());
    }
    if kind != Kind::Person {
        let why = "is a program of the service; what it gets, it can read if it was given the key";
        return ("unsealed", why.into());
    }
    let verified = |track: &TrackReport| track.verification == Verification::Verified;
    match tracks.iter().any(verified) {
        true => (
            "verified",
            "what comes under this name opens with the meeting's key".into(),
        ),
        false => ("pending", "sends nothing that could be checked".into()),
    }
}

impl Decides {
    pub(crate) fn handle(&mut self, event: Event, now: Duration) -> Vec<Action> {
        match self {
            Self::Meeting(meeting) => meeting.handle(event, now),
            Self::Shared(shared) => shared.room.handle(event, now),
        }
    }

    pub(crate) fn report(&self, now: Duration) -> Report {
        match self {
            Self::Meeting(meeting) => meeting.report(now),
            Self::Shared(shared) => shared.room.report(now),
        }
    }

    /// Whether everything has to be sealed; `None`: nobody said.
    pub(crate) fn is_on(&self) -> Option<bool> {
        match self {
            Self::Meeting(meeting) => meeting.policy().map(|policy| policy.e2ee() == E2ee::On),
            Self::Shared(shared) => Some(shared.from != KeyFrom::None),
        }
    }

    /// Who counts down to off, and how long is left.
    pub(crate) fn countdown(&self, now: Duration) -> Option<(Option<&str>, Duration)> {
        match self {
            Self::Meeting(meeting) => meeting.countdown(now),
            Self::Shared(_) => None,
        }
    }

    pub(crate) fn standing(&self, report: &Report, now: Duration) -> Standing {
        let meeting = match self {
            Self::Meeting(meeting) => meeting,
            Self::Shared(shared) => return shared.standing(report, now),
        };
        let verdict = meeting.verdict(&BoxState::default(), now);
        let tracks_of = |identity: &str| {
            let mut all = report.participants.iter();
            let found = all.find(|participant| participant.identity == identity);
            found.map_or(&[][..], |participant| &participant.tracks)
        };
        Standing {
            shield: verdict.shield,
            reasons: verdict.reasons.iter().map(Into::into).collect(),
            people: verdict
                .people
                .iter()
                .map(|person| Person::new(person, tracks_of(&person.identity)))
                .collect(),
        }
    }

    /// What somebody is called.
    pub(crate) fn called(&self, identity: &str, now: Duration) -> String {
        match self {
            Self::Meeting(meeting) => meeting.called(identity).to_owned(),
            Self::Shared(shared) => {
                let people = shared.room.report(now).participants;
                let known = people.into_iter().find(|other| other.identity == identity);
                let name = known.map(|other| other.name).unwrap_or_default();
                match name.trim() {
                    "" => identity.to_owned(),
                    name => name.to_owned(),
                }
            }
        }
    }
}
