// SPDX-License-Identifier: MIT OR Apache-2.0
//! The P-256 keys of a meeting and its hosts.

use alloc::string::String;
use core::fmt;

use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use crate::base64url;
use crate::digest::{MeetingKeyHash, sha256};

/// 32 random bytes that are a private key: the scalar itself, big-endian, as the `d` of a JWK.
///
/// Wiped when dropped, never printed.
#[derive(Clone)]
pub struct KeySeed(Zeroizing<[u8; 32]>);

/// The bytes are no private key of P-256 (zero, or not below the order of the group).
///
/// Of random bytes one in 2³² is refused: draw new ones. Taking them modulo the order instead would make some keys
/// likelier than others, and two seeds for one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these 32 bytes are no P-256 private key: draw new random ones")]
pub struct UnusableSeed;

impl KeySeed {
    /// Takes 32 random bytes, or those that were drawn earlier.
    ///
    /// # Errors
    /// One seed in 2³² is unusable.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Result<Self, UnusableSeed> {
        match SigningKey::from_slice(&*bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(_) => Err(UnusableSeed),
        }
    }

    /// The bytes, to be put into a host link or a file that only its owner reads.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn signing_key(&self) -> SigningKey {
        SigningKey::from_slice(&*self.0).expect("the seed was tried when it was made")
    }
}

impl fmt::Debug for KeySeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySeed(..)")
    }
}

/// The key that makes somebody a host: it signs host certificates. Who has it can appoint co-hosts.
///
/// Wiped when dropped, never printed.
pub struct MeetingKey(Signer);

impl MeetingKey {
    /// The key of this seed.
    pub fn from_seed(seed: &KeySeed) -> Self {
        Self(Signer::from_seed(seed))
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.0.public
    }

    /// `h`, which links carry.
    pub fn hash(&self) -> MeetingKeyHash {
        self.0.public.meeting_hash()
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.0
    }
}

impl fmt::Debug for MeetingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeetingKey({}, ..)", self.public())
    }
}

/// The key of one host: it signs policies and vouches.
///
/// Wiped when dropped, never printed.
pub struct HostKey(Signer);

impl HostKey {
    /// The key of this seed.
    pub fn from_seed(seed: &KeySeed) -> Self {
        Self(Signer::from_seed(seed))
    }

    /// Its public half, which a certificate names.
    pub fn public(&self) -> &PublicKey {
        &self.0.public
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.0
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({}, ..)", self.public())
    }
}

/// A public point of P-256; as text, base64url of its 33 bytes in compressed form (SEC 1, 2.3.3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    point: [u8; Self::LEN],
    key: VerifyingKey,
}

impl PublicKey {
    /// Length of the compressed form in bytes.
    pub const LEN: usize = 33;

    /// The compressed form.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.point
    }

    /// `h`, if this is a meeting key.
    pub fn meeting_hash(&self) -> MeetingKeyHash {
        MeetingKeyHash::new(sha256(&self.point))
    }

    /// Whether `signature` (`r ‖ s`) is this key's over `message`, in the one form of the two that ECDSA allows
    /// which has the lower `s`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        use p256::ecdsa::signature::Verifier;
        Signature::from_slice(signature).is_ok_and(|signature| {
            // Without this, everybody could make a second valid signature of any he has seen.
            signature.normalize_s() == signature && self.key.verify(message, &signature).is_ok()
        })
    }

    fn of(key: VerifyingKey) -> Self {
        let point = key.to_sec1_point(true);
        let point = point.as_bytes().try_into().expect(
            "a public key is not the point at infinity, so its compressed form has 33 bytes",
        );
        Self { point, key }
    }

    fn read(text: &str) -> Option<Self> {
        let point: [u8; Self::LEN] = base64url::decode_array(text).ok()?;
        let key = Self::of(VerifyingKey::from_sec1_bytes(&point).ok()?);
        // The compact form of a point has 33 bytes too: one key would have two texts, and two hashes.
        (key.point == point).then_some(key)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.point))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?)
            .ok_or_else(|| de::Error::custom("not a compressed P-256 point in base64url"))
    }
}

/// Length of `r ‖ s`.
pub(crate) const SIGNATURE_LEN: usize = 64;

/// A private key with its public half.
pub(crate) struct Signer {
    private: SigningKey,
    pub(crate) public: PublicKey,
}

impl Signer {
    pub(crate) fn from_seed(seed: &KeySeed) -> Self {
        let private = seed.signing_key();
        let public = PublicKey::of(*private.verifying_key());
        Self { private, public }
    }

    /// `r ‖ s`, deterministic (RFC 6979), with the lower `s`.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        use p256::ecdsa::signature::Signer as _;
        let signature: Signature = self.private.sign(message);
        signature.normalize_s().to_bytes().into()
    }
}

/// Private keys are wiped by their own drop; this fails to compile if they stop being.
const _: fn() = || {
    fn wiped_on_drop<T: zeroize::ZeroizeOnDrop>() {}
    wiped_on_drop::<SigningKey>();
};
