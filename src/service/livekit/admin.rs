// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an administrator of a room asks of the server beside the session (`livekit.RoomService`, Twirp).

use std::time::Duration;

use livekit_protocol as proto;
use prost::Message;
use tokio::time::timeout;

use super::{
    Config,
    dial::dial,
    error::Error,
    exchange,
    token::{Token, TokenSource},
    wording,
};

/// How long one request may take, from the name to the answer.
const PATIENCE: Duration = Duration::from_secs(6);

/// Asks on behalf of an administrator of one room.
#[derive(Clone, Debug)]
pub struct Admin {
    config: Config,
    room: String,
}

impl Admin {
    /// For the room that the configuration's tokens are for; `None` when they administer nothing.
    pub fn new(config: &Config) -> Option<Self> {
        let room = match &config.tokens {
            TokenSource::Minted(mint) => mint.room.clone(),
            TokenSource::Given(token) if token.claims().room_admin => token.claims().room.clone(),
            TokenSource::Given(_) => return None,
        };
        Some(Self {
            config: config.clone(),
            room,
        })
    }

    /// Replaces the room's metadata, which everybody in it is told.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub async fn update_metadata(&self, metadata: String) -> Result<(), Error> {
        let request = proto::UpdateRoomMetadataRequest {
            room: self.room.clone(),
            metadata,
        };
        self.ask("UpdateRoomMetadata", &request).await
    }

    /// Puts somebody out of the room.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses: also when nobody of that identity is there.
    pub async fn remove(&self, identity: String) -> Result<(), Error> {
        let request = proto::RoomParticipantIdentity {
            room: self.room.clone(),
            identity,
            ..Default::default()
        };
        self.ask("RemoveParticipant", &request).await
    }

    /// Ends the meeting for everybody.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub async fn end_room(&self) -> Result<(), Error> {
        let request = proto::DeleteRoomRequest {
            room: self.room.clone(),
        };
        self.ask("DeleteRoom", &request).await
    }

    async fn ask(&self, method: &str, request: &impl Message) -> Result<(), Error> {
        let server = &self.config.server;
        let token = self.token()?;
        let path = format!("/twirp/livekit.RoomService/{method}");
        let answer = async {
            let mut stream = dial(server, &self.config.trust).await?;
            exchange::post(&mut stream, server, &path, &token, &request.encode_to_vec())
                .await
                .map_err(|e| Error::Interrupted {
                    host: server.host().into(),
                    reason: e.to_string(),
                })
        };
        let answer = timeout(PATIENCE, answer).await.unwrap_or_else(|_| {
            Err(Error::Timeout {
                host: server.host().into(),
                waited: PATIENCE,
            })
        })?;
        match answer.status {
            200..=299 => Ok(()),
            status => Err(Error::Http {
                status,
                detail: wording::in_brackets(&answer.body),
            }),
        }
    }

    /// One with more rights than the session's own: what is sent every few hours over the session's
    /// connection need not be able to end the meeting.
    fn token(&self) -> Result<Token, Error> {
        match &self.config.tokens {
            TokenSource::Given(token) => Ok(token.clone()),
            TokenSource::Minted(mint) => mint.administrator(),
        }
    }
}
