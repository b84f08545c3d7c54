// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal check-config`, and what configuration means.

use std::path::Path;

use roomseal_appliance::config::{
    Camera, Config, LogFormat, Microphone, Overrides, SAMPLE, Screen, Speaker,
};

use proptest::prelude::*;

use crate::program::{Place, Ran};

/// A place with the sample and the secrets it names.
fn sample() -> Place {
    let place = Place::new();
    place.secret("api-secret", "a secret of at least 32 characters");
    place.secret("passphrase", "correct horse battery staple");
    place.file("roomseal.toml", SAMPLE, 0o644);
    place
}

fn check(place: &Place, text: &str) -> Ran {
    place.file("roomseal.toml", text, 0o644);
    place.roomseal(&["check-config", "--config", "roomseal.toml"], b"")
}

/// The sample with one replacement.
fn changed(from: &str, to: &str) -> Ran {
    assert!(SAMPLE.contains(from), "the sample has no {from}");
    check(&sample(), &SAMPLE.replacen(from, to, 1))
}

#[test]
fn the_sample_is_good_as_it_is() {
    let place = sample();
    let ran = place.roomseal(&["check-config", "--config", "roomseal.toml"], b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.text().contains("room lobby at ws://127.0.0.1:7880"),
        "{}",
        ran.text()
    );
    assert!(ran.text().contains("the configuration is good"));
    assert!(!ran.text().contains("warning"), "{}", ran.text());
    let printed = place.roomseal(&["check-config", "--print-sample"], b"");
    assert_eq!(printed.text(), SAMPLE);
}

#[test]
fn every_key_of_the_sample_is_known() {
    let place = sample();
    place.secret("alice.passphrase", "correct horse battery staple");
    let uncommented: String = SAMPLE
        .lines()
        // One of two ways each; and files that would have to be there.
        .filter(|line| {
            ![
                "#token-file",
                "#raw-key-hex-file",
                "#ca-file",
                "#certificate-sha256",
                "#link-file",
                "#password-file",
            ]
            .iter()
            .any(|other| line.starts_with(other))
        })
        .map(|line| match line.strip_prefix('#') {
            Some(rest)
                if !rest.starts_with(' ') && (rest.contains(" = ") || rest.starts_with('[')) =>
            {
                rest
            }
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let ran = check(&place, &uncommented);
    assert_eq!(ran.code, 0, "{}\n{uncommented}", ran.err);
    for key in [
        "token-file",
        "raw-key-hex-file",
        "ca-file",
        "certificate-sha256",
    ] {
        let near = format!("{}x", &key[..key.len() - 1]);
        let ran = changed(&format!("#{key} ="), &format!("{near} ="));
        ran.refused(3, &format!("did you mean `{key}`?"));
    }
}

#[test]
fn the_defaults_the_sample_shows_are_the_defaults() {
    let place = sample();
    let parse =
        |text: &str| Config::parse("sample", text, place.path(), &Overrides::default()).unwrap();
    let config = parse(SAMPLE);
    let shown: String = SAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest)
                if [
                    "name",
                    "board",
                    "identity",
                    "insecure-lan",
                    "required",
                    "key-index",
                    "source",
                    "codec",
                    "bitrate-kbps = 32",
                    "muted",
                    "sink",
                    "echo-cancellation",
                    "level",
                    "format",
                ]
                .iter()
                .any(|key| rest.starts_with(key))
                    && !rest.contains("alice") =>
            {
                rest
            }
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_ne!(shown, SAMPLE);
    assert_eq!(format!("{:?}", parse(&shown)), format!("{config:?}"));
    assert_eq!(config.name, "Roomseal");
    assert_eq!(config.board, "sim");
    assert_eq!(config.service.identity, "roomseal");
    assert!(config.e2ee.required && !config.service.insecure_lan);
    assert_eq!(config.camera.source, Camera::Auto);
    assert_eq!(config.microphone.source, Microphone::Auto);
    assert_eq!(config.speaker.sink, Speaker::Auto);
    assert_eq!(config.screen.sink, Screen::Auto);
    assert_eq!(config.log.format, LogFormat::Auto);
}

#[test]
fn a_typo_is_placed_and_the_right_key_is_named() {
    let line = 1 + SAMPLE
        .lines()
        .position(|line| line.starts_with("passphrase-file"))
        .unwrap();
    changed("\npassphrase-file =", "\n  passprase-file =").refused(
        3,
        &format!(
            "roomseal.toml:{line}:3: [e2ee] passprase-file: unknown key `passprase-file`; did you mean `passphrase-file`?"
        ),
    );
    changed("[e2ee]", "[e2e]").refused(3, "unknown key `e2e`; did you mean `e2ee`?");
    changed("#source = \"auto\"", "source = \"v4l\"").refused(3, "did you mean `v4l2[:DEVICE]`?");
    changed("#level = \"info\"", "level = \"inform\"").refused(3, "did you mean `info`?");
}

#[test]
fn a_box_without_a_room_waits_until_somebody_asks_for_one() {
    let ran = changed("room = \"lobby\"\n", "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let said = ran.text();
    assert!(
        said.contains("no room before somebody asks for it"),
        "{said}"
    );
}

#[test]
fn values_that_cannot_be_are_placed_and_explained() {
    for (from, to, part) in [
        (
            "room = \"lobby\"",
            "room = \"\"",
            "[service] room: it is empty",
        ),
        (
            "room = \"lobby\"",
            "room = 7",
            "[service] room: found a whole number; write a text in quotes",
        ),
        ("room = \"lobby\"", "room = lobby", "roomseal.toml:20:8"),
        ("url = \"ws://127.0.0.1:7880\"", "", "url is missing"),
        (
            "#link-origin = \"https://meet.example.org\"",
            "link-origin = \"meet.example.org\"",
            "[meeting] link-origin",
        ),
        ("ws://127.0.0.1:7880", "ws://192.0.2.7:7880", "insecure_lan"),
        (
            "ws://127.0.0.1:7880",
            "ftp://127.0.0.1",
            "write it like wss://meet.example.org",
        ),
        (
            "#key-index = 0",
            "key-index = 16",
            "[e2ee] key-index: not a key index; write 0 to 15",
        ),
        ("#key-index = 0", "key-index = -1", "[e2ee] key-index"),
        (
            "#width = 640",
            "width = 641",
            "[camera] width: out of range; write an even number",
        ),
        (
            "#snapshot-seconds = 10",
            "snapshot-seconds = 10",
            "snapshots without a directory",
        ),
        (
            "#token-file = \"token\"",
            "token-file = \"api-secret\"",
            "two ways in are given",
        ),
        ("api-key = \"devkey\"", "", "an API secret without its key"),
        ("\"passphrase\"", "\"absent\"", "cannot read absent"),
        ("#ca-file", "ca-file", "name a PEM file"),
        (
            "#certificate-sha256 = \"\"",
            "certificate-sha256 = \"00\"",
            "64 hexadecimal digits",
        ),
        (
            "#source = \"auto\"",
            "source = \"file:absent.mkv\"",
            "cannot read absent.mkv",
        ),
        ("#board = \"sim\"", "board = \"rpi9\"", "rpi9/board.toml"),
        (
            "#tiles = 6",
            "tiles = 0",
            "[screen] tiles: out of range; write 1 to 6",
        ),
    ] {
        changed(from, to).refused(3, part);
    }
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    let place = sample();
    place.file("passphrase", "correct horse battery staple", 0o644);
    let ran = place.roomseal(&["check-config", "--config", "roomseal.toml"], b"");
    ran.refused(3, "chmod 600");
    assert!(ran.err.contains("roomseal.toml:"), "{}", ran.err);
    assert!(!ran.err.contains("horse"), "{}", ran.err);
}

#[test]
fn a_secret_typed_into_the_wrong_place_is_not_repeated() {
    for (from, to) in [
        ("#key-index = 0", "key-index = \"hunter2hunter2\""),
        ("#required = true", "required = \"hunter2hunter2\""),
        ("#codec = \"auto\"", "codec = \"hunter2hunter2\""),
        ("#source = \"auto\"", "source = \"hunter2hunter2\""),
        ("#muted = false", "muted = hunter2hunter2"),
        (
            "#certificate-sha256 = \"\"",
            "certificate-sha256 = \"hunter2hunter2\"",
        ),
    ] {
        let ran = changed(from, to);
        ran.refused(3, "roomseal.toml:");
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    }
}

#[test]
fn what_is_unwise_is_allowed_and_said() {
    let ran = changed("passphrase-file = \"passphrase\"", "");
    assert!(ran.text().contains("warning: no key"), "{ran:?}");
    let ran = changed("#required = true", "required = false");
    assert!(ran.text().contains("NOT REQUIRED"), "{ran:?}");
    let ran = changed("#insecure-lan = false", "insecure_lan = true");
    assert!(ran.text().contains("NOT PROTECTED"), "{ran:?}");
    let place = sample();
    place.secret("passphrase", "short");
    let ran = place.roomseal(&["check-config", "--config", "roomseal.toml"], b"");
    assert!(ran.text().contains("can be guessed"), "{ran:?}");
}

#[test]
fn options_stand_over_the_file_and_are_named_when_they_are_wrong() {
    let place = sample();
    let check = |more: &[&str]| {
        let mut arguments = vec!["check-config", "--config", "roomseal.toml"];
        arguments.extend(more);
        place.roomseal(&arguments, b"")
    };
    let ran = check(&["--room", "atrium", "--url", "wss://meet.example.org"]);
    assert!(
        ran.text().contains("room atrium at wss://meet.example.org"),
        "{ran:?}"
    );
    check(&["--url", "ws://192.0.2.7"]).refused(3, "--url: ");
    check(&["--passphrase-file", "absent"]).refused(3, "--passphrase-file: cannot read absent");
    check(&["--token-file", "passphrase"]).refused(3, "--token-file: this is not an access token");
    check(&["--camera", "beamer"]).refused(2, "--camera");
    check(&["--token-file", "t", "--api-key", "k"]).refused(2, "cannot be used with");
}

#[test]
fn the_command_line_alone_can_be_enough() {
    let place = sample();
    let without_file = [
        "check-config",
        "--url",
        "ws://localhost:7880",
        "--room",
        "lobby",
        "--api-key",
        "k",
        "--api-secret-file",
        "api-secret",
        "--passphrase-file",
        "passphrase",
    ];
    if Path::new(roomseal_appliance::config::INSTALLED).exists() {
        // A machine with an installed box: its file would be read, and it is none of this test's business.
        return;
    }
    let ran = place.roomseal(&without_file, b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    place.roomseal(&["check-config"], b"").refused(3, "--url");
}

#[test]
fn a_systemd_credential_is_found_by_name() {
    let place = sample();
    std::fs::create_dir(place.path().join("credentials")).unwrap();
    place.file("credentials/meeting", "correct horse battery staple", 0o444);
    let text = SAMPLE.replace("\"passphrase\"", "\"credential:meeting\"");
    place.file("roomseal.toml", &text, 0o644);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_roomseal"));
    command.args(["check-config", "--config", "roomseal.toml"]);
    place
        .run(&mut command, b"")
        .refused(3, "LoadCredential=meeting");
    // As systemd starts it: the runner clears the environment, so `env` sets it inside.
    let mut command = std::process::Command::new("/usr/bin/env");
    command
        .arg(format!(
            "CREDENTIALS_DIRECTORY={}",
            place.path().join("credentials").display()
        ))
        .arg(env!("CARGO_BIN_EXE_roomseal"))
        .args(["check-config", "--config", "roomseal.toml"]);
    let ran = place.run(&mut command, b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn an_invitation_is_for_its_reader_only_and_names_the_line_to_type() {
    let place = sample();
    let invite = [
        "invite",
        "--config",
        "roomseal.toml",
        "--out",
        "guest.invite",
    ];
    let ran = place.roomseal(&invite, b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.text(), "roomseal guest --invite guest.invite\n");
    let file = place.path().join("guest.invite");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("passphrase = \"correct horse battery staple\""));
    assert!(
        !text.contains("32 characters"),
        "the API secret is not for guests"
    );
    // Never over something that is there.
    let again = place.roomseal(&invite, b"");
    again.refused(1, "cannot write guest.invite");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

proptest! {
    #[test]
    fn a_damaged_file_is_refused_or_read_but_never_fatal(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..40usize, "[a-z\"=#\\[\\]\n\u{e4}0-9.-]{0,6}"), 1..4),
    ) {
        let place = Place::new();
        place.secret("api-secret", "a secret of at least 32 characters");
        place.secret("key.hex", "00112233445566778899aabbccddeeff");
        // A raw key, because a passphrase is slow to derive from on purpose.
        let mut text = SAMPLE.replace("passphrase-file = \"passphrase\"", "raw-key-hex-file = \"key.hex\"");
        for (at, length, insert) in edits {
            let mut start = at.index(text.len());
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let mut end = (start + length).min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.replace_range(start..end.max(start), &insert);
        }
        if let Err(error) = Config::parse("box.toml", &text, place.path(), &Overrides::default()) {
            let shown = error.to_string();
            prop_assert!(shown.starts_with("box.toml"), "{}", shown);
            prop_assert!(shown.contains("; "), "no advice: {}", shown);
            prop_assert_eq!(shown.lines().count(), 1, "{}", shown);
        }
    }
}

#[test]
fn a_password_of_the_page_is_kept_as_a_hash_that_is_for_its_owner_only() {
    let place = sample();
    let words = b"a password for this page\n";
    let made = place.roomseal(&["page-password", "--out", "page.password"], words);
    assert_eq!(made.code, 0, "{}", made.err);
    let named = SAMPLE.replacen("#password-file", "password-file", 1);
    assert_eq!(check(&place, &named).code, 0);
    // Another takes its place.
    let before = std::fs::read(place.path().join("page.password")).unwrap();
    let again = place.roomseal(&["page-password", "--out", "page.password"], words);
    assert_eq!(again.code, 0, "{}", again.err);
    let after = std::fs::read(place.path().join("page.password")).unwrap();
    assert_ne!(before, after, "the salt is not random");
    for input in [
        &b""[..],
        b"short\n",
        b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\n",
    ] {
        let refused = place.roomseal(&["page-password", "--out", "other"], input);
        refused.refused(1, "");
        assert!(!place.path().join("other").exists());
    }
    place.file("page.password", "a password for this page", 0o600);
    check(&place, &named).refused(3, "roomseal page-password");
    place.file("page.password", std::str::from_utf8(&after).unwrap(), 0o644);
    check(&place, &named).refused(3, "chmod 600");
}
