// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is signed or sent in any other way than the one allowed has no effect.

use std::sync::LazyLock;

use proptest::prelude::*;
use roomseal_policy::{
    Certificate, Chain, E2ee, HostCheck, MeetingKey, MemberNonce, Merged, MessageKind, Refusal,
    Vouch,
};

use crate::forge;
use crate::people::{decide, host, host_of, meeting, room, seed};

/// The seed of `host(1)`, as one byte.
const HOST: u8 = 101;
/// The seed of the meeting key.
const MEETING: u8 = 1;

fn link() -> HostCheck {
    HostCheck::Link(meeting().hash())
}

fn begin(text: &str) -> Result<Chain, Refusal> {
    Chain::begin(text, &room(), &link())
}

/// A root and two presses of one host.
fn chain() -> Chain {
    let mut chain = Chain::start(&host(1), &decide(E2ee::Off, 1));
    chain.press(&host(1), &decide(E2ee::On, 2)).unwrap();
    chain.press(&host(1), &decide(E2ee::Off, 3)).unwrap();
    chain
}

/// A chain of the root alone, whose signed bytes went through `change`, then were signed by the right host.
fn changed_root(change: impl FnOnce(String) -> String) -> Result<Chain, Refusal> {
    let chain = Chain::start(&host(1), &decide(E2ee::Off, 1));
    let payload = change(forge::payload_text(chain.root().text()));
    let policy = forge::jws(forge::POLICY, &payload, HOST);
    begin(&forge::chain(&[host(1).certificate().text()], &[&policy]))
}

#[test]
fn the_forger_of_these_tests_makes_what_the_crate_makes() {
    let chain = Chain::start(&host(1), &decide(E2ee::Off, 1));
    assert_eq!(changed_root(|payload| payload), Ok(chain.clone()));
    let certificate = host(1).certificate().text().to_owned();
    assert_eq!(
        forge::chain(&[&certificate], &[chain.root().text()]),
        chain.message()
    );
    let payload = forge::payload_text(&certificate);
    assert_eq!(
        forge::jws(forge::CERTIFICATE, &payload, MEETING),
        certificate
    );
    assert_eq!(
        forge::sha256(payload.as_bytes()),
        host(1).certificate().hash().to_string()
    );
}

#[test]
fn a_policy_is_written_in_one_way_only() {
    for (from, to, why) in [
        (r#""e2ee":"off""#, r#""e2ee":"OFF""#, Refusal::Content),
        (r#""v":1"#, r#""v":2"#, Refusal::Content),
        (r#""v":1"#, r#""v":1.0"#, Refusal::Content),
        (r#"{"v":1,"#, "{", Refusal::Content),
        (r#""v":1"#, r#""v":1,"v":1"#, Refusal::Content),
        (r#""v":1"#, r#""v":1,"more":1"#, Refusal::Content),
        (r#""v":1"#, r#""v": 1"#, Refusal::NotCanonical),
        (
            r#""e2ee":"off""#,
            r#""e2ee":"\u006fff""#,
            Refusal::NotCanonical,
        ),
        (
            r#""v":1,"room":"board-room""#,
            r#""room":"board-room","v":1"#,
            Refusal::NotCanonical,
        ),
        (
            r#""room":"board-room""#,
            r#""room":"boardroom""#,
            Refusal::OtherRoom,
        ),
        (r#""epoch":1"#, r#""epoch":2"#, Refusal::Order),
        (r#""epoch":1"#, r#""epoch":0"#, Refusal::Order),
        (r#""epoch":1"#, r#""epoch":-1"#, Refusal::Content),
        (r#""epoch":1"#, r#""epoch":1e0"#, Refusal::Content),
        (
            r#""epoch":1"#,
            r#""epoch":9007199254740993"#,
            Refusal::Order,
        ),
        (
            r#""epoch":1"#,
            r#""epoch":18446744073709551617"#,
            Refusal::Content,
        ),
        (r#""prev":[]"#, r#""prev":null"#, Refusal::Content),
        (
            r#""at":1763785201"#,
            r#""at":9007199254740992"#,
            Refusal::Content,
        ),
        (r#""at":1763785201"#, r#""at":"now""#, Refusal::Content),
        (
            r#""nonce":"AQEBAQEBAQEBAQEBAQEBAQ""#,
            r#""nonce":"AQEBAQEBAQEBAQEBAQEBAR""#,
            Refusal::Content,
        ),
        (
            r#""nonce":"AQEBAQEBAQEBAQEBAQEBAQ""#,
            r#""nonce":"AQEBAQEBAQEBAQEBAQEB""#,
            Refusal::Content,
        ),
    ] {
        let changed = changed_root(|payload| {
            assert!(payload.contains(from), "{payload}");
            payload.replacen(from, to, 1)
        });
        assert_eq!(changed, Err(why), "{to}");
    }
    for other in ["null", "[]", "7", "", "{}", "\u{FEFF}{}"] {
        assert_eq!(changed_root(|_| other.into()), Err(Refusal::Content));
    }
    assert_eq!(
        changed_root(|payload| payload + " "),
        Err(Refusal::NotCanonical)
    );
}

#[test]
fn there_is_one_header_for_each_kind() {
    let chain = Chain::start(&host(1), &decide(E2ee::Off, 1));
    let payload = forge::payload_text(chain.root().text());
    let certificate = host(1).certificate().text().to_owned();
    for header in [
        forge::VOUCH,
        forge::CERTIFICATE,
        r#"{"alg":"none"}"#,
        r#"{"alg":"none","typ":"roomseal-policy"}"#,
        r#"{"alg":"HS256","typ":"roomseal-policy"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"typ":"roomseal-policy","alg":"ES256"}"#,
        r#"{"alg":"ES256","typ":"roomseal-policy","kid":"1"}"#,
        r#"{"alg":"ES256", "typ":"roomseal-policy"}"#,
    ] {
        let policy = forge::jws(header, &payload, HOST);
        assert_eq!(
            begin(&forge::chain(&[&certificate], &[&policy])),
            Err(Refusal::Header),
            "{header}"
        );
    }
    let unsigned = chain.root().text().rsplit_once('.').unwrap().0.to_owned() + ".";
    assert_eq!(
        begin(&forge::chain(&[&certificate], &[&unsigned])),
        Err(Refusal::NotJws)
    );
}

#[test]
fn a_signature_of_one_kind_is_none_of_another() {
    // One key in all three roles, which nobody should have, and still nothing can be passed off.
    let payload = forge::payload_text(host(1).certificate().text());
    let own = payload.replace(
        &host(1).certificate().host().to_string(),
        &meeting().public().to_string(),
    );
    let certificate = forge::jws(forge::CERTIFICATE, &own, MEETING);
    assert!(Certificate::verify(&certificate, &room(), &link()).is_ok());
    let root = Chain::start(&host(1), &decide(E2ee::Off, 1));
    let by = forge::sha256(own.as_bytes());
    let policy = forge::payload_text(root.root().text())
        .replace(&host(1).certificate().hash().to_string(), &by);
    assert!(
        begin(&forge::chain(
            &[&certificate],
            &[&forge::jws(forge::POLICY, &policy, MEETING)]
        ))
        .is_ok()
    );

    // The header of a policy over the signature of a vouch for the same bytes.
    let signature = forge::jws(forge::VOUCH, &policy, MEETING);
    let signature = signature.rsplit_once('.').unwrap().1;
    let text = forge::jws(forge::POLICY, &policy, MEETING);
    let passed_off = format!("{}.{signature}", text.rsplit_once('.').unwrap().0);
    assert_eq!(
        begin(&forge::chain(&[&certificate], &[&passed_off])),
        Err(Refusal::Signature)
    );
    let text = forge::jws(forge::POLICY, &own, MEETING);
    assert_eq!(
        Certificate::verify(&text, &room(), &link()),
        Err(Refusal::Header)
    );
}

#[test]
fn only_the_lower_of_the_two_signatures_counts() {
    let chain = chain();
    let alice = host(1);
    let certificate = alice.certificate().text();
    let root = forge::other_s(chain.root().text());
    assert_eq!(
        begin(&forge::chain(&[certificate], &[&root])),
        Err(Refusal::Signature)
    );
    let certificate = forge::other_s(certificate);
    assert_eq!(
        Certificate::verify(&certificate, &room(), &link()),
        Err(Refusal::Signature)
    );
    // It is the other one that verifies: turned twice it is the first again.
    assert_eq!(forge::other_s(&root), chain.root().text());
}

#[test]
fn only_a_host_of_this_meeting_and_room_signs_policies() {
    let root = |host| Chain::start(&host, &decide(E2ee::Off, 1));
    let stranger = MeetingKey::from_seed(&seed(2));
    assert_eq!(
        begin(&root(host_of(&stranger, &room(), 1)).message()),
        Err(Refusal::OtherMeeting)
    );
    let elsewhere = "elsewhere".parse().unwrap();
    assert_eq!(
        begin(&root(host_of(&meeting(), &elsewhere, 1)).message()),
        Err(Refusal::OtherRoom)
    );

    let chain = root(host(1));
    let own = host(1).certificate().text().to_owned();
    let other = host(2).certificate().text().to_owned();
    let policy = chain.root().text();
    assert_eq!(
        begin(&forge::chain(&[], &[policy])),
        Err(Refusal::NoCertificate)
    );
    assert_eq!(
        begin(&forge::chain(&[&other], &[policy])),
        Err(Refusal::NoCertificate)
    );
    // Somebody else's signature under this host's name, and a certificate that a host gave out himself.
    let forged = forge::jws(forge::POLICY, &forge::payload_text(policy), 102);
    assert_eq!(
        begin(&forge::chain(&[&own], &[&forged])),
        Err(Refusal::Signature)
    );
    let self_made = forge::jws(forge::CERTIFICATE, &forge::payload_text(&other), HOST);
    assert_eq!(
        begin(&forge::chain(&[&own, &self_made], &[policy])),
        Err(Refusal::Signature)
    );
}

#[test]
fn the_same_words_for_another_meeting_are_another_policy() {
    // The same host key, room name and decision: only the meeting key differs.
    let stranger = MeetingKey::from_seed(&seed(2));
    let here = Chain::start(&host(1), &decide(E2ee::Off, 1));
    let there = Chain::start(&host_of(&stranger, &room(), 1), &decide(E2ee::Off, 1));
    assert_ne!(here.root().hash(), there.root().hash());
    let spliced = forge::chain(&[host(1).certificate().text()], &[there.root().text()]);
    assert_eq!(begin(&spliced), Err(Refusal::NoCertificate));
}

#[test]
fn an_order_that_does_not_fit_is_refused() {
    let chain = chain();
    let alice = host(1);
    let certificate = alice.certificate().text();
    let texts: Vec<&str> = chain
        .policies()
        .iter()
        .map(|policy| policy.text())
        .collect();
    let hashes: Vec<String> = chain
        .policies()
        .iter()
        .map(|policy| policy.hash().to_string())
        .collect();
    assert_eq!(
        begin(&forge::chain(&[certificate], &[texts[0], texts[2]])),
        Err(Refusal::Gap)
    );
    assert_eq!(
        begin(&forge::chain(
            &[certificate],
            &[texts[0], texts[2], texts[1]]
        )),
        Err(Refusal::Gap)
    );
    assert_eq!(begin(&forge::chain(&[certificate], &[])), Err(Refusal::Gap));
    let second = Chain::start(&host(1), &decide(E2ee::On, 9));
    let two_roots = forge::chain(&[certificate], &[texts[0], second.root().text()]);
    assert_eq!(begin(&two_roots), Err(Refusal::Order));

    let mut both = [hashes[0].as_str(), hashes[1].as_str()];
    both.sort_by_key(|hash| hash.parse::<roomseal_policy::PolicyHash>().unwrap());
    let last = forge::payload_text(texts[2]);
    let prev = format!(r#""prev":["{}"]"#, hashes[1]);
    assert!(last.contains(&prev));
    for (prev_now, epoch, why) in [
        (format!(r#""prev":["{}"]"#, hashes[1]), 3, None),
        (format!(r#""prev":["{}","{}"]"#, both[0], both[1]), 3, None),
        (
            format!(r#""prev":["{}","{}"]"#, both[1], both[0]),
            3,
            Some(Refusal::Order),
        ),
        (
            format!(r#""prev":["{0}","{0}"]"#, hashes[1]),
            3,
            Some(Refusal::Order),
        ),
        (
            format!(r#""prev":["{}"]"#, hashes[0]),
            3,
            Some(Refusal::Order),
        ),
        (
            format!(r#""prev":["{}"]"#, hashes[1]),
            4,
            Some(Refusal::Order),
        ),
        (
            format!(r#""prev":["{}"]"#, hashes[1]),
            2,
            Some(Refusal::Order),
        ),
        (
            format!(r#""prev":["{}"]"#, hashes[1]),
            1,
            Some(Refusal::Order),
        ),
        (
            format!(r#""prev":["{}"]"#, hashes[1]),
            512,
            Some(Refusal::Order),
        ),
        (
            format!(r#""prev":["{}"]"#, hashes[1]),
            511,
            Some(Refusal::Full),
        ),
        (r#""prev":[]"#.into(), 3, Some(Refusal::Order)),
        (
            format!(r#""prev":["{}"]"#, "A".repeat(43)),
            3,
            Some(Refusal::Gap),
        ),
        (
            format!(
                r#""prev":[{}]"#,
                vec![format!("\"{}\"", hashes[1]); 9].join(",")
            ),
            3,
            Some(Refusal::Content),
        ),
    ] {
        let payload = last
            .replace(&prev, &prev_now)
            .replace(r#""epoch":3"#, &format!(r#""epoch":{epoch}"#));
        let policy = forge::jws(forge::POLICY, &payload, HOST);
        let result = begin(&forge::chain(
            &[certificate],
            &[texts[0], texts[1], &policy],
        ));
        assert_eq!(result.err(), why, "{prev_now} {epoch}");
    }
}

#[test]
fn no_byte_of_a_chain_can_be_changed() {
    let chain = chain();
    let text = chain.message();
    assert_eq!(begin(&text), Ok(chain));
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        // Another bit at each place; none of these makes a byte of more than seven bits.
        bytes[at] ^= 1 << (at % 7);
        let changed = String::from_utf8(bytes).unwrap();
        assert!(begin(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn what_does_not_fit_changes_nothing_that_is_held() {
    let mut held = Chain::start(&host(1), &decide(E2ee::Off, 1));
    let mut ahead = held.clone();
    ahead.press(&host(2), &decide(E2ee::On, 2)).unwrap();
    let good = ahead.message();
    let before = held.clone();
    // A good policy and a bad one in one message: neither is taken.
    let bad = forge::payload_text(ahead.head().text()).replace(r#""on""#, r#""off""#);
    let bad = forge::jws(forge::POLICY, &bad, HOST);
    let certificates: Vec<_> = [host(1), host(2)]
        .iter()
        .map(|h| h.certificate().text().to_owned())
        .collect();
    let certificates: Vec<&str> = certificates.iter().map(String::as_str).collect();
    let policies = [ahead.root().text(), ahead.head().text(), bad.as_str()];
    assert_eq!(
        held.merge(&forge::chain(&certificates, &policies)),
        Err(Refusal::Signature)
    );
    assert_eq!(held, before);
    assert_eq!(held.merge(&good), Ok(Merged::Extended));
    assert_eq!(held, ahead);
}

#[test]
fn more_than_an_honest_sender_has_is_refused_before_it_is_read() {
    let certificate = host(1).certificate().text().to_owned();
    let root = Chain::start(&host(1), &decide(E2ee::Off, 1));
    let long = vec![root.root().text(); Chain::MOST_POLICIES + 1];
    assert_eq!(
        begin(&forge::chain(&[&certificate], &long)),
        Err(Refusal::TooLong)
    );
    let many = vec![certificate.as_str(); Chain::MOST_CERTIFICATES + 1];
    assert_eq!(
        begin(&forge::chain(&many, &[root.root().text()])),
        Err(Refusal::TooLong)
    );
    assert_eq!(
        begin(&(root.message() + &" ".repeat(Chain::MOST_TEXT))),
        Err(Refusal::TooLong)
    );
    let padded = "x".repeat(5000);
    assert_eq!(
        begin(&forge::chain(&[&certificate], &[&padded])),
        Err(Refusal::TooLong)
    );
}

#[test]
fn a_vouch_holds_for_one_nonce_and_one_policy() {
    let chain = chain();
    let nonce = MemberNonce::new([5; 16]);
    let head = chain.head().hash();
    let text = Vouch::write(&host(2), &chain, &head, &nonce).unwrap();
    assert_eq!(MessageKind::of(&text), MessageKind::Vouch);
    let vouch = Vouch::verify(&text, &chain, &nonce).unwrap();
    assert_eq!(vouch.policy(), head);
    assert_eq!(vouch.host().name().as_str(), "Host 2");

    assert_eq!(
        Vouch::verify(&text, &chain, &MemberNonce::new([6; 16])),
        Err(Refusal::OtherNonce)
    );
    let other = Chain::start(&host(1), &decide(E2ee::Off, 8));
    assert_eq!(
        Vouch::verify(&text, &other, &nonce),
        Err(Refusal::OtherPolicy)
    );
    assert_eq!(
        Vouch::write(&host(2), &other, &head, &nonce),
        Err(Refusal::OtherPolicy)
    );
    let stranger = host_of(&MeetingKey::from_seed(&seed(2)), &room(), 2);
    assert_eq!(
        Vouch::write(&stranger, &chain, &head, &nonce),
        Err(Refusal::OtherMeeting)
    );
    // Another host's certificate beside it.
    let swapped = text.replace(host(2).certificate().text(), host(1).certificate().text());
    assert_eq!(
        Vouch::verify(&swapped, &chain, &nonce),
        Err(Refusal::NoCertificate)
    );
    let foreign = text.replace(host(2).certificate().text(), stranger.certificate().text());
    assert_eq!(
        Vouch::verify(&foreign, &chain, &nonce),
        Err(Refusal::OtherMeeting)
    );

    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let changed = String::from_utf8(bytes).unwrap();
        assert!(
            Vouch::verify(&changed, &chain, &nonce).is_err(),
            "byte {at}"
        );
    }
}

proptest! {
    #[test]
    fn garbage_never_panics_and_is_never_taken(
        text in any::<String>(),
        at in 0..3000_usize,
        cut in 0..40_usize,
        insert in "[ -~]{0,8}",
    ) {
        static CHAIN: LazyLock<Chain> = LazyLock::new(chain);
        prop_assert!(begin(&text).is_err());
        let chain = &*CHAIN;
        let message = chain.message();
        let at = at % message.len();
        let end = (at + cut).min(message.len());
        let mut changed = message.clone();
        changed.replace_range(at..end, &insert);
        match begin(&changed) {
            // White space between the parts of a message is nobody's word.
            Ok(taken) => prop_assert_eq!(&taken, chain),
            Err(_) => prop_assert_ne!(changed, message),
        }
        let _ = Certificate::verify(&text, &room(), &link());
        let _ = Vouch::verify(&text, chain, &MemberNonce::new([5; 16]));
        let _ = MessageKind::of(&text);
    }
}
