// SPDX-License-Identifier: MIT OR Apache-2.0
//! The meeting that decides: a foreign room with keys by the app, or a Roomseal meeting.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roomseal_e2ee::Secret;
use roomseal_meeting::call::{BoxState, Event, Settings};
use roomseal_meeting::{
    Action, Circumstances, ForeignRoom, Invitation, Meeting, Report, Requirement, Sending,
};
use roomseal_policy::{E2ee, HostCheck, Link, Policy};
use roomseal_service::livekit::Encryption;

use crate::config::{self, RoomsealMeeting};
use crate::status::{self, Shield, Standing};

/// Whoever decides about one membership.
pub(super) enum Room {
    Foreign(Box<ForeignRoom>),
    Roomseal(Box<Meeting>),
}

impl Room {
    /// A foreign room; `stays_on` says that the button turned encryption on before.
    pub(super) fn foreign(e2ee: &config::E2ee, stays_on: bool, identity: &str) -> Self {
        let requirement = if e2ee.required || stays_on {
            Requirement::Sealed
        } else {
            Requirement::Open
        };
        let own_key = e2ee.keys.of(identity).is_some();
        Self::Foreign(Box::new(ForeignRoom::new(requirement, own_key)))
    }

    /// A Roomseal meeting; `may_remove` says whether bots can be put out.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn roomseal(by: &RoomsealMeeting, may_remove: bool) -> anyhow::Result<Self> {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed)
            .map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
        let link = by.link.as_ref();
        let settings = Settings {
            invitation: Invitation {
                room: by.room.clone(),
                hosts: link.map_or(HostCheck::FirstUse, Link::host_check),
                sealed: link.is_some_and(|link| link.announced() == E2ee::On),
                root: link.and_then(Link::root).map(|chain| chain.root().hash()),
            },
            host: link
                .and_then(Link::host)
                .map(|grant| Arc::new(grant.host())),
            secret: by.secret.clone(),
            key_model: by.key_model(),
            begin: by.begin,
            require_e2ee: by.require_e2ee,
            may_remove,
            unix: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        };
        let mut meeting = Meeting::new(settings, *seed);
        if let Some(root) = link.and_then(Link::root) {
            // Outside the room nothing follows from it yet.
            meeting.handle(Event::Known(root.message()), Duration::ZERO);
        }
        Ok(Self::Roomseal(Box::new(meeting)))
    }

    /// What happened, and what to do about it.
    pub(super) fn handle(&mut self, event: Event, now: Duration) -> Vec<Action> {
        match self {
            Self::Foreign(room) => room.handle(event, now),
            Self::Roomseal(meeting) => meeting.handle(event, now),
        }
    }

    /// Whether `secret` is that of this meeting, if that can be said.
    pub(super) fn fits(&self, secret: &Secret) -> Option<bool> {
        match self {
            Self::Foreign(_) => None,
            Self::Roomseal(meeting) => meeting.fits(secret),
        }
    }

    /// Who counts down to off (`None`: this box), and how long is left.
    pub(super) fn countdown(&self, now: Duration) -> Option<(Option<String>, Duration)> {
        match self {
            Self::Foreign(room) => Some((None, room.countdown(now)?)),
            Self::Roomseal(meeting) => {
                let (by, left) = meeting.countdown(now)?;
                Some((by.map(str::to_owned), left))
            }
        }
    }

    /// What a participant is called; in a foreign room, where nothing is told to others, its identity.
    pub(super) fn called(&self, identity: &str) -> String {
        match self {
            Self::Foreign(_) => identity.to_owned(),
            Self::Roomseal(meeting) => meeting.called(identity).to_owned(),
        }
    }

    /// Who holds the keys, in words.
    pub(super) fn key_model(&self) -> &'static str {
        match self {
            Self::Foreign(_) => "keys by the app: who holds them is not checked here",
            Self::Roomseal(meeting) if meeting.service_has_secret() => {
                "keys by the service: it can read the meeting"
            }
            Self::Roomseal(_) => "keys by the people in the meeting: the service cannot read it",
        }
    }

    /// Who is there, and how their tracks stand.
    pub(super) fn report(&self, now: Duration) -> Report {
        match self {
            Self::Foreign(room) => room.report(now),
            Self::Roomseal(meeting) => meeting.report(now),
        }
    }

    /// What our tracks are declared as. In a Roomseal meeting always sealed: so a press needs no new declaration.
    pub(super) fn declared(&self) -> Encryption {
        match self {
            Self::Foreign(room) if room.requirement() == Requirement::Open => Encryption::None,
            _ => Encryption::Gcm,
        }
    }

    /// The policy that is followed; a foreign room knows none.
    pub(super) fn policy(&self) -> Option<&Policy> {
        match self {
            Self::Foreign(_) => None,
            Self::Roomseal(meeting) => meeting.policy(),
        }
    }

    /// Whether everything has to be sealed at the moment.
    pub(super) fn is_on(&self) -> bool {
        match self {
            Self::Foreign(room) => room.requirement() == Requirement::Sealed,
            Self::Roomseal(meeting) => meeting
                .policy()
                .is_some_and(|policy| policy.e2ee() == E2ee::On),
        }
    }

    /// Whether nothing leaves before everything is published anew.
    pub(super) fn is_switching(&self) -> bool {
        matches!(self, Self::Foreign(room) if room.sending() == Sending::NothingSwitching)
    }

    /// What the shield says; `around` is what only the session knows about a foreign room.
    pub(super) fn shield(&self, around: Circumstances<'_>, now: Duration) -> Shield {
        match self {
            Self::Foreign(room) => room.verdict(around, now).into(),
            Self::Roomseal(meeting) => {
                let fault = around.fault.map(str::to_owned);
                let around = BoxState {
                    fault,
                    ..BoxState::default()
                };
                meeting.verdict(&around, now).into()
            }
        }
    }

    /// Encryption in a Roomseal meeting; a foreign room has no host.
    pub(super) fn encryption(&self, host: bool) -> Option<status::Encryption> {
        let Self::Roomseal(meeting) = self else {
            return None;
        };
        Some(status::Encryption {
            on: meeting.policy().map(|policy| policy.e2ee() == E2ee::On),
            host,
            by_service: meeting.service_has_secret(),
        })
    }

    /// How each participant stands, by identity; a foreign room knows tracks only.
    pub(super) fn standings(&self, now: Duration) -> HashMap<String, Standing> {
        let Self::Roomseal(meeting) = self else {
            return HashMap::new();
        };
        let people = meeting.verdict(&BoxState::default(), now).people;
        people
            .iter()
            .map(|person| (person.identity.clone(), person.into()))
            .collect()
    }
}
