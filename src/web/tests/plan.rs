// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings that are made in the organiser's browser.

use roomseal_e2ee::envelope::{DeviceKey, open};
use roomseal_policy::{
    Chain, E2ee, HostCheck, HostKey, KeySeed, Link, SecretSource, ServiceCertificateHash, key_words,
};
use roomseal_web::{Guest, Wish, plan, words};
use serde_json::json;
use zeroize::Zeroizing;

fn wish(sealed: bool) -> Wish {
    Wish {
        origin: "https://meet.example.org".into(),
        host: "Hanna".into(),
        sealed,
        rooms: Vec::new(),
        certificate: None,
    }
}

/// The key of a box, and the box as the hub names it.
fn device(fill: u8) -> (DeviceKey, Guest) {
    let seed = KeySeed::new(Zeroizing::new([fill; 32])).unwrap();
    let public = HostKey::from_seed(&seed).public().to_string();
    let guest = json!({ "device": format!("box-{fill}"), "key": public });
    let key = DeviceKey::from_seed(seed.expose()).unwrap();
    (key, serde_json::from_value(guest).unwrap())
}

#[test]
fn a_planned_meeting_has_two_links_that_fit_and_a_policy_that_the_service_can_check() {
    let planned = plan(&wish(true), [7; 32], 1_795_320_000).unwrap();
    let host = Link::parse(&planned.host).unwrap();
    let guest = Link::parse(&planned.guest).unwrap();
    for link in [&host, &guest] {
        assert_eq!(link.room().as_str(), planned.room);
        assert_eq!(link.announced(), E2ee::On);
        assert_eq!(
            link.host_check(),
            HostCheck::Link(planned.meeting_key.parse().unwrap())
        );
        assert!(link.root().is_some());
    }
    assert!(guest.host().is_none());
    assert_eq!(host.host().unwrap().certificate().name().as_str(), "Hanna");
    assert_eq!(host.for_guests().expose(), guest.expose());

    let policy = planned.policy.unwrap();
    let chain = Chain::begin(&policy, guest.room(), &guest.host_check()).unwrap();
    assert_eq!(chain.head().e2ee(), E2ee::On);
    let SecretSource::Link(secret) = guest.secret() else {
        panic!("the secret is in the link");
    };
    let check = roomseal_e2ee::Secret::new(*secret.expose());
    let nonce = chain.head().nonce();
    assert_eq!(
        chain.head().check().as_bytes(),
        &check.check_value(nonce.as_bytes())
    );

    // As large as the link makes it, and all of it drawn.
    let code = planned.code.unwrap();
    assert!((100..180).contains(&code.size), "{}", code.size);
    assert!(
        code.path.starts_with("M4 4h1v1h-1z"),
        "a finder in the corner, after the margin"
    );
}

#[test]
fn the_links_name_the_certificate_that_the_service_made_and_no_other() {
    let mut asked = wish(true);
    let plain = plan(&asked, [7; 32], 0).unwrap();
    let (key, device) = device(1);
    asked.rooms = vec![device];
    let hash = ServiceCertificateHash::new([9; 32]);
    asked.certificate = Some(hash);
    let planned = plan(&asked, [7; 32], 0).unwrap();
    let opened = open(&key, &planned.room, &planned.rooms[0].sealed).unwrap();
    for link in [&planned.host, &planned.guest, &opened] {
        assert_eq!(Link::parse(link).unwrap().service_certificate(), Some(hash));
    }
    // Nothing else is another for it, and it still fits into a code.
    assert_eq!(planned.policy, plain.policy);
    assert!(planned.code.unwrap().size > plain.code.unwrap().size);
    assert_eq!(
        Link::parse(&plain.guest).unwrap().service_certificate(),
        None
    );
}

#[test]
fn no_two_meetings_have_anything_in_common() {
    let [one, other] = [7, 8].map(|fill| plan(&wish(false), [fill; 32], 0).unwrap());
    assert_ne!(one.room, other.room);
    assert_ne!(one.meeting_key, other.meeting_key);
    let secret = |link: &str| match Link::parse(link).unwrap().secret() {
        SecretSource::Link(secret) => *secret.expose(),
        _ => panic!("the secret is in the link"),
    };
    assert_ne!(secret(&one.guest), secret(&other.guest));
    assert!(one.policy.is_none(), "nobody has said that it is on");
}

#[test]
fn a_name_or_an_address_that_no_link_can_have_is_refused_with_what_to_do() {
    let mut nameless = wish(true);
    nameless.host = " ".into();
    let mut elsewhere = wish(true);
    elsewhere.origin = "null".into();
    for (wish, about) in [(nameless, "your name"), (elsewhere, "address of this page")] {
        let error = plan(&wish, [7; 32], 0).err().unwrap().to_string();
        assert!(error.contains(about), "{error}");
    }
}

#[test]
fn a_booked_box_and_no_other_opens_the_link_of_the_host() {
    let (first, one) = device(1);
    let (second, two) = device(2);
    let mut asked = wish(true);
    asked.rooms = vec![one, two];
    let planned = plan(&asked, [7; 32], 1_795_320_000).unwrap();
    let devices: Vec<_> = planned.rooms.iter().map(|it| it.device.as_str()).collect();
    assert_eq!(devices, ["box-1", "box-2"]);
    for (key, mine, other) in [(&first, 0, 1), (&second, 1, 0)] {
        let opened = open(key, &planned.room, &planned.rooms[mine].sealed).unwrap();
        assert_eq!(opened, planned.host);
        assert!(open(key, &planned.room, &planned.rooms[other].sealed).is_err());
    }
    // What is sealed is all that is new: the meeting is the one that it would be without rooms.
    let alone = plan(&wish(true), [7; 32], 1_795_320_000).unwrap();
    assert_eq!(alone.host, planned.host);
    assert!(alone.rooms.is_empty());
}

#[test]
fn the_words_of_a_key_are_those_that_the_box_shows_and_what_is_no_key_has_none() {
    let (key, guest) = device(1);
    assert_eq!(words(&guest.key), key_words(key.public().as_bytes()));
    for text in ["", "AAAA", &"A".repeat(44)] {
        let read = serde_json::from_value::<Guest>(json!({ "device": "box", "key": text }));
        assert!(read.is_err(), "{text}");
    }
}
