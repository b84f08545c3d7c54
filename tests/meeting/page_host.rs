// SPDX-License-Identifier: MIT OR Apache-2.0
//! The password of the page: who is let in by it, and who is the host of the box on a device of his own.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use roomseal_tests::appliance::roomseal;
use roomseal_tests::browser::{Browser, Window};

use crate::panel::{Meeting, pair};
use crate::{SOON, one_at_a_time};

const PASSWORD: &str = "a password for this page";

#[test]
fn a_paired_device_whose_user_signs_in_turns_encryption_off_and_everybody_is_told() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.password");
    let out = ["page-password", "--out", file.to_str().unwrap()];
    let short = roomseal(&out, b"too short\n");
    assert!(!short.status.success() && !file.exists(), "{short:?}");
    let made = roomseal(&out, format!("{PASSWORD}\n").as_bytes());
    assert!(made.status.success(), "{made:?}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let hash = std::fs::read_to_string(&file).unwrap();
    assert!(hash.starts_with("$argon2id$"), "{hash}");

    let meeting = Meeting::with("host", &["--panel-password-file", file.to_str().unwrap()]);
    let (device, guest) = (&meeting.device, &meeting.guest);
    let (_, there) = meeting.pages();
    let mut browser = Browser::start();
    browser.open(&there, Window::Phone, "light");

    // The password alone lets in, and makes no host.
    browser.see("#password-form label", "password of the page", SOON);
    browser.tab_to("password");
    browser.write("not the password at all");
    browser.key("Enter");
    browser.see("#password-reply", "not the password", SOON);
    browser.picture("password-phone-light");
    browser.write(PASSWORD);
    browser.key("Enter");
    browser.see("body[data-state=open] h1", "Not encrypted", SOON);
    browser.see("#host-text", "pair it by the code", SOON);
    assert!(!browser.shows("#host-form:not([hidden])"));
    browser.tab_to("encrypt");
    browser.key("Enter");
    browser.see("body[data-state=sealed] h1", "Sealed", SOON);
    browser.see(
        "#events",
        "encryption goes on, from the network, by a paired device",
        SOON,
    );
    assert!(!browser.shows("#encrypt-off:not([hidden])"));
    browser.tab_to("part");
    browser.key("Enter");

    // Paired by the code, and with the password, it is a host's.
    pair(&mut browser, device);
    browser.see("body[data-state=sealed] h1", "Sealed", SOON);
    assert!(!browser.shows("#encrypt-off:not([hidden])"));
    browser.tab_to("host-password");
    browser.write(PASSWORD);
    browser.key("Enter");
    browser.see("#host-text", "signed in as host", SOON);
    browser.see("#encrypt-off", "Turn encryption off", SOON);
    browser.picture("host-phone-light");
    browser.tab_to("encrypt-off");
    browser.key("Enter");
    browser.see("#sure-title", "Turn encryption off", SOON);
    let asked = Instant::now();
    browser.tab_to("sure-yes");
    browser.key("Enter");
    let ending = guest.wait_since(asked, "countdown", SOON, |status| status.ending.clone());
    assert!(ending.seconds <= 3, "{ending:?}");
    browser.see("body[data-state=open] h1", "Not encrypted", SOON);
    browser.see(
        "#events",
        "off is announced, from the network, by a host who signed in",
        SOON,
    );
    guest.wait_since(asked, "open meeting", SOON, |status| {
        (status.shield.state == "open").then_some(())
    });
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.close();
    for (_, line) in device.process.lines() {
        assert!(
            !line.contains(PASSWORD) && !line.contains("argon2"),
            "{line}"
        );
    }
}
