// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lies about what the host decided.

use std::time::{Duration, Instant};

use roomseal_policy::{
    Certificate, Chain, Check, Decision, E2ee, Host, HostKey, KeyModel, KeySeed, MeetingKey,
    PolicyNonce, read_metadata, write_metadata,
};
use roomseal_tests::bare::Bare;
use roomseal_tests::livekit::Server;

use super::service::{Liar, Lies};
use super::{By, Links, never_clear_since};
#[cfg(feature = "full")]
use super::{
    deceived::{Left, wait_for_reason},
    never_clear,
};
use crate::roomseal::{ask, wait_for_shield};
use crate::{SOON, one_at_a_time};

/// The metadata of a room whose policy says off, signed by somebody who made a meeting key of his own.
fn forged(room: &str) -> String {
    let seed = |n: u8| KeySeed::new([n; 32].into()).unwrap();
    let key = HostKey::from_seed(&seed(2));
    let certificate = Certificate::issue(
        &MeetingKey::from_seed(&seed(1)),
        &room.parse().unwrap(),
        key.public(),
        &"Host".parse().unwrap(),
    );
    let decision = Decision {
        e2ee: E2ee::Off,
        key: KeyModel::User,
        nonce: PolicyNonce::new([5; 16]),
        check: Check::new([6; 16]),
        at: 0,
    };
    let chain = Chain::start(&Host::new(key, certificate).unwrap(), &decision);
    write_metadata("", &chain).unwrap()
}

/// A session of the meeting in which encryption is off: what its metadata were, and its id.
fn earlier_session(links: &Links) -> (String, String) {
    let server = Server::on_loopback();
    let began = Instant::now();
    let host = links.host(&server);
    let honest = Liar::before(&server, Lies::default());
    let mut alice = links.alice(By::Box, &honest, &server);
    wait_for_shield(&host, began, "open");
    alice.wait_for_shield("open");
    let deadline = Instant::now() + SOON;
    loop {
        let told = honest.truth(|truth| (truth.metadata.clone(), truth.session.clone()));
        if read_metadata(&told.0).is_some() {
            return told;
        }
        assert!(
            Instant::now() < deadline,
            "the host writes no metadata: {told:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn policies_that_are_stripped_forged_or_of_another_session_take_nobody_out_of_the_seal() {
    rewound(By::Box);
}

#[cfg(feature = "full")]
#[test]
fn policies_that_are_stripped_forged_or_of_another_session_take_no_page_out_of_the_seal() {
    rewound(By::Page);
}

fn rewound(by: By) {
    let _turn = one_at_a_time();
    let links = Links::new("rewound", &["--announce-off"]);
    let (metadata, session) = earlier_session(&links);
    let old = read_metadata(&metadata).unwrap();

    // Alice is told the session of then, and its metadata, in which the host says off.
    let server = Server::on_loopback();
    let began = Instant::now();
    let host = links.host(&server);
    let bob = links.bob(&server);
    let liar = Liar::before(
        &server,
        Lies {
            metadata: Some(metadata.clone()),
            session: Some(session),
            ..Lies::default()
        },
    );
    let mut alice = links.alice(by, &liar, &server);
    for member in [&host, &bob] {
        wait_for_shield(member, began, "open");
    }
    alice.wait_for_shield("open");
    let before = liar.truth(|truth| truth.metadata.clone());
    let off = read_metadata(&before).expect("the host has written it");
    let pressed = Instant::now();
    let (done, said) = ask(&host, &["e2ee", "on"]);
    assert!(done, "{said}");
    for member in [&host, &bob] {
        wait_for_shield(member, pressed, "sealed");
    }
    alice.wait_for_shield("sealed");
    alice.forget();
    let sealed = Instant::now();

    // The earlier session again in the running meeting, and the epoch before, by somebody with a token and as metadata;
    // then what is forged, then none at all.
    let eve = Bare::join(&server.url(), &server.token("eve", "rewound"), Vec::new());
    let forged = forged("rewound");
    for text in [&old, &off, &read_metadata(&forged).unwrap()] {
        eve.say(text);
    }
    for metadata in [&metadata, &before, &forged, "", "{\"roomseal\":7}"] {
        liar.lie(|lies| lies.metadata = Some(metadata.to_owned()));
        liar.repeat_room();
        alice.wait_for_sealed(20);
    }

    // And after a resume.
    liar.lie(|lies| lies.metadata = Some(before.clone()));
    liar.connections().cut();
    alice.wait_for_connection(false);
    liar.connections().mend();
    alice.wait_for_connection(true);
    liar.repeat_room();
    eve.say(&off);
    alice.wait_for_sealed(100);
    alice.wait_for_shield("sealed");
    alice.never_clear();
    for member in [&host, &bob] {
        wait_for_shield(member, Instant::now(), "sealed");
        never_clear_since(member, sealed);
    }
}

#[cfg(feature = "full")]
#[test]
fn two_who_are_shown_nothing_but_an_earlier_session_wait_for_the_host() {
    for by in [By::Box, By::Page] {
        alone(by);
    }
}

#[cfg(feature = "full")]
fn alone(by: By) {
    let _turn = one_at_a_time();
    let links = Links::new("alone", &["--announce-off"]);
    let (metadata, session) = earlier_session(&links);
    let server = Server::on_loopback();
    let liar = Liar::before(
        &server,
        Lies {
            metadata: Some(metadata.clone()),
            session: Some(session),
            ..Lies::default()
        },
    );
    let mut alice = links.alice(by, &liar, &server);
    let bob = links.bob(&server);
    bob.wait_until_joined();
    let eve = Bare::join(&server.url(), &server.token("eve", "alone"), Vec::new());
    eve.say(&read_metadata(&metadata).unwrap());
    liar.repeat_room();
    let waits = "waiting for the host";
    alice.wait_for_reason("connecting", waits);
    bob.wait_for("word that the host is waited for", SOON, |status| {
        let mut reasons = status.shield.reasons.iter();
        reasons.any(|reason| reason == waits).then_some(())
    });
    // That nothing leaves is what is tested: nothing happens that could be waited for.
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(alice.left(), Left::default());
    alice.never_showed(&["open", "sealed", "sealing", "waiting"]);
    never_clear(&bob);
    let bobs = bob.status().local_tracks;
    assert_eq!(bobs.iter().map(|track| track.sealed).sum::<u64>(), 0);
    assert_eq!(bob.status().shield.state, "connecting");
}

#[cfg(feature = "full")]
#[test]
fn who_is_kept_from_an_on_stops_sending_clear_and_is_named_by_the_others() {
    for by in [By::Box, By::Page] {
        withheld(by);
    }
}

#[cfg(feature = "full")]
fn withheld(by: By) {
    let _turn = one_at_a_time();
    let links = Links::new("withheld", &["--announce-off"]);
    let server = Server::on_loopback();
    let began = Instant::now();
    let host = links.host(&server);
    let bob = links.bob(&server);
    let liar = Liar::before(&server, Lies::default());
    let mut alice = links.alice(by, &liar, &server);
    for member in [&host, &bob] {
        wait_for_shield(member, began, "open");
    }
    alice.wait_for_shield("open");
    // From here on she hears nobody, and is told the metadata of now.
    let metadata = liar.truth(|truth| truth.metadata.clone());
    liar.lie(|lies| lies.metadata = Some(metadata));
    for silent in ["box", "bob"] {
        server.silence(silent, "withheld");
    }
    let pressed = Instant::now();
    let (done, said) = ask(&host, &["e2ee", "on"]);
    assert!(done, "{said}");
    alice.forget();
    wait_for_reason(&host, "unsealed-peer", "alice follows another policy");
    alice.wait_for_sending("nothing leaves: nobody else");
    println!(
        "nothing leaves her any more {:.1} s after the press",
        pressed.elapsed().as_secs_f64()
    );
    let before = alice.left().clear;
    assert!(before > 0, "the control: she did send clear");
    // That nothing more leaves is what is tested: nothing happens that could be waited for.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(alice.left().clear, before);
    alice.never_showed(&["sealed", "sealing", "waiting", "sealed-by-service"]);
}
