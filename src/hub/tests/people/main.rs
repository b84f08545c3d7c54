// SPDX-License-Identifier: MIT OR Apache-2.0
//! The people of a hub as they meet it: over HTTP, with a cookie.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod accounts;
mod browser;
mod deeds;
mod devices;
mod features;
#[path = "../harness/mod.rs"]
mod harness;
mod hosts;
mod meetings;
mod nonsense;
mod plugnmeet;
mod schedule;
mod secret;
mod set_up;
mod sign_in;
mod sites;
mod waiting;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use browser::{Answer, Browser};
use harness::{Client, SECRET, bind, keys};
use roomseal_hub::Origin;
use roomseal_hub::people::{Clock, People};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const PASSWORD: &str = "correct horse battery";

/// A hub on loopback, whose clock the test moves.
struct Office {
    people: Arc<People>,
    address: SocketAddr,
    passed: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

impl Office {
    async fn open() -> Self {
        Self::at(None, None).await
    }

    async fn at(data: Option<&Path>, origin: Option<&str>) -> Self {
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
        let hub = bind(Arc::clone(&people), None, origin).await;
        let address = hub.address().unwrap();
        let serving = tokio::spawn(async move {
            hub.serve().await;
        });
        Self {
            people,
            address,
            passed,
            serving,
        }
    }

    /// Ends it, with all that holds its folder.
    async fn close(self) {
        self.serving.abort();
        let _ = self.serving.await;
        let mut people = self.people;
        // Connections may still be on their way out.
        while let Err(shared) = Arc::try_unwrap(people) {
            people = shared;
            tokio::task::yield_now().await;
        }
    }

    fn pass(&self, time: Duration) {
        self.passed.fetch_add(time.as_secs(), Ordering::SeqCst);
    }

    fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    async fn code(&self) -> String {
        let code = self.people.set_up_code().await.unwrap().unwrap();
        code.expose().to_string()
    }

    /// The first admin, `ada`, signed in.
    async fn admin(&self) -> Browser {
        let mut browser = self.browser();
        let asked = json!({ "code": self.code().await, "name": "ada", "password": PASSWORD });
        let answer = browser.post("/api/set-up", asked).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        browser
    }
}

/// Signs somebody in in a new browser.
async fn sign_in(office: &Office, name: &str, password: &str) -> (Browser, Answer) {
    let mut browser = office.browser();
    let asked = json!({ "name": name, "password": password });
    let answer = browser.post("/api/sign-in", asked).await;
    (browser, answer)
}

fn problem(answer: &Answer, status: u16, kind: &str) {
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
