// SPDX-License-Identifier: MIT OR Apache-2.0
//! The front-panel page: the box in a browser, seen and operated without its button.
//!
//! It is served at two places, which differ in whom they believe. On loopback, over plain HTTP, whoever opens it is at
//! the box. On the network, where it is configured, over TLS, and only to devices that were paired with a code that the
//! box showed, or whose user knows the password of the page; what is pressed there is marked as
//! [`Origin::Paired`](crate::control::Origin::Paired). Who was paired by a code and knows the password can sign in as
//! host of this box ([`Origin::Host`](crate::control::Origin::Host)): from there encryption can be turned off, too.
//!
//! What a page of somebody else could do with the visitor's browser is shut out at both: the `Host` must be an address
//! of this box (so that no foreign name can be rebound to it), a command must come from a page of this origin and carry
//! a token that only such a page can read, nothing may frame the page, and nothing but its own files may run in it. No
//! answer holds a key, with one exception: the code of the guest link, which is drawn on loopback only. Who asks for it
//! over the network is refused even when paired: a device stays paired when its owner has left the room, and whoever
//! has the link can read the meeting until a new one is made. Nor could the button of the box allow it: a press means
//! that encryption goes on, and nobody in the room would expect it to hand out the key.
//!
//! Slow, endless and numerous visitors are bounded: connections, bytes and time.

mod answer;
mod assets;
mod attempts;
mod certificate;
mod crowd;
mod gate;
mod invitation;
mod pairing;
mod passes;
mod patience;
mod route;
mod state;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::crowd::Crowd;
use self::patience::Patient;
use self::route::Desk;
use crate::control::Control;
use crate::password::PagePassword;
use crate::status::Publisher;
use crate::supervise::Stop;

pub use self::certificate::{CertificateError, Identity, own_names, state_directory};
pub(crate) use self::certificate::{grouped, made};

/// Browsers open six at a time; one more than these waits until another ends.
const MOST_CONNECTIONS: usize = 32;

/// Of these, how many one address on the network may hold.
const MOST_OF_ONE: usize = 12;

/// How long a handshake or a request may take to arrive, and an idle connection to stay.
const READING: Duration = Duration::from_secs(10);

/// How long a visitor may take nothing of an answer.
const WRITING: Duration = Duration::from_secs(20);

/// A request line with all headers; browsers send less than a tenth of it.
const LONGEST_HEAD: usize = 16 * 1024;

/// The listening page.
#[derive(Debug)]
pub struct Page {
    listener: TcpListener,
    address: SocketAddr,
    /// On the network: the certificate, and the names that the box is known by.
    network: Option<(Identity, Vec<String>)>,
    password: Option<PagePassword>,
}

impl Page {
    /// Listens on `address`, which has to be one of loopback.
    ///
    /// # Errors
    /// When the address is taken, or not of this machine.
    pub async fn at_the_box(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            network: None,
            password: None,
        })
    }

    /// Listens on `address` for devices on the network, which reach the box by its addresses and by `names`.
    ///
    /// # Errors
    /// When the address is taken, or not of this machine.
    pub async fn on_the_network(
        address: SocketAddr,
        identity: Identity,
        names: Vec<String>,
    ) -> io::Result<Self> {
        let mut page = Self::at_the_box(address).await?;
        page.network = Some((identity, names));
        Ok(page)
    }

    /// Also lets those in who know `password`, and takes them for hosts where they were paired as well.
    #[must_use]
    pub fn with_password(mut self, password: Option<PagePassword>) -> Self {
        self.password = password;
        self
    }

    /// Where a browser finds it.
    pub fn address(&self) -> String {
        match &self.network {
            None => format!("http://{}/", self.address),
            Some(_) if !self.address.ip().is_unspecified() => format!("https://{}/", self.address),
            Some((_, names)) => {
                let port = self.address.port();
                let address = outward(self.address.ip()).map(|ip| SocketAddr::new(ip, port));
                match (address, names.first()) {
                    (Some(address), _) => format!("https://{address}/"),
                    (None, Some(name)) => format!("https://{name}:{port}/"),
                    (None, None) => format!("https://{}/", self.address),
                }
            }
        }
    }

    /// SHA-256 of its certificate, on the network.
    pub fn fingerprint(&self) -> Option<&str> {
        let (identity, _) = self.network.as_ref()?;
        Some(&identity.fingerprint)
    }

    /// Serves until asked to stop.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub async fn serve(
        self,
        publisher: Publisher,
        control: Control,
        stop: Stop,
    ) -> anyhow::Result<()> {
        let (tls, most_of_one, desk) = match self.network {
            None => {
                let desk = Desk::at_the_box(self.address, publisher, control)?;
                (None, MOST_CONNECTIONS, desk)
            }
            Some((identity, names)) => {
                let desk =
                    Desk::on_the_network(self.address, names, self.password, publisher, control);
                (Some(TlsAcceptor::from(identity.config)), MOST_OF_ONE, desk)
            }
        };
        let desk = Arc::new(desk);
        let crowd = Crowd::default();
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let mut visits = JoinSet::new();
        loop {
            let place = tokio::select! {
                // Ended visits are cleared away before a new one is let in.
                biased;
                () = stop.asked() => return Ok(()),
                Some(_) = visits.join_next(), if !visits.is_empty() => continue,
                place = Arc::clone(&places).acquire_owned() => {
                    place.expect("this semaphore is never closed")
                }
            };
            let accepted = tokio::select! {
                () = stop.asked() => return Ok(()),
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(guest) = crowd.admit(peer.ip(), most_of_one) else {
                        tracing::debug!("one address holds all connections that it may");
                        continue;
                    };
                    let (desk, tls) = (Arc::clone(&desk), tls.clone());
                    visits.spawn(async move {
                        welcome(stream, tls, desk).await;
                        drop((place, guest));
                    });
                }
                // No descriptor is free, or the visitor is gone already: the next one may find it better.
                Err(error) => {
                    tracing::debug!(%error, "a visitor of the page could not be let in");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// One connection, to its end.
async fn welcome(stream: TcpStream, tls: Option<TlsAcceptor>, desk: Arc<Desk>) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let stream = Patient::new(stream, WRITING);
    let Some(tls) = tls else {
        return visit(stream, local.ip(), desk).await;
    };
    match tokio::time::timeout(READING, tls.accept(stream)).await {
        Ok(Ok(stream)) => visit(stream, local.ip(), desk).await,
        Ok(Err(error)) => tracing::debug!(%error, "a visitor of the page does not speak TLS"),
        Err(_) => tracing::debug!("a visitor of the page takes too long to begin"),
    }
}

async fn visit(stream: impl AsyncRead + AsyncWrite + Unpin, local: IpAddr, desk: Arc<Desk>) {
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, std::convert::Infallible>(route::answer(&desk, local, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READING)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a visit to the page ended early");
    }
}

/// The address that this machine is reached by from elsewhere, as its routes say; nothing is sent for it.
fn outward(any: IpAddr) -> Option<IpAddr> {
    // Addresses that nobody has.
    let elsewhere = match any {
        IpAddr::V4(_) => "192.0.2.1:9",
        IpAddr::V6(_) => "[2001:db8::1]:9",
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(elsewhere).ok()?;
    let local = socket.local_addr().ok()?.ip();
    (!local.is_unspecified()).then_some(local)
}

#[cfg(test)]
mod tests;
