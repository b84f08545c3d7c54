// SPDX-License-Identifier: MIT OR Apache-2.0
//! A meeting that an organiser plans in a browser: made there, scheduled at the hub, met in by its links.

use std::collections::BTreeSet;
use std::time::Instant;

use roomseal_policy::{Link, SecretSource};
use roomseal_tests::appliance::{Appliance, secret};
use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::leak::Scanner;
use roomseal_tests::livekit::{Engine, Server};
use roomseal_tests::people::{Asker, PASSWORD};
use serde_json::json;

use crate::join::shows;
use crate::roomseal::{start, wait_for_shield};
use crate::{SOON, one_at_a_time, talking_clip};

/// Types into a field, in the place of what is there.
pub(crate) fn fill(browser: &mut Browser, id: &str, text: &str) {
    browser.run(&format!("document.getElementById('{id}').select()"));
    browser.run(&format!("document.getElementById('{id}').focus()"));
    browser.write(text);
}

pub(crate) fn text(browser: &mut Browser, script: &str) -> String {
    browser.run(script).as_str().unwrap().to_owned()
}

/// Enters by the link for guests in a window beside, and is sealed there with the box.
pub(crate) fn meets(browser: &mut Browser, server: &Server, guest_link: &str, device: &Appliance) {
    browser.open_beside(&server.page_of(guest_link), Window::Desktop, "light");
    browser.see(
        "#room",
        Link::parse(guest_link).unwrap().room().as_str(),
        SOON,
    );
    browser.tab_to("name");
    browser.write("Petra");
    let joined = Instant::now();
    browser.key("Enter");
    shows(browser, "sealed");
    wait_for_shield(device, joined, "sealed");
}

/// Keeps what the page makes a file of: the page itself may load nothing but its parts.
const KEEP_FILES: &str = "(() => {
    const make = URL.createObjectURL;
    URL.createObjectURL = (file) => {
        file.text().then((text) => { window.file = text; });
        return make.call(URL, file);
    };
})()";

#[test]
fn a_meeting_planned_in_a_browser_is_sealed_from_the_start_and_the_hub_never_has_its_secret() {
    is_planned_and_met_in(Engine::Embedded, Browser::start);
}

#[test]
fn a_meeting_planned_in_firefox_is_sealed_from_the_start_too() {
    is_planned_and_met_in(Engine::EmbeddedOnLan, Browser::firefox);
}

#[test]
fn a_meeting_planned_in_a_browser_is_sealed_from_the_start_at_a_livekit_server_too() {
    is_planned_and_met_in(Engine::LiveKit, Browser::start);
}

fn is_planned_and_met_in(engine: Engine, starts: fn() -> Browser) {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let server = Server::hub_with_people_on(engine);
    let admin = Asker::admin(&server, "ada");
    let guests = json!({ "guests_under_e2ee": "allow" }).to_string();
    let set = admin.send("PATCH", "/api/settings", "", &guests);
    assert_eq!(set.status, 200, "{set:?}");
    let place = server.site();
    let mut browser = starts();
    browser.open(&format!("{place}/plan"), Window::Phone, "light");
    browser.see("#sign-in", "Sign in to plan", SOON);
    browser.picture("plan-sign-in-phone");
    fill(&mut browser, "account", "ada");
    fill(&mut browser, "password", "not the password");
    browser.key("Enter");
    browser.see("#trouble", "name or password is wrong", SOON);
    fill(&mut browser, "password", PASSWORD);
    browser.key("Enter");
    browser.see("#desk", "Nothing is scheduled", SOON);
    browser.picture("plan-desk-phone");
    browser.run(KEEP_FILES);
    fill(&mut browser, "title", "Budget, <b>and</b> what follows");
    browser.key("Enter");
    browser.see("#made", "Budget, <b>and</b> what follows", SOON);
    browser.picture("plan-made-phone");
    browser.see("#plans", "encrypted", SOON);

    let host_link = text(
        &mut browser,
        "document.getElementById('host-link').textContent",
    );
    let guest_link = text(
        &mut browser,
        "document.getElementById('guest-link').textContent",
    );
    let host = Link::parse(&host_link).unwrap();
    let room = host.room().as_str().to_owned();
    assert_eq!(*host.for_guests().expose(), guest_link);
    assert!(host.root().is_some(), "signed in advance");
    for (what, script) in [
        (
            "invitation",
            "document.getElementById('invitation').textContent",
        ),
        ("calendar", "window.file"),
    ] {
        let text = text(&mut browser, script);
        assert!(text.contains(&guest_link), "{what}: {text}");
        assert!(text.contains("what follows"), "{what}: {text}");
    }
    // It stands on the page and nowhere else in the browser.
    let kept = "location.href + localStorage.length + sessionStorage.length + JSON.stringify(history.state)";
    assert_eq!(text(&mut browser, kept), format!("{place}/plan00null"));

    let host_file = secret(folder.path(), "host.link", &host_link);
    let device = start("run", "box", &host_file)
        .playing(&clip)
        .join(&server, &room);
    meets(&mut browser, &server, &guest_link, &device);

    browser.turn_to(0);
    browser.run("document.querySelector('#plans button').click()");
    browser.see("#plans", "Really cancel it?", SOON);
    browser.run("document.querySelector('#plans button').click()");
    browser.see("#none", "Nothing is scheduled", SOON);
    assert!(!browser.shows("#made:not([hidden])"), "with its links");
    let complaints = browser.complaints();
    assert!(
        complaints.iter().all(|it| it.contains("401")),
        "{complaints:?}"
    );
    browser.close();
    drop(device);

    let SecretSource::Link(secret) = host.secret() else {
        panic!("the secret is in the link");
    };
    let fragment = host_link.split_once("&s=").unwrap().1;
    let seed = fragment.split_once('&').unwrap().0.as_bytes().to_vec();
    let scanner = Scanner::new(&[
        ("secret", secret.expose().to_vec()),
        ("seed of the host's key, as text", seed),
    ]);
    let found = scanner.scan(host_link.as_bytes());
    let found: BTreeSet<_> = found.iter().map(|leak| leak.secret).collect();
    assert_eq!(found.len(), 2, "the scan finds both where they are");
    let kept = server.kept();
    assert!(
        kept.iter().any(|(file, _)| file.ends_with("people.sqlite")),
        "{:?}",
        kept.len()
    );
    for (file, bytes) in kept {
        assert_eq!(scanner.scan(&bytes), [], "{}", file.display());
    }
    assert_eq!(scanner.scan(server.log().as_bytes()), []);
}
