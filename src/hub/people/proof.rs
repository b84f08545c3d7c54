// SPDX-License-Identifier: MIT OR Apache-2.0
//! What devices and hosts sign, to show that they hold their key: compact JWS (RFC 7515) with nothing to negotiate.
//!
//! The protected header of each kind is one byte string, compared as such: there is no algorithm to choose, and what was
//! signed for one thing is never good for another.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use serde::de::DeserializeOwned;

/// The longest JWS, in bytes.
const LONGEST: usize = 4096;

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// That this key is to be enrolled with this code.
    Enrolment,
    /// That this device asks, now.
    Challenge,
    /// That the host of a meeting comes in under this identity.
    HostEntry,
}

impl Kind {
    fn header(self) -> &'static str {
        match self {
            Self::Enrolment => r#"{"alg":"ES256","typ":"roomseal-enrolment"}"#,
            Self::Challenge => r#"{"alg":"ES256","typ":"roomseal-challenge"}"#,
            Self::HostEntry => r#"{"alg":"ES256","typ":"roomseal-host-entry"}"#,
        }
    }
}

/// The public key of a device or a host: a point of P-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceKey(VerifyingKey);

impl DeviceKey {
    /// Reads base64url of the compressed point (SEC 1, 2.3.3): of each key there is one text.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let point = Base64UrlUnpadded::decode_vec(text).ok()?;
        let key = Self(VerifyingKey::from_sec1_bytes(&point).ok()?);
        // Points have other forms too, two of them of 33 bytes.
        (key.text() == text).then_some(key)
    }

    /// What [`read`](Self::read) reads.
    pub(crate) fn text(&self) -> String {
        Base64UrlUnpadded::encode_string(self.0.to_sec1_point(true).as_bytes())
    }

    /// What this key signed, as this kind; `None` when it did not.
    pub(crate) fn open<T: DeserializeOwned>(&self, kind: Kind, text: &str) -> Option<T> {
        if text.len() > LONGEST {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if header != Base64UrlUnpadded::encode_string(kind.header().as_bytes()) {
            return None;
        }
        let signature = Base64UrlUnpadded::decode_vec(signature).ok()?;
        let signature = Signature::from_slice(&signature).ok()?;
        self.0.verify(signed.as_bytes(), &signature).ok()?;
        let payload = Base64UrlUnpadded::decode_vec(payload).ok()?;
        serde_json::from_slice(&payload).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::Signer as _;
    use serde_json::{Value, json};

    use super::*;

    fn sign(key: &SigningKey, header: &str, payload: &Value) -> String {
        let encode = Base64UrlUnpadded::encode_string;
        let payload = payload.to_string();
        let signed = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(payload.as_bytes())
        );
        let signature: Signature = key.sign(signed.as_bytes());
        format!("{signed}.{}", encode(&signature.to_bytes()))
    }

    #[test]
    fn only_what_this_key_signed_as_this_kind_opens() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let other = SigningKey::from_slice(&[8; 32]).unwrap();
        let public = DeviceKey(*key.verifying_key());
        assert_eq!(DeviceKey::read(&public.text()), Some(public.clone()));
        let payload = json!({ "code": "x" });
        let header = Kind::Enrolment.header();
        let good = sign(&key, header, &payload);
        let open = |kind, text: &str| public.open::<Value>(kind, text);
        assert_eq!(open(Kind::Enrolment, &good), Some(payload.clone()));
        assert_eq!(open(Kind::Challenge, &good), None);
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let (_, claims) = signed.split_once('.').unwrap();
        for bad in [
            sign(&other, header, &payload),
            sign(
                &key,
                r#"{"alg":"none","typ":"roomseal-enrolment"}"#,
                &payload,
            ),
            sign(&key, r#"{"alg":"ES256"}"#, &payload),
            format!(
                "{}.{claims}.{signature}",
                Base64UrlUnpadded::encode_string(b"{}")
            ),
            format!("{signed}."),
            format!("{signed}.AAAA"),
            signed.to_owned(),
            String::new(),
            format!("{good}{}", "A".repeat(LONGEST)),
        ] {
            assert_eq!(open(Kind::Enrolment, &bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_point_of_the_curve_is_no_key() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let encode = Base64UrlUnpadded::encode_string;
        let long = encode(key.verifying_key().to_sec1_point(false).as_bytes());
        for text in [
            "",
            "AAAA",
            &encode(&[2; 32]),
            &encode(&[0; 33]),
            &encode(&[5; 33]),
            &long,
        ] {
            assert_eq!(DeviceKey::read(text), None, "{text}");
        }
    }
}
