// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Roomseal meeting as a state machine: what happened, and when, goes in; what to do comes out. `PROTOCOL.md` is what
//! it implements.

mod keys;
mod listen;
mod media;
mod speak;
mod standing;
mod switch;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use roomseal_e2ee::{Fresh, OpenCounters, Secret};
use roomseal_policy::{E2ee, Host, KeyModel, PolicyHash};

use crate::action::{Action, Announcement, Denied, Rules, Sending};
use crate::confirm::{Instance, IvPrefix};
use crate::follow::{Follow, Invitation};
use crate::hidden::Hidden;
use crate::hosting::{By, Hosting, Outcome, Situation};
use crate::leak::Leak;
use crate::member::Members;
use crate::nonces::Nonces;
use crate::roster::{Participant, Roster, Source};
use crate::verification::Watched;

use keys::Keys;

pub use keys::GRACE;
pub use standing::SETTLE;
pub use standing::{BoxState, Mark, Person, Reason, Verdict, Why};

/// What a meeting is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the invitation says.
    pub invitation: Invitation,
    /// The key and certificate with which this member is a host, if it is one.
    pub host: Option<Arc<Host>>,
    /// The meeting's secret, as far as it is known.
    pub secret: Option<Secret>,
    /// Who knows the secret; hosts write it into their policies.
    pub key_model: KeyModel,
    /// Whether a host that finds nobody begins with encryption on.
    pub begin: E2ee,
    /// Stay sealed, and play sealed only, also while the host has encryption off.
    pub require_e2ee: bool,
    /// This box may put participants out of the room.
    pub may_remove: bool,
    /// Seconds since 1970 at time zero of [`Meeting::handle`]; for people to read in policies.
    pub unix: u64,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// What a track's opening element has counted since its [`Action::Play`]; totals, not differences.
    Counted {
        /// Which track.
        sid: String,
        /// The totals.
        counters: OpenCounters,
    },
    /// A track's media ended (from the transport).
    Ended {
        /// Which track.
        sid: String,
    },
    /// A track's media can be received (from the transport).
    Flowing {
        /// Which track.
        sid: String,
    },
    /// The button has been held for two seconds, on from its last press.
    Hold(By),
    /// In the room, from zero (from the service).
    Joined {
        /// This box's own identity.
        me: String,
        /// Who is there already.
        others: Vec<Participant>,
        /// The room's metadata.
        metadata: String,
    },
    /// A chain message from outside the room, such as a root that was signed in advance.
    Known(String),
    /// Out of the room; what is remembered for a return is the policy.
    Left,
    /// The room's metadata changed (from the service).
    Metadata(String),
    /// These came, changed or left (from the service); this box itself may be among them.
    Participants(Vec<Participant>),
    /// The button was pressed.
    Press(By),
    /// What this box publishes, and the IV prefix of its data packets; again and again, for the counters go on.
    Publishing {
        /// The tracks that the service took.
        tracks: Vec<OwnTrack>,
        /// Of its data packets.
        data: Option<IvPrefix>,
    },
    /// The connection came back within the same session (from the service).
    Resumed,
    /// A message on topic [`TOPIC`](crate::TOPIC) came.
    Said {
        /// Whom it comes from, as the service says.
        from: String,
        /// The message.
        text: String,
    },
    /// The secret, entered or changed.
    Secret {
        /// The secret.
        secret: Option<Secret>,
        /// Who has it besides the members: nobody if people gave it ([`KeyModel::User`]).
        from: KeyModel,
    },
    /// What the sealing elements have counted since they were made; totals over all tracks.
    Sent(Sent),
    /// Time has passed: as asked by [`Action::WakeAt`], and besides at least every second.
    Tick,
}

/// What left this box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames that left sealed.
    pub sealed: u64,
    /// Frames that left clear.
    pub clear: u64,
}

/// A track that this member publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnTrack {
    /// The service's id for it.
    pub sid: String,
    /// Where it comes from.
    pub source: Source,
    /// What all of its IVs begin with.
    pub iv: IvPrefix,
    /// The counter in the next of them, or a little lower.
    pub next: u32,
}

/// A Roomseal meeting, as one member knows and decides it.
///
/// A clone makes the same "random" choices again: for searching through what could happen, never to join twice.
#[derive(Clone, Debug)]
pub struct Meeting {
    settings: Settings,
    fresh: Fresh,
    follow: Follow,
    hosting: Hosting,
    keys: Keys,
    /// This member while it is in the room.
    inside: Option<Inside>,
    sending: Sending,
}

/// What is known of one stay in the room.
#[derive(Clone, Debug)]
struct Inside {
    me: String,
    joined: Duration,
    /// Echoes of nonces given out before do not allow clear frames.
    resumed: Duration,
    instance: Instance,
    seq: u64,
    nonces: Nonces,
    roster: Roster,
    /// Since when each is listed.
    arrived: BTreeMap<String, Duration>,
    members: Members,
    hidden: Hidden,
    /// Since when live members follow something else than we do.
    differs: BTreeMap<String, Duration>,
    /// Bots that the service was asked to put out.
    removed: BTreeSet<String>,
    /// When those were last told the chain who say what does not authenticate.
    strangers: BTreeMap<String, Duration>,
    metadata: String,
    /// The policies in them; known only where this member is a host.
    shown: BTreeSet<PolicyHash>,
    /// For which policy the metadata were last written here, and when.
    wrote: Option<(PolicyHash, Duration)>,
    /// When this member last confirmed to all, and whether it has to again at once.
    confirmed: Option<Duration>,
    dirty: bool,
    /// When it last said something of itself to all.
    spoke: Duration,
    tracks: Vec<OwnTrack>,
    data: Option<IvPrefix>,
    /// Tracks whose media can be received, listed or not.
    flowing: Vec<String>,
    playing: BTreeMap<String, Playing>,
    /// How data packets of each are opened.
    packets: BTreeMap<String, Rules>,
    switch: Option<Switch>,
    leak: Leak,
}

/// A track that is played.
#[derive(Clone, Debug)]
struct Playing {
    identity: String,
    watched: Watched,
    rules: Rules,
    since: Duration,
    /// It was playing clear when encryption went on: it may go on for the grace.
    grace: bool,
}

/// The last change of the policy that is followed.
#[derive(Clone, Copy, Debug)]
struct Switch {
    at: Duration,
    from: Option<(PolicyHash, E2ee)>,
}

/// What counts of the policy that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Force {
    /// No policy.
    Unknown,
    /// Off by policy, and the invitation says that a host has to confirm it.
    Unvouched,
    Off,
    On,
}

impl Meeting {
    /// A meeting that is not joined yet; `seed` comes from the operating system's generator, new for every meeting.
    pub fn new(settings: Settings, seed: [u8; 32]) -> Self {
        Self {
            follow: Follow::new(settings.invitation.clone()),
            settings,
            fresh: Fresh::new(seed),
            hosting: Hosting::default(),
            keys: Keys::default(),
            inside: None,
            sending: Sending::NothingOutside,
        }
    }

    /// Takes what happened at `now` (since any fixed moment) and answers what to do, in order.
    pub fn handle(&mut self, event: Event, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        // What is to be said is said after the keys are changed.
        let mut said = Vec::new();
        self.take(event, now, &mut actions, &mut said);
        self.go_on(now, &mut actions, &mut said);
        self.decide_keys(now, &mut actions);
        self.decide_playing(now, &mut actions);
        self.decide_packets(now, &mut actions);
        self.decide_sending(now, &mut actions);
        self.put_out_bots(&mut actions);
        self.confirm(now, &mut said);
        actions.append(&mut said);
        if let Some(next) = self.next(now) {
            actions.push(Action::WakeAt(next));
        }
        actions
    }

    /// What may leave this box.
    pub fn sending(&self) -> Sending {
        self.sending
    }

    /// The policy that is followed, in force or not.
    pub fn policy(&self) -> Option<&roomseal_policy::Policy> {
        self.follow.policy()
    }

    /// The chain of the followed policy, for views: who the hosts are, and the code that tells their meeting key.
    pub fn chain(&self) -> Option<&roomseal_policy::Chain> {
        self.follow.chain()
    }

    /// What a participant that is listed is called, else its identity.
    pub fn called<'a>(&'a self, identity: &'a str) -> &'a str {
        let inside = self.inside.as_ref();
        let mut listed = inside.into_iter().flat_map(|inside| inside.roster.iter());
        listed
            .find(|other| other.identity == identity)
            .map_or(identity, Participant::called)
    }

    /// Who knows the secret: as the followed policy says, else as this box was told.
    pub fn key_model(&self) -> KeyModel {
        self.policy()
            .map_or(self.settings.key_model, roomseal_policy::Policy::key_model)
    }

    /// Whether the service has the secret: a host says so, or this member's own comes from there, whatever a host says.
    pub fn service_has_secret(&self) -> bool {
        self.key_model() == KeyModel::Server || self.settings.key_model == KeyModel::Server
    }

    /// Who counts down to off (`None`: this member), and how long is left.
    pub fn countdown(&self, now: Duration) -> Option<(Option<&str>, Duration)> {
        self.hosting.countdown(now)
    }

    fn take(
        &mut self,
        event: Event,
        now: Duration,
        actions: &mut Vec<Action>,
        said: &mut Vec<Action>,
    ) {
        match event {
            Event::Joined {
                me,
                others,
                metadata,
            } => self.join(me, others, metadata, now, actions),
            Event::Left => self.leave(actions),
            Event::Press(by) => self.press(by, now, actions),
            Event::Hold(by) => self.hold(by, now, actions),
            Event::Secret { secret, from } => {
                self.settings.secret = secret;
                self.settings.key_model = from;
                self.forget_keys(actions);
                // Nothing that the old secret proved counts; what the others say is asked for again.
                if let Some(inside) = &mut self.inside {
                    inside.members.clear();
                }
                self.resume(now);
            }
            Event::Known(text) => self.listen_chain(&text),
            other => {
                if self.inside.is_some() {
                    self.listen(other, now, actions, said);
                }
            }
        }
    }

    fn join(
        &mut self,
        me: String,
        others: Vec<Participant>,
        metadata: String,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        self.leave(actions);
        let mut inside = Inside::new(me, self.fresh.draw(), now);
        inside.nonces.issue(self.nonce(), now);
        self.inside = Some(inside);
        self.listen_participants(others, now);
        self.listen_metadata(metadata);
    }

    /// Ends everything of the stay that is over; the policy stays, so that nobody can take it back meanwhile.
    fn leave(&mut self, actions: &mut Vec<Action>) {
        if let Some(inside) = self.inside.take() {
            let sids = inside.playing.into_keys();
            actions.extend(sids.map(|sid| Action::Stop { sid }));
        }
        self.hosting = Hosting::default();
        self.forget_keys(actions);
    }

    fn forget_keys(&mut self, actions: &mut Vec<Action>) {
        if core::mem::take(&mut self.keys).sending.is_some() {
            actions.push(Action::SendKey(None));
        }
    }

    fn press(&mut self, by: By, now: Duration, actions: &mut Vec<Action>) {
        let situation = self.situation();
        let mine = self.hosting.countdown(now).is_some();
        match self.hosting.press(by, situation, now) {
            Outcome::Denied(why) => actions.push(denied(why)),
            Outcome::Sign(e2ee) => self.hosting.wanted = Some(e2ee),
            Outcome::Cancel => {
                debug_assert!(mine, "only a countdown that runs is cancelled");
                actions.push(Action::Announce(Announcement::OffCancelled));
                self.dirty();
            }
            Outcome::Nothing | Outcome::Count => {}
        }
    }

    fn hold(&mut self, by: By, now: Duration, actions: &mut Vec<Action>) {
        let situation = self.situation();
        match self.hosting.hold(by, situation, now) {
            Outcome::Denied(why) => actions.push(denied(why)),
            Outcome::Count => {
                actions.push(Action::Announce(Announcement::OffSoon {
                    by: self.own_name(),
                    left: crate::hosting::COUNTDOWN,
                }));
                self.dirty();
            }
            Outcome::Nothing | Outcome::Sign(_) | Outcome::Cancel => {}
        }
    }

    fn situation(&self) -> Situation {
        Situation {
            host: self.settings.host.is_some(),
            secret: self.settings.secret.is_some() && !self.is_wrong_key(),
            inside: self.inside.is_some(),
            e2ee: self.policy().map(roomseal_policy::Policy::e2ee),
        }
    }

    fn own_name(&self) -> String {
        self.settings
            .host
            .as_ref()
            .map(|host| host.certificate().name().as_str().into())
            .unwrap_or_default()
    }

    fn dirty(&mut self) {
        if let Some(inside) = &mut self.inside {
            inside.dirty = true;
        }
    }

    fn force(&self) -> Force {
        match self.policy().map(roomseal_policy::Policy::e2ee) {
            None => Force::Unknown,
            Some(E2ee::On) => Force::On,
            Some(E2ee::Off) if self.follow.invitation().sealed && !self.follow.is_vouched() => {
                Force::Unvouched
            }
            Some(E2ee::Off) => Force::Off,
        }
    }
}

impl Inside {
    fn new(me: String, instance: [u8; 16], now: Duration) -> Self {
        Self {
            me,
            joined: now,
            resumed: now,
            instance: crate::confirm::Bytes(instance),
            seq: 0,
            nonces: Nonces::default(),
            roster: Roster::default(),
            arrived: BTreeMap::new(),
            members: Members::default(),
            hidden: Hidden::default(),
            differs: BTreeMap::new(),
            removed: BTreeSet::new(),
            spoke: now,
            strangers: BTreeMap::new(),
            metadata: String::new(),
            shown: BTreeSet::new(),
            wrote: None,
            confirmed: None,
            dirty: true,
            tracks: Vec::new(),
            data: None,
            flowing: Vec::new(),
            playing: BTreeMap::new(),
            packets: BTreeMap::new(),
            switch: None,
            leak: Leak::default(),
        }
    }
}

fn denied(why: Denied) -> Action {
    Action::Announce(Announcement::Denied(why))
}
