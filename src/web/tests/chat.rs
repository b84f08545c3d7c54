// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people write to each other from page to page, and what a service makes of it.

use roomseal_meeting::chat::{About, Piece};
use roomseal_policy::E2ee;
use roomseal_web::Told;

use crate::meeting::World;

/// Fields with their numbers.
type Of<T> = Vec<(u64, T)>;

/// The fields of a protobuf message that hold bytes, and those that hold a number below 128.
fn fields(mut message: &[u8]) -> (Of<Vec<u8>>, Of<u64>) {
    let number = |rest: &mut &[u8]| {
        let (mut value, mut at) = (0, 0);
        loop {
            let byte = rest[0];
            *rest = &rest[1..];
            value |= u64::from(byte & 0x7f) << at;
            at += 7;
            if byte < 0x80 {
                return value;
            }
        }
    };
    let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
    while !message.is_empty() {
        let tag = number(&mut message);
        let value = number(&mut message);
        if tag & 7 == 0 {
            numbers.push((tag >> 3, value));
        } else {
            let (field, rest) = message.split_at(value as usize);
            bytes.push((tag >> 3, field.to_vec()));
            message = rest;
        }
    }
    (bytes, numbers)
}

/// What the one that a packet names is told of it; `None` where it is for everybody.
pub(crate) fn delivered(from: &str, packet: &[u8]) -> Option<Told> {
    let (outer, _) = fields(packet);
    let [(5, _), (field, inner)] = &outer[..] else {
        return None;
    };
    if *field == 18 {
        return Some(sealed(from, packet));
    }
    let (bytes, numbers) = fields(inner);
    let of = |wanted| bytes.iter().find(|(field, _)| *field == wanted).unwrap();
    let id = String::from_utf8(of(1).1.clone()).unwrap();
    let piece = match field {
        13 => Piece::Begin {
            id,
            about: About::History,
            text: Vec::new(),
        },
        14 => Piece::Part {
            id,
            index: numbers.first().map_or(0, |(_, index)| *index),
            text: of(3).1.clone(),
        },
        _ => Piece::End { id, whole: true },
    };
    Some(Told::Heard {
        from: from.into(),
        piece,
    })
}

/// What a page tells of a sealed packet that came.
fn sealed(from: &str, packet: &[u8]) -> Told {
    let (outer, _) = fields(packet);
    let Some((18, inner)) = outer.last() else {
        panic!("not an encrypted packet: {outer:?}");
    };
    let (bytes, numbers) = fields(inner);
    let of = |wanted| bytes.iter().find(|(field, _)| *field == wanted).unwrap();
    Told::Sealed {
        from: from.into(),
        iv: of(2).1.clone(),
        key_index: numbers.iter().find(|(field, _)| *field == 3).unwrap().1 as u32,
        value: of(4).1.clone(),
    }
}

fn write(line: &str, sealed: bool) -> Told {
    Told::Write {
        line: line.into(),
        sealed,
    }
}

fn clear(text: &str) -> Told {
    Told::Heard {
        from: "host".into(),
        piece: Piece::Line {
            id: text.into(),
            text: text.into(),
        },
    }
}

fn shown(world: &World, at: usize) -> Vec<(&str, &str)> {
    let lines = world.sides[at].lines.iter();
    lines.map(|line| (line.text.as_str(), line.how)).collect()
}

#[test]
fn a_line_leaves_sealed_opens_at_the_other_page_and_never_again() {
    let mut world = World::new(E2ee::On);
    assert_eq!(world.view(0).writes, Some("sealed"));
    world.steps(8);
    assert_eq!(world.tell(0, write("shall we begin?", true)), None);
    assert_eq!(shown(&world, 0), [("shall we begin?", "sealed")]);
    let sent = std::mem::take(&mut world.sides[0].sent);
    assert_eq!(sent.len(), 3);
    for (packet, clear) in &sent {
        assert!(!clear);
        assert!(!packet.windows(5).any(|it| it == b"shall"), "in the clear");
        world.tell(1, sealed("host", packet));
    }
    assert_eq!(shown(&world, 1), [("shall we begin?", "sealed")]);
    assert_eq!(world.sides[1].lines[0].from.as_deref(), Some("host"));
    for (packet, _) in &sent {
        world.tell(1, sealed("host", packet));
    }
    assert_eq!(world.sides[1].lines.len(), 1, "played again by the service");

    // Passed off as somebody else's, or with a bit turned over.
    world.tell(0, write("yes", true));
    let (packet, _) = world.sides[0].sent[0].clone();
    world.tell(1, sealed("somebody", &packet));
    let mut altered = packet;
    *altered.last_mut().unwrap() ^= 1;
    world.tell(1, sealed("host", &altered));
    let shown = &shown(&world, 1)[1..];
    assert_eq!(shown.len(), 2);
    assert!(shown.iter().all(|(_, how)| *how == "refused"), "{shown:?}");
}

#[test]
fn clear_lines_are_refused_and_shown_as_refused_while_encryption_is_on_or_nobody_knows() {
    let mut world = World::new(E2ee::On);
    world.steps(8);
    world.tell(1, clear("believe me"));
    let [(text, "refused")] = &shown(&world, 1)[..] else {
        panic!("{:?}", shown(&world, 1));
    };
    assert!(
        text.contains("not sealed") && !text.contains("believe"),
        "{text}"
    );
    world.tell(1, Told::Left);
    assert_eq!(world.view(1).writes, None);
    world.tell(1, clear("believe me"));
    assert_eq!(world.sides[1].lines[1].how, "refused");
    let refused = world.tell(1, write("is anybody there?", false));
    assert!(refused.unwrap().contains("nothing leaves"));
    assert!(world.sides[1].sent.is_empty());
}

#[test]
fn a_line_that_was_written_to_leave_sealed_never_leaves_clear() {
    let mut world = World::new(E2ee::Off);
    world.steps(40);
    assert_eq!(world.view(0).writes, Some("clear"));
    let refused = world.tell(0, write("for us alone", true));
    assert!(refused.unwrap().contains("gone off"));
    assert!(world.sides[0].sent.is_empty() && world.sides[0].lines.is_empty());
    assert_eq!(world.tell(0, write("good morning", false)), None);
    assert!(world.sides[0].sent.iter().all(|(_, clear)| *clear));
    world.tell(1, clear("good morning"));
    assert_eq!(shown(&world, 1), [("good morning", "clear")]);

    // The press is in force for lines as it is for frames.
    world.tell(0, Told::Press);
    world.steps(8);
    let sent = world.sides[0].sent.len();
    assert_eq!(world.tell(0, write("for us alone", false)), None);
    assert!(world.sides[0].sent[sent..].iter().all(|(_, clear)| !clear));
    let long = "x".repeat(17_000);
    let refused = world.tell(0, write(&long, true));
    assert!(refused.unwrap().contains("at most"));
}

#[test]
fn a_page_that_is_loaded_anew_is_told_the_earlier_lines_by_name_of_who_tells() {
    let mut world = World::new(E2ee::On);
    world.steps(8);
    world.tell(0, write("shall we begin?", true));
    world.tell(1, write("yes", true));
    for (at, from, to) in [(0, "host", 1), (1, "guest", 0)] {
        for (packet, _) in std::mem::take(&mut world.sides[at].sent) {
            world.tell(to, sealed(from, &packet));
        }
    }
    world.reload(3);
    world.steps(20);
    assert_eq!(
        shown(&world, 1),
        [("shall we begin?", "sealed"), ("yes", "sealed")]
    );
    for line in &world.sides[1].lines {
        let told = line.told.as_ref().unwrap();
        assert_eq!(told.by, "host");
        assert!(told.ago <= 8, "{told:?}");
    }
    assert_eq!(world.sides[0].lines.len(), 2, "{:?}", world.sides[0].lines);
    world.steps(60);
    assert_eq!(world.sides[1].lines.len(), 2, "told again");
}

#[test]
fn what_was_sealed_is_not_told_in_a_clear_stretch() {
    let mut world = World::new(E2ee::On);
    world.steps(8);
    world.tell(0, write("for us alone", true));
    world.tell(0, Told::Press);
    world.tell(0, Told::Hold);
    world.steps(40);
    assert_eq!(world.view(0).writes, Some("clear"));
    world.tell(0, write("good morning", false));
    world.reload(3);
    world.steps(40);
    assert_eq!(shown(&world, 1), [("good morning", "clear")]);
    // With encryption on again all may be told, and is asked for.
    world.tell(0, Told::Press);
    world.steps(40);
    assert_eq!(
        shown(&world, 1),
        [("good morning", "clear"), ("for us alone", "sealed")]
    );
}
