// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is drawn by chance: one-time codes that people type, and tokens that programs keep.
//!
//! A code is sixteen characters, as in `k3f9-ab2x-7mqp-4wcz`. The first four say which code is tried, so that tries can
//! be counted; the others are 60 bits, of which only the hash is kept.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Digits and letters that are not mistaken for one another.
const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";

/// Characters of a code.
const LENGTH: usize = 16;

/// Those that say which code it is.
const SELECTOR: usize = 4;

/// A one-time code.
pub(crate) struct Code(Zeroizing<String>);

impl Code {
    /// A new one.
    pub(crate) fn draw() -> Self {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        draw(&mut *bytes);
        let letter = |byte: &u8| char::from(ALPHABET[usize::from(byte % 32)]);
        Self(Zeroizing::new(bytes.iter().map(letter).collect()))
    }

    /// Reads what somebody typed, with hyphens and spaces where they like; `None` when it can be no code.
    pub(crate) fn read(typed: &str) -> Option<Self> {
        let mut code = Zeroizing::new(String::with_capacity(LENGTH));
        for letter in typed.chars().filter(|c| !matches!(c, '-' | ' ')) {
            let letter = letter.to_ascii_lowercase();
            let is_known = letter.is_ascii() && ALPHABET.contains(&(letter as u8));
            if !is_known || code.len() == LENGTH {
                return None;
            }
            code.push(letter);
        }
        (code.len() == LENGTH).then_some(Self(code))
    }

    /// In groups, for people. Only for whom it is meant.
    pub(crate) fn expose(&self) -> Zeroizing<String> {
        let text = self.0.as_str();
        let mut shown = Zeroizing::new(String::with_capacity(LENGTH + 3));
        for (at, letter) in text.chars().enumerate() {
            if at > 0 && at % 4 == 0 {
                shown.push('-');
            }
            shown.push(letter);
        }
        shown
    }

    /// The part that says which code it is.
    pub(crate) fn selector(&self) -> &str {
        &self.0[..SELECTOR]
    }

    /// What is kept of it.
    pub(crate) fn hash(&self) -> String {
        hash(&self.0)
    }

    /// Whether somebody typed this code.
    pub(crate) fn is_typed_as(&self, typed: &str) -> bool {
        Self::read(typed).is_some_and(|typed| typed.0.as_bytes().ct_eq(self.0.as_bytes()).into())
    }

    /// Whether this is what was kept of it.
    pub(crate) fn is(&self, kept: &str) -> bool {
        self.hash().as_bytes().ct_eq(kept.as_bytes()).into()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

/// What is kept of a code or a token: they are random, so that nobody finds them by trying.
pub(crate) fn hash(text: &str) -> String {
    Base64UrlUnpadded::encode_string(&Sha256::digest(text.as_bytes()))
}

/// 256 random bits as text.
pub(crate) fn draw_token() -> String {
    let mut bytes = Zeroizing::new([0; 32]);
    draw(&mut *bytes);
    Base64UrlUnpadded::encode_string(&*bytes)
}

/// Random bytes.
pub(crate) fn draw(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has random numbers");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_again_however_it_is_typed_and_by_its_hash_alone() {
        let code = Code::draw();
        let shown = code.expose();
        assert_eq!(shown.len(), LENGTH + 3);
        let kept = code.hash();
        assert!(!kept.contains(&code.0[SELECTOR..]));
        for typed in [
            shown.to_string(),
            shown.to_uppercase(),
            shown.replace('-', ""),
            shown.replace('-', " "),
        ] {
            let read = Code::read(&typed).expect("these are its characters");
            assert!(read.is(&kept));
            assert_eq!(read.selector(), &shown[..SELECTOR]);
        }
        assert!(!Code::draw().is(&kept));
        assert_eq!(format!("{code:?}"), "Code(…)");
    }

    #[test]
    fn what_can_be_no_code_is_not_taken_for_one() {
        for typed in [
            "",
            "k3f9-ab2x-7mqp",
            "k3f9-ab2x-7mqp-4wcz-2",
            "k3f9-ab2x-7mqp-4wc0",
            "k3f9-ab2x-7mqp-4wcé",
            "k3f9_ab2x_7mqp_4wcz",
        ] {
            assert!(Code::read(typed).is_none(), "{typed:?}");
        }
    }
}
