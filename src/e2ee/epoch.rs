// SPDX-License-Identifier: MIT OR Apache-2.0
//! The secret of a meeting and the keys that each policy makes of it: PROTOCOL.md, "Keys".

use core::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::derive;
use crate::key::FrameKey;

/// What all members of a meeting share, and the service does not have in the `user` key model.
///
/// Wiped when the last clone is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; Self::LEN]>);

impl Secret {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Takes random bytes, as they stand in an invitation link.
    pub fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Stretches a passphrase that people tell each other. The bytes are taken as they are: no trimming, no normalisation.
    ///
    /// Takes some hundred milliseconds: not for a loop that others wait for.
    pub fn from_passphrase(passphrase: &[u8], room: &str) -> Self {
        let mut secret = Zeroizing::new([0; Self::LEN]);
        let salt = [PASSPHRASE_SALT, room.as_bytes()].concat();
        pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, &salt, PASSPHRASE_ROUNDS, &mut *secret);
        Self(secret)
    }

    /// What the host publishes of its secret: whoever computes something else from the same nonce has another secret.
    pub fn check_value(&self, nonce: &[u8; 16]) -> [u8; 16] {
        let mut check = [0; 16];
        Hkdf::<Sha256>::new(Some(nonce), &*self.0)
            .expand(b"roomseal check v1", &mut check)
            .expect("16 bytes are less than the 8160 that HKDF can give");
        check
    }

    /// The key of the epoch that the policy with this hash began.
    pub fn epoch_key(&self, policy: &[u8; 32]) -> EpochKey {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(policy), &*self.0)
            .expand(b"roomseal epoch v1", &mut *key)
            .expect("32 bytes are less than the 8160 that HKDF can give");
        EpochKey(key)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What the keys of one epoch are made from. Wiped when dropped.
#[derive(Clone)]
pub struct EpochKey(Zeroizing<[u8; 32]>);

impl EpochKey {
    /// The key that one participant seals with in this epoch; `instance` is 16 random bytes, new at each of its joins.
    ///
    /// Services take identities of some hundred bytes; what is longer than 65 535 is cut there.
    pub fn sender_key(&self, identity: &str, instance: &[u8; 16]) -> FrameKey {
        let identity = &identity.as_bytes()[..identity.len().min(usize::from(u16::MAX))];
        let length = u16::try_from(identity.len()).expect("it was cut to what fits");
        let info = [
            b"roomseal sender v1".as_slice(),
            &length.to_be_bytes(),
            identity,
            instance,
        ];
        let material = self.expand(&info);
        FrameKey::new(&derive::hkdf(&*material))
    }

    /// The key that members authenticate their confirms with in this epoch.
    pub fn confirm_key(&self) -> ConfirmKey {
        ConfirmKey(self.expand(&[b"roomseal confirm v1"]))
    }

    fn expand(&self, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::from_prk(&*self.0)
            .expect("the epoch key is as long as the hash")
            .expand_multi_info(info, &mut *key)
            .expect("32 bytes are less than the 8160 that HKDF can give");
        key
    }
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochKey(..)")
    }
}

/// Authenticates what members say about themselves. Wiped when dropped.
#[derive(Clone)]
pub struct ConfirmKey(Zeroizing<[u8; 32]>);

impl ConfirmKey {
    /// HMAC-SHA256 of a message.
    pub fn tag(&self, message: &[u8]) -> [u8; 32] {
        self.mac(message).finalize().into_bytes().into()
    }

    /// Whether a tag is that of a message; takes the same time wherever they differ.
    pub fn verifies(&self, message: &[u8], tag: &[u8]) -> bool {
        self.mac(message).verify_slice(tag).is_ok()
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&*self.0)
            .expect("HMAC takes keys of any length")
            .chain_update(message)
    }
}

impl fmt::Debug for ConfirmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConfirmKey(..)")
    }
}

const PASSPHRASE_SALT: &[u8] = b"roomseal passphrase v1";
const PASSPHRASE_ROUNDS: u32 = 600_000;
