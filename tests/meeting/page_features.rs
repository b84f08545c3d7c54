// SPDX-License-Identifier: MIT OR Apache-2.0
//! What encryption switches off, as people at the join page see it happen and as programs that ask for it are answered.

use std::time::{Duration, Instant};

use roomseal_policy::{E2ee, KeySeed, MeetingKey};
use roomseal_tests::bare::Bare;
use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::livekit::{Engine, Server};
use roomseal_tests::people::{Answer, Asker};
use serde_json::{Value, json};

use crate::join::{grows, holds, pictures, shows};
use crate::page_people::{join_as, links, without_camera};
use crate::{SOON, one_at_a_time};

/// What a LiveKit token says of who comes with it, and what people are told that this is.
const PROGRAMS: [(&str, &str); 4] = [
    ("egress", "recorder"),
    ("ingress", "outside stream"),
    ("sip", "telephone"),
    ("agent", "agent"),
];

/// What a hub with a LiveKit server does in these tests, and no other hub.
const DONE: &str = "captions";

/// The features of a meeting, as its organiser asks for them.
struct Features<'a> {
    organiser: Asker<'a>,
    room: String,
}

impl Features<'_> {
    /// Waits until the hub says this of encryption; each feature with how it stands.
    fn told(&self, e2ee: &Value) -> Vec<(String, String)> {
        let began = Instant::now();
        loop {
            let path = format!("/api/meetings/{}/features", self.room);
            let told = self.organiser.get(&path);
            assert_eq!(told.status, 200, "{told:?}");
            if told.body["e2ee"] == *e2ee {
                let features = told.body["features"].as_array().unwrap().iter();
                let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
                return features
                    .map(|it| (text(it, "name"), text(it, "state")))
                    .collect();
            }
            assert!(began.elapsed() < SOON, "{told:?} and not {e2ee}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn start(&self, name: &str) -> Answer {
        let path = format!("/api/meetings/{}/features/{name}", self.room);
        self.organiser.post(&path, &json!({}))
    }

    /// Whatever is asked for is refused for this reason.
    fn are_refused(&self, e2ee: &Value, why: &str) {
        for (name, state) in self.told(e2ee) {
            assert!(
                state == "off: E2EE" || state == "not offered",
                "{name}: {state}"
            );
            let refused = self.start(&name);
            assert_eq!(refused.status, 409, "{name}: {refused:?}");
            assert_eq!(refused.body["type"], "urn:roomseal:problem:off-e2ee");
            let detail = refused.body["detail"].as_str().unwrap();
            assert!(detail.contains(why), "{name}: {detail}");
        }
    }

    /// What the engine can do is done, and the rest is answered with what is missing.
    fn are_there(&self, engine: Engine) {
        for (name, state) in self.told(&json!("off")) {
            let answer = self.start(&name);
            let is_done = engine == Engine::LiveKit && name == DONE;
            assert_eq!(state == "available", is_done, "{name}: {state}");
            let status = if is_done { 201 } else { 409 };
            assert_eq!(answer.status, status, "{name}: {answer:?}");
            assert_ne!(answer.body["type"], "urn:roomseal:problem:off-e2ee");
        }
    }
}

/// Each kind of program with a name of its own.
fn come_in(server: &Server, room: &str) -> Vec<Bare> {
    let come = PROGRAMS.iter().map(|(kind, _)| {
        let token = server.token_of_kind(kind, &format!("the-{kind}"), room);
        Bare::join(&server.url(), &token, Vec::new())
    });
    come.collect()
}

/// Each kind of program is kept out: turned away, or put out when it appears.
fn stay_out(engine: Engine, server: &Server, room: &str) {
    if engine == Engine::LiveKit {
        for program in come_in(server, room) {
            program.wait_until_out(SOON);
        }
        return;
    }
    for (kind, _) in PROGRAMS {
        let refused = server.validate(&server.token_of_kind(kind, &format!("the-{kind}"), room));
        assert!(
            refused.contains("403") && refused.contains("is not let in"),
            "{refused}"
        );
    }
}

#[test]
#[cfg(feature = "full")]
fn encryption_switches_features_off_and_everybody_at_the_page_is_told() {
    come_and_go(Engine::Embedded);
}

#[test]
fn encryption_switches_features_off_and_everybody_is_told_at_a_livekit_server_too() {
    come_and_go(Engine::LiveKit);
}

fn come_and_go(engine: Engine) {
    let _turn = one_at_a_time();
    let server = Server::hub_with_people_on(engine);
    let admin = Asker::admin(&server, "ada");
    let allow = json!({ "guests_under_e2ee": "allow" }).to_string();
    assert_eq!(admin.send("PATCH", "/api/settings", "", &allow).status, 200);
    let key = MeetingKey::from_seed(&KeySeed::new([1; 32].into()).unwrap());
    let asked = json!({ "meeting_key": key.hash().to_string() });
    let started = admin.post("/api/meetings", &asked);
    let room = started.body["room"].as_str().unwrap().to_owned();
    let features = Features {
        organiser: Asker::bearing(&server, started.body["token"].as_str().unwrap()),
        room: room.clone(),
    };
    features.are_refused(&Value::Null, "no host has said yet");

    let (host_link, guest_link) = links(&key, &room, E2ee::Off);
    let mut browser = Browser::start();
    browser.open(&server.page_of(&host_link), Window::Desktop, "light");
    without_camera(&mut browser);
    join_as(&mut browser, "Hanna");
    browser.open_beside(&server.page_of(&guest_link), Window::Phone, "light");
    join_as(&mut browser, "Petra");
    shows(&mut browser, "open");
    let programs = come_in(&server, &room);
    for window in [0, 1] {
        browser.turn_to(window);
        for (kind, _) in PROGRAMS {
            browser.see("#people", &format!("the-{kind}"), SOON);
        }
    }
    features.are_there(engine);

    browser.turn_to(0);
    browser.tab_to("e2ee");
    browser.key("Enter");
    shows(&mut browser, "sealed");
    for program in &programs {
        program.wait_until_out(SOON);
    }
    for window in [1, 0] {
        browser.turn_to(window);
        for (kind, word) in PROGRAMS {
            let who = format!("the-{kind} ({word}) was put out");
            let told = browser.see("#dropped", &who, SOON);
            assert!(
                told.contains("cannot be part of an encrypted meeting"),
                "{told}"
            );
        }
        // The guest, who may stay, is still there.
        shows(&mut browser, "sealed");
    }
    browser.picture("join-programs-dropped-desktop");
    grows(&mut browser, "sealed pictures", 10, pictures);
    features.are_refused(&json!("on"), "encrypted from end to end");
    stay_out(engine, &server, &room);

    // They are invited again, and none of them comes by itself.
    holds(&mut browser);
    for window in [1, 0] {
        browser.turn_to(window);
        shows(&mut browser, "open");
        assert!(!browser.shows("#dropped li"));
        assert!(!browser.shows("#people [data-identity^=\"the-\"]"));
    }
    features.are_there(engine);
    let programs = come_in(&server, &room);
    for (kind, _) in PROGRAMS {
        browser.see("#people", &format!("the-{kind}"), SOON);
    }
    drop(programs);
    browser.close();
}
