// SPDX-License-Identifier: MIT OR Apache-2.0
//! The session outlives its signalling connection, and media outlive the way they took.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use livekit_protocol::signal_request::Message;
use roomseal_appliance::status::Connection;
use roomseal_tests::appliance::{Appliance, Start, participant, track};
use roomseal_tests::livekit::Server;
#[cfg(feature = "full")]
use roomseal_tests::network::Namespace;
use roomseal_tests::network::Network;
use roomseal_tests::proxy::{Instead, Proxy};
use roomseal_tests::relay::Relay;

use crate::faults::{BACK, meet, nothing_clear, wait_for_more};
use crate::{SOON, one_at_a_time};

/// Waits until `receiver` has opened `frames` more frames of a camera, still the same track.
fn goes_on(receiver: &Appliance, of: &str, sid: &str, frames: u64, within: Duration) {
    let from = track(&receiver.status(), of, "camera").map_or(0, |t| t.opened);
    receiver.wait_for_track("more frames of the same track", of, "camera", within, |t| {
        assert_eq!(t.sid, sid, "{of} was published anew");
        t.opened >= from + frames
    });
}

#[test]
fn three_seconds_without_signalling_interrupt_neither_session_nor_media() {
    three_seconds_without_signalling(Server::on_loopback);
}

pub(crate) fn three_seconds_without_signalling(server: fn() -> Server) {
    let _turn = one_at_a_time();
    let server = server();
    let proxy = Proxy::before(server.port(), |response| Instead::Messages(vec![response]));
    let room = "resume";
    let member = |identity| Start::new("run", identity).with(["--camera", "test"]);
    let sender = member("box").join_at(&proxy.url(), &server.token("box", room), room);
    let other = member("other").join(&server, room);
    let sid = |of: &str, at: &Appliance| {
        let seen = at.wait_for_track("picture", of, "camera", SOON, |t| t.opened > 30);
        seen.sid
    };
    let (sent, received) = (sid("box", &other), sid("other", &sender));
    let mark = sender.process.mark();
    let cut = Instant::now();
    proxy.cut();
    sender.wait_since(cut, "notice of the loss", SOON, |s| {
        matches!(s.connection, Connection::Reconnecting { .. }).then_some(())
    });
    // The time without signalling is what is tested: nothing happens that could be waited for.
    std::thread::sleep(Duration::from_secs(3).saturating_sub(cut.elapsed()));
    proxy.mend();
    let mended = Instant::now();
    sender.process.wait_after(mark, "resume", BACK, |line| {
        assert!(!line.contains(" joined "), "a new session: {line}");
        line.contains("resumed").then_some(())
    });
    println!("resumed {:.1} s later", mended.elapsed().as_secs_f64());
    // Long enough for ICE to have started anew on both connections, and for its failure to be noticed.
    goes_on(&other, "box", &sent, 150, SOON);
    goes_on(&sender, "other", &received, 50, SOON);
    for (receiver, of) in [(&other, "box"), (&sender, "other")] {
        let gap = receiver.longest_gap(cut, of, "camera");
        println!("longest gap in {of}'s camera: {:.2} s", gap.as_secs_f64());
        assert!(gap < Duration::from_secs(2));
    }
    let requests = proxy.requests();
    let count = |is: fn(&Message) -> bool| {
        requests
            .iter()
            .filter_map(|r| r.message.as_ref())
            .filter(|m| is(m))
            .count()
    };
    assert_eq!(count(|m| matches!(m, Message::SyncState(_))), 1);
    assert!(
        count(|m| matches!(m, Message::AddTrack(_))) == 2,
        "nothing is published twice"
    );
    // ICE has other credentials on both connections.
    for offer in [true, false] {
        let credentials: BTreeSet<&str> = requests
            .iter()
            .filter_map(|request| match &request.message {
                Some(Message::Offer(description)) if offer => Some(&description.sdp),
                Some(Message::Answer(description)) if !offer => Some(&description.sdp),
                _ => None,
            })
            .filter_map(|sdp| sdp.lines().find(|line| line.starts_with("a=ice-ufrag:")))
            .collect();
        assert_eq!(credentials.len(), 2, "{credentials:?}");
    }
    for (at, status) in other.statuses() {
        assert!(
            at < cut || participant(&status, "box").is_some(),
            "the box left for a while"
        );
    }
}

/// The way that media take, between the box and the server, in both directions.
pub(crate) fn lose(network: &Network, protocol: &str, port: Option<u16>) {
    let [server, sender] = [0, 1].map(|n| network.host(n));
    sender.lose(protocol, server.address(), port);
    server.lose(protocol, sender.address(), port);
}

#[cfg(feature = "full")]
fn lose_nothing(network: &Network) {
    network.host(0).lose_nothing();
    network.host(1).lose_nothing();
}

#[cfg(feature = "full")]
#[test]
fn when_udp_stops_media_take_the_way_over_tcp() {
    when_udp_stops(Server::inside);
}

#[cfg(feature = "full")]
pub(crate) fn when_udp_stops(server: fn(&Namespace) -> Server) {
    let _turn = one_at_a_time();
    let network = Network::with_hosts(3);
    let server = server(network.host(0));
    let (mut sender, guest) = meet(&server, "udp", Some(&network));
    lose(&network, "udp", None);
    let lost = Instant::now();
    sender.wait_since(lost, "notice of the loss", SOON, |s| {
        (s.connection != Connection::Joined).then_some(())
    });
    let noticed = lost.elapsed();
    wait_for_more(&guest, Instant::now(), 5, SOON);
    println!(
        "noticed after {:.1} s, opened again after {:.1} s",
        noticed.as_secs_f64(),
        lost.elapsed().as_secs_f64()
    );
    assert!(sender.process.is_running());
    nothing_clear(&sender);
}

#[cfg(feature = "full")]
#[test]
fn media_that_found_no_way_for_eight_seconds_are_back_within_five() {
    let _turn = one_at_a_time();
    let network = Network::with_hosts(3);
    let server = Server::inside(network.host(0));
    let (mut sender, guest) = meet(&server, "blocked", Some(&network));
    let sid = track(&guest.status(), "box", "camera").unwrap().sid;
    lose(&network, "udp", None);
    lose(&network, "tcp", Some(server.media_tcp_port()));
    // The time without media is what is tested: nothing happens that could be waited for.
    std::thread::sleep(Duration::from_secs(8));
    lose_nothing(&network);
    let back = Instant::now();
    wait_for_more(&guest, back, 5, BACK);
    let same = track(&guest.status(), "box", "camera").is_some_and(|t| t.sid == sid);
    println!(
        "opened again {:.1} s after the way was free, the same track: {same}",
        back.elapsed().as_secs_f64()
    );
    assert!(sender.process.is_running());
    nothing_clear(&sender);
}

#[test]
fn a_box_that_gets_another_address_is_back_within_five_seconds() {
    let _turn = one_at_a_time();
    let network = Network::with_hosts(3);
    let server = Server::inside(network.host(0));
    let (mut sender, guest) = meet(&server, "address", Some(&network));
    let host = network.host(1);
    host.remove_address(host.address());
    std::thread::sleep(Duration::from_secs(3));
    host.add_address(Ipv4Addr::new(10, 203, 0, 77));
    let back = Instant::now();
    wait_for_more(&guest, back, 5, BACK);
    println!(
        "opened again {:.1} s after the new address",
        back.elapsed().as_secs_f64()
    );
    assert!(sender.process.is_running());
    nothing_clear(&sender);
}

#[test]
fn where_nobody_reaches_the_service_directly_media_go_through_a_turn_server_over_udp() {
    through_a_relay("udp");
}

#[cfg(feature = "full")]
#[test]
fn where_nobody_reaches_the_service_directly_media_go_through_a_turn_server_over_tcp() {
    through_a_relay("tcp");
}

fn through_a_relay(protocol: &str) {
    let _turn = one_at_a_time();
    let network = Network::with_hosts(3);
    let host = network.host(0);
    let relay = Relay::inside(host);
    let server = Server::with_relay(&relay, host, protocol);
    for participant in [network.host(1), network.host(2)] {
        for (from, to) in [(host, participant), (participant, host)] {
            from.lose("udp", to.address(), None);
            from.lose("tcp", to.address(), Some(server.media_tcp_port()));
            if protocol == "udp" {
                from.keep("udp", to.address(), Relay::PORT);
            }
        }
    }
    let (sender, guest) = meet(&server, "relay", Some(&network));
    wait_for_more(&guest, Instant::now(), 60, SOON);
    // The server knows by which way it reaches somebody.
    let log = server.log();
    let ways: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("participant active"))
        .filter_map(|line| line.split_once("\"connectionType\": ")?.1.split(',').next())
        .collect();
    println!("box and guest are reached by {ways:?}");
    assert_eq!(ways, ["\"turn\""; 2], "{log}");
    nothing_clear(&sender);
}
