// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings at a real `livekit-server`, one for each hub.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use roomseal_hub::{EngineConfig, LiveKitConfig};
use tempfile::TempDir;

use super::harness::{SECRET, clients_connect_to};

/// A running server; dropping it ends it.
pub(crate) struct Held {
    process: Mutex<Option<Child>>,
    folder: TempDir,
    address: SocketAddr,
    redis: Option<Child>,
}

/// Ports are free for others until the server has them.
static PORTS: Mutex<()> = Mutex::new(());

impl Held {
    pub(crate) const IS_EMBEDDED: bool = false;

    pub(crate) fn new() -> Self {
        let _turn = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        Self::with("", None)
    }

    /// One that says at `url` what happens in its rooms.
    pub(crate) fn that_says(url: &str) -> Self {
        let _turn = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        let more = format!("webhook:\n  api_key: key\n  urls:\n    - {url}\n");
        Self::with(&more, None)
    }

    /// One that takes orders for recordings, streams and calls. The services that would carry them out are missing.
    pub(crate) fn with_services() -> Self {
        let _turn = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let redis = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "/usr/bin/redis-server"])
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_for((Ipv4Addr::LOCALHOST, port).into(), "redis-server");
        let more = format!(
            "redis:\n  address: 127.0.0.1:{port}\ningress:\n  rtmp_base_url: rtmp://127.0.0.1:1935/live\n"
        );
        Self::with(&more, Some(redis))
    }

    /// One with more lines of configuration.
    fn with(more: &str, redis: Option<Child>) -> Self {
        let tcp = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let [address, media] = tcp.map(|it| it.local_addr().unwrap());
        let udp_port = udp.local_addr().unwrap().port();
        drop(udp);
        let mut text = String::new();
        write!(
            text,
            "port: {}\nbind_addresses: [127.0.0.1]\nkeys:\n  key: {SECRET}\nlogging:\n  level: error\nrtc:\n  \
             node_ip: 127.0.0.1\n  use_external_ip: false\n  enable_loopback_candidate: true\n  interfaces:\n    \
             includes: [lo]\n  udp_port: {udp_port}\n  tcp_port: {}\n  stun_servers: [\"127.0.0.1:3478\"]\n{more}",
            address.port(),
            media.port()
        )
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("livekit.yaml"), text).unwrap();
        let held = Self {
            process: Mutex::new(None),
            folder,
            address,
            redis,
        };
        held.start();
        held
    }

    /// Starts it on the same ports, and returns when it answers.
    pub(crate) fn start(&self) {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let program = root.ancestors().nth(2).unwrap();
        let program = program.join(".cache/bin/livekit-server");
        assert!(
            program.exists(),
            "{} is missing: run `make setup`",
            program.display()
        );
        self.stop();
        // A test that is killed must not leave servers behind.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .arg("--config")
            .arg(self.folder.path().join("livekit.yaml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        wait_for(self.address, "livekit-server");
    }

    /// Kills it as a crash would.
    pub(crate) fn stop(&self) {
        let child = self
            .process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut child) = child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn engine(&self) -> EngineConfig {
        EngineConfig::LiveKit(LiveKitConfig {
            url: format!("ws://{}", self.address).parse().unwrap(),
            url_for_clients: None,
            agents: vec![("captions".to_owned(), "scribe".to_owned())],
        })
    }

    /// Clients of that hub connect here.
    pub(crate) fn belongs_to(&self, hub: SocketAddr) {
        clients_connect_to(hub, self.address);
    }

    /// Where rooms are administered.
    pub(crate) fn rooms(&self, _hub: SocketAddr) -> SocketAddr {
        self.address
    }
}

fn wait_for(address: SocketAddr, what: &str) {
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{what} does not listen"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stop();
        if let Some(redis) = &mut self.redis {
            let _ = redis.kill();
            let _ = redis.wait();
        }
    }
}
