// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policies of one meeting and their order.
//!
//! A policy names the policies that its host saw and replaces. Those that no other names are the *leaves*; with one host,
//! or hosts who see each other's presses, there is one leaf. Two hosts who press at once, or whom the service keeps apart,
//! make two. The leaf in force, the *head*, is: `on` before `off`, then `user` before `server`, then the
//! higher epoch, then the lower `h(P)`.
//!
//! So `on` can be ended by an `off` only if that `off` names it, directly or through others: its host has seen what he
//! ends. An `off` that was pressed elsewhere, however many presses long its branch is and whenever the service lets it
//! through, ends nothing that its host had not seen. (Comparing branches where they part, by the lower hash say, would
//! not do: a branch held back since a tie long ago, ended by an `off` there, could undo all that followed here.)
//!
//! What two members know is joined by taking the union. The head depends on the set alone, so members who know the same
//! agree, in whatever order it came, and nothing that is known is ever forgotten.

use alloc::collections::{BTreeMap, BTreeSet, btree_map};
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::certificate::{Certificate, Host, HostCheck};
use crate::digest::{CertificateHash, MeetingKeyHash, PolicyHash};
use crate::message::{self, ChainMessage};
use crate::policy::{Decision, E2ee, Epoch, Policy};
use crate::refusal::Refusal;
use crate::room::RoomName;

/// All policies of one meeting that a member knows: a root and what follows it, without gaps, every signature verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    room: RoomName,
    meeting: MeetingKeyHash,
    /// Those of the hosts who signed a policy here.
    certificates: BTreeMap<CertificateHash, Certificate>,
    policies: BTreeMap<PolicyHash, Policy>,
    root: PolicyHash,
    head: PolicyHash,
}

/// What a received message did to a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// All of it was known, the head too.
    Same,
    /// All of it was known, and the sender did not show the head: send him the chain.
    Behind,
    /// A new head that continues the old one.
    Extended,
    /// A new head that does not continue the old one, but wins over it.
    ForkWon,
    /// New policies; the head stays.
    ForkLost,
    /// A chain with another root, complete and verified. Whether to take it depends on who follows it (PROTOCOL.md,
    /// "Which policy a member follows"); until then nothing has changed.
    Other(Chain),
}

/// How another chain stands to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Both know the same.
    Same,
    /// The other knows all that this one does, and more.
    Ahead,
    /// This one knows all that the other does, and more.
    Behind,
    /// Each knows policies that the other does not.
    Forked,
    /// Another root.
    Other,
}

impl Chain {
    /// Most policies that are kept. Without unseen presses, [`Epoch::MAX`] ends a chain before.
    pub const MOST_POLICIES: usize = 768;
    /// Most certificates that are kept.
    pub const MOST_CERTIFICATES: usize = 64;
    /// The longest message that is read: the most that a LiveKit room's metadata can hold.
    pub const MOST_TEXT: usize = 512 * 1024;

    /// Begins a chain with a root of this host.
    pub fn start(host: &Host, decision: &Decision) -> Self {
        let root = Policy::sign(host, Epoch::FIRST, Vec::new(), decision);
        let certificate = host.certificate();
        Self {
            room: certificate.room().clone(),
            meeting: certificate.meeting(),
            certificates: BTreeMap::from([(certificate.hash(), certificate.clone())]),
            root: root.hash(),
            head: root.hash(),
            policies: BTreeMap::from([(root.hash(), root)]),
        }
    }

    /// Begins with a chain that was received.
    ///
    /// # Errors
    /// Anything in the message is not as it must be, or the root is not in it ([`Refusal::Gap`]).
    pub fn begin(text: &str, room: &RoomName, check: &HostCheck) -> Result<Self, Refusal> {
        Self::of(&ChainMessage::read(text)?, room, check)
    }

    /// Takes in what was received, all of it or nothing.
    ///
    /// Policies that are known already are not verified again.
    ///
    /// # Errors
    /// Anything in the message is not as it must be; then nothing has changed.
    pub fn merge(&mut self, text: &str) -> Result<Merged, Refusal> {
        let message = ChainMessage::read(text)?;
        let mut shows_head = false;
        let mut new = Vec::new();
        for text in &message.policies {
            let (hash, is_root) = Policy::peek(text)?;
            shows_head |= hash == self.head;
            if is_root && hash != self.root {
                let check = HostCheck::Pinned(self.meeting);
                return Self::of(&message, &self.room, &check).map(Merged::Other);
            }
            if !self.policies.contains_key(&hash) {
                new.push(text.as_str());
            }
        }
        if new.is_empty() {
            return Ok(if shows_head {
                Merged::Same
            } else {
                Merged::Behind
            });
        }
        let before = self.head;
        let mut next = self.clone();
        next.take(&message.certificates, &new)?;
        *self = next;
        Ok(if self.head == before {
            Merged::ForkLost
        } else if self.continues(&self.head, &before) {
            Merged::Extended
        } else {
            Merged::ForkWon
        })
    }

    /// Adds this host's policy after all leaves that are known, and gives the message that tells the others.
    ///
    /// With more leaves than one policy can name, those least in force stay open; when `off` leaves an `on` open, E2EE
    /// stays on and the host presses again.
    ///
    /// # Errors
    /// The host is not one of this meeting and room, or the chain is full.
    pub fn press(&mut self, host: &Host, decision: &Decision) -> Result<String, Refusal> {
        let certificate = host.certificate();
        if certificate.meeting() != self.meeting {
            return Err(Refusal::OtherMeeting);
        }
        if certificate.room() != &self.room {
            return Err(Refusal::OtherRoom);
        }
        let mut leaves = self.leaves();
        leaves.truncate(Policy::MOST_PREV);
        let epoch = leaves
            .iter()
            .map(|leaf| leaf.epoch())
            .max()
            .and_then(Epoch::next)
            .ok_or(Refusal::Full)?;
        if epoch == Epoch::MAX && decision.e2ee == E2ee::Off {
            return Err(Refusal::Full);
        }
        let mut prev: Vec<_> = leaves.iter().map(|leaf| leaf.hash()).collect();
        prev.sort_unstable();
        let policy = Policy::sign(host, epoch, prev, decision);
        let text = message::write_chain([certificate], [&policy]);
        let mut next = self.clone();
        next.insert(policy, certificate)?;
        next.find_head();
        *self = next;
        Ok(text)
    }

    /// The policy that is in force.
    pub fn head(&self) -> &Policy {
        &self.policies[&self.head]
    }

    /// The policy that began this chain and names it.
    pub fn root(&self) -> &Policy {
        &self.policies[&self.root]
    }

    /// All policies, predecessors first.
    pub fn policies(&self) -> Vec<&Policy> {
        let mut policies: Vec<_> = self.policies.values().collect();
        policies.sort_by_key(|policy| (policy.epoch(), policy.hash()));
        policies
    }

    /// The policies that no other replaces; the head is the first of them.
    pub fn leaves(&self) -> Vec<&Policy> {
        let replaced: BTreeSet<_> = self.policies.values().flat_map(Policy::prev).collect();
        let mut leaves: Vec<_> = self
            .policies
            .values()
            .filter(|policy| !replaced.contains(&policy.hash()))
            .collect();
        leaves.sort_by_key(|leaf| {
            Reverse((
                leaf.e2ee(),
                leaf.key_model(),
                leaf.epoch(),
                Reverse(leaf.hash()),
            ))
        });
        leaves
    }

    /// The policy of this hash, if it is in the chain.
    pub fn policy(&self, hash: &PolicyHash) -> Option<&Policy> {
        self.policies.get(hash)
    }

    /// The host who signed a policy of this chain.
    pub fn host_of(&self, policy: &Policy) -> Option<&Certificate> {
        self.certificates.get(&policy.by())
    }

    /// The meeting key that all hosts in it are certified by.
    pub fn meeting(&self) -> MeetingKeyHash {
        self.meeting
    }

    /// Its room.
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// Whether `later` continues `earlier`, directly or through others; `false` if they are the same or not in the chain.
    pub fn continues(&self, later: &PolicyHash, earlier: &PolicyHash) -> bool {
        self.behind([later]).contains(earlier)
    }

    /// Everything that any of these policies continues, directly or through others.
    pub fn behind<'a>(
        &self,
        policies: impl IntoIterator<Item = &'a PolicyHash>,
    ) -> BTreeSet<PolicyHash> {
        let prev = |hash: &PolicyHash| self.policies.get(hash).map_or(&[][..], Policy::prev);
        let mut behind = BTreeSet::new();
        let mut open: Vec<PolicyHash> = policies.into_iter().copied().collect();
        while let Some(hash) = open.pop() {
            open.extend(prev(&hash).iter().filter(|prev| behind.insert(**prev)));
        }
        behind
    }

    /// How another chain stands to this one.
    pub fn relation(&self, other: &Self) -> Relation {
        if self.root != other.root {
            return Relation::Other;
        }
        let lacks = |one: &Self, two: &Self| {
            two.policies
                .keys()
                .any(|hash| !one.policies.contains_key(hash))
        };
        match (lacks(self, other), lacks(other, self)) {
            (false, false) => Relation::Same,
            (true, false) => Relation::Ahead,
            (false, true) => Relation::Behind,
            (true, true) => Relation::Forked,
        }
    }

    /// The whole chain as one message, as it stands in the room's metadata.
    pub fn message(&self) -> String {
        message::write_chain(self.certificates.values(), self.policies())
    }

    /// The whole chain as messages of at most `most` bytes (or of one policy each, if that is more), to be sent in this
    /// order; every one brings the certificates it needs.
    pub fn messages(&self, most: usize) -> Vec<String> {
        let mut messages = Vec::new();
        let mut part = Part::default();
        for policy in self.policies() {
            if !part.policies.is_empty() && part.length_with(self, policy) > most {
                messages.push(core::mem::take(&mut part).text());
            }
            part.add(self, policy);
        }
        messages.push(part.text());
        messages
    }

    fn of(message: &ChainMessage, room: &RoomName, check: &HostCheck) -> Result<Self, Refusal> {
        let first = message.certificates.first().ok_or(Refusal::NoCertificate)?;
        let first = Certificate::verify(first, room, check)?;
        let root = message.policies.first().ok_or(Refusal::Gap)?;
        let (root, is_root) = Policy::peek(root)?;
        if !is_root {
            return Err(Refusal::Gap);
        }
        let mut chain = Self {
            room: room.clone(),
            meeting: first.meeting(),
            certificates: BTreeMap::new(),
            policies: BTreeMap::new(),
            root,
            head: root,
        };
        let policies: Vec<_> = message.policies.iter().map(String::as_str).collect();
        chain.take(&message.certificates, &policies)?;
        Ok(chain)
    }

    /// Verifies and adds policies in the order given.
    fn take(&mut self, certificates: &[String], policies: &[&str]) -> Result<(), Refusal> {
        let check = HostCheck::Pinned(self.meeting);
        let mut known = self.certificates.clone();
        for text in certificates {
            if let btree_map::Entry::Vacant(place) = known.entry(Certificate::peek(text)?) {
                place.insert(Certificate::verify(text, &self.room, &check)?);
            }
        }
        for text in policies {
            let policy = Policy::verify(text, &self.room, |hash| known.get(hash))?;
            let certificate = &known[&policy.by()];
            self.insert(policy, certificate)?;
        }
        self.find_head();
        Ok(())
    }

    fn insert(&mut self, policy: Policy, certificate: &Certificate) -> Result<(), Refusal> {
        let mut highest = None;
        for prev in policy.prev() {
            let prev = self.policies.get(prev).ok_or(Refusal::Gap)?;
            highest = highest.max(Some(prev.epoch()));
        }
        let fits = match highest {
            None => policy.hash() == self.root,
            Some(highest) => highest.next() == Some(policy.epoch()),
        };
        if !fits {
            return Err(Refusal::Order);
        }
        self.certificates
            .entry(certificate.hash())
            .or_insert_with(|| certificate.clone());
        self.policies.insert(policy.hash(), policy);
        let full = self.policies.len() > Self::MOST_POLICIES
            || self.certificates.len() > Self::MOST_CERTIFICATES;
        if full { Err(Refusal::Full) } else { Ok(()) }
    }

    fn find_head(&mut self) {
        let head = self.leaves().first().map(|head| head.hash());
        self.head = head.expect("a chain has a root, and its highest epoch has no successor");
    }
}

/// Policies and the certificates they need, on the way into one message.
#[derive(Default)]
struct Part<'a> {
    certificates: Vec<&'a Certificate>,
    policies: Vec<&'a Policy>,
    length: usize,
}

impl<'a> Part<'a> {
    fn add(&mut self, chain: &'a Chain, policy: &'a Policy) {
        self.length = self.length_with(chain, policy);
        self.certificates
            .extend(self.certificate_for(chain, policy));
        self.policies.push(policy);
    }

    fn length_with(&self, chain: &Chain, policy: &Policy) -> usize {
        let quoted = |text: &str| text.len() + r#","""#.len();
        let certificate = self.certificate_for(chain, policy);
        self.length.max(message::EMPTY_CHAIN_LEN)
            + quoted(policy.text())
            + certificate.map_or(0, |certificate| quoted(certificate.text()))
    }

    /// The certificate that has to come with a policy, unless it is in the part already.
    fn certificate_for<'c>(&self, chain: &'c Chain, policy: &Policy) -> Option<&'c Certificate> {
        let known = self
            .certificates
            .iter()
            .any(|certificate| certificate.hash() == policy.by());
        if known { None } else { chain.host_of(policy) }
    }

    fn text(self) -> String {
        message::write_chain(self.certificates, self.policies)
    }
}
