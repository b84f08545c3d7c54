// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls of Plug-N-Meet's API with which its integrations make meetings and links to them: `POST /auth/room/create`,
//! `POST /auth/room/getJoinToken`, and the link `/?access_token=…` that the answer of the second is for.
//!
//! Who holds the API key signs the whole body with its secret (HMAC-SHA256 in the header HASH-SIGNATURE). That is all
//! that protects a request, so that one who has read it can send it again: it makes no second meeting, and another
//! token for the same person alone. Beyond this machine all of it is answered over TLS only.
//!
//! Answers have Plug-N-Meet's shape, `{"status": …, "msg": …}`, also where they refuse.

mod create;
mod link;
mod token;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use roomseal_policy::RoomName;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;

pub(crate) use link::{cookie, enter, is_link};

use crate::api;
use crate::engine::Unfulfilled;
use crate::meeting::Building;
use crate::people::Refusal;

/// Below this everything here lies.
pub(crate) const PATH: &str = "/auth/";

/// The longest request, in bytes: most of it is for features that are not here.
const LONGEST: usize = 64 * 1024;

/// How long a request may take to arrive.
const READING: Duration = Duration::from_secs(10);

/// Answers a request to a path below [`PATH`], from `peer`.
pub(crate) async fn answer(
    request: Request<Incoming>,
    peer: IpAddr,
    building: &Arc<Building>,
) -> Response<Full<Bytes>> {
    let answered = exchange(request, peer, building).await;
    let (status, body) = answered.unwrap_or_else(|no| (no.status, json!(no)));
    api::respond(status, &body)
}

async fn exchange(
    request: Request<Incoming>,
    peer: IpAddr,
    building: &Arc<Building>,
) -> Result<(StatusCode, Value), No> {
    let path = request.uri().path();
    let Some((_, call)) = CALLS.into_iter().find(|(known, _)| *known == path) else {
        let text = "there is no such call here; there are room/create and room/getJoinToken";
        return Err(No::new(StatusCode::NOT_FOUND, text));
    };
    if request.method() != Method::POST {
        let text = "send a POST with a JSON body";
        return Err(No::new(StatusCode::METHOD_NOT_ALLOWED, text));
    }
    let address = building.api.admit(request.headers(), peer);
    let address = address.map_err(|text| No::new(StatusCode::FORBIDDEN, text))?;
    let people = &building.api.people;
    people.attempt(address)?;
    let (head, body) = request.into_parts();
    let body = timeout(READING, Limited::new(body, LONGEST).collect()).await;
    let body = body.ok().and_then(Result::ok).ok_or_else(|| {
        let text = format!("send at most {LONGEST} bytes, at once");
        No::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    })?;
    let body = body.to_bytes();
    let key = signed(&head.headers, &body, building)?;
    people.was_right(address);
    match call {
        Call::Create => create::create(&body, building).await,
        Call::Token => token::token(&body, &key, building).await,
    }
    .map(|answer| (StatusCode::OK, answer))
}

/// By which key a body is signed.
fn signed(headers: &HeaderMap, body: &[u8], building: &Building) -> Result<String, No> {
    let says = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(key), Some(signature)) = (says("api-key"), says("hash-signature")) else {
        let text = "the headers API-KEY and HASH-SIGNATURE are missing; sign the body with the secret of the API key";
        return Err(No::new(StatusCode::UNAUTHORIZED, text));
    };
    if !building.keys.has_signed(key, body, signature) {
        // Which of them is wrong is nobody's business.
        let text = "the API key or the signature is wrong; sign exactly the bytes of the body: lower-case hex of \
                    HMAC-SHA256 with the secret of the API key";
        return Err(No::new(StatusCode::UNAUTHORIZED, text));
    }
    Ok(key.to_owned())
}

/// What can be asked for.
pub(crate) const CALLS: [(&str, Call); 2] = [
    ("/auth/room/create", Call::Create),
    ("/auth/room/getJoinToken", Call::Token),
];

#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Create,
    Token,
}

/// Why a call is not answered with what it asks for.
#[derive(Debug, Serialize)]
struct No {
    #[serde(skip)]
    status: StatusCode,
    #[serde(rename = "status")]
    done: bool,
    msg: String,
}

impl No {
    fn new(status: StatusCode, msg: impl Into<String>) -> Self {
        Self {
            status,
            done: false,
            msg: msg.into(),
        }
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        if let Refusal::Store(error) = &refusal {
            tracing::error!(%error, "people cannot be kept");
        }
        let status = match refusal {
            Refusal::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refusal.to_string())
    }
}

impl From<Unfulfilled> for No {
    fn from(unfulfilled: Unfulfilled) -> Self {
        let status = match unfulfilled {
            Unfulfilled::Denied(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, unfulfilled.to_string())
    }
}

/// Reads a body. What is for features that are not here is skipped.
fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, No> {
    serde_json::from_slice(body).map_err(|error| {
        let text = format!("this is not the JSON that is expected here: {error}");
        No::new(StatusCode::BAD_REQUEST, text)
    })
}

/// The room of a call.
fn room(id: &str) -> Result<RoomName, No> {
    id.parse().map_err(|error: roomseal_policy::RoomNameError| {
        No::new(StatusCode::BAD_REQUEST, format!("room_id: {error}"))
    })
}
