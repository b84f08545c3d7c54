// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packet loss and wrong keys look alike for a moment; nobody may take the one for the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use roomseal_appliance::status::{Connection, Status};
use roomseal_tests::appliance::{Appliance, Start, secret, track};
use roomseal_tests::livekit::Server;
use roomseal_tests::network::Network;
use roomseal_tests::toggle::Links;

use crate::{SOON, one_at_a_time};

/// How soon a wrong key has a name.
const NAMED: Duration = Duration::from_secs(5);

/// Joining takes its time where packets are lost.
const LOSSY: Duration = Duration::from_secs(60);

/// A server, a box and a guest, of whose UDP so much is lost in each direction.
fn lossy(percent: u8) -> (Network, Server) {
    let network = Network::with_hosts(3);
    for host in 0..3 {
        network.host(host).drop_udp(percent);
    }
    let server = Server::inside(network.host(0));
    (network, server)
}

/// The same link with another secret: whoever has it was told a wrong one.
fn with_another_secret(link: &Path, folder: &Path) -> PathBuf {
    let text = fs::read_to_string(link).unwrap();
    let (before, after) = text.split_once("#k=").expect("the link carries a secret");
    let (key, rest) = after.split_once('&').expect("other fields follow");
    let other = if key.starts_with('A') { 'B' } else { 'A' };
    let text = format!("{before}#k={other}{}&{rest}", &key[1..]);
    secret(folder, "other.link", text.trim())
}

/// How long after the first frames of the box came `named` was shown.
fn named_after(guest: &Appliance, what: &str, named: impl Fn(&Status) -> bool) -> Duration {
    let hour = Instant::now() - Duration::from_secs(3600);
    let came = |status: &Status| {
        let came = |source| track(status, "box", source).is_some_and(|t| t.refused + t.opened > 0);
        (came("camera") || came("microphone")).then_some(())
    };
    let (first, ()) = guest.moment_since(hour, "frames of the box", LOSSY, came);
    let (told, ()) = guest.moment_since(hour, what, LOSSY, |s| named(s).then_some(()));
    told.saturating_duration_since(first)
}

#[test]
fn a_wrong_key_is_named_within_five_seconds_though_one_packet_in_twenty_is_lost() {
    let _turn = one_at_a_time();
    let (network, server) = lossy(5);
    let _sender = Start::new("run", "box")
        .with(["--camera", "test", "--microphone", "test"])
        .inside(network.host(1))
        .join(&server, "foreign");
    let mut guest = Start::new("guest", "guest")
        .passphrase("another")
        .inside(network.host(2))
        .join(&server, "foreign");
    for source in ["camera", "microphone"] {
        let took = named_after(
            &guest,
            &format!("word about the {source}'s key"),
            |status| {
                track(status, "box", source)
                    .is_some_and(|t| t.text.contains("other key, or altered"))
            },
        );
        println!(
            "foreign room: the key of the {source} was named after {} ms",
            took.as_millis()
        );
        assert!(took <= NAMED, "{took:?}");
    }
    let opened: u64 = guest
        .statuses()
        .iter()
        .flat_map(|(_, status)| &status.participants)
        .flat_map(|participant| &participant.tracks)
        .map(|track| track.opened)
        .sum();
    assert_eq!(opened, 0);
    assert!(guest.interrupt_cleanly());
}

#[test]
fn a_wrong_secret_of_a_roomseal_meeting_is_named_within_five_seconds_though_packets_are_lost() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let (network, server) = lossy(5);
    let links = Links::make(&folder.path().join("links"), "secret", &[], &[]);
    let wrong = with_another_secret(&links.guest, folder.path());
    let host = Links::member("run", "box", &links.hosts[0])
        .with(["--camera", "test", "--microphone", "test"])
        .inside(network.host(1))
        .join(&server, "secret");
    host.wait_for("a policy", SOON, |status| status.policy.clone());
    let mut guest = Links::member("guest", "guest", &wrong)
        .inside(network.host(2))
        .join(&server, "secret");
    let took = named_after(&guest, "word that the secret is wrong", |status| {
        status.shield.state == "wrong-key"
    });
    println!(
        "Roomseal meeting: the wrong secret was named after {} ms",
        took.as_millis()
    );
    assert!(took <= NAMED, "{took:?}");
    assert!(guest.interrupt_cleanly());
}

/// Frames that have to open before it is believed that loss was there for long enough: ten seconds of sound.
const ENOUGH: u64 = 500;

fn loss_alone(room: &str, members: impl Fn(&Network, &Server, &Path) -> (Appliance, Appliance)) {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let (network, server) = lossy(10);
    let (_sender, mut guest) = members(&network, &server, folder.path());
    let seen = guest.wait_for_track("ten seconds of sound", "box", "microphone", LOSSY, |t| {
        t.opened >= ENOUGH
    });
    guest.wait_for_track("pictures", "box", "camera", LOSSY, |t| t.opened >= 50);
    let mut damaged = 0;
    for (_, status) in guest.statuses() {
        assert!(
            !["wrong-key", "unsealed-peer"].contains(&status.shield.state.as_str()),
            "{:?}",
            status.shield
        );
        for track in status.participants.iter().flat_map(|p| &p.tracks) {
            damaged = damaged.max(track.refused);
            for word in ["other key", "altered"] {
                assert!(!track.text.contains(word), "{track:?}");
            }
        }
    }
    let lost: u64 = (0..3).map(|host| network.host(host).dropped()).sum();
    assert!(lost > 100, "{lost} packets were lost");
    println!(
        "{room}: {lost} packets lost, {} frames of sound opened, at most {damaged} of a track did not, none was called a wrong key",
        seen.opened
    );
    assert!(guest.interrupt_cleanly());
}

#[test]
fn two_boxes_join_sealed_while_one_packet_in_ten_is_lost_from_the_very_first() {
    let _turn = one_at_a_time();
    let (network, server) = lossy(10);
    let member = |identity, host| {
        let began = Instant::now();
        let member = Start::new("run", identity)
            .with(["--camera", "test", "--microphone", "test"])
            .inside(network.host(host))
            .join(&server, "joining");
        (began, member)
    };
    let (one, other) = (member("one", 1), member("other", 2));
    for ((began, receiver), of) in [(&one, "other"), (&other, "one")] {
        let sealed = |status: &Status| {
            let opens = |source| track(status, of, source).is_some_and(|t| t.opened > 0);
            let both = opens("camera") && opens("microphone");
            (both && status.shield.state == "sealed").then_some(())
        };
        let (at, ()) = receiver.moment_since(*began, "sealed sound and picture", LOSSY, sealed);
        let statuses = receiver.statuses();
        for track in statuses
            .iter()
            .flat_map(|(_, status)| &status.participants)
            .flat_map(|participant| &participant.tracks)
        {
            assert_eq!(track.clear_at, None, "{track:?}");
        }
        let told = &receiver.status().happenings;
        println!(
            "{} and {of}: sealed in both directions after {:.1} s, joined again {} times",
            receiver.identity(),
            at.duration_since(*began).as_secs_f64(),
            told.iter()
                .filter(|h| h.text.contains("joining again"))
                .count()
        );
    }
}

#[test]
fn no_later_piece_of_a_handshake_message_has_to_arrive() {
    let _turn = one_at_a_time();
    let network = Network::with_hosts(3);
    for host in 0..3 {
        network.host(host).drop_later_pieces();
    }
    let server = Server::inside(network.host(0));
    let sender = Start::new("run", "box")
        .with(["--camera", "test", "--microphone", "test"])
        .inside(network.host(1))
        .join(&server, "pieces");
    let mut guest = Start::new("guest", "guest")
        .inside(network.host(2))
        .join(&server, "pieces");
    guest.wait_for_track("sound", "box", "microphone", SOON, |t| t.opened > 50);
    for (who, host) in [("server", 0), ("box", 1), ("guest", 2)] {
        assert_eq!(
            network.host(host).dropped(),
            0,
            "pieces that came to the {who}"
        );
    }
    drop(sender);
    assert!(guest.interrupt_cleanly());
}

#[test]
fn a_box_that_cannot_agree_on_transport_keys_says_so_and_joins_again_until_it_can() {
    let _turn = one_at_a_time();
    let network = Network::with_hosts(3);
    let server = Server::inside(network.host(0));
    let lonely = network.host(1);
    lonely.drop_handshakes();
    let guest = Start::new("guest", "guest")
        .inside(network.host(2))
        .join(&server, "keys");
    let began = Instant::now();
    let mut sender = Start::new("run", "box")
        .with(["--camera", "test", "--microphone", "test"])
        .inside(lonely)
        .join(&server, "keys");
    let (told, why) = sender.moment_since(began, "word about the keys", LOSSY, |status| {
        let mut troubles = status.troubles.iter();
        let about = troubles.find(|trouble| trouble.about == "connection")?;
        about
            .text
            .contains("could not agree on transport keys")
            .then(|| about.text.clone())
    });
    lonely.drop_nothing();
    let lifted = Instant::now();
    guest.wait_for_track("sound", "box", "microphone", SOON, |t| t.opened > 0);
    println!(
        "after {:.1} s: {why}. Heard {:.1} s after the network let it",
        (told - began).as_secs_f64(),
        lifted.elapsed().as_secs_f64()
    );
    sender.wait_since(lifted, "the end of the trouble", SOON, |status| {
        let healed = status.troubles.iter().all(|t| t.about != "connection");
        (healed && status.connection == Connection::Joined).then_some(())
    });
    assert!(sender.interrupt_cleanly());
}

#[test]
fn one_packet_lost_in_ten_is_never_called_a_wrong_key_in_a_foreign_room() {
    loss_alone("foreign room", |network, server, _| {
        let sender = Start::new("run", "box")
            .with(["--camera", "test", "--microphone", "test"])
            .inside(network.host(1))
            .join(server, "loss");
        let guest = Start::new("guest", "guest")
            .inside(network.host(2))
            .join(server, "loss");
        (sender, guest)
    });
}

#[test]
fn one_packet_lost_in_ten_is_never_called_a_wrong_key_in_a_roomseal_meeting() {
    loss_alone("Roomseal meeting", |network, server, folder| {
        let links = Links::make(&folder.join("links"), "loss", &[], &[]);
        let host = Links::member("run", "box", &links.hosts[0])
            .with(["--camera", "test", "--microphone", "test"])
            .inside(network.host(1))
            .join(server, "loss");
        let guest = Links::member("guest", "guest", &links.guest)
            .inside(network.host(2))
            .join(server, "loss");
        (host, guest)
    });
}
