// SPDX-License-Identifier: MIT OR Apache-2.0
//! What hosts ask the service to do: whose word it is, and that it is nothing else.

use roomseal_policy::{Act, Deed, HostCheck, Refusal, Vouch};

use crate::people::{decide, host, host_of, meeting, room, seed};

fn deed() -> Deed {
    Deed {
        act: Act::Remove,
        to: "PA_mallory".into(),
    }
}

#[test]
fn a_deed_is_that_of_the_host_who_signed_it() {
    let check = HostCheck::Link(meeting().hash());
    for number in [1, 2] {
        let host = host(number);
        let certificate = host.certificate().text();
        let (read, by) = Deed::verify(&deed().sign(&host), certificate, &room(), &check).unwrap();
        assert_eq!((read, by.name()), (deed(), host.certificate().name()));
    }
}

#[test]
fn nobody_else_does_a_deed_and_no_other_word_of_a_host_is_one() {
    let check = HostCheck::Link(meeting().hash());
    let verify = |deed: &str, certificate: &str| Deed::verify(deed, certificate, &room(), &check);
    let (one, two) = (host(1), host(2));
    let signed = deed().sign(&one);
    let refused = verify(&signed, two.certificate().text());
    assert_eq!(refused.unwrap_err(), Refusal::NoCertificate);

    let stranger = host_of(
        &roomseal_policy::MeetingKey::from_seed(&seed(2)),
        &room(),
        1,
    );
    let refused = verify(&deed().sign(&stranger), stranger.certificate().text());
    assert_eq!(refused.unwrap_err(), Refusal::OtherMeeting);
    let elsewhere = host_of(&meeting(), &"elsewhere".parse().unwrap(), 1);
    let refused = verify(&deed().sign(&elsewhere), elsewhere.certificate().text());
    assert_eq!(refused.unwrap_err(), Refusal::OtherRoom);

    // Another signature under the same words.
    let (words, _) = signed.rsplit_once('.').unwrap();
    let other = Deed {
        act: Act::Mute,
        ..deed()
    }
    .sign(&one);
    let (_, signature) = other.rsplit_once('.').unwrap();
    let refused = verify(&format!("{words}.{signature}"), one.certificate().text());
    assert_eq!(refused.unwrap_err(), Refusal::Signature);

    let chain = roomseal_policy::Chain::start(&one, &decide(roomseal_policy::E2ee::Off, 1));
    let nonce = roomseal_policy::MemberNonce::new([5; 16]);
    let vouch = Vouch::write(&one, &chain, &chain.head().hash(), &nonce).unwrap();
    let vouch: serde_json::Value = serde_json::from_str(&vouch).unwrap();
    let refused = verify(vouch["vouch"].as_str().unwrap(), one.certificate().text());
    assert_eq!(refused.unwrap_err(), Refusal::Header);

    for to in [String::new(), "x".repeat(129)] {
        let signed = Deed { act: Act::Mute, to }.sign(&one);
        let refused = verify(&signed, one.certificate().text());
        assert_eq!(refused.unwrap_err(), Refusal::Content);
    }
}
