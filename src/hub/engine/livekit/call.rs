// SPDX-License-Identifier: MIT OR Apache-2.0
//! One call of a LiveKit server's API (Twirp in protobuf), with a token that allows this call and no other.

use std::time::Duration;

use hyper::StatusCode;
use prost::Message;
use serde::{Deserialize, Serialize};

use super::LiveKit;
use super::client::Away;
use crate::engine::Unfulfilled;
use crate::entry::since_1970;
use crate::room::Denied;

/// How long a token for one call is good.
const VALID: Duration = Duration::from_secs(60);

/// How the answer of a server ends that runs without what hands orders on to services of its kind (livekit-server
/// 1.13.5, `pkg/service/errors.go`: egress, ingress and SIP alike).
const NOT_SET_UP: &str = "not connected (redis required)";

/// Why a call brings nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Nobody answers.
    #[error("the LiveKit server is away: {0}; try again in a few seconds, or ask who runs the hub")]
    Away(#[from] Away),
    /// It does not take the key.
    #[error("the LiveKit server does not take the hub's API key ({0}); ask who runs the hub")]
    Key(String),
    /// There is no such thing.
    #[error("the LiveKit server does not find it: {0}")]
    NotFound(String),
    /// It has no such service.
    #[error("the LiveKit server has no service for it: {0}; ask who runs the hub")]
    NotSetUp(String),
    /// It does not want to, or cannot.
    #[error("the LiveKit server refuses: {0}; ask who runs the hub")]
    Refused(String),
}

/// What a token for one call allows.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Grants<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) room: &'a str,
    pub(super) room_admin: bool,
    pub(super) room_create: bool,
    pub(super) room_list: bool,
    pub(super) room_record: bool,
    pub(super) ingress_admin: bool,
    /// LiveKit has the grants for telephones beside those for video.
    #[serde(skip)]
    pub(super) telephones: bool,
}

impl<'a> Grants<'a> {
    /// For what the administrator of one room may.
    pub(super) fn administer(room: &'a str) -> Self {
        Self {
            room,
            room_admin: true,
            ..Self::default()
        }
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    nbf: u64,
    exp: u64,
    video: Grants<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sip: Option<Telephones>,
}

#[derive(Serialize)]
struct Telephones {
    admin: bool,
    call: bool,
}

/// What Twirp answers when it does not do it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    code: String,
    msg: String,
}

impl LiveKit {
    /// Calls a method, such as `RoomService/ListRooms`.
    pub(super) async fn call<T: Message + Default>(
        &self,
        method: &str,
        grants: Grants<'_>,
        request: &impl Message,
    ) -> Result<T, CallError> {
        let token = self.token(grants);
        let token = token.ok_or_else(|| CallError::Key("there is none".to_owned()))?;
        let path = format!("/twirp/livekit.{method}");
        let answered = self.client.post(&path, &token, request.encode_to_vec());
        let (status, body) = answered.await?;
        if status.is_success() {
            return T::decode(body).map_err(|error| CallError::Refused(error.to_string()));
        }
        let failure: Failure = serde_json::from_slice(&body).unwrap_or_default();
        // Its own words begin with a number of their own that tells nobody anything.
        let said = failure.msg.trim_start_matches("twirp error unknown: ");
        let said = match said {
            "" => format!("{method}: {status}"),
            said => said.to_owned(),
        };
        Err(match (failure.code.as_str(), status) {
            ("unauthenticated" | "permission_denied", _) | (_, StatusCode::UNAUTHORIZED) => {
                CallError::Key(said)
            }
            ("not_found", _) => CallError::NotFound(said),
            // No such method at all; a method that finds something missing says so in a code of its own.
            ("" | "bad_route", StatusCode::NOT_FOUND) => CallError::NotSetUp(said),
            _ if said.ends_with(NOT_SET_UP) => CallError::NotSetUp(said),
            _ => CallError::Refused(said),
        })
    }

    fn token(&self, video: Grants<'_>) -> Option<String> {
        let key = self.keys.first()?;
        let now = since_1970();
        let claims = Claims {
            iss: key,
            nbf: now.as_secs(),
            exp: (now + VALID).as_secs(),
            video,
            sip: video.telephones.then_some(Telephones {
                admin: true,
                call: true,
            }),
        };
        self.keys.sign(key, &claims)
    }
}

impl From<CallError> for Unfulfilled {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotFound(what) if what.contains("participant") => {
                Denied::NoParticipant.into()
            }
            CallError::NotFound(what) if what.contains("track") => Denied::NoTrack.into(),
            CallError::NotFound(_) => Self::NoRoom,
            error => Self::Engine(error),
        }
    }
}
