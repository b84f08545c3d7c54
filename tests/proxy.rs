// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hostile meeting service: a real one behind a proxy that may alter, drop or add whatever it tells its clients.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{SinkExt, StreamExt};
use livekit_protocol::{SignalRequest, SignalResponse};
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// What happens to one message of the service.
#[derive(Debug)]
pub enum Instead {
    /// These go to the client in its place; the message itself, as it is or altered, may be among them.
    Messages(Vec<SignalResponse>),
    /// This goes to the client in its place, as it is.
    Bytes(Vec<u8>),
}

type Alter = dyn Fn(SignalResponse) -> Instead + Send + Sync;

/// Stands between clients and a server until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    connections: Arc<Mutex<Connections>>,
    cut: watch::Sender<bool>,
    _runtime: Runtime,
}

#[derive(Debug, Default)]
struct Connections {
    total: usize,
    requests: Vec<SignalRequest>,
    towards_clients: Vec<mpsc::UnboundedSender<Message>>,
}

impl Proxy {
    /// Starts one in front of the server that listens on `port` of this machine.
    pub fn before(
        port: u16,
        alter: impl Fn(SignalResponse) -> Instead + Send + Sync + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime starts");
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .expect("loopback has free ports");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let connections = Arc::new(Mutex::new(Connections::default()));
        let (shared, alter): (_, Arc<Alter>) = (Arc::clone(&connections), Arc::new(alter));
        let cut = watch::Sender::new(false);
        let broken = cut.subscribe();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let carried = carry(client, port, Arc::clone(&shared), Arc::clone(&alter));
                let mut broken = broken.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = carried => {}
                        _ = broken.wait_for(|cut| *cut) => {}
                    }
                });
            }
        });
        Self {
            address,
            connections,
            cut,
            _runtime: runtime,
        }
    }

    /// Where clients connect to.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Breaks every connection without a word, and lets nobody in any more.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Lets clients in again.
    pub fn mend(&self) {
        self.cut.send_replace(false);
    }

    /// How many clients have come in so far: a re-join counts again.
    pub fn connections(&self) -> usize {
        self.lock().total
    }

    /// Every message that clients sent so far.
    pub fn requests(&self) -> Vec<SignalRequest> {
        self.lock().requests.clone()
    }

    /// Sends bytes to every client that is there.
    pub fn inject(&self, bytes: &[u8]) {
        self.lock()
            .towards_clients
            .retain(|client| client.send(Message::binary(bytes.to_vec())).is_ok());
    }

    /// Sends text to every client that is there: the protocol knows none.
    pub fn inject_text(&self, text: &str) {
        self.lock()
            .towards_clients
            .retain(|client| client.send(Message::text(text.to_owned())).is_ok());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Connections> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// One client, until either side hangs up. Errors end it: that is all a hostile service owes its clients.
async fn carry(
    client: TcpStream,
    port: u16,
    shared: Arc<Mutex<Connections>>,
    alter: Arc<Alter>,
) -> Option<()> {
    let mut asked = None;
    #[expect(
        clippy::result_large_err,
        reason = "the callback's type is tungstenite's"
    )]
    let note = |request: &Request, response: Response| {
        asked = Some((
            request.uri().clone(),
            request.headers().get("authorization").cloned(),
        ));
        Ok(response)
    };
    let client = tokio_tungstenite::accept_hdr_async(client, note)
        .await
        .ok()?;
    let (uri, authorization) = asked?;
    let mut upstream = format!("ws://127.0.0.1:{port}{uri}")
        .into_client_request()
        .ok()?;
    if let Some(authorization) = authorization {
        upstream
            .headers_mut()
            .insert("authorization", authorization);
    }
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    let (server, _) = tokio_tungstenite::client_async(upstream, stream)
        .await
        .ok()?;

    let (mut to_client, mut from_client) = client.split();
    let (mut to_server, mut from_server) = server.split();
    let (out, mut outgoing) = mpsc::unbounded_channel();
    {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.total += 1;
        shared.towards_clients.push(out.clone());
    }
    let down = async {
        while let Some(Ok(message)) = from_server.next().await {
            let Message::Binary(bytes) = &message else {
                out.send(message).ok()?;
                continue;
            };
            let decoded = SignalResponse::decode(bytes.as_ref())
                .expect("the real server speaks its protocol");
            match alter(decoded) {
                Instead::Messages(messages) => {
                    for message in messages {
                        out.send(Message::binary(message.encode_to_vec())).ok()?;
                    }
                }
                Instead::Bytes(bytes) => out.send(Message::binary(bytes)).ok()?,
            }
        }
        Some(())
    };
    let up = async {
        while let Some(Ok(message)) = from_client.next().await {
            if let Message::Binary(bytes) = &message
                && let Ok(request) = SignalRequest::decode(bytes.as_ref())
            {
                shared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .requests
                    .push(request);
            }
            to_server.send(message).await.ok()?;
        }
        Some(())
    };
    let write = async {
        while let Some(message) = outgoing.recv().await {
            to_client.send(message).await.ok()?;
        }
        Some(())
    };
    tokio::select! {
        done = down => done,
        done = up => done,
        done = write => done,
    }
}
