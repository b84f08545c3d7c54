// SPDX-License-Identifier: MIT OR Apache-2.0
//! A room box as a hub meets it: a key, an enrolment, a token, and what it is booked for.

use roomseal_e2ee::envelope;
use roomseal_policy::{DeviceKey, KeySeed};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::livekit::Server;
use crate::people::Asker;

/// A box that somebody enrolled at a hub.
#[derive(Debug)]
pub struct Device<'a> {
    server: &'a Server,
    signing: DeviceKey,
    /// What it opens links with.
    pub key: envelope::DeviceKey,
    /// What the hub calls it.
    pub id: String,
}

impl<'a> Device<'a> {
    /// One whose key is made of `fill`, enrolled as `name` by who may.
    pub fn enrolled(server: &'a Server, by: &Asker<'_>, name: &str, fill: u8) -> Self {
        let seed = KeySeed::new(Zeroizing::new([fill; 32])).expect("it is below the order");
        let key = envelope::DeviceKey::from_seed(seed.expose()).expect("it is below the order");
        let signing = DeviceKey::from_seed(seed);
        let given = by.post("/api/devices/code", &json!({}));
        let code = given.body["code"].as_str().expect("there is a code");
        let hub = server.address().to_string();
        let asked = json!({
            "code": code, "name": name, "key": signing.public(), "proof": *signing.enrolment(code, &hub),
        });
        let enrolled = Asker::stranger(server).post("/api/devices/enrol", &asked);
        let id = enrolled.body["id"].as_str();
        Self {
            server,
            signing,
            key,
            id: id.expect("who is enrolled has an id").to_owned(),
        }
    }

    /// Its public key, as the hub names it.
    pub fn public(&self) -> String {
        self.signing.public().to_string()
    }

    /// The box itself, as the hub knows it by the answer to its challenge.
    pub fn asker(&self) -> Asker<'a> {
        let stranger = Asker::stranger(self.server);
        let asked = stranger.post("/api/devices/challenge", &json!({ "device": self.id }));
        let challenge = asked.body["challenge"].as_str().expect("it is given one");
        let hub = self.server.address().to_string();
        let answer = json!({ "device": self.id, "answer": self.signing.answer(challenge, &hub) });
        let given = stranger.post("/api/devices/token", &answer);
        let token = given.body["token"].as_str();
        Asker::bearing(self.server, token.expect("it answered the challenge"))
    }

    /// The meetings that it is booked for, as the hub tells them.
    pub fn meetings(&self) -> Vec<Value> {
        let told = self.asker().get("/api/devices/self/meetings");
        assert_eq!(told.status, 200, "{told:?}");
        let meetings = told.body["meetings"].as_array();
        meetings.expect("it is a list").clone()
    }
}
