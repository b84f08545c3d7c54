// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this member says about itself, and when it has to say something next.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use roomseal_policy::{MemberNonce, Policy};

use super::keys::GRACE;
use super::standing::SETTLE;
use super::{Force, Meeting};
use crate::action::Action;
use crate::confirm::{Confirm, MOST_HEARD, NamedTrack};
use crate::hosting::SEARCH;
use crate::nonces::PERIOD;
use crate::roster::Kind;

/// How soon is said again what may have been lost, to and by newcomers.
pub(super) const REPEAT: Duration = Duration::from_secs(1);

impl Meeting {
    pub(super) fn nonce(&mut self) -> MemberNonce {
        MemberNonce::new(self.fresh.draw())
    }

    /// Confirms to everybody when something has changed, and every ten seconds; every second while we are new and somebody
    /// has not answered. What is lost is sent again by the transport only after seconds, sooner if something follows it.
    pub(super) fn confirm(&mut self, now: Duration, said: &mut Vec<Action>) {
        let Some(inside) = &self.inside else { return };
        let first = inside.confirmed.is_none();
        let due = inside
            .confirmed
            .is_none_or(|at| now.saturating_sub(at) >= PERIOD);
        let again = self.unanswered(now).is_some_and(|at| now >= at);
        let Some(inside) = &self.inside else { return };
        if !due && !again && !inside.dirty {
            return;
        }
        // The first nonce was given out on joining.
        let nonce = (due && !first).then(|| self.nonce());
        if let Some(inside) = &mut self.inside {
            if let Some(nonce) = nonce {
                inside.nonces.issue(nonce, now);
            }
            if due {
                inside.confirmed = Some(now);
            }
            inside.dirty = false;
            inside.spoke = now;
        }
        self.confirm_to(Vec::new(), now, said);
    }

    /// Confirms to these, or to everybody.
    pub(super) fn confirm_to(&mut self, to: Vec<String>, now: Duration, said: &mut Vec<Action>) {
        let policy = self.policy().map(Policy::hash);
        let ask = self.asks(now);
        let (Some(inside), Some(secret)) = (&mut self.inside, &self.settings.secret) else {
            return;
        };
        let Some(nonce) = inside.nonces.newest() else {
            return;
        };
        let heard: BTreeMap<_, _> = inside
            .members
            .nonces()
            .take(MOST_HEARD)
            .map(|(identity, nonce)| (identity.clone(), nonce))
            .collect();
        inside.seq += 1;
        let confirm = Confirm {
            v: 1,
            seq: inside.seq,
            identity: inside.me.clone(),
            instance: inside.instance,
            policy,
            nonce,
            ask,
            heard,
            tracks: inside
                .tracks
                .iter()
                .map(|track| NamedTrack {
                    sid: track.sid.clone(),
                    source: track.source,
                    iv: track.iv,
                    from: track.next,
                })
                .collect(),
            data: inside.data,
            ending: self.hosting.ending(now),
            stay: self.hosting.stay(),
        };
        said.push(Action::Say {
            to,
            text: confirm.write(secret),
        });
    }

    /// When somebody who has not answered is asked again.
    fn unanswered(&self, now: Duration) -> Option<Duration> {
        let inside = self.inside.as_ref()?;
        let new = now.saturating_sub(inside.resumed) < SETTLE;
        (new && inside.confirmed.is_some() && self.asks(now)).then_some(inside.spoke + REPEAT)
    }

    /// Whether somebody's answer is wanted at once: an echo, or a host's word.
    fn asks(&self, now: Duration) -> bool {
        let Some(inside) = &self.inside else {
            return false;
        };
        let heard = |identity: &str| {
            let live = inside.members.live(identity, now);
            live.is_some_and(|proven| proven.after >= inside.resumed)
        };
        self.force() == Force::Unvouched
            || inside
                .roster
                .iter()
                .any(|other| other.kind == Kind::Person && !heard(&other.identity))
    }

    /// When something changes by itself next.
    pub(super) fn next(&self, now: Duration) -> Option<Duration> {
        let inside = self.inside.as_ref()?;
        let confirm = inside.confirmed.map(|at| at + PERIOD);
        let search = Some(inside.joined + SEARCH).filter(|_| self.policy().is_none());
        let switch = inside
            .switch
            .iter()
            .flat_map(|switch| [switch.at + GRACE, switch.at + SETTLE]);
        confirm
            .into_iter()
            .chain(search)
            .chain(switch)
            .chain(self.hosting.next())
            .chain(self.unanswered(now))
            .filter(|at| *at > now)
            .min()
    }
}
