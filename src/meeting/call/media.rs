// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may leave, and what may be played: PROTOCOL.md, "What a member sends" and "What a member plays".

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use roomseal_e2ee::KeyRing;
use roomseal_policy::{E2ee, Policy};

use super::keys::GRACE;
use super::{Force, Meeting, Playing};
use crate::action::{Action, Announcement, Opening, Play, Rules, Sending};
use crate::roster::{Kind, Medium};
use crate::verification::Watched;

impl Meeting {
    /// Says what may leave, if it is something else than before.
    pub(super) fn decide_sending(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let sending = self.may_send(now);
        if let Some(inside) = &mut self.inside {
            inside.leak.forbid(sending == Sending::Sealed, now);
        }
        if sending != self.sending {
            self.sending = sending;
            actions.push(Action::Send(sending));
        }
    }

    fn may_send(&self, now: Duration) -> Sending {
        if self.inside.is_none() {
            return Sending::NothingOutside;
        }
        match self.force() {
            Force::Unknown => Sending::NothingYet,
            _ if !self.has_key() => Sending::NothingWithoutKey,
            _ if self.sealing(now).is_some() => Sending::Sealed,
            Force::On => Sending::NothingWithoutKey,
            Force::Unvouched => Sending::NothingUnvouched,
            Force::Off if self.is_heard(now) => Sending::Clear,
            Force::Off => Sending::NothingAlone,
        }
    }

    /// Whether somebody proved, since this member came (back), to follow the same policy, and nobody follows one that
    /// says on, or is not known here and might.
    pub(super) fn is_heard(&self, now: Duration) -> bool {
        let (Some(inside), Some(own)) = (&self.inside, self.policy().map(Policy::hash)) else {
            return false;
        };
        let mut heard = false;
        for (_, proven) in inside.members.all_live(now) {
            let Some(policy) = proven.policy else {
                continue;
            };
            let known = self.follow.find(&policy);
            let elsewhere = || {
                self.follow
                    .chain()
                    .is_none_or(|own| own.policy(&policy).is_none())
            };
            if known.is_none_or(|known| known.e2ee() == E2ee::On && elsewhere()) {
                return false;
            }
            heard |= policy == own && proven.after >= inside.resumed;
        }
        heard
    }

    /// Plays what flows and has an owner; stops what has lost either or has changed hands; keeps the rules of the rest
    /// up to date.
    pub(super) fn decide_playing(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let Some(inside) = &mut self.inside else {
            return;
        };
        let (roster, flowing) = (&inside.roster, &inside.flowing);
        inside.playing.retain(|sid, playing| {
            let owner = roster.owner(sid).map(|owner| &owner.identity);
            let stays = flowing.contains(sid) && owner == Some(&playing.identity);
            if !stays {
                actions.push(Action::Stop { sid: sid.clone() });
            }
            stays
        });
        for sid in inside.flowing.clone() {
            let rules = self.rules(&sid, now);
            let Some(inside) = &mut self.inside else {
                return;
            };
            let Some((owner, track)) = inside.roster.track(&sid) else {
                continue;
            };
            if track.medium == Medium::Other {
                continue;
            }
            if let Some(playing) = inside.playing.get_mut(&sid) {
                if playing.rules != rules {
                    playing.watched.reopen(rules.opening);
                    playing.watched.ruled(now);
                    playing.rules = rules.clone();
                    actions.push(Action::Reopen { sid, rules });
                }
                continue;
            }
            actions.push(Action::Play(Play {
                sid: sid.clone(),
                identity: owner.identity.clone(),
                called: owner.called().into(),
                source: track.source,
                medium: track.medium,
                opening: rules.opening,
                rules: Some(rules.clone()),
            }));
            let playing = Playing {
                identity: owner.identity.clone(),
                watched: Watched::new(rules.opening),
                rules,
                since: now,
                grace: false,
            };
            inside.playing.insert(sid, playing);
        }
    }

    /// How a track is opened now.
    fn rules(&mut self, sid: &str, now: Duration) -> Rules {
        let nothing = Rules {
            opening: Opening::Required,
            keys: KeyRing::new(),
            iv_prefix: None,
            iv_floor: 0,
            confirmed: false,
        };
        let force = self.force();
        let Some(inside) = &self.inside else {
            return nothing;
        };
        let Some((owner, track)) = inside.roster.track(sid) else {
            return nothing;
        };
        if matches!(force, Force::Unknown | Force::Unvouched) || !self.has_key() {
            return nothing;
        }
        let identity = owner.identity.clone();
        let named = inside.members.live(&identity, now).and_then(|proven| {
            let named = proven.track(sid, track.source)?;
            Some((proven.instance, named.iv.0, named.from))
        });
        let grace = inside
            .playing
            .get(sid)
            .is_some_and(|playing| playing.grace && playing.identity == identity)
            && inside
                .switch
                .is_some_and(|switch| now.saturating_sub(switch.at) < GRACE);
        let opening = match force {
            Force::On if grace => Opening::Grace,
            Force::Off if !self.settings.require_e2ee => Opening::AllowClear,
            _ => Opening::Required,
        };
        match named {
            Some((instance, iv, from)) => {
                // What was in flight when its sender first named it may be lost; what comes later must not be.
                let before = self.inside.as_ref().and_then(|inside| {
                    let rules = &inside.playing.get(sid)?.rules;
                    (rules.iv_prefix == Some(iv)).then_some(rules.iv_floor)
                });
                Rules {
                    opening,
                    keys: self.ring(&identity, instance, now),
                    iv_prefix: Some(iv),
                    iv_floor: before.unwrap_or(from),
                    confirmed: true,
                }
            }
            None => Rules { opening, ..nothing },
        }
    }

    /// Says how data packets of each member are opened, where that changes.
    pub(super) fn decide_packets(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let Some(inside) = &self.inside else { return };
        let force = self.force();
        let counts = matches!(force, Force::On | Force::Off) && self.has_key();
        let opening = match force {
            Force::Off if !self.settings.require_e2ee => Opening::AllowClear,
            _ => Opening::Required,
        };
        let identities: Vec<String> = inside.arrived.keys().cloned().collect();
        for identity in identities {
            let sealed = self.inside.as_ref().and_then(|inside| {
                let proven = inside.members.live(&identity, now)?;
                Some((proven.instance, proven.data?.0)).filter(|_| counts)
            });
            let keys = match sealed {
                Some((instance, _)) => self.ring(&identity, instance, now),
                None => KeyRing::new(),
            };
            let rules = Rules {
                opening: if counts { opening } else { Opening::Required },
                keys,
                iv_prefix: sealed.map(|(_, iv)| iv),
                iv_floor: 0,
                confirmed: sealed.is_some(),
            };
            let Some(inside) = &mut self.inside else {
                return;
            };
            if inside.packets.get(&identity) != Some(&rules) {
                inside.packets.insert(identity.clone(), rules.clone());
                actions.push(Action::ReopenData { identity, rules });
            }
        }
        if let Some(inside) = &mut self.inside {
            let arrived = &inside.arrived;
            inside
                .packets
                .retain(|identity, _| arrived.contains_key(identity));
        }
    }

    /// While encryption is on, asks the service to put out what cannot be part of it, each time it appears.
    pub(super) fn put_out_bots(&mut self, actions: &mut Vec<Action>) {
        let on = self.force() == Force::On;
        let Some(inside) = &mut self.inside else {
            return;
        };
        if !on {
            inside.removed.clear();
            return;
        }
        for other in inside.roster.iter() {
            let bot = !matches!(other.kind, Kind::Person | Kind::Other);
            if bot && self.settings.may_remove && inside.removed.insert(other.identity.clone()) {
                actions.push(Action::Announce(Announcement::Removed {
                    called: other.called().into(),
                    kind: other.kind,
                }));
                actions.push(Action::Remove {
                    identity: other.identity.clone(),
                });
            }
        }
    }
}
