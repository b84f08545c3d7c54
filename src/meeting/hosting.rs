// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a press means: PROTOCOL.md, "The button".

use alloc::string::String;
use core::time::Duration;

use roomseal_policy::E2ee;

use crate::action::Denied;
use crate::confirm::{Ending, Stay};

/// How long everybody is told before encryption goes off.
pub const COUNTDOWN: Duration = Duration::from_secs(3);
/// How long a refused press is shown.
pub const DENIED: Duration = Duration::from_secs(2);
/// How long a host waits for somebody's policy before it makes its own.
pub const SEARCH: Duration = Duration::from_secs(3);

/// Who presses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A person at the box: its button. Only such a press can be held.
    Box,
    /// Somebody over the network who signed in as host of this box.
    NetworkHost,
    /// Somebody over the network who is paired with this box.
    NetworkPaired,
    /// Anybody else.
    Network,
}

/// What is known when a button is pressed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// This member is a host.
    pub(crate) host: bool,
    /// It has the meeting's secret.
    pub(crate) secret: bool,
    /// It is in the room.
    pub(crate) inside: bool,
    /// The policy that it follows.
    pub(crate) e2ee: Option<E2ee>,
}

/// What follows from a press.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Denied(Denied),
    /// Nothing; for a person at the box: go on holding.
    Nothing,
    /// Sign this, as soon as it is known what it continues.
    Sign(E2ee),
    /// Announce a countdown.
    Count,
    /// Cancel the countdown that runs.
    Cancel,
}

/// The presses of this member, and countdowns of any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosting {
    /// A countdown of our own.
    own: Option<(u64, Duration)>,
    /// Another host's, until when.
    other: Option<(String, u64, Duration)>,
    /// The last countdown of another that we have ended.
    stay: Option<Stay>,
    /// When a press was refused last, and why.
    denied: Option<(Duration, Denied)>,
    /// The press that a hold would belong to has had its effect.
    spent: bool,
    /// Decided before it is known which chain to continue.
    pub(crate) wanted: Option<E2ee>,
    countdowns: u64,
}

impl Hosting {
    pub(crate) fn press(&mut self, by: By, situation: Situation, now: Duration) -> Outcome {
        self.spent = true;
        let outcome = self.pressed(by, situation);
        if let Outcome::Denied(why) = outcome {
            self.deny(why, now);
        }
        outcome
    }

    /// The press has been held for two seconds.
    pub(crate) fn hold(&mut self, by: By, situation: Situation, now: Duration) -> Outcome {
        let outcome = match (by, refused(situation)) {
            // Turning on, or ending a countdown, was all that this press is for.
            (By::Box, None) if self.spent => Outcome::Nothing,
            (By::Box | By::NetworkHost, None) if situation.e2ee == Some(E2ee::On) => Outcome::Count,
            (By::Box | By::NetworkHost, None) => Outcome::Nothing,
            (By::Box | By::NetworkHost, Some(denied)) => Outcome::Denied(denied),
            (By::NetworkPaired | By::Network, _) => Outcome::Denied(Denied::NotFromHere),
        };
        self.spent = true;
        match outcome {
            Outcome::Denied(why) => self.deny(why, now),
            Outcome::Count => {
                self.countdowns += 1;
                self.own = Some((self.countdowns, now + COUNTDOWN));
            }
            _ => {}
        }
        outcome
    }

    fn pressed(&mut self, by: By, situation: Situation) -> Outcome {
        if by == By::Network {
            return Outcome::Denied(Denied::NotFromHere);
        }
        if let Some(denied) = refused(situation) {
            return Outcome::Denied(denied);
        }
        if self.is_counting() {
            self.cancel();
            return Outcome::Cancel;
        }
        match situation.e2ee {
            Some(E2ee::On) => {
                self.spent = false;
                Outcome::Nothing
            }
            Some(E2ee::Off) | None => Outcome::Sign(E2ee::On),
        }
    }

    /// Ends every countdown; that of another by saying so.
    fn cancel(&mut self) {
        self.own = None;
        if let Some((identity, id, _)) = self.other.take() {
            self.stay = Some(Stay { identity, id });
        }
    }

    /// A member's newest word on its countdown. Says whether a new one began.
    pub(crate) fn told(
        &mut self,
        identity: &str,
        ending: Option<Ending>,
        now: Duration,
    ) -> Option<Duration> {
        let known = |own: &Option<(String, u64, Duration)>| {
            own.as_ref()
                .filter(|(by, ..)| by == identity)
                .map(|(_, id, _)| *id)
        };
        match ending {
            None => {
                if known(&self.other).is_some() {
                    self.other = None;
                }
                None
            }
            Some(ending) => {
                let ended = self
                    .stay
                    .as_ref()
                    .is_some_and(|stay| stay.identity == identity && stay.id == ending.id);
                if ended || known(&self.other) == Some(ending.id) {
                    return None;
                }
                // Longer than ours no countdown of this protocol is.
                let left = Duration::from_millis(ending.left).min(COUNTDOWN);
                self.other = Some((identity.into(), ending.id, now + left));
                Some(left)
            }
        }
    }

    /// A member says that a countdown is over. Says whether it was ours.
    pub(crate) fn stays(&mut self, me: &str, stay: &Stay) -> bool {
        let ours = stay.identity == me && self.own.is_some_and(|(id, _)| id == stay.id);
        if ours {
            self.own = None;
        }
        ours
    }

    /// Whether our own countdown has come to its end: now `off` is signed.
    pub(crate) fn is_due(&mut self, now: Duration) -> bool {
        if self.other.as_ref().is_some_and(|(.., ends)| now >= *ends) {
            self.other = None;
        }
        let due = self.own.is_some_and(|(_, ends)| now >= ends);
        if due {
            self.own = None;
        }
        due
    }

    /// The policy changed: no countdown runs on.
    pub(crate) fn switched(&mut self) {
        self.own = None;
        self.other = None;
    }

    pub(crate) fn deny(&mut self, why: Denied, now: Duration) {
        self.denied = Some((now, why));
    }

    pub(crate) fn is_counting(&self) -> bool {
        self.own.is_some() || self.other.is_some()
    }

    /// What our confirm says of our countdown.
    pub(crate) fn ending(&self, now: Duration) -> Option<Ending> {
        let (id, ends) = self.own?;
        let left = ends.saturating_sub(now).as_millis();
        Some(Ending {
            id,
            left: u64::try_from(left).unwrap_or(u64::MAX),
        })
    }

    pub(crate) fn stay(&self) -> Option<Stay> {
        self.stay.clone()
    }

    /// Who counts down (`None`: this member), and how long is left.
    pub(crate) fn countdown(&self, now: Duration) -> Option<(Option<&str>, Duration)> {
        let own = self.own.map(|(_, ends)| (None, ends));
        let other = self
            .other
            .as_ref()
            .map(|(by, _, ends)| (Some(by.as_str()), *ends));
        own.or(other)
            .map(|(by, ends)| (by, ends.saturating_sub(now)))
    }

    /// Why a press was refused, for as long as that is shown.
    pub(crate) fn denied(&self, now: Duration) -> Option<Denied> {
        let (at, why) = self.denied?;
        (now.saturating_sub(at) < DENIED).then_some(why)
    }

    /// When something here changes by itself.
    pub(crate) fn next(&self) -> Option<Duration> {
        let own = self.own.map(|(_, ends)| ends);
        let other = self.other.as_ref().map(|(.., ends)| *ends);
        own.into_iter().chain(other).min()
    }
}

fn refused(situation: Situation) -> Option<Denied> {
    if !situation.inside {
        Some(Denied::Outside)
    } else if !situation.host {
        Some(Denied::NotHost)
    } else if !situation.secret {
        Some(Denied::NoSecret)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: Situation = Situation {
        host: true,
        secret: true,
        inside: true,
        e2ee: Some(E2ee::On),
    };
    const OFF: Situation = Situation {
        e2ee: Some(E2ee::Off),
        ..ON
    };

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_press_that_turned_on_does_not_turn_off_when_it_is_held() {
        let mut hosting = Hosting::default();
        assert_eq!(hosting.press(By::Box, OFF, at(0)), Outcome::Sign(E2ee::On));
        assert_eq!(hosting.hold(By::Box, ON, at(2000)), Outcome::Nothing);
        assert_eq!(hosting.press(By::Box, ON, at(9000)), Outcome::Nothing);
        assert_eq!(hosting.hold(By::Box, ON, at(11_000)), Outcome::Count);
        assert!(!hosting.is_due(at(13_999)));
        assert!(hosting.is_due(at(14_000)));
        assert!(!hosting.is_due(at(14_001)));
    }

    #[test]
    fn any_hosts_press_ends_a_countdown_and_its_hold_begins_none() {
        let mut hosting = Hosting::default();
        hosting.press(By::Box, ON, at(0));
        hosting.hold(By::Box, ON, at(2000));
        assert_eq!(hosting.press(By::Box, ON, at(3000)), Outcome::Cancel);
        assert_eq!(hosting.hold(By::Box, ON, at(5000)), Outcome::Nothing);
        assert!(!hosting.is_due(at(9000)));

        let ending = Ending { id: 4, left: 9000 };
        assert_eq!(
            hosting.told("anna", Some(ending), at(9000)),
            Some(COUNTDOWN)
        );
        assert_eq!(hosting.told("anna", Some(ending), at(9100)), None);
        assert_eq!(
            hosting.press(By::NetworkPaired, ON, at(9200)),
            Outcome::Cancel
        );
        assert_eq!(
            hosting.stay(),
            Some(Stay {
                identity: "anna".into(),
                id: 4
            })
        );
        assert_eq!(hosting.told("anna", Some(ending), at(9300)), None);
    }

    #[test]
    fn from_the_network_paired_users_turn_on_and_only_a_signed_in_host_turns_off() {
        let mut hosting = Hosting::default();
        let denied = Outcome::Denied(Denied::NotFromHere);
        assert_eq!(hosting.press(By::Network, OFF, at(0)), denied);
        assert_eq!(hosting.denied(at(1999)), Some(Denied::NotFromHere));
        assert_eq!(hosting.denied(at(2000)), None);
        assert_eq!(
            hosting.press(By::NetworkPaired, OFF, at(0)),
            Outcome::Sign(E2ee::On)
        );
        assert_eq!(hosting.hold(By::NetworkPaired, ON, at(0)), denied);
        assert_eq!(hosting.hold(By::NetworkHost, ON, at(0)), Outcome::Count);
    }

    #[test]
    fn who_is_no_host_or_has_no_secret_is_denied() {
        for (situation, why) in [
            (Situation { host: false, ..ON }, Denied::NotHost),
            (
                Situation {
                    secret: false,
                    ..ON
                },
                Denied::NoSecret,
            ),
            (
                Situation {
                    inside: false,
                    ..ON
                },
                Denied::Outside,
            ),
        ] {
            let mut hosting = Hosting::default();
            let denied = Outcome::Denied(why);
            assert_eq!(hosting.press(By::Box, situation, at(0)), denied);
            assert_eq!(hosting.hold(By::NetworkHost, situation, at(0)), denied);
        }
    }
}
