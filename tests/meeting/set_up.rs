// SPDX-License-Identifier: MIT OR Apache-2.0
//! A box that nobody has set up: it says so, is set up on its page from the network or by what is brought, and goes on by
//! itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use roomseal_appliance::provisioning::Folder;
use roomseal_appliance::status::{Connection, Status};
use roomseal_tests::appliance::{Appliance, Start};
use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::livekit::Server;

use crate::panel::pair;
use crate::roomseal::ask;
use crate::screen::see;
use crate::{SOON, one_at_a_time};

/// A box whose page is on the network, and whose screen and lamp lie in `folder`.
fn the_box(folder: &Path) -> Appliance {
    let at = |name: &str| folder.join(name).display().to_string();
    Start::new("run", "box")
        .with(["--camera", "test", "--microphone", "test"])
        .with([
            "--panel-page",
            "127.0.0.1:0",
            "--panel-network",
            "127.0.0.1:0",
        ])
        .with([
            "--screen",
            &format!("file:{}", at("screen.png")),
            "--with-lamp",
        ])
        .with([
            "--panel-dir",
            &at("panel"),
            "--lamp-socket",
            &at("lamp.sock"),
        ])
        .provisioned(&folder.join("state"))
}

fn state<'s>(wanted: &'s str) -> impl Fn(&Status) -> Option<()> + 's {
    move |status| (status.shield.state == wanted).then_some(())
}

/// Every file below `folder`, with its text.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
            let name = entry.file_name().to_str().unwrap().to_owned();
            found.push((name, fs::read_to_string(entry.path()).unwrap()));
        }
    }
    found
}

#[test]
fn a_box_that_nobody_set_up_is_set_up_from_a_telephone_and_goes_on_by_itself() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let (key, secret) = server.api_key();
    let mut device = the_box(folder.path());
    device.wait_for("set-up", SOON, state("set-up"));
    let there = device.wait_for("page on the network", SOON, |status| {
        status.network_page.clone().map(|page| page.address)
    });
    let screen = folder.path().join("screen.png");
    see(&screen, "code of the page on the network", |picture| {
        picture.codes().contains(&there).then_some(())
    });
    crate::screen::keep(&screen, "set-up");
    // Blue, in a slow blink.
    see_lamp(folder.path(), "lamp-blue");
    for wish in [&["start"][..], &["join", "lobby"], &["e2ee", "on"]] {
        let (done, said) = ask(&device, wish);
        assert!(!done && said.contains("not set up yet"), "{wish:?}: {said}");
    }

    let mut browser = Browser::start();
    browser.open(&there, Window::Phone, "dark");
    // Nobody answers who did not stand at the box.
    assert!(!browser.shows("#panel:not([hidden])"));
    pair(&mut browser, &device);
    browser.see("body[data-state=set-up] h1", "Set-up", SOON);
    let fill = |browser: &mut Browser, id: &str, text: &str| {
        browser.tab_to(id);
        browser.write(text);
    };
    fill(&mut browser, "set-up-url", "meet.example.org");
    fill(&mut browser, "set-up-api-key", key);
    browser.key("Enter");
    browser.see("#set-up-name-wrong", "what the box is called", SOON);
    browser.see("#set-up-api-secret-wrong", "belongs to the API key", SOON);
    // The first of them has the focus.
    browser.write("Board room");
    fill(&mut browser, "set-up-api-secret", secret);
    browser.key("Enter");
    browser.see("#set-up-url-wrong", "wss://", SOON);
    assert!(!browser.shows("#set-up-name[aria-invalid]"));
    let complaint = browser.picture("set-up-wrong-phone-dark");
    println!("{}", complaint.display());
    let kept = files(&folder.path().join("state"));
    assert!(kept.iter().all(|(name, _)| name == "page.pem"), "{kept:?}");
    assert_eq!(device.status().shield.state, "set-up");

    browser.run("document.getElementById('set-up-url').value = ''");
    browser.write(&server.url());
    let entered = Instant::now();
    browser.key("Enter");
    // Not started anew: the device is still paired, and the box ready for its first meeting.
    browser.see("body[data-state=dark] h1", "Not in a meeting", SOON);
    browser.see("#box-name", "Board room", SOON);
    browser.see("#start", "Start a meeting", SOON);
    assert!(!browser.shows("#set-up-card:not([hidden])"));
    browser.see(
        "#events",
        "set up from the network, by a paired device",
        SOON,
    );
    device.wait_since(entered, "box that waits", SOON, |status| {
        let waits = matches!(status.connection, Connection::Left { .. });
        (waits && !status.awaits_set_up && status.makes_meetings).then_some(())
    });
    let began = Instant::now();
    browser.tab_to("start");
    browser.key("Enter");
    device.wait_since(began, "meeting", SOON, state("waiting"));
    let again = device.process.output();
    assert!(!again.contains(secret), "{again}");
    assert!(
        !serde_json::to_string(&device.status())
            .unwrap()
            .contains(secret)
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.close();

    let kept = files(&folder.path().join("state"));
    let of = |wanted: &str| kept.iter().filter(|(name, _)| name == wanted).count();
    assert_eq!((of("roomseal.toml"), of("api-secret")), (1, 1), "{kept:?}");
    for (name, text) in &kept {
        assert_eq!(text.contains(secret), name == "api-secret", "{name}");
    }
    // Nobody sets it up a second time in passing, and the next start knows everything.
    assert!(device.interrupt_cleanly());
    let device = the_box(folder.path());
    device.wait_for("box that waits", SOON, |status| {
        let waits = matches!(status.connection, Connection::Left { .. });
        (waits && status.name == "Board room").then_some(())
    });
    assert!(
        device
            .statuses()
            .iter()
            .all(|(_, status)| !status.awaits_set_up)
    );
}

#[test]
fn what_is_brought_sets_the_box_up_and_what_is_no_good_is_named_with_its_line() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let (key, secret) = server.api_key();
    let device = the_box(folder.path());
    device.wait_for("set-up", SOON, state("set-up"));
    let bring = |text: &str| {
        let state = Folder::at(&folder.path().join("state"));
        let secrets = [("api-secret", secret.as_bytes())];
        state
            .keep(text, &secrets, |_| Ok::<_, std::convert::Infallible>(()))
            .unwrap();
    };
    bring("[box]\nname = \"Atrium\"\n[service]\nurl = \"meet.example.org\"\n");
    let complaint = device.wait_for("complaint", SOON, |status| {
        let mut troubles = status.troubles.iter();
        troubles
            .find(|trouble| trouble.about == "set-up")
            .map(|trouble| trouble.text.clone())
    });
    assert!(complaint.contains("roomseal.toml:4:"), "{complaint}");
    assert_eq!(device.status().shield.state, "set-up");

    // As it was started: on the same page.
    let now = Instant::now();
    bring(&format!(
        "[box]\nname = \"Atrium\"\n[service]\nurl = \"{}\"\napi-key = \"{key}\"\napi-secret-file = \"api-secret\"\n",
        server.url()
    ));
    device.wait_since(now, "box that waits", SOON, |status| {
        (status.name == "Atrium" && !status.awaits_set_up && status.troubles.is_empty())
            .then_some(())
    });
    let (done, said) = ask(&device, &["start"]);
    assert!(done, "{said}");
    device.wait_since(now, "meeting", SOON, state("waiting"));
}

/// Waits until one colour of the simulated lamp burns.
fn see_lamp(folder: &Path, colour: &str) {
    let until = Instant::now() + SOON;
    let file = folder.join("panel").join(colour);
    while fs::read_to_string(&file)
        .unwrap_or_default()
        .trim()
        .parse()
        .unwrap_or(0)
        == 0
    {
        assert!(Instant::now() < until, "{colour} does not burn");
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
}
