// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Roomseal meeting on a plain LiveKit server: a host's box, and guests by its links.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use roomseal_tests::appliance::{Appliance, Start};
use roomseal_tests::crossing::Crossing;
use roomseal_tests::livekit::Server;
use roomseal_tests::places;
use roomseal_tests::toggle::{Button, Links};

use crate::{SOON, one_at_a_time, talking_clip};

/// Makes a meeting in `folder` and gives the links of host and guests.
pub(crate) fn new_meeting(folder: &Path, room: &str, more: &[&str]) -> (PathBuf, PathBuf) {
    let links = Links::make(folder, room, &[], more);
    (folder.join("host.link"), links.guest)
}

pub(crate) fn start(command: &'static str, identity: &'static str, link: &Path) -> Start<'static> {
    Links::member(command, identity, link)
}

pub(crate) fn wait_for_shield(of: &Appliance, since: Instant, state: &str) -> Duration {
    of.wait_since(since, state, SOON, |status| {
        (status.shield.state == state).then_some(())
    });
    since.elapsed()
}

/// Asks a running box for something, as a person on its command line does.
pub(crate) fn ask(of: &Appliance, wish: &[&str]) -> (bool, String) {
    let asked = Command::new(places::built("roomseal"))
        .args(wish)
        .arg("--socket")
        .arg(of.folder().join("status.sock"))
        .output()
        .unwrap();
    let mut said = String::from_utf8_lossy(&asked.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&asked.stderr));
    (asked.status.success(), said)
}

#[test]
fn a_host_turns_encryption_on_in_the_running_meeting_and_everybody_follows() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let server = Server::on_loopback();
    let links = folder.path().join("meeting");
    let (host_link, guest_link) = new_meeting(&links, "press", &["--announce-off"]);

    let panel = folder.path().join("panel");
    let mut host = start("run", "box", &host_link)
        .playing(&clip)
        .with(["--panel-dir", panel.to_str().unwrap()])
        .join(&server, "press");
    let mut guest = start("guest", "guest", &guest_link)
        .with(["--publish", clip.to_str().unwrap()])
        .join(&server, "press");
    let began = Instant::now();
    // Nobody knows the other's word before it was heard, so nothing leaves before.
    for member in [&host, &guest] {
        wait_for_shield(member, began, "open");
    }
    for (member, of) in [(&host, "guest"), (&guest, "box")] {
        for source in ["camera", "microphone"] {
            member.wait_for_track("clear media while it is off", of, source, SOON, |track| {
                track.verification == "clear"
            });
        }
    }

    let refused = Instant::now();
    let (denied, said) = ask(&guest, &["e2ee", "on"]);
    assert!(!denied && said.contains("only a host"), "{said}");
    wait_for_shield(&guest, refused, "denied");
    // Two seconds later it is as before.
    wait_for_shield(&guest, Instant::now() + Duration::from_secs(2), "open");

    let pressed = Instant::now();
    let (done, said) = ask(&host, &["e2ee", "on"]);
    assert!(done, "{said}");
    for member in [&host, &guest] {
        let took = wait_for_shield(member, pressed, "sealed");
        println!(
            "{}: sealed {} ms after the press",
            member.identity(),
            took.as_millis()
        );
    }
    for (member, of) in [(&host, "guest"), (&guest, "box")] {
        for source in ["camera", "microphone"] {
            member.wait_for_track("verified media", of, source, SOON, |track| {
                track.verification == "verified"
            });
        }
    }
    // What left before the press was clear; after it nothing is.
    let clear = |member: &Appliance| -> u64 {
        let status = member.status();
        status.local_tracks.iter().map(|track| track.clear).sum()
    };
    let before = [clear(&host), clear(&guest)];
    assert!(before.iter().all(|frames| *frames > 0), "{before:?}");
    let sealed = |member: &Appliance| -> u64 {
        let status = member.status();
        status.local_tracks.iter().map(|track| track.sealed).sum()
    };
    let then = sealed(&host);
    host.wait_for("more sealed frames", SOON, |status| {
        let now: u64 = status.local_tracks.iter().map(|track| track.sealed).sum();
        (now > then + 100).then_some(())
    });
    assert_eq!([clear(&host), clear(&guest)], before);

    let (done, said) = ask(&host, &["chat", "can you read this"]);
    assert!(done, "{said}");
    guest.wait_for("a sealed line of chat", SOON, |status| {
        let line = status.chat.last()?;
        assert_eq!(
            (line.from.as_str(), line.text.as_str(), line.sealed),
            ("box", "can you read this", true)
        );
        Some(())
    });

    let (done, said) = ask(&host, &["e2ee", "off"]);
    assert!(!done && said.contains("at the box"), "{said}");

    // The button of the simulated panel: held, it is announced to everybody; any host's press ends the countdown.
    let button = Button::of(&panel);
    let announced = |since: Instant| {
        for member in [&host, &guest] {
            member.wait_since(since, "announcement that it goes off", SOON, |status| {
                let newest = status.happenings.last()?;
                newest.text.contains("goes off in").then_some(())
            });
        }
    };
    let held = button.hold();
    announced(held);
    button.press();
    host.wait_since(held, "end of the countdown", SOON, |status| {
        let newest = status.happenings.last()?;
        newest.text.contains("stays on").then_some(())
    });
    let held = button.hold();
    announced(held);
    for member in [&host, &guest] {
        let took = wait_for_shield(member, held, "open");
        println!(
            "{}: open {} ms after the key went down",
            member.identity(),
            took.as_millis()
        );
    }
    // Two seconds of holding and three of countdown; nothing leaves clear earlier.
    assert!(
        held.elapsed() >= Duration::from_secs(5),
        "{:?}",
        held.elapsed()
    );
    let again = button.press();
    for member in [&host, &guest] {
        wait_for_shield(member, again, "sealed");
    }

    assert!(guest.interrupt_cleanly());
    assert!(host.interrupt_cleanly());
}

#[test]
fn guests_begin_sealed_before_any_host_is_there_and_hosts_who_are_made_later_are_hosts() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let server = Server::on_loopback();
    let meeting = folder.path().join("meeting");
    let (_, guest_link) = new_meeting(
        &meeting,
        "scheduled",
        &["--signed-in-advance", "--keep-key"],
    );
    let began = Instant::now();
    let publishing = |identity| {
        start("guest", identity, &guest_link)
            .with(["--publish", clip.to_str().unwrap()])
            .join(&server, "scheduled")
    };
    let (mut anna, mut bert) = (publishing("anna"), publishing("bert"));
    for (member, of) in [(&anna, "bert"), (&bert, "anna")] {
        wait_for_shield(member, began, "sealed");
        member.wait_for_track("verified media", of, "camera", SOON, |track| {
            track.verification == "verified"
        });
    }

    let made = Command::new(places::built("roomseal"))
        .args(["new-host", "--host", "Carol", "--meeting"])
        .arg(&meeting)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    assert!(!String::from_utf8_lossy(&made.stdout).contains("#k="));
    let panel = folder.path().join("panel");
    let mut carol = start("run", "carol", &meeting.join("host-2.link"))
        .playing(&clip)
        .with(["--panel-dir", panel.to_str().unwrap()])
        .join(&server, "scheduled");
    wait_for_shield(&carol, Instant::now(), "sealed");
    let held = Button::of(&panel).hold();
    // It was announced as sealed, so a host has to say to each that it is not.
    for member in [&carol, &anna, &bert] {
        wait_for_shield(member, held, "open");
    }
    anna.wait_since(held, "who turned it off", SOON, |status| {
        let mut texts = status.happenings.iter();
        texts
            .find(|it| it.text == "Carol turned encryption off")
            .map(|_| ())
    });
    for member in [&mut carol, &mut anna, &mut bert] {
        assert!(member.interrupt_cleanly());
    }
}

#[test]
fn two_parts_of_a_meeting_each_with_a_host_find_together_with_encryption_on() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let meeting = folder.path().join("meeting");
    let hosts = ["--announce-off", "--host", "Hanna", "--host", "Carol"];
    let (hannas, guests) = new_meeting(&meeting, "parts", &hosts);
    let carols = meeting.join("host-2.link");
    // Two servers, so that nobody of one part hears anybody of the other; later the way to one leads to the other.
    let (one, other) = (Server::on_loopback(), Server::on_loopback());
    let way = Crossing::to(other.port());
    let begins = |begin: &str| {
        let file = folder.path().join(begin);
        std::fs::write(&file, format!("[meeting]\nbegin = \"{begin}\"\n")).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let host = |identity, link: &Path, begin: &str| {
        start("run", identity, link).with(["--config", &begins(begin), "--camera", "test"])
    };
    let token = |identity: &str| one.token(identity, "parts");
    let way_in = way.url();
    let mut hanna = host("hanna", &hannas, "off").join(&one, "parts");
    let mut anna = start("guest", "anna", &guests).join(&one, "parts");
    let mut carol = host("carol", &carols, "on").join_at(&way_in, &token("carol"), "parts");
    let mut bert = start("guest", "bert", &guests).join_at(&way_in, &token("bert"), "parts");
    for (member, state) in [
        (&hanna, "open"),
        (&anna, "open"),
        (&carol, "sealed"),
        (&bert, "sealed"),
    ] {
        wait_for_shield(member, Instant::now(), state);
    }

    let led = Instant::now();
    way.lead_to(one.port());
    for member in [&hanna, &anna] {
        let took = wait_for_shield(member, led, "sealed");
        println!(
            "{}: sealed {} ms after the other part came",
            member.identity(),
            took.as_millis()
        );
    }
    for (member, of) in [(&carol, "hanna"), (&bert, "hanna"), (&anna, "carol")] {
        member.wait_for_track("verified media", of, "camera", SOON, |track| {
            track.verification == "verified"
        });
    }
    for member in [&carol, &bert] {
        wait_for_shield(member, Instant::now(), "sealed");
        for (at, status) in member.statuses() {
            assert!(
                at < led || status.shield.state != "open",
                "{}",
                member.identity()
            );
        }
    }
    for member in [&mut hanna, &mut anna, &mut carol, &mut bert] {
        assert!(member.interrupt_cleanly());
    }
}

#[test]
fn who_has_the_link_of_another_meeting_sees_who_is_there_and_opens_nothing() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let server = Server::on_loopback();
    let (host_link, _) = new_meeting(&folder.path().join("one"), "again", &[]);
    // The same room, and in every respect another meeting.
    let (_, other_link) = new_meeting(&folder.path().join("two"), "again", &[]);

    let mut host = start("run", "box", &host_link)
        .playing(&clip)
        .join(&server, "again");
    let mut stranger = start("guest", "stranger", &other_link).join(&server, "again");
    stranger.wait_for_track("the box's camera", "box", "camera", SOON, |_| true);
    wait_for_shield(&host, Instant::now(), "waiting");
    host.wait_for("sealed frames", SOON, |status| {
        let sealed: u64 = status.local_tracks.iter().map(|track| track.sealed).sum();
        (sealed > 200).then_some(())
    });
    for (_, status) in stranger.statuses() {
        let opened: u64 = status
            .participants
            .iter()
            .flat_map(|participant| &participant.tracks)
            .map(|track| track.opened)
            .sum();
        assert_eq!(opened, 0);
        assert!(!["sealed", "sealing", "open"].contains(&status.shield.state.as_str()));
    }
    assert!(
        host.status()
            .local_tracks
            .iter()
            .all(|track| track.clear == 0)
    );
    assert!(stranger.interrupt_cleanly());
    assert!(host.interrupt_cleanly());
}
