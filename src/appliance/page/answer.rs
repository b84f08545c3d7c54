// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers, each with the headers that tell a browser what not to do.

use http_body_util::channel::Channel;
use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// A file, a short text, or events without end.
pub(super) type Body = Either<Full<Bytes>, Channel<Bytes>>;

/// Own files only, no inline code or style, no frames, no forms to elsewhere, no text that becomes code.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Bytes of a kind.
pub(super) fn bytes(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<Body> {
    dressed(status, kind, Either::Left(Full::new(bytes)))
}

/// A sentence, for people who look at what a program got.
pub(super) fn text(status: StatusCode, text: &str) -> Response<Body> {
    let line = Bytes::from(format!("{text}\n"));
    bytes(status, "text/plain; charset=utf-8", line)
}

/// A value for programs.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(json) => bytes(status, "application/json", Bytes::from(json)),
        Err(error) => {
            tracing::error!(%error, "an answer of the page cannot be written");
            text(StatusCode::INTERNAL_SERVER_ERROR, "this cannot be written")
        }
    }
}

/// Server-sent events, as the channel's other end writes them.
pub(super) fn events(channel: Channel<Bytes>) -> Response<Body> {
    dressed(StatusCode::OK, "text/event-stream", Either::Right(channel))
}

/// The same answer, with a cookie that is set or taken.
pub(super) fn with_cookie(mut response: Response<Body>, cookie: &str) -> Response<Body> {
    match HeaderValue::from_str(cookie) {
        Ok(mut value) => {
            value.set_sensitive(true);
            response.headers_mut().insert(header::SET_COOKIE, value);
            response
        }
        Err(error) => {
            tracing::error!(%error, "a cookie cannot be written");
            text(StatusCode::INTERNAL_SERVER_ERROR, "this cannot be written")
        }
    }
}

fn dressed(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
