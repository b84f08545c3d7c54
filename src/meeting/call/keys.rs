// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys in use: one per policy, sender and join, derived once and forgotten when they are retired.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use roomseal_e2ee::{EpochKey, FrameKey, KeyIndex, KeyRing, Secret};
use roomseal_policy::{E2ee, Policy, PolicyHash};

use super::{Force, Meeting};
use crate::action::Action;
use crate::confirm::Instance;

/// How long the last epoch's frames still open after a switch, and clear tracks play on after off → on.
pub const GRACE: Duration = Duration::from_secs(2);

/// The keys in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    epochs: BTreeMap<PolicyHash, EpochKey>,
    senders: BTreeMap<(PolicyHash, String, Instance), FrameKey>,
    /// The policy whose key this member seals with.
    pub(super) sending: Option<PolicyHash>,
}

impl Keys {
    fn sender(
        &mut self,
        secret: &Secret,
        policy: PolicyHash,
        identity: &str,
        instance: Instance,
    ) -> FrameKey {
        match self.senders.entry((policy, identity.into(), instance)) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => {
                let epoch = self
                    .epochs
                    .entry(policy)
                    .or_insert_with(|| secret.epoch_key(policy.as_bytes()));
                place
                    .insert(epoch.sender_key(identity, &instance.0))
                    .clone()
            }
        }
    }

    fn keep(&mut self, policies: &[PolicyHash]) {
        self.epochs.retain(|policy, _| policies.contains(policy));
        self.senders
            .retain(|(policy, ..), _| policies.contains(policy));
    }
}

impl Meeting {
    /// Seals with the key of what is sealed for now, and forgets retired keys.
    pub(super) fn decide_keys(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let policies: Vec<PolicyHash> = self.epochs(now).iter().map(|(hash, _)| *hash).collect();
        self.keys.keep(&policies);
        let sealing = self.sealing(now);
        if sealing == self.keys.sending {
            return;
        }
        self.keys.sending = sealing;
        let key = match (sealing, &self.inside, &self.settings.secret) {
            (Some(policy), Some(inside), Some(secret)) => {
                let index = self.follow.find(&policy).map(index);
                let key = self
                    .keys
                    .sender(secret, policy, &inside.me, inside.instance);
                index.map(|index| (index, key))
            }
            _ => None,
        };
        actions.push(Action::SendKey(key));
    }

    /// What a peer's frames may be sealed with: the followed policy, and until the grace is over the one before.
    pub(super) fn ring(&mut self, identity: &str, instance: Instance, now: Duration) -> KeyRing {
        let mut ring = KeyRing::new();
        let Some(secret) = self.settings.secret.clone() else {
            return ring;
        };
        // The followed policy comes last: where two share a slot, its key is the one.
        for (policy, index) in self.epochs(now).into_iter().rev() {
            ring.set(index, self.keys.sender(&secret, policy, identity, instance));
        }
        ring
    }

    /// The policy whose key this member seals with, if it seals.
    pub(super) fn sealing(&self, now: Duration) -> Option<PolicyHash> {
        let inside = self.inside.as_ref()?;
        if !self.has_key() {
            return None;
        }
        let policy = self.policy()?.hash();
        match self.force() {
            Force::On => Some(policy),
            Force::Off if self.settings.require_e2ee => Some(policy),
            // Until somebody follows the new policy with us, nothing may leave clear; what was said a moment ago still
            // opens at the others.
            Force::Off if !self.is_heard(now) => inside
                .switch
                .filter(|switch| now.saturating_sub(switch.at) < GRACE)
                .and_then(|switch| switch.from)
                .filter(|(_, e2ee)| *e2ee == E2ee::On)
                .map(|(policy, _)| policy),
            Force::Off | Force::Unknown | Force::Unvouched => None,
        }
    }

    /// Whether the secret here is there, and not known to be another than the host's.
    pub(super) fn has_key(&self) -> bool {
        self.settings.secret.is_some() && !self.is_wrong_key()
    }

    /// Whether a host has another secret than this member. Without a followed policy it is told from those that are
    /// shown here; a lie of the service can make this true, and never false.
    pub(super) fn is_wrong_key(&self) -> bool {
        let Some(secret) = &self.settings.secret else {
            return false;
        };
        let somebody = || {
            self.inside
                .as_ref()
                .is_some_and(|inside| inside.roster.iter().next().is_some())
        };
        self.fits(secret) == Some(false) && (self.policy().is_some() || somebody())
    }

    /// Whether a host has this secret: as the followed policy says, else as one of those that are known does. `None`
    /// where no policy is known, and nobody can say.
    pub fn fits(&self, secret: &Secret) -> Option<bool> {
        let same = |policy: &Policy| {
            secret.check_value(policy.nonce().as_bytes()) == *policy.check().as_bytes()
        };
        match self.policy() {
            Some(policy) => Some(same(policy)),
            None => {
                let chains = self.follow.chains();
                let known = !chains.is_empty();
                known.then(|| chains.iter().any(|chain| same(chain.head())))
            }
        }
    }

    /// The policies whose keys open frames now, the followed one first.
    fn epochs(&self, now: Duration) -> Vec<(PolicyHash, KeyIndex)> {
        let (Some(inside), true) = (&self.inside, self.has_key()) else {
            return Vec::new();
        };
        let followed = self
            .policy()
            .filter(|_| matches!(self.force(), Force::On | Force::Off));
        let before = inside
            .switch
            .filter(|switch| now.saturating_sub(switch.at) < GRACE)
            .and_then(|switch| self.follow.find(&switch.from?.0));
        followed
            .into_iter()
            .chain(before)
            .map(|policy| (policy.hash(), index(policy)))
            .collect()
    }
}

fn index(policy: &Policy) -> KeyIndex {
    KeyIndex::of_epoch(policy.epoch().value())
}
