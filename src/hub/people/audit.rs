// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the audit log tells: who did what, to whom, when and from where.

use std::net::IpAddr;

use super::account::{Account, AccountId};

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The first admin was made.
    SetUp,
    /// Somebody signed in.
    SignIn,
    /// Somebody did not know the password of an account that is there.
    SignInRefused,
    /// Somebody signed out.
    SignOut,
    /// Somebody changed the own password; other sessions ended.
    PasswordChanged,
}

impl Action {
    /// As it is kept and told.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SetUp => "set-up",
            Self::SignIn => "sign-in",
            Self::SignInRefused => "sign-in-refused",
            Self::SignOut => "sign-out",
            Self::PasswordChanged => "password-changed",
        }
    }
}

/// Somebody in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) id: &'a AccountId,
    pub(crate) name: &'a str,
}

impl<'a> From<&'a Account> for Named<'a> {
    fn from(account: &'a Account) -> Self {
        Self {
            id: &account.id,
            name: &account.name,
        }
    }
}

/// A line of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed<'a> {
    /// Seconds since 1970.
    pub(crate) at: i64,
    /// Who did it, if that is known.
    pub(crate) actor: Option<Named<'a>>,
    pub(crate) action: Action,
    /// To whom.
    pub(crate) subject: Option<Named<'a>>,
    /// From where.
    pub(crate) address: IpAddr,
}
