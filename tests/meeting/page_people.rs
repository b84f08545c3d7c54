// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who somebody at the join page is to the hub: a guest, somebody with an account, somebody who waits.

use std::time::Instant;

use roomseal_policy::{
    Certificate, E2ee, HostGrant, HostKey, KeySeed, Link, LinkSecret, MeetingKey, RoomName,
    SecretSource,
};
use roomseal_tests::appliance::Appliance;
use roomseal_tests::bare::Bare;
use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::livekit::{Engine, Server};
use roomseal_tests::people::{Asker, PASSWORD};
use roomseal_tests::toggle::Button;
use serde_json::json;

use crate::join::{OWN_CAMERA, OWN_MICROPHONE, count, grows, pictures, shows};
use crate::roomseal::{new_meeting, start, wait_for_shield};
use crate::{SOON, one_at_a_time, talking_clip};

/// Comes in by the door of a page that is open.
pub(crate) fn join_as(browser: &mut Browser, name: &str) {
    browser.see("#door", "Join", SOON);
    browser.tab_to("name");
    browser.write(name);
    browser.key("Enter");
}

/// Types into a field, in the place of what is there.
fn fill(browser: &mut Browser, id: &str, text: &str) {
    browser.run(&format!("document.getElementById('{id}').select()"));
    browser.run(&format!("document.getElementById('{id}').focus()"));
    browser.write(text);
}

/// Signs in at the door, with the password of everybody here.
fn sign_in(browser: &mut Browser, name: &str) {
    browser.see("#with-account", "Sign in", SOON);
    browser.tab_to("with-account");
    browser.key("Enter");
    browser.see("#sign-in", "administers the meetings", SOON);
    fill(browser, "account", name);
    fill(browser, "password", PASSWORD);
    browser.key("Enter");
    browser.see("#signed-in", &format!("Signed in as {name}"), SOON);
}

/// Chooses no camera at the door: two pictures at a time are enough for this machine.
pub(crate) fn without_camera(browser: &mut Browser) {
    browser.see("#cameras:not(:empty)", "", SOON);
    browser.run(
        "(() => {
            const list = document.getElementById('cameras');
            list.value = 'none';
            list.dispatchEvent(new Event('change'));
        })()",
    );
}

/// What the service calls who came by the page under this name, as a guest or with an account.
fn page_called(host: &Appliance, name: &str, how: &str) -> String {
    host.wait_for("somebody at the page", SOON, |status| {
        let mut all = status.participants.iter();
        let found = all.find(|it| it.name == name && it.identity.starts_with(how))?;
        Some(found.identity.clone())
    })
}

#[test]
fn a_guest_who_has_to_sign_in_when_encryption_goes_on_comes_back_without_losing_the_place() {
    comes_back_by_signing_in(Engine::Embedded, Browser::start);
}

#[test]
fn a_guest_comes_back_without_losing_the_place_at_a_livekit_server_too() {
    comes_back_by_signing_in(Engine::LiveKit, Browser::start);
}

#[test]
#[cfg(feature = "full")]
fn a_guest_comes_back_without_losing_the_place_in_firefox_too() {
    comes_back_by_signing_in(Engine::EmbeddedOnLan, Browser::firefox);
}

fn comes_back_by_signing_in(engine: Engine, starts: fn() -> Browser) {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let server = Server::hub_with_people_on(engine);
    let admin = Asker::admin(&server, "ada");
    let code = admin.invitation("petra", false);
    admin.invite("olga", false);
    let links = folder.path().join("meeting");
    let (host_link, guest_link) = new_meeting(&links, "guests", &["--announce-off"]);
    let panel = folder.path().join("panel");
    // It writes the metadata, by which the hub hears of a press.
    let host = start("run", "box", &host_link)
        .api_key(&server)
        .playing(&clip)
        .with(["--panel-dir", panel.to_str().unwrap()])
        .join(&server, "guests");
    let link = std::fs::read_to_string(guest_link).unwrap();
    let mut browser = starts();
    // Somebody with an account, who looks on.
    browser.open(&server.page_of(&link), Window::Desktop, "light");
    sign_in(&mut browser, "olga");
    without_camera(&mut browser);
    browser.tab_to("join");
    browser.key("Enter");
    shows(&mut browser, "open");
    let tap = server.token_of_kind("egress", "tap", "guests");
    let tap = Bare::join(&server.url(), &tap, Vec::new());
    browser.see("#people", "tap", SOON);
    browser.open_beside(&server.page_of(&link), Window::Phone, "light");
    browser.see("#with-account", "Sign in", SOON);
    join_as(&mut browser, "Petra");
    shows(&mut browser, "open");
    grows(&mut browser, "clear pictures", 5, pictures);
    page_called(&host, "Petra", "guest-");
    browser.run("document.getElementById('microphone').click()");
    browser.see("#microphone[aria-pressed=false]", "", SOON);
    browser.run("window.sameLife = true");

    let pressed = Button::of(&panel).press();
    let why = browser.see("#sign-in", "A host turned on encryption", SOON);
    assert!(why.contains("sign in here for that"), "{why}");
    assert!(!browser.shows("#meeting:not([hidden])"));
    assert!(!browser.shows("#door:not([hidden])"));
    browser.picture("join-sign-in-phone");
    browser.turn_to(0);
    shows(&mut browser, "sealed");
    wait_for_shield(&host, pressed, "sealed");
    // Everybody who is left is told who was put out, and why.
    for (who, why) in [
        ("Petra", "guests sign in here for that"),
        ("tap (recorder)", "cannot be part"),
    ] {
        let told = browser.see("#dropped", who, SOON);
        assert!(told.contains(why), "{told}");
        let news = browser
            .run("document.getElementById('news').textContent")
            .to_string();
        assert!(news.contains(who) && news.contains(why), "{news}");
    }
    browser.picture("join-dropped-desktop");
    tap.wait_until_out(SOON);
    browser.turn_to(1);
    fill(&mut browser, "account", "petra");
    fill(&mut browser, "password", "not the password");
    browser.key("Enter");
    browser.see("#sign-in-reply", "name or password is wrong", SOON);
    // The password is chosen here, by a code.
    browser.run("document.getElementById('by-code').click()");
    browser.see("#account-label", "Invitation code", SOON);
    fill(&mut browser, "account", &code);
    fill(&mut browser, "password", PASSWORD);
    let signed = Instant::now();
    browser.key("Enter");
    shows(&mut browser, "sealed");
    println!(
        "back and sealed {} ms after signing in",
        signed.elapsed().as_millis()
    );
    assert_eq!(browser.run("window.sameLife"), true);
    let page = page_called(&host, "Petra", "account-");
    host.wait_for_track("verified camera of the page", &page, "camera", SOON, |it| {
        it.verification == "verified"
    });
    grows(&mut browser, "sealed pictures", 25, pictures);
    assert!(count(&mut browser, OWN_CAMERA, "sealed") > 0);
    assert_eq!(count(&mut browser, OWN_CAMERA, "clear"), 0);
    // What was off stays off.
    assert!(browser.shows("#microphone[aria-pressed=false]"));
    assert!(!browser.shows(OWN_MICROPHONE));
    // No part of what was typed is where it can be found.
    let left =
        "JSON.stringify([location.href, document.cookie, {...localStorage}, {...sessionStorage}])";
    let left = browser.run(left).to_string();
    assert!(
        !left.contains(PASSWORD) && !left.contains("session="),
        "{left}"
    );
    browser.close();
}

/// The links of host and guests to a meeting in this room, whose hosts this key makes; encryption is on in it, or off.
pub(crate) fn links(meeting: &MeetingKey, room: &str, e2ee: E2ee) -> (String, String) {
    let origin = "https://meet.example.org".parse().unwrap();
    let room: RoomName = room.parse().unwrap();
    let secret = SecretSource::Link(LinkSecret::new([7; 32].into()));
    let guest = Link::guest(origin, room.clone(), secret, meeting.hash(), e2ee);
    let seed = || KeySeed::new([2; 32].into()).unwrap();
    let key = HostKey::from_seed(&seed());
    let certificate = Certificate::issue(meeting, &room, key.public(), &"Hanna".parse().unwrap());
    let grant = HostGrant::new(seed(), certificate).unwrap();
    let host = guest.clone().for_host(grant).unwrap();
    (host.expose().to_string(), guest.expose().to_string())
}

/// A meeting in which guests wait, of `ada`'s or, without a licence for encryption, of `dora`'s: its room, and the links
/// of hosts and guests.
fn with_a_waiting_room(server: &Server, licensed: bool) -> (String, String, String) {
    let admin = Asker::admin(server, "ada");
    let allow = json!({ "guests_under_e2ee": "allow" }).to_string();
    assert_eq!(admin.send("PATCH", "/api/settings", "", &allow).status, 200);
    let dora = admin.invite("dora", false);
    let key = MeetingKey::from_seed(&KeySeed::new([1; 32].into()).unwrap());
    let (organiser, e2ee) = match licensed {
        true => (admin, E2ee::On),
        false => (dora, E2ee::Off),
    };
    let asked =
        json!({ "e2ee": licensed, "waiting_room": true, "meeting_key": key.hash().to_string() });
    let started = organiser.post("/api/meetings", &asked);
    let room = started.body["room"].as_str().unwrap().to_owned();
    let (host_link, guest_link) = links(&key, &room, e2ee);
    (room, host_link, guest_link)
}

#[test]
fn a_host_lets_people_in_from_the_waiting_room_and_waits_for_nobody() {
    lets_in_by_the_key(Engine::Embedded);
}

#[test]
#[cfg(feature = "full")]
fn a_host_lets_people_in_from_the_waiting_room_at_a_livekit_server_too() {
    lets_in_by_the_key(Engine::LiveKit);
}

fn lets_in_by_the_key(engine: Engine) {
    let _turn = one_at_a_time();
    let server = Server::hub_with_people_on(engine);
    let (_, host_link, guest_link) = with_a_waiting_room(&server, true);
    let mut browser = Browser::start();
    browser.open(&server.page_of(&host_link), Window::Desktop, "light");
    without_camera(&mut browser);
    join_as(&mut browser, "Hanna");
    // Who has the host's key waits for nobody.
    shows(&mut browser, "waiting");
    browser.open_beside(&server.page_of(&guest_link), Window::Phone, "light");
    join_as(&mut browser, "Petra <b>");
    browser.see("#waits", "a host lets you in", SOON);
    browser.picture_of_window("join-waits-phone");
    browser.turn_to(0);
    browser.see("#lobby", "Petra <b> (guest)", SOON);
    browser.see("#news", "Petra <b> waits to be let in", SOON);
    let said = browser.said();
    assert!(said.contains("button \"Let in: Petra <b>\""), "{said}");
    browser.picture_of_window("join-lobby-desktop");
    browser.run("document.querySelector('#lobby .admit').focus()");
    browser.key("Enter");
    browser.see("#news", "Petra <b> is let in", SOON);
    assert!(!browser.shows("#lobby:not([hidden])"));
    assert_eq!(browser.run("document.activeElement.id"), "who");
    shows(&mut browser, "sealed");
    grows(&mut browser, "pictures of the guest", 10, pictures);
    browser.turn_to(1);
    shows(&mut browser, "sealed");
    grows(&mut browser, "sound of the host", 50, |browser| {
        count(browser, "#people [data-source=microphone]", "opened")
    });
    browser.tab_to("chat-line");
    browser.write("thank you");
    browser.key("Enter");
    browser.turn_to(0);
    browser.see("#chat [data-how=sealed]", "thank you", SOON);

    browser.close();
}

#[test]
#[cfg(feature = "full")]
fn an_organiser_who_signs_in_lets_people_in_or_not() {
    lets_in_by_the_account(Engine::Embedded, true);
}

#[test]
#[cfg(feature = "full")]
fn an_organiser_who_signs_in_lets_people_in_or_not_at_a_livekit_server_too() {
    lets_in_by_the_account(Engine::LiveKit, true);
}

// There the server writes the tokens anew, and leaves out what is for the hub alone.
#[test]
#[cfg(feature = "full")]
fn an_organiser_without_licence_lets_people_in_or_not_at_a_livekit_server_too() {
    lets_in_by_the_account(Engine::LiveKit, false);
}

#[cfg(feature = "full")]
fn lets_in_by_the_account(engine: Engine, licensed: bool) {
    let _turn = one_at_a_time();
    let server = Server::hub_with_people_on(engine);
    let (room, _, guest_link) = with_a_waiting_room(&server, licensed);
    let mut browser = Browser::start();
    browser.open(&server.page_of(&guest_link), Window::Phone, "dark");
    sign_in(&mut browser, if licensed { "ada" } else { "dora" });
    browser.picture_of_window("join-signed-in-phone");
    without_camera(&mut browser);
    browser.tab_to("join");
    browser.key("Enter");
    // A guest's link has no host's key; who organised the meeting waits for nobody all the same.
    shows(&mut browser, "connecting");
    browser.open_beside(&server.page_of(&guest_link), Window::Phone, "light");
    join_as(&mut browser, "Eve");
    browser.see("#waits", "a host lets you in", SOON);
    browser.turn_to(0);
    browser.see("#lobby", "Eve (guest)", SOON);
    browser.picture_of_window("join-lobby-phone");
    browser.run("document.querySelector('#lobby .refuse').click()");
    browser.see("#news", "Eve is not let in", SOON);
    browser.turn_to(1);
    browser.see("#trouble", "a host did not let you in", SOON);
    assert!(!browser.shows("#meeting:not([hidden])"), "{room}");
    browser.close();
}

#[test]
#[cfg(feature = "full")]
fn people_come_before_the_host_and_only_hosts_have_the_button() {
    only_hosts_press(Engine::Embedded);
}

#[test]
#[cfg(feature = "full")]
fn people_come_before_the_host_and_only_hosts_have_the_button_at_a_livekit_server_too() {
    only_hosts_press(Engine::LiveKit);
}

/// With encryption it takes a licence to start or to schedule a meeting: the own one, and for a box that of who enrolled it.
#[cfg(feature = "full")]
fn licences_decide(server: &Server, admin: &Asker<'_>) {
    use std::time::{SystemTime, UNIX_EPOCH};

    use roomseal_tests::device::Device;

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let starts = now.as_secs() + 3600;
    let accounts = [("bob", false), ("carl", true)];
    for (number, (name, licensed)) in (1_u8..).zip(accounts) {
        let account = admin.invite(name, licensed);
        let device = Device::enrolled(server, &account, &format!("Room of {name}"), 6 + number);
        for (asker, who) in [(&account, "account"), (&device.asker(), "box")] {
            for e2ee in [true, false] {
                let status = if licensed || !e2ee { 201 } else { 403 };
                let started = asker.post("/api/meetings", &json!({ "e2ee": e2ee }));
                assert_eq!(started.status, status, "{name}'s {who}: {started:?}");
                let key = MeetingKey::from_seed(&KeySeed::new([1; 32].into()).unwrap());
                let asked = json!({
                    "room": format!("{name}-{who}-{e2ee}"), "title": "Plans", "e2ee": e2ee,
                    "starts": starts, "ends": starts + 3600, "meeting_key": key.hash().to_string(),
                });
                let scheduled = asker.post("/api/schedule", &asked);
                assert_eq!(scheduled.status, status, "{name}'s {who}: {scheduled:?}");
            }
        }
    }
    for path in ["/api/meetings", "/api/schedule"] {
        let nobody = Asker::stranger(server).post(path, &json!({}));
        assert_eq!(nobody.status, 401, "{nobody:?}");
    }
}

#[cfg(feature = "full")]
fn only_hosts_press(engine: Engine) {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::hub_with_people_on(engine);
    let admin = Asker::admin(&server, "ada");
    licences_decide(&server, &admin);

    let links = roomseal_tests::toggle::Links::make(
        &folder.path().join("meeting"),
        "roles",
        &["Hanna", "Carla"],
        &["--announce-off"],
    );
    let read = |file: &std::path::Path| std::fs::read_to_string(file).unwrap();
    let mut browser = Browser::start();
    // The page for planning offers no encryption to who may not have it.
    browser.open(&format!("{}/plan", server.site()), Window::Phone, "light");
    browser.see("#sign-in", "Sign in to plan", SOON);
    fill(&mut browser, "account", "bob");
    fill(&mut browser, "password", PASSWORD);
    browser.key("Enter");
    browser.see("#no-licence", "", SOON);
    assert!(browser.shows("#sealed:disabled:not(:checked)"));
    fill(&mut browser, "title", "In the open");
    browser.key("Enter");
    browser.see("#made", "In the open", SOON);
    assert!(
        !browser
            .run("document.getElementById('plans').textContent")
            .to_string()
            .contains("encrypted")
    );
    browser.open(&server.page_of(&read(&links.guest)), Window::Phone, "light");
    without_camera(&mut browser);
    join_as(&mut browser, "Petra");
    browser.see("#reasons", "waiting for the host", SOON);
    assert!(browser.shows("#e2ee[hidden]") && browser.shows("#end[hidden]"));
    // Nor does a press of a button that is not there do anything.
    browser.run("document.getElementById('e2ee').dispatchEvent(new PointerEvent('pointerdown'))");
    shows(&mut browser, "denied");
    browser.see("#reasons", "only a host", SOON);

    // The other host's link is as good as the first one's.
    browser.open_beside(
        &server.page_of(&read(&links.hosts[1])),
        Window::Desktop,
        "light",
    );
    without_camera(&mut browser);
    join_as(&mut browser, "Carla");
    shows(&mut browser, "open");
    browser.turn_to(0);
    shows(&mut browser, "open");
    browser.turn_to(1);
    browser.tab_to("e2ee");
    browser.key("Enter");
    shows(&mut browser, "sealed");
    browser.turn_to(0);
    browser.see("#news", "Carla turned encryption on", SOON);
    shows(&mut browser, "sealed");
    browser.close();
}
