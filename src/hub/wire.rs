// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signalling messages and the query of a connection (LiveKit's v0: `/rtc`).

use livekit_protocol::{self as proto, signal_request, signal_response};
use prost::Message as _;
use zeroize::Zeroizing;

use crate::room::Visit;

/// The largest message taken from a client, in bytes: a description of a large meeting is a tenth of it.
pub(crate) const LARGEST: usize = 1 << 20;

/// Reads a message of a client: `None` inside for one of a newer protocol, to be ignored.
pub(crate) fn decode(frame: &[u8]) -> Result<Option<signal_request::Message>, prost::DecodeError> {
    Ok(proto::SignalRequest::decode(frame)?.message)
}

/// Writes a message to a client.
pub(crate) fn encode(message: signal_response::Message) -> Vec<u8> {
    proto::SignalResponse {
        message: Some(message),
    }
    .encode_to_vec()
}

/// What a client says in its query.
#[derive(Debug)]
pub(crate) struct Query {
    /// The token, where it is not in a header.
    pub(crate) token: Option<Zeroizing<String>>,
    /// What it asks for.
    pub(crate) visit: Visit,
}

/// Reads the query of `/rtc` or `/rtc/validate`. What is not known is left to newer servers.
pub(crate) fn query(text: &str) -> Query {
    let mut query = Query {
        token: None,
        visit: Visit {
            auto_subscribe: true,
            ..Visit::default()
        },
    };
    let mut again = false;
    let mut sid = None;
    for (key, value) in url::form_urlencoded::parse(text.as_bytes()) {
        match &*key {
            "access_token" => query.token = Some(Zeroizing::new(value.into_owned())),
            "auto_subscribe" => query.visit.auto_subscribe = is_yes(&value),
            "reconnect" => again = is_yes(&value),
            "sid" => sid = Some(value.into_owned()),
            "client_protocol" => query.visit.client_protocol = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    query.visit.resume = again.then_some(sid).flatten();
    query
}

fn is_yes(value: &str) -> bool {
    matches!(value, "1" | "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_a_client_is_read() {
        let read =
            query("access_token=a.b.c&auto_subscribe=0&sdk=python&protocol=16&client_protocol=1");
        assert_eq!(read.token.as_deref().map(String::as_str), Some("a.b.c"));
        assert!(!read.visit.auto_subscribe);
        assert_eq!(read.visit.client_protocol, 1);
        assert_eq!(read.visit.resume, None);
        assert!(query("").visit.auto_subscribe);
    }

    #[test]
    fn a_session_is_only_resumed_when_it_is_asked_for_and_named() {
        assert_eq!(
            query("reconnect=1&sid=PA_x").visit.resume.as_deref(),
            Some("PA_x")
        );
        assert_eq!(query("reconnect=0&sid=PA_x").visit.resume, None);
        assert_eq!(query("sid=PA_x").visit.resume, None);
        assert_eq!(query("reconnect=true").visit.resume, None);
    }

    #[test]
    fn no_bytes_of_a_client_end_in_anything_but_an_error() {
        for frame in [&[0xff; 9][..], &[0x0a, 0xff, 0xff], &[]] {
            let _ = decode(frame);
        }
        assert!(decode(&[0xff; 9]).is_err());
        assert!(matches!(decode(&[]), Ok(None)));
    }
}
