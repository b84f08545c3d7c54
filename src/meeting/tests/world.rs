// SPDX-License-Identifier: MIT OR Apache-2.0
//! Members with sealing and opening elements around a service that carries what they say, or does not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use roomseal_e2ee::{
    Codec, FrameContext, FrameKey, IvSource, KeyIndex, OpenCounters, Opener, Replay, Sealer,
    Secret, Verdict,
};
use roomseal_meeting::call::{BoxState, Event, OwnTrack, Reason, Sent, Settings, Why};
use roomseal_meeting::{
    Action, Announcement, By, Bytes, Declared, Invitation, Meeting, Opening, Participant, Rules,
    Sending, Shield, Source, Track,
};
use roomseal_policy::{
    Certificate, E2ee, Host, HostCheck, HostKey, KeyModel, KeySeed, MeetingKey, PolicyHash,
};

use crate::truth::{self, Truth};

pub(crate) const ROOM: &str = "lobby";

/// What makes one meeting: the same in every session of it.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) secret: [u8; 32],
    pub(crate) hosts: HostCheck,
    pub(crate) sealed: bool,
    pub(crate) root: Option<PolicyHash>,
    pub(crate) begin: E2ee,
    pub(crate) key_model: KeyModel,
}

pub(crate) fn link(sealed: bool) -> Link {
    Link {
        secret: [7; 32],
        hosts: HostCheck::Link(meeting_key(1).hash()),
        sealed,
        root: None,
        begin: if sealed { E2ee::On } else { E2ee::Off },
        key_model: KeyModel::User,
    }
}

pub(crate) fn seed(n: u8) -> KeySeed {
    KeySeed::new([n; 32].into()).unwrap()
}

pub(crate) fn meeting_key(n: u8) -> MeetingKey {
    MeetingKey::from_seed(&seed(n))
}

/// A host of the meeting with key `meeting`.
pub(crate) fn host(meeting: u8, n: u8, name: &str) -> Arc<Host> {
    let key = HostKey::from_seed(&seed(n));
    let certificate = Certificate::issue(
        &meeting_key(meeting),
        &ROOM.parse().unwrap(),
        key.public(),
        &name.parse().unwrap(),
    );
    Arc::new(Host::new(key, certificate).unwrap())
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) text: String,
    /// Of two that were said at one time the later has the higher number.
    pub(crate) number: usize,
    /// When it was really said.
    pub(crate) made: Duration,
    /// What its sender really followed then.
    pub(crate) follows: Option<PolicyHash>,
}

/// A frame as the service sees it.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) sid: String,
    pub(crate) bytes: Vec<u8>,
}

/// A frame that somebody saw or heard.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    pub(crate) at: Duration,
    pub(crate) clear: bool,
    pub(crate) plain: Vec<u8>,
    pub(crate) sid: String,
    pub(crate) under: String,
}

/// What opens one track, as the element of the media crate does.
#[derive(Clone)]
pub(crate) struct Element {
    pub(crate) under: String,
    pub(crate) rules: Rules,
    counters: OpenCounters,
    seen: BTreeSet<Vec<u8>>,
}

#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) meeting: Meeting,
    pub(crate) sending: Sending,
    pub(crate) key: Option<(KeyIndex, FrameKey)>,
    pub(crate) elements: BTreeMap<String, Element>,
    pub(crate) played: Vec<Played>,
    pub(crate) announced: Vec<Announcement>,
    pub(crate) removed: Vec<String>,
    pub(crate) data: BTreeMap<String, Rules>,
    pub(crate) arrived: Duration,
    pub(crate) wake: Option<Duration>,
    pub(crate) counter: u32,
    sent: Sent,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) sides: BTreeMap<String, Side>,
    /// Said, and not delivered yet.
    pub(crate) queue: VecDeque<Message>,
    /// Everything that was ever said, for a service that records.
    pub(crate) said: Vec<Message>,
    /// Everything that ever left a member.
    pub(crate) frames: Vec<(String, Frame)>,
    pub(crate) metadata: String,
    pub(crate) truth: Truth,
    pub(crate) link: Link,
    session: u8,
    joins: u8,
    withheld: Option<String>,
}

pub(crate) fn sid(name: &str) -> String {
    format!("TR_{name}")
}

pub(crate) fn participant(name: &str) -> Participant {
    Participant::new(name, name.to_uppercase()).with_track(Track::new(
        sid(name),
        Source::Microphone,
        Declared::Sealed,
    ))
}

pub(crate) fn gone(name: &str) -> Participant {
    Participant {
        present: false,
        ..Participant::new(name, "")
    }
}

impl World {
    /// A meeting that nobody has joined; sessions with other numbers draw other random bytes.
    pub(crate) fn new(link: Link, session: u8) -> Self {
        Self {
            now: Duration::from_secs(1000),
            sides: BTreeMap::new(),
            queue: VecDeque::new(),
            said: Vec::new(),
            frames: Vec::new(),
            metadata: String::new(),
            truth: Truth::new(link.root),
            link,
            session,
            joins: 0,
            withheld: None,
        }
    }

    /// Host, alice and bob, with everything said and heard.
    pub(crate) fn of_three(link: Link, session: u8) -> Self {
        let mut world = Self::new(link, session);
        world.join("host", Some(host(1, 2, "Hanna")));
        world.join("alice", None);
        world.join("bob", None);
        world.pass(7);
        world
    }

    pub(crate) fn settings(&self, host: Option<Arc<Host>>) -> Settings {
        Settings {
            invitation: Invitation {
                room: ROOM.parse().unwrap(),
                hosts: self.link.hosts,
                sealed: self.link.sealed,
                root: self.link.root,
            },
            host,
            secret: Some(Secret::new(self.link.secret)),
            key_model: self.link.key_model,
            begin: self.link.begin,
            require_e2ee: false,
            may_remove: true,
            unix: 1_700_000_000,
        }
    }

    pub(crate) fn join(&mut self, name: &str, host: Option<Arc<Host>>) {
        self.join_with(name, self.settings(host));
    }

    /// Joins, is shown to all and shown all, and publishes.
    pub(crate) fn join_with(&mut self, name: &str, settings: Settings) {
        let mut own = [0; 32];
        own[0] = self.session;
        self.joins += 1;
        own[31] = self.joins;
        own[1..=name.len()].copy_from_slice(name.as_bytes());
        let side = Side {
            meeting: Meeting::new(settings, own),
            sending: Sending::NothingOutside,
            key: None,
            elements: BTreeMap::new(),
            played: Vec::new(),
            announced: Vec::new(),
            removed: Vec::new(),
            data: BTreeMap::new(),
            arrived: self.now,
            wake: None,
            // No two frames of one name in one session are the same.
            counter: u32::from(self.joins) * 1000,
            sent: Sent::default(),
        };
        self.sides.insert(name.into(), side);
        self.enter(name);
    }

    /// Comes into the room, for the first time or again.
    pub(crate) fn enter(&mut self, name: &str) {
        let others: Vec<String> = self.others(name);
        self.sides.get_mut(name).unwrap().arrived = self.now;
        self.truth.entered(name, self.now);
        let joined = Event::Joined {
            me: name.into(),
            others: others.iter().map(|other| participant(other)).collect(),
            metadata: self.metadata.clone(),
        };
        let metadata = self.metadata.clone();
        self.truth.delivered(name, &metadata);
        self.act(name, joined);
        for other in &others {
            self.act(name, Event::Flowing { sid: sid(other) });
            self.act(other, Event::Participants(vec![participant(name)]));
            self.act(other, Event::Flowing { sid: sid(name) });
        }
        self.publish(name);
    }

    fn publish(&mut self, name: &str) {
        let next = self.sides[name].counter + 1;
        let tracks = vec![OwnTrack {
            sid: sid(name),
            source: Source::Microphone,
            iv: Bytes(prefix(name)),
            next: counter(next),
        }];
        let data = Some(Bytes([0xDA; 8]));
        self.act(name, Event::Publishing { tracks, data });
    }

    /// Goes, and is seen to go.
    pub(crate) fn leave(&mut self, name: &str) {
        for other in self.others(name) {
            self.act(&other, Event::Participants(vec![gone(name)]));
            self.act(&other, Event::Ended { sid: sid(name) });
        }
        self.sides.remove(name);
        self.queue.retain(|message| message.to != name);
    }

    pub(crate) fn others(&self, name: &str) -> Vec<String> {
        let names = self.sides.keys().filter(|other| *other != name);
        names.cloned().collect()
    }

    /// Something happens to one member; what it says waits in the queue.
    pub(crate) fn act(&mut self, name: &str, event: Event) {
        let Some(side) = self.sides.get_mut(name) else {
            return;
        };
        for action in side.meeting.handle(event, self.now) {
            match action {
                Action::Announce(what) => side.announced.push(what),
                Action::Play(play) => {
                    let element = Element {
                        under: play.identity,
                        rules: play.rules.unwrap(),
                        counters: OpenCounters::default(),
                        seen: BTreeSet::new(),
                    };
                    side.elements.insert(play.sid, element);
                }
                Action::Reopen { sid, rules } => {
                    side.elements.get_mut(&sid).unwrap().rules = rules;
                }
                Action::ReopenData { identity, rules } => {
                    side.data.insert(identity, rules);
                }
                Action::Stop { sid } => {
                    side.elements.remove(&sid);
                }
                Action::Remove { identity } => side.removed.push(identity),
                Action::Send(sending) => side.sending = sending,
                Action::SendKey(key) => side.key = key,
                Action::WakeAt(at) => side.wake = Some(at),
                Action::WriteMetadata(text) => {
                    self.truth.said(name, &text);
                    self.metadata = text;
                }
                Action::Say { to, text } => {
                    self.truth.said(name, &text);
                    let everybody = to.is_empty();
                    let others: Vec<String> = self
                        .truth
                        .present()
                        .filter(|other| *other != name)
                        .filter(|other| everybody || to.iter().any(|to| to == other))
                        .map(String::from)
                        .collect();
                    let follows = side.meeting.policy().map(roomseal_policy::Policy::hash);
                    for to in others {
                        let message = Message {
                            from: name.into(),
                            to,
                            text: text.clone(),
                            number: self.said.len(),
                            made: self.now,
                            follows,
                        };
                        self.said.push(message.clone());
                        self.queue.push_back(message);
                    }
                }
                other => panic!("no such action is known here: {other:?}"),
            }
        }
    }

    /// The service gives a message to `to`, as coming from `from`.
    pub(crate) fn give(&mut self, to: &str, from: &str, message: &Message) {
        self.truth.delivered(to, &message.text);
        if from == message.from && to == message.to && self.said.contains(message) {
            self.truth.heard(to, message);
        }
        let said = Event::Said {
            from: from.into(),
            text: message.text.clone(),
        };
        self.act(to, said);
    }

    /// A second in which no chain reaches this member.
    pub(crate) fn second_without_chains(&mut self, name: &str) {
        self.withheld = Some(name.into());
        self.second();
        self.withheld = None;
    }

    /// Everything said is heard, with all that is answered to it.
    pub(crate) fn settle(&mut self) {
        while let Some(message) = self.queue.pop_front() {
            let withheld = self.withheld.as_ref() == Some(&message.to);
            if withheld && message.text.contains("\"policies\"") {
                continue;
            }
            let from = message.from.clone();
            let to = message.to.clone();
            self.give(&to, &from, &message);
        }
    }

    /// An honest second: frames go round, elements report, time passes, and all that is said is heard.
    pub(crate) fn second(&mut self) {
        self.settle();
        self.now += Duration::from_millis(1000);
        let names: Vec<String> = self.sides.keys().cloned().collect();
        for name in &names {
            self.act(name, Event::Tick);
        }
        self.settle();
        for name in &names {
            if let Some(frame) = self.frame(name) {
                for other in self.others(name) {
                    self.show(&other, &frame);
                }
            }
        }
        self.settle();
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second();
        }
    }

    /// The next frame that leaves a member, if one does.
    pub(crate) fn frame(&mut self, name: &str) -> Option<Frame> {
        let side = self.sides.get_mut(name)?;
        side.counter += 1;
        let plain = truth::plain(name, self.session, side.counter);
        let bytes = match side.sending {
            Sending::Clear => {
                side.sent.clear += 1;
                plain
            }
            Sending::Sealed => {
                side.sent.sealed += 1;
                let (index, key) = side.key.clone().expect("sealing takes a key");
                seal(index, key, prefix(name), side.counter, &plain)
            }
            _ => return None,
        };
        let sent = side.sent;
        let frame = Frame {
            sid: sid(name),
            bytes,
        };
        self.frames.push((name.into(), frame.clone()));
        self.act(name, Event::Sent(sent));
        self.publish(name);
        Some(frame)
    }

    /// The service shows a frame to a member as one of the track it names.
    pub(crate) fn show(&mut self, to: &str, frame: &Frame) {
        let now = self.now;
        let Some(side) = self.sides.get_mut(to) else {
            return;
        };
        let Some(element) = side.elements.get_mut(&frame.sid) else {
            return;
        };
        let played = element.open(&frame.bytes, now);
        if let Some((plain, clear)) = played {
            side.played.push(Played {
                at: now,
                clear,
                plain,
                sid: frame.sid.clone(),
                under: element.under.clone(),
            });
        }
        let counted = Event::Counted {
            sid: frame.sid.clone(),
            counters: element.counters,
        };
        self.act(to, counted);
    }

    pub(crate) fn shield(&self, name: &str) -> Shield {
        self.verdict(name).shield
    }

    pub(crate) fn verdict(&self, name: &str) -> roomseal_meeting::call::Verdict {
        self.sides[name]
            .meeting
            .verdict(&BoxState::default(), self.now)
    }

    /// Whom the shield names, and why.
    pub(crate) fn reasons(&self, name: &str) -> Vec<(Option<String>, Why)> {
        let reasons = self.verdict(name).reasons.into_iter();
        reasons.map(|Reason { who, why, .. }| (who, why)).collect()
    }

    pub(crate) fn names(&self, name: &str, who: &str, why: Why) -> bool {
        self.reasons(name).contains(&(Some(who.into()), why))
    }

    pub(crate) fn e2ee(&self, name: &str) -> Option<E2ee> {
        Some(self.sides[name].meeting.policy()?.e2ee())
    }

    pub(crate) fn press(&mut self, name: &str) {
        self.act(name, Event::Press(By::Box));
    }

    /// Holds the button until encryption is off.
    pub(crate) fn turn_off(&mut self, name: &str) {
        self.press(name);
        self.act(name, Event::Hold(By::Box));
        self.pass(4);
    }
}

impl Element {
    fn open(&mut self, bytes: &[u8], now: Duration) -> Option<(Vec<u8>, bool)> {
        let sealed =
            bytes.len() > 31 && bytes[bytes.len() - 2] == 12 && bytes[bytes.len() - 1] < 16;
        if !sealed {
            self.counters.clear += 1;
            let passes = self.rules.opening != Opening::Required;
            return passes.then(|| (bytes.to_vec(), true));
        }
        if self.seen.contains(bytes) {
            self.counters.replayed += 1;
            return None;
        }
        let mut opener = Opener::new(Codec::Opus, Replay::Window);
        *opener.keys() = self.rules.keys.clone();
        opener.set_iv_prefix(self.rules.iv_prefix);
        opener.set_iv_floor(self.rules.iv_floor);
        let mut frame = bytes.to_vec();
        match opener.open(&mut frame, &FrameContext { gap: false, now }) {
            Ok(length) => {
                self.counters.opened += 1;
                self.seen.insert(bytes.to_vec());
                if self.rules.opening == Opening::Grace {
                    self.rules.opening = Opening::Required;
                }
                frame.truncate(length);
                Some((frame, false))
            }
            Err(verdict) => {
                let counter = match verdict {
                    Verdict::NoKey => &mut self.counters.no_key,
                    Verdict::Replayed => &mut self.counters.replayed,
                    Verdict::OtherTrack => &mut self.counters.other_track,
                    _ if self.rules.confirmed => &mut self.counters.altered,
                    _ => &mut self.counters.other_key,
                };
                *counter += 1;
                None
            }
        }
    }
}

pub(crate) fn prefix(name: &str) -> [u8; 8] {
    let mut prefix = [0x77; 8];
    for (to, from) in prefix.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    prefix
}

/// The counter in the IV of a member's frame of this number.
pub(crate) fn counter(frame: u32) -> u32 {
    0x0101_0101 + frame
}

pub(crate) fn seal(
    index: KeyIndex,
    key: FrameKey,
    prefix: [u8; 8],
    count: u32,
    plain: &[u8],
) -> Vec<u8> {
    let mut seed = [0; 12];
    seed[..8].copy_from_slice(&prefix);
    seed[8..].copy_from_slice(&count.to_be_bytes());
    let mut sealer = Sealer::new(Codec::Opus, IvSource::new(seed));
    sealer.set_key(index, key);
    let mut out = vec![0; Sealer::max_sealed_len(Codec::Opus, plain.len())];
    let length = sealer.seal(plain, &mut out).unwrap();
    out.truncate(length);
    out
}
