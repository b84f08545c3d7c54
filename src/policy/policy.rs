// SPDX-License-Identifier: MIT OR Apache-2.0
//! One policy: a host's signed word on E2EE.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::certificate::{Certificate, Host};
use crate::digest::{CertificateHash, Check, PolicyHash, PolicyNonce, sha256};
use crate::jws::{self, Kind, Unverified};
use crate::refusal::Refusal;
use crate::room::RoomName;

/// Whether media is sealed from end to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum E2ee {
    /// Clear within the transport's encryption.
    Off,
    /// Sealed.
    On,
}

/// Who knows the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyModel {
    /// The service made it and gives it to who is admitted.
    Server,
    /// The people who have the link or the passphrase.
    User,
}

/// The number of a policy in its chain: 1 for the root, else one more than the highest of its predecessors.
///
/// At most [`Epoch::MAX`], so every JSON reader has it exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u16);

impl Epoch {
    /// The root's.
    pub const FIRST: Self = Self(1);
    /// The last, which only a policy with E2EE on can have: one press that seals is always left.
    pub const MAX: Self = Self(511);

    /// The number, which is what keys are indexed by.
    pub fn value(self) -> u64 {
        u64::from(self.0)
    }

    pub(crate) fn next(self) -> Option<Self> {
        Self::new(self.value() + 1)
    }

    fn new(value: u64) -> Option<Self> {
        let value = u16::try_from(value).ok()?;
        (Self::FIRST.0..=Self::MAX.0)
            .contains(&value)
            .then_some(Self(value))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a host decides; everything else in a policy follows from the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// On or off.
    pub e2ee: E2ee,
    /// Who knows the secret.
    pub key: KeyModel,
    /// Fresh random bytes.
    pub nonce: PolicyNonce,
    /// What the secret gives with this nonce.
    pub check: Check,
    /// Seconds since 1970, for people to read; decides nothing. At most [`Decision::LAST`] is written.
    pub at: u64,
}

impl Decision {
    /// The greatest time there is: 2⁵³ − 1 s, the last that every JSON reader has exactly.
    pub const LAST: u64 = (1 << 53) - 1;
}

/// A policy with a valid signature of a host of this meeting.
///
/// JWS (`typ` `roomseal-policy`) by a host key over `P` =
/// `{"v":1,"room":…,"epoch":…,"e2ee":"on"|"off","key":"user"|"server","nonce":…,"check":…,"prev":[h(P), …],"by":…,"at":…}`.
/// `prev` names its predecessors in ascending order of their bytes; the root has none. `by` is the hash of the signer's
/// certificate, so `h(P)` stands for the meeting key, the host and the host's name too: the same words of another host,
/// or for another meeting in a room of the same name, are another policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    text: String,
    hash: PolicyHash,
    epoch: Epoch,
    prev: Vec<PolicyHash>,
    by: CertificateHash,
    decision: Decision,
}

impl Policy {
    /// Most predecessors that one policy can name.
    pub const MOST_PREV: usize = 8;

    /// `h(P)`.
    pub fn hash(&self) -> PolicyHash {
        self.hash
    }

    /// Its number.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// On or off.
    pub fn e2ee(&self) -> E2ee {
        self.decision.e2ee
    }

    /// Who knows the secret.
    pub fn key_model(&self) -> KeyModel {
        self.decision.key
    }

    /// Its random bytes, the salt of [`check`](Self::check).
    pub fn nonce(&self) -> PolicyNonce {
        self.decision.nonce
    }

    /// What the right secret gives with the nonce.
    pub fn check(&self) -> Check {
        self.decision.check
    }

    /// When its host says it was made, in seconds since 1970. For people; decides nothing.
    pub fn at(&self) -> u64 {
        self.decision.at
    }

    /// The policies that it replaces; none for a root.
    pub fn prev(&self) -> &[PolicyHash] {
        &self.prev
    }

    /// The certificate of the host who signed it.
    pub fn by(&self) -> CertificateHash {
        self.by
    }

    /// The JWS.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Which policy a text would be, and whether a root; nobody has vouched for it yet.
    pub(crate) fn peek(text: &str) -> Result<(PolicyHash, bool), Refusal> {
        let unverified = Unverified::read(Kind::Policy, text)?;
        let content: Content = canonical::read(&unverified.payload)?;
        let hash = PolicyHash::new(sha256(&unverified.payload));
        Ok((hash, content.prev.is_empty()))
    }

    /// Signs a policy with these predecessors, which are in order.
    pub(crate) fn sign(
        host: &Host,
        epoch: Epoch,
        prev: Vec<PolicyHash>,
        decision: &Decision,
    ) -> Self {
        let decision = Decision {
            at: decision.at.min(Decision::LAST),
            ..*decision
        };
        let certificate = host.certificate();
        let payload = canonical::write(&Content {
            v: 1,
            room: certificate.room().as_str().into(),
            epoch: epoch.value(),
            e2ee: decision.e2ee,
            key: decision.key,
            nonce: decision.nonce,
            check: decision.check,
            prev: prev.clone(),
            by: certificate.hash(),
            at: decision.at,
        });
        Self {
            text: jws::sign(Kind::Policy, payload.as_bytes(), host.key().signer()),
            hash: PolicyHash::new(sha256(payload.as_bytes())),
            epoch,
            prev,
            by: certificate.hash(),
            decision,
        }
    }

    /// Reads a policy for this room; its certificate is looked up by its hash.
    pub(crate) fn verify<'c>(
        text: &str,
        room: &RoomName,
        certificate: impl FnOnce(&CertificateHash) -> Option<&'c Certificate>,
    ) -> Result<Self, Refusal> {
        let unverified = Unverified::read(Kind::Policy, text)?;
        let content: Content = canonical::read(&unverified.payload)?;
        if content.v != 1 || content.at > Decision::LAST || content.prev.len() > Self::MOST_PREV {
            return Err(Refusal::Content);
        }
        if content.room != room.as_str() {
            return Err(Refusal::OtherRoom);
        }
        let epoch = Epoch::new(content.epoch).ok_or(Refusal::Order)?;
        let ascending = content.prev.is_sorted_by(|one, next| one < next);
        let is_root = content.prev.is_empty();
        if !ascending || is_root != (epoch == Epoch::FIRST) {
            return Err(Refusal::Order);
        }
        if epoch == Epoch::MAX && content.e2ee == E2ee::Off {
            return Err(Refusal::Full);
        }
        let certificate = certificate(&content.by).ok_or(Refusal::NoCertificate)?;
        unverified.verify(certificate.host())?;
        Ok(Self {
            text: text.into(),
            hash: PolicyHash::new(sha256(&unverified.payload)),
            epoch,
            prev: content.prev,
            by: content.by,
            decision: Decision {
                e2ee: content.e2ee,
                key: content.key,
                nonce: content.nonce,
                check: content.check,
                at: content.at,
            },
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    v: u8,
    room: String,
    epoch: u64,
    e2ee: E2ee,
    key: KeyModel,
    nonce: PolicyNonce,
    check: Check,
    prev: Vec<PolicyHash>,
    by: CertificateHash,
    at: u64,
}
