// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal provision`: a file that a person laid on the card.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::program::{Place, Ran};

const SECRET: &str = "planted-secret-of-at-least-32-characters";

const GOOD: &str = "# my box
[box]
name = \"Board room\"
[service]
url = \"wss://meet.example.org\"
api-key = \"office\"
api-secret = \"planted-secret-of-at-least-32-characters\" # do not tell
";

fn provision(place: &Place) -> Ran {
    let arguments = [
        "provision",
        "--from",
        "boot/roomseal.toml",
        "--state",
        "state",
    ];
    place.roomseal(&arguments, b"")
}

fn with(text: &str) -> Place {
    let place = Place::new();
    fs::create_dir(place.path().join("boot")).unwrap();
    write(&place, text);
    place
}

fn write(place: &Place, text: &str) {
    fs::write(place.path().join("boot/roomseal.toml"), text).unwrap();
}

fn read(place: &Place, file: &str) -> String {
    fs::read_to_string(place.path().join(file)).unwrap()
}

/// Whether the secret stands anywhere below `folder`.
fn is_told(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            is_told(&path)
        } else {
            String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(SECRET)
        }
    })
}

#[test]
fn a_good_file_is_taken_over_once_and_its_secret_is_not_on_the_card_any_more() {
    let place = with(GOOD);
    assert!(
        is_told(&place.path().join("boot")),
        "the control is not planted"
    );
    let ran = provision(&place);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.text().contains("taken over:\nname: Board room\n"),
        "{ran:?}"
    );
    assert_eq!(read(&place, "boot/roomseal.result.txt"), ran.text());
    assert!(!is_told(&place.path().join("boot")));
    assert!(
        !ran.text().contains(SECRET) && !ran.err.contains(SECRET),
        "{ran:?}"
    );
    let kept = place.path().join("state/current/api-secret");
    assert_eq!(fs::read_to_string(&kept).unwrap(), SECRET);
    assert_eq!(
        fs::metadata(&kept).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // Every other line says what it said.
    let left = read(&place, "boot/roomseal.toml");
    assert_eq!(left, GOOD.replace(SECRET, "kept on the box"));
    let checked = place.roomseal(
        &["check-config", "--config", "state/current/roomseal.toml"],
        b"",
    );
    assert_eq!(checked.code, 0, "{checked:?}");

    // At the next start it is there again, and nothing is written.
    let holds = fs::read_link(place.path().join("state/current")).unwrap();
    let ran = provision(&place);
    assert!(
        ran.code == 0 && ran.text().contains("known already"),
        "{ran:?}"
    );
    assert_eq!(
        fs::read_link(place.path().join("state/current")).unwrap(),
        holds
    );

    // Something else was changed: the secret goes on.
    write(&place, &left.replace("Board room", "Atrium"));
    let ran = provision(&place);
    assert!(
        ran.code == 0 && ran.text().contains("taken over:\nname: Atrium"),
        "{ran:?}"
    );
    assert_eq!(fs::read_to_string(&kept).unwrap(), SECRET);
    // Power was cut before it could be taken out of the file.
    write(&place, &GOOD.replace("Board room", "Atrium"));
    let ran = provision(&place);
    assert!(
        ran.code == 0 && ran.text().contains("known already"),
        "{ran:?}"
    );
    assert!(!is_told(&place.path().join("boot")));
}

#[test]
fn a_bad_file_is_refused_by_its_line_and_changes_nothing() {
    for (from, to, line, said) in [
        ("wss://", "ws://", ":5:7:", "[service] url"),
        ("name =", "nmae =", ":3:1:", "did you mean `name`?"),
        ("\"office\"", "\"\"", ":6:11:", "it is empty"),
        (
            "planted-secret-of-at-least-32-characters",
            "",
            ":7:14:",
            "no secret",
        ),
        (
            "planted-secret-of-at-least-32-characters",
            "kept on the box",
            ":7:14:",
            "write it here again",
        ),
        ("[box]", "[box", ":2:", "roomseal.toml"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD);
        let place = with(&text);
        let ran = provision(&place);
        ran.refused(3, said);
        assert!(ran.err.contains(line), "{to}: {}", ran.err);
        assert!(!ran.err.contains(SECRET), "{}", ran.err);
        assert_eq!(read(&place, "boot/roomseal.toml"), text);
        let result = read(&place, "boot/roomseal.result.txt");
        assert!(
            result.contains("NOT taken over") && result.contains(line),
            "{result}"
        );
        assert!(!place.path().join("state/current").exists());
        assert!(!place.path().join("state").exists() || !is_told(&place.path().join("state")));
    }
    // What held before holds on.
    let place = with(GOOD);
    assert_eq!(provision(&place).code, 0);
    let before = read(&place, "state/current/roomseal.toml");
    write(&place, &GOOD.replace("wss://", "http://"));
    provision(&place).refused(3, "[service] url");
    assert_eq!(read(&place, "state/current/roomseal.toml"), before);
}

#[test]
fn the_sample_is_taken_over_as_it_is_and_no_file_is_no_failure() {
    let sample = Place::new().roomseal(&["provision", "--print-sample"], b"");
    let place = with(sample.text());
    let ran = provision(&place);
    assert_eq!(ran.code, 0, "{ran:?}");
    fs::remove_file(place.path().join("boot/roomseal.toml")).unwrap();
    let ran = provision(&place);
    assert!(
        ran.code == 0 && ran.text().contains("there is none"),
        "{ran:?}"
    );
    assert!(place.path().join("state/current/roomseal.toml").exists());
}

#[test]
fn authorities_that_lie_beside_the_file_are_taken_along() {
    let place = with(&GOOD.replace("api-key", "ca-file = \"ca.pem\"\napi-key"));
    provision(&place).refused(3, "lay it beside this file");
    fs::write(place.path().join("boot/ca.pem"), "certificates").unwrap();
    let ran = provision(&place);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(read(&place, "state/current/ca.pem"), "certificates");
}
