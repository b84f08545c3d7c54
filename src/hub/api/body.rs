// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is sent with a request.

use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::{Request, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::problem::Problem;

/// The longest, in bytes.
const LONGEST: usize = 16 * 1024;

/// How long it may take to arrive.
const READING: Duration = Duration::from_secs(10);

/// Text that is wiped when dropped and never shown.
pub(crate) struct Hidden(pub(crate) Zeroizing<String>);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

/// Reads a body as JSON.
pub(crate) async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Problem> {
    read_of(request, LONGEST).await
}

/// Reads a body of at most so many bytes as JSON.
pub(super) async fn read_of<T: DeserializeOwned>(
    request: Request<Incoming>,
    longest: usize,
) -> Result<T, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()?.split(';').next());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            "send JSON, with Content-Type: application/json",
        ));
    }
    let body = Limited::new(request.into_body(), longest).collect();
    let body = timeout(READING, body).await;
    let body = body.ok().and_then(Result::ok).ok_or_else(|| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("send at most {longest} bytes, at once"),
        )
    })?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| {
        // The text of the error may repeat what was sent, a password for instance; it goes to who sent it alone.
        let detail = format!("this is not the JSON that is expected here: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "malformed", detail)
    })
}
