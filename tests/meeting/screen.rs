// SPDX-License-Identifier: MIT OR Apache-2.0
//! The box's own screen: read back as pictures, with its codes read as a phone would.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Instant;

use roomseal_tests::appliance::Start;
use roomseal_tests::code::Picture;
use roomseal_tests::livekit::Server;
use roomseal_tests::places;

use crate::roomseal::{ask, start, wait_for_shield};
use crate::{SOON, one_at_a_time};

const MEDIA: [&str; 4] = ["--camera", "test", "--microphone", "test"];

/// Where the sign of the shield stands on a screen of 1280 by 720.
const SIGN: (usize, usize, usize, usize) = (14, 8, 40, 40);

fn is_green([red, green, blue]: [u8; 3]) -> bool {
    green > 170 && red < 150 && blue < 170
}

fn is_amber([red, green, blue]: [u8; 3]) -> bool {
    red > 200 && (150..230).contains(&green) && blue < 140
}

/// Waits until the screen is as `find` wants it.
pub(crate) fn see<T>(screen: &Path, what: &str, find: impl Fn(&Picture) -> Option<T>) -> T {
    let until = Instant::now() + SOON;
    loop {
        if let Some(found) = Picture::read(screen).as_ref().and_then(&find) {
            return found;
        }
        assert!(Instant::now() < until, "no {what} on the screen");
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
}

/// Keeps what is on the screen in `.cache/pictures`, for people to look at.
pub(crate) fn keep(screen: &Path, name: &str) {
    let folder = places::root().join(".cache/pictures");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(screen, folder.join(format!("screen-{name}.png"))).unwrap();
}

#[test]
fn the_screen_leads_from_the_idle_box_into_a_sealed_meeting() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let (panel, screen) = (
        folder.path().join("panel"),
        folder.path().join("screen.png"),
    );
    let shown = format!("file:{}", screen.display());
    let device = Start::new("run", "box")
        .with(MEDIA)
        .with(["--name", "Board room", "--panel-page", "127.0.0.1:0"])
        .with(["--panel-dir", panel.to_str().unwrap(), "--screen", &shown])
        .wait_outside(&server);
    let page = device.wait_for("page", SOON, |status| status.page.clone());
    see(&screen, "code of the page", |picture| {
        picture.codes().contains(&page).then_some(())
    });
    keep(&screen, "idle");

    let mut key = OpenOptions::new()
        .append(true)
        .open(panel.join("button"))
        .unwrap();
    writeln!(key, "press").unwrap();
    let link = see(&screen, "invitation", |picture| {
        let mut codes = picture.codes().into_iter();
        codes.find(|code| code.contains("#k="))
    });
    keep(&screen, "invitation");
    let room = device.status().room;
    assert!(link.contains(&format!("/j/{room}#k=")), "another room");
    assert!(!link.contains("&s="), "a host's link on the screen");

    // Whoever reads it from the screen is in.
    let file = folder.path().join("guest.link");
    let mut out = OpenOptions::new();
    let mut out = out
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .unwrap();
    writeln!(out, "{link}").unwrap();
    let guest = start("guest", "guest", &file)
        .with(MEDIA)
        .join(&server, &room);
    let now = Instant::now();
    wait_for_shield(&device, now, "sealed");
    see(&screen, "green shield", |picture| {
        let green = picture.count(SIGN, is_green);
        (green > 300 && picture.count(SIGN, is_amber) == 0).then_some(())
    });
    let (done, said) = ask(&device, &["link", "--screen", "off"]);
    assert!(done, "{said}");
    see(&screen, "screen without the code", |picture| {
        picture.codes().is_empty().then_some(())
    });
    keep(&screen, "sealed");

    // Held, the button begins the countdown, which everybody sees.
    writeln!(key, "hold").unwrap();
    let ending = device.wait_since(now, "countdown", SOON, |status| status.ending.clone());
    assert!(
        ending.by == "Board room" && ending.seconds <= 3,
        "{ending:?}"
    );
    see(&screen, "countdown", |picture| {
        (picture.count((100, 300, 1000, 20), is_amber) > 5_000).then_some(())
    });
    keep(&screen, "countdown");
    writeln!(key, "press").unwrap();

    // A stranger with another key is named, and nothing is green.
    let stranger = Start::new("guest", "mallory")
        .with(MEDIA)
        .join(&server, &room);
    wait_for_shield(&device, now, "unsealed-peer");
    see(&screen, "amber sign", |picture| {
        let amber = picture.count(SIGN, is_amber);
        (amber > 300 && picture.count(SIGN, is_green) == 0).then_some(())
    });
    keep(&screen, "unsealed");
    for process in [&device, &guest, &stranger] {
        let secret = link.split(['=', '&']).nth(1).unwrap();
        for (_, line) in process.process.lines() {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[test]
fn a_box_without_its_key_says_so_on_the_screen() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let screen = folder.path().join("screen.png");
    let shown = format!("file:{}", screen.display());
    let (_, link) = crate::roomseal::new_meeting(folder.path(), "asks", &["--passphrase"]);
    let device = start("run", "box", &link)
        .with(MEDIA)
        .with(["--screen", &shown])
        .join(&server, "asks");
    device.wait_for("request for a key", SOON, |status| status.asks.clone());
    // The sign of a key on a card in the middle.
    see(&screen, "key", |picture| {
        (picture.count((272, 428, 52, 52), is_amber) > 150).then_some(())
    });
    keep(&screen, "key");
}
