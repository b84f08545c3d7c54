// SPDX-License-Identifier: MIT OR Apache-2.0
//! Host links, sealed to the key of a box: PROTOCOL.md, "Host links for room boxes".
//!
//! HPKE (RFC 9180) in base mode: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Whoever knows the public key can
//! seal; only the box opens, and only what was sealed for this room and for this key.
//!
//! ```
//! use roomseal_e2ee::envelope::{DeviceKey, open, seal};
//! use zeroize::Zeroizing;
//!
//! # let random = |fill: u8| Zeroizing::new([fill; 32]);
//! let box_key = DeviceKey::from_seed(&random(1)).expect("one seed in 2³² is none");
//! let sealed = seal(box_key.public(), "board-room", "https://…", &random(2))?;
//! assert_eq!(*open(&box_key, "board-room", &sealed)?, "https://…");
//! assert!(open(&box_key, "other-room", &sealed).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use hpke::aead::{Aead, AesGcm256};
use hpke::kdf::HkdfSha256;
use hpke::kem::{DhP256HkdfSha256, Kem};
use hpke::rand_core::{TryCryptoRng, TryRng, utils};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use zeroize::{Zeroize as _, Zeroizing};

/// The longest text of a sealed link, in characters.
pub const MOST_CHARS: usize = 8192;

/// The longest link, in bytes: what base64url leaves of that, without the version, the point and the tag.
pub const MOST_LINK_BYTES: usize = MOST_CHARS / 4 * 3 - 1 - POINT_LEN - TAG_LEN;

const INFO: &[u8] = b"roomseal host link v1";
const VERSION: u8 = 1;
/// An uncompressed point, which is what HPKE sends of an ephemeral key.
const POINT_LEN: usize = 65;
const TAG_LEN: usize = 16;

/// The public key of a box: a point of P-256.
#[derive(Clone, PartialEq, Eq)]
pub struct DevicePublic {
    compressed: [u8; Self::LEN],
    key: <DhP256HkdfSha256 as Kem>::PublicKey,
}

impl DevicePublic {
    /// Length of the compressed form in bytes.
    pub const LEN: usize = 33;

    /// Takes the compressed point (SEC 1, 2.3.3).
    ///
    /// # Errors
    /// When the bytes are no point of the curve, or another form of one.
    pub fn new(compressed: &[u8; Self::LEN]) -> Result<Self, NotAPoint> {
        let point = p256::PublicKey::from_sec1_bytes(compressed).map_err(|_| NotAPoint)?;
        let key = point.to_sec1_point(false);
        let key = Deserializable::from_bytes(key.as_bytes()).map_err(|_| NotAPoint)?;
        // The compact form has 33 bytes too: one key would have two texts, and two sets of words.
        match point.to_sec1_point(true).as_bytes() == compressed {
            true => Ok(Self {
                compressed: *compressed,
                key,
            }),
            false => Err(NotAPoint),
        }
    }

    /// The compressed form.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.compressed
    }
}

impl fmt::Debug for DevicePublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Base64UrlUnpadded::encode_string(&self.compressed);
        write!(f, "DevicePublic({text})")
    }
}

/// The bytes are no public key of P-256 in compressed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these 33 bytes are no compressed point of P-256")]
pub struct NotAPoint;

/// The private key of a box. Wiped when dropped, never printed.
pub struct DeviceKey {
    private: <DhP256HkdfSha256 as Kem>::PrivateKey,
    public: DevicePublic,
}

impl DeviceKey {
    /// The key whose scalar these bytes are, big-endian; `None` where they are zero or not below the order of the group.
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        let private = p256::SecretKey::from_slice(seed).ok()?;
        let compressed = private.public_key().to_sec1_point(true);
        let compressed = compressed.as_bytes().try_into().ok()?;
        Some(Self {
            private: Deserializable::from_bytes(seed).ok()?,
            public: DevicePublic::new(compressed).ok()?,
        })
    }

    /// Its public half.
    pub fn public(&self) -> &DevicePublic {
        &self.public
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey({:?}, ..)", self.public)
    }
}

/// Why a link was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// More than [`MOST_LINK_BYTES`].
    #[error("the link is too long to be sealed for a room")]
    TooLong,
    /// The key cannot be sealed to, which no point of the curve should cause.
    #[error("the link could not be sealed to the key of the room")]
    Key,
}

/// Why a sealed link was not opened. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Too short, too long, no base64url, no point of the curve, or not text inside.
    #[error("what was sent for this box is no sealed link")]
    Malformed,
    /// Of a later version.
    #[error("the link was sealed in a way that this version does not know: update the box")]
    Version,
    /// Sealed to another key or for another room, or changed on the way.
    #[error("the link was not sealed for this box and this room, or was changed on the way")]
    Unauthentic,
}

/// Seals a link for a box to the room `room`; `random` is 32 bytes of the operating system's generator, new each time.
///
/// As text: base64url without padding of `0x01 ‖ enc (65 bytes) ‖ ciphertext`.
///
/// # Errors
/// When the link is too long.
pub fn seal(
    to: &DevicePublic,
    room: &str,
    link: &str,
    random: &Zeroizing<[u8; 32]>,
) -> Result<String, SealError> {
    if link.len() > MOST_LINK_BYTES {
        return Err(SealError::TooLong);
    }
    let aad = associated(room, to);
    let (point, sealed) = seal_base::<AesGcm256>(to, INFO, &aad, link.as_bytes(), random)
        .map_err(|_| SealError::Key)?;
    let mut bytes = Vec::with_capacity(1 + point.len() + sealed.len());
    bytes.push(VERSION);
    bytes.extend(point);
    bytes.extend(sealed);
    Ok(Base64UrlUnpadded::encode_string(&bytes))
}

/// Opens what [`seal`] gave, with the key that it was sealed to and the room that it was sealed for.
///
/// # Errors
/// See [`OpenError`].
pub fn open(key: &DeviceKey, room: &str, text: &str) -> Result<Zeroizing<String>, OpenError> {
    // Before any work: what comes from a server has no bound of its own.
    if text.len() > MOST_CHARS {
        return Err(OpenError::Malformed);
    }
    let bytes = Base64UrlUnpadded::decode_vec(text).map_err(|_| OpenError::Malformed)?;
    let (version, bytes) = bytes.split_first().ok_or(OpenError::Malformed)?;
    if *version != VERSION {
        return Err(OpenError::Version);
    }
    let (point, sealed) = bytes
        .split_at_checked(POINT_LEN)
        .filter(|(_, sealed)| sealed.len() >= TAG_LEN)
        .ok_or(OpenError::Malformed)?;
    // Validates that it is a point of the curve and not the neutral one (RFC 9180, 7.1.4).
    let point = Deserializable::from_bytes(point).map_err(|_| OpenError::Malformed)?;
    let opened = hpke::single_shot_open::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
        &OpModeR::Base,
        &key.private,
        &point,
        INFO,
        sealed,
        &associated(room, &key.public),
    )
    .map_err(|_| OpenError::Unauthentic)?;
    match String::from_utf8(opened) {
        Ok(link) => Ok(Zeroizing::new(link)),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(OpenError::Malformed)
        }
    }
}

/// HPKE's `SealBase` (RFC 9180, 6.1): the ephemeral point and the ciphertext.
fn seal_base<A: Aead>(
    to: &DevicePublic,
    info: &[u8],
    aad: &[u8],
    text: &[u8],
    random: &[u8; 32],
) -> Result<([u8; POINT_LEN], Vec<u8>), hpke::HpkeError> {
    let (point, sealed) = hpke::single_shot_seal_with_rng::<A, HkdfSha256, DhP256HkdfSha256>(
        &OpModeS::Base,
        &to.key,
        info,
        text,
        aad,
        &mut Once(Some(random)),
    )?;
    Ok((point.to_bytes().into(), sealed))
}

/// What is authenticated beside the link: a room's name has no 0 byte, so this can be taken apart in one way only.
fn associated(room: &str, device: &DevicePublic) -> Vec<u8> {
    [room.as_bytes(), &[0], device.as_bytes()].concat()
}

/// Gives the bytes that were passed in to whom asks for them, once: the ephemeral key is made of them (RFC 9180, 7.1.3).
struct Once<'a>(Option<&'a [u8; 32]>);

impl TryRng for Once<'_> {
    type Error = Infallible;

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        let random = self.0.take().expect("one ephemeral key is made");
        bytes.copy_from_slice(random);
        Ok(())
    }

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }
}

impl TryCryptoRng for Once<'_> {}

/// The scalar is wiped by its own drop; this fails to compile if it stops being.
const _: fn() = || {
    fn wiped_on_drop<T: zeroize::ZeroizeOnDrop>() {}
    wiped_on_drop::<p256::SecretKey>();
};

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use hpke::aead::AesGcm128;

    use super::*;

    /// RFC 9180, A.3.1: all but the cipher is ours. That is AES-128-GCM, for the RFC has no example of these with the
    /// other; `vectors/envelopes.json` has.
    #[test]
    fn the_example_of_the_rfc_comes_out() {
        let hex = |text: &str| hex::decode(text).unwrap();
        let key = hex("f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2");
        let key = DeviceKey::from_seed(&key.try_into().unwrap()).unwrap();
        let random = hex("4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e");
        let text = hex("4265617574792069732074727574682c20747275746820626561757479");
        let (point, sealed) = seal_base::<AesGcm128>(
            key.public(),
            b"Ode on a Grecian Urn",
            b"Count-0",
            &text,
            &random.try_into().unwrap(),
        )
        .unwrap();
        assert_eq!(
            hex::encode(point),
            "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c\
             403ce65c9bfcb9382657222d18c4"
        );
        assert_eq!(
            hex::encode(sealed),
            "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434"
        );
    }
}
