// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who was put out while encryption is on, and why, as far as this browser saw it. That somebody was put out is the
//! service's word, and so is what he was; nothing is decided by it.

use std::time::Duration;

use roomseal_meeting::Kind;

use crate::told::Who;

/// What the hub calls those by who have no account with it.
const GUEST: &str = "guest-";

/// Guests who are put out this soon after encryption went on are put out for that.
const SOON: Duration = Duration::from_secs(10);

/// So many are remembered.
const MOST: usize = 32;

/// Those who were put out since encryption went on.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    /// Since when it has been on.
    on: Option<Duration>,
    /// Who was put out before that, and when: a host's word may come after what was done by it.
    before: Vec<(Duration, Who)>,
    said: Vec<String>,
}

impl Dropped {
    /// How it stands with encryption now; what there is to say of those who were put out just before it went on.
    pub(crate) fn look(&mut self, on: bool, now: Duration) -> Vec<String> {
        match (on, self.on) {
            (true, None) => {
                self.on = Some(now);
                let before = std::mem::take(&mut self.before);
                let recent = before
                    .into_iter()
                    .filter(|(at, _)| now.saturating_sub(*at) <= SOON);
                recent
                    .filter_map(|(_, who)| {
                        let told = self.said.len();
                        let text = self.left(&who, now)?;
                        // Others were put out for another reason, which was said.
                        (self.said.len() > told).then_some(text)
                    })
                    .collect()
            }
            (false, Some(_)) => {
                *self = Self::default();
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Somebody left; what there is to say of it.
    pub(crate) fn left(&mut self, who: &Who, now: Duration) -> Option<String> {
        if who.present || !who.removed {
            return None;
        }
        let called = match who.name.trim() {
            "" => &who.identity,
            name => name,
        };
        let soon = self.on.is_some_and(|on| now.saturating_sub(on) <= SOON);
        let text = match (self.on, who.kind) {
            (Some(_), Kind::Person) if soon && who.identity.starts_with(GUEST) => {
                format!("{called} was put out: encryption is on, and guests sign in here for that")
            }
            (Some(_), Kind::Person) | (None, _) => {
                let text = format!("{called} was put out of the meeting");
                if self.on.is_none() && self.before.len() < MOST {
                    self.before.push((now, who.clone()));
                }
                return Some(text);
            }
            (Some(_), kind) => format!(
                "{called} ({}) was put out: it cannot be part of an encrypted meeting",
                kind.word()
            ),
        };
        if self.said.len() < MOST && !self.said.contains(&text) {
            self.said.push(text.clone());
        }
        Some(text)
    }

    /// All of them, while encryption is on.
    pub(crate) fn said(&self) -> &[String] {
        &self.said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(identity: &str, kind: Kind) -> Who {
        Who {
            identity: identity.into(),
            name: "Petra".into(),
            kind,
            present: false,
            removed: true,
            tracks: Vec::new(),
        }
    }

    #[test]
    fn who_was_put_out_for_encryption_is_told_with_the_reason_until_it_goes_off() {
        let at = Duration::from_secs;
        let mut dropped = Dropped::default();
        assert!(dropped.look(false, at(1)).is_empty());
        let of =
            |dropped: &mut Dropped, identity, kind, now| dropped.left(&who(identity, kind), now);
        let plain = Some("Petra was put out of the meeting".to_owned());
        assert_eq!(of(&mut dropped, "guest-1", Kind::Person, at(2)), plain);
        assert!(dropped.look(true, at(13)).is_empty());
        dropped.look(false, at(14));
        // A host's word comes after what was done by it.
        for (identity, kind) in [("box-1", Kind::Person), ("line", Kind::Sip)] {
            assert_eq!(of(&mut dropped, identity, kind, at(15)), plain);
        }
        let late = dropped.look(true, at(16));
        assert!(
            late.len() == 1 && late[0].contains("(telephone)"),
            "{late:?}"
        );
        dropped.look(false, at(17));

        let mut dropped = Dropped::default();
        dropped.look(true, at(3));
        let guest = of(&mut dropped, "guest-1", Kind::Person, at(4)).expect("it is told");
        assert!(guest.contains("guests sign in"), "{guest}");
        let tap = of(&mut dropped, "tap", Kind::Egress, at(60)).expect("it is told");
        assert!(tap.contains("Petra (recorder) was put out"), "{tap}");
        // A host had a reason of his own.
        assert_eq!(of(&mut dropped, "account-1", Kind::Person, at(4)), plain);
        assert_eq!(of(&mut dropped, "guest-2", Kind::Person, at(14)), plain);
        assert_eq!(dropped.said(), [guest, tap]);
        let mut gone = who("guest-1", Kind::Person);
        gone.removed = false;
        assert_eq!(dropped.left(&gone, at(4)), None);
        dropped.look(false, at(70));
        assert!(dropped.said().is_empty());
    }
}
