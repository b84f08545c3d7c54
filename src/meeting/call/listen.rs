// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the service, the transport and the others tell.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use roomseal_policy::{Chain, MessageKind, Policy, read_metadata};

use super::speak::REPEAT;
use super::standing::SETTLE;
use super::{Event, Meeting, OwnTrack};
use crate::action::{Action, Announcement};
use crate::confirm::Confirm;
use crate::member::{Member, Taken};
use crate::nonces::PERIOD;
use crate::roster::Participant;

/// A service may announce more; they are not played.
const MOST_FLOWING: usize = 4096;
/// A member is answered no more often than this.
const ANSWER: Duration = Duration::from_millis(250);
/// A member is sent the chain no more often than this.
const TEACH: Duration = Duration::from_secs(2);
/// What LiveKit's data channels carry in one message for sure.
const MOST_MESSAGE: usize = 14_000;

impl Meeting {
    /// Takes what is told while this member is in the room.
    pub(super) fn listen(
        &mut self,
        event: Event,
        now: Duration,
        actions: &mut Vec<Action>,
        said: &mut Vec<Action>,
    ) {
        match event {
            Event::Participants(participants) => self.listen_participants(participants, now),
            Event::Metadata(text) => self.listen_metadata(text),
            Event::Said { from, text } => self.listen_to(&from, &text, now, actions, said),
            Event::Sent(sent) => {
                if let Some(inside) = &mut self.inside {
                    inside.leak.count(sent, now);
                }
            }
            Event::Resumed => self.resume(now),
            other => self.listen_media(other, now),
        }
    }

    fn listen_media(&mut self, event: Event, now: Duration) {
        let Some(inside) = &mut self.inside else {
            return;
        };
        match event {
            Event::Counted { sid, counters } => {
                if let Some(playing) = inside.playing.get_mut(&sid) {
                    playing.watched.count(counters, now);
                }
            }
            Event::Ended { sid } => inside.flowing.retain(|flowing| *flowing != sid),
            Event::Flowing { sid }
                if !inside.flowing.contains(&sid) && inside.flowing.len() < MOST_FLOWING =>
            {
                inside.flowing.push(sid);
            }
            Event::Publishing { tracks, data } => {
                let named = |tracks: &[OwnTrack]| -> Vec<_> {
                    tracks
                        .iter()
                        .map(|track| (track.sid.clone(), track.source, track.iv))
                        .collect()
                };
                inside.dirty |= named(&inside.tracks) != named(&tracks) || inside.data != data;
                inside.tracks = tracks;
                inside.data = data;
            }
            _ => {}
        }
    }

    /// The session goes on; what was said before may have been held back, so clear frames wait for a new echo.
    pub(super) fn resume(&mut self, now: Duration) {
        let nonce = self.nonce();
        if let Some(inside) = &mut self.inside {
            inside.resumed = now;
            inside.nonces.clear();
            inside.nonces.issue(nonce, now);
            inside.dirty = true;
        }
    }

    pub(super) fn listen_participants(&mut self, participants: Vec<Participant>, now: Duration) {
        let Some(inside) = &mut self.inside else {
            return;
        };
        for participant in participants {
            let identity = participant.identity.clone();
            if identity == inside.me {
                continue;
            }
            if participant.present {
                inside.arrived.entry(identity.clone()).or_insert(now);
                inside.hidden.listed(&identity);
            } else {
                inside.arrived.remove(&identity);
                inside.removed.remove(&identity);
                inside.strangers.remove(&identity);
                inside.dirty |= inside.members.get(&identity).is_some();
                inside.members.left(&identity);
            }
            inside.roster.update(participant);
        }
    }

    pub(super) fn listen_metadata(&mut self, text: String) {
        let message = read_metadata(&text);
        if let Some(message) = &message {
            self.listen_chain(message);
        }
        let hosts = self.follow.hosts();
        let room = &self.settings.invitation.room;
        let Some(inside) = &mut self.inside else {
            return;
        };
        inside.shown.clear();
        // Only who may write them has to know what is in them.
        if self.settings.host.is_some()
            && let Some(chain) = message.and_then(|text| Chain::begin(&text, room, &hosts).ok())
        {
            let hashes = chain.policies().into_iter().map(Policy::hash);
            inside.shown.extend(hashes);
        }
        inside.metadata = text;
    }

    pub(super) fn listen_chain(&mut self, text: &str) {
        // What is refused has no effect, and nobody can be blamed for it: the service may have altered it.
        let _refused = self.follow.learn(text);
    }

    fn listen_to(
        &mut self,
        from: &str,
        text: &str,
        now: Duration,
        actions: &mut Vec<Action>,
        said: &mut Vec<Action>,
    ) {
        let Some(inside) = &self.inside else { return };
        if from == inside.me {
            return;
        }
        match MessageKind::of(text) {
            MessageKind::Chain => self.listen_chain(text),
            MessageKind::Vouch => {
                let _refused = self.follow.vouch(text, inside.nonces.iter(), now);
            }
            MessageKind::Other => {
                let secret = self.settings.secret.as_ref();
                match secret.map(|secret| Confirm::read(text, from, secret)) {
                    Some(Some(confirm)) => self.listen_confirm(confirm, now, actions, said),
                    Some(None) => self.teach_stranger(from, now, said),
                    None => {}
                }
            }
        }
    }

    fn listen_confirm(
        &mut self,
        confirm: Confirm,
        now: Duration,
        actions: &mut Vec<Action>,
        said: &mut Vec<Action>,
    ) {
        let Some(inside) = &mut self.inside else {
            return;
        };
        let (from, ask) = (confirm.identity.clone(), confirm.ask);
        let follows = confirm.policy;
        match inside
            .members
            .take(confirm, &inside.me, &inside.nonces, now)
        {
            Taken::Ignored => return,
            Taken::Nonce => {}
            Taken::Proven => self.listen_proven(&from, now, actions),
        }
        if ask {
            self.answer(&from, now, said);
        }
        let own = self.policy().map(Policy::hash);
        let ahead = follows
            .zip(own)
            .is_some_and(|(theirs, own)| self.follow.continues(&theirs, &own));
        if follows != own && !ahead {
            let elsewhere = self.follow.chain().zip(follows);
            let elsewhere =
                elsewhere.is_some_and(|(chain, theirs)| chain.policy(&theirs).is_none());
            self.teach(&from, elsewhere, now, said);
        }
    }

    /// What a live member's newest confirm says beside what it follows.
    fn listen_proven(&mut self, from: &str, now: Duration, actions: &mut Vec<Action>) {
        let Some(inside) = &mut self.inside else {
            return;
        };
        let Some(proven) = inside.members.live(from, now) else {
            return;
        };
        let listed =
            |identity: &str| identity == inside.me || inside.arrived.contains_key(identity);
        let unlisted: Vec<&str> = core::iter::once(from)
            .chain(proven.heard.iter().map(String::as_str))
            .filter(|identity| !listed(identity))
            .collect();
        inside.hidden.heard(from, unlisted.into_iter(), now);
        if let Some(stay) = &proven.stay
            && self.hosting.stays(&inside.me, stay)
        {
            inside.dirty = true;
            actions.push(Action::Announce(Announcement::OffCancelled));
        }
        let counted = self.hosting.is_counting();
        if let Some(left) = self.hosting.told(from, proven.ending, now) {
            let by = inside
                .roster
                .iter()
                .find(|other| other.identity == from)
                .map_or(from, Participant::called)
                .into();
            actions.push(Action::Announce(Announcement::OffSoon { by, left }));
        } else if counted && !self.hosting.is_counting() {
            actions.push(Action::Announce(Announcement::OffCancelled));
        }
    }

    /// Tells one member at once what all hear every ten seconds.
    fn answer(&mut self, from: &str, now: Duration, said: &mut Vec<Action>) {
        let Some(member) = self.member(from) else {
            return;
        };
        let lately = |at: Duration| now.saturating_sub(at) < ANSWER;
        if member.answered.is_some_and(lately) {
            return;
        }
        member.answered = Some(now);
        self.confirm_to(alloc::vec![from.into()], now, said);
        self.vouch_off_to(from, said);
    }

    /// Sends the chain to a member that does not follow what we do; `elsewhere`: but another chain.
    fn teach(&mut self, from: &str, elsewhere: bool, now: Duration, said: &mut Vec<Action>) {
        let Some(messages) = self
            .follow
            .chain()
            .map(|chain| chain.messages(MOST_MESSAGE))
        else {
            return;
        };
        let Some(member) = self.member(from) else {
            return;
        };
        if member
            .taught
            .is_some_and(|at| now.saturating_sub(at) < TEACH)
        {
            return;
        }
        member.taught = Some(now);
        said.extend(messages.into_iter().map(|text| Action::Say {
            to: alloc::vec![from.into()],
            text,
        }));
        // From on to off, and from one chain that others follow to another, it comes by a host's word to itself only.
        if elsewhere {
            self.vouch_to(from, said);
        } else {
            self.vouch_off_to(from, said);
        }
    }

    /// Whoever says something that does not authenticate may have another secret. The chain tells it so: without, it would
    /// wait for a host for ever.
    fn teach_stranger(&mut self, from: &str, now: Duration, said: &mut Vec<Action>) {
        let chain = self.follow.chain();
        let Some(messages) = chain.map(|chain| chain.messages(MOST_MESSAGE)) else {
            return;
        };
        let Some(inside) = &mut self.inside else {
            return;
        };
        let Some(arrived) = inside.arrived.get(from) else {
            return;
        };
        // A newcomer shall know within seconds, also where the first answer is lost.
        let new = now.saturating_sub(*arrived) < SETTLE;
        let pause = if new { REPEAT } else { PERIOD };
        let taught = inside.strangers.get(from);
        if taught.is_some_and(|at| now.saturating_sub(*at) < pause) {
            return;
        }
        inside.strangers.insert(from.into(), now);
        said.extend(messages.into_iter().map(|text| Action::Say {
            to: alloc::vec![from.into()],
            text,
        }));
    }

    fn member(&mut self, identity: &str) -> Option<&mut Member> {
        self.inside.as_mut()?.members.get_mut(identity)
    }
}
