// SPDX-License-Identifier: MIT OR Apache-2.0
//! A fake: it plays a server by a script, to say what no real one says. Nothing that must work with
//! a real server is tested here only.

use std::{future::Future, sync::Arc};

use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol::{self as proto, signal_request, signal_response};
use prost::Message as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
    },
};

/// A fake server; it stops when dropped.
pub(crate) struct Fake {
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// Plays `script` for every connection, counted from 0.
    pub(crate) async fn tcp<F>(script: impl Fn(usize, TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(script(number, stream));
            }
        });
        Self { port, task }
    }

    /// Answers every request with the same bytes and closes.
    pub(crate) async fn http(answer: &'static str) -> Self {
        Self::tcp(move |_, mut stream| async move {
            if read_head(&mut stream).await.is_some() {
                // The client may have seen enough before the end.
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    /// Plays `script` on every WebSocket, counted from 0.
    pub(crate) async fn websocket<F>(
        script: impl Fn(usize, Peer<TcpStream>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let script = Arc::new(script);
        Self::tcp(move |number, stream| {
            let script = Arc::clone(&script);
            async move {
                if let Some(peer) = Peer::accept(stream).await {
                    script(number, peer).await;
                }
            }
        })
        .await
    }

    pub(crate) fn address(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// The head of an HTTP request.
pub(crate) async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(request).ok()
}

/// The server's end of a WebSocket.
pub(crate) struct Peer<S> {
    socket: WebSocketStream<S>,
    /// Path and query that the client asked for.
    pub(crate) asked: String,
    /// Its `Authorization`.
    pub(crate) authorization: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) async fn accept(stream: S) -> Option<Self> {
        let mut asked = String::new();
        let mut authorization = String::new();
        // The size of the error is the library's choice.
        #[allow(clippy::result_large_err)]
        let look = |request: &Request, response: Response| {
            asked = request.uri().to_string();
            let header = request.headers().get("Authorization");
            authorization = header.map_or_else(String::new, |value| value.to_str().unwrap().into());
            Ok(response)
        };
        let socket = accept_hdr_async(stream, look).await.ok()?;
        Some(Self {
            socket,
            asked,
            authorization,
        })
    }

    /// Sends a frame; `false` when the client has gone.
    pub(crate) async fn send(&mut self, frame: Message) -> bool {
        self.socket.send(frame).await.is_ok()
    }

    pub(crate) async fn say(&mut self, message: signal_response::Message) -> bool {
        self.send(Message::binary(bytes(message))).await
    }

    /// Lets the client in.
    pub(crate) async fn join(&mut self) -> bool {
        self.say(join("PA_box")).await
    }

    /// The next request; `None` when the client has gone.
    pub(crate) async fn hear(&mut self) -> Option<signal_request::Message> {
        loop {
            match self.socket.next().await?.ok()? {
                Message::Binary(frame) => {
                    return proto::SignalRequest::decode(frame).unwrap().message;
                }
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// Listens until the client goes.
    pub(crate) async fn listen(&mut self) {
        while self.hear().await.is_some() {}
    }
}

pub(crate) fn bytes(message: signal_response::Message) -> Vec<u8> {
    proto::SignalResponse {
        message: Some(message),
    }
    .encode_to_vec()
}

pub(crate) fn join(sid: &str) -> signal_response::Message {
    signal_response::Message::Join(proto::JoinResponse {
        participant: Some(proto::ParticipantInfo {
            sid: sid.into(),
            identity: "box".into(),
            ..Default::default()
        }),
        ping_interval: 5,
        ping_timeout: 15,
        ..Default::default()
    })
}
