// SPDX-License-Identifier: MIT OR Apache-2.0
//! From one meeting to the next on the page of the box: made, entered and ended for everybody, by keyboard.

use std::time::Instant;

use roomseal_appliance::status::Connection;
use roomseal_tests::appliance::{Start, participant, secret};
use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::livekit::Server;

use crate::page::page_of;
use crate::roomseal::{ask, new_meeting, start, wait_for_shield};
use crate::{SOON, one_at_a_time};

const MEDIA: [&str; 4] = ["--camera", "test", "--microphone", "test"];

#[test]
fn a_meeting_is_made_entered_and_ended_for_everybody_on_the_page_of_the_box() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let device = Start::new("run", "box")
        .with(MEDIA)
        .with(["--name", "Board room", "--panel-page", "127.0.0.1:0"])
        .wait_outside(&server);
    let mut browser = Browser::start();
    browser.open(&page_of(&device), Window::Desktop, "dark");
    browser.see("body[data-state=dark] h1", "Not in a meeting", SOON);
    // It has been nowhere yet, so there is nowhere to come back to.
    browser.see("#start", "Start a meeting", SOON);
    assert!(!browser.shows("#leave:not([hidden])"));
    browser.picture("idle-desktop-dark");

    let began = Instant::now();
    browser.tab_to("start");
    browser.key("Enter");
    browser.see("body[data-state=waiting] h1", "Waiting for others", SOON);
    let room = device.wait_since(began, "meeting", SOON, |status| {
        (status.connection == Connection::Joined).then(|| status.room.clone())
    });
    browser.see("#events", "from the page on the box", SOON);
    let link = folder.path().join("guest.link");
    let (done, said) = ask(&device, &["link", "--out", link.to_str().unwrap()]);
    assert!(done, "{said}");
    let mut guest = start("run", "guest", &link)
        .with(MEDIA)
        .with(["--panel-page", "127.0.0.1:0"])
        .join(&server, &room);
    wait_for_shield(&guest, began, "sealed");

    // Who is no host is offered no end of it.
    let mut other = Browser::start();
    other.open(&page_of(&guest), Window::Phone, "light");
    other.see("body[data-state=sealed] h1", "Sealed", SOON);
    assert!(!other.shows("#end:not([hidden])"));
    other.close();

    // A question stands before the end; whoever turns away from it has said no.
    browser.see("body[data-state=sealed] h1", "Sealed", SOON);
    browser.tab_to("end");
    browser.key("Enter");
    browser.see("#sure-title", "for everybody?", SOON);
    browser.picture_of_window("sure-desktop-dark");
    browser.key("Escape");
    browser.see("#end", "End for all", SOON);
    assert!(!browser.shows("dialog[open]"));
    // The answer that stands first is the one that does nothing.
    browser.key("Enter");
    browser.see("#sure-title", "for everybody?", SOON);
    browser.key("Enter");
    browser.see("#end", "End for all", SOON);
    let (done, said) = ask(&guest, &["chat", "still here"]);
    assert!(done, "{said}");
    browser.see("#chat .said", "still here", SOON);
    assert!(participant(&device.status(), "guest").is_some());

    browser.key("Enter");
    browser.see("#sure-title", "for everybody?", SOON);
    let ended = Instant::now();
    browser.tab_to("sure-yes");
    browser.key("Enter");
    browser.see("body[data-state=dark] h1", "Not in a meeting", SOON);
    guest.wait_since(ended, "end for everybody", SOON, |status| {
        matches!(&status.connection, Connection::Left { .. }).then_some(())
    });
    assert!(guest.interrupt_cleanly());

    // Elsewhere by its room code, which has no key in it: then the page says what is missing.
    let link = std::fs::read_to_string(&link).unwrap();
    let began = Instant::now();
    browser.tab_to("enter");
    browser.write("k3f-9ab-x2c");
    browser.key("Enter");
    device.wait_since(began, "another room", SOON, |status| {
        (status.connection == Connection::Joined && status.room == "k3f-9ab-x2c").then_some(())
    });
    browser.see("#key-asks", "has no key for the meeting", SOON);
    browser.see("#key-label", "Link or passphrase", SOON);
    browser.tab_to("leave");
    browser.key("Enter");
    browser.see("#enter-title", "Join a meeting", SOON);
    // And back by the link, which stays nowhere on the page.
    let began = Instant::now();
    browser.tab_to("enter");
    browser.write(link.trim());
    browser.key("Enter");
    device.wait_since(began, "the meeting of the link", SOON, |status| {
        (status.connection == Connection::Joined && status.room == room).then_some(())
    });
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.close();
}

#[test]
fn a_box_without_the_passphrase_of_its_meeting_asks_for_it_on_its_page() {
    const WORDS: &str = "our own words, and long enough";
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let words = secret(folder.path(), "words", WORDS);
    let more = ["--passphrase-file", words.to_str().unwrap()];
    let (host_link, guest_link) = new_meeting(&folder.path().join("meeting"), "asked", &more);
    for link in [&host_link, &guest_link] {
        let link = std::fs::read_to_string(link).unwrap();
        assert!(
            !link.contains("#k=") && link.contains("p=1"),
            "a secret in {link}"
        );
    }
    let device = start("run", "box", &host_link)
        .with(MEDIA)
        .with(["--panel-page", "127.0.0.1:0"])
        .join(&server, "asked");
    let guest = start("guest", "guest", &guest_link)
        .with(more)
        .with(MEDIA)
        .join(&server, "asked");
    let mut browser = Browser::start();
    browser.open(&page_of(&device), Window::Phone, "dark");
    browser.see("#key-asks", "has no key for the meeting", SOON);
    browser.see("#key-label", "Passphrase of the meeting", SOON);
    // It is in the room, and it is no host that it waits for.
    browser.see("body[data-state=connecting] h1", "Waiting for a key", SOON);
    let reason = browser.see("#reasons", "this box has no key", SOON);
    assert!(!reason.contains("the host"), "{reason}");
    // A press would be refused.
    assert!(!browser.shows("#encrypt:not([hidden])"));
    browser.picture("key-missing-phone-dark");

    let entered = Instant::now();
    browser.tab_to("key");
    browser.write(WORDS);
    browser.key("Enter");
    browser.see("body[data-state=sealed] h1", "Sealed", SOON);
    wait_for_shield(&guest, entered, "sealed");
    // Nothing is missing, so nothing is asked for.
    assert!(!browser.shows("#key-form:not([hidden])") && !browser.shows("body.asks"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.close();
    for (_, line) in device.process.lines() {
        assert!(!line.contains(WORDS), "{line}");
    }
}
