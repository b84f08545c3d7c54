// SPDX-License-Identifier: MIT OR Apache-2.0
//! Passwords, kept as Argon2id hashes.
//!
//! Each one costs a tenth of a second of a processor and 19 MiB, so few are worked on at a time, and not on the threads
//! that pass packets on.

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::{Semaphore, SemaphorePermit};
use zeroize::Zeroizing;

use super::code;
use super::refusal::Refusal;

/// Characters that a password has at least.
const SHORTEST: usize = 12;

/// Bytes that it has at most.
const LONGEST: usize = 1024;

/// Worked on at a time.
const AT_A_TIME: usize = 2;

/// Worked on or waiting.
const AT_MOST: usize = 64;

/// Where passwords are worked on.
pub(crate) struct Passwords {
    waiting: Semaphore,
    working: Semaphore,
    /// The hash of a password that nobody has, for accounts that are not there.
    nobodys: String,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords(…)")
    }
}

impl Passwords {
    pub(crate) async fn new() -> Result<Self, Refusal> {
        Ok(Self {
            waiting: Semaphore::new(AT_MOST),
            working: Semaphore::new(AT_A_TIME),
            nobodys: work(|| hash(&Zeroizing::new(code::draw_token()))).await?,
        })
    }

    /// The hash of a new password.
    pub(crate) async fn hash(&self, password: Zeroizing<String>) -> Result<String, Refusal> {
        if password.chars().count() < SHORTEST || password.len() > LONGEST {
            return Err(Refusal::Invalid(
                "password: take at least 12 characters, some unrelated words for instance",
            ));
        }
        let _turn = self.turn().await?;
        work(move || hash(&password)).await
    }

    /// Whether this is the password. It takes as long when there is none.
    pub(crate) async fn is(
        &self,
        password: Zeroizing<String>,
        kept: Option<String>,
    ) -> Result<bool, Refusal> {
        if password.len() > LONGEST {
            return Ok(false);
        }
        let _turn = self.turn().await?;
        let is_there = kept.is_some();
        let kept = kept.unwrap_or_else(|| self.nobodys.clone());
        let is_right = work(move || {
            let kept = PasswordHash::new(&kept).map_err(|_| Refusal::Memory)?;
            Ok(Argon2::default()
                .verify_password(password.as_bytes(), &kept)
                .is_ok())
        });
        Ok(is_right.await? && is_there)
    }

    async fn turn(&self) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>), Refusal> {
        let waiting = self.waiting.try_acquire().map_err(|_| Refusal::Busy)?;
        let working = self.working.acquire().await;
        Ok((waiting, working.expect("this semaphore is never closed")))
    }
}

/// Argon2id with 19 MiB in two passes.
fn hash(password: &Zeroizing<String>) -> Result<String, Refusal> {
    let mut salt = [0; 16];
    code::draw(&mut salt);
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string())
        .map_err(|_| Refusal::Memory)
}

async fn work<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    // It panics where no memory can be had.
    done.unwrap_or(Err(Refusal::Memory))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn typed(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_known_again_by_its_hash_alone() {
        let passwords = Passwords::new().await.unwrap();
        let kept = passwords.hash(typed("correct horse")).await.unwrap();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        let is = async |text: &str, kept: Option<&String>| {
            passwords.is(typed(text), kept.cloned()).await.unwrap()
        };
        assert!(is("correct horse", Some(&kept)).await);
        assert!(!is("correct hors", Some(&kept)).await);
        assert!(!is("correct horse", None).await);
        assert_ne!(passwords.hash(typed("correct horse")).await.unwrap(), kept);
    }

    #[tokio::test]
    async fn passwords_that_are_too_short_or_too_long_are_refused() {
        let passwords = Passwords::new().await.unwrap();
        for text in ["", "elevenchars", &"x".repeat(LONGEST + 1)] {
            let refused = passwords.hash(typed(text)).await;
            assert!(matches!(refused, Err(Refusal::Invalid(_))), "{text}");
        }
        // Characters count, not bytes.
        assert!(passwords.hash(typed("zwölf Zeiche")).await.is_ok());
    }
}
