// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a hub does not do what a device asks.

use std::time::Duration;

use serde::Deserialize;

use crate::livekit::{self, Answer, harmless};

/// What a hub's names of problems begin with (RFC 9457).
const PROBLEM: &str = "urn:roomseal:problem:";

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be reached, or not trusted.
    #[error(transparent)]
    Away(#[from] livekit::Error),
    /// Something answers that is no hub with accounts, or none of this version.
    #[error("what answers there is no Roomseal hub with accounts, or one of another version")]
    NotAHub,
    /// It says no.
    #[error("{detail}")]
    Refused {
        /// Which of its problems it is, as its API names them: `code`, `proof`, `token`, …
        kind: String,
        /// The hub's words, cleaned and shortened.
        detail: String,
        /// When to ask again, if it says so.
        wait: Option<Duration>,
    },
}

impl Error {
    /// What the hub calls its refusal, if it is one.
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::Refused { kind, .. } => Some(kind),
            Self::Away(_) | Self::NotAHub => None,
        }
    }

    /// When the hub wants to be asked again, if it says so.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Refused { wait, .. } => *wait,
            Self::Away(_) | Self::NotAHub => None,
        }
    }

    /// What another answer than a good one says.
    pub(super) fn refusal(answer: &Answer) -> Self {
        #[derive(Deserialize)]
        struct Problem {
            r#type: String,
            detail: String,
        }
        let problem = serde_json::from_str::<Problem>(&answer.body).ok();
        let named = problem.and_then(|problem| {
            let kind = problem.r#type.strip_prefix(PROBLEM)?;
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            let is_name = kind.len() <= 64 && kind.chars().all(plain);
            is_name.then(|| (kind.to_owned(), harmless(&problem.detail)))
        });
        match named {
            // What hubs had before it could be booked.
            Some((kind, _)) if kind == "no-such-path" => Self::NotAHub,
            Some((kind, detail)) => Self::Refused {
                kind,
                detail,
                wait: answer.retry_after.map(Duration::from_secs),
            },
            // A proxy that has no hub behind it.
            None if answer.status >= 500 => Self::Away(livekit::Error::Http {
                status: answer.status,
                detail: String::new(),
            }),
            None => Self::NotAHub,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            retry_after: Some(7),
            ..Answer::of(status, body)
        }
    }

    #[test]
    fn a_refusal_is_known_by_its_name_and_what_is_none_is_no_hub() {
        let body = r#"{"type":"urn:roomseal:problem:code","status":403,"detail":"this code is\u001b[2J wrong"}"#;
        let error = Error::refusal(&answer(403, body));
        assert_eq!(error.kind(), Some("code"));
        assert_eq!(error.wait(), Some(Duration::from_secs(7)));
        assert_eq!(error.to_string(), "this code is [2J wrong");
        for body in [
            "",
            "<html>not here</html>",
            r#"{"type":"urn:roomseal:problem:no-such-path","detail":"x"}"#,
            r#"{"type":"urn:roomseal:problem:Co\u0007de","detail":"x"}"#,
        ] {
            let error = Error::refusal(&answer(404, body));
            assert_eq!(error, Error::NotAHub, "{body}");
        }
        let away = Error::refusal(&answer(502, "<html>bad gateway</html>"));
        assert!(matches!(away, Error::Away(_)), "{away:?}");
    }
}
