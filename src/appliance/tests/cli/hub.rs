// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal hub`: where its people are kept, and how the first admin comes by the code.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

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
    let (address, _, running) = speaking(place, "127.0.0.1:0", &[]);
    (address, running)
}

/// Where a hub with its people in `data` listens, what it says before and after, and the hub.
fn speaking(place: &Place, listen: &str, more: &[&str]) -> (String, Receiver<String>, Running) {
    let mut hub = Command::new(env!("CARGO_BIN_EXE_roomseal"));
    hub.args(listening(listen))
        .args(["--data", "data"])
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut running = Running::start(&mut hub, place);
    let mut log = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let (say, said) = mpsc::channel();
    let address = log.find_map(|line| {
        let line = line.unwrap();
        let address = line.split_once("the hub listens on ").map(|(_, rest)| {
            let (address, _) = rest.split_once(',').unwrap();
            address.to_owned()
        });
        say.send(line).unwrap();
        address
    });
    // Its pipe is read to the end, so that it never waits for us.
    std::thread::spawn(move || {
        for line in log.map_while(Result::ok) {
            let _ = say.send(line);
        }
    });
    (address.unwrap(), said, running)
}

/// [`BASE`] with another address for signalling.
fn listening(at: &str) -> Vec<&str> {
    let mut arguments = BASE.to_vec();
    arguments[6] = at;
    arguments
}

/// The next thing said that holds `part`.
fn said(log: &Receiver<String>, part: &str) -> String {
    loop {
        let line = log.recv_timeout(Duration::from_secs(60)).unwrap();
        if line.contains(part) {
            return line;
        }
    }
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

/// What curl gets from the hub, head and body, if it believes its certificate by the one in the file `authority`.
fn curl(place: &Place, authority: &str, url: &str, more: &[&str]) -> Result<String, i32> {
    let mut curl = Command::new("/usr/bin/curl");
    curl.args(["-sSi", "--max-time", "60", "--cacert", authority])
        .args(more)
        .arg(url);
    let ran = place.run(&mut curl, b"");
    match ran.code {
        0 => Ok(ran.text().to_owned()),
        code => Err(code),
    }
}

fn openssl(place: &Place, arguments: &[&str]) -> String {
    let ran = place.run(Command::new("/usr/bin/openssl").args(arguments), b"");
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.text().to_owned()
}

#[test]
fn beyond_this_machine_there_is_no_hub_without_tls_unless_that_was_asked_for() {
    let place = place();
    let everywhere = |more: &[&str]| {
        let mut arguments = listening("0.0.0.0:0");
        arguments.extend(more);
        place.roomseal(&arguments, b"")
    };
    let refused = everywhere(&[]);
    refused.refused(2, "takes TLS");
    assert!(refused.err.contains("--insecure-lan"), "{}", refused.err);
    everywhere(&["--tls-certificate", "some.pem"]).refused(2, "--tls-key");
    let (_, log, hub) = speaking(&place, "0.0.0.0:0", &["--insecure-lan"]);
    said(&log, "NOT PROTECTED");
    drop(hub);
    let (address, log, _hub) = speaking(&place, "0.0.0.0:0", &[]);
    said(&log, "self-made certificate");
    let port = address.rsplit(':').next().unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    assert!(curl(&place, "data/hub.pem", &url, &[]).is_err());
}

#[test]
fn a_self_made_certificate_is_kept_its_hash_is_shown_and_sessions_are_for_tls_alone() {
    let place = place();
    let (address, log, hub) = speaking(&place, "127.0.0.1:0", &["--tls"]);
    let shown = said(&log, "its SHA-256 is ");
    let printed = openssl(
        &place,
        &[
            "x509",
            "-in",
            "data/hub.pem",
            "-noout",
            "-fingerprint",
            "-sha256",
        ],
    );
    let (_, hash) = printed.trim().split_once('=').unwrap();
    assert!(shown.contains(hash), "{shown} {hash}");
    let key = std::fs::metadata(place.path().join("data/hub.pem")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);

    let file = place.path().join("data/set-up-code");
    let code = loop {
        match std::fs::read_to_string(&file) {
            Ok(code) => break code,
            Err(_) => std::thread::yield_now(),
        }
    };
    let body = format!(
        r#"{{"code":"{}","name":"ada","password":"correct horse battery"}}"#,
        code.trim()
    );
    let own = format!("Origin: https://{address}");
    let clear = format!("Origin: http://{address}");
    let url = |path: &str| format!("https://{address}{path}");
    let ask = |path: &str, origin: &str, body: &str| {
        let headers = ["-H", "Roomseal-Request: 1", "-H", origin, "--json", body];
        curl(&place, "data/hub.pem", &url(path), &headers).unwrap()
    };
    let refused = ask("/api/set-up", &clear, &body);
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    let made = ask("/api/set-up", &own, &body);
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    assert!(made.contains("set-cookie: __Host-roomseal="), "{made}");
    assert!(made.contains("; Secure"), "{made}");
    // Nobody would come back from that when the certificate is made anew.
    assert!(!made.contains("strict-transport-security"), "{made}");
    let join = "/api/meetings/lobby/join";
    let entry = ask(join, &own, r#"{"name":"Petra"}"#);
    assert!(
        entry.contains(&format!("\"url\":\"wss://{address}\"")),
        "{entry}"
    );
    let refused = ask(join, &clear, r#"{"name":"Petra"}"#);
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    let told = curl(&place, "data/hub.pem", &url("/api/certificate"), &[]).unwrap();
    let plain = hash.replace(':', "").to_ascii_lowercase();
    assert!(
        told.ends_with(&format!("{{\"sha256\":\"{plain}\"}}")),
        "{told}"
    );
    // A name that somebody points here is none of this hub's.
    let there = curl(
        &place,
        "data/hub.pem",
        &url("/api/me"),
        &["-H", "Host: evil.example"],
    );
    assert!(there.unwrap().starts_with("HTTP/1.1 421"));
    drop(hub);

    let proxied = ["--tls", "--origin", "https://meet.example.org"];
    let (address, log, _hub) = speaking(&place, "127.0.0.1:0", &proxied);
    assert!(said(&log, "its SHA-256 is ").contains(hash));
    // Who comes through a proxy is shown the certificate of that.
    for (name, is_told) in [(address.as_str(), true), ("meet.example.org", false)] {
        let url = format!("https://{address}/api/certificate");
        let told = curl(
            &place,
            "data/hub.pem",
            &url,
            &["-H", &format!("Host: {name}")],
        )
        .unwrap();
        assert_eq!(told.contains(&plain), is_told, "{name}: {told}");
        assert_eq!(
            told.ends_with("{\"sha256\":null}"),
            !is_told,
            "{name}: {told}"
        );
    }
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart_and_a_broken_one_is_not() {
    let place = place();
    let make = |name: &str| {
        let files = [format!("{name}.pem"), format!("{name}.key")];
        openssl(
            &place,
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=hub",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-out",
                &files[0],
                "-keyout",
                &files[1],
            ],
        );
        files
    };
    make("first");
    make("second");
    let put = |from: &str, to: &str| {
        let read = std::fs::read_to_string(place.path().join(from)).unwrap();
        place.secret(to, &read);
    };
    put("first.pem", "shown.pem");
    put("first.key", "shown.key");
    let given = ["--tls-certificate", "shown.pem", "--tls-key", "shown.key"];
    let (address, log, hub) = speaking(&place, "127.0.0.1:0", &given);
    let url = format!("https://{address}/");
    let first = curl(&place, "first.pem", &url, &[]).unwrap();
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    assert!(
        first.contains("strict-transport-security: max-age="),
        "{first}"
    );
    assert!(curl(&place, "second.pem", &url, &[]).is_err());
    let told = curl(&place, "first.pem", &format!("{url}api/certificate"), &[]).unwrap();
    assert!(
        told.ends_with("{\"sha256\":null}"),
        "it will be renewed: {told}"
    );

    put("second.pem", "shown.pem");
    hub.signal(Signal::HUP);
    let kept = said(&log, "stays as it was");
    assert!(kept.contains("do not belong together"), "{kept}");
    assert!(curl(&place, "first.pem", &url, &[]).is_ok());
    put("second.key", "shown.key");
    hub.signal(Signal::HUP);
    said(&log, "another certificate is shown");
    assert!(curl(&place, "second.pem", &url, &[]).is_ok());
    assert!(curl(&place, "first.pem", &url, &[]).is_err());
}
