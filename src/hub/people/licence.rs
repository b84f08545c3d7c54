// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may start and schedule meetings with end-to-end encryption, and which guests may stay in them.
//!
//! Anybody may join such a meeting whom it lets in; starting one takes a licence. The owner's box needs none: whoever
//! holds the API key of the hub could let in whom he likes anyway.

use serde::{Deserialize, Serialize};

/// Who wants to start or schedule a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Organiser {
    /// Somebody who is not signed in.
    Guest,
    /// Somebody with an account.
    Account {
        /// Whether the account has a licence.
        licensed: bool,
    },
    /// A box that somebody enrolled.
    Device {
        /// Whether the account of who enrolled it has a licence.
        licensed: bool,
    },
    /// Who holds the API key of the hub.
    OwnersBox,
}

/// Why somebody may not start a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// A guest.
    #[error("guests start no meetings; sign in first")]
    Guest,
    /// No licence.
    #[error(
        "starting meetings with end-to-end encryption takes a licence; ask an admin for one, or start this one without"
    )]
    Unlicensed,
}

/// Whether somebody may start or schedule a meeting, with end-to-end encryption or without.
///
/// # Errors
/// Why not.
pub fn may_start(organiser: Organiser, e2ee: bool) -> Result<(), NotAllowed> {
    match organiser {
        Organiser::OwnersBox => Ok(()),
        Organiser::Guest => Err(NotAllowed::Guest),
        Organiser::Account { licensed } | Organiser::Device { licensed } if licensed || !e2ee => {
            Ok(())
        }
        Organiser::Account { .. } | Organiser::Device { .. } => Err(NotAllowed::Unlicensed),
    }
}

/// What becomes of guests while end-to-end encryption is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestsUnderE2ee {
    /// They stay.
    Allow,
    /// They are asked to sign in.
    SignIn,
}

impl GuestsUnderE2ee {
    /// What holds: what an admin chose, or else that people who could have an account use it. Where there are no accounts,
    /// nobody could sign in.
    pub fn effective(chosen: Option<Self>, has_accounts: bool) -> Self {
        match chosen {
            _ if !has_accounts => Self::Allow,
            Some(chosen) => chosen,
            None => Self::SignIn,
        }
    }

    /// Whether somebody may be in a meeting.
    pub fn may_stay(self, e2ee: bool, signed_in: bool) -> bool {
        signed_in || !e2ee || self == Self::Allow
    }

    /// As it is kept and told.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::SignIn => "sign-in",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Allow, Self::SignIn]
            .into_iter()
            .find(|rule| rule.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_what_it_takes_to_start_with_encryption() {
        let account = |licensed| Organiser::Account { licensed };
        let device = |licensed| Organiser::Device { licensed };
        let (guest, unlicensed) = (Err(NotAllowed::Guest), Err(NotAllowed::Unlicensed));
        for (organiser, clear, sealed) in [
            (Organiser::Guest, guest, guest),
            (account(false), Ok(()), unlicensed),
            (account(true), Ok(()), Ok(())),
            (device(false), Ok(()), unlicensed),
            (device(true), Ok(()), Ok(())),
            (Organiser::OwnersBox, Ok(()), Ok(())),
        ] {
            assert_eq!(may_start(organiser, false), clear, "{organiser:?}");
            assert_eq!(may_start(organiser, true), sealed, "{organiser:?}");
        }
    }

    #[test]
    fn guests_are_asked_to_sign_in_where_they_could() {
        use GuestsUnderE2ee::{Allow, SignIn};
        for (chosen, without, with) in [
            (None, Allow, SignIn),
            (Some(Allow), Allow, Allow),
            (Some(SignIn), Allow, SignIn),
        ] {
            let effective = |has_accounts| GuestsUnderE2ee::effective(chosen, has_accounts);
            assert_eq!((effective(false), effective(true)), (without, with));
        }
        for (rule, e2ee, signed_in, stays) in [
            (Allow, true, false, true),
            (SignIn, false, false, true),
            (SignIn, true, true, true),
            (SignIn, true, false, false),
        ] {
            assert_eq!(rule.may_stay(e2ee, signed_in), stays, "{rule:?} {e2ee}");
            assert_eq!(GuestsUnderE2ee::named(rule.name()), Some(rule));
        }
    }
}
