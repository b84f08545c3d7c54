// SPDX-License-Identifier: MIT OR Apache-2.0

//! Trickled ICE candidates: JSON of an `RTCIceCandidateInit` (W3C WebRTC §4.8.1.1).

use serde::{Deserialize, Serialize};

use super::SdpRefused;

const MAX_BYTES: usize = 4096;

/// A candidate of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteCandidate {
    /// A well-formed `candidate:...` line. All sections are bundled, so it always counts for the
    /// first, whatever index it came with.
    Candidate(String),
    /// There will be no more.
    End,
}

/// Reads a candidate of the service.
pub fn parse_remote_candidate(init_json: &str) -> Result<RemoteCandidate, SdpRefused> {
    if init_json.len() > MAX_BYTES {
        return Err(SdpRefused::TooLarge {
            what: "an ICE candidate",
            limit: MAX_BYTES,
        });
    }
    let init: Init = serde_json::from_str(init_json).map_err(|_| SdpRefused::Candidate {
        what: "no JSON of an RTCIceCandidateInit",
    })?;
    let text = init.candidate.trim();
    if text.is_empty() {
        return Ok(RemoteCandidate::End);
    }
    check(text)?;
    let prefix = if text.starts_with("candidate:") {
        ""
    } else {
        "candidate:"
    };
    Ok(RemoteCandidate::Candidate(format!("{prefix}{text}")))
}

/// JSON of a candidate of ours.
pub fn local_candidate_json(candidate: &str, section: u32) -> String {
    let init = Init {
        candidate: candidate.to_owned(),
        index: Some(section),
    };
    serde_json::to_string(&init).expect("a string and a number always serialize")
}

#[derive(Serialize, Deserialize)]
struct Init {
    #[serde(default)]
    candidate: String,
    #[serde(default, rename = "sdpMLineIndex")]
    index: Option<u32>,
}

/// RFC 8839 §5.1: `candidate:foundation component transport priority address port typ type ...`.
pub(super) fn check(text: &str) -> Result<(), SdpRefused> {
    let bad = |what| Err(SdpRefused::Candidate { what });
    if text.chars().any(|c| c.is_control() || !c.is_ascii()) {
        return bad("characters that are not printable ASCII");
    }
    let body = text.strip_prefix("candidate:").unwrap_or(text);
    let words: Vec<_> = body.split(' ').collect();
    let [
        foundation,
        component,
        transport,
        priority,
        address,
        port,
        typ,
        kind,
        rest @ ..,
    ] = words.as_slice()
    else {
        return bad("too few fields");
    };
    if !(1..=32).contains(&foundation.len()) {
        return bad("foundation");
    }
    if !matches!(*component, "1" | "2") {
        return bad("component");
    }
    if !["udp", "tcp"]
        .iter()
        .any(|known| transport.eq_ignore_ascii_case(known))
    {
        return bad("transport");
    }
    if priority.parse::<u32>().is_err() {
        return bad("priority");
    }
    // Host names (mDNS) would make libnice resolve whatever a service names; LiveKit sends none.
    if address.parse::<std::net::IpAddr>().is_err() {
        return bad("address");
    }
    if port.parse::<u16>().is_err() {
        return bad("port");
    }
    if *typ != "typ" || !matches!(*kind, "host" | "srflx" | "prflx" | "relay") {
        return bad("type");
    }
    if rest.len() > 32 || rest.iter().any(|word| word.len() > 256) {
        return bad("too many extensions");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host ufrag abcdef";

    #[test]
    fn a_candidate_of_a_server_is_read() {
        let json = format!(
            r#"{{"candidate":"{GOOD}","sdpMid":"","sdpMLineIndex":3,"usernameFragment":null}}"#
        );
        assert_eq!(
            parse_remote_candidate(&json),
            Ok(RemoteCandidate::Candidate(GOOD.into()))
        );
        let tcp = "candidate:2 1 tcp 1671430143 ::1 7881 typ host tcptype passive";
        let json = local_candidate_json(tcp, 0);
        assert_eq!(
            parse_remote_candidate(&json),
            Ok(RemoteCandidate::Candidate(tcp.into()))
        );
        assert_eq!(
            parse_remote_candidate(r#"{"candidate":""}"#),
            Ok(RemoteCandidate::End)
        );
    }

    #[test]
    fn what_is_no_candidate_is_named() {
        let candidate = |what| SdpRefused::Candidate { what };
        let table = [
            (GOOD.replace("udp", "xyz"), candidate("transport")),
            (GOOD.replace(" 1 ", " 7 "), candidate("component")),
            (GOOD.replace("2130706431", "-1"), candidate("priority")),
            (
                GOOD.replace("127.0.0.1", "internal.example"),
                candidate("address"),
            ),
            (GOOD.replace("7882", "99999"), candidate("port")),
            (GOOD.replace("host", "evil"), candidate("type")),
            (
                GOOD.replace("candidate:1", "candidate:"),
                candidate("foundation"),
            ),
            ("candidate:".into(), candidate("too few fields")),
            (
                GOOD.replace("host", "hosté"),
                candidate("characters that are not printable ASCII"),
            ),
            (
                format!("{GOOD} {}", "x ".repeat(40)),
                candidate("too many extensions"),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(
                parse_remote_candidate(&local_candidate_json(&text, 0)),
                Err(expected),
                "{text}"
            );
        }
        for json in ["", "7", "{", "{\"candidate\":5}", "\u{0}"] {
            let expected = candidate("no JSON of an RTCIceCandidateInit");
            assert_eq!(parse_remote_candidate(json), Err(expected), "{json}");
        }
        assert!(parse_remote_candidate(&"x".repeat(5000)).is_err());
    }
}
