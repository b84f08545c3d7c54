// SPDX-License-Identifier: MIT OR Apache-2.0
//! The box on a terminal, where people start it.

use std::process::Command;

use roomseal_tests::appliance::{PASSPHRASE, secret};
use roomseal_tests::livekit::Server;
use roomseal_tests::places;
use roomseal_tests::process::Running;

use crate::{SOON, one_at_a_time};

#[test]
fn on_a_terminal_the_box_shows_its_meeting_and_leaves_on_ctrl_c() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let token = secret(folder.path(), "token", &server.token("box", "terminal"));
    let passphrase = secret(folder.path(), "passphrase", PASSPHRASE);
    // `script` gives it a terminal; `exec` leaves no shell between that takes the Ctrl-C.
    let line = format!(
        "exec {} run --board sim --url {} --room terminal --identity box --camera test --microphone test \
         --token-file {} --passphrase-file {} --status-socket {}",
        places::built("roomseal").display(),
        server.url(),
        token.display(),
        passphrase.display(),
        folder.path().join("status.sock").display(),
    );
    let mut command = Command::new("script");
    command.args(["-qfec", &line, "/dev/null"]);
    command.env("TERM", "xterm").env("SHELL", "/bin/sh");
    let mut terminal = Running::start("box on a terminal", &command);
    terminal.wait_for("word of the meeting", SOON, |line| {
        line.contains("in the meeting").then_some(())
    });
    terminal.wait_for("word of the camera", SOON, |line| {
        line.contains("camera").then_some(())
    });
    terminal.tell("\u{3}");
    let status = terminal.wait(SOON);
    let said = terminal.output();
    assert!(!said.contains("panicked"), "{said}");
    assert!(!said.contains(PASSPHRASE), "{said}");
    assert!(status.success(), "{status}: {said}");
}
