// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal hub`: where its people are kept, and how the first admin comes by the code.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use rustix::process::Signal;

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
    let second = place.roomseal(&arguments, b"");
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.err.contains("another hub"), "{}", second.err);
}

/// A hub with its people in `data`, and where it listens.
fn serving(place: &Place) -> (String, Running) {
    let mut hub = Command::new(env!("CARGO_BIN_EXE_roomseal"));
    hub.args(BASE)
        .args(["--data", "data"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut running = Running::start(&mut hub, place);
    let mut log = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let address = log.find_map(|line| {
        let line = line.unwrap();
        let (_, rest) = line.split_once("the hub listens on ")?;
        rest.split(',').next().map(str::to_owned)
    });
    // Its pipe is read to the end, so that it never waits for us.
    std::thread::spawn(move || log.count());
    (address.unwrap(), running)
}

/// The status, and the cookie if there is a new one.
fn ask(hub: &str, request: &str, headers: &str, body: &str) -> (u16, Option<String>) {
    let mut stream = TcpStream::connect(hub).unwrap();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: {hub}\r\nRoomseal-Request: 1\r\n{headers}Connection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let cookie = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_cookie = name.eq_ignore_ascii_case("set-cookie");
        is_cookie.then(|| value.split(';').next().unwrap_or_default().to_owned())
    });
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), cookie)
}

#[test]
fn what_was_answered_is_still_so_when_the_hub_was_killed() {
    let place = place();
    let (address, hub) = serving(&place);
    let file = place.path().join("data/set-up-code");
    let code = loop {
        match std::fs::read_to_string(&file) {
            Ok(code) => break code,
            Err(_) => std::thread::yield_now(),
        }
    };
    let password = "correct horse battery";
    let body = format!(
        r#"{{"code":"{}","name":"ada","password":"{password}"}}"#,
        code.trim()
    );
    let (status, cookie) = ask(&address, "POST /api/set-up", "", &body);
    assert_eq!(status, 201);
    let cookie = format!("Cookie: {}\r\n", cookie.unwrap());
    let (status, _) = ask(&address, "POST /api/accounts", &cookie, r#"{"name":"bob"}"#);
    assert_eq!(status, 201);
    hub.signal(Signal::KILL);
    drop(hub);

    let (address, _hub) = serving(&place);
    assert_eq!(ask(&address, "GET /api/me", &cookie, "").0, 200);
    let (status, _) = ask(&address, "POST /api/accounts", &cookie, r#"{"name":"bob"}"#);
    assert_eq!(status, 409, "the name is taken");
    let body = format!(r#"{{"name":"ada","password":"{password}"}}"#);
    assert_eq!(ask(&address, "POST /api/sign-in", "", &body).0, 200);
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

#[test]
fn what_a_hub_in_front_of_a_livekit_server_needs_is_asked_for() {
    let place = place();
    let livekit = ["--engine", "livekit"];
    let url = ["--livekit-url", "ws://127.0.0.1:7880"];
    let key = [
        "--livekit-api-key",
        "key",
        "--livekit-api-secret-file",
        "secret",
    ];
    let elsewhere = ["--livekit-url", "ws://192.0.2.1:7880"];
    let agent = ["--livekit-agent", "coffee=maker"];
    let words = |parts: &[&[&'static str]]| [&["hub"][..], &parts.concat()].concat();
    for (arguments, said) in [
        (words(&[]), "--api-key"),
        (words(&[&livekit, &key]), "--livekit-url"),
        (words(&[&livekit, &url]), "--livekit-api-key"),
        (words(&[&livekit, &elsewhere, &key]), "--insecure-lan"),
        (words(&[&livekit, &url, &key, &agent]), "FEATURE=NAME"),
        ([&BASE[..], &url].concat(), "--engine livekit"),
    ] {
        let refused = place.roomseal(&arguments, b"");
        assert_eq!(refused.code, 2, "{arguments:?}: {refused:?}");
        assert!(refused.err.contains(said), "{arguments:?}: {}", refused.err);
        assert!(!refused.err.contains("made up for this test"));
    }
}
