// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whoever has no key, or the wrong one, is asked for it at once and is let in without leaving.

use std::path::Path;
use std::time::{Duration, Instant};

use roomseal_appliance::status::{Connection, Status};
use roomseal_tests::appliance::{Appliance, Start, roomseal, track};
use roomseal_tests::code;
use roomseal_tests::livekit::Server;

use crate::roomseal::{new_meeting, start, wait_for_shield};
use crate::{SOON, one_at_a_time};

const MEDIA: [&str; 4] = ["--camera", "test", "--microphone", "test"];

/// Gives a key to a running box on the standard input of `roomseal key`; what it said, and whether it was taken.
fn enter(key: &str, into: &Appliance) -> (bool, String) {
    let socket = into.folder().join("status.sock");
    let arguments = ["key", "--socket", socket.to_str().unwrap()];
    let output = roomseal(&arguments, format!("{key}\n").as_bytes());
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// How long healing may take: 2 s, and as much longer as more programs than processors want to run.
fn bound() -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let load: f64 = load.split(' ').next().unwrap().parse().unwrap();
    let processors = std::thread::available_parallelism().unwrap().get();
    Duration::from_secs_f64(2.0 * (load / processors as f64).max(1.0))
}

fn asks(of: &Appliance, what: &str) {
    of.wait_for("request for a key", SOON, |status| {
        status
            .asks
            .as_ref()
            .filter(|ask| ask.what == what)
            .map(|_| ())
    });
}

/// Enters the right key and waits until the host's picture opens, in one stay.
fn heal(member: &Appliance, key: &str) {
    let entered = Instant::now();
    let (taken, said) = enter(key, member);
    assert!(taken, "{said}");
    member.wait_since(entered, "picture that opens", SOON, |status: &Status| {
        let camera = track(status, "box", "camera")?;
        (camera.verification == "verified" && status.asks.is_none()).then_some(())
    });
    let took = entered.elapsed();
    println!("healed {} ms after the key was entered", took.as_millis());
    assert!(took <= bound(), "{took:?} of {:?}", bound());
    wait_for_shield(member, entered, "sealed");
    let left = member
        .statuses()
        .iter()
        .any(|(at, status)| *at > entered && status.connection != Connection::Joined);
    assert!(!left, "it left the meeting for its key");
}

fn hosted(server: &Server, room: &str, link: &Path, more: &[&str]) -> Appliance {
    // So that it may write the metadata: whoever comes knows at once that there is a policy.
    start("run", "box", link)
        .api_key(server)
        .with(MEDIA)
        .with(more)
        .join(server, room)
}

#[test]
fn a_missing_or_wrong_passphrase_is_asked_for_and_healed_without_leaving() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let (host_link, guest_link) = new_meeting(folder.path(), "words", &["--passphrase"]);
    let file = folder.path().join("passphrase");
    let passphrase = std::fs::read_to_string(&file).unwrap();
    let passphrase = passphrase.trim();
    assert_eq!(passphrase.split(' ').count(), 6);
    let host = hosted(
        &server,
        "words",
        &host_link,
        &["--passphrase-file", file.to_str().unwrap()],
    );

    let late = start("run", "late", &guest_link)
        .with(MEDIA)
        .join(&server, "words");
    asks(&late, "passphrase");
    wait_for_shield(&late, Instant::now(), "wrong-key");
    late.process
        .wait_for("request on the terminal", SOON, |line| {
            (line.contains("roomseal key") && line.starts_with("key: ")).then_some(())
        });
    let (taken, said) = enter("short words", &late);
    assert!(!taken && said.contains("needs 12"), "{said}");
    let (taken, said) = enter("six words that are not it", &late);
    assert!(
        !taken && said.contains("not the key of this meeting"),
        "{said}"
    );
    // As a phone writes it.
    heal(&late, &format!(" {} ", passphrase.to_uppercase()));
    // Who is in keeps what is right.
    let (taken, _) = enter("six words that are not it", &late);
    assert!(!taken);
    assert!(late.status().asks.is_none());

    let other = folder.path().join("other");
    std::fs::copy(&file, &other).unwrap();
    std::fs::write(&other, "quite another passphrase").unwrap();
    let wrong = start("run", "wrong", &guest_link)
        .with(MEDIA)
        .with(["--passphrase-file", other.to_str().unwrap()])
        .join(&server, "words");
    wait_for_shield(&wrong, Instant::now(), "wrong-key");
    asks(&wrong, "passphrase");
    heal(&wrong, passphrase);

    for member in [&host, &late, &wrong] {
        for (_, line) in member.process.lines() {
            assert!(!line.contains(passphrase), "{line}");
        }
    }
}

/// Writes the link in `file` without its secret into `cut`; gives the whole of it, and the secret.
fn without_secret(file: &Path, cut: &Path) -> (String, String) {
    let whole = std::fs::read_to_string(file).unwrap();
    let (address, fields) = whole.trim().split_once('#').unwrap();
    let (secret, rest) = fields.split_once('&').unwrap();
    let secret = secret.strip_prefix("k=").unwrap().to_owned();
    // Keeps the mode that a secret has to have.
    std::fs::copy(file, cut).unwrap();
    std::fs::write(cut, format!("{address}#{rest}")).unwrap();
    (whole.trim().to_owned(), secret)
}

#[test]
fn the_code_of_a_link_that_is_held_to_the_camera_lets_the_box_in() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let (host_link, guest_link) = new_meeting(folder.path(), "held", &[]);
    let _host = hosted(&server, "held", &host_link, &[]);
    let cut = folder.path().join("cut.link");
    let (whole, secret) = without_secret(&guest_link, &cut);
    let held = folder.path().join("held.mkv");
    code::clip(&whole, &held);

    let camera = format!("file:{}", held.display());
    let seeing = ["--camera", &camera, "--microphone", "test"];
    let guest = start("run", "guest", &cut)
        .with(seeing)
        .join(&server, "held");
    asks(&guest, "link");
    let began = Instant::now();
    guest.wait_for("picture that opens", SOON, |status| {
        let camera = track(status, "box", "camera")?;
        (camera.verification == "verified" && status.asks.is_none()).then_some(())
    });
    println!("let in {} ms after it asked", began.elapsed().as_millis());
    wait_for_shield(&guest, began, "sealed");
    guest.wait_for("word of it", SOON, |status| {
        let mut said = status.happenings.iter();
        said.find(|it| it.text == "new key at the box").map(|_| ())
    });

    // Between meetings the camera is opened for a code only when somebody wants that.
    let device = Start::new("run", "second")
        .with(seeing)
        .wait_outside(&server);
    let now = Instant::now();
    let (done, said) = crate::roomseal::ask(&device, &["join", "--camera"]);
    assert!(done && said.contains("hold the code"), "{said}");
    wait_for_shield(&device, now, "sealed");
    for member in [&guest, &device] {
        for (_, line) in member.process.lines() {
            assert!(!line.contains(&secret), "{line}");
        }
    }
}

#[test]
fn a_link_that_came_without_its_secret_is_completed_without_leaving() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let (host_link, guest_link) = new_meeting(&folder.path().join("one"), "cut", &[]);
    let (_, other_link) = new_meeting(&folder.path().join("two"), "cut", &[]);
    let _host = hosted(&server, "cut", &host_link, &[]);
    let cut = folder.path().join("cut.link");
    let (whole, secret) = without_secret(&guest_link, &cut);

    let guest = start("run", "guest", &cut).with(MEDIA).join(&server, "cut");
    asks(&guest, "link");
    // It asks on its way in already.
    wait_for_shield(&guest, Instant::now(), "wrong-key");
    let (taken, said) = enter("correct horse battery staple", &guest);
    assert!(!taken && said.contains("host"), "{said}");
    let other = std::fs::read_to_string(&other_link).unwrap();
    let (taken, said) = enter(other.trim(), &guest);
    assert!(!taken && said.contains("another meeting"), "{said}");
    heal(&guest, &whole);
    for (_, line) in guest.process.lines() {
        assert!(!line.contains(&secret), "{line}");
    }
    assert!(
        !serde_json::to_string(&guest.status())
            .unwrap()
            .contains(&secret)
    );
}
