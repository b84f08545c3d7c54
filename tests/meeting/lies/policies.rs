// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lies about what the host decided.

use std::time::{Duration, Instant};

use roomseal_appliance::status::Connection;
#[cfg(feature = "full")]
use roomseal_appliance::status::Status;
use roomseal_policy::{
    Certificate, Chain, Check, Decision, E2ee, Host, HostKey, KeyModel, KeySeed, MeetingKey,
    PolicyNonce, read_metadata, write_metadata,
};
use roomseal_tests::bare::Bare;
use roomseal_tests::livekit::Server;

use super::service::{Liar, Lies};
use super::{Links, never_clear_since, wait_for_sealed};
#[cfg(feature = "full")]
use super::{NAMED, never_clear, sealed_frames, wait_for_reason};
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
    let alice = links.alice(&honest, &server);
    for member in [&host, &alice] {
        wait_for_shield(member, began, "open");
    }
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
    let alice = links.alice(&liar, &server);
    for member in [&host, &bob, &alice] {
        wait_for_shield(member, began, "open");
    }
    let before = liar.truth(|truth| truth.metadata.clone());
    let off = read_metadata(&before).expect("the host has written it");
    let pressed = Instant::now();
    let (done, said) = ask(&host, &["e2ee", "on"]);
    assert!(done, "{said}");
    for member in [&host, &bob, &alice] {
        wait_for_shield(member, pressed, "sealed");
    }
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
        wait_for_sealed(&alice, 20);
    }

    // And after a resume.
    liar.lie(|lies| lies.metadata = Some(before.clone()));
    let cut = Instant::now();
    liar.connections().cut();
    alice.wait_since(cut, "notice of the loss", SOON, |status| {
        matches!(status.connection, Connection::Reconnecting { .. }).then_some(())
    });
    liar.connections().mend();
    let mended = Instant::now();
    alice.wait_since(mended, "way back", SOON, |status| {
        (status.connection == Connection::Joined).then_some(())
    });
    liar.repeat_room();
    eve.say(&off);
    wait_for_sealed(&alice, 100);
    for member in [&alice, &host, &bob] {
        wait_for_shield(member, Instant::now(), "sealed");
        never_clear_since(member, sealed);
    }
}

#[cfg(feature = "full")]
#[test]
fn two_who_are_shown_nothing_but_an_earlier_session_wait_for_the_host() {
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
    let alice = links.alice(&liar, &server);
    let bob = links.bob(&server);
    for member in [&alice, &bob] {
        member.wait_until_joined();
    }
    let eve = Bare::join(&server.url(), &server.token("eve", "alone"), Vec::new());
    eve.say(&read_metadata(&metadata).unwrap());
    liar.repeat_room();
    for member in [&alice, &bob] {
        member.wait_for("word that the host is waited for", SOON, |status| {
            status
                .shield
                .reasons
                .iter()
                .any(|reason| reason == "waiting for the host")
                .then_some(())
        });
    }
    // That nothing leaves is what is tested: nothing happens that could be waited for.
    std::thread::sleep(Duration::from_secs(6));
    for member in [&alice, &bob] {
        never_clear(member);
        assert_eq!(sealed_frames(&member.status()), 0);
        assert_eq!(member.status().shield.state, "connecting");
    }
}

#[cfg(feature = "full")]
#[test]
fn who_is_kept_from_an_on_stops_sending_clear_and_is_named_by_the_others() {
    let _turn = one_at_a_time();
    let links = Links::new("withheld", &["--announce-off"]);
    let server = Server::on_loopback();
    let began = Instant::now();
    let host = links.host(&server);
    let bob = links.bob(&server);
    let liar = Liar::before(&server, Lies::default());
    let alice = links.alice(&liar, &server);
    for member in [&host, &bob, &alice] {
        wait_for_shield(member, began, "open");
    }
    // From here on she hears nobody, and is told the metadata of now.
    let metadata = liar.truth(|truth| truth.metadata.clone());
    liar.lie(|lies| lies.metadata = Some(metadata));
    for silent in ["box", "bob"] {
        server.silence(silent, "withheld");
    }
    let pressed = Instant::now();
    let (done, said) = ask(&host, &["e2ee", "on"]);
    assert!(done, "{said}");
    wait_for_reason(&host, "unsealed-peer", "alice follows another policy");
    alice.wait_since(pressed, "end of clear frames", NAMED, |status| {
        let silent = status.sending.starts_with("nothing leaves: nobody else");
        silent.then_some(())
    });
    println!(
        "nothing leaves her any more {:.1} s after the press",
        pressed.elapsed().as_secs_f64()
    );
    let clear = |status: &Status| -> u64 { status.local_tracks.iter().map(|t| t.clear).sum() };
    let before = clear(&alice.status());
    assert!(before > 0, "the control: she did send clear");
    // That nothing more leaves is what is tested: nothing happens that could be waited for.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(clear(&alice.status()), before);
    for (at, status) in alice.statuses() {
        let green = ["sealed", "sealing", "waiting", "sealed-by-service"];
        assert!(at < pressed || !green.contains(&status.shield.state.as_str()));
    }
}
