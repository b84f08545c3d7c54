// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever stands in a link, a message or the room's metadata: nothing panics, what is read is written again as it was,
//! and who has no key cannot add a policy.
//!
//! The first byte chooses the reader; the rest is the text.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use roomseal_policy::{
    Certificate, Chain, HostCheck, Link, MeetingPassphrase, MemberNonce, Merged, MessageKind,
    RoomCode, RoomName, Vouch, read_metadata, write_metadata,
};

/// A chain message of the seeds; no other policy of its chain is signed anywhere.
static CHAIN: LazyLock<Chain> = LazyLock::new(|| {
    Chain::begin(MESSAGE, &room(), &HostCheck::FirstUse).expect("the message is a vector")
});
const MESSAGE: &str = include_str!("../seeds/policy_text/chain").split_at(1).1;

fn room() -> RoomName {
    "board-room".parse().expect("it is a room's name")
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, text)) = input.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    match choice % 6 {
        0 => {
            if let Ok(link) = Link::parse(text) {
                let written = link.expose();
                let read = Link::parse(&written).expect("what was written is read");
                assert_eq!(*read.expose(), *written);
                assert!(!link.address().contains('#'));
            }
        }
        1 => {
            if let Ok(chain) = Chain::begin(text, &room(), &HostCheck::FirstUse) {
                let again = Chain::begin(&chain.message(), &room(), &HostCheck::FirstUse);
                assert_eq!(again, Ok(chain));
            }
        }
        2 => {
            let mut chain = CHAIN.clone();
            match chain.merge(text) {
                Ok(Merged::Same | Merged::Behind | Merged::Other(_)) | Err(_) => {
                    assert_eq!(chain, *CHAIN);
                }
                Ok(added) => panic!("a policy that nobody signed: {added:?}"),
            }
        }
        3 => {
            let vouch = Vouch::verify(text, &CHAIN, &MemberNonce::new([0; 16]));
            assert!(vouch.is_err(), "nobody vouched to this nonce");
            let _ = Certificate::verify(text, &room(), &HostCheck::FirstUse);
            let _ = MessageKind::of(text);
        }
        4 => {
            if let Ok(written) = write_metadata(text, &CHAIN) {
                assert_eq!(read_metadata(&written), Some(CHAIN.message()));
            }
        }
        _ => {
            if let Ok(passphrase) = MeetingPassphrase::new(text) {
                assert_eq!(MeetingPassphrase::new(passphrase.expose()), Ok(passphrase));
            }
            if let Ok(code) = text.parse::<RoomCode>() {
                assert_eq!(code.to_string().parse(), Ok(code));
            }
        }
    }
});
