// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verdict that people are shown: one word for the whole call.

/// What the lamp and every view say about the call. In the order of [`ALL`](Self::ALL) the first that fits is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shield {
    /// The box itself is broken.
    Fault,
    /// A press was refused just now.
    Denied,
    /// This member's secret is not the meeting's, or it has none and needs one.
    WrongKey,
    /// Encryption is on, and somebody is not, or not provably, part of it.
    UnsealedPeer,
    /// Encryption is on; a switch or a newcomer is still being verified.
    Sealing,
    /// Encryption is on, and nobody else has been verified.
    Waiting,
    /// All is sealed, but the service holds the secret, or nobody has checked who the host is.
    SealedByService,
    /// All that this member sends and plays is sealed, and somebody has been verified.
    Sealed,
    /// In a meeting with encryption off.
    Open,
    /// On the way into a meeting, or back into it.
    Connecting,
    /// Not provisioned yet.
    SetUp,
    /// An update is under way.
    Updating,
    /// Nothing to say.
    #[default]
    Dark,
}

impl Shield {
    /// Every state, first match first.
    pub const ALL: [Self; 13] = [
        Self::Fault,
        Self::Denied,
        Self::WrongKey,
        Self::UnsealedPeer,
        Self::Sealing,
        Self::Waiting,
        Self::SealedByService,
        Self::Sealed,
        Self::Open,
        Self::Connecting,
        Self::SetUp,
        Self::Updating,
        Self::Dark,
    ];

    /// In words for people, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Denied => "denied",
            Self::WrongKey => "wrong key",
            Self::UnsealedPeer => "unsealed peer",
            Self::Sealing => "sealing",
            Self::Waiting => "waiting",
            Self::SealedByService => "sealed by service",
            Self::Sealed => "sealed",
            Self::Open => "open",
            Self::Connecting => "connecting",
            Self::SetUp => "set-up",
            Self::Updating => "updating",
            Self::Dark => "dark",
        }
    }

    /// In one word, for programs and style sheets.
    pub fn word(self) -> &'static str {
        match self {
            Self::WrongKey => "wrong-key",
            Self::UnsealedPeer => "unsealed-peer",
            Self::SealedByService => "sealed-by-service",
            other => other.name(),
        }
    }

    /// The state that [`word`](Self::word) names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shield| shield.word() == word)
    }

    /// When it is shown, in a sentence for people who read the manual.
    pub fn when(self) -> &'static str {
        match self {
            Self::Fault => "the box itself is broken",
            Self::Denied => "for 2 s after a press that was refused",
            Self::WrongKey => {
                "this box has another secret than the host, or none where one is needed"
            }
            Self::UnsealedPeer => {
                "encryption is on, and somebody sends clear, unconfirmed or altered frames, follows another policy for \
                 more than 5 s, or is hidden by the service"
            }
            Self::Sealing => {
                "encryption is on, and a switch or a newcomer (for 5 s at most) is not verified yet"
            }
            Self::Waiting => "encryption is on, and nobody else is verified",
            Self::SealedByService => {
                "as sealed, but the service holds the secret, or who the host is was not checked"
            }
            Self::Sealed => {
                "everything this box sends is sealed, at least one other is verified, and so is everybody it plays"
            }
            Self::Open => "in a meeting, and encryption is off",
            Self::Connecting => "joining a meeting, or coming back into it",
            Self::SetUp => "the box is not set up yet",
            Self::Updating => "an update is under way",
            Self::Dark => "anything else; also when the program that decides has stopped",
        }
    }

    /// Whether it tells people that what is said stays among the members.
    pub fn is_green(self) -> bool {
        matches!(
            self,
            Self::Sealing | Self::Waiting | Self::SealedByService | Self::Sealed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_listed_once_in_the_order_in_which_it_is_looked_for() {
        assert!(Shield::ALL.is_sorted_by(|a, b| a < b));
        assert_eq!(Shield::ALL.last(), Some(&Shield::default()));
    }

    #[test]
    fn words_name_one_state_each() {
        for shield in Shield::ALL {
            assert_eq!(Shield::from_word(shield.word()), Some(shield));
            assert!(!shield.word().contains(' '));
            assert!(!shield.when().ends_with('.'));
        }
        assert_eq!(Shield::from_word("green"), None);
    }
}
