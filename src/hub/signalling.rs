// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signalling: who comes with a valid token, and what goes back and forth over his WebSocket (LiveKit's v0, `/rtc`).

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use roomseal_policy::E2ee;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::bucket::Bucket;
use crate::engine::Embedded;
use crate::entry::since_1970;
use crate::guests::{Guest, Place};
use crate::hosts::{self, Unfit};
use crate::meeting::{Building, Closed, Connection, Knock};
use crate::people;
use crate::serve::{READING, say};
use crate::token::{Admission, ApiKeys, Refusal};
use crate::wire::{self, Query};

/// How long a client may take nothing of what it is sent.
const WRITING: Duration = Duration::from_secs(10);

/// Messages that a client may send in a second; who sends more is read more slowly.
const MESSAGES: u32 = 100;

/// So many messages that make no sense end a connection.
const MOST_GARBAGE: u32 = 16;

/// Lets somebody into a room, over a WebSocket.
pub(crate) async fn enter(
    mut request: Request<Incoming>,
    building: Arc<Building>,
    embedded: Arc<Embedded>,
    held: (Arc<Place>, Option<Guest>),
) -> Response<Full<Bytes>> {
    let (admission, query) = match admit(&request, &building.keys) {
        Ok(admitted) => admitted,
        Err(refusal) => return say(StatusCode::UNAUTHORIZED, &refusal.to_string()),
    };
    let Some(accept) = websocket_key(&request) else {
        return say(StatusCode::BAD_REQUEST, "this is for WebSockets");
    };
    let (knocks, connection) = match arrive(&building, &embedded, &admission, &query).await {
        Ok(arrived) => arrived,
        Err(late) => return say(late.status(), &late.to_string()),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let id = connection.id;
        match timeout(READING, upgrade).await {
            Ok(Ok(upgraded)) => {
                let limits = WebSocketConfig::default()
                    .max_message_size(Some(wire::LARGEST))
                    .max_frame_size(Some(wire::LARGEST));
                let stream = TokioIo::new(upgraded);
                let socket =
                    WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits)).await;
                converse(socket, connection, &knocks).await;
            }
            Ok(Err(_)) | Err(_) => tracing::debug!("a client went away while it joined"),
        }
        // The room has ended, and with it everything about the connection.
        let _ = knocks.send(Knock::Gone(id)).await;
        drop(held);
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// The answer to a client's WebSocket key, if it asks for a WebSocket (RFC 6455 §4.2.1).
fn websocket_key(request: &Request<Incoming>) -> Option<HeaderValue> {
    let headers = request.headers();
    let says = |name, word: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| {
            let mut words = value.split(',');
            words.any(|given| given.trim().eq_ignore_ascii_case(word))
        })
    };
    if !says(header::CONNECTION, "upgrade")
        || !says(header::UPGRADE, "websocket")
        || !says(header::SEC_WEBSOCKET_VERSION, "13")
    {
        return None;
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()
}

/// Tells a client that could not connect whether its token is the reason.
pub(crate) async fn validate(
    request: &Request<Incoming>,
    building: &Building,
) -> Response<Full<Bytes>> {
    let admission = match admit(request, &building.keys) {
        Ok((admission, _)) => admission,
        Err(refusal) => return say(StatusCode::UNAUTHORIZED, &refusal.to_string()),
    };
    match fits(building, &admission).await {
        Ok(_) => say(StatusCode::OK, "success"),
        Err(late) => say(late.status(), &late.to_string()),
    }
}

/// Lets somebody in as far as end-to-end encryption goes; and why it would not if that were on.
async fn fits(building: &Building, admission: &Admission) -> Result<Option<Unfit>, Late> {
    let unfit = hosts::unfit(building, admission).await?;
    match unfit {
        Some(unfit) if hosts::e2ee(building, &admission.room).await? == Some(E2ee::On) => {
            Err(Late::Closed(unfit.into()))
        }
        _ => Ok(unfit),
    }
}

/// Why a valid token does not help.
#[derive(Debug, thiserror::Error)]
enum Late {
    #[error(transparent)]
    Closed(Closed),
    #[error("this server has as many rooms as it can")]
    NoRoom,
    #[error(transparent)]
    People(#[from] people::Refusal),
}

impl Late {
    fn status(&self) -> StatusCode {
        match self {
            Self::Closed(Closed::Unfit(_)) => StatusCode::FORBIDDEN,
            Self::Closed(Closed::Full(_)) | Self::NoRoom | Self::People(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

async fn arrive(
    building: &Building,
    embedded: &Arc<Embedded>,
    admission: &Admission,
    query: &Query,
) -> Result<(mpsc::Sender<Knock>, Connection), Late> {
    let unfit = fits(building, admission).await?;
    // A room may close just now; the next one of its name is another.
    for _ in 0..3 {
        let knocks = embedded
            .switch
            .room(&admission.room, embedded)
            .ok_or(Late::NoRoom)?;
        let (reply, answer) = oneshot::channel();
        let knock = Knock::Arrive {
            admission: Box::new(admission.clone()),
            visit: query.visit.clone(),
            unfit,
            reply,
        };
        if knocks.send(knock).await.is_err() {
            continue;
        }
        match answer.await {
            Ok(Ok(connection)) => return Ok((knocks, connection)),
            Ok(Err(closed)) => return Err(Late::Closed(closed)),
            Err(_) => {}
        }
    }
    Err(Late::NoRoom)
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Carries messages both ways until one side ends it.
async fn converse(socket: Socket, connection: Connection, knocks: &mpsc::Sender<Knock>) {
    let Connection { id, mut outgoing } = connection;
    let (mut sink, mut stream) = socket.split();
    let writing = async {
        while let Some(message) = outgoing.recv().await {
            let sent = timeout(WRITING, sink.send(Message::binary(message))).await;
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
        let _ = timeout(WRITING, sink.close()).await;
    };
    let reading = async {
        let start = tokio::time::Instant::now();
        let mut allowance = Bucket::new(MESSAGES, Duration::ZERO);
        let mut garbage = 0;
        while let Some(Ok(message)) = stream.next().await {
            while !allowance.take(1, start.elapsed()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let decoded = match &message {
                Message::Binary(bytes) => wire::decode(bytes).map_err(drop),
                Message::Close(_) => return,
                Message::Ping(_) | Message::Pong(_) => continue,
                Message::Text(_) | Message::Frame(_) => Err(()),
            };
            match decoded {
                Ok(Some(message)) => {
                    let knock = Knock::Signal(id, Box::new(message));
                    if knocks.send(knock).await.is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(()) => {
                    garbage += 1;
                    if garbage >= MOST_GARBAGE {
                        tracing::debug!("a client that only sends garbage is cut off");
                        return;
                    }
                }
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
}

/// Reads the token, from where clients put it.
fn admit(request: &Request<Incoming>, keys: &ApiKeys) -> Result<(Admission, Query), Refusal> {
    let query = wire::query(request.uri().query().unwrap_or_default());
    let bearer = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = bearer.or(query.token.as_ref().map(|token| token.as_str()));
    let admission = keys.admit(token.ok_or(Refusal::Malformed)?, since_1970())?;
    Ok((admission, query))
}
