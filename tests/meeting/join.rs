// SPDX-License-Identifier: MIT OR Apache-2.0
//! Somebody in a Roomseal meeting by the join page, in a real browser.

use std::path::Path;
use std::time::{Duration, Instant};

use roomseal_appliance::status::Status;
use roomseal_tests::appliance::Appliance;
use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::livekit::{Engine, Server};
use roomseal_tests::toggle::Button;

use crate::roomseal::{ask, new_meeting, start, wait_for_shield};
use crate::{SOON, one_at_a_time, talking_clip};

/// The counts of one line of a list on the page.
const COUNT: &str = "Number(document.querySelector('SELECTOR')?.dataset.NAME ?? 0)";

pub(crate) fn count(browser: &mut Browser, selector: &str, name: &str) -> u64 {
    let script = COUNT.replace("SELECTOR", selector).replace("NAME", name);
    browser.run(&script).as_u64().unwrap_or_default()
}

/// From now on the page remembers what its shield showed: some states are over before anybody looks.
const REMEMBER_STATES: &str = "(() => {
    window.shown = [];
    new MutationObserver(() => window.shown.push(document.body.dataset.state))
        .observe(document.body, { attributeFilter: ['data-state'] });
})()";

/// Whether it showed since then that it was on its way, and that it is sealed after that.
const CAME_BACK: &str = "(() => {
    const left = window.shown.indexOf('connecting');
    return left >= 0 && window.shown.indexOf('sealed', left) > left ? 1 : 0;
})()";

/// How many pictures of the others the page has shown. Firefox counts those of a meeting only for who asks at each.
pub(crate) fn pictures(browser: &mut Browser) -> u64 {
    let script =
        "[...document.querySelectorAll('figure:not([data-sid=\"\"]) video')].reduce((sum, it) => {
        if (it.shown === undefined) {
            it.shown = 0;
            const count = (_, { presentedFrames }) => {
                it.shown = presentedFrames;
                it.requestVideoFrameCallback(count);
            };
            it.requestVideoFrameCallback(count);
        }
        return sum + Math.max(it.shown, it.getVideoPlaybackQuality().totalVideoFrames);
    }, 0)";
    browser.run(script).as_u64().unwrap_or_default()
}

/// Waits until `value` has grown by `more`.
pub(crate) fn grows(
    browser: &mut Browser,
    what: &str,
    more: u64,
    value: impl Fn(&mut Browser) -> u64,
) {
    let before = value(browser);
    reaches(browser, what, before + more, value);
}

/// Waits until `value` is `goal` or more.
fn reaches(browser: &mut Browser, what: &str, goal: u64, value: impl Fn(&mut Browser) -> u64) {
    let began = Instant::now();
    loop {
        let now = value(browser);
        if now >= goal {
            println!("{what}: {now} after {} ms", began.elapsed().as_millis());
            return;
        }
        if began.elapsed() > SOON {
            let said = browser.said();
            panic!(
                "{what}: {now} of {goal}; {:?}\n{said}",
                browser.complaints()
            );
        }
        // The page counts when asked; a few times a second is soon enough.
        std::thread::sleep(Duration::from_millis(200));
    }
}

pub(crate) fn shows(browser: &mut Browser, state: &str) {
    browser.see(&format!("body[data-state=\"{state}\"] #state"), "", SOON);
}

/// Holds the page's button, as a finger does, until the countdown after which encryption is off.
pub(crate) fn holds(browser: &mut Browser) {
    let touch = |browser: &mut Browser, event: &str| {
        browser.run(&format!(
            "document.getElementById('e2ee').dispatchEvent(new PointerEvent('{event}'))"
        ));
    };
    touch(browser, "pointerdown");
    browser.see("#e2ee", "Keep encryption on", SOON);
    touch(browser, "pointerup");
}

/// What the service calls the only other participant.
pub(crate) fn other(of: &Appliance) -> String {
    of.wait_for("somebody else", SOON, |status| {
        Some(status.participants.first()?.identity.clone())
    })
}

const SCREEN: &str = "(() => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [640, 360];
    const pen = canvas.getContext('2d');
    let turn = 0;
    setInterval(() => {
        pen.fillStyle = `hsl(${turn += 20} 80% 50%)`;
        pen.fillRect(0, 0, 640, 360);
    }, 66);
    navigator.mediaDevices.getDisplayMedia = async () => canvas.captureStream(15);
})()";

/// Keeps what leaves by data channels, as text of one character for each byte.
const WATCH: &str = "(() => {
    window.left = '';
    const send = RTCDataChannel.prototype.send;
    RTCDataChannel.prototype.send = function (data) {
        window.left += new TextDecoder('latin1').decode(data);
        return send.call(this, data);
    };
})()";

/// The page writes a line and the box another; each is read at the other side, and the service can read them if clear.
fn they_write(browser: &mut Browser, device: &Appliance, sealed: bool) {
    let (how, sign) = match sealed {
        true => ("sealed", "✓ sealed"),
        false => ("clear", "! not sealed"),
    };
    let line = format!("<b>from the page</b>, {how}");
    browser.tab_to("chat-line");
    browser.write(&line);
    browser.key("Enter");
    let of_page = device.wait_for("the page's line", SOON, |status| {
        status.chat.iter().find(|it| it.text == line).cloned()
    });
    assert_eq!((of_page.sealed, of_page.own), (sealed, false));
    browser.see(
        &format!("#chat [data-own=true][data-how={how}]"),
        &line,
        SOON,
    );
    let left = browser.run(&format!("window.left.includes({line:?})"));
    assert_eq!(left, !sealed, "what the service gets of {line}");

    let line = format!("from the box, {how}");
    let (done, said) = ask(device, &["chat", &line]);
    assert!(done, "{said}");
    let shown = browser.see(
        &format!("#chat [data-own=false][data-how={how}]"),
        &line,
        SOON,
    );
    assert!(shown.contains(sign), "{shown}");
    assert_eq!(
        browser.run("document.querySelector('#chat-line').value"),
        ""
    );
}

pub(crate) const BOX_CAMERA: &str = "#people [data-identity=\"box\"] [data-source=\"camera\"]";
const BOX_MICROPHONE: &str = "#people [data-identity=\"box\"] [data-source=\"microphone\"]";
pub(crate) const OWN_CAMERA: &str = "#own [data-source=\"camera\"]";
pub(crate) const OWN_MICROPHONE: &str = "#own [data-source=\"microphone\"]";

#[test]
fn a_person_with_a_browser_joins_by_link_and_a_press_at_the_box_turns_both_shields_green() {
    let _turn = one_at_a_time();
    meets_a_box(Engine::Embedded, Browser::start);
}

#[test]
fn the_page_is_small_enough_for_a_slow_network() {
    let parts = std::fs::read_dir(roomseal_tests::places::provided("web")).unwrap();
    let packed = parts
        .map(|part| part.unwrap())
        .filter(|part| part.path().extension().is_some_and(|it| it == "gz"));
    let bytes: u64 = packed.map(|part| part.metadata().unwrap().len()).sum();
    println!("all of the page: {bytes} bytes");
    assert!((100_000..800_000).contains(&bytes), "{bytes}");
}

#[test]
fn in_a_meeting_of_a_livekit_server_with_the_hub_in_front_of_it_too() {
    let _turn = one_at_a_time();
    meets_a_box(Engine::LiveKit, Browser::start);
}

#[test]
#[cfg(feature = "full")]
fn with_firefox_too_and_it_is_told_the_chat_when_it_comes_back() {
    let _turn = one_at_a_time();
    meets_a_box(Engine::EmbeddedOnLan, Browser::firefox);
}

fn meets_a_box(engine: Engine, starts: fn() -> Browser) {
    let server = Server::hub_on(engine);
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let links = folder.path().join("meeting");
    let (host_link, guest_link) = new_meeting(&links, "door", &["--announce-off"]);
    let panel = folder.path().join("panel");
    let host = start("run", "box", &host_link)
        .playing(&clip)
        .with(["--panel-dir", panel.to_str().unwrap()])
        .join(&server, "door");

    let link = std::fs::read_to_string(guest_link).unwrap();
    let mut browser = starts();
    browser.open(&server.page_of(&link), Window::Desktop, "light");
    browser.see("#room", "door", SOON);
    // Nothing of the secret stays in the address or in the history.
    let address = browser.run("location.href + JSON.stringify(history.state)");
    assert!(
        address.as_str().unwrap().ends_with("/j/doornull"),
        "{address}"
    );
    assert_eq!(browser.run("typeof window.takeLink"), "undefined");
    browser.run(WATCH);

    browser.tab_to("name");
    browser.write("Petra");
    let joined = Instant::now();
    browser.key("Enter");
    shows(&mut browser, "open");
    grows(&mut browser, "first picture", 1, pictures);
    println!(
        "the first picture is there {} ms after the press",
        joined.elapsed().as_millis()
    );
    wait_for_shield(&host, joined, "open");
    grows(&mut browser, "clear pictures", 25, pictures);
    let page = other(&host);
    for source in ["camera", "microphone"] {
        host.wait_for_track("clear media of the page", &page, source, SOON, |track| {
            track.verification == "clear"
        });
    }
    let clear = |browser: &mut Browser| {
        count(browser, OWN_CAMERA, "clear") + count(browser, OWN_MICROPHONE, "clear")
    };
    assert!(clear(&mut browser) > 0);
    they_write(&mut browser, &host, false);

    let button = Button::of(&panel);
    let pressed = button.press();
    let took = wait_for_shield(&host, pressed, "sealed");
    shows(&mut browser, "sealed");
    println!(
        "the box shows sealed after {} ms, the page after {} at most",
        took.as_millis(),
        pressed.elapsed().as_millis()
    );
    let left_clear = clear(&mut browser);
    for source in ["camera", "microphone"] {
        host.wait_for_track("verified media of the page", &page, source, SOON, |track| {
            track.verification == "verified"
        });
    }
    grows(&mut browser, "sealed pictures", 50, pictures);
    for (what, selector) in [
        ("box's camera", BOX_CAMERA),
        ("box's microphone", BOX_MICROPHONE),
    ] {
        grows(&mut browser, what, 50, |browser| {
            count(browser, selector, "opened")
        });
        assert_eq!(
            browser.run(&format!(
                "document.querySelector('{selector}').dataset.verification"
            )),
            "verified"
        );
    }
    for (what, selector) in [
        ("own camera", OWN_CAMERA),
        ("own microphone", OWN_MICROPHONE),
    ] {
        grows(&mut browser, what, 25, |browser| {
            count(browser, selector, "sealed")
        });
    }
    assert_eq!(
        clear(&mut browser),
        left_clear,
        "nothing leaves clear after the press"
    );
    let opened = |status: &Status| -> u64 {
        let page = status.participants.iter().find(|it| it.identity == page);
        let tracks = page.iter().flat_map(|page| &page.tracks);
        tracks.map(|track| track.opened).sum()
    };
    let before = opened(&host.status());
    host.wait_for("more opened frames of the page", SOON, |status| {
        (opened(status) > before + 50).then_some(())
    });
    they_write(&mut browser, &host, true);
    let said = browser.said();
    for part in [
        "log \"Chat\"",
        "textbox \"Write to everybody in the meeting\"",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    browser.picture("join-sealed-desktop");

    // Loaded anew the page knows nothing, and a member tells it: its own lines too, and those from before the press.
    browser.open(&server.page_of(&link), Window::Desktop, "light");
    browser.see("#room", "door", SOON);
    browser.tab_to("name");
    browser.write("Petra");
    browser.key("Enter");
    shows(&mut browser, "sealed");
    for (how, line) in [
        ("clear", "<b>from the page</b>, clear"),
        ("clear", "from the box, clear"),
        ("sealed", "<b>from the page</b>, sealed"),
        ("sealed", "from the box, sealed"),
    ] {
        let told = format!("#chat [data-told=true][data-how={how}]");
        browser.see(&told, "told by box", SOON);
        let texts = browser.run(&format!(
            "[...document.querySelectorAll('{told}')].map((it) => it.lastChild.textContent).join()"
        ));
        assert!(texts.as_str().unwrap().contains(line), "{line}: {texts}");
    }
    assert_eq!(
        browser.run("document.querySelectorAll('#chat li').length"),
        4
    );
    browser.picture("join-told-desktop");

    let held = button.hold();
    wait_for_shield(&host, held, "open");
    shows(&mut browser, "open");
    grows(&mut browser, "clear pictures again", 25, pictures);
    browser.picture("join-open-desktop");
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
    browser.close();
}

#[test]
fn a_host_by_the_page_turns_encryption_on_and_off_mutes_removes_and_ends_the_meeting() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let server = Server::hub_with_tls();
    let links = folder.path().join("meeting");
    let hash = server.certificate();
    let more = ["--announce-off", "--certificate-sha256", &hash];
    let (host_link, guest_link) = new_meeting(&links, "hosted", &more);
    // Boxes know the certificate from the link, where it is one of this hub.
    let link = std::fs::read_to_string(&host_link).unwrap();
    let link = server.page_of(&link);
    std::fs::write(&host_link, &link).unwrap();
    // A host as well, which tells the hub who the hosts are: it may write the metadata.
    let guest = start("run", "guest", &host_link)
        .api_key(&server)
        .playing(&clip)
        .join(&server, "hosted");
    believes_no_other_certificate(&server, &guest_link);
    let mut browser = Browser::start();
    browser.open(&link, Window::Phone, "dark");
    browser.see("#room", "hosted", SOON);
    browser.see("#cameras:not(:empty)", "", SOON);
    browser.see("#preview", "", SOON);
    browser.picture("join-door-phone");
    browser.picture_of_window("join-door-phone");
    browser.tab_to("name");
    browser.write("Petra");
    browser.key("Enter");
    shows(&mut browser, "open");
    browser.tab_to("e2ee");
    let pressed = Instant::now();
    browser.key("Enter");
    wait_for_shield(&guest, pressed, "sealed");
    shows(&mut browser, "sealed");
    grows(&mut browser, "sealed pictures", 25, pictures);
    browser.picture("join-sealed-phone");
    browser.picture_of_window("join-sealed-phone");

    // Held by a finger for two seconds, then counted down for three.
    let held = Instant::now();
    holds(&mut browser);
    wait_for_shield(&guest, held, "open");
    assert!(
        held.elapsed() >= Duration::from_secs(5),
        "{:?}",
        held.elapsed()
    );
    shows(&mut browser, "open");
    // The hub hears it for its door, though the page may not write the metadata.
    let log = server.log();
    assert!(
        log.contains("a host says whether encryption is on"),
        "{log}"
    );
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
    keeps_order(&mut browser, &guest);
    browser.close();
}

/// Somebody whose link names another certificate than the hub has does not come in.
fn believes_no_other_certificate(server: &Server, link: &Path) {
    let text = std::fs::read_to_string(link).unwrap();
    let (before, hash) = text.split_once("&t=").unwrap();
    let other = if hash.starts_with('A') { "B" } else { "A" };
    let text = format!("{before}&t={other}{}", &hash[1..]);
    std::fs::write(link, server.page_of(&text)).unwrap();
    let misled = start("guest", "misled", link).join(server, "hosted");
    let refused = |line: &str| line.contains("not the expected one").then_some(());
    misled
        .process
        .wait_for("refused certificate", SOON, refused);
}

/// Waits until an expression in the page is true.
pub(crate) fn until(browser: &mut Browser, expression: &str) {
    browser.run(&format!(
        "new Promise((done) => {{
            const turn = setInterval(() => ({expression}) && done(clearInterval(turn)), 50);
        }})"
    ));
}

/// The host at the page mutes the box, puts it out, and ends the meeting.
fn keeps_order(browser: &mut Browser, guest: &Appliance) {
    let press = |browser: &mut Browser, selector: &str, label: &str| {
        browser.see(selector, label, SOON);
        browser.run(&format!("document.querySelector('{selector}').click()"));
    };
    let microphone = |status: &Status| {
        let mut own = status.local_tracks.iter();
        own.find(|track| track.source == "microphone")
            .map(|track| track.muted)
    };
    assert_eq!(microphone(&guest.status()), Some(false));
    browser.picture("join-host-phone");
    press(browser, "#people [data-identity=guest] .mute", "Mute");
    guest.wait_for("muted by the host", SOON, |status| {
        microphone(status).filter(|muted| *muted)
    });
    until(browser, "document.querySelector('#people .mute').hidden");

    let remove = "#people [data-identity=guest] .remove";
    press(browser, remove, "Remove");
    press(browser, remove, "Really remove?");
    until(browser, "!document.querySelector('#people li')");
    press(browser, "#end", "End for everybody");
    press(browser, "#end", "Really end it?");
    browser.see("#trouble", "the meeting was ended for everybody", SOON);
    browser.see("#preview", "", SOON);
}

#[test]
fn a_page_with_another_key_is_told_so_and_neither_plays_nor_is_played() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let server = Server::hub();
    let links = folder.path().join("meeting");
    let (host_link, guest_link) = new_meeting(&links, "wrong", &[]);
    let host = start("run", "box", &host_link)
        .playing(&clip)
        .join(&server, "wrong");
    let link = std::fs::read_to_string(guest_link).unwrap();
    let (before, secret) = link.split_once("#k=").unwrap();
    let other = if secret.starts_with('A') { "B" } else { "A" };
    let link = format!("{before}#k={other}{}", &secret[1..]);
    let mut browser = Browser::start();
    browser.open(&server.page_of(&link), Window::Desktop, "light");
    browser.see("#room", "wrong", SOON);
    browser.tab_to("name");
    browser.write("Mallory");
    browser.key("Enter");
    shows(&mut browser, "wrong-key");
    browser.see("#reasons", "another key than the host", SOON);
    host.wait_for("a participant without the key", SOON, |status| {
        let page = status.participants.iter().find(|it| it.name == "Mallory")?;
        (page.standing.as_ref()?.word == "keyless").then_some(())
    });
    wait_for_shield(&host, Instant::now(), "waiting");
    assert_eq!(pictures(&mut browser), 0);
    assert_eq!(count(&mut browser, OWN_CAMERA, "sealed"), 0);
    assert_eq!(count(&mut browser, OWN_CAMERA, "clear"), 0);
    assert!(count(&mut browser, OWN_CAMERA, "dropped") > 0);
    browser.close();
}

#[test]
fn a_page_asks_for_the_passphrase_comes_back_after_leaving_and_after_the_hub_was_killed() {
    types_the_passphrase(
        Engine::Embedded,
        Browser::start,
        |mut browser, host, server| {
            shares_leaves_and_is_back(&mut browser, host);
            comes_back_by_itself(&mut browser, host, server);
            browser.close();
        },
    );
}

#[test]
#[cfg(feature = "full")]
fn in_firefox_a_page_asks_for_the_passphrase_shares_a_screen_and_leaves_too() {
    types_the_passphrase(
        Engine::EmbeddedOnLan,
        Browser::firefox,
        |mut browser, host, _| {
            shares_leaves_and_is_back(&mut browser, host);
            browser.close();
        },
    );
}

/// The page asks for the words, and goes on with those that are right; `then` comes what is left to do.
fn types_the_passphrase(
    engine: Engine,
    starts: fn() -> Browser,
    then: fn(Browser, &Appliance, &mut Server),
) {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let mut server = Server::hub_on(engine);
    let links = folder.path().join("meeting");
    let (host_link, guest_link) = new_meeting(&links, "words", &["--passphrase"]);
    let words = links.join("passphrase");
    // So that it may write the metadata: who has no key yet knows at once that there is a policy.
    let host = start("run", "box", &host_link)
        .api_key(&server)
        .playing(&clip)
        .with(["--passphrase-file", words.to_str().unwrap()])
        .join(&server, "words");
    let link = std::fs::read_to_string(guest_link).unwrap();
    let mut browser = starts();
    browser.open(&server.page_of(&link), Window::Desktop, "light");
    browser.see("#room", "words", SOON);
    browser.tab_to("name");
    browser.write("Petra");
    browser.key("Enter");
    shows(&mut browser, "wrong-key");
    assert_eq!(pictures(&mut browser), 0);
    for (typed, answer) in [("short", "12"), ("six words that are not it", "")] {
        browser.tab_to("passphrase");
        browser.write(typed);
        browser.key("Enter");
        browser.see("#trouble, #asks", answer, SOON);
        shows(&mut browser, "wrong-key");
    }
    browser.tab_to("passphrase");
    browser.write(std::fs::read_to_string(&words).unwrap().trim());
    let typed = Instant::now();
    browser.key("Enter");
    shows(&mut browser, "sealed");
    wait_for_shield(&host, typed, "sealed");
    grows(&mut browser, "sealed pictures", 25, pictures);
    assert!(!browser.shows("#asks:not([hidden])"));

    then(browser, &host, &mut server);
}

/// The page shares a screen, leaves and joins again, all by keyboard.
fn shares_leaves_and_is_back(browser: &mut Browser, host: &Appliance) {
    // This browser has no screen; what it would show stands on a canvas.
    browser.run(SCREEN);
    browser.tab_to("screen");
    browser.key("Enter");
    host.wait_for_track("shared screen", &other(host), "screen", SOON, |track| {
        track.verification == "verified"
    });
    browser.see("#screen[aria-pressed=true]", "", SOON);
    browser.key("Enter");
    browser.see("#screen[aria-pressed=false]", "", SOON);

    browser.tab_to("leave");
    browser.key("Enter");
    browser.see("#preview", "", SOON);
    assert!(!browser.shows("#meeting:not([hidden])"));
    let left = Instant::now();
    wait_for_shield(host, left, "waiting");
    browser.tab_to("join");
    browser.key("Enter");
    shows(browser, "sealed");
    grows(browser, "sealed pictures after coming back", 25, pictures);
}

/// Page and box are back when the hub was killed.
fn comes_back_by_itself(browser: &mut Browser, host: &Appliance, server: &mut Server) {
    // Nobody has to press anything here, or at the box.
    let clear = count(browser, OWN_CAMERA, "clear");
    browser.run(REMEMBER_STATES);
    let killed = Instant::now();
    server.restart();
    let (gone, ()) = host.moment_since(killed, "box that is on its way back", SOON, |status| {
        (status.shield.state == "connecting").then_some(())
    });
    host.wait_since(gone, "box that is back", SOON, |status| {
        (status.shield.state == "sealed").then_some(())
    });
    reaches(browser, "way back to sealed", 1, |browser| {
        browser.run(CAME_BACK).as_u64().unwrap_or_default()
    });
    println!(
        "both are back {} ms after the hub was killed",
        killed.elapsed().as_millis()
    );
    grows(
        browser,
        "sealed pictures after the hub was killed",
        25,
        pictures,
    );
    assert_eq!(count(browser, OWN_CAMERA, "clear"), clear);
}
