// SPDX-License-Identifier: MIT OR Apache-2.0
//! From one policy to the next: following what live members follow, and signing what a host here decided.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use roomseal_policy::{
    Check, Decision, E2ee, Policy, PolicyHash, PolicyNonce, Vouch, write_metadata,
};

use super::{Meeting, Switch, denied};
use crate::action::{Action, Announcement, Denied, Opening};
use crate::follow::Company;
use crate::hosting::SEARCH;
use crate::roster::Kind;

/// A host writes the metadata again where another has overwritten them, no more often than this.
const REWRITE: Duration = Duration::from_secs(5);

/// Whoever follows something else for longer than this has been sent our chain and said again what it follows.
const APART: Duration = Duration::from_secs(12);

/// A policy and what it says.
type Followed = Option<(PolicyHash, E2ee)>;

impl Meeting {
    /// Follows, begins and signs what is due.
    pub(super) fn go_on(
        &mut self,
        now: Duration,
        actions: &mut Vec<Action>,
        said: &mut Vec<Action>,
    ) {
        if self.inside.is_none() {
            return;
        }
        let before = self.followed();
        let live = self.live_policies(now);
        let apart = self.is_apart(now);
        let company = Company { live: &live, apart };
        while self.follow.decide(company, now) {}
        self.switched(before, now, actions, said);

        if self.hosting.is_due(now) {
            self.hosting.wanted = Some(E2ee::Off);
        }
        if self.settings.host.is_some() && self.policy().is_none() {
            self.hosting.wanted.get_or_insert(self.settings.begin);
        }
        if let Some(e2ee) = self.hosting.wanted {
            self.sign(e2ee, now, actions, said);
        }
        self.note_differences(now);
        self.write_metadata(now, said);
    }

    fn followed(&self) -> Followed {
        self.policy().map(|policy| (policy.hash(), policy.e2ee()))
    }

    /// What live members follow, each once per member.
    fn live_policies(&self, now: Duration) -> Vec<PolicyHash> {
        let inside = self.inside.iter();
        inside
            .flat_map(|inside| inside.members.all_live(now))
            .filter_map(|(_, proven)| proven.policy)
            .collect()
    }

    /// Signs what was decided here, once it is known what it continues.
    fn sign(
        &mut self,
        e2ee: E2ee,
        now: Duration,
        actions: &mut Vec<Action>,
        said: &mut Vec<Action>,
    ) {
        let before = self.followed();
        if before.is_some_and(|(_, now)| now == e2ee) {
            self.hosting.wanted = None;
            return;
        }
        let (Some(host), Some(secret)) = (self.settings.host.clone(), &self.settings.secret) else {
            return;
        };
        if before.is_none() && !self.may_begin(now) {
            return;
        }
        let nonce: [u8; 16] = self.fresh.draw();
        let decision = Decision {
            e2ee,
            key: self.settings.key_model,
            nonce: PolicyNonce::new(nonce),
            check: Check::new(secret.check_value(&nonce)),
            at: self.settings.unix.saturating_add(now.as_secs()),
        };
        self.hosting.wanted = None;
        match self.follow.press(&host, &decision, now) {
            Ok(text) => {
                said.push(Action::Say {
                    to: Vec::new(),
                    text,
                });
                self.switched(before, now, actions, said);
            }
            Err(_) => {
                self.hosting.deny(Denied::Full, now);
                actions.push(denied(Denied::Full));
            }
        }
    }

    /// Whether a host may begin a chain: nobody is there whose chain it should continue.
    fn may_begin(&self, now: Duration) -> bool {
        let Some(inside) = &self.inside else {
            return false;
        };
        let mut people = inside
            .roster
            .iter()
            .filter(|other| other.kind == Kind::Person);
        // Whoever is there and follows something will have shown its chain by the end of the search.
        now.saturating_sub(inside.joined) >= SEARCH
            || people.all(|other| {
                inside
                    .members
                    .live(&other.identity, now)
                    .is_some_and(|proven| proven.policy.is_none())
            })
    }

    /// What has to happen when another policy is followed than `before`.
    fn switched(
        &mut self,
        before: Followed,
        now: Duration,
        actions: &mut Vec<Action>,
        said: &mut Vec<Action>,
    ) {
        let after = self.followed();
        let Some((_, e2ee)) = after.filter(|_| after != before) else {
            return;
        };
        self.hosting.switched();
        let by = self
            .follow
            .host()
            .map(|host| host.name().as_str().into())
            .unwrap_or_default();
        let Some(inside) = &mut self.inside else {
            return;
        };
        inside.dirty = true;
        inside.switch = Some(Switch {
            at: now,
            from: before,
        });
        for playing in inside.playing.values_mut() {
            playing.grace = e2ee == E2ee::On
                && playing.rules.opening == Opening::AllowClear
                && playing.watched.plays_clear(now);
        }
        if before.is_some_and(|(_, before)| before != e2ee) {
            actions.push(Action::Announce(match e2ee {
                E2ee::On => Announcement::On { by },
                E2ee::Off => Announcement::Off { by },
            }));
        }
        let live: Vec<String> = inside
            .members
            .all_live(now)
            .map(|(identity, _)| identity.into())
            .collect();
        for identity in live {
            self.vouch_off_to(&identity, said);
        }
    }

    /// As a host, confirms to one member that encryption is off, if it is.
    pub(super) fn vouch_off_to(&self, identity: &str, said: &mut Vec<Action>) {
        if self
            .policy()
            .is_some_and(|policy| policy.e2ee() == E2ee::Off)
        {
            self.vouch_to(identity, said);
        }
    }

    /// As a host, confirms to one member that the followed policy holds.
    pub(super) fn vouch_to(&self, identity: &str, said: &mut Vec<Action>) {
        let nonce = self
            .inside
            .as_ref()
            .and_then(|inside| inside.members.get(identity)?.nonce);
        let (Some(policy), Some(nonce), Some(host), Some(chain)) = (
            self.policy(),
            nonce,
            &self.settings.host,
            self.follow.chain(),
        ) else {
            return;
        };
        // A host of another meeting has nothing to vouch for here.
        if let Ok(text) = Vouch::write(host, chain, &policy.hash(), &nonce) {
            said.push(Action::Say {
                to: alloc::vec![identity.into()],
                text,
            });
        }
    }

    /// Whether some live member has followed something else for so long that it will not come by itself.
    fn is_apart(&self, now: Duration) -> bool {
        let mut differs = self
            .inside
            .iter()
            .flat_map(|inside| inside.differs.values());
        differs.any(|since| now.saturating_sub(*since) > APART)
    }

    /// Since when each live member follows something else.
    fn note_differences(&mut self, now: Duration) {
        let own = self.policy().map(Policy::hash);
        let Some(inside) = &mut self.inside else {
            return;
        };
        let members = &inside.members;
        let differs = |identity: &str| {
            members
                .live(identity, now)
                .is_some_and(|proven| proven.policy != own)
        };
        inside.differs.retain(|identity, _| differs(identity));
        for (identity, _) in members.all_live(now) {
            if differs(identity) && !inside.differs.contains_key(identity) {
                inside.differs.insert(identity.into(), now);
            }
        }
    }

    /// Keeps the followed policy in the room's metadata.
    fn write_metadata(&mut self, now: Duration, said: &mut Vec<Action>) {
        let (Some(inside), Some(chain), Some(policy), true) = (
            &mut self.inside,
            self.follow.chain(),
            self.follow.policy().map(Policy::hash),
            self.settings.host.is_some(),
        ) else {
            return;
        };
        let just = inside
            .wrote
            .is_some_and(|(what, at)| what == policy && now.saturating_sub(at) < REWRITE);
        if just || inside.shown.contains(&policy) {
            return;
        }
        inside.wrote = Some((policy, now));
        if let Ok(text) = write_metadata(&inside.metadata, chain) {
            said.push(Action::WriteMetadata(text));
        }
    }
}
