// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host leaves or dies: its word stands, and another host goes on from it.

use std::time::{Duration, Instant};

use roomseal_appliance::status::{Status, moment};
use roomseal_tests::appliance::{Appliance, participant};
use roomseal_tests::livekit::Server;
use roomseal_tests::toggle::{Button, HELD, Links, small_board};

use crate::{SOON, one_at_a_time};

/// A service notices late that somebody is gone who did not say so.
const NOTICED: Duration = Duration::from_secs(60);

fn wait_for_shield(members: &[&Appliance], since: Instant, state: &str) {
    for member in members {
        member.wait_since(since, state, NOTICED, |s: &Status| {
            (s.shield.state == state).then_some(())
        });
    }
}

/// The policy that all of these follow.
fn epoch(members: &[&Appliance]) -> u64 {
    let epochs: Vec<u64> = members
        .iter()
        .map(|member| member.status().policy.expect("a policy is followed").epoch)
        .collect();
    assert!(
        epochs.windows(2).all(|pair| pair[0] == pair[1]),
        "{epochs:?}"
    );
    epochs[0]
}

fn gone(members: &[&Appliance], since: Instant, who: &str) {
    for member in members {
        member.wait_since(since, &format!("{who}'s leaving"), NOTICED, |status| {
            participant(status, who).is_none().then_some(())
        });
    }
}

/// Nothing has left clear since.
fn nothing_clear(member: &Appliance, since: Instant) {
    for track in &member.status().local_tracks {
        assert!(
            track.clear_at.is_none_or(|at| at < moment(since)),
            "{track:?}"
        );
    }
}

#[test]
fn a_host_leaves_another_dies_and_what_they_said_stands_until_a_host_goes_on() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let links = Links::make(&folder.path().join("links"), "hosts", &["Ada", "Bob"], &[]);
    let board = small_board(folder.path());
    let panel = |identity: &str| folder.path().join(format!("panel-{identity}"));
    let start = |identity: &'static str, link: &std::path::Path| {
        Links::member("run", identity, link)
            .board(&board)
            .with(["--camera", "test", "--microphone", "test"])
            .with(["--panel-dir", panel(identity).to_str().unwrap()])
            .with(["--panel-page", "none"])
            .join(&server, "hosts")
    };
    let began = Instant::now();
    let mut ada = start("ada", &links.hosts[0]);
    let mut guest = Links::member("guest", "guest", &links.guest)
        .board(&board)
        .with(["--camera", "test", "--microphone", "test"])
        .join(&server, "hosts");
    wait_for_shield(&[&ada, &guest], began, "sealed");
    let came = Instant::now();
    let bob = start("bob", &links.hosts[1]);
    wait_for_shield(&[&ada, &guest, &bob], came, "sealed");
    assert_eq!(
        epoch(&[&ada, &guest, &bob]),
        1,
        "Bob began nothing of his own"
    );

    // Ada leaves: her word stands.
    let left = Instant::now();
    assert!(ada.interrupt_cleanly());
    gone(&[&guest, &bob], left, "ada");
    wait_for_shield(&[&guest, &bob], Instant::now(), "sealed");
    assert_eq!(epoch(&[&guest, &bob]), 1);
    nothing_clear(&guest, left);

    // Bob goes on from it, off and on.
    let button = Button::of(&panel("bob"));
    let held = button.hold();
    wait_for_shield(&[&guest, &bob], held + HELD, "open");
    assert_eq!(epoch(&[&guest, &bob]), 2);
    let pressed = button.press();
    wait_for_shield(&[&guest, &bob], pressed, "sealed");
    assert_eq!(epoch(&[&guest, &bob]), 3);
    let by_bob = |s: &Status| {
        let mut texts = s.happenings.iter().map(|it| &it.text);
        texts
            .any(|text| text == "Bob turned encryption on")
            .then_some(())
    };
    guest.wait_since(pressed, "word that it was Bob", SOON, by_bob);

    // Bob dies. Nobody who could change it is there, and it stays as he left it.
    let died = Instant::now();
    bob.process.signal("KILL");
    gone(&[&guest], died, "bob");
    guest.wait_since(died, "waiting for others", NOTICED, |s| {
        (s.shield.state == "waiting").then_some(())
    });
    assert_eq!(epoch(&[&guest]), 3);
    nothing_clear(&guest, died);

    // Ada comes back by her link, and goes on from Bob's word, not from her own.
    let back = Instant::now();
    let mut ada = start("ada", &links.hosts[0]);
    wait_for_shield(&[&ada, &guest], back, "sealed");
    assert_eq!(epoch(&[&ada, &guest]), 3);
    let button = Button::of(&panel("ada"));
    let held = button.hold();
    wait_for_shield(&[&ada, &guest], held + HELD, "open");
    let pressed = button.press();
    wait_for_shield(&[&ada, &guest], pressed, "sealed");
    assert_eq!(epoch(&[&ada, &guest]), 5);
    println!(
        "policy 1 by Ada, who left; 2 and 3 by Bob, who died; 4 and 5 by Ada again: one chain in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    assert!(guest.interrupt_cleanly() && ada.interrupt_cleanly());
}
