// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal enrol`: what is kept, what is said, and what a hub's refusals mean.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::program::{Place, Ran};

const CODE: &str = "k3f9-ab2x-7mqp-4wcz";

/// Answers one request; gives what was asked.
fn hub(status: u16, answer: &Value) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = answer.to_string();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut buffer = [0; 4096];
        while !asked.ends_with(b"}") {
            let read = stream.read(&mut buffer).unwrap();
            asked.extend_from_slice(&buffer[..read]);
        }
        let length = answer.len();
        write!(
            stream,
            "HTTP/1.1 {status} .\r\nRetry-After: 9\r\nContent-Length: {length}\r\n\r\n{answer}"
        )
        .unwrap();
        String::from_utf8(asked).unwrap()
    });
    (address, asked)
}

fn enrol(place: &Place, hub: &str, code: &str) -> Ran {
    let code = format!("{code}\n");
    let arguments = [
        "enrol",
        "--state",
        "state",
        "--hub",
        hub,
        "--name",
        "Board room",
    ];
    place.roomseal(&arguments, code.as_bytes())
}

fn problem(kind: &str) -> Value {
    json!({ "type": format!("urn:roomseal:problem:{kind}"), "title": "x", "status": 403, "detail": "in words" })
}

fn enrolled() -> Value {
    json!({ "id": "abc", "account": "ada", "name": "Board room", "key": "x", "made": 1 })
}

/// The words of the key, as they are printed.
fn words(said: &str) -> &str {
    let line = said.lines().find(|line| line.contains("words of its key"));
    line.unwrap().split_once(": ").unwrap().1
}

#[test]
fn a_box_keeps_key_and_enrolment_for_itself_and_shows_the_same_words_again() {
    let place = Place::new();
    let (address, asked) = hub(201, &enrolled());
    let ran = enrol(&place, &address, CODE);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let asked = asked.join().unwrap();
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("POST /api/devices/enrol HTTP/1.1"),
        "{head}"
    );
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["name"], "Board room");
    assert_eq!(body["code"], CODE);
    let said = ran.text().to_owned();
    assert!(said.contains("as Board room"), "{said}");
    assert!(words(&said).split(' ').count() >= 4, "{said}");
    assert!(!said.contains(CODE) && !ran.err.contains(CODE), "{ran:?}");
    for name in ["device.json", "device.key"] {
        let file = place.path().join("state").join(name);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let kept = std::fs::read_to_string(file).unwrap();
        assert!(!kept.contains("k3f9"), "{kept}");
    }
    let shown = place.roomseal(&["enrol", "--state", "state", "--show"], b"");
    assert_eq!(words(shown.text()), words(&said));

    // Enrolled again elsewhere, it is the same box.
    let (other, asked) = hub(201, &enrolled());
    let again = enrol(&place, &other, CODE);
    asked.join().unwrap();
    assert_eq!(words(again.text()), words(&said));
    for told in ["had already", "still lists it"] {
        assert!(again.text().contains(told), "{}", again.text());
    }

    let forgotten = place.roomseal(&["enrol", "--state", "state", "--forget"], b"");
    assert!(
        forgotten.text().contains("take it out there"),
        "{forgotten:?}"
    );
    assert_eq!(
        std::fs::read_dir(place.path().join("state"))
            .unwrap()
            .count(),
        0
    );
    for option in ["--show", "--forget"] {
        let ran = place.roomseal(&["enrol", "--state", "state", option], b"");
        ran.refused(1, "state");
    }
}

#[test]
fn what_a_hub_refuses_is_said_with_what_to_do() {
    let place = Place::new();
    for (answer, part) in [
        (problem("code"), "ask for a new one there"),
        (problem("key-taken"), "--forget"),
        (problem("too-many"), "wait 9 s"),
        (problem("disabled"), "ask an admin"),
        (problem("proof"), "as it is named on its own page"),
        (problem("invalid"), "in words"),
        (problem("busy"), "nothing has changed"),
        (json!("a page"), "no Roomseal hub"),
    ] {
        let (address, asked) = hub(403, &answer);
        enrol(&place, &address, CODE).refused(1, part);
        asked.join().unwrap();
        assert!(!place.path().join("state/device.json").exists());
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    enrol(&place, &nobody, CODE).refused(1, "is the server running?");
}

#[test]
fn what_is_missing_or_unsafe_is_refused_before_anybody_is_asked() {
    let place = Place::new();
    let without = place.roomseal(&["enrol", "--state", "state"], b"x\n");
    without.refused(2, "--hub is missing");
    enrol(&place, "http://192.0.2.7", CODE).refused(2, "--insecure-lan");
    enrol(&place, "ftp://192.0.2.7", CODE).refused(2, "--hub");
    enrol(&place, "https://meet.example.org", "").refused(1, "no code was given");
    let argument = place.roomseal(&["enrol", "--state", "state", CODE], b"");
    argument.refused(2, "unexpected argument");
    assert!(!place.path().join("state").exists());
    // Somebody else could have put it there.
    place.file("device.key", "00", 0o644);
    let arguments = ["enrol", "--state", ".", "--hub", "https://meet.example.org"];
    let open = place.roomseal(&arguments, b"code\n");
    open.refused(3, "chmod 600");
}

#[test]
fn a_folder_of_somebody_else_is_left_alone() {
    let place = Place::new();
    // Of root, or of nobody where root runs the tests.
    let theirs = place.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    let folder = match std::os::unix::fs::chown(&theirs, Some(65534), None) {
        Ok(()) => "theirs",
        Err(_) => "/",
    };
    for more in [
        &["--show"][..],
        &["--forget"],
        &["--hub", "https://meet.example.org"],
    ] {
        let arguments = [&["enrol", "--state", folder][..], more].concat();
        let ran = place.roomseal(&arguments, b"code\n");
        ran.refused(1, "sudo -u roomseal");
    }
}
