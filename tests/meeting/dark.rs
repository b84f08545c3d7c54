// SPDX-License-Identifier: MIT OR Apache-2.0
//! The box stops, is killed or crashes while its lamp is green in a meeting: no light stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use roomseal_tests::livekit::Server;
use roomseal_tests::places;
use roomseal_tests::process::Running;
use roomseal_tests::toggle::{Links, small_board};

use crate::{SOON, one_at_a_time};

/// What is promised: 1.5 s after the last renewal, and a little for the machine.
const DARK_WITHIN: Duration = Duration::from_secs(2);

/// Everything that burns on a simulated panel, in percent, by name.
fn lit(panel: &Path) -> Vec<(String, u32)> {
    let mut lit: Vec<(String, u32)> = ["lamp-red", "lamp-green", "lamp-blue", "mute-lamp"]
        .map(|name| {
            let text = fs::read_to_string(panel.join(name)).unwrap_or_default();
            (name.to_owned(), text.trim().parse().unwrap_or(0))
        })
        .into();
    lit.retain(|(_, percent)| *percent > 0);
    lit
}

fn until(what: &str, within: Duration, mut is: impl FnMut() -> bool) -> Instant {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
    Instant::now()
}

/// The lamp's own process, as the system starts it.
fn lamp(folder: &Path) -> (Running, PathBuf, PathBuf) {
    let (socket, panel) = (folder.join("lamp.sock"), folder.join("panel"));
    let mut command = Command::new(places::built("roomseal"));
    command
        .args(["lamp", "--board", "sim", "--socket"])
        .arg(&socket)
        .arg("--panel-dir")
        .arg(&panel);
    let process = Running::start("lamp", &command);
    until("the lamp listens", SOON, || socket.exists());
    (process, socket, panel)
}

#[test]
fn a_box_that_stops_is_killed_or_crashes_while_it_is_green_leaves_no_light() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let board = small_board(folder.path());
    let (_lamp, socket, panel) = lamp(folder.path());
    for signal in ["STOP", "KILL", "ABRT"] {
        // In a meeting of its own: who died in another is still listed there for a while.
        let room = format!("dark-{}", signal.to_lowercase());
        let links = Links::make(&folder.path().join(&room), &room, &[], &[]);
        let began = Instant::now();
        let mut guest = Links::member("guest", "guest", &links.guest)
            .board(&board)
            .with(["--camera", "test", "--microphone", "test"])
            .join(&server, &room);
        let mut host = Links::member("run", "box", &links.hosts[0])
            .board(&board)
            .with(["--camera", "test", "--microphone", "test"])
            .with(["--lamp-socket", socket.to_str().unwrap()])
            .with(["--panel-dir", panel.to_str().unwrap()])
            .join(&server, &room);
        host.wait_since(began, "sealed meeting", SOON, |status| {
            (status.shield.state == "sealed").then_some(())
        });
        let green = [("lamp-green".to_owned(), 100)];
        // Steadily, for as long as a lamp that nobody renews would hold out almost.
        let mut since = Instant::now();
        until("a second of green, and nothing else", SOON, || {
            if lit(&panel) != green {
                since = Instant::now();
            }
            since.elapsed() > Duration::from_secs(1)
        });
        assert_eq!(host.status().shield.state, "sealed");

        let gone = Instant::now();
        host.process.signal(signal);
        let dark = until("dark", SOON, || lit(&panel).is_empty());
        let burnt = dark - gone;
        println!("SIG{signal}: all lines dark after {} ms", burnt.as_millis());
        assert!(burnt <= DARK_WITHIN, "SIG{signal}: {burnt:?}");
        if signal == "STOP" {
            // It hangs, it has not ended: and stays dark for as long as that lasts.
            assert!(host.process.is_running());
            let since = Instant::now();
            until("three seconds of darkness", SOON, || {
                assert!(lit(&panel).is_empty());
                since.elapsed() > Duration::from_secs(3)
            });
        }
        assert!(guest.interrupt_cleanly());
    }
}
