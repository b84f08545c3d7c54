// SPDX-License-Identifier: MIT OR Apache-2.0
//! What breaks in real life, and how soon the meeting is back.

use std::time::{Duration, Instant};

use roomseal_appliance::status::Connection;
use roomseal_tests::appliance::{Appliance, Start, participant, track};
use roomseal_tests::livekit::Server;
use roomseal_tests::network::Network;

use crate::{SOON, one_at_a_time};

/// How soon everything has to be back once the cause is gone.
pub(crate) const BACK: Duration = Duration::from_secs(5);

pub(crate) fn meet(
    server: &Server,
    room: &str,
    network: Option<&Network>,
) -> (Appliance, Appliance) {
    let (mut sender, mut guest) = (
        Start::new("run", "box").with(["--camera", "test"]),
        Start::new("guest", "guest"),
    );
    if let Some(network) = network {
        sender = sender.inside(network.host(1));
        guest = guest.inside(network.host(2));
    }
    let sender = sender.join(server, room);
    let guest = guest.join(server, room);
    wait_for_more(&guest, Instant::now(), 30, SOON);
    (sender, guest)
}

/// Waits until the guest has opened `frames` more frames of the box's camera than it had at `since`.
pub(crate) fn wait_for_more(guest: &Appliance, since: Instant, frames: u64, within: Duration) {
    let mut from = None;
    let seen = std::sync::Mutex::new(&mut from);
    guest.wait_since(since, "frames of the box", within, |status| {
        let track = track(status, "box", "camera")?;
        let mut from = seen.lock().unwrap();
        // A re-join brings new tracks, which count from nothing.
        let base = from.get_or_insert((track.sid.clone(), track.opened));
        if base.0 != track.sid {
            **from = Some((track.sid.clone(), 0));
            return (track.opened >= frames).then_some(());
        }
        (track.opened >= base.1 + frames).then_some(())
    });
}

pub(crate) fn nothing_clear(sender: &Appliance) {
    for (_, status) in sender.statuses() {
        for track in &status.local_tracks {
            assert_eq!(track.clear, 0, "{} sent clear frames", track.source);
        }
    }
}

#[test]
fn after_a_killed_and_restarted_server_the_meeting_is_back_within_five_seconds() {
    killed_and_restarted(Server::on_loopback);
}

pub(crate) fn killed_and_restarted(server: fn() -> Server) {
    let _turn = one_at_a_time();
    let mut server = server();
    let (mut sender, guest) = meet(&server, "restart", None);
    server.stop();
    let lost = |s: &roomseal_appliance::status::Status| {
        matches!(s.connection, Connection::Reconnecting { .. }).then_some(())
    };
    sender.wait_for("notice of the loss", SOON, lost);
    guest.wait_for("notice of the loss", SOON, lost);
    server.restart();
    let back = Instant::now();
    wait_for_more(&guest, back, 5, BACK);
    println!(
        "opened again {:.1} s after the server came back",
        back.elapsed().as_secs_f64()
    );
    assert!(sender.process.is_running());
    nothing_clear(&sender);
}

#[test]
fn a_killed_guest_is_gone_from_the_roster_and_its_successor_opens_at_once() {
    let _turn = one_at_a_time();
    let server = Server::on_loopback();
    let (sender, guest) = meet(&server, "killed", None);
    guest.process.signal("KILL");
    // The same identity again: the service ends the old one.
    let again = Start::new("guest", "guest").join(&server, "killed");
    wait_for_more(&again, Instant::now(), 30, SOON);
    sender.wait_for("guest in the roster", SOON, |s| {
        participant(s, "guest").map(|_| ())
    });
    nothing_clear(&sender);
}

#[test]
fn three_seconds_without_network_are_over_within_five() {
    let _turn = one_at_a_time();
    without_network(Duration::from_secs(3));
}

/// Cuts the box off for `long`, and checks that its meeting is back soon after.
fn without_network(long: Duration) {
    let network = Network::with_hosts(3);
    let server = Server::inside(network.host(0));
    let (mut sender, guest) = meet(&server, "cut", Some(&network));
    network.host(1).unplug();
    // The time without network is what is tested: nothing happens that could be waited for.
    std::thread::sleep(long);
    network.host(1).plug_in();
    let back = Instant::now();
    wait_for_more(&guest, back, 5, BACK);
    println!(
        "opened again {:.1} s after {} s without network",
        back.elapsed().as_secs_f64(),
        long.as_secs()
    );
    assert!(sender.process.is_running());
    nothing_clear(&sender);
}

#[cfg(feature = "full")]
#[test]
fn forty_seconds_without_network_are_over_within_five() {
    let _turn = one_at_a_time();
    without_network(Duration::from_secs(40));
}
