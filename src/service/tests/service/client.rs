// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client under test: its handle and its events, with a limit to every wait.

use std::time::Duration;

use roomseal_service::livekit::{
    Client, Config, Event, Handle, JoinInfo, LiveKit, Mint, Plaintext, Reason, Secret, ServerUrl,
    TokenSource, Trust,
};
use tokio::{sync::mpsc, time::timeout};

/// The key that every server here knows.
pub(crate) const KEY: &str = "APItest";
pub(crate) const SECRET: &str = "a secret that only these tests know";

/// Far more than anything here takes; a test that waits for this has failed.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Guest {
    pub(crate) handle: Handle,
    events: mpsc::Receiver<Event>,
    /// Everything so far, for the message of a failed test.
    seen: Vec<Event>,
}

pub(crate) fn mint(room: &str, identity: &str) -> Mint {
    Mint::new(KEY, Secret::new(SECRET), room, identity)
}

pub(crate) fn config(address: &str, tokens: TokenSource) -> Config {
    Config {
        server: ServerUrl::parse(address, Plaintext::LoopbackOnly).unwrap(),
        trust: Trust::default(),
        tokens,
        client: Client::default(),
    }
}

impl Guest {
    pub(crate) fn connect(config: Config) -> Self {
        let (handle, events) = LiveKit::connect(config);
        Self {
            handle,
            events,
            seen: Vec::new(),
        }
    }

    /// Connects with a token made from the key.
    pub(crate) fn new(address: &str, room: &str, identity: &str) -> Self {
        let tokens = TokenSource::Minted(Box::new(mint(room, identity)));
        Self::connect(config(address, tokens))
    }

    /// Connects and waits until it has joined.
    pub(crate) async fn join(address: &str, room: &str, identity: &str) -> (Self, JoinInfo) {
        let mut guest = Self::new(address, room, identity);
        let info = guest.joined().await;
        (guest, info)
    }

    pub(crate) async fn joined(&mut self) -> JoinInfo {
        self.wait_for(|event| match event {
            Event::Joined(info) => Some(*info.clone()),
            _ => None,
        })
        .await
    }

    /// The next reason for not being connected, and whether it is tried again.
    pub(crate) async fn disconnected(&mut self) -> (Reason, bool) {
        self.wait_for(|event| match event {
            Event::Disconnected { reason, will_retry } => Some((reason.clone(), *will_retry)),
            _ => None,
        })
        .await
    }

    /// Takes events until one is the one.
    pub(crate) async fn wait_for<T>(&mut self, mut found: impl FnMut(&Event) -> Option<T>) -> T {
        let search = async {
            loop {
                let Some(event) = self.events.recv().await else {
                    panic!("the session ended; so far: {:#?}", self.seen);
                };
                let result = found(&event);
                self.seen.push(event);
                if let Some(result) = result {
                    break result;
                }
            }
        };
        match timeout(LIMIT, search).await {
            Ok(result) => result,
            Err(_) => panic!("nothing came within {LIMIT:?}; so far: {:#?}", self.seen),
        }
    }

    /// Waits for the end of the session; gives back what was left to tell.
    pub(crate) async fn ended(&mut self) -> Vec<Event> {
        let rest = async {
            let mut rest = Vec::new();
            while let Some(event) = self.events.recv().await {
                rest.push(event);
            }
            rest
        };
        timeout(LIMIT, rest)
            .await
            .expect("the session does not end")
    }

    /// All that was told so far.
    pub(crate) fn seen(&self) -> &[Event] {
        &self.seen
    }
}
