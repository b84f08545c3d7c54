// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host's page and a guest's, and a service that carries what they say.

use std::time::Duration;

use roomseal_policy::{
    Certificate, E2ee, HostGrant, HostKey, KeySeed, Link, LinkSecret, MeetingKey, SecretSource,
};
use roomseal_web::{
    Codec, Core, Kind, Left, Line, Medium, Received, Source, Start, Todo, Told, Track, View, Who,
};

pub(crate) const ROOM: &str = "lobby";
const PICTURES: u32 = 1;
/// A VP8 key frame, as far as its header tells.
const PICTURE: [u8; 40] = {
    let mut frame = [7; 40];
    frame[0] = 0x50;
    frame
};

/// The links of host and guests.
pub(crate) fn links(announced: E2ee) -> (String, String) {
    let seed = |n: u8| KeySeed::new([n; 32].into()).unwrap();
    let meeting = MeetingKey::from_seed(&seed(1));
    let room: roomseal_policy::RoomName = ROOM.parse().unwrap();
    let secret = SecretSource::Link(LinkSecret::new([7; 32].into()));
    let guest = Link::guest(
        "https://meet.example.org".parse().unwrap(),
        room.clone(),
        secret,
        meeting.hash(),
        announced,
    );
    let key = HostKey::from_seed(&seed(2));
    let certificate = Certificate::issue(&meeting, &room, key.public(), &"Hanna".parse().unwrap());
    let grant = HostGrant::new(seed(2), certificate).unwrap();
    let host = guest.clone().for_host(grant).unwrap();
    (host.expose().to_string(), guest.expose().to_string())
}

pub(crate) struct Side {
    pub(crate) name: &'static str,
    core: Core,
    announced: Vec<String>,
    /// Packets with what was written here, and whether they are clear.
    pub(crate) sent: Vec<(Vec<u8>, bool)>,
    /// What the page shows of chat.
    pub(crate) lines: Vec<Line>,
    /// What the service is asked for: certificates and deeds.
    pub(crate) deeds: Vec<(String, String)>,
}

impl Side {
    fn new(name: &'static str, link: &str, seed: u8) -> Self {
        let start = Start {
            link,
            seed: [seed; 32],
            unix: 1_795_320_000,
        };
        Self {
            name,
            core: Core::new(&start).unwrap(),
            announced: Vec::new(),
            sent: Vec::new(),
            lines: Vec::new(),
            deeds: Vec::new(),
        }
    }

    fn sid(&self) -> String {
        format!("TR_{}", self.name)
    }
}

/// Two pages; what one says, the other hears at once.
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) sides: [Side; 2],
}

impl World {
    pub(crate) fn new(announced: E2ee) -> Self {
        let (host, guest) = links(announced);
        let mut world = Self {
            now: Duration::from_secs(100),
            sides: [Side::new("host", &host, 1), Side::new("guest", &guest, 2)],
        };
        for at in [0, 1] {
            let joined = Told::Joined {
                me: world.sides[at].name.into(),
                others: Vec::new(),
                metadata: String::new(),
            };
            world.tell(at, joined);
        }
        for (at, other) in [(0, 1), (1, 0)] {
            let sid = world.sides[at].sid();
            let source = Source::Camera;
            world.tell(
                at,
                Told::Sends {
                    pipe: PICTURES,
                    sid: sid.clone(),
                    source,
                },
            );
            let track = Track {
                sid: sid.clone(),
                source,
                sort: Medium::Picture,
                muted: false,
                sealed: true,
            };
            let who = Who {
                identity: world.sides[at].name.into(),
                name: String::new(),
                kind: Kind::Person,
                present: true,
                removed: false,
                tracks: vec![track],
            };
            world.tell(other, Told::Participants { who: vec![who] });
            // The other's pictures come through a pipe of another number than the own ones leave by.
            let pipe = PICTURES + 1;
            world.tell(other, Told::Receives { pipe, sid });
        }
        world
    }

    /// The guest's page is loaded anew: it comes under the same name, and knows nothing.
    pub(crate) fn reload(&mut self, seed: u8) {
        let (_, guest) = links(E2ee::On);
        self.sides[1] = Side::new("guest", &guest, seed);
        let who = |name: &str, present| Who {
            identity: name.into(),
            name: String::new(),
            kind: Kind::Person,
            present,
            removed: false,
            tracks: Vec::new(),
        };
        for present in [false, true] {
            let who = vec![who("guest", present)];
            self.tell(0, Told::Participants { who });
        }
        let joined = Told::Joined {
            me: "guest".into(),
            others: vec![who("host", true)],
            metadata: String::new(),
        };
        self.tell(1, joined);
    }

    /// Tells one side something; gives why that had no effect.
    pub(crate) fn tell(&mut self, at: usize, told: Told) -> Option<String> {
        let mut waiting = vec![(at, told)];
        let mut refused = None;
        while let Some((at, told)) = waiting.pop() {
            let answer = self.sides[at].core.handle(told, self.now);
            refused = refused.or(answer.refused);
            for todo in answer.todo {
                match todo {
                    Todo::Say { text, .. } => {
                        let from = self.sides[at].name.into();
                        waiting.insert(0, (1 - at, Told::Said { from, text }));
                    }
                    Todo::Announce { text, .. } => self.sides[at].announced.push(text),
                    Todo::Send { packets, clear, .. } => {
                        for packet in packets {
                            match crate::chat::delivered(self.sides[at].name, &packet) {
                                Some(told) => waiting.insert(0, (1 - at, told)),
                                None => self.sides[at].sent.push((packet, clear)),
                            }
                        }
                    }
                    Todo::Line(line) => self.sides[at].lines.push(line),
                    Todo::Deed { certificate, deed } => {
                        self.sides[at].deeds.push((certificate, deed));
                    }
                    _ => {}
                }
            }
        }
        refused
    }

    /// A quarter of a second in which both send a picture; gives what became of that of the first.
    fn step(&mut self) -> (Left, Option<Received>) {
        self.now += Duration::from_millis(250);
        let mut first = None;
        for (at, other) in [(0, 1), (1, 0)] {
            let mut out = Vec::new();
            let left = self.sides[at]
                .core
                .seal(PICTURES, Codec::Vp8, &PICTURE, &mut out);
            let came = match left {
                Left::Dropped => None,
                Left::Clear => Some(PICTURE.to_vec()),
                Left::Sealed(length) => Some(out[..length].to_vec()),
            };
            let now = self.now;
            let received = came.map(|mut frame| {
                let core = &mut self.sides[other].core;
                let received = core.open(PICTURES + 1, Codec::Vp8, &mut frame, now);
                if let Received::Opened(length) = received {
                    assert_eq!(frame[..length], PICTURE);
                }
                received
            });
            first = first.or(Some((left, received)));
        }
        for at in [0, 1] {
            self.tell(at, Told::Tick);
        }
        first.unwrap()
    }

    pub(crate) fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step();
        }
    }

    pub(crate) fn view(&self, at: usize) -> View {
        self.sides[at].core.view(self.now)
    }

    fn shields(&self) -> [&'static str; 2] {
        [self.view(0).shield, self.view(1).shield]
    }
}

#[test]
fn two_pages_meet_sealed_and_count_what_opens() {
    let mut world = World::new(E2ee::On);
    world.steps(40);
    assert_eq!(world.shields(), ["sealed", "sealed"]);
    assert_eq!(
        world.step().1.map(|it| matches!(it, Received::Opened(_))),
        Some(true)
    );
    for at in [0, 1] {
        let view = world.view(at);
        let track = &view.people[0].tracks[0];
        assert_eq!(
            (view.people[0].standing, track.verification),
            ("verified", "verified")
        );
        assert!(track.opened > 20, "{track:?}");
        let own = &view.own[0];
        assert!(own.sealed > 20 && own.clear == 0, "{own:?}");
    }
}

#[test]
fn a_press_seals_the_next_frame_and_a_hold_opens_only_after_the_countdown() {
    let mut world = World::new(E2ee::Off);
    world.steps(40);
    assert_eq!(world.shields(), ["open", "open"]);
    assert_eq!(world.step(), (Left::Clear, Some(Received::Clear)));
    let clear = world.view(0).own[0].clear;

    world.tell(0, Told::Press);
    world.steps(4);
    assert_eq!(world.shields(), ["sealed", "sealed"]);
    assert_eq!(world.view(0).own[0].clear, clear);
    assert!(
        world.sides[1]
            .announced
            .iter()
            .any(|it| it == "Hanna turned encryption on")
    );

    world.tell(0, Told::Press);
    world.tell(0, Told::Hold);
    world.steps(11);
    assert_eq!(world.shields(), ["sealed", "sealed"]);
    assert_eq!(world.view(0).own[0].clear, clear);
    world.steps(4);
    assert_eq!(world.shields(), ["open", "open"]);
}

#[test]
fn a_guest_who_presses_is_told_why_nothing_happens() {
    let mut world = World::new(E2ee::Off);
    world.steps(40);
    world.tell(1, Told::Press);
    let view = world.view(1);
    assert_eq!(view.shield, "denied");
    assert!(view.reasons[0].text.contains("only a host"), "{view:?}");
}

#[test]
fn nothing_leaves_through_a_pipe_that_the_core_was_not_told_of_or_after_leaving() {
    let mut world = World::new(E2ee::Off);
    world.steps(40);
    let mut out = Vec::new();
    let core = &mut world.sides[0].core;
    assert_eq!(core.seal(9, Codec::Vp8, &PICTURE, &mut out), Left::Dropped);
    assert_eq!(
        core.seal(PICTURES, Codec::Vp8, &PICTURE, &mut out),
        Left::Clear
    );
    core.handle(Told::Left, world.now);
    assert_eq!(
        core.seal(PICTURES, Codec::Vp8, &PICTURE, &mut out),
        Left::Dropped
    );
    let mut frame = PICTURE;
    let received = core.open(PICTURES + 1, Codec::Vp8, &mut frame, world.now);
    assert_eq!(received, Received::Dropped);
}

#[test]
fn clear_and_repeated_frames_are_not_played_while_it_is_on_and_the_shield_says_so() {
    let mut world = World::new(E2ee::On);
    world.steps(60);
    let mut out = Vec::new();
    let Left::Sealed(length) = world.sides[0]
        .core
        .seal(PICTURES, Codec::Vp8, &PICTURE, &mut out)
    else {
        panic!("it is on");
    };
    let now = world.now;
    let guest = &mut world.sides[1].core;
    let mut frame = out[..length].to_vec();
    let opened = guest.open(PICTURES + 1, Codec::Vp8, &mut frame, now);
    assert_eq!(opened, Received::Opened(PICTURE.len()));
    let mut again = out[..length].to_vec();
    let again = guest.open(PICTURES + 1, Codec::Vp8, &mut again, now);
    assert_eq!(again, Received::Dropped);
    assert_eq!(world.shields()[1], "sealed");
    for _ in 0..8 {
        world.step();
        let now = world.now;
        let guest = &mut world.sides[1].core;
        let mut clear = PICTURE;
        let received = guest.open(PICTURES + 1, Codec::Vp8, &mut clear, now);
        assert_eq!(received, Received::Dropped);
    }
    world.tell(1, Told::Tick);
    let view = world.view(1);
    assert_eq!(view.shield, "unsealed-peer", "{view:?}");
    assert_eq!(world.shields()[0], "sealed");
}

#[test]
fn a_link_that_is_none_says_what_to_do_and_nothing_of_its_secret() {
    let (_, guest) = links(E2ee::On);
    let start = Start {
        link: &guest.replace("&m=on", "&m=perhaps"),
        seed: [1; 32],
        unix: 0,
    };
    let error = Core::new(&start).unwrap_err().to_string();
    assert!(error.contains("field m"), "{error}");
    assert!(!error.contains("BwcHB"), "{error}");
}

/// What one seals of a picture, as bytes.
fn sealed(core: &mut Core, pipe: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let Left::Sealed(length) = core.seal(pipe, Codec::Vp8, &PICTURE, &mut out) else {
        panic!("it is on");
    };
    out.truncate(length);
    out
}

fn plays(core: &mut Core, pipe: u32, frame: &[u8], now: Duration) -> Received {
    core.open(pipe, Codec::Vp8, &mut frame.to_vec(), now)
}

#[test]
fn frames_of_one_track_do_not_come_out_of_another_of_the_same_sender() {
    let mut world = World::new(E2ee::On);
    let screen = |sid: &str, source| Track {
        sid: sid.into(),
        source,
        sort: Medium::Picture,
        muted: false,
        sealed: true,
    };
    let (pipe, sid) = (5, "TR_screen");
    let source = Source::Screen;
    world.tell(
        0,
        Told::Sends {
            pipe,
            sid: sid.into(),
            source,
        },
    );
    let who = Who {
        identity: "host".into(),
        name: String::new(),
        kind: Kind::Person,
        present: true,
        removed: false,
        tracks: vec![screen("TR_host", Source::Camera), screen(sid, source)],
    };
    world.tell(1, Told::Participants { who: vec![who] });
    world.tell(
        1,
        Told::Receives {
            pipe,
            sid: sid.into(),
        },
    );
    world.steps(40);
    let now = world.now;
    let [host, guest] = &mut world.sides;
    // Both ways: the counters of one are above those of the other, so that only what IVs begin with tells them apart.
    let camera = sealed(&mut host.core, PICTURES);
    let shared = sealed(&mut host.core, pipe);
    let core = &mut guest.core;
    let (place, length) = (PICTURES + 1, PICTURE.len());
    assert_eq!(plays(core, pipe, &camera, now), Received::Dropped);
    assert_eq!(plays(core, place, &shared, now), Received::Dropped);
    assert_eq!(plays(core, pipe, &shared, now), Received::Opened(length));
    assert_eq!(plays(core, place, &camera, now), Received::Opened(length));
}

#[test]
fn frames_from_before_are_not_played_to_who_begins_to_listen_again() {
    let mut world = World::new(E2ee::On);
    world.steps(40);
    let old = sealed(&mut world.sides[0].core, PICTURES);
    // Its sender confirms every ten seconds from which counter on its frames are now.
    world.steps(80);
    let (pipe, sid) = (PICTURES + 1, world.sides[0].sid());
    world.tell(1, Told::Stopped { pipe });
    world.tell(1, Told::Receives { pipe, sid });
    let now = world.now;
    let [host, guest] = &mut world.sides;
    assert_eq!(plays(&mut guest.core, pipe, &old, now), Received::Dropped);
    let new = sealed(&mut host.core, PICTURES);
    let length = PICTURE.len();
    assert_eq!(
        plays(&mut guest.core, pipe, &new, now),
        Received::Opened(length)
    );
}

#[test]
fn after_a_press_clear_frames_come_through_until_the_first_sealed_one_opens() {
    let mut world = World::new(E2ee::Off);
    world.steps(40);
    world.tell(0, Told::Press);
    let now = world.now;
    let [host, guest] = &mut world.sides;
    let pipe = PICTURES + 1;
    assert_eq!(plays(&mut guest.core, pipe, &PICTURE, now), Received::Clear);
    let first = sealed(&mut host.core, PICTURES);
    let length = PICTURE.len();
    assert_eq!(
        plays(&mut guest.core, pipe, &first, now),
        Received::Opened(length)
    );
    assert_eq!(
        plays(&mut guest.core, pipe, &PICTURE, now),
        Received::Dropped
    );
    world.tell(1, Told::Tick);
    let core = &mut world.sides[1].core;
    assert_eq!(plays(core, pipe, &PICTURE, now), Received::Dropped);
}

#[test]
fn what_the_service_made_itself_is_never_played() {
    let mut world = World::new(E2ee::Off);
    world.steps(40);
    let bytes = b"made by the service".to_vec();
    let made = [&PICTURE[..], &bytes].concat();
    let (now, pipe) = (world.now, PICTURES + 1);
    let before = plays(&mut world.sides[1].core, pipe, &made, now);
    assert_eq!(before, Received::Clear);
    world.tell(1, Told::Trailer { bytes });
    let after = plays(&mut world.sides[1].core, pipe, &made, now);
    assert_eq!(after, Received::Dropped);
}

#[test]
fn a_member_whose_passphrase_is_missing_is_asked_for_it_and_a_short_one_is_refused() {
    let (_, guest) = links(E2ee::On);
    let (before, secret) = guest.split_once("#k=").unwrap();
    let (_, after) = secret.split_once('&').unwrap();
    let start = Start {
        link: &format!("{before}#p=1&{after}"),
        seed: [1; 32],
        unix: 0,
    };
    let mut core = Core::new(&start).unwrap();
    let now = Duration::from_secs(1);
    assert_eq!(core.view(now).asks, Some("passphrase"));
    let answer = core.handle(
        Told::Passphrase {
            words: "short".into(),
        },
        now,
    );
    assert!(answer.refused.unwrap().contains("12"));
    assert_eq!(core.view(now).asks, Some("passphrase"));
    let words = "six made words would be better".into();
    assert_eq!(core.handle(Told::Passphrase { words }, now).refused, None);
    assert_eq!(core.view(now).asks, None);
}

#[test]
fn a_clear_frame_that_ends_as_sealed_ones_do_passes_and_a_row_of_them_does_not() {
    let mut world = World::new(E2ee::Off);
    world.steps(40);
    let looks_sealed = [&PICTURE[..], &[0x0C, 3]].concat();
    let (now, pipe) = (world.now, PICTURES + 1);
    let core = &mut world.sides[1].core;
    assert_eq!(plays(core, pipe, &PICTURE, now), Received::Clear);
    assert_eq!(plays(core, pipe, &looks_sealed, now), Received::Clear);
    assert_eq!(plays(core, pipe, &looks_sealed, now), Received::Dropped);
}
