// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rooms that an organiser books in a browser: whose keys are compared once, and who can open the link of the host.

use std::time::Instant;

use roomseal_e2ee::envelope::open;
use roomseal_policy::{Link, SecretSource, key_words};
use roomseal_tests::appliance::Start;
use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::device::Device;
use roomseal_tests::leak::Scanner;
use roomseal_tests::livekit::Server;
use roomseal_tests::people::{Asker, PASSWORD};

use crate::bookings::{MEDIA, ask_again, enrol, entered, office, wait_for_rooms};
use crate::plan::{fill, meets, text};
use crate::roomseal::ask;
use crate::{SOON, one_at_a_time};

const TITLE: &str = "document.getElementById('made-title').textContent";
const HOST: &str = "document.getElementById('host-link').textContent";

/// Has the hub, as the page hears it, name another key or another name for a room.
fn lie(browser: &mut Browser, id: &str, what: &str, value: &str) {
    browser.run(&format!(
        "(() => {{
            window.real ??= window.fetch;
            window.fetch = async (url, asked) => {{
                const answer = await window.real.call(window, url, asked);
                if (url !== '/api/rooms') return answer;
                const told = await answer.json();
                told.rooms.find((room) => room.id === '{id}').{what} = '{value}';
                return new Response(JSON.stringify(told));
            }};
        }})()"
    ));
}

/// A browser on the page for planning, where the admin has signed in.
fn at_the_desk(server: &Server, starts: fn() -> Browser) -> Browser {
    let place = server.site();
    let mut browser = starts();
    browser.open(&format!("{place}/plan"), Window::Phone, "light");
    fill(&mut browser, "account", "ada");
    fill(&mut browser, "password", PASSWORD);
    browser.key("Enter");
    browser.see("#desk", "Plan a meeting", SOON);
    browser
}

fn tick(browser: &mut Browser, id: &str) {
    browser.run(&format!(
        "document.querySelector('#rooms [data-room=\"{id}\"] input').click()"
    ));
}

fn say_the_same(browser: &mut Browser, id: &str) {
    browser.run(&format!(
        "document.querySelector('#rooms [data-room=\"{id}\"] button').click()"
    ));
    browser.run("new Promise((done) => setTimeout(done, 100))");
    let asks = format!("#rooms [data-room=\"{id}\"] .words");
    assert!(!browser.shows(&asks), "it is compared");
}

/// Schedules a meeting of this title; gives the link of its host.
fn schedule(browser: &mut Browser, title: &str) -> String {
    fill(browser, "title", title);
    browser.key("Enter");
    browser.see("#made", title, SOON);
    assert_eq!(text(browser, TITLE), title);
    text(browser, HOST)
}

/// Tries to schedule one, which is refused for the words of that room.
fn is_refused(browser: &mut Browser, room: &str) {
    fill(browser, "title", "Not to be");
    browser.key("Enter");
    browser.see(
        "#trouble",
        &format!("compare the words of {room} with those that its box shows"),
        SOON,
    );
}

fn words(device: &Device<'_>) -> String {
    key_words(device.key.public().as_bytes()).join(" ")
}

#[test]
fn a_room_is_booked_when_its_words_were_compared_and_only_its_box_opens_the_link_of_the_host() {
    let _turn = one_at_a_time();
    let server = Server::hub_with_people();
    let admin = Asker::admin(&server, "ada");
    let board = Device::enrolled(&server, &admin, "Board room", 7);
    let lobby = Device::enrolled(&server, &admin, "Lobby", 8);
    let mut browser = at_the_desk(&server, Browser::start);
    browser.see("#rooms", "Board room", SOON);

    // Not compared: not booked.
    tick(&mut browser, &board.id);
    browser.see("#rooms", &words(&board), SOON);
    browser.picture("plan-rooms-compare-phone");
    is_refused(&mut browser, "Board room");
    assert!(board.meetings().is_empty());
    say_the_same(&mut browser, &board.id);
    let first = schedule(&mut browser, "First");
    browser.see("#booked", "Booked: Board room.", SOON);
    browser.see("#plans", "booked: Board room", SOON);
    browser.picture("plan-rooms-made-phone");
    let told = board.meetings();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["organiser"], "ada");
    let link = Link::parse(&first).unwrap();
    assert_eq!(told[0]["room"], link.room().as_str());
    let sealed = told[0]["sealed"].as_str().unwrap();
    let opened = open(&board.key, link.room().as_str(), sealed).unwrap();
    assert_eq!(*opened, first);
    assert!(open(&lobby.key, link.room().as_str(), sealed).is_err());
    assert!(lobby.meetings().is_empty());

    // Compared once; another room is compared for itself.
    browser.run("void setTimeout(() => location.reload())");
    browser.see("#rooms", "Lobby", SOON);
    tick(&mut browser, &board.id);
    tick(&mut browser, &lobby.id);
    browser.see("#rooms", &words(&lobby), SOON);
    assert!(!browser.shows(&format!("#rooms [data-room=\"{}\"] .words", board.id)));
    is_refused(&mut browser, "Lobby");
    say_the_same(&mut browser, &lobby.id);
    let second = schedule(&mut browser, "Second");
    browser.see("#booked", "Booked: Board room, Lobby.", SOON);
    for device in [&board, &lobby] {
        let told = device.meetings();
        let link = Link::parse(&second).unwrap();
        let room = link.room().as_str();
        let second_one = told.iter().find(|it| it["room"] == room).unwrap();
        let sealed = second_one["sealed"].as_str().unwrap();
        assert_eq!(*open(&device.key, room, sealed).unwrap(), second);
    }

    // A hub that names another key later, or has one room stand under the name of another.
    lie(&mut browser, &board.id, "key", &lobby.public());
    schedule(&mut browser, "Third");
    tick(&mut browser, &board.id);
    browser.see("#rooms .bad", "not the key", SOON);
    browser.see("#rooms", &words(&lobby), SOON);
    browser.picture("plan-rooms-changed-phone");
    is_refused(&mut browser, "Board room");
    lie(&mut browser, &lobby.id, "name", "Board room two");
    tick(&mut browser, &board.id);
    schedule(&mut browser, "Fourth");
    tick(&mut browser, &lobby.id);
    browser.see("#rooms .bad", "(Lobby)", SOON);
    is_refused(&mut browser, "Board room two");
    assert_eq!(board.meetings().len(), 2);
    assert_eq!(lobby.meetings().len(), 1);
    let listed = admin.get("/api/schedule");
    assert_eq!(listed.body["meetings"].as_array().unwrap().len(), 4);

    let kept = text(&mut browser, "JSON.stringify(localStorage)");
    let complaints = browser.complaints();
    assert!(
        complaints.iter().all(|it| it.contains("401")),
        "{complaints:?}"
    );
    browser.close();
    let SecretSource::Link(secret) = link.secret() else {
        panic!("the secret is in the link");
    };
    let seed = first.split_once("&s=").unwrap().1.split_once('&').unwrap();
    let scanner = Scanner::new(&[
        ("secret", secret.expose().to_vec()),
        (
            "seed of the host's key, as text",
            seed.0.as_bytes().to_vec(),
        ),
    ]);
    assert!(
        !scanner.scan(first.as_bytes()).is_empty(),
        "the scan finds them where they are"
    );
    assert!(kept.contains(&board.public()), "{kept}");
    assert_eq!(scanner.scan(kept.as_bytes()), []);
    for (file, bytes) in server.kept() {
        assert_eq!(scanner.scan(&bytes), [], "{}", file.display());
    }
    assert_eq!(scanner.scan(server.log().as_bytes()), []);
}

#[test]
fn a_box_that_is_enrolled_and_booked_on_the_page_enters_as_host_and_meets_who_has_the_link_for_guests()
 {
    let _turn = one_at_a_time();
    is_enrolled_booked_and_met(&Server::hub_with_people(), Browser::start);
}

#[test]
#[cfg(feature = "full")]
fn a_box_that_is_booked_in_firefox_meets_who_has_the_link_for_guests_too() {
    let _turn = one_at_a_time();
    let server = Server::hub_with_people_on(roomseal_tests::livekit::Engine::EmbeddedOnLan);
    is_enrolled_booked_and_met(&server, Browser::firefox);
}

#[test]
fn all_of_it_goes_by_the_hash_of_a_certificate_that_the_hub_made_for_itself() {
    let _turn = one_at_a_time();
    let server = Server::hub_with_tls();
    let links = is_enrolled_booked_and_met(&server, Browser::start);
    let hash = server.certificate().replace(':', "");
    for link in &links {
        let named = Link::parse(link).unwrap().service_certificate();
        let named = named.expect("the link names a certificate");
        assert_eq!(hex::encode_upper(named.as_bytes()), hash);
    }
}

/// A box is enrolled and booked as the page says, and joins; gives the links of host and guests.
fn is_enrolled_booked_and_met(server: &Server, starts: fn() -> Browser) -> [String; 2] {
    let folder = tempfile::tempdir().unwrap();
    let admin = office(server);
    let state = folder.path().join("state");
    let device = Start::new("run", "box")
        .with(MEDIA)
        .environment("STATE_DIRECTORY", state.to_str().unwrap())
        .wait_outside(server);
    let hub = server.site();
    let now = Instant::now();
    let mut browser = at_the_desk(server, starts);
    assert!(
        !browser.shows("#rooms-part:not([hidden])"),
        "there is no room yet"
    );
    browser.run("document.getElementById('give-code').click()");
    browser.see("#given", &format!("roomseal enrol --hub {hub}"), SOON);
    browser.picture("plan-code-phone");
    let code = text(
        &mut browser,
        "document.getElementById('box-code').textContent",
    );
    let line = text(&mut browser, "document.getElementById('enrol').textContent");
    let shown: Vec<_> = line.split(' ').skip(4).collect();
    let enrolled = enrol(&hub, &state, &code, &shown);
    assert!(enrolled.status.success(), "{line}: {enrolled:?}");
    let words = device.wait_since(now, "place at the hub", SOON, |status| {
        Some(status.enrolled.as_ref()?.words.clone())
    });

    let rooms = admin.get("/api/rooms");
    let id = rooms.body["rooms"][0]["id"].as_str().unwrap();
    // The page shows it without being asked, and takes the code away.
    browser.see("#rooms", "Board room", SOON);
    assert!(
        !browser.shows("#given:not([hidden])"),
        "the code is used up"
    );
    tick(&mut browser, id);
    browser.see("#rooms", &words, SOON);
    say_the_same(&mut browser, id);
    // It runs already.
    browser.run(
        "(() => {
            const now = new Date(Date.now() - new Date().getTimezoneOffset() * 60000);
            document.getElementById('starts').value = now.toISOString().slice(0, 16);
        })()",
    );
    let host = schedule(&mut browser, "Now");
    let guest = text(
        &mut browser,
        "document.getElementById('guest-link').textContent",
    );
    let link = Link::parse(&host).unwrap();
    let room = link.room().as_str();
    let now = Instant::now();
    ask_again(&state);
    let status = wait_for_rooms(&device, now, &[room]);
    assert_eq!(status.booked[0].title, "Now");
    let (done, said) = ask(&device, &["join", "--next"]);
    assert!(done, "{said}");
    entered(&device, now, room);
    meets(&mut browser, server, &guest, &device);
    assert!(device.status().encryption.unwrap().host, "it came as host");
    // What is handed on is the link for guests, whole.
    for handed in ["invitation", "guest-link"] {
        browser.turn_to(0);
        let handed = text(
            &mut browser,
            &format!("document.getElementById('{handed}').textContent"),
        );
        assert!(handed.contains(&guest), "{handed}");
    }
    browser.close();
    [host, guest]
}
