// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signs whatever a test wants signed, in any form: nothing here comes from the crate under test.

use base64ct::{Base64UrlUnpadded, Encoding};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest, Sha256};

pub(crate) const CERTIFICATE: &str = r#"{"alg":"ES256","typ":"roomseal-certificate"}"#;
pub(crate) const POLICY: &str = r#"{"alg":"ES256","typ":"roomseal-policy"}"#;
pub(crate) const VOUCH: &str = r#"{"alg":"ES256","typ":"roomseal-vouch"}"#;

pub(crate) fn base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    base64url(&Sha256::digest(bytes))
}

/// The bytes that are signed in a JWS.
pub(crate) fn payload(jws: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(jws.split('.').nth(1).unwrap()).unwrap()
}

pub(crate) fn payload_text(jws: &str) -> String {
    String::from_utf8(payload(jws)).unwrap()
}

/// A JWS by the key whose seed is this byte 32 times.
pub(crate) fn jws(header: &str, payload: &str, seed: u8) -> String {
    let signed = format!(
        "{}.{}",
        base64url(header.as_bytes()),
        base64url(payload.as_bytes())
    );
    let key = SigningKey::from_slice(&[seed; 32]).unwrap();
    let signature: Signature = key.sign(signed.as_bytes());
    format!(
        "{signed}.{}",
        base64url(&signature.normalize_s().to_bytes())
    )
}

/// The same JWS with the other `s` that verifies: the order of the group minus the one it has.
pub(crate) fn other_s(jws: &str) -> String {
    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let (signed, signature) = jws.rsplit_once('.').unwrap();
    let mut signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
    let order = hex::decode(ORDER).unwrap();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(order[at]) - i16::from(signature[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + at] = difference.rem_euclid(256).to_le_bytes()[0];
    }
    format!("{signed}.{}", base64url(&signature))
}

/// A message with a chain in it.
pub(crate) fn chain(certificates: &[&str], policies: &[&str]) -> String {
    let list = |items: &[&str]| {
        items
            .iter()
            .map(|item| format!("\"{item}\""))
            .collect::<Vec<_>>()
            .join(",")
    };
    format!(
        r#"{{"t":"chain","v":1,"certificates":[{}],"policies":[{}]}}"#,
        list(certificates),
        list(policies)
    )
}
