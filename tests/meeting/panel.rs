// SPDX-License-Identifier: MIT OR Apache-2.0
//! The front-panel page of a host's box in a Roomseal meeting: at the box, from the network, and for people who have no
//! business there.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use roomseal_policy::{Link, SecretSource};
use roomseal_tests::appliance::{Appliance, Start, track};
use roomseal_tests::browser::{Answered, Browser, Window};
use roomseal_tests::leak::Scanner;
use roomseal_tests::livekit::Server;

use crate::roomseal::{ask, new_meeting, start};
use crate::{SOON, one_at_a_time};

const MEDIA: [&str; 4] = ["--camera", "test", "--microphone", "test"];

/// How long the line of events is read.
const WATCHING: Duration = Duration::from_secs(3);

/// Who the guest is. No secret: it proves that these answers are where a secret would be.
const BAIT: &str = "9d41c7e06fb2583a";

/// A meeting with a host's box, whose page is served at the box and on the network, and one guest.
pub(crate) struct Meeting {
    folder: tempfile::TempDir,
    _server: Server,
    pub(crate) device: Appliance,
    pub(crate) guest: Appliance,
    guest_link: PathBuf,
}

impl Meeting {
    fn announced_off(room: &str) -> Self {
        Self::with(room, &[])
    }

    /// Announced as off; the box has more options.
    pub(crate) fn with(room: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let links = folder.path().join("meeting");
        let (host_link, guest_link) = new_meeting(&links, room, &["--announce-off"]);
        let server = Server::on_loopback();
        let state = folder.path().join("state");
        let device = member("run", "box", &host_link)
            .environment("XDG_STATE_HOME", state.to_str().unwrap())
            .with(["--name", "Board room", "--panel-page", "127.0.0.1:0"])
            .with(["--panel-network", "127.0.0.1:0"])
            .with(more)
            .join(&server, room);
        let guest = member("guest", BAIT, &guest_link).join(&server, room);
        Self {
            folder,
            _server: server,
            device,
            guest,
            guest_link,
        }
    }

    fn link(&self, path: &Path) -> Link {
        Link::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// The page at the box, and the one on the network, which stands on loopback for the test.
    pub(crate) fn pages(&self) -> (String, String) {
        let here = self.device.wait_for("page", SOON, |s| s.page.clone());
        let there = self
            .device
            .wait_for("page on the network", SOON, |s| s.network_page.clone());
        (here, there.address)
    }
}

fn member(command: &'static str, identity: &'static str, link: &Path) -> Start<'static> {
    start(command, identity, link).with(MEDIA)
}

/// Pairs the browser, which shows the page on the network, as a person does who sees both.
pub(crate) fn pair(browser: &mut Browser, device: &Appliance) {
    browser.see("#stranger h1", "Pair this device", SOON);
    browser.tab_to("code-ask");
    let asked = Instant::now();
    browser.key("Enter");
    let code = device.wait_since(asked, "pairing code", SOON, |s| s.pairing_code.clone());
    browser.see("#code-reply", "shown at the box", SOON);
    browser.write(&code);
    browser.key("Enter");
}

/// What a camera reads in a picture.
fn read_code(picture: &Path) -> String {
    let decoder = png::Decoder::new(BufReader::new(File::open(picture).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (width, height) = (info.width as usize, info.height as usize);
    let samples = info.color_type.samples();
    let mut grey = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
        pixels[(y * width + x) * samples]
    });
    let grids = grey.detect_grids();
    assert_eq!(grids.len(), 1, "codes in {}", picture.display());
    grids[0].decode().unwrap().1
}

#[test]
fn a_host_turns_encryption_on_at_the_page_writes_and_brings_somebody_in() {
    let _turn = one_at_a_time();
    let meeting = Meeting::announced_off("panel");
    let guest = &meeting.guest;
    let (here, _) = meeting.pages();
    let mut browser = Browser::start();
    browser.open(&here, Window::Desktop, "dark");
    browser.see("body[data-state=open] h1", "Not encrypted", SOON);
    browser.see("#own .track[data-tone=bad]", "not encrypted", SOON);
    browser.see("#roster .track[data-tone=bad]", "not encrypted", SOON);
    browser.see("#lamp", "white, dim", SOON);

    browser.tab_to("encrypt");
    browser.key("Enter");
    browser.see("body[data-state=sealed] h1", "Sealed", SOON);
    guest.wait_for("sealed meeting", SOON, |s| {
        (s.shield.state == "sealed").then_some(())
    });
    browser.see("#lamp", "green, steady", SOON);
    browser.see("#own .track[data-tone=good]", "sealed", SOON);
    let member = browser.see("#roster .track[data-tone=good]", "verified", SOON);
    assert!(member.contains("hold the key"), "no reason: {member:?}");
    browser.see(
        "#roster .track:has(.source:text('camera'))",
        "this meeting's key",
        SOON,
    );
    browser.see("#key-model", "the service cannot read it", SOON);
    // Turned off it is at the box alone; the page offers no button that would be refused.
    browser.see("#encrypt-note", "hold the button of the box", SOON);

    // What people write is text, whatever it looks like, and says whether it came sealed.
    let line = "<img src=x onerror=alert(1)> hello & good morning";
    browser.tab_to("chat-line");
    browser.write(line);
    browser.key("Enter");
    guest.wait_for("a line from the page", SOON, |status| {
        let last = status.chat.last()?;
        (last.text == line && last.sealed && last.from == "box").then_some(())
    });
    browser.see("#chat .own", line, SOON);
    let (written, said) = ask(guest, &["chat", "<b>yes</b>"]);
    assert!(written, "{said}");
    let answer = browser.see("#chat .said", "<b>yes</b>", SOON);
    assert!(
        answer.contains("sealed") && answer.contains(BAIT),
        "{answer:?}"
    );

    // The join code is the guest link, as a camera reads it from the screen.
    browser.tab_to("invitation-show");
    browser.key("Enter");
    browser.see(
        "#invitation-address",
        "https://meet.example.org/j/panel",
        SOON,
    );
    let read = read_code(&browser.picture_of("#invitation-code", "join-code"));
    let link = meeting.link(&meeting.guest_link);
    assert_eq!(read, *link.expose());
    browser.key("Enter");
    browser.see("#invitation-show[aria-expanded=false]", "Show", SOON);

    // What is read to people who do not see it.
    let said = browser.said();
    for part in [
        "banner",
        "heading \"Sealed\" [level=1]",
        "group \"This box\"",
        "button \"Mute\"",
        "log \"Chat\"",
        "textbox \"Write to everybody in the meeting\"",
        "region \"In this meeting (2)\"",
        "contentinfo",
    ] {
        assert!(said.contains(part), "nobody is told of {part}:\n{said}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.close();
}

#[test]
fn a_paired_device_operates_the_box_and_cannot_turn_encryption_off_or_see_the_key() {
    let _turn = one_at_a_time();
    let meeting = Meeting::announced_off("paired");
    let device = &meeting.device;
    let (_, there) = meeting.pages();
    assert!(there.starts_with("https://"), "{there}");
    let mut browser = Browser::start();
    browser.open(&there, Window::Phone, "light");
    browser.see("#stranger h1", "Pair this device", SOON);
    browser.picture("pairing-phone-light");
    pair(&mut browser, device);
    browser.see("body[data-state=open] h1", "Not encrypted", SOON);
    device.wait_for("used code", SOON, |s| {
        s.pairing_code.is_none().then_some(())
    });

    browser.tab_to("encrypt");
    browser.key("Enter");
    browser.see("body[data-state=sealed] h1", "Sealed", SOON);
    browser.see("#events", "turned encryption on", SOON);
    browser.tab_to("mute-microphone");
    browser.key("Space");
    browser.see("#events", "from the network, by a paired device", SOON);
    meeting
        .guest
        .wait_for_track("muted box", "box", "microphone", SOON, |t| t.muted);
    // What holds the key is not even offered.
    let said = browser.said();
    assert!(!said.contains("Bring somebody in"), "{said}");
    assert_eq!(browser.complaints(), Vec::<String>::new());

    // The same device asks past its page.
    let (cookie, token) = paired_beside(&mut browser, &there, device);
    let mut ask = |path: &str, body: &str| {
        ask_as(
            &mut browser,
            &there,
            path,
            body,
            &cookie,
            &token,
            Duration::from_secs(10),
        )
    };
    let off = ask("api/wish", r#"{"do":"e2ee","to":"off"}"#);
    let said = String::from_utf8_lossy(&off.body).into_owned();
    assert!(
        said.contains("denied") && said.contains("somebody at the box"),
        "{said}"
    );
    device.wait_for("a refusal that is shown with its reason", SOON, |s| {
        let why = s.shield.reasons.first()?;
        (s.shield.state == "denied" && why.contains("somebody at the box")).then_some(())
    });
    let still = device.status();
    let told = still.happenings.iter();
    let told = told.filter(|one| one.text.contains("somebody at the box"));
    let told: Vec<&str> = told.map(|one| one.text.as_str()).collect();
    assert!(
        matches!(told[..], [one] if one.contains("from the network")),
        "{told:?}"
    );
    assert_eq!(
        still.encryption.and_then(|encryption| encryption.on),
        Some(true)
    );
    let code = ask("api/invitation", "{}");
    assert_eq!(code.status, 403);
    assert!(track(&device.status(), BAIT, "camera").is_some());

    browser.tab_to("part");
    browser.key("Enter");
    browser.see("#stranger h1", "Pair this device", SOON);
    browser.close();
}

/// Pairs a device that is no browser; returns its cookie and its token.
fn paired_beside(browser: &mut Browser, there: &str, device: &Appliance) -> (String, String) {
    let quick = Duration::from_secs(10);
    let asked = Instant::now();
    ask_as(browser, there, "api/code", "{}", "", "", quick);
    let code = device.wait_since(asked, "pairing code", SOON, |s| s.pairing_code.clone());
    let typed = format!(r#"{{"code":"{code}"}}"#);
    let paired = ask_as(browser, there, "api/pair", &typed, "", "", quick);
    let mut lines = paired.headers.lines();
    lines.find(|line| line.eq_ignore_ascii_case("set-cookie"));
    let cookie = lines.next().and_then(|line| line.split(';').next());
    let cookie = cookie.unwrap_or_else(|| panic!("{paired:?}")).to_owned();
    let session = browser.ask_beside(
        &format!("{there}api/session"),
        "GET",
        &[("Cookie", &cookie)],
        "",
        quick,
    );
    let session: serde_json::Value = serde_json::from_slice(&session.body).unwrap();
    (cookie, session["token"].as_str().unwrap().to_owned())
}

/// A wish with all that a page of this origin sends.
fn ask_as(
    browser: &mut Browser,
    page: &str,
    path: &str,
    body: &str,
    cookie: &str,
    token: &str,
    within: Duration,
) -> Answered {
    let headers = [
        ("Origin", page.trim_end_matches('/')),
        ("Content-Type", "application/json"),
        ("Cookie", cookie),
        ("X-Roomseal-Token", token),
    ];
    browser.ask_beside(&format!("{page}{path}"), "POST", &headers, body, within)
}

#[test]
fn no_answer_of_the_page_holds_the_key_of_the_meeting_in_any_form() {
    let _turn = one_at_a_time();
    let meeting = Meeting::announced_off("scan");
    let (here, there) = meeting.pages();
    let SecretSource::Link(secret) = meeting.link(&meeting.guest_link).secret().clone() else {
        panic!("the links of this meeting carry its secret");
    };
    let host = std::fs::read_to_string(meeting.folder.path().join("meeting/host.link")).unwrap();
    // All behind the first secret: seed and certificate of the host too, in the form in which they stand there.
    let (_, seed) = host.trim().split_once("&s=").unwrap();
    let seed = &seed[..43];
    let (_, key) = host.split_once("#k=").unwrap();
    let key = &key[..43];
    let secrets: Vec<(&'static str, Vec<u8>)> = vec![
        ("secret", secret.expose().to_vec()),
        ("secret as the link has it", key.as_bytes().to_vec()),
        (
            "seed of the host as the link has it",
            seed.as_bytes().to_vec(),
        ),
    ];
    let bait = ("bait", BAIT.as_bytes().to_vec());
    let scanner = Scanner::new(&[secrets.clone(), vec![bait]].concat());

    let mut browser = Browser::start();
    meeting
        .device
        .wait_for("guest that is heard", SOON, |status| {
            (track(status, BAIT, "camera")?.verification == "clear").then_some(())
        });
    let session = browser.ask_beside(
        &format!("{here}api/session"),
        "GET",
        &[],
        "",
        Duration::from_secs(10),
    );
    let session: serde_json::Value = serde_json::from_slice(&session.body).unwrap();
    let at_the_box = (String::new(), session["token"].as_str().unwrap().to_owned());
    let paired = paired_beside(&mut browser, &there, &meeting.device);
    let visitors = [
        ("at the box", &here, at_the_box),
        (
            "nobody on the network",
            &there,
            (String::new(), String::new()),
        ),
        ("a paired device", &there, paired),
    ];
    let wishes = [
        ("api/wish", r#"{"do":"mute","to":"on"}"#),
        ("api/wish", r#"{"do":"e2ee","to":"on"}"#),
        ("api/wish", r#"{"do":"e2ee","to":"off"}"#),
        ("api/wish", r#"{"do":"chat","line":"good morning"}"#),
        (
            "api/wish",
            r#"{"do":"key","passphrase":"of another meeting"}"#,
        ),
        ("api/wish", r#"{"do":"join","room":"elsewhere"}"#),
        ("api/wish", "nonsense"),
        ("api/invitation", "{}"),
        ("api/code", "{}"),
        ("api/pair", r#"{"code":"00000000"}"#),
        ("api/password", r#"{"password":"of another page"}"#),
        ("api/sign-in", r#"{"password":"of another page"}"#),
        ("api/nothing", "{}"),
    ];
    let reads = [
        "",
        "panel.js",
        "pairing.js",
        "api/session",
        "api/state",
        "api/events",
        "api/invitation",
        "..%2f..%2fetc%2fpasswd",
    ];
    let (mut answers, mut bytes, mut baited) = (0, 0, Vec::new());
    let mut everything = Vec::new();
    for (who, page, (cookie, token)) in &visitors {
        let mut got = Vec::new();
        for (path, body) in wishes {
            got.push((
                path,
                ask_as(&mut browser, page, path, body, cookie, token, WATCHING),
            ));
        }
        for path in reads {
            let headers = [("Cookie", cookie.as_str())];
            let url = format!("{page}{path}");
            got.push((
                path,
                browser.ask_beside(&url, "GET", &headers, "", WATCHING),
            ));
        }
        for (path, answer) in got {
            let mut all = answer.headers.clone().into_bytes();
            all.push(b'\n');
            all.extend(&answer.body);
            let found = scanner.scan(&all);
            let (bait, keys): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|leak| leak.secret == "bait");
            assert_eq!(keys, [], "{who}: {path} answers with it");
            if !bait.is_empty() {
                baited.push(format!("{who}: {path}"));
            }
            answers += 1;
            bytes += all.len();
            everything.extend(all);
        }
    }
    println!("{answers} answers, {bytes} bytes; the bait is in {baited:?}");
    // Who may see the roster sees the bait in it; who may not, does not.
    assert_eq!(
        baited,
        [
            "at the box: api/state",
            "at the box: api/events",
            "a paired device: api/state",
            "a paired device: api/events",
        ]
    );
    // Planted among the same answers, each form would have been found.
    for (leak, planted) in Scanner::forms(&secrets) {
        let mut with = everything[..everything.len() / 2].to_vec();
        with.extend(&planted);
        with.extend(&everything[everything.len() / 2..]);
        assert!(scanner.scan(&with).contains(&leak), "{leak:?} is not found");
    }
    browser.close();
}
