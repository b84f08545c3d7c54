// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real livekit-server on free loopback ports.

use std::{
    io::Write as _,
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use livekit_token::{AccessToken, VideoGrants};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
    time::{interval, timeout},
};

use super::client::{KEY, SECRET};

/// Starting takes a fraction of a second; on a busy machine some.
const START: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    child: Child,
    port: u16,
    config: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let port = free_tcp_port();
        let config = tempfile::tempdir().unwrap();
        let mut file = std::fs::File::create(config.path().join("livekit.yaml")).unwrap();
        // Without STUN servers and a node address it would go looking for both on the internet.
        write!(
            file,
            "port: {port}\n\
             bind_addresses: [127.0.0.1]\n\
             keys:\n  {KEY}: {SECRET}\n\
             rtc:\n  node_ip: 127.0.0.1\n  use_external_ip: false\n  \
             enable_loopback_candidate: true\n  interfaces: {{includes: [lo]}}\n  \
             udp_port: {}\n  tcp_port: {}\n  stun_servers: ['127.0.0.1:3478']\n\
             logging: {{level: info}}\n",
            free_udp_port(),
            free_tcp_port(),
        )
        .unwrap();
        let child = spawn(config.path());
        let mut server = Self {
            child,
            port,
            config,
        };
        server.wait().await;
        server
    }

    pub(crate) fn address(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as a crash does.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts it again on the same ports.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(self.config.path());
        self.wait().await;
    }

    /// Asks the room service, as an administrator of the room.
    pub(crate) async fn administer(&self, room: &str, method: &str, json: &str) -> String {
        let token = AccessToken::with_api_key(KEY, SECRET)
            .with_grants(VideoGrants {
                room: room.into(),
                room_admin: true,
                ..Default::default()
            })
            .to_jwt()
            .unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let request = format!(
            "POST /twirp/livekit.RoomService/{method} HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{json}",
            json.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }

    async fn wait(&mut self) {
        let mut poll = interval(Duration::from_millis(20));
        let answers = async {
            loop {
                poll.tick().await;
                if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                    break;
                }
                if let Ok(Some(status)) = self.child.try_wait() {
                    panic!("livekit-server ended: {status}\n{}", self.log());
                }
            }
        };
        let started = timeout(START, answers).await;
        assert!(started.is_ok(), "livekit-server does not start");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.config.path().join("log")).unwrap_or_default()
    }
}

fn spawn(directory: &Path) -> Child {
    let log = std::fs::File::create(directory.join("log")).unwrap();
    Command::new(binary())
        .arg("--config")
        .arg(directory.join("livekit.yaml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("livekit-server starts")
}

fn binary() -> PathBuf {
    let path = std::env::var_os("ROOMSEAL_LIVEKIT_SERVER").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/bin/livekit-server"),
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "there is no livekit-server at {}: `make test` installs it, or set ROOMSEAL_LIVEKIT_SERVER",
        path.display()
    );
    path
}

/// Somebody else may take it before the server does, which is rare enough.
pub(crate) fn free_tcp_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn free_udp_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}
