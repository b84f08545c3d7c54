// SPDX-License-Identifier: MIT OR Apache-2.0
//! Refusals as they are answered (RFC 9457).

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::with_type;
use crate::engine::{CallError, Unfulfilled};
use crate::people::Refusal;

/// Why a request is not answered with what it asks for.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// Which one it is, for programs.
    kind: &'static str,
    /// What it is and what to do next, for people.
    detail: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            detail: detail.into(),
            header: None,
        }
    }

    /// One that asks to wait for some seconds.
    pub(crate) fn wait(kind: &'static str, detail: impl Into<String>, seconds: u64) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, kind, detail);
        problem.header = Some((header::RETRY_AFTER, HeaderValue::from(seconds)));
        problem
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-such-path",
            "there is nothing here; check the path",
        )
    }

    pub(crate) fn no_key() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no-key",
            "this hub has no key to make tokens with; start it with --api-key",
        )
    }

    /// `methods`: those that are answered.
    pub(crate) fn method(methods: &str) -> Self {
        let detail = format!("this is answered to {methods} only");
        let mut problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail);
        problem.header = HeaderValue::from_str(methods)
            .ok()
            .map(|methods| (header::ALLOW, methods));
        problem
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
        }
        let body = Body {
            r#type: format!("urn:roomseal:problem:{}", self.kind),
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let body = serde_json::to_vec(&body).expect("strings and a number always serialize");
        let mut response = with_type(self.status, "application/problem+json", body);
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, kind) = match &refusal {
            Refusal::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            Refusal::Code => (StatusCode::FORBIDDEN, "code"),
            Refusal::Credentials => (StatusCode::UNAUTHORIZED, "credentials"),
            Refusal::Disabled => (StatusCode::FORBIDDEN, "disabled"),
            Refusal::Invalid(_) | Refusal::NoSuchRoom(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid")
            }
            Refusal::KeyTaken => (StatusCode::CONFLICT, "key-taken"),
            Refusal::LastAdmin => (StatusCode::CONFLICT, "last-admin"),
            Refusal::Memory => (StatusCode::SERVICE_UNAVAILABLE, "memory"),
            Refusal::NameTaken => (StatusCode::CONFLICT, "name-taken"),
            Refusal::NoSuch(_) => (StatusCode::NOT_FOUND, "no-such"),
            Refusal::NotAllowed(_) => (StatusCode::FORBIDDEN, "not-allowed"),
            Refusal::NotAdmin => (StatusCode::FORBIDDEN, "not-admin"),
            Refusal::NotSignedIn => (StatusCode::UNAUTHORIZED, "not-signed-in"),
            Refusal::Proof => (StatusCode::FORBIDDEN, "proof"),
            Refusal::RoomTaken => (StatusCode::CONFLICT, "room-taken"),
            Refusal::SetUp => (StatusCode::CONFLICT, "set-up"),
            Refusal::Store(error) => {
                tracing::error!(%error, "people cannot be kept");
                (StatusCode::SERVICE_UNAVAILABLE, "store")
            }
            Refusal::Token => (StatusCode::UNAUTHORIZED, "token"),
            Refusal::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too-many"),
        };
        let mut problem = Self::new(status, kind, refusal.to_string());
        let wait = match refusal {
            Refusal::TooMany(pause) => Some(pause.as_secs() + 1),
            Refusal::Busy => Some(2),
            _ => None,
        };
        problem.header = wait.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds)));
        problem
    }
}

impl From<Unfulfilled> for Problem {
    fn from(unfulfilled: Unfulfilled) -> Self {
        match unfulfilled {
            Unfulfilled::NoRoom | Unfulfilled::Closes => {
                let what = "what this is about is not in the meeting any more";
                Self::new(StatusCode::NOT_FOUND, "gone", what)
            }
            Unfulfilled::Denied(denied) => {
                Self::new(StatusCode::CONFLICT, "not-done", denied.to_string())
            }
            Unfulfilled::Engine(error) => error.into(),
            Unfulfilled::Full => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "full",
                unfulfilled.to_string(),
            ),
        }
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "engine", error.to_string());
        problem.header = Some((header::RETRY_AFTER, HeaderValue::from(5)));
        problem
    }
}
