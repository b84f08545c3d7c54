// SPDX-License-Identifier: MIT OR Apache-2.0
//! The front-panel page in a real browser, of a real box in a real meeting.

use std::time::{Duration, Instant};

use roomseal_appliance::status::{Connection, Status};
use roomseal_tests::appliance::{Appliance, PASSPHRASE, Start, track};
use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::livekit::Server;
use roomseal_tests::toggle::Button;

use crate::roomseal::ask;
use crate::{SOON, one_at_a_time};

const MEDIA: [&str; 4] = ["--camera", "test", "--microphone", "test"];

fn box_with_page<'a>() -> Start<'a> {
    Start::new("run", "box").with(MEDIA).with([
        "--name",
        "Board room",
        "--panel-page",
        "127.0.0.1:0",
    ])
}

fn guest(identity: &str) -> Start<'_> {
    Start::new("guest", identity).with(MEDIA)
}

pub(crate) fn page_of(device: &Appliance) -> String {
    device.wait_for("page", SOON, |status| status.page.clone())
}

/// Whether the box sends a source although it is asked not to, or the other way.
fn own_mute(status: &Status, source: &str) -> Option<bool> {
    let track = status.local_tracks.iter().find(|t| t.source == source)?;
    Some(track.muted)
}

#[test]
fn the_page_shows_the_meeting_and_operates_the_box_by_keyboard() {
    let _turn = one_at_a_time();
    let server = Server::on_loopback();
    let device = box_with_page().join(&server, "page");
    let alice = guest("alice").join(&server, "page");
    let url = page_of(&device);
    let mut browser = Browser::start();

    browser.open(&url, Window::Desktop, "dark");
    browser.see("body[data-state=sealed] h1", "Sealed", SOON);
    browser.see("#roster .person", "alice", SOON);
    let roster = browser.see("#roster .person .track[data-tone=good]", "sealed", SOON);
    assert!(roster.contains('✓'), "a sign beside the colour: {roster:?}");
    browser.see("#own .track[data-tone=good]", "camera", SOON);
    browser.see("#box-name", "Board room", SOON);
    browser.picture("sealed-desktop-dark");

    // By keyboard alone: the box, the others and the page all see it.
    browser.tab_to("mute-microphone");
    browser.key("Space");
    browser.see("#mute-microphone[aria-pressed=true]", "Muted", SOON);
    device.wait_for("muted microphone", SOON, |status| {
        (own_mute(status, "microphone")? && !own_mute(status, "camera")?).then_some(())
    });
    alice.wait_for_track("muted box", "box", "microphone", SOON, |t| t.muted);
    browser.see(
        "#events",
        "microphone muted, from the page on the box",
        SOON,
    );

    // What happens elsewhere arrives by itself.
    let (done, said) = ask(&device, &["mute", "off"]);
    assert!(done && said.contains("open"), "{said}");
    browser.see("#mute-microphone[aria-pressed=false]", "Mute", SOON);
    alice.wait_for_track("box that is heard", "box", "microphone", SOON, |t| !t.muted);

    // Somebody with another key is named, with the reason, and not played.
    let mallory = guest("mallory")
        .passphrase("another passphrase altogether")
        .join(&server, "page");
    browser.see(
        "body[data-state=unsealed-peer] h1",
        "Not everybody is sealed",
        SOON,
    );
    browser.see("#reasons li", "mallory", SOON);
    browser.see("#roster .person", "not played", SOON);
    browser.picture("unsealed-peer-desktop-dark");
    drop(mallory);
    browser.see("body[data-state=sealed] h1", "Sealed", SOON + SOON);

    browser.tab_to("leave");
    browser.key("Enter");
    browser.see("#leave", "Join", SOON);
    browser.see("body[data-state=dark] h1", "Not in a meeting", SOON);
    // It has a token for one room and cannot make meetings.
    assert!(!browser.shows("#start:not([hidden])"));
    alice.wait_for("box that has left", SOON, |status| {
        track(status, "box", "camera").is_none().then_some(())
    });
    browser.picture("outside-desktop-dark");
    let again = Instant::now();
    browser.key("Enter");
    device.wait_since(again, "entry again", SOON, |status| {
        (status.connection == Connection::Joined).then_some(())
    });
    alice.wait_for_track("box that is back", "box", "camera", SOON, |t| {
        t.verification == "verified"
    });
    browser.see("body[data-state=sealed] h1", "Sealed", SOON);

    browser.open(&url, Window::Phone, "light");
    browser.see("body[data-state=sealed] h1", "Sealed", SOON);
    browser.see("#roster .person", "alice", SOON);
    browser.picture("sealed-phone-light");

    // A box that hangs leaves no green page.
    device.process.signal("STOP");
    browser.see("body[data-state=dark] h1", "No word from the box", SOON);
    browser.picture("silent-phone-light");
    device.process.signal("CONT");
    browser.see("body[data-state=sealed] h1", "Sealed", SOON);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.close();
}

#[test]
fn a_wrong_key_is_asked_for_and_healed_on_the_page_without_leaving() {
    let _turn = one_at_a_time();
    let server = Server::on_loopback();
    let device = box_with_page()
        .passphrase("not the one of this meeting")
        .join(&server, "heal");
    let alice = guest("alice").join(&server, "heal");
    let mut browser = Browser::start();
    browser.open(&page_of(&device), Window::Phone, "dark");
    browser.see("body[data-state=wrong-key] h1", "Wrong key", SOON);
    browser.see("#reasons li", "other key, or altered", SOON);
    browser.picture("wrong-key-phone-dark");

    browser.tab_to("key");
    browser.write(PASSPHRASE);
    let entered = Instant::now();
    browser.key("Enter");
    device.wait_since(
        entered,
        "alice's camera that opens",
        Duration::from_secs(2),
        |status| {
            let camera = track(status, "alice", "camera")?;
            (camera.verification == "verified" && status.connection == Connection::Joined)
                .then_some(())
        },
    );
    println!(
        "healed {} ms after the key was entered",
        entered.elapsed().as_millis()
    );
    alice.wait_for_track("box's camera that opens", "box", "camera", SOON, |t| {
        t.verification == "verified"
    });
    browser.see("body[data-state=sealed] h1", "Sealed", SOON);
    let left = device
        .statuses()
        .iter()
        .any(|(at, status)| *at > entered && status.connection != Connection::Joined);
    assert!(!left, "the box left the meeting for its new key");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.close();
    for (_, line) in device.process.lines() {
        assert!(!line.contains(PASSPHRASE), "{line}");
    }
}

#[test]
fn in_a_room_of_another_application_the_page_turns_on_what_this_box_requires() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let panel = folder.path().join("panel");
    let server = Server::on_loopback();
    let device = box_with_page()
        .with(["--no-e2ee", "--panel-dir", panel.to_str().unwrap()])
        .join(&server, "own");
    let alice = guest("alice").join(&server, "own");
    let mut browser = Browser::start();
    browser.open(&page_of(&device), Window::Desktop, "light");
    browser.see("body[data-state=open] h1", "Not encrypted", SOON);
    browser.see("#key-model", "keys by the app", SOON);
    browser.see("#encrypt-note", "what this box sends and plays", SOON);
    let pressed = Instant::now();
    browser.tab_to("encrypt");
    browser.key("Enter");
    browser.see("body[data-state=sealed] h1", "Sealed", SOON);
    browser.see("#state-text", "Keys by the app", SOON);
    browser.see("#encrypt-note", "hold the button of the box", SOON);
    alice.wait_since(pressed, "a sealed box", SOON, |status| {
        (track(status, "box", "camera")?.verification == "verified").then_some(())
    });
    browser.picture("foreign-desktop-light");

    // Held at the box, it goes off for this box; the page sees it coming and can keep it on.
    Button::of(&panel).hold();
    browser.see("#encrypt-note", "goes off in", SOON);
    browser.see("#encrypt", "Keep encryption on", SOON);
    browser.tab_to("encrypt");
    browser.key("Enter");
    browser.see("#events", "encryption stays on", SOON);
    browser.see("#encrypt-note", "hold the button of the box", SOON);
    assert!(device.status().e2ee_required);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.close();
}

#[test]
fn a_press_that_is_refused_says_why_on_the_page() {
    let _turn = one_at_a_time();
    let server = Server::on_loopback();
    let device = box_with_page()
        .without_key()
        .with(["--no-e2ee"])
        .join(&server, "refused");
    let mut browser = Browser::start();
    browser.open(&page_of(&device), Window::Phone, "light");
    browser.see("body[data-state=open] h1", "Not encrypted", SOON);
    browser.tab_to("encrypt");
    browser.key("Enter");
    browser.see("body[data-state=denied] h1", "Refused", SOON);
    browser.see("#reasons", "has no key", SOON);
    browser.see("#reply", "has no key", SOON);
    browser.see("body[data-state=open] h1", "Not encrypted", SOON);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.close();
}
