// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal run` and `roomseal guest` without a service: nobody listens on the discard port, and the box goes on trying.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use roomseal_appliance::status::socket::Answer;
use roomseal_appliance::status::{Connection, Status};
use rustix::process::Signal;

use crate::program::{Place, Running};

/// Far more than anything here takes; a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(60);

const NOWHERE: &str = "ws://127.0.0.1:9";

fn place() -> Place {
    let place = Place::new();
    place.secret("api-secret", "a secret of at least 32 characters");
    place.secret("passphrase", "correct horse battery staple");
    place
}

fn the_box() -> Command {
    box_at(NOWHERE)
}

fn box_at(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomseal"));
    command.args([
        "run",
        "--url",
        url,
        "--camera",
        "none",
        "--microphone",
        "none",
        "--room",
        "lobby",
        "--api-key",
        "k",
        "--api-secret-file",
        "api-secret",
        "--passphrase-file",
        "passphrase",
        "--status-socket",
        "status.sock",
    ]);
    command
}

/// Asks for every status until `found`.
fn watch<T>(socket: &Path, found: impl Fn(&Status) -> Option<T>) -> T {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"{\"ask\":\"watch\"}\n").unwrap();
    for line in BufReader::new(stream).lines() {
        if let Ok(Answer::Status(status)) = serde_json::from_str(&line.unwrap())
            && let Some(found) = found(&status)
        {
            return found;
        }
    }
    panic!("the box closed its status socket");
}

#[test]
fn the_box_tells_systemd_that_it_lives_says_what_is_wrong_and_leaves_when_asked() {
    let place = place();
    let notify = UnixDatagram::bind(place.path().join("notify.sock")).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    let log = std::fs::File::create(place.path().join("log")).unwrap();
    let stream = log.metadata().unwrap();
    let mut command = the_box();
    command.stdout(Stdio::piped()).stderr(log);
    command
        .current_dir(place.path())
        .env_clear()
        .stdin(Stdio::null());
    command
        .env("NOTIFY_SOCKET", place.path().join("notify.sock"))
        .env("WATCHDOG_USEC", "900000")
        .env(
            "JOURNAL_STREAM",
            format!("{}:{}", stream.dev(), stream.ino()),
        );
    let mut running = Running(command.spawn().unwrap());
    let wait_for = |word: &str| {
        let began = Instant::now();
        let mut buffer = [0; 1024];
        while began.elapsed() < PATIENCE {
            let length = notify.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.lines().any(|line| line == word) {
                return;
            }
        }
        panic!("no {word}");
    };
    wait_for("READY=1");
    wait_for("WATCHDOG=1");

    let socket = place.path().join("status.sock");
    let status = watch(&socket, |status| {
        matches!(status.connection, Connection::Reconnecting { .. }).then(|| status.clone())
    });
    assert_eq!(status.room, "lobby");
    assert!(status.participants.is_empty());
    assert!(
        status.connection.text().contains("is the server running?"),
        "{status:?}"
    );
    wait_for("WATCHDOG=1");

    running.signal(Signal::TERM);
    wait_for("STOPPING=1");
    let ended = running.0.wait().unwrap();
    let log = std::fs::read_to_string(place.path().join("log")).unwrap();
    assert!(ended.success(), "{ended}\n{log}");
    assert!(!socket.exists());

    let mut view = String::new();
    std::io::Read::read_to_string(&mut running.0.stdout.take().unwrap(), &mut view).unwrap();
    assert_eq!(view, "", "journald gets events, not views");
    assert!(!log.is_empty());
    for line in log.lines() {
        let priority = line.as_bytes();
        assert!(priority[0] == b'<' && priority[2] == b'>', "{line}");
    }
    assert!(
        !log.contains("correct horse") && !log.contains("32 characters"),
        "{log}"
    );
}

#[test]
fn a_refusal_for_good_ends_the_box_with_its_reason() {
    use std::io::Read;
    let place = place();
    // A server that knows no such key, as LiveKit says it: the upgrade is refused, the question why is answered.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 8192];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(
                b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 18\r\nConnection: close\r\n\r\ninvalid API key: k",
            );
        }
    });
    let ran = place.run(&mut box_at(&url), b"");
    assert_eq!(ran.code, 1, "{ran:?}");
    let last = ran.err.lines().last().unwrap();
    assert!(
        last.starts_with("roomseal: ") && last.contains("API key"),
        "{}",
        ran.err
    );
}

#[test]
fn a_second_box_on_the_same_socket_is_refused_and_the_first_goes_on() {
    let place = place();
    let mut first = the_box();
    let mut first = Running::start(first.stdout(Stdio::piped()).stderr(Stdio::null()), &place);
    let socket = place.path().join("status.sock");
    let mut out = BufReader::new(first.0.stdout.as_mut().unwrap()).lines();
    assert!(
        out.next()
            .unwrap()
            .unwrap()
            .starts_with("room lobby on 127.0.0.1:9")
    );
    watch(&socket, |_| Some(()));
    let second = place.run(&mut the_box(), b"");
    assert_eq!(second.code, 1, "{second:?}");
    assert!(
        second.err.contains("another roomseal answers"),
        "{}",
        second.err
    );
    watch(&socket, |_| Some(()));
}

#[test]
fn an_invited_guest_knows_room_and_name_and_leaves_when_its_time_is_over() {
    let place = place();
    let ran = place.roomseal(
        &[
            "invite",
            "--url",
            "ws://127.0.0.1:9",
            "--room",
            "lobby",
            "--api-key",
            "k",
            "--api-secret-file",
            "api-secret",
            "--passphrase-file",
            "passphrase",
            "--out",
            "guest.invite",
            "--guest-name",
            "Zoë",
        ],
        b"",
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let words: Vec<&str> = ran.text().split_whitespace().skip(1).collect();
    let mut arguments = words.clone();
    arguments.extend(["--duration", "3", "--status-socket", "guest.sock"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomseal"));
    command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut guest = Running::start(&mut command, &place);
    let mut out = BufReader::new(guest.0.stdout.take().unwrap()).lines();
    assert!(
        out.next()
            .unwrap()
            .unwrap()
            .starts_with("room lobby on 127.0.0.1:9")
    );
    let status = watch(&place.path().join("guest.sock"), |status| {
        Some(status.clone())
    });
    assert!(status.identity.starts_with("guest-"), "{status:?}");
    assert_eq!(status.name, "Zoë");
    assert!(status.e2ee_required);
    assert!(guest.0.wait().unwrap().success());

    // The invitation itself is guarded like any secret.
    let path = place.path().join("guest.invite");
    let text = std::fs::read_to_string(&path).unwrap();
    place.file("guest.invite", &text, 0o644);
    place.roomseal(&words, b"").refused(3, "chmod 600");
    place.secret(
        "guest.invite",
        &text.replace("token = \"", "token = \"\u{1}"),
    );
    place.roomseal(&words, b"").refused(3, "guest.invite:");
    place.secret("guest.invite", "room = \"lobby\"");
    place.roomseal(&words, b"").refused(3, "guest.invite:1:1");
}
