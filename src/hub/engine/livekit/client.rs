// SPDX-License-Identifier: MIT OR Apache-2.0
//! Single requests to a LiveKit server over HTTP, each by a connection of its own, so that none waits for another's and
//! a server that was started again is simply there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::address::LiveKitUrl;

/// How long one request may take, from the name to the answer.
const PATIENCE: Duration = Duration::from_secs(6);

/// The longest answer, in bytes: thousands of rooms with their metadata.
const LONGEST: usize = 16 * 1024 * 1024;

/// Sends requests to one server.
pub(super) struct Client {
    url: LiveKitUrl,
    tls: Option<TlsConnector>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Away {
    #[error("it cannot be reached: {0}")]
    Connect(std::io::Error),
    #[error("its TLS is not taken: {0}")]
    Tls(std::io::Error),
    #[error("it does not speak HTTP as expected: {0}")]
    Http(#[from] hyper::Error),
    #[error("its answer is too long, or ends early")]
    Answer,
    #[error("it did not answer within {} s", PATIENCE.as_secs())]
    Slow,
}

impl Client {
    /// For the server at `url`, whose certificate an authority of this system has to vouch for.
    pub(super) fn new(url: LiveKitUrl) -> Self {
        let tls = url.is_secure().then(|| {
            let mut roots = RootCertStore::empty();
            // Single bad files among the system's are common and no reason to stop.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            // Named, because a process-wide default would depend on what else is linked in.
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .expect("ring has the cipher suites of TLS 1.2 and 1.3")
                .with_root_certificates(roots)
                .with_no_client_auth();
            TlsConnector::from(Arc::new(config))
        });
        Self { url, tls }
    }

    /// Posts a protobuf message to a path below the server's address.
    pub(super) async fn post(
        &self,
        path: &str,
        token: &str,
        message: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), Away> {
        let bearer = Zeroizing::new(format!("Bearer {token}"));
        let mut bearer = header::HeaderValue::from_str(&bearer).expect("a token is plain ASCII");
        bearer.set_sensitive(true);
        let mut request = Request::new(Full::new(Bytes::from(message)));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = self
            .url
            .below(path)
            .parse()
            .expect("the path of an address and of a call make a path");
        let host = header::HeaderValue::from_str(self.url.authority());
        let headers = request.headers_mut();
        headers.insert(
            header::HOST,
            host.expect("an address was read by its rules"),
        );
        headers.insert(header::AUTHORIZATION, bearer);
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/protobuf"),
        );
        let answered = timeout(PATIENCE, self.send(request)).await;
        answered.unwrap_or(Err(Away::Slow))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Away> {
        let (host, port) = (self.url.host(), self.url.port());
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(Away::Connect)?;
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => exchange(stream, request).await,
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned());
                let name = name.map_err(|error| Away::Tls(std::io::Error::other(error)))?;
                let stream = tls.connect(name, stream).await.map_err(Away::Tls)?;
                exchange(stream, request).await
            }
        }
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Away>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        let body = body.map_err(|_| Away::Answer)?.to_bytes();
        Ok((status, body))
    };
    tokio::pin!(exchange);
    tokio::select! {
        answered = &mut exchange => answered,
        // What it read before it ended is still there.
        _ = connection => exchange.await,
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.url)
    }
}
