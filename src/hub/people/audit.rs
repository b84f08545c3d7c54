// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the audit log tells: who did what, to whom, when and from where.

use std::net::IpAddr;

use serde::Serialize;

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
    /// An admin made an account.
    AccountMade,
    /// An admin gave out a code with which the owner of an account chooses a password.
    Invited,
    /// Somebody chose a password with such a code; other sessions ended.
    InvitationAccepted,
    /// An admin made somebody an admin.
    MadeAdmin,
    /// An admin made an admin a user.
    MadeUser,
    /// An admin gave a licence to start meetings with end-to-end encryption.
    LicenceGiven,
    /// An admin took it.
    LicenceTaken,
    /// An admin shut an account out.
    AccountDisabled,
    /// An admin let it in again.
    AccountEnabled,
    /// An admin deleted an account.
    AccountDeleted,
    /// An admin lets guests stay while end-to-end encryption is on.
    GuestsAllowed,
    /// An admin has guests sign in for that.
    GuestsSignIn,
    /// Somebody enrolled a device.
    DeviceEnrolled,
    /// Somebody took a device out.
    DeviceRevoked,
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
            Self::AccountMade => "account-made",
            Self::Invited => "invited",
            Self::InvitationAccepted => "invitation-accepted",
            Self::MadeAdmin => "made-admin",
            Self::MadeUser => "made-user",
            Self::LicenceGiven => "licence-given",
            Self::LicenceTaken => "licence-taken",
            Self::AccountDisabled => "account-disabled",
            Self::AccountEnabled => "account-enabled",
            Self::AccountDeleted => "account-deleted",
            Self::GuestsAllowed => "guests-allowed",
            Self::GuestsSignIn => "guests-sign-in",
            Self::DeviceEnrolled => "device-enrolled",
            Self::DeviceRevoked => "device-revoked",
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

/// Somebody in the log, as it is told.
#[derive(Debug, Serialize)]
pub(crate) struct KeptName {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A line of the log, as it is told.
#[derive(Debug, Serialize)]
pub(crate) struct KeptDeed {
    /// Counts up.
    pub(crate) id: i64,
    pub(crate) at: i64,
    pub(crate) actor: Option<KeptName>,
    pub(crate) action: String,
    pub(crate) subject: Option<KeptName>,
    pub(crate) address: String,
}
