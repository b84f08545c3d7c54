// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accounts: who somebody is here, and what for.

use serde::{Deserialize, Serialize};

use super::code;
use super::refusal::Refusal;

/// Characters of a name at most.
const LONGEST: usize = 64;

/// The lasting name of an account, which says nothing about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct AccountId(String);

impl AccountId {
    /// A new one.
    pub(crate) fn draw() -> Self {
        Self(code::draw_token())
    }

    /// One that was drawn before.
    pub(crate) fn kept(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an account may do here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// Everything, also with accounts.
    Admin,
    /// Meet.
    User,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User => "user",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Admin, Self::User]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// An account, without its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    /// What its owner types to sign in.
    pub(crate) name: String,
    /// What others see.
    pub(crate) display_name: String,
    pub(crate) role: Role,
    /// Whether it may start and schedule meetings with end-to-end encryption.
    pub(crate) licensed: bool,
    /// Whether it is kept out.
    pub(crate) disabled: bool,
    /// Whether its owner has chosen a password.
    pub(crate) joined: bool,
    /// When it was made, in seconds since 1970.
    pub(crate) made: i64,
}

/// What somebody typed as the name of an account, as it is kept: capitals do not count.
///
/// # Errors
/// When there can be no such account.
pub(crate) fn name(typed: &str) -> Result<String, Refusal> {
    let name = typed.trim().to_ascii_lowercase();
    let fits = (1..=LONGEST).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-+@".contains(c));
    if fits {
        Ok(name)
    } else {
        Err(Refusal::Invalid(
            "name: take 1 to 64 letters, digits and . _ - + @, as in ann or ann@example.org",
        ))
    }
}

/// What somebody typed as the name that others see.
///
/// # Errors
/// When it cannot be shown.
pub(crate) fn display_name(typed: &str) -> Result<String, Refusal> {
    let name = typed.trim();
    let fits = (1..=LONGEST).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits {
        Ok(name.to_owned())
    } else {
        Err(Refusal::Invalid(
            "display_name: take 1 to 64 characters that can be seen",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_however_they_are_typed() {
        assert_eq!(name(" Ann@Example.org "), Ok("ann@example.org".into()));
        for typed in ["", " ", "ann lee", "ann\n", "änn", &"a".repeat(65), "a/b"] {
            let kept = name(typed);
            assert!(kept.is_err() || kept == Ok("ann".into()), "{typed:?}");
        }
        assert_eq!(display_name(" Änn Lee "), Ok("Änn Lee".into()));
        for typed in ["", "\t", "a\u{7}b", &"ä".repeat(65)] {
            assert!(display_name(typed).is_err(), "{typed:?}");
        }
    }
}
