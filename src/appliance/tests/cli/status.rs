// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal status` and the help texts.

use roomseal_appliance::control;
use roomseal_appliance::status::socket::Socket;
use roomseal_appliance::status::{Connection, Publisher, Status};
use roomseal_appliance::supervise::Supervisor;

use crate::program::Place;

#[test]
fn without_a_running_box_it_says_so_and_ends_with_4() {
    let place = Place::new();
    for more in [&[][..], &["--json"], &["--watch"]] {
        let mut arguments = vec!["status", "--socket", "absent.sock"];
        arguments.extend(more);
        place
            .roomseal(&arguments, b"")
            .refused(4, "no running box answers on absent.sock");
    }
    place.file("file.sock", "", 0o600);
    place
        .roomseal(&["status", "--socket", "file.sock"], b"")
        .refused(4, "roomseal run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_box_answers_people_and_programs() {
    let place = Place::new();
    let publisher = Publisher::new(Status {
        room: "lobby\x1b[2J".to_owned(),
        connection: Connection::Joined,
        ..Status::default()
    });
    let mut supervisor = Supervisor::new();
    let socket = Socket::bind(&place.path().join("status.sock")).unwrap();
    let (control, _orders) = control::channel();
    let serving = socket.serve(publisher.clone(), control, supervisor.stop());
    supervisor.task("status", serving);

    let place = std::sync::Arc::new(place);
    let ask = |json: bool| {
        let place = std::sync::Arc::clone(&place);
        tokio::task::spawn_blocking(move || {
            let mut arguments = vec!["status", "--socket", "status.sock"];
            if json {
                arguments.push("--json");
            }
            place.roomseal(&arguments, b"")
        })
    };
    let people = ask(false).await.unwrap();
    assert_eq!(people.code, 0, "{}", people.err);
    assert!(
        people.text().contains("in the meeting"),
        "{}",
        people.text()
    );
    assert!(!people.text().contains('\x1b'), "{:?}", people.text());
    let programs = ask(true).await.unwrap();
    let status: Status = serde_json::from_str(programs.text()).unwrap();
    assert_eq!(status.connection, Connection::Joined);
    assert_eq!(programs.text().lines().count(), 1);

    supervisor.stop().ask();
    supervisor.run().await.unwrap();
}

#[test]
fn help_is_there_for_every_command_with_exit_codes_and_examples() {
    let place = Place::new();
    let help = place.roomseal(&["--help"], b"");
    assert_eq!(help.code, 0);
    assert!(help.text().contains("Exit codes"), "{}", help.text());
    for command in [
        "check-config",
        "enrol",
        "frame",
        "guest",
        "invite",
        "join",
        "key",
        "leave",
        "mute",
        "run",
        "selftest",
        "status",
    ] {
        assert!(help.text().contains(command), "{command}");
        let own = place.roomseal(&[command, "--help"], b"");
        assert_eq!(own.code, 0, "{command}");
        assert!(own.text().contains("Usage: roomseal"), "{command}");
    }
    place.roomseal(&[], b"").refused(2, "Usage");
    place.roomseal(&["statsu"], b"").refused(2, "status");
    let version = place.roomseal(&["--version"], b"");
    assert_eq!(
        version.text(),
        concat!("roomseal ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_process_forbids_cores() {
    use std::io::Write;
    let place = Place::new();
    place.secret("passphrase", "mypassword");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_roomseal"))
        .args([
            "frame",
            "seal",
            "--codec",
            "opus",
            "--passphrase-file",
            "passphrase",
        ])
        .current_dir(place.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than a pipe holds: once it is written, the program holds its key and is reading.
    stdin.write_all(&[0x78; 256 * 1024]).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    drop(stdin);
    assert!(child.wait_with_output().unwrap().status.success());
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core"))
        .unwrap();
    let values: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(values[4..6], ["0", "0"], "{core}");
}
