// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vectors in `vectors/`, which an implementation of its own (`vectors/make.py`) made.

use roomseal_policy::{
    Certificate, Chain, Check, Decision, E2ee, Host, HostCheck, HostCode, HostKey, KeyModel,
    KeySeed, Link, MeetingKey, MeetingKeyHash, MemberNonce, Merged, PolicyNonce, Refusal, RoomName,
    SecretSource, Vouch,
};
use serde::Deserialize;
use zeroize::Zeroizing;

fn seed(text: &str) -> Result<KeySeed, roomseal_policy::UnusableSeed> {
    let bytes = <base64ct::Base64UrlUnpadded as base64ct::Encoding>::decode_vec(text).unwrap();
    KeySeed::new(Zeroizing::new(bytes.try_into().unwrap()))
}

/// Where all texts of a file are read.
#[derive(Deserialize)]
struct Place {
    room: String,
    h: MeetingKeyHash,
}

impl Place {
    fn room(&self) -> RoomName {
        self.room.parse().unwrap()
    }

    fn check(&self) -> HostCheck {
        HostCheck::Link(self.h)
    }
}

/// The name of a refusal, as the files have it.
fn named(refusal: Refusal) -> String {
    format!("{refusal:?}")
}

#[test]
fn keys_and_codes_are_those_of_the_vectors() {
    #[derive(Deserialize)]
    struct File {
        keys: Vec<Key>,
        refused: Vec<String>,
        codes: Vec<Code>,
    }
    #[derive(Deserialize)]
    struct Key {
        seed: String,
        point: String,
        h: MeetingKeyHash,
    }
    #[derive(Deserialize)]
    struct Code {
        room: String,
        h: MeetingKeyHash,
        code: String,
    }
    let file: File = serde_json::from_str(include_str!("vectors/keys.json")).unwrap();
    assert!(file.keys.len() >= 6 && file.refused.len() >= 4 && file.codes.len() >= 3);
    for key in file.keys {
        let meeting = MeetingKey::from_seed(&seed(&key.seed).unwrap());
        assert_eq!(meeting.public().to_string(), key.point);
        assert_eq!(meeting.hash(), key.h);
    }
    for refused in file.refused {
        assert!(seed(&refused).is_err(), "{refused}");
    }
    for code in file.codes {
        assert_eq!(
            HostCode::new(&code.room.parse().unwrap(), &code.h).to_string(),
            code.code
        );
    }
}

#[test]
fn links_are_read_and_refused_as_in_the_vectors() {
    #[derive(Deserialize)]
    struct File {
        links: Vec<Good>,
        refused: Vec<Bad>,
    }
    #[derive(Deserialize)]
    struct Good {
        what: String,
        link: String,
        written: String,
        address: String,
        secret: String,
        announced: E2ee,
        host: Option<String>,
    }
    #[derive(Deserialize)]
    struct Bad {
        what: String,
        link: String,
    }
    let file: File = serde_json::from_str(include_str!("vectors/links.json")).unwrap();
    assert!(file.links.len() >= 8 && file.refused.len() >= 20);
    for good in file.links {
        let link = Link::parse(&good.link).unwrap();
        assert_eq!(*link.expose(), good.written, "{}", good.what);
        assert_eq!(link.address(), good.address);
        assert_eq!(link.announced(), good.announced);
        let secret = match link.secret() {
            SecretSource::Link(secret) => crate::forge::base64url(secret.expose()),
            SecretSource::Passphrase => "passphrase".into(),
            SecretSource::Service => "service".into(),
        };
        assert_eq!(secret, good.secret);
        let host = link
            .host()
            .map(|grant| grant.certificate().name().to_string());
        assert_eq!(host, good.host);
    }
    for bad in file.refused {
        assert!(Link::parse(&bad.link).is_err(), "{}", bad.what);
    }
}

#[test]
fn certificates_are_made_byte_for_byte_and_refused_as_in_the_vectors() {
    #[derive(Deserialize)]
    struct File {
        #[serde(flatten)]
        place: Place,
        certificates: Vec<Good>,
        refused: Vec<Bad>,
    }
    #[derive(Deserialize)]
    struct Good {
        meeting_seed: String,
        host_seed: String,
        name: String,
        text: String,
        hash: String,
    }
    #[derive(Deserialize)]
    struct Bad {
        what: String,
        text: String,
    }
    let file: File = serde_json::from_str(include_str!("vectors/certificates.json")).unwrap();
    let (room, check) = (file.place.room(), file.place.check());
    assert!(file.certificates.len() >= 2 && file.refused.len() >= 13);
    for good in file.certificates {
        let meeting = MeetingKey::from_seed(&seed(&good.meeting_seed).unwrap());
        let host = HostKey::from_seed(&seed(&good.host_seed).unwrap());
        let made = Certificate::issue(&meeting, &room, host.public(), &good.name.parse().unwrap());
        assert_eq!(made.text(), good.text);
        assert_eq!(made.hash().to_string(), good.hash);
        assert_eq!(Certificate::verify(&good.text, &room, &check), Ok(made));
    }
    for bad in file.refused {
        assert!(
            Certificate::verify(&bad.text, &room, &check).is_err(),
            "{}",
            bad.what
        );
    }
}

#[derive(Deserialize)]
struct Chains {
    #[serde(flatten)]
    place: Place,
    policies: Vec<PolicyVector>,
    merges: Vec<Merges>,
    refused: Vec<RefusedChain>,
}

#[derive(Deserialize)]
struct PolicyVector {
    host_seed: String,
    certificate: String,
    text: String,
    hash: String,
    e2ee: E2ee,
    key: KeyModel,
    nonce: PolicyNonce,
    check: Check,
    prev: Vec<String>,
    at: u64,
}

#[derive(Deserialize)]
struct Merges {
    what: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    message: String,
    answer: String,
    head: String,
    epoch: u64,
    e2ee: E2ee,
    known: usize,
}

#[derive(Deserialize)]
struct RefusedChain {
    what: String,
    answer: String,
    message: String,
}

fn chains() -> Chains {
    serde_json::from_str(include_str!("vectors/chains.json")).unwrap()
}

#[test]
fn policies_are_made_byte_for_byte_as_in_the_vectors() {
    let file = chains();
    let (room, check) = (file.place.room(), file.place.check());
    let (mut roots, mut followers) = (0, 0);
    for vector in file.policies.iter().filter(|vector| vector.prev.is_empty()) {
        roots += 1;
        let certificate = Certificate::verify(&vector.certificate, &room, &check).unwrap();
        let host = Host::new(
            HostKey::from_seed(&seed(&vector.host_seed).unwrap()),
            certificate,
        )
        .unwrap();
        let chain = Chain::start(&host, &decision(vector));
        assert_eq!(chain.root().text(), vector.text);
        assert_eq!(chain.root().hash().to_string(), vector.hash);
        for next in file
            .policies
            .iter()
            .filter(|next| next.prev == [vector.hash.as_str()])
        {
            let certificate = Certificate::verify(&next.certificate, &room, &check).unwrap();
            let host = Host::new(
                HostKey::from_seed(&seed(&next.host_seed).unwrap()),
                certificate,
            )
            .unwrap();
            let mut chain = chain.clone();
            chain.press(&host, &decision(next)).unwrap();
            assert_eq!(chain.head().text(), next.text);
            assert_eq!(chain.head().hash().to_string(), next.hash);
            followers += 1;
        }
    }
    assert_eq!((roots, followers), (1, 2));
}

fn decision(vector: &PolicyVector) -> Decision {
    Decision {
        e2ee: vector.e2ee,
        key: vector.key,
        nonce: vector.nonce,
        check: vector.check,
        at: vector.at,
    }
}

#[test]
fn chains_come_together_as_in_the_vectors() {
    let file = chains();
    let (room, check) = (file.place.room(), file.place.check());
    assert!(file.merges.len() >= 8);
    for Merges { what, steps } in file.merges {
        let mut chain: Option<Chain> = None;
        for (number, step) in steps.iter().enumerate() {
            let answer = match &mut chain {
                None => {
                    chain = Some(Chain::begin(&step.message, &room, &check).unwrap());
                    "Begun".into()
                }
                Some(chain) => match chain.merge(&step.message) {
                    Ok(Merged::Other(_)) => "Other".into(),
                    Ok(merged) => format!("{merged:?}"),
                    Err(refusal) => named(refusal),
                },
            };
            let chain = chain.as_ref().unwrap();
            assert_eq!(answer, step.answer, "{what}, step {number}");
            assert_eq!(
                chain.head().hash().to_string(),
                step.head,
                "{what}, step {number}"
            );
            assert_eq!(chain.head().epoch().value(), step.epoch);
            assert_eq!(chain.head().e2ee(), step.e2ee);
            assert_eq!(chain.policies().len(), step.known, "{what}, step {number}");
        }
    }
}

#[test]
fn chains_are_refused_as_in_the_vectors() {
    let file = chains();
    assert!(file.refused.len() >= 25);
    for RefusedChain {
        what,
        answer,
        message,
    } in file.refused
    {
        let refusal =
            Chain::begin(&message, &file.place.room(), &file.place.check()).expect_err(&what);
        assert_eq!(named(refusal), answer, "{what}");
    }
}

#[test]
fn vouches_are_made_and_refused_as_in_the_vectors() {
    #[derive(Deserialize)]
    struct File {
        #[serde(flatten)]
        place: Place,
        chain: String,
        nonce: MemberNonce,
        vouches: Vec<Good>,
        refused: Vec<RefusedChain>,
    }
    #[derive(Deserialize)]
    struct Good {
        host_seed: String,
        message: String,
        policy: String,
    }
    let file: File = serde_json::from_str(include_str!("vectors/vouches.json")).unwrap();
    let chain = Chain::begin(&file.chain, &file.place.room(), &file.place.check()).unwrap();
    assert!(file.vouches.len() >= 2 && file.refused.len() >= 5);
    for good in file.vouches {
        let vouch = Vouch::verify(&good.message, &chain, &file.nonce).unwrap();
        assert_eq!(vouch.policy().to_string(), good.policy);
        let key = HostKey::from_seed(&seed(&good.host_seed).unwrap());
        let host = Host::new(key, vouch.host().clone()).unwrap();
        let made = Vouch::write(&host, &chain, &vouch.policy(), &file.nonce);
        assert_eq!(made.as_deref(), Ok(good.message.as_str()));
    }
    for RefusedChain {
        what,
        answer,
        message,
    } in file.refused
    {
        let refusal = Vouch::verify(&message, &chain, &file.nonce).expect_err(&what);
        assert_eq!(named(refusal), answer, "{what}");
    }
}
