// SPDX-License-Identifier: MIT OR Apache-2.0
//! The room's metadata, first use, and the code that people compare.

use proptest::prelude::*;
use roomseal_policy::{
    Chain, E2ee, HostCheck, HostCode, MeetingKey, Merged, NotOurs, Refusal, read_metadata,
    write_metadata,
};

use crate::people::{decide, host, host_of, meeting, room, seed};

fn chain() -> Chain {
    Chain::start(&host(1), &decide(E2ee::Off, 1))
}

#[test]
fn other_keys_of_the_metadata_stay_as_they_are() {
    let chain = chain();
    let message = chain.message();
    for (existing, expected) in [
        ("", format!(r#"{{"roomseal":{message}}}"#)),
        ("{}", format!(r#"{{"roomseal":{message}}}"#)),
        (
            r#"{ "z": 12345678901234567890.10, "a":{"b" : [1,2]}, "a":null }"#,
            format!(
                r#"{{"z":12345678901234567890.10,"a":{{"b" : [1,2]}},"a":null,"roomseal":{message}}}"#
            ),
        ),
        (
            r#"{"roomseal":"old","layout":"grid"}"#,
            format!(r#"{{"roomseal":{message},"layout":"grid"}}"#),
        ),
    ] {
        let written = write_metadata(existing, &chain).unwrap();
        assert_eq!(written, expected);
        let read = read_metadata(&written).unwrap();
        assert_eq!(
            Chain::begin(&read, &room(), &HostCheck::Link(meeting().hash())),
            Ok(chain.clone())
        );
        // Written again, nothing changes.
        assert_eq!(
            write_metadata(&written, &chain).as_deref(),
            Ok(written.as_str())
        );
    }
}

#[test]
fn metadata_that_is_not_an_object_is_left_alone() {
    let chain = chain();
    for existing in [
        "layout=grid",
        "[]",
        "7",
        "\"x\"",
        "{",
        "{} {}",
        r#"{"roomseal":1,"roomseal":2}"#,
    ] {
        assert_eq!(write_metadata(existing, &chain), Err(NotOurs), "{existing}");
        assert_eq!(read_metadata(existing), None);
    }
    let full = format!(r#"{{"theirs":"{}"}}"#, "x".repeat(Chain::MOST_TEXT - 100));
    assert_eq!(write_metadata(&full, &chain), Err(NotOurs));
    assert_eq!(read_metadata(r#"{"layout":"grid"}"#), None);
    assert_eq!(read_metadata(""), None);
}

#[test]
fn without_a_link_the_first_host_is_pinned() {
    let text = chain().message();
    let mut mine = Chain::begin(&text, &room(), &HostCheck::FirstUse).unwrap();
    let pinned = HostCheck::Pinned(mine.meeting());
    assert!(!pinned.is_checked() && !HostCheck::FirstUse.is_checked());
    let stranger = MeetingKey::from_seed(&seed(2));
    let other = Chain::start(&host_of(&stranger, &room(), 1), &decide(E2ee::Off, 1));
    assert!(Chain::begin(&other.message(), &room(), &HostCheck::FirstUse).is_ok());
    assert_eq!(
        Chain::begin(&other.message(), &room(), &pinned),
        Err(Refusal::OtherMeeting)
    );
    assert_eq!(mine.merge(&other.message()), Err(Refusal::OtherMeeting));
    assert_eq!(mine.merge(&text), Ok(Merged::Same));
}

#[test]
fn hosts_of_two_meetings_make_no_chain_together() {
    let stranger = host_of(&MeetingKey::from_seed(&seed(2)), &room(), 1);
    let chain = chain();
    let both = [host(1).certificate().text(), stranger.certificate().text()].map(String::from);
    let text = crate::forge::chain(&[&both[0], &both[1]], &[chain.root().text()]);
    assert_eq!(
        Chain::begin(&text, &room(), &HostCheck::FirstUse),
        Err(Refusal::OtherMeeting)
    );
}

proptest! {
    #[test]
    fn the_code_has_thirty_digits_and_depends_on_room_and_key(key in any::<[u8; 32]>(), room in "[a-z]{1,8}", bit in 0..256_usize) {
        let hash = roomseal_policy::MeetingKeyHash::new(key);
        let room = room.parse().unwrap();
        let code = HostCode::new(&room, &hash).to_string();
        let groups: Vec<_> = code.split(' ').collect();
        prop_assert_eq!(groups.len(), 6);
        prop_assert!(groups.iter().all(|group| group.len() == 5 && group.bytes().all(|byte| byte.is_ascii_digit())));
        let mut other = key;
        other[bit / 8] ^= 1 << (bit % 8);
        prop_assert_ne!(&code, &HostCode::new(&room, &roomseal_policy::MeetingKeyHash::new(other)).to_string());
        let elsewhere = format!("{room}x").parse().unwrap();
        prop_assert_ne!(&code, &HostCode::new(&elsewhere, &hash).to_string());
    }

    #[test]
    fn any_metadata_is_left_alone_or_kept(existing in any::<String>()) {
        if let Ok(written) = write_metadata(&existing, &chain()) {
            prop_assert!(read_metadata(&written).is_some());
        }
    }
}
