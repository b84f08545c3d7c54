// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boxes that somebody enrolls: how they come in, how they show who they are, and how they are taken out.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

use super::accounts::{joined, path};
use super::*;

/// A box with its key, as the hub meets it.
pub(super) struct Device {
    key: SigningKey,
    pub(super) browser: Browser,
    hub: String,
}

impl Device {
    pub(super) fn new(office: &Office, seed: u8) -> Self {
        Self {
            key: SigningKey::from_slice(&[seed; 32]).unwrap(),
            browser: office.browser(),
            hub: office.address.to_string(),
        }
    }

    pub(super) fn public(&self) -> String {
        Base64UrlUnpadded::encode_string(self.key.verifying_key().to_sec1_point(true).as_bytes())
    }

    fn sign(&self, kind: &str, payload: &Value) -> String {
        let encode = Base64UrlUnpadded::encode_string;
        let header = format!(r#"{{"alg":"ES256","typ":"roomseal-{kind}"}}"#);
        let payload = payload.to_string();
        let signed = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(payload.as_bytes())
        );
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", encode(&signature.to_bytes()))
    }

    fn enrolment(&self, code: &str) -> Value {
        let proof = self.sign("enrolment", &json!({ "code": code, "hub": self.hub }));
        json!({ "code": code, "name": "Box 3", "key": self.public(), "proof": proof })
    }

    pub(super) async fn enrol(&mut self, code: &str) -> Answer {
        let asked = self.enrolment(code);
        self.browser.post("/api/devices/enrol", asked).await
    }

    async fn challenge(&mut self, id: &Value) -> Value {
        let asked = json!({ "device": id });
        let answer = self.browser.post("/api/devices/challenge", asked).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["challenge"].clone()
    }

    async fn answer(&mut self, id: &Value, challenge: &Value) -> Answer {
        let payload = json!({ "challenge": challenge, "hub": self.hub });
        let asked = json!({ "device": id, "answer": self.sign("challenge", &payload) });
        self.browser.post("/api/devices/token", asked).await
    }

    /// The header that a device shows itself by.
    pub(super) async fn token(&mut self, id: &Value) -> String {
        let challenge = self.challenge(id).await;
        let answer = self.answer(id, &challenge).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = answer.body["token"].as_str().unwrap();
        format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n")
    }

    async fn me(&mut self, token: &str) -> Answer {
        self.browser.send("GET", "/api/devices/me", token, "").await
    }
}

pub(super) async fn code(browser: &mut Browser) -> String {
    let answer = browser.ask("POST", "/api/devices/code", None).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_code_brings_one_device_in_that_holds_its_key() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let mut device = Device::new(&office, 7);
    let answer = office
        .browser()
        .ask("POST", "/api/devices/code", None)
        .await;
    problem(&answer, 401, "not-signed-in");

    let first = code(&mut admin).await;
    let second = code(&mut admin).await;
    problem(&device.enrol(&first).await, 403, "code");
    // The key of another, a proof over another code, for another hub, or for something else.
    let other = Device::new(&office, 8);
    let good = device.enrolment(&second);
    let claims = json!({ "code": second, "hub": device.hub });
    for proof in [
        other.enrolment(&second)["proof"].clone(),
        device.enrolment(&first)["proof"].clone(),
        device
            .sign(
                "enrolment",
                &json!({ "code": second, "hub": "meet.example.org" }),
            )
            .into(),
        device.sign("challenge", &claims).into(),
        "".into(),
    ] {
        let mut asked = good.clone();
        asked["proof"] = proof;
        let answer = device.browser.post("/api/devices/enrol", asked).await;
        problem(&answer, 403, "proof");
    }
    let mut asked = good.clone();
    asked["key"] = "AAAA".into();
    let answer = device.browser.post("/api/devices/enrol", asked).await;
    problem(&answer, 422, "invalid");

    let enrolled = device.enrol(&second).await;
    assert_eq!(enrolled.status, 201, "{enrolled:?}");
    assert_eq!(enrolled.body["key"], device.public());
    assert_eq!(enrolled.body["name"], "Box 3");
    problem(&Device::new(&office, 9).enrol(&second).await, 403, "code");
    let third = code(&mut admin).await;
    problem(&device.enrol(&third).await, 409, "key-taken");
    // A code that was refused for another reason is still good, but not for ever.
    office.pass(Duration::from_secs(600));
    problem(&Device::new(&office, 9).enrol(&third).await, 403, "code");
    let listed = admin.get("/api/devices").await;
    assert_eq!(listed.body["devices"], json!([enrolled.body]));
}

#[tokio::test]
async fn a_pairing_code_is_tried_five_times() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let code = code(&mut admin).await;
    let end = if code.ends_with('2') { '3' } else { '2' };
    let wrong = format!("{}{end}", &code[..code.len() - 1]);
    let mut device = Device::new(&office, 7);
    for _ in 0..5 {
        problem(&device.enrol(&wrong).await, 403, "code");
    }
    problem(&device.enrol(&code).await, 403, "code");
}

#[tokio::test]
async fn a_device_shows_who_it_is_by_answering_a_challenge_once() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let mut device = Device::new(&office, 7);
    let enrolled = device.enrol(&code(&mut admin).await).await;
    let id = &enrolled.body["id"];

    let challenge = device.challenge(id).await;
    let mut other = Device::new(&office, 8);
    problem(&other.answer(id, &challenge).await, 403, "proof");
    let elsewhere = json!({ "challenge": challenge, "hub": "meet.example.org" });
    let asked = json!({ "device": id, "answer": device.sign("challenge", &elsewhere) });
    let answer = device.browser.post("/api/devices/token", asked).await;
    problem(&answer, 403, "proof");
    // Made for another device, or made up.
    let foreign = device.challenge(&json!("another")).await;
    problem(&device.answer(id, &foreign).await, 403, "proof");
    problem(&device.answer(id, &json!("AAAA")).await, 403, "proof");

    let answer = device.answer(id, &challenge).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    problem(&device.answer(id, &challenge).await, 403, "proof");
    let late = device.challenge(id).await;
    office.pass(Duration::from_secs(60));
    problem(&device.answer(id, &late).await, 403, "proof");

    let token = device.token(id).await;
    let me = device.me(&token).await;
    assert_eq!(me.body["device"], enrolled.body, "{me:?}");
    problem(&device.me("").await, 401, "token");
    office.pass(Duration::from_secs(3600));
    problem(&device.me(&token).await, 401, "token");
}

#[tokio::test]
async fn a_device_starts_meetings_by_the_licence_of_who_enrolled_it() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (bob, mut user) = joined(&mut admin, &office, "bob").await;
    let mut device = Device::new(&office, 7);
    let enrolled = device.enrol(&code(&mut user).await).await;
    let token = device.token(&enrolled.body["id"]).await;
    let start = async |device: &mut Device, body: &str| {
        let browser = &mut device.browser;
        browser.send("POST", "/api/meetings", &token, body).await
    };
    problem(
        &start(&mut device, r#"{"e2ee":true}"#).await,
        403,
        "not-allowed",
    );
    assert_eq!(start(&mut device, r#"{"e2ee":false}"#).await.status, 201);
    let schedule = async |device: &mut Device| {
        let browser = &mut device.browser;
        let asked = json!({ "room": "plans", "title": "Plans", "starts": 1_800_003_600_u64, "ends": 1_800_007_200_u64,
                            "meeting_key": "A".repeat(43) });
        browser
            .send("POST", "/api/schedule", &token, &asked.to_string())
            .await
    };
    problem(&schedule(&mut device).await, 403, "not-allowed");
    let change = async |admin: &mut Browser, change: Value| {
        let answer = admin.ask("PATCH", &path(&bob), Some(change)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    change(&mut admin, json!({ "licensed": true })).await;
    let started = start(&mut device, r#"{"e2ee":true}"#).await;
    assert_eq!(started.status, 201, "{started:?}");
    let scheduled = schedule(&mut device).await;
    assert_eq!(scheduled.status, 201, "{scheduled:?}");
    change(&mut admin, json!({ "disabled": true })).await;
    problem(&start(&mut device, r#"{"e2ee":true}"#).await, 401, "token");
    change(&mut admin, json!({ "disabled": false })).await;
    assert_eq!(device.me(&token).await.status, 200);
    assert_eq!(admin.ask("DELETE", &path(&bob), None).await.status, 204);
    problem(&device.me(&token).await, 401, "token");
}

#[tokio::test]
async fn who_enrolled_a_device_and_admins_take_it_out() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (_, mut bob) = joined(&mut admin, &office, "bob").await;
    let (_, mut eve) = joined(&mut admin, &office, "eve").await;
    let mut tokens = Vec::new();
    for seed in [7, 8] {
        let mut device = Device::new(&office, seed);
        let enrolled = device.enrol(&code(&mut bob).await).await.body;
        let token = device.token(&enrolled["id"]).await;
        assert_eq!(device.me(&token).await.status, 200);
        let path = format!("/api/devices/{}", enrolled["id"].as_str().unwrap());
        tokens.push((device, token, path));
    }
    let count = async |browser: &mut Browser| {
        let listed = browser.get("/api/devices").await;
        listed.body["devices"].as_array().unwrap().len()
    };
    assert_eq!(
        (
            count(&mut admin).await,
            count(&mut bob).await,
            count(&mut eve).await
        ),
        (2, 2, 0)
    );
    for (by, (device, token, path)) in [&mut admin, &mut bob].into_iter().zip(&mut tokens) {
        problem(&eve.ask("DELETE", path, None).await, 404, "no-such");
        assert_eq!(device.me(token).await.status, 200);
        assert_eq!(by.ask("DELETE", path, None).await.status, 204);
        problem(&device.me(token).await, 401, "token");
        problem(&by.ask("DELETE", path, None).await, 404, "no-such");
    }
    let log = admin.get("/api/audit?most=1").await;
    let deed = &log.body["deeds"][0];
    assert_eq!(deed["action"], "device-revoked");
    assert_eq!(deed["subject"]["name"], "Box 3");
    assert_eq!(deed["actor"]["name"], "bob");
}
