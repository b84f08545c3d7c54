// SPDX-License-Identifier: MIT OR Apache-2.0
//! The secret of a meeting whose service makes it (key model `server`): asked for with the token that lets its holder in.
//!
//! `GET /api/meetings/ROOM/secret` with the join token as bearer answers 200 and 32 bytes, base64url without padding. It
//! is another secret in each session, so it is asked for after each join.

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{
    Config,
    dial::dial,
    error::Error,
    exchange::{self, Answer},
    wording,
};

/// How long one request may take, from the name to the answer.
const PATIENCE: Duration = Duration::from_secs(6);

/// Asks the service for the secret of the meeting in `room`.
///
/// # Errors
/// When the service cannot be reached, does not give it, or answers something else.
pub async fn meeting_secret(config: &Config, room: &str) -> Result<Zeroizing<[u8; 32]>, Error> {
    let server = &config.server;
    let host = || server.host().into();
    if !server.is_encrypted() && !server.is_loopback() {
        return Err(none("it is asked for over TLS only"));
    }
    let token = config.tokens.token()?;
    let path = format!("/api/meetings/{room}/secret");
    let answer = async {
        let mut stream = dial(server, &config.trust).await?;
        exchange::get(&mut stream, server, &path, &token)
            .await
            .map_err(|e| Error::Interrupted {
                host: host(),
                reason: e.to_string(),
            })
    };
    let answer = timeout(PATIENCE, answer).await.unwrap_or_else(|_| {
        Err(Error::Timeout {
            host: host(),
            waited: PATIENCE,
        })
    })?;
    read(&answer)
}

fn read(answer: &Answer) -> Result<Zeroizing<[u8; 32]>, Error> {
    if answer.status != 200 {
        let said = wording::in_brackets(&answer.body);
        return Err(none(&format!("HTTP {}{said}", answer.status)));
    }
    let mut secret = Zeroizing::new([0; 32]);
    // Nothing of it is repeated: it may be most of a secret.
    match Base64UrlUnpadded::decode(answer.body.trim(), &mut *secret) {
        Ok(bytes) if bytes.len() == 32 => Ok(secret),
        _ => Err(none("its answer is none")),
    }
}

fn none(reason: &str) -> Error {
    Error::NoMeetingSecret {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_secret_is_read_and_nothing_of_what_is_none_is_repeated() {
        let text = Base64UrlUnpadded::encode_string(&[0xA7; 32]);
        assert_eq!(*read(&Answer::of(200, &text)).unwrap(), [0xA7; 32]);
        assert_eq!(
            *read(&Answer::of(200, format!("{text}\n"))).unwrap(),
            [0xA7; 32]
        );
        for damaged in [
            &text[..42],
            &format!("{text}A"),
            &format!("{text}="),
            "",
            "{}",
        ] {
            let error = read(&Answer::of(200, damaged)).unwrap_err();
            assert!(matches!(error, Error::NoMeetingSecret { .. }), "{error}");
            assert!(damaged.len() < 4 || !error.to_string().contains(damaged));
        }
    }

    #[test]
    fn who_is_not_admitted_is_told_what_the_service_says() {
        let error = read(&Answer::of(403, "not admitted yet")).unwrap_err();
        assert!(error.to_string().contains("not admitted yet"), "{error}");
    }
}
