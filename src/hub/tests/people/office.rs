// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hub and its people, wherever its meetings are held.

#![allow(dead_code, reason = "each of the tests uses its part")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use livekit_protocol::DisconnectReason;
use roomseal_hub::Origin;
use roomseal_hub::people::{Clock, People};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::browser::{Answer, Browser};
use super::harness::{Client, bind_with};
use super::held::Held;
use super::hosts::left;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A hub on loopback, whose clock the test moves.
pub(crate) struct Office {
    pub(crate) people: Arc<People>,
    pub(crate) address: SocketAddr,
    passed: Arc<AtomicU64>,
    serving: JoinHandle<()>,
    pub(crate) held: Held,
}

impl Office {
    pub(crate) async fn open() -> Self {
        Self::at(None, None).await
    }

    pub(crate) async fn at(data: Option<&Path>, origin: Option<&str>) -> Self {
        Self::holding(Held::new(), data, origin).await
    }

    /// One whose meetings are held there.
    pub(crate) async fn holding(held: Held, data: Option<&Path>, origin: Option<&str>) -> Self {
        let passed = Arc::new(AtomicU64::new(0));
        let clock = Clock::new({
            let passed = Arc::clone(&passed);
            move || Duration::from_secs(1_800_000_000 + passed.load(Ordering::SeqCst))
        });
        let people = match data {
            Some(folder) => People::open(folder, clock).await,
            None => People::in_memory(clock).await,
        };
        let people = Arc::new(people.unwrap());
        let origin = origin.map(|origin| Origin::parse(origin).unwrap());
        let hub = bind_with(held.engine(), Arc::clone(&people), None, origin).await;
        let address = hub.address().unwrap();
        held.belongs_to(address);
        let serving = tokio::spawn(async move {
            hub.serve().await;
        });
        Self {
            people,
            address,
            passed,
            serving,
            held,
        }
    }

    /// Ends it, with all that holds its folder.
    pub(crate) async fn close(self) {
        self.serving.abort();
        let _ = self.serving.await;
        let mut people = self.people;
        // Connections may still be on their way out.
        while let Err(shared) = Arc::try_unwrap(people) {
            people = shared;
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.passed.fetch_add(time.as_secs(), Ordering::SeqCst);
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    pub(crate) async fn code(&self) -> String {
        let code = self.people.set_up_code().await.unwrap().unwrap();
        code.expose().to_string()
    }

    /// Sees to it that who comes with this token is not in the meeting: turned away, or put out when he appears.
    pub(crate) async fn keeps_out(&self, token: &str) {
        match Client::connect(self.address, token).await {
            Err(status) => assert!(Held::IS_EMBEDDED && status == 403, "{status}"),
            Ok(_) if Held::IS_EMBEDDED => panic!("the hub lets nobody in that it puts out"),
            Ok(mut client) => {
                assert_eq!(
                    left(&mut client).await,
                    DisconnectReason::ParticipantRemoved
                );
            }
        }
    }

    /// The first admin, `ada`, signed in.
    pub(crate) async fn admin(&self) -> Browser {
        let mut browser = self.browser();
        let asked = json!({ "code": self.code().await, "name": "ada", "password": PASSWORD });
        let answer = browser.post("/api/set-up", asked).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        browser
    }
}

/// Signs somebody in in a new browser.
pub(crate) async fn sign_in(office: &Office, name: &str, password: &str) -> (Browser, Answer) {
    let mut browser = office.browser();
    let asked = json!({ "name": name, "password": password });
    let answer = browser.post("/api/sign-in", asked).await;
    (browser, answer)
}

pub(crate) fn problem(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{answer:?}"
    );
    assert_eq!(answer.body["type"], format!("urn:roomseal:problem:{kind}"));
    assert_eq!(answer.body["status"], status);
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.len() > 20, "{detail}");
}

/// An account that its owner has joined, and where he is signed in.
pub(crate) async fn joined(admin: &mut Browser, office: &Office, name: &str) -> (Value, Browser) {
    let made = admin.post("/api/accounts", json!({ "name": name })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let mut browser = office.browser();
    let code = &made.body["invitation"]["code"];
    let asked = json!({ "code": code, "password": PASSWORD });
    let answer = browser.post("/api/invitation/accept", asked).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    (answer.body, browser)
}

pub(crate) fn path(account: &Value) -> String {
    format!("/api/accounts/{}", account["id"].as_str().unwrap())
}
