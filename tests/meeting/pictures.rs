// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the page looks like in each state of the shield, reached by what happens to a box, in a real browser.
//!
//! The pictures lie in `pictures` in cargo's target folder; `.ci/pictures` runs this and puts those that the README
//! shows into `src/web/panel/pictures`.

use std::path::Path;
use std::time::Instant;

use roomseal_meeting::Shield;
use roomseal_tests::appliance::{Start, track};
use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::keeper::FakeKeeper;
use roomseal_tests::livekit::Server;
use roomseal_tests::rauc::{COMPATIBLE, Rauc, Signer};
use roomseal_tests::toggle::Button;

use crate::keeper::{SECRET, without_secret};
use crate::page::page_of;
use crate::roomseal::{ask, new_meeting, start, wait_for_shield};
use crate::update::update;
use crate::{SOON, one_at_a_time};

const MEDIA: [&str; 4] = ["--camera", "test", "--microphone", "test"];

/// A browser with the page of a box, and the states that were seen in it.
struct Gallery {
    browser: Browser,
    seen: Vec<Shield>,
}

impl Gallery {
    /// Takes the picture of `state` in both sizes, each while the page shows that state and no other; `again` brings
    /// about what does not last.
    fn take(&mut self, page: &str, state: Shield, mut again: impl FnMut()) {
        let word = state.word();
        for (window, scheme, size) in [
            (Window::Desktop, "dark", "desktop"),
            (Window::Phone, "light", "phone"),
        ] {
            self.browser.open(page, window, scheme);
            self.browser
                .see("body:not(.silent) #box-name", "Board room", SOON);
            // What lasts two seconds may be over before a busy machine has drawn it.
            for attempt in 0.. {
                again();
                self.browser
                    .see(&format!("body[data-state={word}] h1"), "", SOON);
                self.browser.picture(&format!("{word}-{size}-whole"));
                self.browser.picture_of_window(&format!("{word}-{size}"));
                if self.browser.shows(&format!("body[data-state={word}]")) {
                    break;
                }
                assert!(attempt < 10, "{word} does not last for a picture");
            }
        }
        self.seen.push(state);
    }
}

fn member(command: &'static str, identity: &'static str, link: &Path) -> Start<'static> {
    start(command, identity, link).with(MEDIA)
}

/// A lamp that lights, so that the page has nothing to complain about.
fn with_page<'a>(start: Start<'a>, folder: &Path) -> Start<'a> {
    let panel = folder.join("panel");
    let lamp = folder.join("lamp.sock");
    start.with([
        "--name",
        "Board room",
        "--panel-page",
        "127.0.0.1:0",
        "--with-lamp",
        "--panel-dir",
        panel.to_str().unwrap(),
        "--lamp-socket",
        lamp.to_str().unwrap(),
    ])
}

#[test]
fn the_page_has_a_picture_of_every_state_that_a_meeting_comes_to() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let mut gallery = Gallery {
        browser: Browser::start(),
        seen: Vec::new(),
    };
    let nothing = || {};

    // A box as it comes, and one between meetings that is being updated.
    let fresh = with_page(
        Start::new("run", "box").with(MEDIA),
        &folder.path().join("fresh"),
    )
    .with(["--panel-network", "none"])
    .provisioned(&folder.path().join("state"));
    gallery.take(&page_of(&fresh), Shield::SetUp, nothing);
    drop(fresh);
    let signer = Signer::new(&folder.path().join("updates"));
    let bundle = signer.update("next", COMPATIBLE, &[0x5a; 100_000]);
    let rauc = Rauc::believing(&signer);
    let idle = with_page(
        Start::new("run", "box").with(MEDIA),
        &folder.path().join("idle"),
    );
    let idle = idle.wait_outside(&server);
    rauc.hold();
    let mut updater = update(&idle, &rauc, &bundle);
    idle.wait_for("update under way", SOON, |status| {
        let update = status.updating.as_ref()?;
        (update.percent >= 20).then_some(())
    });
    gallery.take(&page_of(&idle), Shield::Updating, nothing);
    rauc.go_on();
    assert!(updater.wait(SOON).success());
    drop(idle);

    // A host's meeting, from its announcement to its end.
    let (host_link, guest_link) =
        new_meeting(&folder.path().join("one"), "atrium", &["--announce-off"]);
    let (_, stranger_link) = new_meeting(&folder.path().join("two"), "atrium", &[]);
    let mut early = with_page(
        member("run", "early", &guest_link),
        &folder.path().join("early"),
    )
    .join(&server, "atrium");
    early.wait_until_joined();
    gallery.take(&page_of(&early), Shield::Connecting, nothing);
    assert!(early.interrupt_cleanly());

    let device = with_page(member("run", "box", &host_link), folder.path()).join(&server, "atrium");
    let alice = member("guest", "alice", &guest_link).join(&server, "atrium");
    let page = page_of(&device);
    device.wait_for_track("clear camera", "alice", "camera", SOON, |t| {
        t.verification == "clear"
    });
    ask(
        &alice,
        &["chat", "Shall we begin? Then please turn encryption on."],
    );
    gallery.take(&page, Shield::Open, nothing);
    let pressed = Instant::now();
    ask(&device, &["e2ee", "on"]);
    wait_for_shield(&device, pressed, Shield::Sealed.word());
    ask(&device, &["chat", "Done. Now nobody but us can listen."]);
    gallery.take(&page, Shield::Sealed, nothing);
    // Something lies on a button. That it is stuck is known after half a minute.
    let button = Button::mute(&folder.path().join("panel"));
    button.jam();
    let state = |wanted: Shield| {
        device.wait_for(wanted.word(), SOON + SOON, |status| {
            (status.shield.state == wanted.word()).then_some(())
        });
    };
    state(Shield::Fault);
    gallery.take(&page, Shield::Fault, nothing);
    button.free();
    state(Shield::Sealed);
    ask(&device, &["mute", "off"]);
    // Off is not for the command line.
    gallery.take(&page, Shield::Denied, || {
        ask(&device, &["e2ee", "off"]);
    });

    // Somebody with the link of another meeting: looked at for five seconds, then named as unable to see or hear.
    let mut strangers = Vec::new();
    let mut names = [
        "mallory", "trudy", "oscar", "eve", "peggy", "victor", "walter", "sybil",
    ]
    .iter();
    gallery.take(&page, Shield::Sealing, || {
        let name = names.next().expect("a picture is had with fewer strangers");
        strangers.push(member("guest", name, &stranger_link).join(&server, "atrium"));
    });
    drop(strangers);
    drop(alice);
    gallery.take(&page, Shield::Waiting, nothing);
    ask(&device, &["leave"]);
    gallery.take(&page, Shield::Dark, nothing);
    drop(device);

    // A room whose key comes from the configuration.
    let other = folder.path().join("other");
    let device = with_page(Start::new("run", "box").with(MEDIA), &other).join(&server, "lobby");
    let _alice = Start::new("guest", "alice")
        .with(MEDIA)
        .join(&server, "lobby");
    let mallory = Start::new("guest", "mallory")
        .with(MEDIA)
        .passphrase("another passphrase altogether")
        .join(&server, "lobby");
    let page = page_of(&device);
    device.wait_for("somebody else's key", SOON, |status| {
        let theirs = track(status, "mallory", "camera")?;
        let ours = track(status, "alice", "camera")?;
        (theirs.verification == "refused" && ours.verification == "verified").then_some(())
    });
    gallery.take(&page, Shield::UnsealedPeer, nothing);
    drop(mallory);
    drop(device);
    let third = folder.path().join("third");
    let device = with_page(Start::new("run", "box").with(MEDIA), &third)
        .passphrase("not the one of this meeting")
        .join(&server, "lobby");
    gallery.take(&page_of(&device), Shield::WrongKey, nothing);
    ask(&device, &["leave"]);

    drop(device);

    // A meeting whose key the service makes, on a fake of such a service.
    let (host_link, guest_link) = new_meeting(&folder.path().join("three"), "kept", &[]);
    let keeper = FakeKeeper::before(server.port(), "kept", SECRET);
    let token = |identity: &str| {
        let token = server.token(identity, "kept");
        keeper.admit(&token);
        token
    };
    let [host, guest] = [(host_link, "host"), (guest_link, "guest")]
        .map(|(link, name)| without_secret(folder.path(), &link, name));
    let fourth = folder.path().join("fourth");
    let device = with_page(member("run", "box", &host), &fourth).join_at(
        &keeper.url(),
        &token("box"),
        "kept",
    );
    let _alice = member("guest", "alice", &guest).join_at(&keeper.url(), &token("alice"), "kept");
    device.wait_for_track("verified camera", "alice", "camera", SOON, |t| {
        t.verification == "verified"
    });
    wait_for_shield(&device, Instant::now(), Shield::SealedByService.word());
    gallery.take(&page_of(&device), Shield::SealedByService, nothing);

    gallery.seen.sort();
    assert_eq!(gallery.seen, Shield::ALL);
    // Boxes ended while their page was open.
    let mut complaints = gallery.browser.complaints();
    complaints.retain(|complaint| !complaint.starts_with("Failed to load resource: net::"));
    assert_eq!(complaints, Vec::<String>::new());
    gallery.browser.close();
}
