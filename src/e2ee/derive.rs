// SPDX-License-Identifier: MIT OR Apache-2.0
//! How LiveKit turns a passphrase or raw bytes into the AES key of frames.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Length of the AES key in bytes: LiveKit's native clients derive 128 bits, always.
pub(crate) const KEY_LEN: usize = 16;

/// PBKDF2-HMAC-SHA256, as for a passphrase that people share.
///
/// Takes tens of milliseconds: not for a streaming thread.
pub(crate) fn pbkdf2(passphrase: &[u8]) -> Zeroizing<[u8; KEY_LEN]> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, SALT, PBKDF2_ROUNDS, &mut *key);
    key
}

/// HKDF-SHA256, as for random bytes that an application hands out.
pub(crate) fn hkdf(material: &[u8]) -> Zeroizing<[u8; KEY_LEN]> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    Hkdf::<Sha256>::new(Some(SALT), material)
        .expand(&HKDF_INFO, &mut *key)
        .expect("16 bytes are less than the 8160 that HKDF can give");
    key
}

/// The default salt of every LiveKit SDK; applications that change it talk only among themselves.
const SALT: &[u8] = b"LKFrameEncryptionKey";
const PBKDF2_ROUNDS: u32 = 100_000;
/// LiveKit passes a zeroed buffer of this size as info, so that it is part of the derivation.
const HKDF_INFO: [u8; 128] = [0; 128];
