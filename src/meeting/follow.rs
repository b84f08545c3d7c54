// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which policy this member follows: PROTOCOL.md, "Which policy a member follows".
//!
//! A signature says that a host decided something once; only somebody who is there says that it holds now. So a policy
//! is followed when a live member follows it (one whose confirm echoes our nonce), with two exceptions that can only
//! make things safer: a policy *on* of the same session while we follow *off*, and the root that the invitation names.
//!
//! Company alone takes nobody from a chain that others follow too: members may be many, and their chain an old one. A
//! host's vouch does.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use roomseal_policy::{
    Certificate, Chain, E2ee, Host, HostCheck, KeyModel, MemberNonce, Merged, Policy, PolicyHash,
    Refusal, RoomName, Vouch,
};

use crate::nonces::LIVE;

/// What the invitation says about policies.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Its room.
    pub room: RoomName,
    /// Who may be a host.
    pub hosts: HostCheck,
    /// Announced as sealed (`m=on`): encryption is off only while a host says so to this member.
    pub sealed: bool,
    /// The root that was signed in advance, if there is one.
    pub root: Option<PolicyHash>,
}

/// The chains that are known, and the policy that is followed.
#[derive(Clone, Debug)]
pub(crate) struct Follow {
    invitation: Invitation,
    /// Complete and verified; none counts before it is followed.
    chains: Vec<Chain>,
    /// What is followed, with the chain it stands in.
    followed: Option<PolicyHash>,
    /// Policies that a host has confirmed to us since we joined, and when last.
    vouched: BTreeMap<PolicyHash, Duration>,
    /// What was signed here last.
    own: Option<PolicyHash>,
    /// We went over from another chain: what this one says is off may be of an earlier session, unless a host vouches.
    came_over: bool,
}

/// Who is there, as far as it decides what is followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Company<'a> {
    /// What each live member follows.
    pub(crate) live: &'a [PolicyHash],
    /// Some of them have followed something else than we for so long that they will not come by themselves.
    pub(crate) apart: bool,
}

impl Follow {
    pub(crate) fn new(invitation: Invitation) -> Self {
        Self {
            invitation,
            chains: Vec::new(),
            followed: None,
            vouched: BTreeMap::new(),
            own: None,
            came_over: false,
        }
    }

    /// Takes in a chain message; what it holds is known then, and not yet followed.
    pub(crate) fn learn(&mut self, text: &str) -> Result<(), Refusal> {
        let mut result = Err(Refusal::Gap);
        for at in 0..self.chains.len() {
            match self.chains[at].merge(text) {
                Ok(Merged::Other(_)) => {}
                Err(Refusal::Gap) => {}
                Ok(_) => return Ok(()),
                Err(refusal) => result = Err(refusal),
            }
        }
        match Chain::begin(text, &self.invitation.room, &self.hosts()) {
            Ok(chain) => {
                self.add(chain);
                Ok(())
            }
            // A part without its root says less than why it did not fit to what is known.
            Err(Refusal::Gap) => result,
            Err(refusal) => Err(refusal),
        }
    }

    /// Takes a vouch for a policy that is known.
    pub(crate) fn vouch<'a>(
        &mut self,
        text: &str,
        nonces: impl Iterator<Item = &'a MemberNonce>,
        now: Duration,
    ) -> Result<(), Refusal> {
        let mut result = Err(Refusal::OtherNonce);
        for nonce in nonces {
            for chain in &self.chains {
                match Vouch::verify(text, chain, nonce) {
                    Ok(vouch) => {
                        self.vouched.insert(vouch.policy(), now);
                        return Ok(());
                    }
                    Err(Refusal::OtherNonce) => {}
                    Err(refusal) => result = Err(refusal),
                }
            }
        }
        result
    }

    /// Decides anew what is followed. Says whether it changed.
    pub(crate) fn decide(&mut self, company: Company<'_>, now: Duration) -> bool {
        let next = match self.followed {
            None => self.first(company.live),
            Some(followed) => self.next(&followed, company, now),
        };
        let changed = next.is_some() && next != self.followed;
        if changed {
            let before = self.chain().map(|chain| chain.root().hash());
            self.followed = next;
            let after = self.chain().map(|chain| chain.root().hash());
            self.came_over |= before.is_some() && before != after;
        }
        changed
    }

    /// This member is a host and decides: its policy continues all that is known of the chain that it follows, or
    /// begins one. Gives the message that tells the others.
    pub(crate) fn press(
        &mut self,
        host: &Host,
        decision: &roomseal_policy::Decision,
        now: Duration,
    ) -> Result<alloc::string::String, Refusal> {
        let Some(followed) = self.followed else {
            let chain = Chain::start(host, decision);
            let text = chain.message();
            self.signed(chain.head().hash(), now);
            self.add(chain);
            return Ok(text);
        };
        let chain = self
            .chains
            .iter_mut()
            .find(|chain| chain.policy(&followed).is_some())
            .expect("what is followed stands in a chain that is kept");
        let known: BTreeSet<_> = chain
            .policies()
            .iter()
            .map(|policy| policy.hash())
            .collect();
        let text = chain.press(host, decision)?;
        let new = chain
            .policies()
            .into_iter()
            .map(Policy::hash)
            .find(|hash| !known.contains(hash))
            .expect("a press makes a policy that was not there");
        self.signed(new, now);
        Ok(text)
    }

    /// A host need not ask a host.
    fn signed(&mut self, policy: PolicyHash, now: Duration) {
        self.followed = Some(policy);
        self.own = Some(policy);
        self.vouched.insert(policy, now);
        self.came_over = false;
    }

    /// The policy that is followed.
    pub(crate) fn policy(&self) -> Option<&Policy> {
        self.find(&self.followed?)
    }

    /// Whether a host has confirmed the followed policy to us.
    pub(crate) fn is_vouched(&self) -> bool {
        self.followed
            .is_some_and(|followed| self.vouched.contains_key(&followed))
    }

    /// A policy that is known.
    pub(crate) fn find(&self, hash: &PolicyHash) -> Option<&Policy> {
        self.chains.iter().find_map(|chain| chain.policy(hash))
    }

    /// The chain that is followed.
    pub(crate) fn chain(&self) -> Option<&Chain> {
        let followed = self.followed?;
        self.chains
            .iter()
            .find(|chain| chain.policy(&followed).is_some())
    }

    /// The host who signed the followed policy.
    pub(crate) fn host(&self) -> Option<&Certificate> {
        let chain = self.chain()?;
        chain.host_of(self.policy()?)
    }

    /// Chains that are known, followed or not.
    pub(crate) fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// Whether the invitation, and not only the first use, says who the hosts are.
    pub(crate) fn hosts_are_checked(&self) -> bool {
        self.invitation.hosts.is_checked()
    }

    pub(crate) fn invitation(&self) -> &Invitation {
        &self.invitation
    }

    /// Whether `later` continues `earlier`, directly or through others.
    pub(crate) fn continues(&self, later: &PolicyHash, earlier: &PolicyHash) -> bool {
        self.chains
            .iter()
            .any(|chain| chain.continues(later, earlier))
    }

    /// Who may be a host, as far as it is known by now.
    pub(crate) fn hosts(&self) -> HostCheck {
        match (self.invitation.hosts, self.chain()) {
            (HostCheck::FirstUse, Some(chain)) => HostCheck::Pinned(chain.meeting()),
            (hosts, _) => hosts,
        }
    }

    fn add(&mut self, chain: Chain) {
        let root = chain.root().hash();
        if self.chains.iter().any(|known| known.root().hash() == root) {
            return;
        }
        if self.chains.len() >= MOST_CHAINS {
            let followed = self.followed;
            let spare = self
                .chains
                .iter()
                .position(|chain| followed.is_none_or(|hash| chain.policy(&hash).is_none()));
            if let Some(at) = spare {
                self.chains.remove(at);
            }
        }
        self.chains.push(chain);
    }

    /// What a member that follows nothing begins with.
    fn first(&self, live: &[PolicyHash]) -> Option<PolicyHash> {
        let alive = self.best_alive(&self.chains, live);
        alive.or_else(|| {
            let root = self.find(&self.invitation.root?)?;
            (root.e2ee() == E2ee::On && root.prev().is_empty()).then(|| root.hash())
        })
    }

    /// What a member that follows something goes on to.
    fn next(
        &self,
        followed: &PolicyHash,
        company: Company<'_>,
        at: Duration,
    ) -> Option<PolicyHash> {
        let live = company.live;
        let chain = self.chain()?;
        let now = chain.policy(followed)?;
        let mut open: Vec<&Policy> = live.iter().filter_map(|hash| chain.policy(hash)).collect();
        let alone = open.is_empty();
        if self.came_over && now.e2ee() == E2ee::On {
            open.retain(|policy| {
                policy.e2ee() == E2ee::On || self.vouched.contains_key(&policy.hash())
            });
        }
        if now.e2ee() == E2ee::Off {
            // Wherever a host of this session said on and nothing that we follow says that it heard of that, on holds:
            // it stops clear frames, whoever is there to follow it.
            open.extend(self.unheard(chain, followed));
        }
        open.push(now);
        let best = best(chain, &open);
        if best != Some(*followed) {
            return best;
        }
        if !alone {
            return self.called(now, chain, company, at).or(best);
        }
        // Nobody follows this chain: go where somebody is. If two are alone, each on its own, one must stay.
        let others: Vec<Chain> = self
            .chains
            .iter()
            .filter(|other| other.root().hash() != chain.root().hash())
            .filter(|other| {
                let alive = live.iter().filter(|hash| other.policy(hash).is_some());
                match alive.count() {
                    0 => false,
                    1 => !outranks(now, chain, other, live),
                    _ => true,
                }
            })
            .cloned()
            .collect();
        let other = self.best_alive(&others, live)?;
        let off = self.find(&other)?.e2ee() == E2ee::Off;
        // The step from on to off is a host's, never the company's, and not a step to take while those who will come
        // over to the on are about to. Who signed the on oneself is asked by nobody to give it up.
        let called = company.apart && self.vouched.contains_key(&other);
        let allowed = !(off && now.e2ee() == E2ee::On) || (called && self.own != Some(*followed));
        allowed.then_some(other).or(Some(*followed))
    }

    /// Where a host who is there calls us, from a chain that others follow beside us: to a chain that ranks before ours;
    /// to any, if no host calls us to stay. Never from on to off.
    fn called(
        &self,
        followed: &Policy,
        chain: &Chain,
        company: Company<'_>,
        at: Duration,
    ) -> Option<PolicyHash> {
        let calls = |hash: &PolicyHash| {
            self.vouched
                .get(hash)
                .is_some_and(|vouched| at.saturating_sub(*vouched) < LIVE)
        };
        let deserted = company.apart && !calls(&followed.hash());
        let others = self
            .chains
            .iter()
            .filter(|other| other.root().hash() != chain.root().hash());
        others
            .filter_map(|other| {
                let open: Vec<&Policy> = company
                    .live
                    .iter()
                    .filter(|hash| calls(hash))
                    .filter_map(|hash| other.policy(hash))
                    .collect();
                let policy = other.policy(&best(other, &open)?)?;
                let goes = rank(policy, other) > rank(followed, chain)
                    || (deserted && policy.e2ee() >= followed.e2ee());
                goes.then_some((policy, other))
            })
            .max_by_key(|(policy, other)| rank(policy, other))
            .map(|(policy, _)| policy.hash())
    }

    /// The policies *on* of the session of the followed one that it does not continue. Only a root that was signed in
    /// advance begins more than one session; what continues it alone may be of an earlier one.
    fn unheard<'a>(&self, chain: &'a Chain, followed: &PolicyHash) -> Vec<&'a Policy> {
        let heard = chain.behind([followed]);
        let root = chain.root().hash();
        let shared = self.invitation.root == Some(root);
        let mut session: BTreeSet<PolicyHash> = heard.iter().copied().chain([*followed]).collect();
        if shared {
            session.remove(&root);
        }
        let mut unheard = Vec::new();
        // Predecessors first, so one pass finds whatever continues something of this session.
        for policy in chain.policies() {
            let hash = policy.hash();
            let within = !shared || policy.prev().iter().any(|prev| session.contains(prev));
            if !within || heard.contains(&hash) {
                continue;
            }
            session.insert(hash);
            if policy.e2ee() == E2ee::On {
                unheard.push(policy);
            }
        }
        unheard
    }

    /// The best policy that live members follow in the best of these chains.
    fn best_alive(&self, chains: &[Chain], live: &[PolicyHash]) -> Option<PolicyHash> {
        chains
            .iter()
            .filter_map(|chain| {
                let open: Vec<&Policy> =
                    live.iter().filter_map(|hash| chain.policy(hash)).collect();
                let best = best(chain, &open)?;
                Some((chain.policy(&best)?, chain))
            })
            .max_by_key(|(policy, chain)| rank(policy, chain))
            .map(|(policy, _)| policy.hash())
    }
}

/// Of several policies of one chain the one to follow: none that another of them continues; `on` before `off`, `user`
/// before `server`, the higher epoch, the lower hash.
fn best(chain: &Chain, open: &[&Policy]) -> Option<PolicyHash> {
    let hashes: Vec<_> = open.iter().map(|policy| policy.hash()).collect();
    let continued = chain.behind(&hashes);
    open.iter()
        .filter(|policy| !continued.contains(&policy.hash()))
        .max_by_key(|policy| {
            (
                policy.e2ee(),
                policy.key_model(),
                policy.epoch(),
                Reverse(policy.hash()),
            )
        })
        .map(|policy| policy.hash())
}

/// Which of several chains is the one to follow, by what is followed in each: the highest.
fn rank(policy: &Policy, chain: &Chain) -> (E2ee, KeyModel, Reverse<PolicyHash>) {
    let root = chain.root().hash();
    (policy.e2ee(), policy.key_model(), Reverse(root))
}

/// Whether what is followed in `chain` ranks before what its only live member follows in `other`.
fn outranks(now: &Policy, chain: &Chain, other: &Chain, live: &[PolicyHash]) -> bool {
    live.iter()
        .filter_map(|hash| other.policy(hash))
        .all(|theirs| rank(now, chain) > rank(theirs, other))
}

/// Chains of earlier sessions may be shown by the service; more than these are forgotten, oldest first.
const MOST_CHAINS: usize = 8;
