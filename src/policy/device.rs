// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a device shows a hub, to be enrolled there and to be known again.

use alloc::string::String;
use core::fmt;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::canonical;
use crate::jws::{self, Kind};
use crate::key::{KeySeed, PublicKey, Signer};

/// The long-lived key of a device: it signs what the hub asks, and opens what is sealed to it.
///
/// Wiped when dropped, never printed.
pub struct DeviceKey {
    seed: KeySeed,
    signer: Signer,
}

impl DeviceKey {
    /// The key of this seed.
    pub fn from_seed(seed: KeySeed) -> Self {
        let signer = Signer::from_seed(&seed);
        Self { seed, signer }
    }

    /// Its public half, by which the hub and who books the device know it.
    pub fn public(&self) -> &PublicKey {
        &self.signer.public
    }

    /// What it is made of: for the file that keeps it, and for opening what is sealed to it.
    pub fn seed(&self) -> &KeySeed {
        &self.seed
    }

    /// That this key is to be enrolled with a pairing code, at the hub that the device calls `hub` (host, and port if
    /// there is one).
    ///
    /// JWS (`typ` `roomseal-enrolment`) over `{"code":…,"hub":…}`. It has the code in it.
    pub fn enrolment(&self, code: &str, hub: &str) -> Zeroizing<String> {
        #[derive(Serialize)]
        struct Content<'a> {
            code: &'a str,
            hub: &'a str,
        }
        let payload = Zeroizing::new(canonical::write(&Content { code, hub }));
        Zeroizing::new(jws::sign(Kind::Enrolment, payload.as_bytes(), &self.signer))
    }

    /// That the device asks, now: the answer to a challenge of the hub that it calls `hub`.
    ///
    /// JWS (`typ` `roomseal-challenge`) over `{"challenge":…,"hub":…}`, good once.
    pub fn answer(&self, challenge: &str, hub: &str) -> String {
        #[derive(Serialize)]
        struct Content<'a> {
            challenge: &'a str,
            hub: &'a str,
        }
        let payload = canonical::write(&Content { challenge, hub });
        jws::sign(Kind::Challenge, payload.as_bytes(), &self.signer)
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey({}, ..)", self.public())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::Refusal;
    use crate::jws::Unverified;

    fn key(fill: u8) -> DeviceKey {
        DeviceKey::from_seed(KeySeed::new(Zeroizing::new([fill; 32])).unwrap())
    }

    #[test]
    fn a_device_signs_code_and_challenge_each_as_what_it_is() {
        let key = key(7);
        let enrolment = key.enrolment("k3f9-ab2x-7mqp-4wcz", "meet.example.org:7880");
        let read = Unverified::read(Kind::Enrolment, &enrolment).unwrap();
        let payload = br#"{"code":"k3f9-ab2x-7mqp-4wcz","hub":"meet.example.org:7880"}"#;
        assert_eq!(read.payload, payload);
        read.verify(key.public()).unwrap();
        let answer = key.answer("AAAA", "meet.example.org");
        let read = Unverified::read(Kind::Challenge, &answer).unwrap();
        assert_eq!(
            read.payload,
            br#"{"challenge":"AAAA","hub":"meet.example.org"}"#
        );
        read.verify(key.public()).unwrap();
        let stranger = self::key(8);
        assert_eq!(read.verify(stranger.public()), Err(Refusal::Signature));
        let other = Unverified::read(Kind::Enrolment, &answer);
        assert_eq!(other.err(), Some(Refusal::Header));
    }

    #[test]
    fn the_key_is_not_printed() {
        let key = key(7);
        let shown = std::format!("{key:?}{:?}", key.seed());
        assert!(
            !shown.contains("7, 7") && !shown.contains("0707"),
            "{shown}"
        );
    }
}
