// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines of chat for those who come late, and what a service or a member can make of it.

use std::time::Duration;

use roomseal_e2ee::data::{DataSealer, EncryptedData};
use roomseal_e2ee::{FrameKey, IvSource, KeyIndex, KeyRing, RawKey, Verdict};
use roomseal_meeting::chat::{About, Chat, Heard, LONGEST_LINE, Origin, Piece, Say, Told};
use roomseal_meeting::{Opening, Rules, Sending};
use serde_json::json;

/// What leaves: clear, or sealed.
#[derive(Clone)]
enum Packet {
    Clear(Piece),
    Sealed(EncryptedData, Piece),
}

struct Member {
    name: &'static str,
    chat: Chat,
    key: (KeyIndex, FrameKey),
    lines: u32,
    told: Vec<(String, Told)>,
}

impl Member {
    fn new(name: &'static str, fill: u8) -> Self {
        Self {
            name,
            chat: Chat::new(DataSealer::new(IvSource::new([fill; 12]))),
            key: key(fill),
            lines: 0,
            told: Vec::new(),
        }
    }

    /// Seals with its key, or leaves clear.
    fn sends(&mut self, sealed: bool) {
        self.chat.send(match sealed {
            true => Sending::Sealed,
            false => Sending::Clear,
        });
        self.chat.send_key(Some(self.key.clone()));
    }

    /// Knows `other` as a member, or only as somebody who is listed.
    fn knows(&mut self, other: &Self, opening: Opening, confirmed: bool) {
        let mut keys = KeyRing::new();
        if confirmed {
            keys.set(other.key.0, other.key.1.clone());
        }
        let rules = Rules {
            opening,
            keys,
            iv_prefix: confirmed.then(|| other.chat.iv_prefix()),
            iv_floor: 0,
            confirmed,
        };
        self.chat.open(other.name.into(), rules);
    }

    fn pack(&mut self, about: About, id: &str, chunks: &[Vec<u8>]) -> Vec<Packet> {
        let id = || id.to_owned();
        let begin = Piece::Begin {
            id: id(),
            about,
            text: Vec::new(),
        };
        let parts = chunks.iter().zip(0..).map(|(text, index)| Piece::Part {
            id: id(),
            index,
            text: text.clone(),
        });
        let end = Piece::End {
            id: id(),
            whole: true,
        };
        let pieces: Vec<Piece> = [begin].into_iter().chain(parts).chain([end]).collect();
        let pieces = pieces.into_iter();
        pieces
            .map(|piece| match self.chat.leave(b"content") {
                Ok(Some(data)) => Packet::Sealed(data, piece),
                Ok(None) => Packet::Clear(piece),
                Err(error) => panic!("{error}"),
            })
            .collect()
    }

    fn writes(&mut self, text: &str, now: u64) -> Vec<Packet> {
        self.lines += 1;
        let id = self.lines.to_string();
        let packets = self.pack(About::Line, &id, &[text.as_bytes().to_vec()]);
        let me = origin(self.name, now);
        self.chat.wrote(me, &id, text);
        packets
    }

    fn says(&mut self, say: &Say) -> Vec<Packet> {
        self.pack(About::History, &say.id, &say.chunks)
    }

    fn hears(&mut self, from: &str, packets: Vec<Packet>, now: u64) -> Option<Heard> {
        let mut heard = None;
        for packet in packets {
            heard = match packet {
                Packet::Clear(piece) => self.chat.hear(origin(from, now), piece),
                Packet::Sealed(data, piece) => {
                    let fields = (
                        &data.iv[..],
                        u8::from(data.key_index).into(),
                        &data.value[..],
                    );
                    self.chat
                        .hear_sealed(origin(from, now), fields, |_| Some(piece))
                }
            };
        }
        if let Some(Heard::Told { by, lines }) = &heard {
            let lines = lines.iter().map(|line| (by.clone(), line.clone()));
            self.told.extend(lines);
        }
        heard
    }

    fn due(&mut self, now: u64) -> Option<Say> {
        self.chat
            .due(Duration::from_secs(now), || Some([now as u8; 16]))
    }

    /// What it was told: by whom, whose, what, and whether it is said to have been sealed.
    fn told(&self) -> Vec<(&str, &str, &str, bool)> {
        let told = self.told.iter();
        told.map(|(by, it)| {
            let line = &it.line;
            (
                by.as_str(),
                line.from.as_str(),
                line.text.as_str(),
                line.sealed,
            )
        })
        .collect()
    }
}

fn key(fill: u8) -> (KeyIndex, FrameKey) {
    let key = FrameKey::from_raw_key(&RawKey::new(vec![fill; 32]));
    (KeyIndex::of_epoch(1), key)
}

fn origin(identity: &str, now: u64) -> Origin<'_> {
    Origin {
        identity,
        called: identity,
        now: Duration::from_secs(now),
    }
}

/// Ann, who knows and is known by Zoe, who has just come; both may write one way.
fn ann_and_zoe(sealed: bool) -> (Member, Member) {
    let (mut ann, mut zoe) = (Member::new("ann", 1), Member::new("zoe", 2));
    let opening = match sealed {
        true => Opening::Required,
        false => Opening::AllowClear,
    };
    ann.sends(sealed);
    zoe.sends(sealed);
    ann.knows(&zoe, opening, true);
    zoe.knows(&ann, opening, true);
    (ann, zoe)
}

/// Zoe's question, once she has known Ann for long enough.
fn asks(zoe: &mut Member, now: u64) -> Say {
    assert_eq!(zoe.due(now), None, "asked before it can have been heard");
    zoe.due(now + 2).expect("somebody can be asked")
}

fn asked(heard: Option<Heard>) -> Say {
    match heard {
        Some(Heard::Asked(say)) => say,
        other => panic!("{other:?}"),
    }
}

/// One question and its answer.
fn catches_up(zoe: &mut Member, ann: &mut Member, now: u64) {
    let ask = asks(zoe, now);
    assert_eq!(ask.to, ann.name);
    let packets = zoe.says(&ask);
    let answer = asked(ann.hears(zoe.name, packets, now + 2));
    assert_eq!(answer.to, zoe.name);
    let packets = ann.says(&answer);
    zoe.hears(ann.name, packets, now + 2);
}

#[test]
fn who_comes_late_is_told_the_earlier_lines_sealed_and_once() {
    let (mut ann, mut zoe) = ann_and_zoe(true);
    let mut ben = Member::new("ben", 3);
    ben.sends(true);
    ann.knows(&ben, Opening::Required, true);
    ann.writes("shall we begin?", 10);
    let packets = ben.writes("yes", 20);
    ann.hears("ben", packets, 20);
    // Zoe has heard this one herself.
    let packets = ann.writes("welcome", 30);
    zoe.hears("ann", packets, 30);

    catches_up(&mut zoe, &mut ann, 30);
    assert_eq!(
        zoe.told(),
        [
            ("ann", "ann", "shall we begin?", true),
            ("ann", "ben", "yes", true)
        ]
    );
    let agos: Vec<u64> = zoe.told.iter().map(|(_, it)| it.ago).collect();
    assert_eq!(agos, [22, 12]);
    // Nothing more is asked, and what is told again is not believed.
    for now in 33..60 {
        assert_eq!(zoe.due(now), None);
    }

    // She hands on what she was told, as what she says.
    let mut carl = Member::new("carl", 4);
    carl.sends(true);
    carl.knows(&zoe, Opening::Required, true);
    zoe.knows(&carl, Opening::Required, true);
    catches_up(&mut carl, &mut zoe, 60);
    assert_eq!(carl.told().len(), 3);
    assert_eq!(carl.told()[1], ("zoe", "ben", "yes", true));
}

#[test]
fn a_line_that_was_sealed_never_leaves_clear_whatever_it_is_said_to_have_been() {
    let (mut ann, mut zoe) = ann_and_zoe(true);
    ann.writes("for us alone", 10);
    // A liar tells Ann that her secret was never sealed.
    let mut liar = Member::new("liar", 3);
    liar.sends(true);
    let mut listener = Member::new("listener", 4);
    listener.sends(true);
    listener.knows(&liar, Opening::Required, true);
    let ask = asks(&mut listener, 10);
    let lie = json!({"t": "told", "v": 1, "nonce": nonce_of(&ask), "lines": [
        {"from": "ann", "called": "Ann", "id": "1", "text": "for us alone", "sealed": false, "ago": 1},
    ]});
    let packets = liar.says(&answer(&ask, &lie));
    assert!(listener.hears("liar", packets, 12).is_some());
    assert_eq!(listener.told(), [("liar", "ann", "for us alone", false)]);

    for teller in [&mut ann, &mut listener] {
        teller.sends(false);
        zoe.chat.restart();
        zoe.sends(false);
        teller.knows(&zoe, Opening::AllowClear, true);
        zoe.knows(teller, Opening::AllowClear, true);
        teller.writes("good morning", 20);
        catches_up(&mut zoe, teller, 20);
        let told = zoe.told();
        let [(_, by, "good morning", false)] = told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(by, teller.name);
        zoe.told.clear();
    }

    // When encryption goes on again she asks again, and is told all.
    let (mut ann, mut zoe) = (ann, zoe);
    ann.sends(true);
    zoe.chat.restart();
    zoe.sends(true);
    ann.knows(&zoe, Opening::Required, true);
    zoe.knows(&ann, Opening::Required, true);
    catches_up(&mut zoe, &mut ann, 40);
    assert_eq!(zoe.told(), [("ann", "ann", "for us alone", true)]);
}

#[test]
fn nobody_is_told_anything_who_is_not_proven_to_be_a_member() {
    // In the clear the service can speak as whoever is listed.
    let (mut ann, mut zoe) = ann_and_zoe(false);
    ann.writes("good morning", 10);
    let ask = asks(&mut zoe, 10);
    let packets = zoe.says(&ask);
    ann.knows(&zoe, Opening::AllowClear, false);
    assert_eq!(ann.hears("zoe", packets.clone(), 12), None);
    assert_eq!(ann.hears("stranger", packets, 12), None);

    // Sealed with a key of another epoch, or of somebody else.
    let (mut ann, mut zoe) = ann_and_zoe(true);
    ann.writes("good morning", 10);
    let ask = asks(&mut zoe, 10);
    zoe.chat.send_key(Some(key(9)));
    let packets = zoe.says(&ask);
    let heard = ann.hears("zoe", packets, 12);
    assert!(matches!(heard, Some(Heard::Refused { .. })), "{heard:?}");
    // In the clear while encryption is on: nobody wrote that, so nothing is said of it either.
    zoe.sends(false);
    let packets = zoe.says(&ask);
    assert_eq!(ann.hears("zoe", packets, 12), None);
}

fn nonce_of(ask: &Say) -> String {
    let ask: serde_json::Value = serde_json::from_slice(&ask.chunks.concat()).unwrap();
    ask["nonce"].as_str().unwrap().to_owned()
}

fn answer(ask: &Say, told: &serde_json::Value) -> Say {
    Say {
        to: "zoe".into(),
        id: ask.id.clone(),
        chunks: vec![told.to_string().into_bytes()],
        sealed: ask.sealed,
    }
}

fn one_line(nonce: &str) -> serde_json::Value {
    json!({"t": "told", "v": 1, "nonce": nonce, "lines": [
        {"from": "ben", "called": "Ben", "id": "7", "text": "pay them", "sealed": true, "ago": 60},
    ]})
}

#[test]
fn only_the_one_who_was_asked_can_answer_and_only_this_question() {
    let (mut ann, mut zoe) = ann_and_zoe(true);
    let mut ben = Member::new("ben", 3);
    ben.sends(true);
    let ask = asks(&mut zoe, 10);
    zoe.knows(&ben, Opening::Required, true);
    let nonce = nonce_of(&ask);

    // Nobody asked Ben.
    let told = one_line(&nonce);
    let packets = ben.says(&answer(&ask, &told));
    assert_eq!(zoe.hears("ben", packets.clone(), 12), None);
    // What Ben sealed is not Ann's, though the service says so.
    let heard = zoe.hears("ann", packets, 12);
    let Some(Heard::Refused { why, .. }) = heard else {
        panic!("{heard:?}");
    };
    assert_eq!(why, Verdict::OtherTrack);
    // The service itself, in the clear.
    let clear: Vec<Packet> = ann
        .says(&answer(&ask, &told))
        .into_iter()
        .map(|packet| match packet {
            Packet::Sealed(_, piece) | Packet::Clear(piece) => Packet::Clear(piece),
        })
        .collect();
    assert_eq!(zoe.hears("ann", clear, 12), None);
    // An answer to another question, such as one of an earlier stay.
    let other = one_line("AAAAAAAAAAAAAAAAAAAAAA");
    let packets = ann.says(&answer(&ask, &other));
    assert_eq!(zoe.hears("ann", packets, 12), None);
    assert_eq!(zoe.told(), []);

    // The true one, and the same played again by the service.
    let packets = ann.says(&answer(&ask, &told));
    zoe.hears("ann", packets.clone(), 12);
    assert_eq!(zoe.told(), [("ann", "ben", "pay them", true)]);
    assert_eq!(zoe.hears("ann", packets, 12), None);
    let packets = ann.says(&answer(&ask, &told));
    assert_eq!(zoe.hears("ann", packets, 12), None);
    assert_eq!(zoe.told().len(), 1);
}

#[test]
fn in_a_clear_stretch_nothing_is_believed_to_have_been_sealed() {
    let (mut ann, mut zoe) = ann_and_zoe(false);
    let ask = asks(&mut zoe, 10);
    let told = one_line(&nonce_of(&ask));
    let packets = ann.says(&answer(&ask, &told));
    assert_eq!(zoe.hears("ann", packets, 12), None);
    assert_eq!(zoe.told(), []);
}

#[test]
fn who_does_not_answer_is_asked_again_and_the_others_after_it() {
    let (_, mut zoe) = ann_and_zoe(true);
    let mut ben = Member::new("ben", 3);
    ben.sends(true);
    ben.knows(&zoe, Opening::Required, true);
    zoe.knows(&ben, Opening::Required, true);
    ben.writes("good morning", 5);
    assert_eq!(zoe.due(10), None);
    let mut asked_whom = Vec::new();
    for now in 11..40 {
        let Some(ask) = zoe.due(now) else { continue };
        asked_whom.push(ask.to.clone());
        // Ann never answers; to Ben the first question was lost.
        if ask.to == "ben" && asked_whom.len() > 2 {
            let packets = zoe.says(&ask);
            let answer = asked(ben.hears("zoe", packets, now));
            let packets = ben.says(&answer);
            zoe.hears("ben", packets, now);
        }
    }
    assert_eq!(asked_whom, ["ann", "ben", "ann", "ben"]);
    assert_eq!(zoe.told(), [("ben", "ben", "good morning", true)]);

    // Where nobody ever answers it ends.
    let (_, mut zoe) = ann_and_zoe(true);
    let asked = (10..200).filter(|now| zoe.due(*now).is_some()).count();
    assert_eq!(asked, 3);
}

#[test]
fn a_member_is_answered_at_most_every_two_seconds() {
    let (mut ann, mut zoe) = ann_and_zoe(true);
    ann.writes("good morning", 5);
    let ask = asks(&mut zoe, 10);
    let mut answers = 0;
    for tenth in 0..50 {
        let packets = zoe.says(&ask);
        let heard = ann.hears("zoe", packets, 12 + tenth / 10);
        answers += usize::from(matches!(heard, Some(Heard::Asked(_))));
    }
    assert_eq!(answers, 3);
}

#[test]
fn what_is_told_is_bounded_and_the_newest_lines_are_in_it() {
    let (mut ann, mut zoe) = ann_and_zoe(true);
    for n in 0..500 {
        ann.writes(&format!("line {n}"), 5);
    }
    catches_up(&mut zoe, &mut ann, 10);
    assert_eq!(zoe.told().len(), 200);
    assert_eq!(zoe.told()[199].2, "line 499");

    let (mut ann, mut zoe) = ann_and_zoe(true);
    for n in 0..20_u8 {
        let text = "\u{1}".repeat(LONGEST_LINE / 10) + &n.to_string();
        ann.writes(&text, 5);
    }
    let ask = asks(&mut zoe, 10);
    let packets = zoe.says(&ask);
    let answer = asked(ann.hears("zoe", packets, 12));
    assert!(answer.chunks.concat().len() < 66 * 1024, "as JSON");
    assert!(answer.chunks.iter().all(|chunk| chunk.len() <= 15_000));
    let packets = ann.says(&answer);
    zoe.hears("ann", packets, 12);
    assert_eq!(zoe.told().len(), 6);
    assert!(zoe.told()[5].2.ends_with("\u{1}19"));
}

#[test]
fn nonsense_is_no_answer_and_no_panic_and_leaves_the_question_open_to_nobody_else() {
    let long = "x".repeat(LONGEST_LINE + 1);
    let name = "x".repeat(300);
    let line = |from: &str, text: &str, ago: u64| json!({"from": from, "called": "", "id": "1", "text": text, "sealed": true, "ago": ago});
    let many: Vec<_> = (0..201).map(|n| line("ben", &n.to_string(), 1)).collect();
    for lines in [
        json!("lines"),
        json!([{"from": "ben"}]),
        json!([line("", "hello", 1)]),
        json!([line(&name, "hello", 1)]),
        json!([line("ben", &long, 1)]),
        json!(many),
        json!([{"from": "ben", "called": "", "id": "1", "text": "", "sealed": true, "ago": -1}]),
        json!([{"from": "ben", "called": "", "id": "1", "text": "", "sealed": true, "ago": 1, "x": 1}]),
    ] {
        let (mut ann, mut zoe) = ann_and_zoe(true);
        let ask = asks(&mut zoe, 10);
        let told = json!({"t": "told", "v": 1, "nonce": nonce_of(&ask), "lines": lines});
        let packets = ann.says(&answer(&ask, &told));
        assert_eq!(zoe.hears("ann", packets, 12), None, "{told}");
        assert_eq!(zoe.told(), []);
    }
    // Any time is one that can be shown.
    let (mut ann, mut zoe) = ann_and_zoe(true);
    let ask = asks(&mut zoe, 10);
    let old = json!({"t": "told", "v": 1, "nonce": nonce_of(&ask), "lines": [line("ben", "hello", u64::MAX)]});
    let packets = ann.says(&answer(&ask, &old));
    zoe.hears("ann", packets, 12);
    assert_eq!(zoe.told().len(), 1);
    for text in [
        &b"{"[..],
        b"",
        b"[]",
        b"{\"t\":\"ask\",\"v\":2}",
        &[0xff; 100],
    ] {
        let (mut ann, mut zoe) = ann_and_zoe(true);
        let say = Say {
            to: "ann".into(),
            id: "1".into(),
            chunks: vec![text.to_vec()],
            sealed: true,
        };
        let packets = zoe.says(&say);
        assert_eq!(ann.hears("zoe", packets, 12), None);
    }
}

#[test]
fn lines_of_another_secret_are_told_to_nobody() {
    let (mut ann, mut zoe) = ann_and_zoe(true);
    ann.writes("good morning", 5);
    ann.chat.forget();
    catches_up(&mut zoe, &mut ann, 10);
    assert_eq!(zoe.told(), []);
}

#[test]
fn what_was_made_to_leave_sealed_does_not_leave_clear() {
    let (mut ann, _) = ann_and_zoe(true);
    assert!(matches!(ann.chat.leave_as(b"content", true), Ok(Some(_))));
    ann.sends(false);
    assert!(ann.chat.leave_as(b"content", true).is_err());
    assert!(matches!(ann.chat.leave_as(b"content", false), Ok(None)));
    ann.chat.send(Sending::NothingAlone);
    assert!(ann.chat.leave_as(b"content", false).is_err());
}
