// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings at a LiveKit server or cluster: the hub lets people in, by tokens of that server's API key, and sees to it
//! that its rules hold there.
//!
//! What it tells a room it tells by the server's `RoomService`. What happens in a room it learns by asking: every second
//! which rooms there are and what their metadata says, and for those that are encrypted who is in them. That works with
//! every server as it stands, and after a hub or a server was away the next second finds whatever was missed. Where the
//! server is set up to send webhooks to `POST /api/livekit/webhook`, each of them has the hub look at once.
//!
//! Tokens that were given cannot be taken back from a LiveKit server: who may not stay is put out each time he appears.

mod address;
mod call;
mod client;
mod features;
mod programs;
mod rooms;
mod watch;
mod webhook;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub use address::{LiveKitUrl, LiveKitUrlError};
pub(crate) use call::CallError;
pub(crate) use features::Start;
pub(crate) use webhook::{answer as hear_webhook, is_one as is_webhook};

use self::client::Client;
use self::rooms::Seen;
use super::EngineError;
use crate::secrets::Secrets;
use crate::token::ApiKeys;

/// Where and how meetings are held at a LiveKit server.
#[derive(Clone, Debug)]
pub struct LiveKitConfig {
    /// Where the hub reaches it. Its API key is the first of the hub's keys.
    pub url: LiveKitUrl,
    /// Where clients reach it, if that is another address.
    pub url_for_clients: Option<LiveKitUrl>,
    /// Names of features (`live-transcription`, `captions`, `assistants`), each with that of the agent that does it.
    pub agents: Vec<(String, String)>,
}

/// A LiveKit server that holds the meetings.
#[derive(Debug)]
pub(crate) struct LiveKit {
    client: Client,
    /// Where people connect to.
    url_for_clients: LiveKitUrl,
    keys: Arc<ApiKeys>,
    secrets: Arc<Secrets>,
    agents: Vec<(String, String)>,
    rooms: Mutex<HashMap<String, Seen>>,
    /// Somebody wants the rooms to be looked at now.
    look: Notify,
}

impl LiveKit {
    /// Sees whether the server takes the key. One that cannot be reached just now is waited for.
    pub(super) async fn open(
        config: LiveKitConfig,
        keys: &Arc<ApiKeys>,
        secrets: &Arc<Secrets>,
    ) -> Result<Self, EngineError> {
        let url = config.url.clone();
        let livekit = Self {
            client: Client::new(config.url),
            url_for_clients: config.url_for_clients.unwrap_or_else(|| url.clone()),
            keys: Arc::clone(keys),
            secrets: Arc::clone(secrets),
            agents: config.agents,
            rooms: Mutex::default(),
            look: Notify::new(),
        };
        match livekit.list(&[]).await {
            Err(CallError::Key(reason)) => Err(EngineError::Key { url, reason }),
            Err(error) => {
                tracing::warn!(%error, "meetings cannot be joined until {url} answers");
                Ok(livekit)
            }
            Ok(_) => Ok(livekit),
        }
    }

    /// Where people connect to.
    pub(crate) fn url(&self) -> &LiveKitUrl {
        &self.url_for_clients
    }

    /// Where a page connects to, as it follows other sources in a content-security-policy.
    pub(crate) fn sources(&self) -> String {
        format!(" {}", self.url_for_clients.sources())
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        // Every change is a single one, so that a panic leaves nothing half done.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
