// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens the signalling WebSocket, and explains when that fails.

use std::{time::Duration, time::SystemTime};

use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self,
        client::IntoClientRequest,
        http::{HeaderValue, header::AUTHORIZATION},
        protocol::WebSocketConfig,
    },
};

use super::{
    Client,
    address::ServerUrl,
    dial::{Socket, dial},
    error::Error,
    exchange::{self, Answer},
    session::Purpose,
    tls::Trust,
    token::Token,
    wire, wording,
};

/// How long an attempt may take from the name to the WebSocket.
pub(super) const TIMEOUT: Duration = Duration::from_secs(4);

/// How long the explanation of a failure may take on top.
const EXPLAIN: Duration = Duration::from_secs(2);

pub(super) type WebSocket = WebSocketStream<Box<dyn Socket>>;

/// Everything an attempt needs.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) server: ServerUrl,
    pub(super) trust: Trust,
    pub(super) client: Client,
    pub(super) token: Token,
    /// The token was made for this attempt.
    pub(super) minted: bool,
    pub(super) purpose: Purpose,
}

impl Attempt {
    /// Opens the WebSocket.
    pub(super) async fn open(self) -> Result<Box<WebSocket>, Error> {
        match timeout(TIMEOUT, self.upgrade()).await {
            Err(_) => Err(self.timed_out()),
            Ok(Ok(socket)) => Ok(socket),
            Ok(Err(Failure::Explained(error))) => Err(error),
            Ok(Err(Failure::Upgrade(error))) => Err(self.explain(error).await),
        }
    }

    async fn upgrade(&self) -> Result<Box<WebSocket>, Failure> {
        let stream = dial(&self.server, &self.trust).await?;
        let url = self.server.join("/rtc", &self.query());
        let mut request = url
            .as_str()
            .into_client_request()
            .map_err(|e| Failure::Upgrade(Box::new(e)))?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.token.expose()))
            .expect("a parsed token only has characters that a header may have");
        // Keeps it out of the `Debug` of everything it passes through.
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let limits = WebSocketConfig::default()
            .max_message_size(Some(wire::MAX_MESSAGE))
            .max_frame_size(Some(wire::MAX_MESSAGE));
        client_async_with_config(request, stream, Some(limits))
            .await
            .map(|(socket, _)| Box::new(socket))
            .map_err(|e| Failure::Upgrade(Box::new(e)))
    }

    /// The query of `/rtc`, v0. The token is not in it: addresses end up in logs.
    fn query(&self) -> Vec<(&str, &str)> {
        let mut query = vec![
            ("protocol", wire::PROTOCOL),
            // An unknown name gets the server's plainest treatment; known SDKs get their quirks.
            ("sdk", "other"),
            ("version", self.client.version.as_str()),
            ("os", self.client.os.as_str()),
            ("auto_subscribe", "1"),
            ("adaptive_stream", "0"),
        ];
        if let Purpose::Resume { sid, cause } = &self.purpose {
            query.push(("reconnect", "1"));
            query.push(("sid", sid));
            query.push(("reconnect_reason", reason_number(*cause)));
        }
        query
    }

    /// Why the upgrade failed: the server is asked, and told apart from what is no such server.
    async fn explain(&self, error: Box<tungstenite::Error>) -> Error {
        let response = match *error {
            tungstenite::Error::Http(response) => response,
            tungstenite::Error::Io(e) => return self.interrupted(&e.to_string()),
            // Whatever else answers is no HTTP server that knows WebSockets.
            other => return self.interrupted(&wording::harmless(&other.to_string())),
        };
        let status = response.status().as_u16();
        let first = response
            .body()
            .as_deref()
            .map(|body| String::from_utf8_lossy(body).into_owned())
            .unwrap_or_default();
        match timeout(EXPLAIN, self.ask()).await {
            Ok(Ok(answer)) => self.verdict(status, &answer),
            // No second answer: judge by the first.
            Ok(Err(_)) | Err(_) => self.verdict(status, &Answer::of(status, first)),
        }
    }

    async fn ask(&self) -> Result<Answer, ()> {
        let mut stream = dial(&self.server, &self.trust).await.map_err(drop)?;
        exchange::get(&mut stream, &self.server, "/rtc/validate", &self.token)
            .await
            .map_err(drop)
    }

    /// What the answer to the upgrade (`status`) and to the question about it mean together.
    fn verdict(&self, status: u16, answer: &Answer) -> Error {
        let detail = wording::in_brackets(&answer.body);
        match answer.status {
            200..=299 if answer.body.trim() == "success" => match status {
                500.. => Error::Http {
                    status,
                    detail: String::new(),
                },
                _ => Error::UpgradeFailed { status },
            },
            401 | 403 => self.token_refused(&answer.body),
            // LiveKit's own 404 says what is missing; anybody else's is a page or nothing.
            404 if answer.body.contains("room does not exist") => Error::RoomNotFound,
            404 | 405 | 200..=399 => Error::NotLiveKit {
                status,
                path: self.server.join("/rtc", &[]).path().to_owned(),
            },
            503 => Error::ServerFull { detail },
            other => Error::Http {
                status: other,
                detail,
            },
        }
    }

    fn token_refused(&self, body: &str) -> Error {
        let said = wording::harmless(body);
        let about_time = said.contains("expired") || said.contains("not valid yet");
        if about_time && self.minted {
            return Error::Clock { reason: said };
        }
        if let Some(ago) = self.token.expired(SystemTime::now()) {
            return Error::token_expired(ago);
        }
        let advice = if said.contains("API key") {
            "this server does not know the API key; check key and server belong together"
        } else if about_time {
            "make a new one, and check the clocks of this device and the server"
        } else if said.contains("permission") {
            "make a new one that allows joining the room (roomJoin)"
        } else {
            "make a new one with the server's own API key and secret"
        };
        Error::TokenRefused {
            reason: if said.is_empty() {
                "no reason given".into()
            } else {
                said
            },
            advice,
        }
    }

    fn timed_out(&self) -> Error {
        Error::Timeout {
            host: self.server.host().into(),
            waited: TIMEOUT,
        }
    }

    fn interrupted(&self, reason: &str) -> Error {
        Error::Interrupted {
            host: self.server.host().into(),
            reason: reason.into(),
        }
    }
}

/// Why an attempt failed: known at once, or to be asked for.
enum Failure {
    Explained(Error),
    Upgrade(Box<tungstenite::Error>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Explained(error)
    }
}

fn reason_number(cause: livekit_protocol::ReconnectReason) -> &'static str {
    use livekit_protocol::ReconnectReason as R;
    match cause {
        R::RrUnknown => "0",
        R::RrSignalDisconnected => "1",
        R::RrPublisherFailed => "2",
        R::RrSubscriberFailed => "3",
        R::RrSwitchCandidate => "4",
    }
}
