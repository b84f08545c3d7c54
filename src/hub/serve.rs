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
use tokio::net::{TcpListener, TcpStream};

use crate::api::{self, Api, Origin};
use crate::engine::{self, AddressError, Engine, EngineConfig, EngineError};
use crate::forward::Addresses;
use crate::guests::{self, Place};
use crate::join::{self, Joins};
use crate::lobby::Lobby;
use crate::meeting::Building;
use crate::pages::{self, Pages};
use crate::people::People;
use crate::plugnmeet;
use crate::secrets::Secrets;
use crate::signalling;
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
    /// The keys that tokens are signed with: by the first of them, those that the hub makes.
    pub keys: ApiKeys,
    /// Where meetings are held.
    pub engine: EngineConfig,
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
    /// Meetings cannot be held there.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An address cannot be used.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// A hub that has its addresses and serves nobody yet.
#[derive(Debug)]
pub struct Hub {
    listener: TcpListener,
    streams: Option<TcpListener>,
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
            .map_err(|source| AddressError {
                address: config.listen,
                what: "signalling",
                option: "--listen",
                source,
            })?;
        let keys = Arc::new(config.keys);
        let secrets = Arc::<Secrets>::default();
        let (engine, streams) = Engine::open(config.engine, &keys, &secrets).await?;
        Ok(Self {
            listener,
            streams,
            building: Arc::new(Building {
                keys: Arc::clone(&keys),
                pages: config.pages,
                joins: Joins::default(),
                secrets,
                lobby: Lobby::default(),
                engine,
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

    /// Where media arrives, if it does here.
    pub fn media(&self) -> Option<Addresses> {
        match &self.building.engine {
            Engine::Embedded(embedded) => Some(embedded.media),
            Engine::LiveKit(_) => None,
        }
    }

    /// Serves until dropped. Must run on a tokio runtime with its clock and network.
    pub async fn serve(self) -> Infallible {
        let holding = self.building.engine.clone();
        let holding = holding.hold(self.streams, Arc::clone(&self.building));
        let listening = listen(self.listener, self.building);
        tokio::select! {
            never = holding => never,
            never = listening => never,
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
        return pages::answer(
            &request,
            building.pages.as_ref(),
            &building.engine.sources(),
        );
    }
    if let Some(room) = join::room_of(path).map(str::to_owned) {
        return join::answer(request, &room, address, &building).await;
    }
    if engine::is_webhook(request.uri().path()) {
        return engine::hear_webhook(request, &building).await;
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
    match (request.uri().path(), building.engine.clone()) {
        ("/", _) if plugnmeet::is_link(&request) => plugnmeet::enter(&request, &building.api),
        ("/", _) => say(StatusCode::OK, "OK"),
        ("/rtc/validate", Engine::Embedded(_)) => signalling::validate(&request, &building).await,
        ("/rtc" | "/rtc/", Engine::Embedded(embedded)) => {
            signalling::enter(request, building, embedded, held).await
        }
        (path, Engine::LiveKit(livekit)) if path.starts_with("/rtc") => {
            let url = livekit.url();
            let text = format!("meetings are held by a LiveKit server: connect to {url}");
            say(StatusCode::NOT_FOUND, &text)
        }
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
