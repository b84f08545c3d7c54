// SPDX-License-Identifier: MIT OR Apache-2.0
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::status::{Ask, Booked, Connection, Ending, Enrolled, NetworkPage, Shield};

const SCREEN: Size = Size {
    width: 640,
    height: 360,
};

fn text_of(overlay: &Overlay) -> String {
    let texts = overlay.patches.iter().map(|patch| patch.svg.as_str());
    texts.collect()
}

fn in_state(state: &str) -> Status {
    Status {
        room: "k3f-9ab-x2c".to_owned(),
        shield: Shield {
            state: state.to_owned(),
            text: String::new(),
            reasons: vec!["mallory sends clear; it is not played".to_owned()],
        },
        key_model: "keys by the people in the meeting".to_owned(),
        ..Status::default()
    }
}

#[test]
fn no_two_states_share_words_or_shape() {
    let states = roomseal_meeting::Shield::ALL;
    let mut signs = std::collections::HashMap::new();
    let mut names = std::collections::HashSet::new();
    for state in states {
        let look = look(state.word());
        assert_ne!(look.name, "Unknown", "{}", state.word());
        assert!(names.insert(look.name), "{}", look.name);
        let overlay = Screen::new(SCREEN).meeting(&in_state(state.word()), &Local::default());
        let text = text_of(&overlay);
        assert!(text.contains(look.name), "{text}");
        assert!(
            text.contains("k3f-9ab-x2c") && text.contains("sends clear"),
            "{text}"
        );
        // Waiting of any kind may share its dots; what is green, amber or red may not.
        if look.colour != looks::WHITE {
            assert_eq!(signs.insert(look.sign, state.word()), None);
        }
    }
}

#[test]
fn the_countdown_names_the_host_and_the_seconds() {
    let mut status = in_state("sealed");
    status.ending = Some(Ending {
        by: "Ann <b>&".to_owned(),
        seconds: 3,
    });
    let text = text_of(&Screen::new(SCREEN).meeting(&status, &Local::default()));
    assert!(
        text.contains("E2EE off in 3 s: Ann &lt;b&gt;&amp;"),
        "{text}"
    );
}

#[test]
fn a_missing_key_is_asked_for_in_words() {
    let mut status = in_state("wrong-key");
    status.asks = Some(Ask {
        what: "passphrase".to_owned(),
        text: "This box has no key for the meeting: enter its passphrase.".to_owned(),
    });
    let text = text_of(&Screen::new(SCREEN).meeting(&status, &Local::default()));
    assert!(
        text.contains("Key needed") && text.contains("passphrase"),
        "{text}"
    );
}

#[test]
fn in_the_room_it_is_said_who_or_what_is_waited_for() {
    let mut status = in_state("connecting");
    let shown = |status: &Status| text_of(&Screen::new(SCREEN).meeting(status, &Local::default()));
    assert!(shown(&status).contains("Connecting"));
    status.connection = Connection::Joined;
    assert!(shown(&status).contains("Waiting for the host"));
    status.asks = Some(Ask {
        what: "link".to_owned(),
        text: "This box has no key for the meeting.".to_owned(),
    });
    assert!(shown(&status).contains("Waiting for a key"));
}

#[test]
fn names_of_others_are_only_text() {
    let mut status = in_state("unsealed-peer");
    status.shield.reasons = vec!["</text><script>\u{202e}mallory".to_owned()];
    let text = text_of(&Screen::new(SCREEN).meeting(&status, &Local::default()));
    assert!(
        !text.contains("<script>") && !text.contains('\u{202e}'),
        "{text}"
    );
    assert!(text.contains("&lt;script&gt;mallory"), "{text}");
}

#[test]
fn an_invitation_is_drawn_only_where_it_is_asked_for_and_reads_back() {
    let secret = "https://meet.example.org/j/k3f-9ab-x2c#k=abcdefgh&h=ijkl&m=on";
    let mut screen = Screen::new(SCREEN);
    let status = in_state("sealed");
    let plain = screen.meeting(&status, &Local::default());
    let local = Local {
        invitation: Some(Zeroizing::new(secret.to_owned())),
        ..Local::default()
    };
    let shown = screen.meeting(&status, &local);
    assert_eq!(shown.patches.len(), plain.patches.len() + 1);
    assert!(!text_of(&shown).contains("abcdefgh"), "only as a code");
    assert!(!format!("{shown:?}{screen:?}").contains("abcdefgh"));
    assert_eq!(screen.meeting(&status, &Local::default()), plain);

    let code = qr::Code::of(secret).unwrap();
    let modules = modules(&code);
    let side = code.width * 4;
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(side, side, |x, y| {
        if modules[y / 4][x / 4] { 0 } else { 255 }
    });
    let (_, read) = picture.detect_grids()[0].decode().unwrap();
    assert_eq!(read, secret);
}

/// The dark modules of a code, from its path.
fn modules(code: &qr::Code) -> Vec<Vec<bool>> {
    let mut modules = vec![vec![false; code.width]; code.width];
    for run in code.path().split('M').skip(1) {
        let numbers: Vec<usize> = run
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        let [x, y, length, ..] = numbers[..] else {
            panic!("{run}")
        };
        modules[y][x..x + length].fill(true);
    }
    modules
}

#[test]
fn between_meetings_the_screen_says_who_it_is_and_where_its_page_is() {
    let status = Status {
        name: "Board room".to_owned(),
        page: Some("http://127.0.0.1:8780/".to_owned()),
        insecure_lan: true,
        ..Status::default()
    };
    let local = Local {
        time: "09:41".to_owned(),
        day: "Sunday, 22 November".to_owned(),
        hint: "Press the button to start a sealed meeting.".to_owned(),
        ..Local::default()
    };
    let overlay = Screen::new(SCREEN).idle(&status, &local);
    let text = text_of(&overlay);
    for said in [
        "Board room",
        "09:41",
        "Press the button",
        "http://127.0.0.1:8780/",
        "NOT PROTECTED",
    ] {
        assert!(text.contains(said), "{said} is not in {text}");
    }
    assert!(text.contains("<path"), "no code");
}

#[test]
fn between_meetings_the_screen_leads_other_devices_to_the_page_that_they_reach() {
    let at_the_box = Status {
        page: Some("http://127.0.0.1:8780/".to_owned()),
        ..Status::default()
    };
    let (first, second) = (["AB"; 16].join(":"), ["CD"; 16].join(":"));
    let both = Status {
        network_page: Some(NetworkPage {
            address: "https://192.0.2.7:8443/".to_owned(),
            certificate: format!("{first}:{second}"),
        }),
        ..at_the_box.clone()
    };
    let mut screen = Screen::new(SCREEN);
    let here = text_of(&screen.idle(&at_the_box, &Local::default()));
    let there = text_of(&screen.idle(&both, &Local::default()));
    assert!(there.contains("https://192.0.2.7:8443/") && !there.contains("127.0.0.1"));
    assert!(there.contains(&first) && there.contains(&second), "{there}");
    let code = |text: &str| {
        let path = text.rsplit("<path").next().unwrap();
        path.split_once("/>").unwrap().0.to_owned()
    };
    assert_ne!(code(&here), code(&there), "the code leads to the same page");
}

#[test]
fn between_meetings_the_screen_shows_what_the_box_is_booked_for_by_whom_and_who_says_so() {
    let booked = |title: &str| Booked {
        room: title.to_owned(),
        title: format!("{title} <b>"),
        starts: 1_800_000_000,
        ends: 1_800_003_600,
        organiser: "Ada".to_owned(),
        hub: "meet.example.org".to_owned(),
        e2ee: true,
        waiting_room: false,
    };
    let mut status = Status {
        enrolled: Some(Enrolled {
            hub: "meet.example.org".to_owned(),
            name: "Board room".to_owned(),
            words: "one two three four five".to_owned(),
            insecure_lan: false,
        }),
        ..Status::default()
    };
    let local = Local {
        hint: "Press the button to join \"Budget\".".to_owned(),
        now: 1_800_000_000,
        ..Local::default()
    };
    let mut screen = Screen::new(SCREEN);
    let nothing = text_of(&screen.idle(&status, &local));
    let says = "meet.example.org says";
    for said in ["one two three four five", "Press the button", says] {
        assert!(nothing.contains(said), "{said} is not in {nothing}");
    }
    status.booked = vec![booked("Budget"), booked("Plans"), booked("Third")];
    let text = text_of(&screen.idle(&status, &local));
    for said in [
        "Budget &lt;b&gt;, by Ada",
        "Plans",
        "and 1 more",
        "one two three four five",
        says,
    ] {
        assert!(text.contains(said), "{said} is not in {text}");
    }
    assert!(!text.contains("Third"), "{text}");
    assert!(!text.contains("NOT PROTECTED"), "{text}");
    if let Some(enrolled) = &mut status.enrolled {
        enrolled.insecure_lan = true;
    }
    let text = text_of(&screen.idle(&status, &local));
    assert!(text.contains("NOT PROTECTED"), "{text}");
}
