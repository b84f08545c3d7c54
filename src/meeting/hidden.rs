// SPDX-License-Identifier: MIT OR Apache-2.0
//! Identities that others hear and the service does not show us.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use core::time::Duration;

/// Somebody who has just left is still heard of for a moment. What is confirmed for longer is hidden.
const MOMENT: Duration = Duration::from_secs(5);
/// Two confirms further, nobody would speak of one who has left.
const FORGOTTEN: Duration = Duration::from_secs(30);
/// More are not kept; one is enough to say so.
const MOST: usize = 64;

/// What was heard of identities that are not listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hidden(BTreeMap<String, Heard>);

#[derive(Clone, Debug)]
struct Heard {
    first: Duration,
    last: Duration,
    by: BTreeSet<String>,
}

impl Hidden {
    /// `by` says at `now` that it hears exactly these; the caller leaves out who is listed.
    pub(crate) fn heard<'a>(
        &mut self,
        by: &str,
        identities: impl Iterator<Item = &'a str>,
        now: Duration,
    ) {
        let mut named = BTreeSet::new();
        for identity in identities {
            named.insert(identity);
            if !self.0.contains_key(identity) && self.0.len() >= MOST {
                continue;
            }
            let heard = self.0.entry(identity.into()).or_insert_with(|| Heard {
                first: now,
                last: now,
                by: BTreeSet::new(),
            });
            heard.last = now;
            heard.by.insert(by.into());
        }
        self.0.retain(|identity, heard| {
            if !named.contains(identity.as_str()) {
                heard.by.remove(by);
            }
            !heard.by.is_empty() && now.saturating_sub(heard.last) <= FORGOTTEN
        });
    }

    /// The service shows it: it is not hidden.
    pub(crate) fn listed(&mut self, identity: &str) {
        self.0.remove(identity);
    }

    /// Who is hidden at `now`.
    pub(crate) fn all(&self, now: Duration) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(_, heard)| {
                heard.last.saturating_sub(heard.first) >= MOMENT
                    && now.saturating_sub(heard.last) <= FORGOTTEN
            })
            .map(|(identity, _)| identity.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn hidden(hidden: &Hidden, now: u64) -> usize {
        hidden.all(at(now)).count()
    }

    #[test]
    fn who_is_heard_of_again_and_again_is_hidden_until_it_is_shown() {
        let mut known = Hidden::default();
        known.heard("alice", ["eve"].into_iter(), at(1));
        assert_eq!(hidden(&known, 9), 0);
        known.heard("alice", ["eve"].into_iter(), at(11));
        assert_eq!(hidden(&known, 11), 1);
        assert_eq!(hidden(&known, 41), 1);
        assert_eq!(hidden(&known, 42), 0);
        known.listed("eve");
        assert_eq!(hidden(&known, 12), 0);
    }

    #[test]
    fn who_has_left_is_heard_of_once_more_and_no_longer() {
        let mut known = Hidden::default();
        known.heard("alice", ["bob"].into_iter(), at(1));
        known.heard("carol", ["bob"].into_iter(), at(2));
        known.heard("alice", [].into_iter(), at(3));
        known.heard("carol", [].into_iter(), at(9));
        known.heard("alice", ["bob"].into_iter(), at(10));
        assert_eq!(hidden(&known, 10), 0);
    }
}
