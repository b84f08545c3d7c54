// SPDX-License-Identifier: MIT OR Apache-2.0
//! The password of the page on the network. The box keeps its Argon2id hash and nothing that it could be read from.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params};

/// Characters that a password has at least. Guesses are few (`page::attempts`), and the hash is for its owner only.
const SHORTEST: usize = 12;

/// No password is longer.
pub(crate) const LONGEST: usize = 1024;

/// More memory than this, in KiB, is not asked of a small board.
const MOST_MEMORY: u32 = 256 * 1024;

/// The hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PagePassword(PasswordHash);

/// Why there is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short or too long.
    #[error("a password of this length is no good: take {SHORTEST} to {LONGEST} characters")]
    Length,
    /// The hash cannot be made.
    #[error("the password cannot be hashed: free some memory")]
    Hash,
    /// A file that holds something else.
    #[error("that is no Argon2id hash of a password: write one with `roomseal page-password`")]
    NoHash,
}

impl PagePassword {
    /// The hash of `password` with this salt, which has to be random.
    ///
    /// # Errors
    /// When the password is too short or too long, or memory is short.
    pub fn new(password: &str, salt: [u8; 16]) -> Result<Self, PasswordError> {
        if password.chars().count() < SHORTEST || password.len() > LONGEST {
            return Err(PasswordError::Length);
        }
        // Argon2id with 19 MiB in two passes.
        let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
        hash.map(Self).map_err(|_| PasswordError::Hash)
    }

    /// Reads what [`expose`](Self::expose) wrote.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        let hash = PasswordHash::new(text.trim()).map_err(|_| PasswordError::NoHash)?;
        let params = Params::try_from(&hash).map_err(|_| PasswordError::NoHash)?;
        let is_whole = hash.salt.is_some() && hash.hash.is_some();
        let is_ours = hash.algorithm == Algorithm::Argon2id.ident();
        if is_whole && is_ours && params.m_cost() <= MOST_MEMORY {
            Ok(Self(hash))
        } else {
            Err(PasswordError::NoHash)
        }
    }

    /// As it stands in its file: whoever has it can try passwords as fast as his machines can.
    pub fn expose(&self) -> String {
        self.0.to_string()
    }

    /// Whether `typed` is the password. It takes a tenth of a second of the processor, and as long for a near miss as
    /// for any other: hashes are compared in constant time.
    pub fn is(&self, typed: &str) -> bool {
        let typed = typed.as_bytes();
        typed.len() <= LONGEST && Argon2::default().verify_password(typed, &self.0).is_ok()
    }
}

impl fmt::Debug for PagePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PagePassword(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_password_is_known_again_by_its_hash_alone() {
        let made = PagePassword::new("correct horse", [7; 16]).unwrap();
        let kept = made.expose();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        let read = PagePassword::parse(&format!("{kept}\n")).unwrap();
        assert_eq!(read, made);
        assert!(read.is("correct horse"));
        for typed in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert!(!read.is(typed), "{typed:?}");
        }
        let salted = PagePassword::new("correct horse", [8; 16]).unwrap();
        assert_ne!(salted.expose(), kept);
        assert!(!format!("{read:?}").contains("argon2id"));
    }

    #[test]
    fn short_passwords_and_files_that_hold_no_hash_are_refused() {
        for password in ["", "elevenchars", &"x".repeat(LONGEST + 1)] {
            let refused = PagePassword::new(password, [7; 16]);
            assert_eq!(refused.unwrap_err(), PasswordError::Length);
        }
        // Characters count, not bytes.
        assert!(PagePassword::new("zwölf Zeiche", [7; 16]).is_ok());
        let good = PagePassword::new("correct horse", [7; 16]).unwrap();
        let good = good.expose();
        for text in [
            "",
            "correct horse",
            &good.replace("argon2id", "argon2i"),
            &good.replace("m=19456", "m=4000000000"),
            &good.replace("m=19456", "m=1000000"),
            good.rsplit_once('$').unwrap().0,
        ] {
            let refused = PagePassword::parse(text);
            assert_eq!(refused.unwrap_err(), PasswordError::NoHash, "{text}");
        }
    }
}
