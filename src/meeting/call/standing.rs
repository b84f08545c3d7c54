// SPDX-License-Identifier: MIT OR Apache-2.0
//! How everybody stands, and what the shield says of it: PROTOCOL.md, "The shield".

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use roomseal_policy::{E2ee, KeyModel, Policy};

use super::keys::GRACE;
use super::{Force, Inside, Meeting, Playing};
use crate::action::Denied;
use crate::member::Proven;
use crate::report::{self, KEY_BY_CONFIRM, Report};
use crate::roster::{Kind, Participant};
use crate::shield::{Presence, Shield, View};
use crate::verification::{FRESH, Refusal};

/// How long a newcomer, a new track or a switch may take before what is missing counts against it.
pub const SETTLE: Duration = Duration::from_secs(5);

/// What the box knows beside the meeting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoxState {
    /// What is broken, in words.
    pub fault: Option<String>,
    /// Not provisioned.
    pub set_up: bool,
    /// An update is under way.
    pub updating: bool,
}

/// What the shield says, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The state.
    pub shield: Shield,
    /// What it rests on, the gravest first.
    pub reasons: Vec<Reason>,
    /// How each participant stands, in order of arrival.
    pub people: Vec<Person>,
}

/// Why the shield shows what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Whom it is about, by identity; `None`: this box, or the meeting.
    pub who: Option<String>,
    /// What to call whom it is about; unchecked text of others.
    pub called: String,
    /// What it is.
    pub why: Why,
}

/// One participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Its identity.
    pub identity: String,
    /// What to call it; unchecked text of others.
    pub called: String,
    /// Where it stands.
    pub mark: Mark,
}

/// Where a participant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Encryption is off, or no policy counts: nothing is asked of it.
    Open,
    /// It proved to follow the same policy, and all of it that is played is sealed.
    Verified,
    /// It is being verified.
    Pending(Why),
    /// It is not sealed; what does not open is not played.
    Unsealed(Why),
    /// It has proved nothing and sends nothing: it cannot see or hear.
    Keyless,
}

impl Person {
    /// Where it stands in a word, for programs: `open`, `verified`, `pending`, `unsealed` or `keyless`.
    pub fn word(&self) -> &'static str {
        match self.mark {
            Mark::Open => "open",
            Mark::Verified => "verified",
            Mark::Pending(_) => "pending",
            Mark::Unsealed(_) => "unsealed",
            Mark::Keyless => "keyless",
        }
    }

    /// Why, in a sentence for people without a full stop; nothing where nothing is asked of it.
    pub fn text(&self) -> String {
        match self.mark {
            Mark::Open => String::new(),
            Mark::Verified => "has proved to hold the key and to follow the same host".into(),
            Mark::Keyless => "has not proved to hold the key, and sends nothing".into(),
            Mark::Pending(why) | Mark::Unsealed(why) => {
                let reason = Reason {
                    who: Some(self.identity.clone()),
                    called: self.called.clone(),
                    why,
                };
                reason.text()
            }
        }
    }
}

/// What a reason says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Why {
    /// The box is broken.
    Fault,
    /// Frames of this box left clear although they must not.
    Leaked,
    /// A press was refused.
    Denied(Denied),
    /// No secret here.
    NoSecret,
    /// Another secret than the host's.
    WrongSecret,
    /// Its frames are clear.
    Clear,
    /// It has not proved to be a member, and frames come under its name.
    Unconfirmed,
    /// Its frames are altered on the way.
    Altered,
    /// Its frames are sealed with another key.
    OtherKey,
    /// Its frames name a key that it has not announced.
    NoKey,
    /// Old frames are played again under its name.
    Replayed,
    /// Frames of another track, its own or somebody else's.
    OtherTrack,
    /// It does not name a track that comes under its name, or not as this source.
    UnnamedTrack,
    /// It follows another policy.
    OtherPolicy,
    /// The service hides it.
    Hidden,
    /// It came just now.
    New,
    /// It has not followed the switch yet.
    Switching,
    /// Its frames have not opened yet.
    NotOpened,
    /// It is no person's client, and is being put out.
    Bot,
    /// Nobody else is verified.
    Nobody,
    /// The service holds the secret.
    ServiceHolds,
    /// Who the host is was not checked.
    HostUnchecked,
    /// Encryption is off.
    Off,
    /// This box stays sealed although encryption is off.
    StaysSealed,
    /// No host has decided yet.
    NoPolicy,
    /// The invitation says sealed, and no host has confirmed that it is off.
    Unvouched,
    /// On the way into the meeting.
    Coming,
}

impl Reason {
    /// In a sentence for people, without a full stop.
    pub fn text(&self) -> String {
        let called = &self.called;
        match self.why {
            Why::Fault => called.clone(),
            Why::Leaked => "frames left this box clear: restart it".to_string(),
            Why::Denied(why) => format!("that press was refused: {}", why.text()),
            Why::NoSecret => "this box has no key: give it the link or the passphrase".into(),
            Why::WrongSecret => {
                "this box has another key than the host: check the link or the passphrase".into()
            }
            Why::Clear => format!("{called} sends clear; it is not played"),
            Why::Unconfirmed => {
                format!("frames come under {called}'s name, and it has not proved to be a member")
            }
            Why::Altered => format!("frames of {called} are altered on the way"),
            Why::OtherKey => format!("cannot open {called}: other key, or altered"),
            Why::NoKey => format!("cannot open {called}: it names a key that nobody announced"),
            Why::Replayed => format!("old frames of {called} are played again"),
            Why::OtherTrack => format!("frames of another track come under {called}'s name"),
            Why::UnnamedTrack => {
                format!(
                    "a track comes under {called}'s name that it does not name, or not as this source"
                )
            }
            Why::OtherPolicy => format!("{called} follows another policy"),
            Why::Hidden => format!("{called} is in the meeting, and the service hides it"),
            Why::New => format!("{called} came just now"),
            Why::Switching => format!("{called} has not followed the switch yet"),
            Why::NotOpened => format!("nothing of {called} has opened yet"),
            Why::Bot => format!("{called} cannot be part of a sealed meeting and is put out"),
            Why::Nobody => "nobody else is verified".into(),
            Why::ServiceHolds => "the service holds the key of this meeting".into(),
            Why::HostUnchecked => "who the host is was not checked: compare the code".into(),
            Why::Off => "encryption is off: the service can see and hear".into(),
            Why::StaysSealed => "this box stays sealed, as it is set to".into(),
            Why::NoPolicy => "waiting for the host".into(),
            Why::Unvouched => {
                "announced as sealed: waiting for a host to confirm that it is off".into()
            }
            Why::Coming => "on the way into the meeting".into(),
        }
    }
}

impl Meeting {
    /// What the shield says at `now`. Verdicts age, so it is to be asked again at least every second.
    pub fn verdict(&self, around: &BoxState, now: Duration) -> Verdict {
        let people = self.people(now);
        let hidden = self.hidden(now);
        let unsealed = |person: &&Person| matches!(person.mark, Mark::Unsealed(_));
        let count = |mark: fn(&Mark) -> bool| people.iter().filter(|p| mark(&p.mark)).count();
        let leaked = self.has_leaked(now);
        let denied = self.hosting.denied(now);
        let view = View {
            fault: around.fault.is_some() || leaked,
            denied: denied.is_some(),
            wrong_key: self.needs_key(),
            presence: match self.inside {
                Some(_) => Presence::Inside,
                None => Presence::Coming,
            },
            on: match self.force() {
                Force::Unknown | Force::Unvouched => None,
                Force::Off => Some(false),
                Force::On => Some(true),
            },
            unsealed: people.iter().filter(unsealed).count() + hidden.len(),
            pending: count(|mark| matches!(mark, Mark::Pending(_))),
            verified: count(|mark| *mark == Mark::Verified),
            by_service: self.service_has_secret() || !self.follow.hosts_are_checked(),
            set_up: around.set_up,
            updating: around.updating,
        };
        let shield = view.shield();
        let mut reasons = Vec::new();
        if let Some(fault) = &around.fault {
            reasons.push(about_call(Why::Fault, fault));
        }
        reasons.extend(holding(&[(leaked, Why::Leaked)]));
        reasons.extend(denied.map(|why| about_call(Why::Denied(why), "")));
        let own = [
            (
                view.wrong_key && self.settings.secret.is_none(),
                Why::NoSecret,
            ),
            (
                view.wrong_key && self.settings.secret.is_some(),
                Why::WrongSecret,
            ),
        ];
        reasons.extend(holding(&own));
        if view.on == Some(true) {
            reasons.extend(self.reasons_about(&people, hidden));
        }
        let on = view.on == Some(true) && view.presence == Presence::Inside;
        let about = [
            (shield == Shield::Waiting, Why::Nobody),
            (on && self.service_has_secret(), Why::ServiceHolds),
            (on && !self.follow.hosts_are_checked(), Why::HostUnchecked),
            (shield == Shield::Open, Why::Off),
            (
                shield == Shield::Open && self.settings.require_e2ee,
                Why::StaysSealed,
            ),
            (
                shield == Shield::Connecting && self.awaits_key(),
                Why::NoSecret,
            ),
            (
                // Without its key a host is not the one who is waited for.
                shield == Shield::Connecting
                    && !(self.awaits_key() && self.settings.host.is_some()),
                self.missing(),
            ),
        ];
        reasons.extend(holding(&about));
        Verdict {
            shield,
            reasons,
            people,
        }
    }

    /// Who is there and where each track stands, for people. Verdicts age, so it is to be asked again at least every second.
    pub fn report(&self, now: Duration) -> Report {
        let nobody = crate::roster::Roster::default();
        let roster = self
            .inside
            .as_ref()
            .map_or(&nobody, |inside| &inside.roster);
        let mut report = report::report(roster, self.sending, KEY_BY_CONFIRM, now, |sid| {
            let playing = self.inside.as_ref()?.playing.get(sid)?;
            Some(&playing.watched)
        });
        if self.sending == crate::action::Sending::Sealed {
            report.sending_text = if self.service_has_secret() {
                "leaves sealed, keys by the service"
            } else {
                "leaves sealed, keys by the people in the meeting"
            };
        }
        report
    }

    /// What keeps this member from being in the meeting.
    fn missing(&self) -> Why {
        match (self.inside.is_some(), self.force()) {
            (false, _) => Why::Coming,
            (true, Force::Unvouched) => Why::Unvouched,
            (true, _) => Why::NoPolicy,
        }
    }

    /// Whether somebody has to enter the secret before this member can take part, whatever a host decides.
    fn awaits_key(&self) -> bool {
        self.inside.is_some()
            && self.settings.secret.is_none()
            && self.settings.key_model == KeyModel::User
    }

    fn reasons_about(&self, people: &[Person], hidden: Vec<String>) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = people
            .iter()
            .filter_map(|person| match person.mark {
                Mark::Unsealed(why) | Mark::Pending(why) => Some(Reason {
                    who: Some(person.identity.clone()),
                    called: person.called.clone(),
                    why,
                }),
                Mark::Open | Mark::Verified | Mark::Keyless => None,
            })
            .collect();
        reasons.extend(hidden.into_iter().map(|identity| Reason {
            called: identity.clone(),
            who: Some(identity),
            why: Why::Hidden,
        }));
        let bots = self.inside.iter().flat_map(|inside| {
            let bots = inside.roster.iter();
            bots.filter(|other| inside.removed.contains(&other.identity))
        });
        reasons.extend(bots.map(|bot| Reason {
            who: Some(bot.identity.clone()),
            called: bot.called().into(),
            why: Why::Bot,
        }));
        reasons.sort_by_key(|reason| reason.why);
        reasons
    }

    fn has_leaked(&self, now: Duration) -> bool {
        self.inside
            .as_ref()
            .and_then(|inside| inside.leak.seen())
            .is_some_and(|at| now.saturating_sub(at) <= FRESH)
    }

    /// Whether a secret has to be entered: none is there although a policy is, or the one there is another.
    fn needs_key(&self) -> bool {
        match self.settings.secret {
            Some(_) => self.is_wrong_key(),
            None => !self.follow.chains().is_empty(),
        }
    }

    /// Who is hidden by the service.
    fn hidden(&self, now: Duration) -> Vec<String> {
        let inside = self.inside.iter();
        inside
            .flat_map(|inside| inside.hidden.all(now))
            .map(ToString::to_string)
            .collect()
    }

    fn people(&self, now: Duration) -> Vec<Person> {
        let Some(inside) = &self.inside else {
            return Vec::new();
        };
        let own = self.policy().filter(|policy| policy.e2ee() == E2ee::On);
        inside
            .roster
            .iter()
            .map(|other| Person {
                identity: other.identity.clone(),
                called: other.called().into(),
                mark: match own {
                    Some(own) => inside.mark(other, own, now),
                    None => Mark::Open,
                },
            })
            .collect()
    }
}

impl Inside {
    /// Where a participant stands while `own`, a policy that says on, is followed.
    fn mark(&self, other: &Participant, own: &Policy, now: Duration) -> Mark {
        let identity = &other.identity;
        let switched = self.switch.map_or(self.joined, |switch| switch.at);
        let arrived = self.arrived.get(identity).copied().unwrap_or_default();
        let since = switched.max(arrived);
        let tracks = || {
            let played = self.playing.iter();
            played.filter(|(_, playing)| playing.identity == *identity)
        };
        let settled = |since: Duration| now.saturating_sub(since) > SETTLE;
        // Evidence of a time in which it could not know better counts for nothing.
        let counts = |playing: &Playing, at: Duration| {
            at >= since.max(playing.since) + GRACE && now.saturating_sub(at) <= FRESH
        };
        let proven = self.members.live(identity, now);
        if let Some(proven) = proven
            && proven.policy != Some(own.hash())
        {
            let since = self.differs.get(identity).copied().unwrap_or(now);
            return if settled(since) {
                Mark::Unsealed(Why::OtherPolicy)
            } else {
                Mark::Pending(Why::Switching)
            };
        }
        let names = |proven: &Proven, sid: &str| {
            let track = other.tracks.iter().find(|track| track.sid == sid);
            track.is_some_and(|track| proven.track(sid, track.source).is_some())
        };
        let bad = tracks()
            .filter_map(|(sid, playing)| {
                let (refusal, at) = playing.watched.refused()?;
                let why = match (proven, wrong(refusal)?) {
                    (None, Why::Clear) => Why::Clear,
                    (None, _) => Why::Unconfirmed,
                    (Some(proven), _) if !names(proven, sid) => Why::UnnamedTrack,
                    (Some(_), why) => why,
                };
                (counts(playing, at) && settled(since.max(playing.since))).then_some(why)
            })
            .min();
        if let Some(why) = bad {
            return Mark::Unsealed(why);
        }
        if proven.is_none() {
            let sends = tracks().any(|(_, playing)| {
                let seen = playing.watched.seen_at();
                seen.is_some_and(|at| now.saturating_sub(at) <= FRESH)
            });
            return match (settled(since), sends, other.kind) {
                // No person's client sends nothing: it harms nobody, and is put out anyway.
                (_, false, kind) if kind != Kind::Person => Mark::Keyless,
                (false, _, _) => Mark::Pending(Why::New),
                (true, true, _) => Mark::Pending(Why::NotOpened),
                (true, false, _) => Mark::Keyless,
            };
        }
        let unopened = tracks().any(|(sid, playing)| {
            let muted = other
                .tracks
                .iter()
                .any(|track| track.sid == *sid && track.muted);
            let opened = playing.watched.opened_at().is_some_and(|at| at > switched);
            let sends = playing
                .watched
                .seen_at()
                .is_some_and(|at| now.saturating_sub(at) <= FRESH);
            let lately = playing
                .watched
                .opened_at()
                .is_some_and(|at| now.saturating_sub(at) <= FRESH);
            let expected = !muted && !settled(since.max(playing.since));
            (expected && !opened) || (sends && !lately)
        });
        if unopened {
            Mark::Pending(Why::NotOpened)
        } else {
            Mark::Verified
        }
    }
}

/// What a refusal says against a peer; loss, and what may be loss, says nothing.
fn wrong(refusal: Refusal) -> Option<Why> {
    match refusal {
        Refusal::Altered => Some(Why::Altered),
        Refusal::Clear => Some(Why::Clear),
        Refusal::NoKey => Some(Why::NoKey),
        Refusal::OtherKey => Some(Why::OtherKey),
        Refusal::OtherTrack => Some(Why::OtherTrack),
        Refusal::Replayed => Some(Why::Replayed),
        Refusal::Damaged | Refusal::Malformed | Refusal::Unverified => None,
    }
}

fn holding(reasons: &[(bool, Why)]) -> impl Iterator<Item = Reason> + '_ {
    reasons
        .iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, why)| about_call(*why, ""))
}

fn about_call(why: Why, called: &str) -> Reason {
    Reason {
        who: None,
        called: called.into(),
        why,
    }
}
