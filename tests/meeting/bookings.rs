// SPDX-License-Identifier: MIT OR Apache-2.0
//! A box that is enrolled at a real hub and booked there: it shows by whom, enters with one press, and refuses what leads
//! elsewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use roomseal_appliance::status::{Connection, Status};
use roomseal_e2ee::envelope::{self, DeviceKey, DevicePublic};
use roomseal_policy::{HostCheck, Link, PublicKey, SecretSource, key_words};
use roomseal_tests::appliance::{Appliance, Start, roomseal};
use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::leak::Scanner;
use roomseal_tests::livekit::Server;
use roomseal_tests::people::Asker;
use roomseal_tests::toggle::Button;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::page::page_of;
use crate::roomseal::{ask, start, wait_for_shield};
use crate::screen::{keep, see};
use crate::{SOON, one_at_a_time};

pub(crate) const MEDIA: [&str; 4] = ["--camera", "test", "--microphone", "test"];

const HOUR: Duration = Duration::from_secs(3600);

/// A meeting that an organiser made, who has its links.
struct Made {
    room: String,
    host: Link,
    guest: PathBuf,
}

impl Made {
    fn new(folder: &Path, origin: &str, room: &str) -> Self {
        let into = folder.join(format!("{room}-{}", origin.len()));
        let arguments = ["new-meeting", "--origin", origin, "--room", room, "--into"];
        let made = roomseal(&[&arguments[..], &[into.to_str().unwrap()]].concat(), b"");
        assert!(made.status.success(), "{made:?}");
        let host = std::fs::read_to_string(into.join("host.link")).unwrap();
        Self {
            room: room.to_owned(),
            host: Link::parse(host.trim()).unwrap(),
            guest: into.join("guest.link"),
        }
    }

    /// Has a hub keep it, from now on in `after` for an hour, in the rooms that get these envelopes.
    fn schedule(&self, by: &Asker<'_>, after: Duration, rooms: &Value) {
        let HostCheck::Link(key) = self.host.host_check() else {
            panic!("a link that was made names its meeting");
        };
        let starts = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + after;
        let asked = json!({
            "room": self.room, "title": format!("{} <b>talk</b>", self.room),
            "starts": starts.as_secs(), "ends": (starts + HOUR).as_secs(),
            "meeting_key": key.to_string(), "rooms": rooms,
        });
        let answer = by.post("/api/schedule", &asked);
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// What an organiser's page sends for one room.
    fn sealed(&self, id: &str, to: &DevicePublic, link: &Link) -> Value {
        let mut random = Zeroizing::new([0; 32]);
        let seed = Instant::now().elapsed().as_nanos().to_be_bytes();
        random[..16].copy_from_slice(&seed);
        random[16..].fill(7);
        let sealed = envelope::seal(to, &self.room, &link.expose(), &random).unwrap();
        json!([{ "device": id, "sealed": sealed }])
    }
}

/// A hub with an admin, at which guests may come into encrypted meetings.
pub(crate) fn office(server: &Server) -> Asker<'_> {
    let admin = Asker::admin(server, "ada");
    let guests = json!({ "guests_under_e2ee": "allow" }).to_string();
    let set = admin.send("PATCH", "/api/settings", "", &guests);
    assert_eq!(set.status, 200, "{set:?}");
    admin
}

/// Enrols a box that keeps things in `state`, with more options; what the command said.
pub(crate) fn enrol(hub: &str, state: &Path, code: &str, more: &[&str]) -> Output {
    let state = state.to_str().unwrap();
    let arguments = [
        "enrol",
        "--hub",
        hub,
        "--name",
        "Board room",
        "--state",
        state,
    ];
    roomseal(&[&arguments[..], more].concat(), code.as_bytes())
}

fn pairing_code(admin: &Asker<'_>) -> String {
    let given = admin.post("/api/devices/code", &json!({}));
    given.body["code"].as_str().unwrap().to_owned()
}

/// The one device of a hub: its id and its key.
fn device_of(admin: &Asker<'_>) -> (String, DevicePublic) {
    let listed = admin.get("/api/rooms");
    let room = &listed.body["rooms"][0];
    let key: PublicKey = serde_json::from_value(room["key"].clone()).unwrap();
    let id = room["id"].as_str().unwrap().to_owned();
    (id, DevicePublic::new(key.as_bytes()).unwrap())
}

/// Has a box ask at once, as it does when it was enrolled anew.
pub(crate) fn ask_again(state: &Path) {
    let file = state.join("device.json");
    let record = std::fs::read(&file).unwrap();
    std::fs::write(&file, record).unwrap();
}

fn rooms(status: &Status) -> Vec<&str> {
    let booked = status.booked.iter();
    booked.map(|booked| booked.room.as_str()).collect()
}

pub(crate) fn wait_for_rooms(of: &Appliance, since: Instant, expected: &[&str]) -> Status {
    of.wait_since(
        since,
        &format!("booking for {expected:?}"),
        SOON,
        |status| (rooms(status) == expected).then(|| status.clone()),
    )
}

fn wait_for_trouble(of: &Appliance, since: Instant, about: &str, part: &str) {
    of.wait_since(since, &format!("trouble with {about}"), SOON, |status| {
        let trouble = status.trouble(about)?;
        trouble.text.contains(part).then_some(())
    });
}

pub(crate) fn entered(of: &Appliance, since: Instant, room: &str) {
    of.wait_since(since, "entry into the room", SOON, |status| {
        (status.connection == Connection::Joined && status.room == room).then_some(())
    });
}

#[test]
fn a_booked_box_enters_with_one_press_and_shows_who_invited_it_by_whose_word() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::hub_with_people();
    let admin = office(&server);
    let origin = server.url().replacen("ws://", "http://", 1);
    let state = folder.path().join("state");
    let panel = folder.path().join("panel");
    let device = Start::new("run", "box")
        .with(MEDIA)
        .with(["--panel-dir", panel.to_str().unwrap()])
        .environment("STATE_DIRECTORY", state.to_str().unwrap())
        .wait_outside(&server);
    let (done, said) = ask(&device, &["join", "--next"]);
    assert!(!done && said.contains("booked for nothing"), "{said}");

    // It is enrolled while it runs, and is one of the rooms from then on.
    let now = Instant::now();
    let enrolled = enrol(&origin, &state, &pairing_code(&admin), &[]);
    assert!(enrolled.status.success(), "{enrolled:?}");
    let (id, key) = device_of(&admin);
    let words = key_words(key.as_bytes()).join(" ");
    let told = String::from_utf8(enrolled.stdout).unwrap();
    assert!(told.contains(&words), "{told}");
    device.wait_since(now, "place at the hub", SOON, |status| {
        let enrolled = status.enrolled.as_ref()?;
        (enrolled.words == words && enrolled.name == "Board room").then_some(())
    });

    // One that runs, one of tomorrow, and three that are no invitations.
    let budget = Made::new(folder.path(), &origin, "budget");
    let plans = Made::new(folder.path(), &origin, "plans");
    let stray = Made::new(folder.path(), &origin, "stray");
    let moved = Made::new(folder.path(), &origin, "moved");
    let foreign = Made::new(folder.path(), "https://mallory.example", "foreign");
    let other = DeviceKey::from_seed(&[5; 32]).unwrap();
    budget.schedule(
        &admin,
        Duration::ZERO,
        &budget.sealed(&id, &key, &budget.host),
    );
    plans.schedule(&admin, 24 * HOUR, &plans.sealed(&id, &key, &plans.host));
    stray.schedule(
        &admin,
        HOUR,
        &stray.sealed(&id, other.public(), &stray.host),
    );
    moved.schedule(&admin, 2 * HOUR, &moved.sealed(&id, &key, &budget.host));
    foreign.schedule(&admin, 3 * HOUR, &foreign.sealed(&id, &key, &foreign.host));
    let now = Instant::now();
    ask_again(&state);
    let status = wait_for_rooms(&device, now, &["budget", "plans"]);
    let shown = &status.booked[0];
    assert_eq!(shown.title, "budget <b>talk</b>");
    assert_eq!(shown.organiser, "ada");
    assert_eq!(shown.by(), format!("by ada, as {} says", server.address()));
    device.wait_since(now, "what a press does", SOON, |status| {
        status.press.contains("join \"budget").then_some(())
    });
    wait_for_trouble(&device, now, "a booking", "stray");
    wait_for_trouble(&device, now, "a booking", "(and 2 more)");
    for (room, why) in [
        ("stray", "not sealed for this box"),
        ("moved", "another room"),
        ("foreign", "mallory.example"),
    ] {
        let mut lines = device.process.lines().into_iter();
        let named = |line: &str| line.contains(room) && line.contains(why);
        assert!(lines.any(|(_, line)| named(&line)), "{room} is not named");
    }
    let (done, said) = ask(&device, &["status"]);
    assert!(done && said.contains("by ada, as"), "{said}");

    let now = Instant::now();
    let (done, said) = ask(&device, &["join", "--next"]);
    assert!(done && said.contains("by ada, as"), "{said}");
    entered(&device, now, "budget");
    let guest = start("guest", "guest", &budget.guest)
        .with(MEDIA)
        .join(&server, "budget");
    for member in [&device, &guest] {
        wait_for_shield(member, now, "sealed");
    }
    assert!(device.status().encryption.unwrap().host, "it came as host");
    // It stays where it is, whatever else it is booked for.
    let (done, said) = ask(&device, &["join", "--next"]);
    assert!(!done && said.contains("booked for nothing"), "{said}");

    let (done, said) = ask(&device, &["leave"]);
    assert!(done, "{said}");
    device.wait_since(now, "what a press does", SOON, |status| {
        let outside = matches!(status.connection, Connection::Left { .. });
        (outside && status.press.contains("join \"budget")).then_some(())
    });
    let now = Button::of(&panel).press();
    entered(&device, now, "budget");
    for member in [&device, &guest] {
        wait_for_shield(member, now, "sealed");
    }
    assert!(ask(&device, &["leave"]).0);

    // Cancelled ones vanish, and the button starts meetings again.
    let cancelled = admin.send("DELETE", "/api/schedule/budget", "", "");
    assert_eq!(cancelled.status, 204, "{cancelled:?}");
    let now = Instant::now();
    ask_again(&state);
    wait_for_rooms(&device, now, &["plans"]);
    device.wait_since(now, "what a press does", SOON, |status| {
        (status.press == "start a sealed meeting").then_some(())
    });

    let out = admin.send("DELETE", &format!("/api/devices/{id}"), "", "");
    assert_eq!(out.status, 204, "{out:?}");
    let now = Instant::now();
    ask_again(&state);
    wait_for_trouble(&device, now, "bookings", "does not know this box any more");
    wait_for_rooms(&device, now, &[]);

    // Nothing of a link or of the key is said anywhere.
    let kept = std::fs::read_to_string(state.join("device.key")).unwrap();
    let SecretSource::Link(secret) = budget.host.secret() else {
        panic!("the secret is in the link");
    };
    let scanner = Scanner::new(&[
        ("key of the device", hex::decode(kept.trim()).unwrap()),
        ("secret of the meeting", secret.expose().to_vec()),
    ]);
    let planted = format!("{kept}{}", *budget.host.expose());
    let found = scanner.scan(planted.as_bytes());
    let found: BTreeSet<_> = found.iter().map(|leak| leak.secret).collect();
    assert_eq!(found.len(), 2, "the scan finds both where they are");
    assert_eq!(scanner.scan(server.log().as_bytes()), []);
    assert_eq!(scanner.scan(device.process.output().as_bytes()), []);
    for (_, status) in device.statuses() {
        let status = serde_json::to_string(&status).unwrap();
        assert_eq!(scanner.scan(status.as_bytes()), []);
    }
}

#[test]
fn an_invitation_stands_on_screen_and_page_and_is_entered_by_its_button_there() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::hub_with_people();
    let admin = office(&server);
    let origin = server.url().replacen("ws://", "http://", 1);
    let (state, screen) = (
        folder.path().join("state"),
        folder.path().join("screen.png"),
    );
    let enrolled = enrol(&origin, &state, &pairing_code(&admin), &[]);
    assert!(enrolled.status.success(), "{enrolled:?}");
    let (id, key) = device_of(&admin);
    let plans = Made::new(folder.path(), &origin, "plans");
    let budget = Made::new(folder.path(), &origin, "budget");
    plans.schedule(&admin, 24 * HOUR, &plans.sealed(&id, &key, &plans.host));
    budget.schedule(&admin, HOUR / 12, &budget.sealed(&id, &key, &budget.host));
    let shown = format!("file:{}", screen.display());
    let device = Start::new("run", "box")
        .with(MEDIA)
        .with(["--name", "Board room", "--panel-page", "127.0.0.1:0"])
        .with(["--screen", &shown])
        .environment("STATE_DIRECTORY", state.to_str().unwrap())
        .wait_outside(&server);
    // A box that was enrolled before its start asks as soon as it runs.
    let now = Instant::now();
    wait_for_rooms(&device, now, &["budget", "plans"]);
    see(&screen, "picture", |_| Some(()));

    let mut browser = Browser::start();
    browser.open(&page_of(&device), Window::Desktop, "light");
    browser.see("#booked", "budget <b>talk</b>", SOON);
    browser.see(
        "#booked",
        &format!("by ada, as {} says", server.address()),
        SOON,
    );
    browser.see("#booked-words", &key_words(key.as_bytes()).join(" "), SOON);
    browser.picture("booked-desktop-light");
    keep(&screen, "booked");
    let now = Instant::now();
    browser.run("document.querySelector('#booked button').click()");
    entered(&device, now, "budget");
    wait_for_shield(&device, now, "waiting");
    browser.see("body[data-state=waiting] h1", "Waiting for others", SOON);
    assert!(
        !browser.shows("#booked button"),
        "a box in a meeting stays there"
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.close();
}

#[test]
fn a_hub_that_made_its_certificate_is_known_by_its_hash_alone() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::hub_with_tls();
    let origin = server.url().replacen("wss://", "https://", 1);
    let code = "k3f9-ab2x-7mqp-4wcz";
    let refused = |more: &[&str]| {
        let refused = enrol(&origin, folder.path(), code, more);
        assert!(!refused.status.success(), "{refused:?}");
        String::from_utf8(refused.stderr).unwrap()
    };
    // With the right one the hub is asked, and knows no such code.
    let said = refused(&["--certificate-sha256", &server.certificate()]);
    assert!(said.contains("does not take this code"), "{said}");
    let said = refused(&["--certificate-sha256", &"00".repeat(32)]);
    assert!(said.contains("not the expected one"), "{said}");
    let said = refused(&[]);
    assert!(said.contains("cannot trust"), "{said}");
}
