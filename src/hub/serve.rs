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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::api::{self, Api, Origin};
use crate::engine::{self, AddressError, Engine, EngineConfig, EngineError};
use crate::forward::Addresses;
use crate::guests::{self, Crowd, Place};
use crate::join::{self, Joins};
use crate::lobby::Lobby;
use crate::meeting::Building;
use crate::pages::{self, Pages};
use crate::people::People;
use crate::plugnmeet;
use crate::secrets::Secrets;
use crate::signalling;
use crate::tls::{Identity, Issuer};
use crate::token::ApiKeys;
use crate::twirp;

/// Connections at a time.
const MOST_CONNECTIONS: usize = 512;

/// How long a request may take to arrive.
pub(crate) const READING: Duration = Duration::from_secs(10);

/// A request line with all headers; a token with metadata is the longest of them.
const LONGEST_HEAD: usize = 64 * 1024;

/// What browsers remember of a hub with a certificate of an authority.
const YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

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
    /// Where browsers find the hub; `None`: at its addresses, and at `names` over TLS.
    pub origin: Option<Origin>,
    /// What is shown to who connects; `None`: no TLS, except by a proxy.
    pub tls: Option<Arc<Identity>>,
    /// What else this machine is called, for who comes over TLS.
    pub names: Vec<String>,
    /// Proxies that say truly for whom they ask. Those of this machine are believed too, but all that they carry counts as
    /// connections of one address unless they are named here.
    pub proxies: Vec<IpAddr>,
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
    tls: Option<Arc<Identity>>,
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
            tls: config.tls.clone(),
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
                    tls: config.tls,
                    names: config.names,
                    proxies: config.proxies,
                },
                guests: Arc::default(),
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
        let listening = listen(self.listener, self.tls, self.building);
        // On the threads of the runtime: on the one that waits here each packet would have to wake one thread after another.
        let mut parts = JoinSet::new();
        parts.spawn(holding);
        parts.spawn(listening);
        match parts.join_next().await.expect("there are two parts") {
            Ok(never) => never,
            Err(broken) => std::panic::resume_unwind(broken.into_panic()),
        }
    }
}

async fn listen(
    listener: TcpListener,
    tls: Option<Arc<Identity>>,
    building: Arc<Building>,
) -> Infallible {
    let acceptor = tls
        .as_ref()
        .map(|tls| TlsAcceptor::from(Arc::clone(&tls.config)));
    let is_strict = tls.is_some_and(|tls| tls.issuer() == Issuer::Authority);
    let guests = Arc::clone(&building.guests);
    let proxies = building.api.proxies.clone();
    let crowd = Crowd {
        most: MOST_CONNECTIONS,
        what: "signalling",
        guests,
        proxies,
    };
    guests::welcome(listener, crowd, |stream, peer, place| {
        let (building, acceptor) = (Arc::clone(&building), acceptor.clone());
        async move {
            // Signalling is many small messages.
            let _ = stream.set_nodelay(true);
            let visit = Visit {
                peer: peer.ip(),
                building,
                // Kept by what the connection is upgraded to, as long as that lasts.
                held: Arc::new(place),
                is_strict,
            };
            let Some(acceptor) = acceptor else {
                return visit.serve(stream).await;
            };
            match tokio::time::timeout(READING, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => visit.serve(stream).await,
                Ok(Err(error)) => tracing::debug!(%error, "a client does not speak TLS"),
                Err(_) => tracing::debug!("a client takes too long to begin"),
            }
        }
    })
    .await
}

/// A connection, and what serves it.
#[derive(Clone)]
struct Visit {
    peer: IpAddr,
    building: Arc<Building>,
    held: Arc<Place>,
    /// Whether browsers are to come over TLS alone from now on.
    is_strict: bool,
}

impl Visit {
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let service = service_fn(move |request| {
            let visit = self.clone();
            async move {
                let mut response = answer(request, visit.peer, visit.building, visit.held).await;
                if visit.is_strict {
                    let headers = response.headers_mut();
                    headers.insert(header::STRICT_TRANSPORT_SECURITY, YEAR);
                }
                Ok::<_, Infallible>(response)
            }
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
}

async fn answer(
    request: Request<Incoming>,
    peer: IpAddr,
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
        let address = building.api.address(request.headers(), peer);
        return join::answer(request, &room, address, &building).await;
    }
    if engine::is_webhook(request.uri().path()) {
        return engine::hear_webhook(request, &building).await;
    }
    if request.uri().path().starts_with(plugnmeet::PATH) {
        return plugnmeet::answer(request, peer, &building).await;
    }
    if request.uri().path().starts_with(twirp::PATH) {
        return twirp::answer(request, &building).await;
    }
    if api::owns(request.uri().path()) {
        return api::answer(request, peer, building).await;
    }
    if request.method() != Method::GET {
        return say(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here");
    }
    match (request.uri().path(), building.engine.clone()) {
        ("/", _) if plugnmeet::is_link(&request) => plugnmeet::enter(&request, &building.api),
        ("/", _) => say(StatusCode::OK, "OK"),
        ("/rtc/validate", Engine::Embedded(_)) => signalling::validate(&request, &building).await,
        ("/rtc" | "/rtc/", Engine::Embedded(embedded)) => {
            let address = building.api.address(request.headers(), peer);
            // A connection of a proxy was counted as nobody's.
            let guest = match building.api.proxies.contains(&peer.to_canonical()) {
                true => building.guests.admit(address).map(Some),
                false => Some(None),
            };
            match guest {
                Some(guest) => signalling::enter(request, building, embedded, (held, guest)).await,
                None => say(
                    StatusCode::TOO_MANY_REQUESTS,
                    "your address holds all connections that it may",
                ),
            }
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
