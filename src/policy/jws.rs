// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compact JWS (RFC 7515 §7.1) with nothing to negotiate.
//!
//! The protected header of each kind is one byte string, compared as such, so there is no algorithm, no key and no
//! extension to choose. It carries the kind as `typ` (RFC 8725 §3.11), and it is part of what is signed: a signature of
//! one kind is never one of another, whatever the payloads look like.

use alloc::string::String;
use alloc::vec::Vec;

use crate::base64url;
use crate::key::{PublicKey, SIGNATURE_LEN, Signer};
use crate::refusal::Refusal;

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Certificate,
    Challenge,
    Deed,
    Enrolment,
    HostEntry,
    Policy,
    Vouch,
}

impl Kind {
    /// The protected header, byte for byte.
    fn header(self) -> &'static str {
        match self {
            Self::Certificate => r#"{"alg":"ES256","typ":"roomseal-certificate"}"#,
            Self::Challenge => r#"{"alg":"ES256","typ":"roomseal-challenge"}"#,
            Self::Deed => r#"{"alg":"ES256","typ":"roomseal-deed"}"#,
            Self::Enrolment => r#"{"alg":"ES256","typ":"roomseal-enrolment"}"#,
            Self::HostEntry => r#"{"alg":"ES256","typ":"roomseal-host-entry"}"#,
            Self::Policy => r#"{"alg":"ES256","typ":"roomseal-policy"}"#,
            Self::Vouch => r#"{"alg":"ES256","typ":"roomseal-vouch"}"#,
        }
    }
}

/// Signs the exact bytes of `payload`.
pub(crate) fn sign(kind: Kind, payload: &[u8], signer: &Signer) -> String {
    let mut text = base64url::encode(kind.header().as_bytes());
    text.push('.');
    text.push_str(&base64url::encode(payload));
    let signature = signer.sign(text.as_bytes());
    text.push('.');
    text.push_str(&base64url::encode(&signature));
    text
}

/// A JWS whose signature has not been looked at: its payload is nobody's word yet.
pub(crate) struct Unverified<'a> {
    /// Header and payload, as signed.
    signed: &'a str,
    pub(crate) payload: Vec<u8>,
    signature: [u8; SIGNATURE_LEN],
}

impl<'a> Unverified<'a> {
    pub(crate) fn read(kind: Kind, text: &'a str) -> Result<Self, Refusal> {
        // Longer than anything that this crate writes: not worth decoding.
        if text.len() > MOST_TEXT {
            return Err(Refusal::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::NotJws)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::NotJws)?;
        if header != base64url::encode(kind.header().as_bytes()) {
            return Err(Refusal::Header);
        }
        Ok(Self {
            signed,
            payload: base64url::decode(payload).map_err(|_| Refusal::NotJws)?,
            signature: base64url::decode_array(signature).map_err(|_| Refusal::NotJws)?,
        })
    }

    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), Refusal> {
        if key.verifies(self.signed.as_bytes(), &self.signature) {
            Ok(())
        } else {
            Err(Refusal::Signature)
        }
    }
}

const MOST_TEXT: usize = 4096;
