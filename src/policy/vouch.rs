// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host's word to one member that a policy is in force now.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::certificate::{Certificate, Host, HostCheck};
use crate::chain::Chain;
use crate::digest::{CertificateHash, MemberNonce, PolicyHash};
use crate::jws::{self, Kind, Unverified};
use crate::message::VouchMessage;
use crate::refusal::Refusal;

/// A verified vouch.
///
/// JWS (`typ` `roomseal-vouch`) by a host key over `{"v":1,"policy":h(P),"nonce":<of the member>,"by":…}`; `by` is the hash
/// of the host's certificate, which comes along. The nonce is new at every join, so the host said it since then; the hash
/// stands for room and meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouch {
    host: Certificate,
    policy: PolicyHash,
}

impl Vouch {
    /// The message in which a host vouches to the member with this nonce for a policy of the chain: the one that it
    /// follows.
    ///
    /// # Errors
    /// The host is not one of this meeting and room, or the policy is not in the chain.
    pub fn write(
        host: &Host,
        chain: &Chain,
        policy: &PolicyHash,
        nonce: &MemberNonce,
    ) -> Result<String, Refusal> {
        let certificate = host.certificate();
        if certificate.meeting() != chain.meeting() {
            return Err(Refusal::OtherMeeting);
        }
        if certificate.room() != chain.room() {
            return Err(Refusal::OtherRoom);
        }
        if chain.policy(policy).is_none() {
            return Err(Refusal::OtherPolicy);
        }
        let payload = canonical::write(&Content {
            v: 1,
            policy: *policy,
            nonce: *nonce,
            by: certificate.hash(),
        });
        let vouch = jws::sign(Kind::Vouch, payload.as_bytes(), host.key().signer());
        Ok(VouchMessage::write(certificate, vouch))
    }

    /// Reads a message and verifies that a host of the chain's meeting vouches to this nonce for a policy in it.
    ///
    /// # Errors
    /// Anything else. [`Refusal::OtherNonce`] is no fault: it is meant for somebody else.
    pub fn verify(text: &str, chain: &Chain, nonce: &MemberNonce) -> Result<Self, Refusal> {
        let message = VouchMessage::read(text)?;
        let unverified = Unverified::read(Kind::Vouch, &message.vouch)?;
        let content: Content = canonical::read(&unverified.payload)?;
        if content.v != 1 {
            return Err(Refusal::Content);
        }
        if content.nonce != *nonce {
            return Err(Refusal::OtherNonce);
        }
        if chain.policy(&content.policy).is_none() {
            return Err(Refusal::OtherPolicy);
        }
        let check = HostCheck::Pinned(chain.meeting());
        let host = Certificate::verify(&message.certificate, chain.room(), &check)?;
        if content.by != host.hash() {
            return Err(Refusal::NoCertificate);
        }
        unverified.verify(host.host())?;
        Ok(Self {
            host,
            policy: content.policy,
        })
    }

    /// What the host vouches for.
    pub fn policy(&self) -> PolicyHash {
        self.policy
    }

    /// The host who vouches.
    pub fn host(&self) -> &Certificate {
        &self.host
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    v: u8,
    policy: PolicyHash,
    nonce: MemberNonce,
    by: CertificateHash,
}
