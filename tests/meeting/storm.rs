// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two minutes of people who sign in, join, plan and leave at random, with the hub killed in the middle: nothing that it
//! said yes to is lost, a sealed meeting comes back by itself, and nothing of it leaves clear.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use roomseal_policy::{HostCheck, Link};
use roomseal_tests::appliance::Appliance;
use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::livekit::Server;
use roomseal_tests::people::PASSWORD;
use roomseal_tests::visitor::Visitor;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::faults::nothing_clear;
use crate::join::{OWN_CAMERA, OWN_MICROPHONE, count, shows};
use crate::roomseal::{new_meeting, start, wait_for_shield};
use crate::{one_at_a_time, talking_clip};

/// Sign-ins, joins and leaves.
const DEEDS: u32 = 300;

/// How long they take together.
const STORM: Duration = Duration::from_secs(120);

/// How long there is no hub.
const OUTAGE: Duration = Duration::from_secs(2);

/// People with an account at the start.
const PEOPLE: usize = 8;

/// Rooms that people go to; the first is the sealed meeting.
const ROOMS: [&str; 5] = ["sealed", "red", "green", "blue", "grey"];

/// So many are in a room at most, so that there is always a place for who belongs there.
const MOST: usize = 8;

/// Numbers that look random (SplitMix64), the same ones for the same seed.
struct Dice(u64);

impl Dice {
    fn draw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let below = below as u64;
        ((mixed ^ (mixed >> 31)) % below) as usize
    }
}

/// What the hub said yes to.
#[derive(Default)]
struct Promised {
    /// Accounts: who has joined can sign in.
    accounts: BTreeMap<String, bool>,
    /// Meetings that were planned, as they were answered.
    plans: BTreeMap<String, Value>,
    /// Meetings that were started, with a waiting room.
    started: Vec<String>,
}

/// Who is in a room, with nothing but a connection for signalling.
struct Member {
    room: usize,
    connection: JoinHandle<()>,
}

struct Storm {
    server: Server,
    runtime: Runtime,
    dice: Dice,
    /// Who asked so far: each asks from an address of his own.
    visitors: u16,
    admin: Visitor,
    members: Vec<Member>,
    promised: Promised,
    /// By what happened.
    counts: BTreeMap<&'static str, u32>,
}

impl Storm {
    fn visitor(&mut self) -> Visitor {
        self.visitors += 1;
        Visitor::of(&self.server, self.visitors)
    }

    /// Does one thing at random. Without a hub, it comes to nothing.
    fn deed(&mut self, plans: &[Value]) -> io::Result<()> {
        let what = match self.dice.draw(10) {
            0..3 => self.sign_in()?,
            3..6 => self.join()?,
            6..8 => self.leave(),
            8 => self.make_account()?,
            _ => self.hold(plans)?,
        };
        *self.counts.entry(what).or_default() += 1;
        Ok(())
    }

    /// Somebody who has an account. Not the admin, whose oldest sessions would end.
    fn person(&mut self) -> String {
        let names = self.promised.accounts.iter();
        let names: Vec<_> = names.filter(|(_, joined)| **joined).collect();
        names[self.dice.draw(names.len())].0.clone()
    }

    fn sign_in(&mut self) -> io::Result<&'static str> {
        let name = self.person();
        let asked = json!({"name": name, "password": PASSWORD});
        let answer = self.visitor().post("/api/sign-in", &asked)?;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        Ok("signed in")
    }

    fn join(&mut self) -> io::Result<&'static str> {
        let room = self.dice.draw(ROOMS.len());
        let here = self.members.iter().filter(|it| it.room == room).count();
        if here >= MOST {
            return Ok(self.leave());
        }
        let path = format!("/api/meetings/{}/join", ROOMS[room]);
        // With accounts, a hub lets no guests into a sealed meeting.
        let mut visitor = self.visitor();
        let asked = json!({"name": self.person(), "password": PASSWORD});
        visitor.post("/api/sign-in", &asked)?;
        let answer = visitor.post(&path, &json!({"name": "Gust"}))?;
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = answer.body["token"].as_str().unwrap();
        let url = format!(
            "{}/rtc?protocol=16&auto_subscribe=1&access_token={token}",
            self.server.url()
        );
        let address = format!("127.0.0.1:{}", self.server.port());
        let connected = self.runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await?;
            let connected = tokio_tungstenite::client_async(url, stream).await;
            connected.map_err(|error| io::Error::other(error.to_string()))
        });
        let (mut socket, _) = connected?;
        let connection = self.runtime.spawn(async move {
            // Whoever never answers is put out after a while; that is a way to leave, too.
            while let Some(Ok(_)) = socket.next().await {}
        });
        self.members.push(Member { room, connection });
        Ok("joined")
    }

    fn leave(&mut self) -> &'static str {
        self.members.retain(|it| !it.connection.is_finished());
        if self.members.is_empty() {
            return "nobody there to leave";
        }
        let gone = self.dice.draw(self.members.len());
        self.members.swap_remove(gone).connection.abort();
        "left"
    }

    fn make_account(&mut self) -> io::Result<&'static str> {
        let name = format!("person-{}", self.visitors);
        self.visitors += 1;
        let made = self.admin.post("/api/accounts", &json!({"name": name}))?;
        assert_eq!(made.status, 201, "{made:?}");
        self.promised.accounts.insert(name.clone(), false);
        let code = &made.body["invitation"]["code"];
        let asked = json!({"code": code, "password": PASSWORD});
        let accepted = self.visitor().post("/api/invitation/accept", &asked)?;
        assert_eq!(accepted.status, 200, "{accepted:?}");
        self.promised.accounts.insert(name, true);
        Ok("made an account")
    }

    /// Plans the next of `plans`, or starts a meeting where none is left.
    fn hold(&mut self, plans: &[Value]) -> io::Result<&'static str> {
        if let Some(plan) = plans.get(self.promised.plans.len()) {
            let made = self.admin.post("/api/schedule", plan)?;
            assert_eq!(made.status, 201, "{made:?}");
            let room = plan["room"].as_str().unwrap().to_owned();
            self.promised.plans.insert(room, made.body);
            return Ok("planned");
        }
        let asked = json!({"waiting_room": true});
        let started = self.admin.post("/api/meetings", &asked)?;
        assert_eq!(started.status, 201, "{started:?}");
        let room = started.body["room"].as_str().unwrap().to_owned();
        self.promised.started.push(room);
        Ok("started")
    }

    /// All that was promised is there.
    fn nothing_is_lost(&mut self) {
        let listed = self.admin.get("/api/accounts").unwrap();
        assert_eq!(listed.status, 200, "the session of the admin: {listed:?}");
        let listed = listed.body["accounts"].as_array().unwrap();
        let joined = |name: &str| {
            let mut listed = listed.iter();
            let found = listed.find(|it| it["name"] == name);
            found.map(|it| it["joined"] == true)
        };
        for (name, has_joined) in &self.promised.accounts {
            // Whether it accepted just when the hub died, only the hub knows.
            let now = joined(name);
            assert!(now >= Some(*has_joined), "{name}: {now:?}");
        }
        let listed = self.admin.get("/api/schedule").unwrap();
        let listed = listed.body["meetings"].as_array().unwrap();
        for (room, plan) in &self.promised.plans {
            assert!(plan["policy"].is_object(), "{plan}");
            assert!(
                listed.contains(plan),
                "{room} is not what it was: {listed:?}"
            );
        }
        for room in self.promised.started.clone() {
            let path = format!("/api/meetings/{room}/join");
            let asked = json!({"name": "Gust"});
            let answer = self.visitor().post(&path, &asked).unwrap();
            assert_eq!(answer.status, 202, "{room} has a waiting room: {answer:?}");
        }
        for (name, has_joined) in self.promised.accounts.clone() {
            if has_joined {
                let asked = json!({"name": name, "password": PASSWORD});
                let answer = self.visitor().post("/api/sign-in", &asked).unwrap();
                assert_eq!(answer.status, 200, "{name}: {answer:?}");
            }
        }
    }
}

/// Meetings to plan, each with its own first policy, signed in advance.
fn plans(folder: &Path, count: usize) -> Vec<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let starts = now.as_secs() + 86_400;
    let plan = |number| {
        let room = format!("plan-{number}");
        let (host, _) = new_meeting(&folder.join(&room), &room, &["--signed-in-advance"]);
        let link = Link::parse(&std::fs::read_to_string(host).unwrap()).unwrap();
        let HostCheck::Link(key) = link.host_check() else {
            panic!("a link names the key of its meeting");
        };
        let policy = link.root().unwrap().message();
        json!({
            "room": room, "title": "Later", "starts": starts, "ends": starts + 3600, "meeting_key": key.to_string(),
            "policy": serde_json::from_str::<Value>(&policy).unwrap(),
        })
    };
    (0..count).map(plan).collect()
}

/// As ada, who made the hub's first account: with accounts, a hub lets no guests into a sealed meeting.
const SIGN_IN: &str = "fetch('/api/sign-in', {
    method: 'POST',
    headers: { 'Roomseal-Request': '1', 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: 'ada', password: 'PASSWORD' }),
}).then((answer) => answer.status)";

fn page_is_sealed(browser: &mut Browser) {
    shows(browser, "sealed");
    for own in [OWN_CAMERA, OWN_MICROPHONE] {
        assert_eq!(count(browser, own, "clear"), 0, "{own}");
    }
}

fn boxes_are_sealed(boxes: &[&Appliance], since: Instant) {
    for it in boxes {
        wait_for_shield(it, since, "sealed");
        nothing_clear(it);
    }
}

#[test]
fn three_hundred_come_and_go_while_the_hub_is_killed_and_nothing_is_lost_or_clear() {
    let _turn = one_at_a_time();
    let seed = std::env::var("ROOMSEAL_SEED").ok();
    let seed = seed.map_or_else(
        || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs()
        },
        |seed| seed.parse().expect("ROOMSEAL_SEED is a number"),
    );
    println!("ROOMSEAL_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let server = Server::hub_with_people();
    let admin = Visitor::first_admin(&server);
    let planned = plans(folder.path(), 20);

    // Who may not be harmed: a host's box, a guest and a page, in a sealed meeting.
    let (host_link, guest_link) = new_meeting(&folder.path().join("links"), ROOMS[0], &[]);
    let host = start("run", "box", &host_link)
        .api_key(&server)
        .playing(&clip)
        .join(&server, ROOMS[0]);
    let guest = start("guest", "guest", &guest_link)
        .with(["--publish", clip.to_str().unwrap()])
        .join(&server, ROOMS[0]);
    let mut browser = Browser::start();
    let link = std::fs::read_to_string(&host_link).unwrap();
    browser.open(&server.page_of(&link), Window::Desktop, "light");
    let signed_in = browser.run(&SIGN_IN.replace("PASSWORD", PASSWORD));
    assert_eq!(signed_in, 200);
    browser.tab_to("name");
    browser.write("Petra");
    browser.key("Enter");
    page_is_sealed(&mut browser);
    boxes_are_sealed(&[&host, &guest], Instant::now());

    let mut storm = Storm {
        server,
        runtime: tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap(),
        dice: Dice(seed),
        visitors: 0,
        admin,
        members: Vec::new(),
        promised: Promised::default(),
        counts: BTreeMap::new(),
    };
    for _ in 0..PEOPLE {
        storm.make_account().unwrap();
    }
    let mut failed = 0;
    let mut back = None;
    let began = Instant::now();
    for number in 0..DEEDS {
        if number == DEEDS / 2 {
            storm.server.stop();
            // Nobody waits for a hub that is gone.
            std::thread::sleep(OUTAGE);
            storm.server.restart();
            back = Some(Instant::now());
        }
        let due = STORM * number / DEEDS;
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        if let Err(error) = storm.deed(&planned) {
            // While it starts again, it may not answer yet.
            assert!(back.is_some(), "{error}");
            failed += 1;
        }
    }
    let back = back.unwrap();
    println!("{:?}, {failed} without an answer", storm.counts);
    while storm.leave() == "left" {}
    storm.nothing_is_lost();
    boxes_are_sealed(&[&host, &guest], back);
    page_is_sealed(&mut browser);
    println!(
        "kept: {} accounts, {} plans with their policies, {} meetings",
        storm.promised.accounts.len(),
        storm.promised.plans.len(),
        storm.promised.started.len()
    );
    assert!(failed < DEEDS / 20, "{failed}");
    browser.close();
}
