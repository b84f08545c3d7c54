// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is really true, found out without the code that is tested: which policies hosts of this session signed, who was
//! given them, who was really heard when, and what a frame says about itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use roomseal_meeting::{Sending, Shield};
use roomseal_policy::PolicyHash;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::world::{Message, World};

type Hash = [u8; 32];

/// A policy as its bytes say it.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) hash: Hash,
    pub(crate) on: bool,
    pub(crate) prev: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Truth {
    /// Signed by hosts in this session.
    session: BTreeMap<Hash, Signed>,
    /// The root that the invitation names.
    root: Option<Hash>,
    given: BTreeMap<String, BTreeSet<Hash>>,
    /// Of each (first) the newest confirm that the other (second) was given: when it was made, and what its maker
    /// followed then.
    heard: BTreeMap<(String, String), (Duration, Option<PolicyHash>, usize)>,
    entered: BTreeMap<String, Duration>,
}

/// What a frame of a member says about itself.
pub(crate) fn plain(name: &str, session: u8, count: u32) -> Vec<u8> {
    format!("\x78{name} of session {session}, frame {count}, with some more bytes").into_bytes()
}

/// The policies in a chain message or in metadata.
pub(crate) fn policies(text: &str) -> Vec<Signed> {
    let Ok(mut json) = serde_json::from_str::<Value>(text) else {
        return Vec::new();
    };
    if let Some(inner) = json.get("roomseal") {
        json = inner.clone();
    }
    let texts = json.get("policies").and_then(Value::as_array);
    texts
        .into_iter()
        .flatten()
        .filter_map(|jws| {
            let payload = jws.as_str()?.split('.').nth(1)?;
            let bytes = Base64UrlUnpadded::decode_vec(payload).ok()?;
            let policy: Value = serde_json::from_slice(&bytes).ok()?;
            let prev = policy["prev"].as_array()?;
            Some(Signed {
                hash: Sha256::digest(&bytes).into(),
                on: policy["e2ee"] == "on",
                prev: prev
                    .iter()
                    .filter_map(|h| Some(h.as_str()?.into()))
                    .collect(),
            })
        })
        .collect()
}

impl Truth {
    pub(crate) fn new(root: Option<PolicyHash>) -> Self {
        Self {
            session: BTreeMap::new(),
            root: root.map(|root| *root.as_bytes()),
            given: BTreeMap::new(),
            heard: BTreeMap::new(),
            entered: BTreeMap::new(),
        }
    }

    /// An honest member says something. What members hand on that was not signed here is no news of this session.
    pub(crate) fn said(&mut self, name: &str, text: &str) {
        let all = policies(text);
        // A host tells a policy that it has just signed alone, before anybody can hand it on in a chain.
        if let [new] = &all[..] {
            let handed_on = self.given.values().any(|given| given.contains(&new.hash));
            if !handed_on && Some(new.hash) != self.root {
                self.session.insert(new.hash, new.clone());
            }
        }
        let given = self.given.entry(name.into()).or_default();
        given.extend(all.into_iter().map(|policy| policy.hash));
    }

    /// A member is given policies; those that continue what it was not given before cannot be placed, as if they came
    /// later.
    pub(crate) fn delivered(&mut self, to: &str, text: &str) {
        let given = self.given.entry(to.into()).or_default();
        for policy in policies(text) {
            let placed = policy.prev.iter().all(|prev| {
                let mut hash = [0; 32];
                Base64UrlUnpadded::decode(prev, &mut hash).unwrap();
                given.contains(&hash)
            });
            if placed {
                given.insert(policy.hash);
            }
        }
    }

    pub(crate) fn heard(&mut self, to: &str, message: &Message) {
        if !message.text.contains("\"confirm\"") {
            return;
        }
        let key = (message.from.clone(), String::from(to));
        let last = self.heard.entry(key).or_default();
        if message.number >= last.2 {
            *last = (message.made, message.follows, message.number);
        }
    }

    pub(crate) fn entered(&mut self, name: &str, now: Duration) {
        self.entered.insert(name.into(), now);
    }

    /// Who is really in the room.
    pub(crate) fn present(&self) -> impl Iterator<Item = &str> {
        self.entered.keys().map(String::as_str)
    }

    fn given(&self, name: &str) -> impl Iterator<Item = &Signed> {
        let given = self.given.get(name).into_iter().flatten();
        given.filter_map(|hash| self.session.get(hash))
    }

    fn continues(&self, later: &Signed, earlier: &Signed) -> bool {
        later.prev.iter().any(|prev| {
            let mut hash = [0; 32];
            Base64UrlUnpadded::decode(prev, &mut hash).unwrap();
            hash == earlier.hash
                || self
                    .session
                    .get(&hash)
                    .is_some_and(|between| self.continues(between, earlier))
        })
    }

    /// Whether a host's newest word that this member was given, in the chain that it follows, is *on*: one that no *off*
    /// it was given knows of.
    fn told_on(&self, name: &str, follows: Option<PolicyHash>) -> bool {
        let chain = follows.map(|follows| self.root_of(*follows.as_bytes()));
        let words = self.given(name);
        let mut words =
            words.filter(|policy| chain.is_none_or(|chain| chain == self.root_of(policy.hash)));
        words.any(|on| {
            let mut known = self.given(name);
            on.on && !known.any(|off| !off.on && self.continues(off, on))
        })
    }

    /// Where the chain of a policy begins, as far as it is of this session.
    fn root_of(&self, hash: Hash) -> Hash {
        let prev = self
            .session
            .get(&hash)
            .and_then(|signed| signed.prev.first());
        match prev {
            Some(prev) => {
                let mut hash = [0; 32];
                Base64UrlUnpadded::decode(prev, &mut hash).unwrap();
                self.root_of(hash)
            }
            None => hash,
        }
    }

    /// Whether anybody really said something to this member in the last half minute.
    fn company(&self, name: &str, since: Duration) -> bool {
        self.heard
            .iter()
            .any(|((_, to), (made, ..))| to == name && *made >= since)
    }
}

/// What must hold for every honest member whatever the service did. Says what does not.
pub(crate) fn judge(world: &World) -> Result<(), String> {
    let truth = &world.truth;
    let recently = world.now.saturating_sub(Duration::from_secs(30));
    for (name, side) in &world.sides {
        let fail = |what: &str| Err(format!("{name}: {what}"));
        if let Some(policy) = side.meeting.policy() {
            let hash = policy.hash();
            let known =
                truth.session.contains_key(hash.as_bytes()) || truth.root == Some(*hash.as_bytes());
            if !known {
                return fail("follows a policy that nobody signed in this session");
            }
        }
        if side.sending == Sending::Clear {
            if !truth.given(name).any(|policy| !policy.on) {
                return fail("sends clear, and no host of this session said so");
            }
            let follows = side.meeting.policy().map(|policy| policy.hash());
            if truth.told_on(name, follows) {
                return fail("sends clear, and a host said on");
            }
            let since = truth.entered[name].max(recently);
            if !truth.company(name, since) {
                return fail("sends clear, and has not heard anybody");
            }
        }
        let shield = world.shield(name);
        if matches!(shield, Shield::Sealed | Shield::SealedByService) {
            if side.sending != Sending::Sealed {
                return fail("is green, and does not seal");
            }
            let hash = side.meeting.policy().map(|policy| policy.hash());
            let with = truth.heard.iter().any(|((_, to), (made, follows, _))| {
                to == name && *made >= recently && *follows == hash
            });
            if !with {
                return fail("is green, and nobody whom it hears follows the same policy");
            }
        }
        let on = matches!(shield, Shield::Sealed | Shield::SealedByService);
        let mut seen = BTreeSet::new();
        for played in &side.played {
            let text = String::from_utf8_lossy(&played.plain).into_owned();
            let own = text.starts_with(&format!("\x78{} of session", played.under));
            if on && played.at == world.now && (played.clear || !own) {
                return fail(&format!("is green, and plays as {}: {text}", played.under));
            }
            if !played.clear && !own {
                return fail(&format!("opens as {}: {text}", played.under));
            }
            if !played.clear && !seen.insert(text) {
                return fail("plays a frame twice");
            }
        }
    }
    Ok(())
}
