// SPDX-License-Identifier: MIT OR Apache-2.0
//! A room of another LiveKit application: keys come from the configuration, and this box requires what it requires.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use roomseal_e2ee::OpenCounters;

use crate::action::{Action, Opening, Play, Sending};
use crate::report::{self, Report};
use crate::roster::{Medium, Participant, Roster};
use crate::verification::Watched;

pub use verdict::{Circumstances, ForeignVerdict};

mod verdict;

/// What this box asks of every frame, its own included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Send clear, play clear and sealed.
    Open,
    /// Send sealed only, play only what opens.
    Sealed,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What a track's opening element has counted since its [`Action::Play`].
    Counted {
        /// Which track.
        sid: String,
        /// Totals, not differences.
        counters: OpenCounters,
    },
    /// A track's media ended (from the transport).
    Ended {
        /// Which track.
        sid: String,
    },
    /// A track's media can be received (from the transport).
    Flowing {
        /// Which track.
        sid: String,
    },
    /// In the room, from zero (from the service).
    Joined {
        /// This box's own identity.
        me: String,
        /// Who is there already.
        others: Vec<Participant>,
    },
    /// Out of the room; nothing that was known still holds.
    Left,
    /// Whether this box has a key to send with; said again when its keys were replaced.
    OwnKey(bool),
    /// These came, changed or left (from the service); this box itself may be among them.
    Participants(Vec<Participant>),
    /// What this box asks of every frame has changed.
    Require(Requirement),
}

/// The call, as far as this box knows and decides it.
#[derive(Clone, Debug)]
pub struct ForeignRoom {
    requirement: Requirement,
    own_key: bool,
    /// This box's identity while it is in the room.
    me: Option<String>,
    roster: Roster,
    /// Tracks whose media can be received, listed or not.
    flowing: Vec<String>,
    /// Tracks that are played, with the identity whose keys open them.
    playing: BTreeMap<String, (String, Watched)>,
    /// Since when each listed track has been awaited: from when it was first listed, or from a new requirement or key.
    awaited: BTreeMap<String, Duration>,
    sending: Sending,
}

/// A service may announce more; they are not played.
const MOST_FLOWING: usize = 4096;

impl ForeignRoom {
    /// Outside the room.
    pub fn new(requirement: Requirement, own_key: bool) -> Self {
        Self {
            requirement,
            own_key,
            me: None,
            roster: Roster::default(),
            flowing: Vec::new(),
            playing: BTreeMap::new(),
            awaited: BTreeMap::new(),
            sending: Sending::NothingOutside,
        }
    }

    /// Takes what happened at `now` (since any fixed moment) and answers what to do, in order.
    pub fn handle(&mut self, event: Event, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Counted { sid, counters } => {
                if let Some((_, watched)) = self.playing.get_mut(&sid) {
                    watched.count(counters, now);
                }
            }
            Event::Ended { sid } => self.flowing.retain(|flowing| *flowing != sid),
            Event::Flowing { sid } => {
                if !self.flowing.contains(&sid) && self.flowing.len() < MOST_FLOWING {
                    self.flowing.push(sid);
                }
            }
            Event::Joined { me, others } => {
                self.forget(&mut actions);
                self.me = Some(me);
                self.update(others);
            }
            Event::Left => self.forget(&mut actions),
            Event::OwnKey(own_key) => {
                self.own_key = own_key;
                self.awaited.clear();
                for (_, watched) in self.playing.values_mut() {
                    watched.keys_replaced(now);
                }
            }
            Event::Participants(participants) => self.update(participants),
            Event::Require(requirement) => {
                self.requirement = requirement;
                self.awaited.clear();
            }
        }
        self.await_tracks(now);
        self.decide_playing(&mut actions);
        self.decide_sending(&mut actions);
        actions
    }

    /// What may leave this box.
    pub fn sending(&self) -> Sending {
        self.sending
    }

    /// What this box asks of every frame.
    pub fn requirement(&self) -> Requirement {
        self.requirement
    }

    /// What is played, as sid and the identity whose keys open it: who changes keys gives them to these.
    pub fn playing(&self) -> impl Iterator<Item = (&str, &str)> {
        self.playing
            .iter()
            .map(|(sid, (identity, _))| (sid.as_str(), identity.as_str()))
    }

    /// Who is there and where each track stands, for people. Verdicts age, so it is to be asked again at least every second.
    pub fn report(&self, now: Duration) -> Report {
        report::report(&self.roster, self.sending, now, |sid| {
            self.playing.get(sid).map(|(_, watched)| watched)
        })
    }

    fn update(&mut self, participants: Vec<Participant>) {
        // Outside the room nothing the service says counts: it would be about a session that is over.
        let Some(me) = self.me.clone() else { return };
        for participant in participants {
            if participant.identity != me {
                self.roster.update(participant);
            }
        }
    }

    /// Ends everything of the session that is over.
    fn forget(&mut self, actions: &mut Vec<Action>) {
        self.me = None;
        self.roster.clear();
        self.flowing.clear();
        let playing = core::mem::take(&mut self.playing);
        actions.extend(playing.into_keys().map(|sid| Action::Stop { sid }));
    }

    /// Notes when a track came, and forgets those that are gone.
    fn await_tracks(&mut self, now: Duration) {
        let roster = &self.roster;
        self.awaited.retain(|sid, _| roster.owner(sid).is_some());
        for track in roster.iter().flat_map(|participant| &participant.tracks) {
            if !self.awaited.contains_key(&track.sid) {
                self.awaited.insert(track.sid.clone(), now);
            }
        }
    }

    fn opening(&self) -> Opening {
        match self.requirement {
            Requirement::Open => Opening::AllowClear,
            Requirement::Sealed => Opening::Required,
        }
    }

    /// Plays what flows and has an owner; stops what has lost either, has changed hands, or is opened by other rules.
    fn decide_playing(&mut self, actions: &mut Vec<Action>) {
        let opening = self.opening();
        self.playing.retain(|sid, (identity, watched)| {
            let stays = self.flowing.contains(sid)
                && watched.opening() == opening
                && self
                    .roster
                    .owner(sid)
                    .is_some_and(|owner| owner.identity == *identity);
            if !stays {
                actions.push(Action::Stop { sid: sid.clone() });
            }
            stays
        });
        for sid in &self.flowing {
            if self.playing.contains_key(sid) {
                continue;
            }
            let Some((owner, track)) = self.roster.track(sid) else {
                continue;
            };
            if track.medium == Medium::Other {
                continue;
            }
            self.playing
                .insert(sid.clone(), (owner.identity.clone(), Watched::new(opening)));
            actions.push(Action::Play(Play {
                sid: sid.clone(),
                identity: owner.identity.clone(),
                called: owner.called().into(),
                source: track.source,
                medium: track.medium,
                opening,
                rules: None,
            }));
        }
    }

    fn decide_sending(&mut self, actions: &mut Vec<Action>) {
        let sending = match (&self.me, self.requirement, self.own_key) {
            (None, ..) => Sending::NothingOutside,
            (Some(_), Requirement::Open, _) => Sending::Clear,
            (Some(_), Requirement::Sealed, true) => Sending::Sealed,
            (Some(_), Requirement::Sealed, false) => Sending::NothingWithoutKey,
        };
        if sending != self.sending {
            self.sending = sending;
            actions.push(Action::Send(sending));
        }
    }
}

#[cfg(test)]
mod tests;
