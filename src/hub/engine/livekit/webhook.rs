// SPDX-License-Identifier: MIT OR Apache-2.0
//! `POST /api/livekit/webhook`: a LiveKit server says that something happened.
//!
//! What it says is not gone by, only that it says something: the hub then asks the server how things are. So a message
//! that is lost, late or sent twice changes nothing.

use base64ct::{Base64, Encoding as _};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::timeout;

use crate::api::{self, Problem};
use crate::engine::Engine;
use crate::entry::since_1970;
use crate::meeting::Building;
use crate::serve::READING;

/// Where it comes in.
const PATH: &str = "/api/livekit/webhook";

/// The longest, in bytes: a room's metadata, and a participant's.
const LONGEST: usize = 1024 * 1024;

/// What its token says.
#[derive(Deserialize)]
struct Claims {
    exp: u64,
    /// SHA-256 of the body in base64.
    sha256: String,
}

/// Whether a path is for [`answer`].
pub(crate) fn is_one(path: &str) -> bool {
    path == PATH
}

/// Answers a request of the LiveKit server.
pub(crate) async fn answer(
    request: Request<Incoming>,
    building: &Building,
) -> Response<Full<Bytes>> {
    match hear(request, building).await {
        Ok(()) => api::nothing(),
        Err(problem) => problem.into_response(),
    }
}

async fn hear(request: Request<Incoming>, building: &Building) -> Result<(), Problem> {
    if request.method() != Method::POST {
        return Err(Problem::method("POST"));
    }
    let Engine::LiveKit(livekit) = &building.engine else {
        let what = "meetings are held by this hub itself; take this address out of the LiveKit server's configuration";
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-livekit", what));
    };
    let token = request.headers().get(header::AUTHORIZATION);
    let token = token.and_then(|token| token.to_str().ok());
    let token = token.map(|token| token.trim_start_matches("Bearer "));
    let claims = token.and_then(|token| building.keys.read::<Claims>(token).ok());
    let claims = claims.filter(|claims| claims.exp >= since_1970().as_secs());
    let claims = claims.ok_or_else(unsigned)?;
    let body = Limited::new(request.into_body(), LONGEST).collect();
    let body = timeout(READING, body).await.ok().and_then(Result::ok);
    let body = body.ok_or_else(|| {
        let what = format!("send at most {LONGEST} bytes, at once");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", what)
    })?;
    let digest = Base64::encode_string(&Sha256::digest(body.to_bytes()));
    if !bool::from(digest.as_bytes().ct_eq(claims.sha256.as_bytes())) {
        return Err(unsigned());
    }
    livekit.look_now();
    Ok(())
}

fn unsigned() -> Problem {
    let what = "this is not signed as a LiveKit server signs its webhooks; name the hub's API key under webhook.api_key";
    Problem::new(StatusCode::UNAUTHORIZED, "token", what)
}
