// SPDX-License-Identifier: MIT OR Apache-2.0
//! The core of the join page, as browsers load it, in Node: two of them and a member like the box meet, and what one
//! seals the others open.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roomseal_e2ee::{Codec, FrameContext, IvSource, Opener, Replay, Sealer, Secret, Verdict};
use roomseal_meeting::call::{BoxState, Event, OwnTrack, Sent, Settings};
use roomseal_meeting::{
    Action, By, Bytes, Declared, Invitation, Meeting, Participant, Rules, Sending, Shield, Source,
    Track,
};
use roomseal_policy::{
    Certificate, E2ee, HostGrant, HostKey, KeyModel, KeySeed, Link, LinkSecret, MeetingKey,
    RoomName, SecretSource,
};
use roomseal_tests::places;
use serde_json::{Value, json};

use crate::node::Node;

/// Cores in a Node process.
struct Cores(Node);

impl Cores {
    fn start() -> Self {
        Self(Node::run("web/run.mjs", places::provided("web")))
    }

    fn ask(&mut self, what: &Value) -> Value {
        let mut answer = self.0.ask(what);
        assert!(answer["error"].is_null(), "{what}: {answer}");
        answer["ok"].take()
    }
}

const ROOM: &str = "lobby";
const MEMBERS: [&str; 3] = ["box", "anna", "bert"];
/// The pages' number for what they send.
const OUT: u32 = 1;

fn sid(of: &str) -> String {
    format!("TR_{of}")
}

/// The pages' number for what comes from `of`.
fn pipe(of: &str) -> usize {
    10 + MEMBERS.iter().position(|name| *name == of).unwrap()
}

/// A member like the box: the meeting, and the sealer and openers that obey it.
struct Native {
    meeting: Meeting,
    sending: Sending,
    sealer: Sealer,
    openers: BTreeMap<String, Opener>,
    sealed: u64,
}

fn obey(opener: &mut Opener, rules: &Rules) {
    *opener.keys() = rules.keys.clone();
    opener.set_iv_prefix(rules.iv_prefix);
    opener.set_iv_floor(rules.iv_floor);
    opener.set_peer_confirmed(rules.confirmed);
}

/// A box and two pages; what one says, the others hear at once.
struct World {
    now: Duration,
    native: Native,
    cores: Cores,
    codec: Codec,
}

/// A message on its way: who gets it, from whom, and the text.
type Said = (String, String, String);

impl World {
    fn new(announced: E2ee, codec: Codec) -> Self {
        let seed = |n: u8| KeySeed::new([n; 32].into()).unwrap();
        let key = MeetingKey::from_seed(&seed(1));
        let room: RoomName = ROOM.parse().unwrap();
        let host = HostKey::from_seed(&seed(2));
        let name = "Hanna".parse().unwrap();
        let certificate = Certificate::issue(&key, &room, host.public(), &name);
        let grant = HostGrant::new(seed(2), certificate).unwrap();
        let secret = SecretSource::Link(LinkSecret::new([7; 32].into()));
        let origin = "https://meet.example.org".parse().unwrap();
        let link = Link::guest(origin, room.clone(), secret, key.hash(), announced);
        let settings = Settings {
            invitation: Invitation {
                room,
                hosts: link.host_check(),
                sealed: announced == E2ee::On,
                root: None,
            },
            host: Some(Arc::new(grant.host())),
            secret: Some(Secret::new([7; 32])),
            key_model: KeyModel::User,
            begin: announced,
            require_e2ee: false,
            may_remove: false,
            unix: 1_795_320_000,
        };
        let native = Native {
            meeting: Meeting::new(settings, [9; 32]),
            sending: Sending::NothingOutside,
            sealer: Sealer::new(codec, IvSource::new(*b"any 12 bytes")),
            openers: BTreeMap::new(),
            sealed: 0,
        };
        let mut cores = Cores::start();
        for id in ["anna", "bert"] {
            let begun =
                cores.ask(&json!({"op": "begin", "id": id, "link": link.expose().as_str()}));
            assert_eq!(begun["room"], ROOM);
        }
        let mut world = Self {
            now: Duration::from_secs(100),
            native,
            cores,
            codec,
        };
        world.come();
        world
    }

    fn come(&mut self) {
        let sound = self.codec == Codec::Opus;
        let source = if sound {
            Source::Microphone
        } else {
            Source::Camera
        };
        let (word, sort) = if sound {
            ("microphone", "sound")
        } else {
            ("camera", "picture")
        };
        let others = |me: &str| {
            MEMBERS
                .into_iter()
                .filter(move |name| *name != me)
                .collect::<Vec<_>>()
        };
        for me in MEMBERS {
            if me == "box" {
                let listed = others(me).into_iter().map(|name| {
                    let track = Track::new(sid(name), source, Declared::Sealed);
                    Participant::new(name, "").with_track(track)
                });
                let joined = Event::Joined {
                    me: me.into(),
                    others: listed.collect(),
                    metadata: String::new(),
                };
                let said = self.native(joined);
                self.carry(said);
                for name in others(me) {
                    let said = self.native(Event::Flowing { sid: sid(name) });
                    self.carry(said);
                }
                continue;
            }
            let listed = others(me).into_iter().map(|name| {
                let track = json!({"sid": sid(name), "source": word, "sort": sort, "muted": false, "sealed": true});
                json!({"identity": name, "name": "", "kind": "person", "present": true, "tracks": [track]})
            });
            let listed: Vec<Value> = listed.collect();
            self.page(
                me,
                &json!({"t": "joined", "me": me, "others": listed, "metadata": ""}),
            );
            self.page(
                me,
                &json!({"t": "sends", "pipe": OUT, "sid": sid(me), "source": word}),
            );
            for name in others(me) {
                self.page(
                    me,
                    &json!({"t": "receives", "pipe": pipe(name), "sid": sid(name)}),
                );
            }
        }
    }

    fn millis(&self) -> f64 {
        self.now.as_secs_f64() * 1000.0
    }

    /// Tells a page; what follows from it goes round.
    fn page(&mut self, id: &str, told: &Value) {
        let said = self.tell_page(id, told);
        self.carry(said);
    }

    fn tell_page(&mut self, id: &str, told: &Value) -> Vec<Said> {
        let what = json!({"op": "tell", "id": id, "now": self.millis(), "told": told});
        let answer = self.cores.ask(&what);
        let mut said = Vec::new();
        for todo in answer["todo"].as_array().unwrap() {
            if todo["do"] == "say" {
                let to: Vec<String> = serde_json::from_value(todo["to"].clone()).unwrap();
                said.extend(addressed(id, &to, todo["text"].as_str().unwrap()));
            }
        }
        said
    }

    /// Lets the box decide, and obeys; gives what it says.
    fn native(&mut self, event: Event) -> Vec<Said> {
        let native = &mut self.native;
        let mut said = Vec::new();
        for action in native.meeting.handle(event, self.now) {
            match action {
                Action::Send(sending) => native.sending = sending,
                Action::SendKey(Some((index, key))) => native.sealer.set_key(index, key),
                Action::SendKey(None) => native.sealer.clear_key(),
                Action::Play(play) => {
                    let mut opener = Opener::new(self.codec, Replay::Window);
                    obey(&mut opener, &play.rules.unwrap());
                    native.openers.insert(play.sid, opener);
                }
                Action::Reopen { sid, rules } => {
                    obey(native.openers.get_mut(&sid).unwrap(), &rules)
                }
                Action::Say { to, text } => said.extend(addressed("box", &to, &text)),
                _ => {}
            }
        }
        said
    }

    fn carry(&mut self, said: Vec<Said>) {
        let mut waiting = std::collections::VecDeque::from(said);
        while let Some((to, from, text)) = waiting.pop_front() {
            let more = match to.as_str() {
                "box" => self.native(Event::Said { from, text }),
                page => self.tell_page(page, &json!({"t": "said", "from": from, "text": text})),
            };
            waiting.extend(more);
        }
    }

    /// What a member lets out of a frame.
    fn seal(&mut self, by: &str, frame: &[u8]) -> Option<Vec<u8>> {
        if by != "box" {
            let what = json!({"op": "seal", "id": by, "now": self.millis(), "pipe": OUT, "mime": self.mime(), "frame": hex::encode(frame)});
            let out = self.cores.ask(&what);
            return out.as_str().map(|text| hex::decode(text).unwrap());
        }
        match self.native.sending {
            Sending::Clear => Some(frame.to_vec()),
            Sending::Sealed => {
                let mut out = vec![0; Sealer::max_sealed_len(self.codec, frame.len())];
                let length = self.native.sealer.seal(frame, &mut out).ok()?;
                self.native.sealed += 1;
                out.truncate(length);
                Some(out)
            }
            _ => None,
        }
    }

    /// What a member plays of a frame that comes as that of `of`.
    fn open(&mut self, by: &str, of: &str, frame: &[u8]) -> Option<Vec<u8>> {
        if by != "box" {
            let what = json!({"op": "open", "id": by, "now": self.millis(), "pipe": pipe(of), "mime": self.mime(), "frame": hex::encode(frame)});
            let out = self.cores.ask(&what);
            return out.as_str().map(|text| hex::decode(text).unwrap());
        }
        let mut frame = frame.to_vec();
        let context = FrameContext {
            gap: false,
            now: self.now,
        };
        let opened: Result<usize, Verdict> = self
            .native
            .openers
            .get_mut(&sid(of))?
            .open(&mut frame, &context);
        frame.truncate(opened.ok()?);
        Some(frame)
    }

    fn mime(&self) -> &'static str {
        match self.codec {
            Codec::Opus => "audio/opus",
            Codec::Vp8 => "video/vp8",
            Codec::H264 => "video/h264",
        }
    }

    /// A quarter of a second: everybody sends `frame`, and what was counted is looked at. Gives what each played of each.
    fn step(&mut self, frame: &[u8]) -> BTreeMap<(&'static str, &'static str), Option<Vec<u8>>> {
        self.now += Duration::from_millis(250);
        let mut played = BTreeMap::new();
        for of in MEMBERS {
            let sent = self.seal(of, frame);
            for by in MEMBERS.into_iter().filter(|by| *by != of) {
                let opened = sent.as_ref().and_then(|sent| self.open(by, of, sent));
                played.insert((of, by), opened);
            }
        }
        let counted: Vec<_> = self
            .native
            .openers
            .iter()
            .map(|(sid, opener)| (sid.clone(), opener.counters()))
            .collect();
        for (sid, counters) in counted {
            let said = self.native(Event::Counted { sid, counters });
            self.carry(said);
        }
        let own = OwnTrack {
            sid: sid("box"),
            source: if self.codec == Codec::Opus {
                Source::Microphone
            } else {
                Source::Camera
            },
            iv: Bytes(self.native.sealer.iv_prefix()),
            next: self.native.sealer.iv_counter().unwrap(),
        };
        let sent = Sent {
            sealed: self.native.sealed,
            clear: 0,
        };
        for event in [
            Event::Publishing {
                tracks: vec![own],
                data: None,
            },
            Event::Sent(sent),
            Event::Tick,
        ] {
            let said = self.native(event);
            self.carry(said);
        }
        for id in ["anna", "bert"] {
            self.page(id, &json!({"t": "tick"}));
        }
        played
    }

    fn view(&mut self, id: &str) -> Value {
        let what = json!({"op": "view", "id": id, "now": self.millis()});
        self.cores.ask(&what)
    }

    fn shields(&mut self) -> [String; 3] {
        MEMBERS.map(|name| match name {
            "box" => {
                let verdict = self.native.meeting.verdict(&BoxState::default(), self.now);
                verdict.shield.word().to_owned()
            }
            page => self.view(page)["shield"].as_str().unwrap().to_owned(),
        })
    }
}

fn addressed(from: &str, to: &[String], text: &str) -> Vec<Said> {
    let others = MEMBERS.into_iter().filter(|name| *name != from);
    others
        .filter(|name| to.is_empty() || to.iter().any(|it| it == name))
        .map(|name| (name.to_owned(), from.to_owned(), text.to_owned()))
        .collect()
}

/// A frame of each codec, with every byte that ciphertext or escapes may trip over.
fn frame(codec: Codec, number: u8) -> Vec<u8> {
    let noise = (0..600_u32).map(|n| [0, 0, 0, 1, 3, 0x80, number, n as u8][n as usize % 8]);
    match codec {
        Codec::Opus => std::iter::once(0x78).chain(noise.take(90)).collect(),
        Codec::Vp8 => [0x50, 1, 0, 0x9D, 1, 0x2A, 64, 0, 48, 0]
            .into_iter()
            .chain(noise)
            .collect(),
        Codec::H264 => {
            let sets =
                "000000016742d00bd9047b016a0c0c0d4a000003000200000300791e244c900000000168cb8cb2";
            let mut frame = hex::decode(sets).unwrap();
            frame.extend([0, 0, 0, 1, 0x65, 0xB8, 0x41]);
            frame.extend((0..500_u32).map(|n| (n % 250) as u8 | 4));
            frame
        }
    }
}

#[test]
fn two_pages_and_a_box_meet_sealed_and_open_what_each_of_them_seals() {
    for codec in [Codec::Opus, Codec::Vp8, Codec::H264] {
        let mut world = World::new(E2ee::On, codec);
        for number in 0..40 {
            world.step(&frame(codec, number));
        }
        assert_eq!(world.shields(), ["sealed"; 3], "{codec:?}");
        let sample = frame(codec, 99);
        for ((of, by), played) in world.step(&sample) {
            assert_eq!(played.as_ref(), Some(&sample), "{codec:?}: {by} of {of}");
        }
        for id in ["anna", "bert"] {
            let view = world.view(id);
            assert_eq!(view["own"][0]["clear"], 0);
            assert!(view["own"][0]["sealed"].as_u64().unwrap() > 20, "{view}");
            for person in view["people"].as_array().unwrap() {
                assert_eq!(person["standing"], "verified", "{view}");
                assert!(
                    person["tracks"][0]["opened"].as_u64().unwrap() > 20,
                    "{view}"
                );
            }
        }
        // What anna sealed does not open as bert's, nor a second time.
        let sealed = world.seal("anna", &sample).unwrap();
        assert_eq!(world.open("box", "bert", &sealed), None);
        assert_eq!(world.open("bert", "box", &sealed), None);
        assert!(world.open("bert", "anna", &sealed).is_some());
        assert_eq!(world.open("bert", "anna", &sealed), None);
    }
}

#[test]
fn a_press_at_the_box_seals_what_pages_send_next_and_they_say_so() {
    let codec = Codec::Vp8;
    let mut world = World::new(E2ee::Off, codec);
    for number in 0..40 {
        world.step(&frame(codec, number));
    }
    assert_eq!(world.shields(), ["open"; 3]);
    let sample = frame(codec, 99);
    assert_eq!(world.seal("anna", &sample).as_ref(), Some(&sample));
    let said = world.native(Event::Press(By::Box));
    world.carry(said);
    let sealed = world.seal("anna", &sample).unwrap();
    assert_ne!(sealed, sample);
    for number in 0..4 {
        world.step(&frame(codec, number));
    }
    assert_eq!(world.shields(), [Shield::Sealed.word(); 3]);
    // A clear frame is not played any more.
    assert_eq!(world.open("bert", "anna", &sample), None);
}
