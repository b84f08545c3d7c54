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

/// All that the shield of a Roomseal meeting depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The box itself is broken, or a frame left clear while encryption was on.
    pub fault: bool,
    /// A press was refused less than 2 s ago.
    pub denied: bool,
    /// The secret here is not the meeting's, or there is none and a policy needs one.
    pub wrong_key: bool,
    /// Whether this member is in a meeting, or on its way.
    pub presence: Presence,
    /// The policy in force; `None`: not known, or not to be believed yet.
    pub on: Option<bool>,
    /// How many others are not sealed although encryption is on.
    pub unsealed: usize,
    /// How many others are being verified.
    pub pending: usize,
    /// How many others are verified.
    pub verified: usize,
    /// The service holds the secret, or nobody has checked who the host is.
    pub by_service: bool,
    /// Not provisioned.
    pub set_up: bool,
    /// An update is under way.
    pub updating: bool,
}

/// Whether this member is in a meeting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// No meeting.
    #[default]
    Outside,
    /// On the way in, or back.
    Coming,
    /// In the room.
    Inside,
}

impl View {
    /// What the shield shows: the first of [`Shield::ALL`] that fits.
    pub fn shield(&self) -> Shield {
        let inside = self.presence == Presence::Inside;
        let on = inside && self.on == Some(true);
        let fits = |shield: &Shield| match shield {
            Shield::Fault => self.fault,
            Shield::Denied => self.denied,
            Shield::WrongKey => inside && self.wrong_key,
            Shield::UnsealedPeer => on && self.unsealed > 0,
            Shield::Sealing => on && self.pending > 0,
            Shield::Waiting => on && self.verified == 0,
            Shield::SealedByService => on && self.by_service,
            Shield::Sealed => on,
            Shield::Open => inside && self.on == Some(false),
            // In the room without a policy that counts, a member is still on its way into the meeting.
            Shield::Connecting => self.presence != Presence::Outside,
            Shield::SetUp => self.set_up,
            Shield::Updating => self.updating,
            Shield::Dark => true,
        };
        Shield::ALL
            .into_iter()
            .find(fits)
            .expect("the last of them always fits")
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

    const SEALED: View = View {
        fault: false,
        denied: false,
        wrong_key: false,
        presence: Presence::Inside,
        on: Some(true),
        unsealed: 0,
        pending: 0,
        verified: 1,
        by_service: false,
        set_up: false,
        updating: false,
    };

    #[test]
    fn the_first_that_fits_is_shown() {
        use Shield::*;
        let mut view = SEALED;
        assert_eq!(view.shield(), Sealed);
        type Step = (fn(&mut View), Shield);
        let steps: [Step; 6] = [
            (|view| view.by_service = true, SealedByService),
            (|view| view.verified = 0, Waiting),
            (|view| view.pending = 1, Sealing),
            (|view| view.unsealed = 1, UnsealedPeer),
            (|view| view.wrong_key = true, WrongKey),
            (|view| view.denied = true, Denied),
        ];
        for (step, shown) in steps {
            step(&mut view);
            assert_eq!(view.shield(), shown);
        }
        view.fault = true;
        assert_eq!(view.shield(), Fault);
    }

    #[test]
    fn green_takes_a_meeting_and_a_policy_that_says_on() {
        for presence in [Presence::Outside, Presence::Coming, Presence::Inside] {
            for on in [None, Some(false), Some(true)] {
                let view = View {
                    presence,
                    on,
                    ..SEALED
                };
                let both = presence == Presence::Inside && on == Some(true);
                assert_eq!(view.shield().is_green(), both, "{view:?}");
            }
        }
        assert_eq!(View::default().shield(), Shield::Dark);
        let set_up = View {
            set_up: true,
            ..View::default()
        };
        assert_eq!(set_up.shield(), Shield::SetUp);
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
