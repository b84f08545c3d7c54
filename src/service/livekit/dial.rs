// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way to a server: name, TCP, TLS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::sleep,
};
use tokio_rustls::TlsConnector;

use super::{
    address::ServerUrl,
    error::Error,
    tls::{Tls, Trust},
};

/// How far apart the addresses of one name are tried (RFC 8305 5: 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// So many addresses of one name are tried.
const ADDRESSES: usize = 6;

/// A TCP connection, with or without TLS.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connection to `server`, inside TLS when its address asks for that.
pub(crate) async fn dial(server: &ServerUrl, trust: &Trust) -> Result<Box<dyn Socket>, Error> {
    let tcp = tcp(server).await?;
    // Signalling is small messages that somebody waits for; without it nothing breaks.
    let _ = tcp.set_nodelay(true);
    if !server.is_encrypted() {
        return Ok(Box::new(tcp));
    }
    let trust = trust.clone();
    let tls = tokio::task::spawn_blocking(move || Tls::load(&trust))
        .await
        .map_err(|_| Error::Interrupted {
            host: server.host().into(),
            reason: "the process is ending".into(),
        })??;
    let host = server.host();
    let name = ServerName::try_from(host.to_owned()).map_err(|e| Error::BadUrl {
        url: server.to_string(),
        reason: e.to_string(),
    })?;
    TlsConnector::from(Arc::clone(&tls.config))
        .connect(name, tcp)
        .await
        .map(|stream| Box::new(stream) as Box<dyn Socket>)
        .map_err(|e| tls.explain(host, &e))
}

/// The first of the server's addresses that answers; a dead IPv6 must not use up all the time.
async fn tcp(server: &ServerUrl) -> Result<TcpStream, Error> {
    let host = server.host();
    let resolve = |reason: String| Error::Resolve {
        host: host.into(),
        reason,
    };
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, server.port()))
        .await
        .map_err(|e| resolve(e.to_string()))?
        .take(ADDRESSES)
        .collect();
    let mut attempts: FuturesUnordered<_> = addresses
        .into_iter()
        .zip(0..)
        .map(|(address, index)| async move {
            sleep(STAGGER * index).await;
            TcpStream::connect(address)
                .await
                .map_err(|e| Error::Connect {
                    address,
                    reason: plain(&e),
                })
        })
        .collect();
    let mut last = resolve("it has no address".into());
    while let Some(result) = attempts.next().await {
        match result {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The system's words without its number.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
        std::io::ErrorKind::NetworkUnreachable => "the network is unreachable".into(),
        std::io::ErrorKind::HostUnreachable => "the host is unreachable".into(),
        _ => error.to_string(),
    }
}
