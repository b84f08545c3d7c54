// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hub on the network: one port for everything over HTTP, one UDP port and one TCP port for media.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use str0m::net::Protocol;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::api::{self, Api, Origin};
use crate::forward::{self, Addresses, CertificateError, Way};
use crate::guests::{self, Place};
use crate::join::{self, Joins};
use crate::lobby::Lobby;
use crate::meeting::Building;
use crate::pages::{self, Pages};
use crate::people::People;
use crate::plugnmeet;
use crate::secrets::Secrets;
use crate::signalling;
use crate::streams::{self, Streams};
use crate::switch::Switch;
use crate::token::ApiKeys;
use crate::twirp;

/// Connections at a time.
const MOST_CONNECTIONS: usize = 512;

/// How long a request may take to arrive.
pub(crate) const READING: Duration = Duration::from_secs(10);

/// A request line with all headers; a token with metadata is the longest of them.
const LONGEST_HEAD: usize = 64 * 1024;

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
        "/rtc/validate" => signalling::validate(&request, &building).await,
        "/rtc" | "/rtc/" => signalling::enter(request, building, held).await,
        _ => say(StatusCode::NOT_FOUND, "there is nothing here"),
    }
}

/// An answer that is text, for clients of LiveKit.
pub(crate) fn say(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
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
