// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secrets and the key made from them; none of them can be printed or read back.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Nonce, Tag};
use zeroize::Zeroizing;

use crate::derive;
use crate::format::Unauthentic;
use crate::iv::Iv;

/// Length of the authentication tag in bytes.
pub(crate) const TAG_LEN: usize = 16;

/// A passphrase that people share, stretched by PBKDF2.
///
/// Wiped when dropped.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes the UTF-8 (or any) bytes as they are: no trimming, no normalisation, as LiveKit does.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Random bytes that an application hands out, expanded by HKDF.
///
/// Wiped when dropped.
pub struct RawKey(Zeroizing<Vec<u8>>);

impl RawKey {
    /// Takes bytes that are already hard to guess: 16 or more random ones.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for RawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawKey(..)")
    }
}

/// The key that frames are sealed and opened with.
///
/// Clones share one key schedule, which is wiped when the last of them is dropped.
#[derive(Clone)]
pub struct FrameKey(Arc<Aes128Gcm>);

impl FrameKey {
    /// Derives the key as LiveKit does from a passphrase (PBKDF2, 100 000 rounds).
    ///
    /// Takes tens of milliseconds: not for a streaming thread.
    pub fn from_passphrase(passphrase: &Passphrase) -> Self {
        Self::new(&derive::pbkdf2(&passphrase.0))
    }

    /// Derives the key as LiveKit does from raw key material (HKDF).
    pub fn from_raw_key(key: &RawKey) -> Self {
        Self::new(&derive::hkdf(&key.0))
    }

    /// Seals `plain` into `sealed`, which has the same length, and gives the tag.
    ///
    /// The caller takes every IV from an [`IvSource`](crate::IvSource), so none comes twice under one key.
    pub(crate) fn seal(&self, iv: &Iv, header: &[u8], text: InOutBuf<'_, '_, u8>) -> [u8; TAG_LEN] {
        let tag = self
            .0
            .encrypt_inout_detached(nonce(iv), header, text)
            .expect("no frame comes near the 64 GiB that GCM can seal");
        tag.into()
    }

    /// The first ciphertext byte that [`seal`](Self::seal) will give under this IV.
    ///
    /// The tag of this one byte is discarded, so the IV is still used for one message only.
    pub(crate) fn first_byte(&self, iv: &Iv, plain: u8) -> u8 {
        let mut text = [plain];
        self.seal(iv, &[], text.as_mut_slice().into());
        text[0]
    }

    /// Opens `text` in place; it is untouched unless the tag fits.
    pub(crate) fn open(
        &self,
        iv: &Iv,
        header: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), Unauthentic> {
        self.0
            .decrypt_inout_detached(nonce(iv), header, text.into(), <&Tag>::from(tag))
            .map_err(|_| Unauthentic)
    }

    pub(crate) fn new(key: &[u8; derive::KEY_LEN]) -> Self {
        Self(Arc::new(Aes128Gcm::new(key.into())))
    }
}

/// Equal are only clones of one key: whether two keys have the same bytes nobody needs to know.
impl PartialEq for FrameKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for FrameKey {}

impl fmt::Debug for FrameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameKey(..)")
    }
}

fn nonce(iv: &Iv) -> &Nonce<aes_gcm::aead::consts::U12> {
    iv.as_bytes().into()
}

/// The key schedule and the GHASH key are wiped by their own drop; this fails to compile if they stop being.
const _: fn() = || {
    fn wiped_on_drop<T: zeroize::ZeroizeOnDrop>() {}
    wiped_on_drop::<Aes128Gcm>();
};
