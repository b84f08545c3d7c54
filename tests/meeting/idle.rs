// SPDX-License-Identifier: MIT OR Apache-2.0
//! A box between meetings: it makes them, enters them, leaves them and ends them without being started again.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use roomseal_appliance::status::Connection;
use roomseal_tests::appliance::{Appliance, Start, participant, roomseal};
use roomseal_tests::livekit::Server;

use crate::roomseal::{ask, new_meeting, start, wait_for_shield};
use crate::{SOON, one_at_a_time};

const MEDIA: [&str; 4] = ["--camera", "test", "--microphone", "test"];

fn waiting(identity: &'static str, panel: &Path, server: &Server) -> Appliance {
    Start::new("run", identity)
        .with(MEDIA)
        .with(["--panel-dir", panel.to_str().unwrap()])
        .wait_outside(server)
}

/// Asks for something that has to be done.
fn done(of: &Appliance, wish: &[&str]) -> String {
    let (done, said) = ask(of, wish);
    assert!(done, "{wish:?}: {said}");
    said
}

/// Waits until it is in a room, and gives that.
fn entered(of: &Appliance, since: Instant) -> String {
    of.wait_since(since, "entry into a room", SOON, |status| {
        (status.connection == Connection::Joined).then(|| status.room.clone())
    })
}

fn left(of: &Appliance, since: Instant) -> String {
    of.wait_since(since, "box outside", SOON, |status| {
        match &status.connection {
            Connection::Left { reason } => Some(reason.clone()),
            _ => None,
        }
    })
}

fn press(panel: &Path) {
    let mut key = OpenOptions::new()
        .append(true)
        .open(panel.join("button"))
        .unwrap();
    writeln!(key, "press").unwrap();
}

#[test]
fn a_box_without_a_room_starts_leaves_enters_and_ends_meetings() {
    meetings_without_a_start(Server::on_loopback);
}

pub(crate) fn meetings_without_a_start(server: fn() -> Server) {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let panel = folder.path().join("panel");
    let host = waiting("box", &panel, &server);
    assert_eq!(host.status().room, "");
    let (done_so, said) = ask(&host, &["join"]);
    assert!(!done_so && said.contains("roomseal start"), "{said}");
    let (done_so, said) = ask(&host, &["leave"]);
    assert!(!done_so && said.contains("in no meeting"), "{said}");

    let began = Instant::now();
    let said = done(&host, &["start"]);
    let room = entered(&host, began);
    assert!(said.contains(&room), "{said} says nothing of {room}");
    assert_eq!(room.len(), 11, "{room} is no room code");
    // Alone, and sealed from its first moment.
    wait_for_shield(&host, began, "waiting");
    let file = folder.path().join("guest.link");
    done(&host, &["link", "--out", file.to_str().unwrap()]);
    let link = std::fs::read_to_string(&file).unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        link.contains("#k=") && !link.contains("&s="),
        "no guest link"
    );

    let mut guest = start("guest", "guest", &file)
        .with(MEDIA)
        .join(&server, &room);
    let now = Instant::now();
    for member in [&host, &guest] {
        wait_for_shield(member, now, "sealed");
    }
    let (refused, said) = ask(&guest, &["end"]);
    assert!(!refused && said.contains("only a host"), "{said}");

    let now = Instant::now();
    done(&host, &["leave"]);
    left(&host, now);
    guest.wait_since(now, "guest alone", SOON, |status| {
        participant(status, "box").is_none().then_some(())
    });
    let now = Instant::now();
    done(&host, &["join"]);
    assert_eq!(entered(&host, now), room);
    for member in [&host, &guest] {
        wait_for_shield(member, now, "sealed");
    }

    let now = Instant::now();
    done(&host, &["end"]);
    left(&host, now);
    assert!(!guest.process.wait(SOON).success());
    assert!(
        guest.process.output().contains("is over"),
        "{}",
        guest.process.output()
    );

    // The button makes another, with other keys.
    let now = Instant::now();
    press(&panel);
    let other = entered(&host, now);
    assert_ne!(other, room);
    wait_for_shield(&host, now, "waiting");
    done(
        &host,
        &[
            "link",
            "--out",
            folder.path().join("second.link").to_str().unwrap(),
        ],
    );

    // Another box comes by the room code, which has no key in it.
    let late = waiting("late", &folder.path().join("other"), &server);
    let now = Instant::now();
    done(&late, &["join", &other.to_uppercase().replace('-', " ")]);
    assert_eq!(entered(&late, now), other);
    late.wait_since(now, "request for a key", SOON, |status| {
        let ask = status.asks.as_ref()?;
        (ask.what == "link-or-passphrase").then_some(())
    });
    let link = std::fs::read(folder.path().join("second.link")).unwrap();
    let socket = late.folder().join("status.sock");
    let given = roomseal(&["key", "--socket", socket.to_str().unwrap()], &link);
    assert!(given.status.success(), "{given:?}");
    // Nobody told it who the host is, so it does not claim to know.
    wait_for_shield(&late, now, "sealed-by-service");
    let now = Instant::now();
    let entered_by_link = roomseal(
        &["join", "--link", "--socket", socket.to_str().unwrap()],
        &link,
    );
    assert!(entered_by_link.status.success(), "{entered_by_link:?}");
    for member in [&host, &late] {
        wait_for_shield(member, now, "sealed");
    }
    let secret = String::from_utf8(link).unwrap();
    let secret = secret.split(['=', '&']).nth(1).unwrap().to_owned();
    for member in [&host, &late] {
        for (_, line) in member.process.lines() {
            assert!(!line.contains(&secret), "{line}");
        }
    }
}

#[test]
fn a_box_that_cannot_make_meetings_says_why_and_enters_others_by_link_only_where_its_token_leads() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let (host_link, _) = new_meeting(&folder.path().join("there"), "there", &[]);
    let (other_link, _) = new_meeting(&folder.path().join("other"), "other", &[]);
    let panel = folder.path().join("panel");
    let device = Start::new("run", "box")
        .with(MEDIA)
        .with(["--panel-dir", panel.to_str().unwrap()])
        .join(&server, "there");
    device.wait_until_joined();
    let now = Instant::now();
    done(&device, &["leave"]);
    left(&device, now);
    let (made, said) = ask(&device, &["start"]);
    assert!(!made && said.contains("api-key"), "{said}");
    let now = Instant::now();
    press(&panel);
    device.wait_since(now, "reason on every view", SOON, |status| {
        let mut troubles = status.troubles.iter();
        let trouble = troubles.find(|trouble| trouble.about == "new meeting")?;
        trouble.text.contains("api-key").then_some(())
    });
    let (entered, said) = ask(
        &device,
        &["join", "--link-file", other_link.to_str().unwrap()],
    );
    assert!(!entered && said.contains("token"), "{said}");
    let now = Instant::now();
    done(
        &device,
        &["join", "--link-file", host_link.to_str().unwrap()],
    );
    wait_for_shield(&device, now, "waiting");
    assert!(device.status().hosted);
    let (_, said) = ask(&device, &["join", "https://meet.example.org/j/there#k=x"]);
    assert!(said.contains("--link"), "{said}");
}

#[test]
fn a_box_whose_button_starts_nothing_stays_outside_until_somebody_asks_in_words() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let panel = folder.path().join("panel");
    let config = folder.path().join("roomseal.toml");
    std::fs::write(&config, "[meeting]\nbutton-starts = false\n").unwrap();
    let device = Start::new("run", "box")
        .with(MEDIA)
        .with(["--config", config.to_str().unwrap()])
        .with(["--panel-dir", panel.to_str().unwrap()])
        .wait_outside(&server);
    // Both buttons are watched alike: when the second is heard, so was the first.
    press(&panel);
    let mut mute = OpenOptions::new()
        .append(true)
        .open(panel.join("mute-button"))
        .unwrap();
    writeln!(mute, "press").unwrap();
    device.wait_for("muted microphone", SOON, |status| {
        let mut happened = status.happenings.iter();
        happened
            .find(|one| one.text.contains("microphone muted"))
            .map(|_| ())
    });
    assert!(device.statuses().iter().all(|(_, status)| {
        status.room.is_empty()
            && matches!(
                status.connection,
                Connection::Starting | Connection::Left { .. }
            )
    }));
    let now = Instant::now();
    done(&device, &["start"]);
    entered(&device, now);
    wait_for_shield(&device, now, "waiting");
}
