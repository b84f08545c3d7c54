// SPDX-License-Identifier: MIT OR Apache-2.0
//! A room of another LiveKit application: keys come from the configuration, and the button says what this box requires.
//!
//! Foreign clients decide by a track's declaration whether its frames have to be opened. So a press publishes everything
//! anew, and until that is done nothing leaves: a clear frame in a track that was declared sealed is as wrong as the
//! other way round.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use roomseal_e2ee::KeyRing;
use roomseal_policy::E2ee;

use crate::action::{Action, Announcement, Opening, Play, Rules, Sending};
use crate::call::Event;
use crate::hosting::{By, COUNTDOWN, Hosting, Outcome, Situation};
use crate::leak::Leak;
use crate::report::{self, KEY_BY_APP, Report};
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

/// The call, as far as this box knows and decides it.
#[derive(Clone, Debug)]
pub struct ForeignRoom {
    requirement: Requirement,
    /// The presses at this box. Nobody else has a say in what it requires.
    hosting: Hosting,
    own_key: bool,
    /// What each track is declared as that is sent, or that is to take the place of one.
    declared: Vec<Requirement>,
    /// This box's identity while it is in the room.
    me: Option<String>,
    roster: Roster,
    /// Tracks whose media can be received, listed or not.
    flowing: Vec<String>,
    /// Tracks that are played, with the identity whose keys open them.
    playing: BTreeMap<String, (String, Watched)>,
    /// Since when each listed track has been awaited: from when it was first listed, or from a new requirement or key.
    awaited: BTreeMap<String, Duration>,
    /// How data packets of each are opened.
    packets: BTreeMap<String, Opening>,
    sending: Sending,
    leak: Leak,
}

/// What announcements call who presses here.
const BY: &str = "this box";

/// A service may announce more; they are not played.
const MOST_FLOWING: usize = 4096;

impl ForeignRoom {
    /// Outside the room.
    pub fn new(requirement: Requirement, own_key: bool) -> Self {
        Self {
            requirement,
            hosting: Hosting::default(),
            own_key,
            declared: Vec::new(),
            me: None,
            roster: Roster::default(),
            flowing: Vec::new(),
            playing: BTreeMap::new(),
            awaited: BTreeMap::new(),
            packets: BTreeMap::new(),
            sending: Sending::NothingOutside,
            leak: Leak::default(),
        }
    }

    /// Takes what happened at `now` (since any fixed moment) and answers what to do, in order. What is about policies
    /// changes nothing here.
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
            Event::Hold(by) => self.hold(by, now, &mut actions),
            Event::Joined { me, others, .. } => {
                self.forget(&mut actions);
                self.me = Some(me);
                self.update(others);
            }
            Event::Left => self.forget(&mut actions),
            Event::Participants(participants) => self.update(participants),
            Event::Press(by) => self.press(by, now, &mut actions),
            Event::Sent(sent) => self.leak.count(sent, now),
            Event::Known(_)
            | Event::Metadata(_)
            | Event::Publishing { .. }
            | Event::Resumed
            | Event::Said { .. }
            | Event::Secret { .. }
            | Event::Tick => {}
        }
        if self.hosting.is_due(now) {
            self.require(Requirement::Open, &mut actions);
        }
        self.decide(now, &mut actions);
        if let Some(next) = self.hosting.next() {
            actions.push(Action::WakeAt(next));
        }
        actions
    }

    /// Whether this box has a key to send with; to be said again when its keys were replaced.
    pub fn own_key(&mut self, own_key: bool, now: Duration) -> Vec<Action> {
        self.own_key = own_key;
        self.awaited.clear();
        self.packets.clear();
        for (_, watched) in self.playing.values_mut() {
            watched.keys_replaced(now);
        }
        let mut actions = Vec::new();
        self.decide(now, &mut actions);
        actions
    }

    /// What each track is declared as that is sent, or that is to take the place of one ([`Action::Republish`]).
    pub fn declared(&mut self, declared: Vec<Requirement>, now: Duration) -> Vec<Action> {
        self.declared = declared;
        let mut actions = Vec::new();
        self.decide(now, &mut actions);
        actions
    }

    /// What may leave this box.
    pub fn sending(&self) -> Sending {
        self.sending
    }

    /// How long it is until encryption goes off, if it is about to.
    pub fn countdown(&self, now: Duration) -> Option<Duration> {
        self.hosting.countdown(now).map(|(_, left)| left)
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
        report::report(&self.roster, self.sending, KEY_BY_APP, now, |sid| {
            self.playing.get(sid).map(|(_, watched)| watched)
        })
    }

    fn press(&mut self, by: By, now: Duration, actions: &mut Vec<Action>) {
        match self.hosting.press(by, self.situation(), now) {
            Outcome::Denied(why) => actions.push(Action::Announce(Announcement::Denied(why))),
            Outcome::Sign(E2ee::On) => self.require(Requirement::Sealed, actions),
            Outcome::Cancel => actions.push(Action::Announce(Announcement::OffCancelled)),
            // Off is never a press.
            Outcome::Sign(E2ee::Off) | Outcome::Nothing | Outcome::Count => {}
        }
    }

    fn hold(&mut self, by: By, now: Duration, actions: &mut Vec<Action>) {
        match self.hosting.hold(by, self.situation(), now) {
            Outcome::Denied(why) => actions.push(Action::Announce(Announcement::Denied(why))),
            Outcome::Count => actions.push(Action::Announce(Announcement::OffSoon {
                by: BY.into(),
                left: COUNTDOWN,
            })),
            Outcome::Nothing | Outcome::Sign(_) | Outcome::Cancel => {}
        }
    }

    fn situation(&self) -> Situation {
        let on = self.requirement == Requirement::Sealed;
        Situation {
            host: true,
            // Only sealing takes a key.
            secret: self.own_key || on,
            inside: self.me.is_some(),
            e2ee: Some(if on { E2ee::On } else { E2ee::Off }),
        }
    }

    /// From now on this box asks something else of every frame.
    fn require(&mut self, requirement: Requirement, actions: &mut Vec<Action>) {
        self.requirement = requirement;
        self.awaited.clear();
        self.hosting.switched();
        // First of all nothing leaves any more as it did.
        self.decide_sending(actions);
        let by = BY.into();
        actions.push(Action::Announce(match requirement {
            Requirement::Open => Announcement::Off { by },
            Requirement::Sealed => Announcement::On { by },
        }));
        if !self.declared.is_empty() {
            actions.push(Action::Republish);
        }
    }

    fn decide(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.await_tracks(now);
        self.decide_playing(actions);
        self.decide_packets(actions);
        self.decide_sending(actions);
        let sealed = self.me.is_some() && self.requirement == Requirement::Sealed;
        self.leak.forbid(sealed, now);
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
        self.hosting = Hosting::default();
        self.declared.clear();
        self.packets.clear();
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

    /// What people write is read by the same rule as their media.
    fn decide_packets(&mut self, actions: &mut Vec<Action>) {
        let opening = self.opening();
        let roster = &self.roster;
        self.packets
            .retain(|identity, _| roster.iter().any(|other| other.identity == *identity));
        for other in roster.iter() {
            if self.packets.get(&other.identity) == Some(&opening) {
                continue;
            }
            self.packets.insert(other.identity.clone(), opening);
            actions.push(Action::ReopenData {
                identity: other.identity.clone(),
                rules: Rules {
                    opening,
                    keys: KeyRing::new(),
                    iv_prefix: None,
                    iv_floor: 0,
                    confirmed: false,
                },
            });
        }
    }

    fn decide_sending(&mut self, actions: &mut Vec<Action>) {
        let requirement = self.requirement;
        let otherwise = self
            .declared
            .iter()
            .any(|declared| *declared != requirement);
        let sending = match (&self.me, requirement, self.own_key) {
            (None, ..) => Sending::NothingOutside,
            (Some(_), ..) if otherwise => Sending::NothingSwitching,
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
