// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hub on the network: signalling over WebSocket, media over one UDP port and one TCP port.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use roomseal_policy::E2ee;
use str0m::net::Protocol;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::api::{self, Api, Origin};
use crate::bucket::Bucket;
use crate::entry::since_1970;
use crate::forward::{self, Addresses, CertificateError, Way};
use crate::guests::{self, Place};
use crate::hosts::{self, Unfit};
use crate::join::{self, Joins};
use crate::lobby::Lobby;
use crate::meeting::{Building, Closed, Connection, Knock};
use crate::pages::{self, Pages};
use crate::people::{self, People};
use crate::plugnmeet;
use crate::secrets::Secrets;
use crate::streams::{self, Streams};
use crate::switch::Switch;
use crate::token::{Admission, ApiKeys, Refusal};
use crate::twirp;
use crate::wire::{self, Query};

/// Connections at a time.
const MOST_CONNECTIONS: usize = 512;

/// How long a request may take to arrive.
const READING: Duration = Duration::from_secs(10);

/// How long a client may take nothing of what it is sent.
const WRITING: Duration = Duration::from_secs(10);

/// A request line with all headers; a token with metadata is the longest of them.
const LONGEST_HEAD: usize = 64 * 1024;

/// Messages that a client may send in a second; who sends more is read more slowly.
const MESSAGES: u32 = 100;

/// So many messages that make no sense end a connection.
const MOST_GARBAGE: u32 = 16;

/// The longest packet.
pub(crate) const DATAGRAM: usize = 2048;

/// What the hub does, and where.
#[derive(Debug)]
pub struct Config {
    /// Where signalling is listened for.
    pub listen: SocketAddr,
    /// Where media arrives, as clients reach it: an address of this machine, and a UDP port (0: any that is free).
    pub media: SocketAddr,
    /// Where clients connect to for media whose network lets no UDP through: an address of this machine, and a TCP port
    /// (0: any that is free).
    pub media_tcp: SocketAddr,
    /// The keys that tokens are signed with.
    pub keys: ApiKeys,
    /// Rooms at a time.
    pub most_rooms: usize,
    /// Participants of a room.
    pub most_participants: usize,
    /// The join page; without it, browsers are told that it is missing.
    pub pages: Option<Pages>,
    /// Who has an account here.
    pub people: Arc<People>,
    /// Where browsers find the hub; `None`: on this machine only.
    pub origin: Option<Origin>,
}

/// Why the hub does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no certificate for media.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// An address cannot be used.
    #[error("cannot use {address} for {what}: {source}; choose another with {option}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What for.
        what: &'static str,
        /// What chooses it.
        option: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// A hub that has its addresses and serves nobody yet.
#[derive(Debug)]
pub struct Hub {
    listener: TcpListener,
    streams: TcpListener,
    building: Arc<Building>,
}

impl Hub {
    /// Takes the addresses.
    ///
    /// # Errors
    /// When one is taken, or not of this machine.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| Error::Address {
                address: config.listen,
                what: "signalling",
                option: "--listen",
                source,
            })?;
        let udp = |source| Error::Address {
            address: config.media,
            what: "media",
            option: "--media",
            source,
        };
        let tcp = |source| Error::Address {
            address: config.media_tcp,
            what: "media over TCP",
            option: "--media-tcp",
            source,
        };
        let socket = UdpSocket::bind(config.media).await.map_err(udp)?;
        let streams = TcpListener::bind(config.media_tcp).await.map_err(tcp)?;
        let media = Addresses {
            udp: socket.local_addr().map_err(udp)?,
            tcp: streams.local_addr().map_err(tcp)?,
        };
        let keys = Arc::new(config.keys);
        Ok(Self {
            listener,
            streams,
            building: Arc::new(Building {
                keys: Arc::clone(&keys),
                pages: config.pages,
                joins: Joins::default(),
                secrets: Secrets::default(),
                lobby: Lobby::default(),
                socket,
                streams: Streams::default(),
                media,
                certificate: forward::certificate()?,
                most_participants: config.most_participants,
                switch: Switch::new(config.most_rooms),
                api: Api {
                    people: config.people,
                    keys,
                    origin: config.origin,
                },
            }),
        })
    }

    /// Where signalling is listened for.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where media arrives.
    pub fn media(&self) -> Addresses {
        self.building.media
    }

    /// Serves until dropped. Must run on a tokio runtime with its clock and network.
    pub async fn serve(self) -> Infallible {
        let receiving = receive(Arc::clone(&self.building));
        let connecting = streams::listen(self.streams, Arc::clone(&self.building));
        let listening = listen(self.listener, self.building);
        tokio::select! {
            never = receiving => never,
            never = connecting => never,
            never = listening => never,
        }
    }
}

/// Hands packets to their rooms.
async fn receive(building: Arc<Building>) -> Infallible {
    let mut bytes = vec![0; DATAGRAM];
    loop {
        match building.socket.recv_from(&mut bytes).await {
            Ok((length, address)) => {
                let protocol = Protocol::Udp;
                building
                    .switch
                    .pass(Way { protocol, address }, &bytes[..length]);
            }
            Err(error) => {
                tracing::debug!(%error, "no packet");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn listen(listener: TcpListener, building: Arc<Building>) -> Infallible {
    guests::welcome(
        listener,
        MOST_CONNECTIONS,
        "signalling",
        |stream, peer, place| {
            let building = Arc::clone(&building);
            async move {
                // Kept by what the connection is upgraded to, as long as that lasts.
                visit(stream, peer.ip(), building, Arc::new(place)).await;
            }
        },
    )
    .await
}

async fn visit(stream: TcpStream, address: IpAddr, building: Arc<Building>, held: Arc<Place>) {
    // Signalling is many small messages.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let (building, held) = (Arc::clone(&building), Arc::clone(&held));
        async move { Ok::<_, Infallible>(answer(request, address, building, held).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READING)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(
    request: Request<Incoming>,
    address: IpAddr,
    building: Arc<Building>,
    held: Arc<Place>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if pages::is_one(path) {
        return pages::answer(&request, building.pages.as_ref());
    }
    if let Some(room) = join::room_of(path).map(str::to_owned) {
        return join::answer(request, &room, address, &building).await;
    }
    if request.uri().path().starts_with(plugnmeet::PATH) {
        return plugnmeet::answer(request, address, &building).await;
    }
    if request.uri().path().starts_with(twirp::PATH) {
        return twirp::answer(request, &building).await;
    }
    if api::owns(request.uri().path()) {
        return api::answer(request, address, building).await;
    }
    if request.method() != Method::GET {
        return say(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here");
    }
    match request.uri().path() {
        "/" if plugnmeet::is_link(&request) => plugnmeet::enter(&request, &building.api),
        "/" => say(StatusCode::OK, "OK"),
        "/rtc/validate" => match admit(&request, &building.keys) {
            Ok((admission, _)) => validate(&admission, &building).await,
            Err(refusal) => say(StatusCode::UNAUTHORIZED, &refusal.to_string()),
        },
        "/rtc" | "/rtc/" => match admit(&request, &building.keys) {
            Ok((admission, query)) => enter(request, admission, query, building, held).await,
            Err(refusal) => say(StatusCode::UNAUTHORIZED, &refusal.to_string()),
        },
        _ => say(StatusCode::NOT_FOUND, "there is nothing here"),
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

/// Lets somebody into a room, over a WebSocket.
async fn enter(
    mut request: Request<Incoming>,
    admission: Admission,
    query: Query,
    building: Arc<Building>,
    held: Arc<Place>,
) -> Response<Full<Bytes>> {
    let Some(accept) = websocket_key(&request) else {
        return say(StatusCode::BAD_REQUEST, "this is for WebSockets");
    };
    let (knocks, connection) = match arrive(&building, &admission, &query).await {
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
async fn validate(admission: &Admission, building: &Building) -> Response<Full<Bytes>> {
    match fits(building, admission).await {
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
    building: &Arc<Building>,
    admission: &Admission,
    query: &Query,
) -> Result<(mpsc::Sender<Knock>, Connection), Late> {
    let unfit = fits(building, admission).await?;
    // A room may close just now; the next one of its name is another.
    for _ in 0..3 {
        let knocks = building
            .switch
            .room(&admission.room, building)
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

fn say(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    // A page of another origin may ask why it was refused; the token is what protects, not the origin.
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
