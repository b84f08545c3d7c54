// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hub on loopback, and a client that speaks its signalling.

#![allow(dead_code, reason = "each of the tests uses its part")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message as Say;
use livekit_protocol::{self as proto};
use prost::Message as _;
use roomseal_hub::people::People;
use roomseal_hub::token::ApiKeys;
use roomseal_hub::{Config, EmbeddedConfig, EngineConfig, Hub, Origin, Pages};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use zeroize::Zeroizing;

/// Of the API keys `key` and `office`.
pub(crate) const SECRET: &str = "made up for this test only, 0123456789";

/// For what takes milliseconds, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The keys of every hub here.
pub(crate) fn keys() -> ApiKeys {
    let secret = || Zeroizing::new(SECRET.to_owned());
    ApiKeys::new(["key", "office"].map(|name| (name.to_owned(), secret())))
}

/// Two rooms for three each, in the hub's own process.
pub(crate) fn embedded() -> EngineConfig {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    EngineConfig::Embedded(EmbeddedConfig {
        media: any,
        media_tcp: any,
        most_rooms: 2,
        most_participants: 3,
    })
}

/// A hub that holds such meetings.
pub(crate) async fn bind(people: Arc<People>, pages: Option<Pages>, origin: Option<Origin>) -> Hub {
    bind_with(embedded(), people, pages, origin).await
}

/// A hub whose meetings are held there.
pub(crate) async fn bind_with(
    engine: EngineConfig,
    people: Arc<People>,
    pages: Option<Pages>,
    origin: Option<Origin>,
) -> Hub {
    let hub = Hub::bind(Config {
        engine,
        pages,
        origin,
        ..config(people)
    });
    hub.await.unwrap()
}

/// On loopback, for people who come to their meetings without a page.
pub(crate) fn config(people: Arc<People>) -> Config {
    Config {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        keys: keys(),
        engine: embedded(),
        people,
        pages: None,
        origin: None,
        tls: None,
        names: Vec::new(),
        proxies: Vec::new(),
    }
}

/// Where clients of a hub connect to, if that is not the hub.
static ELSEWHERE: Mutex<BTreeMap<SocketAddr, SocketAddr>> = Mutex::new(BTreeMap::new());

/// From now on, clients of this hub connect there.
pub(crate) fn clients_connect_to(hub: SocketAddr, there: SocketAddr) {
    let mut elsewhere = ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner);
    elsewhere.insert(hub, there);
}

fn clients_of(hub: SocketAddr) -> SocketAddr {
    let elsewhere = ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner);
    elsewhere.get(&hub).copied().unwrap_or(hub)
}

pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

impl Client {
    /// Comes with a token.
    ///
    /// # Errors
    /// The status, when it is not let in.
    pub(crate) async fn connect(hub: SocketAddr, token: &str) -> Result<Self, u16> {
        let server = clients_of(hub);
        let stream = TcpStream::connect(server).await.unwrap();
        let url = format!("ws://{server}/rtc?protocol=16&auto_subscribe=1&access_token={token}");
        match client_async(url, stream).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                Err(response.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn ask(&mut self, message: Ask) {
        let request = proto::SignalRequest {
            message: Some(message),
        };
        let _ = self
            .socket
            .send(Message::binary(request.encode_to_vec()))
            .await;
    }

    /// The next message from which `find` makes something.
    pub(crate) async fn hear<T>(&mut self, find: impl Fn(&Say) -> Option<T>) -> T {
        timeout(SOON, async {
            loop {
                let message = self.socket.next().await.unwrap().unwrap();
                let Message::Binary(bytes) = message else {
                    panic!("{message:?}");
                };
                let response = proto::SignalResponse::decode(bytes).unwrap();
                if let Some(found) = find(&response.message.unwrap()) {
                    return found;
                }
            }
        })
        .await
        .unwrap()
    }

    /// Whether the connection ends.
    pub(crate) async fn ends(&mut self) -> bool {
        let end = async { while let Some(Ok(_)) = self.socket.next().await {} };
        timeout(SOON, end).await.is_ok()
    }

    pub(crate) async fn is_served(&mut self) {
        self.ask(Ask::Ping(1)).await;
        self.hear(|say| matches!(say, Say::Pong(_)).then_some(()))
            .await;
    }
}
