// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links as they are written, read, and damaged on the way.

use proptest::prelude::*;
use roomseal_policy::{
    Chain, E2ee, Field, HostGrant, KeySeed, Link, LinkError, LinkSecret, MeetingKey, Origin,
    OriginError, PublicKey, Refusal, RoomCode, RoomName, RoomNameError, SecretSource,
    ServiceCertificateHash,
};
use zeroize::Zeroizing;

use crate::people::{decide, host, host_of, meeting, room, seed};

const SECRET: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";

fn secret() -> SecretSource {
    SecretSource::Link(LinkSecret::new(Zeroizing::new([7; 32])))
}

fn guest(secret: SecretSource) -> Link {
    let origin = "https://meet.example.org".parse().unwrap();
    Link::guest(origin, room(), secret, meeting().hash(), E2ee::On)
}

fn host_link() -> Link {
    let grant = HostGrant::new(seed(101), host(1).certificate().clone()).unwrap();
    guest(secret()).for_host(grant).unwrap()
}

fn hash() -> String {
    meeting().hash().to_string()
}

fn refused(text: &str) -> LinkError {
    Link::parse(text).expect_err(text)
}

#[test]
fn a_guest_link_says_what_it_has_to() {
    let text = guest(secret()).expose();
    let expected = format!(
        "https://meet.example.org/j/board-room#k={SECRET}&h={}&m=on",
        hash()
    );
    assert_eq!(*text, expected);
    let link = Link::parse(&format!(" {expected}\n")).unwrap();
    assert_eq!(link.room(), &room());
    assert_eq!(link.announced(), E2ee::On);
    assert!(link.host_check().is_checked());
    assert!(link.host().is_none());
    assert!(matches!(link.secret(), SecretSource::Link(secret) if secret.expose() == &[7; 32]));
}

#[test]
fn the_service_sees_host_and_room_and_nothing_more() {
    assert_eq!(
        host_link().address(),
        "https://meet.example.org/j/board-room"
    );
}

#[test]
fn a_host_link_makes_a_host_and_a_guest_link_from_it_does_not() {
    let link = Link::parse(&host_link().expose()).unwrap();
    let host = link.host().unwrap().host();
    assert_eq!(host.certificate().name().as_str(), "Host 1");
    let passed_on = Link::parse(&link.for_guests().expose()).unwrap();
    assert!(passed_on.host().is_none());
    assert!(!passed_on.expose().contains("&s="));
}

#[test]
fn a_policy_signed_in_advance_travels_with_the_link_to_everybody() {
    let root = Chain::start(&host(2), &decide(E2ee::On, 3));
    let link = host_link().with_root(root.clone()).unwrap();
    let text = link.expose();
    assert!(text.len() < Link::MOST_TEXT / 2, "{}", text.len());
    for link in [link.clone(), link.for_guests()] {
        let read = Link::parse(&link.expose()).unwrap();
        assert_eq!(read.root(), Some(&root));
    }
    // Who joins without being asked for E2EE by the link is not told so by a policy in it.
    let off = Chain::start(&host(2), &decide(E2ee::Off, 3));
    assert_eq!(host_link().with_root(off).unwrap_err(), Refusal::Order);
    let by = host(2).certificate().text().to_owned();
    assert_eq!(
        refused(&text.replace(&format!("&b={by}"), "")),
        LinkError::Missing(Field::B)
    );
    let swapped = text.replace(&by, host(1).certificate().text());
    assert_eq!(refused(&swapped), LinkError::Root(Refusal::NoCertificate));
}

#[test]
fn a_grant_of_another_meeting_room_or_key_makes_no_host() {
    let other_room: RoomName = "other".parse().unwrap();
    let elsewhere = host_of(&meeting(), &other_room, 1);
    let grant = HostGrant::new(seed(101), elsewhere.certificate().clone()).unwrap();
    assert_eq!(
        guest(secret()).for_host(grant.clone()).unwrap_err(),
        Refusal::OtherRoom
    );
    let stranger = roomseal_policy::MeetingKey::from_seed(&seed(2));
    let foreign = host_of(&stranger, &room(), 1);
    let foreign = HostGrant::new(seed(101), foreign.certificate().clone()).unwrap();
    assert_eq!(
        guest(secret()).for_host(foreign.clone()).unwrap_err(),
        Refusal::OtherMeeting
    );
    let mine = host(1).certificate().clone();
    assert_eq!(
        HostGrant::new(seed(102), mine).unwrap_err(),
        Refusal::NotThisHost
    );

    // The same, put together by hand.
    let link = host_link().expose();
    let own = host(1).certificate().text().to_owned();
    for (certificate, why) in [
        (grant.certificate().text(), Refusal::OtherRoom),
        (foreign.certificate().text(), Refusal::OtherMeeting),
        (host(2).certificate().text(), Refusal::NotThisHost),
    ] {
        assert_eq!(
            refused(&link.replace(&own, certificate)),
            LinkError::Certificate(why)
        );
    }
}

#[test]
fn what_is_wrong_with_a_link_is_named() {
    let base = "https://meet.example.org/j/board-room";
    let h = hash();
    let k = SECRET;
    for (text, why) in [
        (String::new(), LinkError::Origin(OriginError::Scheme)),
        ("x".repeat(5000), LinkError::TooLong),
        ("https://meet.example.org".into(), LinkError::Path),
        (
            format!("https://meet.example.org/board-room#k={k}&h={h}&m=on"),
            LinkError::Path,
        ),
        (
            "https://meet.example.org/j/".into(),
            LinkError::Room(RoomNameError::Empty),
        ),
        (
            format!("{base}/#h={h}&m=on"),
            LinkError::Room(RoomNameError::Character('/')),
        ),
        (format!("{base}?from=mail#h={h}&m=on"), LinkError::Query),
        (base.into(), LinkError::NoFragment),
        (format!("{base}#"), LinkError::NoFragment),
        (format!("{base}#k={k}&m=on"), LinkError::Missing(Field::H)),
        (format!("{base}#k={k}&h={h}"), LinkError::Missing(Field::M)),
        (
            format!("{base}#k={k}&h={h}&m=On"),
            LinkError::Damaged(Field::M),
        ),
        (
            format!("{base}#k={k}&k={k}&h={h}&m=on"),
            LinkError::Twice(Field::K),
        ),
        (
            format!("{base}#k={k}&h={h}&m=on&m=off"),
            LinkError::Twice(Field::M),
        ),
        (
            format!("{base}#k={k}&p=1&h={h}&m=on"),
            LinkError::TwoSecrets,
        ),
        (
            format!("{base}#p=0&h={h}&m=on"),
            LinkError::Damaged(Field::P),
        ),
        (
            format!("{base}#k={}&h={h}&m=on", &k[1..]),
            LinkError::Damaged(Field::K),
        ),
        (
            format!("{base}#k={k}=&h={h}&m=on"),
            LinkError::Damaged(Field::K),
        ),
        // The last letter holds two bits that stand for nothing.
        (
            format!("{base}#k={}d&h={h}&m=on", &k[..42]),
            LinkError::Damaged(Field::K),
        ),
        (
            format!("{base}#k={k}&h=&m=on"),
            LinkError::Damaged(Field::H),
        ),
        (
            format!("{base}#k={k}&h={h}&m=on&t=AA"),
            LinkError::Damaged(Field::T),
        ),
        (
            format!("{base}#k={k}&h={h}&m=on&s={k}"),
            LinkError::Missing(Field::C),
        ),
        (
            format!("{base}#k={k}&h={h}&m=on&c=x.y.z"),
            LinkError::Missing(Field::S),
        ),
        (
            format!("{base}#k={k}&h={h}&m=on&s={k}&c=x.y.z"),
            LinkError::Certificate(Refusal::Header),
        ),
        (
            format!("{base}#k={k}&h={h}&m=on&s={}&c=x", "_".repeat(42) + "8"),
            LinkError::Damaged(Field::S),
        ),
        (
            format!("{base}#k={k}&h={h}&m=on&z=1"),
            LinkError::Unknown(4),
        ),
        (format!("{base}#{k}"), LinkError::Unknown(1)),
        (format!("{base}#k={k}&h={h}&m=on&"), LinkError::Unknown(4)),
        (format!("{base}#K={k}&h={h}&m=on"), LinkError::Unknown(1)),
        (
            format!("{base}#k={k}&amp;h={h}&m=on"),
            LinkError::Unknown(2),
        ),
    ] {
        assert_eq!(refused(&text), why, "{text}");
    }
}

#[test]
fn no_error_and_no_debug_text_repeats_what_is_secret() {
    let link = host_link();
    let seed = "ZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWU";
    let text = link.expose();
    assert!(text.contains(seed) && text.contains(SECRET));
    let debug = format!(
        "{link:?} {:?} {:?}",
        link.host().unwrap().host(),
        crate::people::seed(101)
    );
    assert!(!debug.contains(seed) && !debug.contains(SECRET) && !debug.contains("[7,"));
    assert!(!debug.contains("[101,"));
    for at in 0..text.len() {
        for damage in ["", "!", "#", "&"] {
            let mut damaged = text.to_string();
            damaged.replace_range(at..=at, damage);
            if let Err(error) = Link::parse(&damaged) {
                let said = format!("{error} {error:?}");
                // Any twelve letters of it would be too many.
                let leaks = |secret: &str| {
                    (0..secret.len() - 12).any(|from| said.contains(&secret[from..][..12]))
                };
                assert!(!leaks(SECRET) && !leaks(seed), "{said}");
            }
        }
    }
}

fn any_secret() -> impl Strategy<Value = SecretSource> {
    prop_oneof![
        any::<[u8; 32]>()
            .prop_map(|bytes| SecretSource::Link(LinkSecret::new(Zeroizing::new(bytes)))),
        Just(SecretSource::Passphrase),
        Just(SecretSource::Service),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        origin in "https?://([a-z0-9]{1,9}(-[a-z0-9]{1,3})?[.]){0,3}[a-z]{2,5}(:[1-9][0-9]{0,3})?",
        room in "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        secret in any_secret(),
        on in any::<bool>(),
        certificate in prop::option::of(any::<[u8; 32]>()),
        is_host in any::<bool>(),
    ) {
        let origin: Origin = origin.parse().unwrap();
        let room: RoomName = room.parse().unwrap();
        let announced = if on { E2ee::On } else { E2ee::Off };
        let mut link = Link::guest(origin, room.clone(), secret, meeting().hash(), announced);
        if let Some(hash) = certificate {
            link = link.with_service_certificate(ServiceCertificateHash::new(hash));
        }
        if is_host {
            let grant = HostGrant::new(seed(101), host_of(&meeting(), &room, 1).certificate().clone()).unwrap();
            link = link.for_host(grant).unwrap();
        }
        let text = link.expose();
        let read = Link::parse(&text).unwrap();
        prop_assert_eq!(&*read.expose(), &*text);
        prop_assert_eq!(read.host().is_some(), is_host);
        prop_assert_eq!(read.announced(), announced);
        prop_assert_eq!(read.service_certificate().map(|hash| *hash.as_bytes()), certificate);
        prop_assert!(text.starts_with(&link.address()) && !link.address().contains('#'));
    }

    #[test]
    fn the_order_of_fields_does_not_matter(turn in 0..6_usize) {
        let text = host_link().expose();
        let (address, fragment) = text.split_once('#').unwrap();
        let mut fields: Vec<_> = fragment.split('&').collect();
        fields.rotate_left(turn % 5);
        let turned = format!("{address}#{}", fields.join("&"));
        prop_assert_eq!(&*Link::parse(&turned).unwrap().expose(), &*text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>(), garbage in "[ -~]{0,60}") {
        let _ = Link::parse(&text);
        let _ = Link::parse(&format!("https://{garbage}"));
        let _ = Link::parse(&format!("https://a/j/b#{garbage}"));
        let _ = text.parse::<RoomCode>();
    }

    #[test]
    fn a_seed_is_a_key_or_refused(bytes in any::<[u8; 32]>()) {
        let low = bytes.iter().any(|byte| *byte != 0) && bytes[..4] != [0xFF; 4];
        prop_assert_eq!(KeySeed::new(Zeroizing::new(bytes)).is_ok(), low);
    }
}

#[test]
fn zero_and_the_order_of_the_group_are_no_keys() {
    // SEC 2, 2.4.2: n.
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let mut seed: [u8; 32] = hex::decode(order).unwrap().try_into().unwrap();
    assert!(KeySeed::new(Zeroizing::new(seed)).is_err());
    seed[31] -= 1;
    assert!(KeySeed::new(Zeroizing::new(seed)).is_ok());
    assert!(KeySeed::new(Zeroizing::new([0; 32])).is_err());
}

#[test]
fn of_every_key_there_is_one_text() {
    let read = |point: &[u8]| {
        let text = crate::forge::base64url(point);
        serde_json::from_value::<PublicKey>(text.into()).is_ok()
    };
    for n in 1..16 {
        let mut point = *MeetingKey::from_seed(&seed(n)).public().as_bytes();
        assert!(read(&point), "seed {n}");
        // SEC 1 writes a point that is known by its x alone with this tag, in as many bytes.
        point[0] = 5;
        assert!(!read(&point), "seed {n}");
    }
}
