// SPDX-License-Identifier: MIT OR Apache-2.0
//! Updates, installed by a real RAUC: the box shows them, begins no meeting meanwhile, and is not disturbed in one.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use roomseal_appliance::status::{Connection, Status};
use roomseal_tests::appliance::{Appliance, Start};
use roomseal_tests::livekit::Server;
use roomseal_tests::places;
use roomseal_tests::process::Running;
use roomseal_tests::rauc::{COMPATIBLE, Rauc, Signer};

use crate::roomseal::ask;
use crate::{SOON, one_at_a_time};

const MEDIA: [&str; 4] = ["--camera", "test", "--microphone", "test"];

/// `roomseal update`, running.
pub(crate) fn update(of: &Appliance, rauc: &Rauc, bundle: &Path) -> Running {
    let mut command = Command::new(places::built("roomseal"));
    let (key, bus) = rauc.bus();
    command.arg("update").arg(bundle).arg("--socket");
    command.arg(of.folder().join("status.sock")).env(key, bus);
    Running::start("update", &command)
}

fn state<'s>(wanted: &'s str) -> impl Fn(&Status) -> Option<()> + 's {
    move |status| (status.shield.state == wanted).then_some(())
}

#[test]
fn an_update_is_shown_while_it_is_installed_and_no_meeting_begins_then() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::new(&folder.path().join("ours"));
    let content: Vec<u8> = (0..1_000_000_u32)
        .map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let bundle = signer.update("next", COMPATIBLE, &content);
    let rauc = Rauc::believing(&signer);
    let server = Server::on_loopback();
    let device = Start::new("run", "box").with(MEDIA).wait_outside(&server);

    rauc.hold();
    let began = Instant::now();
    let mut updater = update(&device, &rauc, &bundle);
    device.wait_since(began, "update", SOON, state("updating"));
    let shown = device.wait_since(began, "progress", SOON, |status| {
        let update = status.updating.clone()?;
        (update.percent >= 20 && status.shield.state == "updating").then_some(update)
    });
    println!("{} %: {}", shown.percent, shown.text);
    for wish in [&["start"][..], &["join", "k3f-9ab-x2c"]] {
        let (done, said) = ask(&device, wish);
        assert!(
            !done && said.contains("being installed"),
            "{wish:?}: {said}"
        );
    }
    let second = update(&device, &rauc, &bundle).wait(SOON);
    assert!(!second.success());
    assert!(rauc.other_slot().iter().all(|byte| *byte == 0));
    assert_eq!(device.status().shield.state, "updating");

    rauc.go_on();
    assert!(updater.wait(SOON).success(), "{}", updater.output());
    device.wait_since(Instant::now(), "box as before", SOON, state("dark"));
    assert!(rauc.other_slot().starts_with(&content));
    device.wait_for("verdict", SOON, |status| {
        let mut happened = status.happenings.iter();
        happened
            .find(|one| one.text.contains("from the next start on"))
            .map(|_| ())
    });

    // Whoever installs it is killed: nobody shows what nobody says any more.
    rauc.hold();
    let again = Instant::now();
    let updater = update(&device, &rauc, &bundle);
    device.wait_since(again, "second update", SOON, state("updating"));
    let killed = Instant::now();
    drop(updater);
    device.wait_since(killed, "box without it", SOON, state("dark"));
    rauc.go_on();
    let begun = Instant::now();
    let (done, said) = ask(&device, &["start"]);
    assert!(done, "{said}");
    device.wait_since(begun, "meeting", SOON, state("waiting"));

    // In a meeting nothing is installed, and the lamp shows the meeting.
    let before = rauc.other_slot();
    let other = signer.update("other", COMPATIBLE, &content[1..]);
    let mut refused = update(&device, &rauc, &other);
    assert!(!refused.wait(SOON).success());
    assert!(
        refused.output().contains("is in a meeting"),
        "{}",
        refused.output()
    );
    assert_eq!(rauc.other_slot(), before);
    assert!(device.statuses().iter().all(|(_, status)| {
        status.updating.is_none()
            || matches!(
                status.connection,
                Connection::Left { .. } | Connection::Starting
            )
    }));
}

#[test]
fn an_update_of_a_stranger_or_for_another_board_is_refused_in_words_and_changes_nothing() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let ours = Signer::new(&folder.path().join("ours"));
    let theirs = Signer::new(&folder.path().join("theirs"));
    let rauc = Rauc::believing(&ours);
    let content = vec![0x5a; 100_000];
    let good = ours.update("good", COMPATIBLE, &content);
    let mut changed = std::fs::read(&good).unwrap();
    changed[200] ^= 1;
    let changed_file = folder.path().join("changed.raucb");
    std::fs::write(&changed_file, changed).unwrap();
    let (key, bus) = rauc.bus();
    for (bundle, expected) in [
        (
            theirs.update("foreign", COMPATIBLE, &content),
            "nobody signed it",
        ),
        (changed_file, "nobody signed it"),
        (
            ours.update("board", "roomseal-rpi5", &content),
            "another kind of box",
        ),
        (folder.path().join("nowhere.raucb"), "cannot be read"),
    ] {
        let ran = Command::new(places::built("roomseal"))
            .arg("update")
            .arg(&bundle)
            .arg("--socket")
            .arg(folder.path().join("no.sock"))
            .env(key, &bus)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        println!("{said}");
        assert_eq!(ran.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{}: {said}", bundle.display());
        assert!(
            rauc.other_slot().iter().all(|byte| *byte == 0),
            "{}",
            bundle.display()
        );
    }
    // Without a service, that is said.
    let ran = Command::new(places::built("roomseal"))
        .arg("update")
        .arg(&good)
        .arg("--socket")
        .arg(folder.path().join("no.sock"))
        .env(key, "unix:path=/nonexistent/bus")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("does not run"), "{said}");
}
