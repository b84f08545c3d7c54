// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal hub`: where its people are kept, and how the first admin comes by the code.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::program::{Place, Running};

const BASE: [&str; 9] = [
    "hub",
    "--api-key",
    "office",
    "--api-secret-file",
    "secret",
    "--listen",
    "127.0.0.1:0",
    "--media",
    "127.0.0.1:0",
];

fn place() -> Place {
    let place = Place::new();
    place.secret("secret", "made up for this test only, 0123456789");
    place
}

/// What the hub says first on standard output, and the hub, still serving.
fn first_line(place: &Place, more: &[&str]) -> (String, Running) {
    let mut hub = Command::new(env!("CARGO_BIN_EXE_roomseal"));
    hub.args(BASE)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut running = Running::start(&mut hub, place);
    let out = running.0.stdout.take().unwrap();
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).unwrap();
    (line, running)
}

#[test]
fn the_code_for_the_first_admin_is_in_a_file_and_in_no_journal() {
    let place = place();
    let (line, _hub) = first_line(&place, &["--data", "data"]);
    let file = line.trim().rsplit(' ').next().unwrap();
    let code = std::fs::read_to_string(place.path().join(file)).unwrap();
    assert_eq!(code.trim().len(), "k3f9-ab2x-7mqp-4wcz".len(), "{line}");
    assert!(!line.contains(code.trim()), "{line}");
    let arguments = BASE.iter().copied().chain(["--data", "data"]);
    let arguments: Vec<_> = arguments.collect();
    place.roomseal(&arguments, b"").refused(1, "another hub");
}

#[test]
fn without_a_folder_the_code_for_the_first_admin_is_shown() {
    let (line, _hub) = first_line(&place(), &[]);
    let code = line.trim().rsplit(' ').next().unwrap();
    assert_eq!(code.split('-').count(), 4, "{line}");
}

#[test]
fn people_sign_in_over_tls_only() {
    let arguments = BASE
        .iter()
        .copied()
        .chain(["--origin", "http://meet.example.org"]);
    let arguments: Vec<_> = arguments.collect();
    place().roomseal(&arguments, b"").refused(2, "https://");
}
