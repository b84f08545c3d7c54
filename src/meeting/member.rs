// SPDX-License-Identifier: MIT OR Apache-2.0
//! The others as their confirms show them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use roomseal_policy::{MemberNonce, PolicyHash};

use crate::confirm::{Confirm, Ending, Instance, IvPrefix, NamedTrack, Stay};
use crate::nonces::{LIVE, Nonces};
use crate::roster::Source;

/// Somebody who has sent a confirm.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    /// Its newest nonce, to be echoed.
    pub(crate) nonce: Option<MemberNonce>,
    /// Its newest confirm that echoed a nonce of ours.
    pub(crate) proven: Option<Proven>,
    /// Instances that were proven before, with the last `seq` that counted; `None`: replaced by a newer one for good.
    past: Vec<(Instance, Option<u64>)>,
    /// When it was last answered.
    pub(crate) answered: Option<Duration>,
    /// When it was last sent the chain.
    pub(crate) taught: Option<Duration>,
}

/// What a member said after hearing us.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    /// When the nonce that it echoed was given out: it was said later than this.
    pub(crate) after: Duration,
    pub(crate) instance: Instance,
    seq: u64,
    pub(crate) policy: Option<PolicyHash>,
    pub(crate) heard: Vec<String>,
    tracks: Vec<NamedTrack>,
    pub(crate) data: Option<IvPrefix>,
    pub(crate) ending: Option<Ending>,
    pub(crate) stay: Option<Stay>,
}

/// What a confirm changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing: old, or somebody's who cannot be remembered.
    Ignored,
    /// It did not echo us: its nonce is known now, nothing else is believed.
    Nonce,
    /// It counts.
    Proven,
}

/// Everybody who ever sent a confirm in this call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members(BTreeMap<String, Member>);

impl Members {
    /// Takes an authenticated confirm.
    pub(crate) fn take(
        &mut self,
        confirm: Confirm,
        me: &str,
        nonces: &Nonces,
        now: Duration,
    ) -> Taken {
        if !self.0.contains_key(&confirm.identity) && self.0.len() >= MOST_MEMBERS {
            return Taken::Ignored;
        }
        let member = self.0.entry(confirm.identity.clone()).or_default();
        member.take(confirm, me, nonces, now)
    }

    /// The service says it has left. Should that be a lie, it has to prove itself again.
    pub(crate) fn left(&mut self, identity: &str) {
        if let Some(member) = self.0.get_mut(identity) {
            member.nonce = None;
            if let Some(proven) = member.proven.take() {
                member.remember(proven.instance, Some(proven.seq));
            }
        }
    }

    pub(crate) fn get(&self, identity: &str) -> Option<&Member> {
        self.0.get(identity)
    }

    pub(crate) fn get_mut(&mut self, identity: &str) -> Option<&mut Member> {
        self.0.get_mut(identity)
    }

    /// What a member proved to have said lately.
    pub(crate) fn live(&self, identity: &str, now: Duration) -> Option<&Proven> {
        self.0.get(identity)?.live(now)
    }

    /// All who proved to be there lately.
    pub(crate) fn all_live(&self, now: Duration) -> impl Iterator<Item = (&str, &Proven)> {
        self.0
            .iter()
            .filter_map(move |(identity, member)| Some((identity.as_str(), member.live(now)?)))
    }

    /// Whom to echo what.
    pub(crate) fn nonces(&self) -> impl Iterator<Item = (&String, MemberNonce)> {
        self.0
            .iter()
            .filter_map(|(identity, member)| Some((identity, member.nonce?)))
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Member {
    fn take(&mut self, confirm: Confirm, me: &str, nonces: &Nonces, now: Duration) -> Taken {
        let instance = confirm.instance;
        let newest_seq = match &self.proven {
            Some(proven) if proven.instance == instance => Some(Some(proven.seq)),
            _ => self
                .past
                .iter()
                .find(|(past, _)| *past == instance)
                .map(|(_, seq)| *seq),
        };
        match newest_seq {
            // Replaced by a later join: whatever it says now is a recording.
            Some(None) => return Taken::Ignored,
            Some(Some(seq)) if confirm.seq <= seq => return Taken::Ignored,
            _ => {}
        }
        let echoed = confirm.heard.get(me);
        let Some(after) = echoed.and_then(|nonce| nonces.issued(nonce, now)) else {
            // Somebody new has not heard us yet, and cannot before we echo its nonce.
            self.nonce = Some(confirm.nonce);
            // What a proven instance says later counts too; it only does not prove that it still is there.
            return match &self.proven {
                Some(proven) if proven.instance == instance => {
                    self.proven = Some(Proven::new(confirm, proven.after));
                    Taken::Proven
                }
                _ => Taken::Nonce,
            };
        };
        if let Some(proven) = &self.proven
            && proven.instance != instance
        {
            if proven.after > after {
                return Taken::Ignored;
            }
            self.remember(proven.instance, None);
        }
        self.nonce = Some(confirm.nonce);
        let after = match &self.proven {
            Some(proven) if proven.instance == instance => proven.after.max(after),
            _ => after,
        };
        self.proven = Some(Proven::new(confirm, after));
        Taken::Proven
    }

    fn remember(&mut self, instance: Instance, seq: Option<u64>) {
        match self.past.iter_mut().find(|(past, _)| *past == instance) {
            Some((_, known)) => *known = seq,
            None => {
                if self.past.len() >= MOST_PAST {
                    self.past.remove(0);
                }
                self.past.push((instance, seq));
            }
        }
    }

    fn live(&self, now: Duration) -> Option<&Proven> {
        self.proven
            .as_ref()
            .filter(|proven| now.saturating_sub(proven.after) <= LIVE)
    }
}

impl Proven {
    fn new(confirm: Confirm, after: Duration) -> Self {
        Self {
            after,
            instance: confirm.instance,
            seq: confirm.seq,
            policy: confirm.policy,
            heard: confirm.heard.into_keys().collect(),
            tracks: confirm.tracks,
            data: confirm.data,
            ending: confirm.ending,
            stay: confirm.stay,
        }
    }

    /// The track as its sender names it, if it names it as this source: the service says the rest.
    pub(crate) fn track(&self, sid: &str, source: Source) -> Option<&NamedTrack> {
        self.tracks
            .iter()
            .find(|track| track.sid == sid && track.source == source)
    }
}

const MOST_MEMBERS: usize = 1000;
const MOST_PAST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confirm::Bytes;

    fn nonce(n: u8) -> MemberNonce {
        MemberNonce::new([n; 16])
    }

    fn confirm(instance: u8, seq: u64, echo: Option<u8>) -> Confirm {
        Confirm {
            v: 1,
            seq,
            identity: "alice".into(),
            instance: Bytes([instance; 16]),
            policy: None,
            nonce: nonce(100 + instance),
            ask: false,
            heard: echo.map(|n| ("me".into(), nonce(n))).into_iter().collect(),
            tracks: Vec::new(),
            data: None,
            ending: None,
            stay: None,
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn nonces() -> Nonces {
        let mut nonces = Nonces::default();
        nonces.issue(nonce(1), seconds(0));
        nonces.issue(nonce(2), seconds(10));
        nonces
    }

    fn take(members: &mut Members, confirm: Confirm, now: u64) -> Taken {
        members.take(confirm, "me", &nonces(), seconds(now))
    }

    #[test]
    fn nobody_is_live_without_an_echo_or_after_thirty_seconds() {
        let mut members = Members::default();
        assert_eq!(take(&mut members, confirm(1, 1, None), 11), Taken::Nonce);
        assert_eq!(take(&mut members, confirm(1, 1, Some(9)), 11), Taken::Nonce);
        assert!(members.live("alice", seconds(11)).is_none());
        assert_eq!(
            take(&mut members, confirm(1, 1, Some(1)), 11),
            Taken::Proven
        );
        assert!(members.live("alice", seconds(30)).is_some());
        // Counted from when the nonce was given out, however late the echo was delivered.
        assert!(members.live("alice", seconds(31)).is_none());
        // A later word counts, and renews nothing.
        assert_eq!(
            take(&mut members, confirm(1, 2, Some(1)), 31),
            Taken::Proven
        );
        assert!(members.live("alice", seconds(31)).is_none());
    }

    #[test]
    fn confirms_count_once_and_in_their_order() {
        let mut members = Members::default();
        assert_eq!(
            take(&mut members, confirm(1, 5, Some(2)), 11),
            Taken::Proven
        );
        assert_eq!(
            take(&mut members, confirm(1, 5, Some(2)), 11),
            Taken::Ignored
        );
        assert_eq!(
            take(&mut members, confirm(1, 4, Some(2)), 11),
            Taken::Ignored
        );
        members.left("alice");
        assert!(members.live("alice", seconds(11)).is_none());
        assert_eq!(
            take(&mut members, confirm(1, 5, Some(2)), 11),
            Taken::Ignored
        );
        assert_eq!(
            take(&mut members, confirm(1, 6, Some(2)), 11),
            Taken::Proven
        );
    }

    #[test]
    fn an_earlier_join_does_not_come_back() {
        let mut members = Members::default();
        assert_eq!(
            take(&mut members, confirm(1, 5, Some(2)), 11),
            Taken::Proven
        );
        // A later join, its echo not older: taken. An echo of an older nonce would be a recording.
        assert_eq!(
            take(&mut members, confirm(2, 1, Some(1)), 11),
            Taken::Ignored
        );
        assert_eq!(
            take(&mut members, confirm(2, 1, Some(2)), 11),
            Taken::Proven
        );
        assert_eq!(
            take(&mut members, confirm(1, 6, Some(2)), 11),
            Taken::Ignored
        );
        assert_eq!(
            members
                .live("alice", seconds(11))
                .map(|proven| proven.instance),
            Some(Bytes([2; 16]))
        );
    }
}
