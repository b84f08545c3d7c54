// SPDX-License-Identifier: MIT OR Apache-2.0
//! A meeting service of one's own: a real `livekit-server`, on loopback or inside a namespace, or the hub in its place.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use livekit_token::{AccessToken, VideoGrants};
use tempfile::TempDir;

use crate::appliance;
use crate::network::Namespace;
use crate::places;
use crate::process::Running;
use crate::relay::Relay;

const API_KEY: &str = "roomsealtests";
/// Made up, and good for nothing but a server that lives as long as one test.
const API_SECRET: &str = "not-a-secret-only-for-tests-0123456789abcdef";

/// The agent that writes captions where a hub has a LiveKit server behind it; none ever comes.
const AGENT: &str = "scribe";

/// The variable that names the service which meetings of this run are held on: `livekit-server` (also when it is not
/// set), or `hub`. What a test of the hub itself starts is always the hub.
pub const ON: &str = "ROOMSEAL_TESTS_ON";

/// A running server; dropping it kills it.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    /// Whether the hub makes a certificate for itself.
    tls: bool,
    /// Whether the hub keeps its people over a restart.
    keeps: bool,
    address: Ipv4Addr,
    /// Where media arrives.
    media: Ipv4Addr,
    port: u16,
    tcp_port: u16,
    udp_port: u16,
    config: PathBuf,
    namespace: Option<Namespace>,
    /// The server that holds the meetings, where that is not the hub itself.
    behind: Option<Box<Self>>,
    process: Option<Running>,
    folder: TempDir,
}

/// Where a hub holds its meetings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// In its own process.
    Embedded,
    /// The same, with media at this machine's address in its network: Firefox looks for nobody on loopback.
    EmbeddedOnLan,
    /// At a real `livekit-server` behind it.
    LiveKit,
}

/// Which service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    LiveKit,
    Hub,
}

impl Kind {
    fn of_this_run() -> Self {
        match std::env::var(ON).as_deref() {
            Err(_) | Ok("livekit-server") => Self::LiveKit,
            Ok("hub") => Self::Hub,
            Ok(other) => panic!("{ON} is `livekit-server` or `hub`, not `{other}`"),
        }
    }
}

impl Server {
    /// Starts `roomseal hub` on free ports of 127.0.0.1.
    pub fn hub() -> Self {
        Self::hub_at(Ipv4Addr::LOCALHOST, None).started()
    }

    /// The same, whose meetings are held there.
    pub fn hub_on(engine: Engine) -> Self {
        Self::hub_at(Ipv4Addr::LOCALHOST, None).on(engine).started()
    }

    /// The same with accounts and meetings that are still there after a restart.
    pub fn hub_with_people() -> Self {
        Self::hub_with_people_on(Engine::Embedded)
    }

    /// The same, whose meetings are held there.
    pub fn hub_with_people_on(engine: Engine) -> Self {
        let mut hub = Self::hub_at(Ipv4Addr::LOCALHOST, None);
        hub.keeps = true;
        hub.on(engine).started()
    }

    /// The same over TLS, with a certificate that the hub makes for itself.
    pub fn hub_with_tls() -> Self {
        let mut hub = Self::hub_at(Ipv4Addr::LOCALHOST, None);
        (hub.keeps, hub.tls) = (true, true);
        hub.started()
    }

    /// Starts `roomseal hub` inside a namespace, on the address that it has there.
    pub fn hub_inside(namespace: &Namespace) -> Self {
        Self::hub_at(namespace.address(), Some(namespace.clone())).started()
    }

    fn hub_at(address: Ipv4Addr, namespace: Option<Namespace>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let [port, tcp_port, udp_port] = free_ports();
        Self {
            kind: Kind::Hub,
            tls: false,
            keeps: false,
            address,
            media: address,
            port,
            tcp_port,
            udp_port,
            config: appliance::secret(folder.path(), "api-secret", API_SECRET),
            namespace,
            behind: None,
            process: None,
            folder,
        }
    }

    fn on(mut self, engine: Engine) -> Self {
        let behind = (engine == Engine::LiveKit).then(|| Self::start(self.address, None, ""));
        self.behind = behind.map(Box::new);
        if engine == Engine::EmbeddedOnLan {
            self.media = address_on_lan();
        }
        self
    }

    fn started(mut self) -> Self {
        self.restart();
        self
    }

    /// Starts one on free ports of 127.0.0.1: `livekit-server`, or the hub where a run is about that ([`ON`]).
    pub fn on_loopback() -> Self {
        if Kind::of_this_run() == Kind::Hub {
            return Self::hub();
        }
        Self::start(Ipv4Addr::LOCALHOST, None, "")
    }

    /// Starts one inside a namespace, on the address that it has there: `livekit-server`, or the hub where a run is
    /// about that ([`ON`]).
    pub fn inside(namespace: &Namespace) -> Self {
        if Kind::of_this_run() == Kind::Hub {
            return Self::hub_inside(namespace);
        }
        Self::start(namespace.address(), Some(namespace.clone()), "")
    }

    /// Starts one inside a namespace that names `relay`, over `udp` or `tcp`, to its clients.
    pub fn with_relay(relay: &Relay, namespace: &Namespace, protocol: &str) -> Self {
        let yaml = format!(
            "  turn_servers:\n    - host: {}\n      port: {}\n      protocol: {protocol}\n      \
             username: {}\n      credential: {}\n",
            relay.address(),
            Relay::PORT,
            relay.user(),
            relay.password(),
        );
        Self::start(namespace.address(), Some(namespace.clone()), &yaml)
    }

    /// `rtc`: more lines for that part of the configuration.
    fn start(address: Ipv4Addr, namespace: Option<Namespace>, rtc: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let [port, tcp_port, udp_port] = free_ports();
        let interface = namespace.as_ref().map_or("lo", |_| Namespace::INTERFACE);
        let mut yaml = String::new();
        write!(
            yaml,
            "port: {port}\nbind_addresses: [{address}]\nkeys:\n  {API_KEY}: {API_SECRET}\nlogging:\n  level: info\n\
             room:\n  enable_remote_unmute: true\n\
             rtc:\n  node_ip: {address}\n  use_external_ip: false\n  enable_loopback_candidate: {loopback}\n  \
             interfaces:\n    includes: [{interface}]\n  udp_port: {udp_port}\n  tcp_port: {tcp_port}\n  \
             stun_servers: [\"{address}:3478\"]\n{rtc}",
            loopback = namespace.is_none(),
        )
        .expect("writing into a string does not fail");
        let config = folder.path().join("livekit.yaml");
        std::fs::write(&config, yaml).expect("the configuration can be written");
        let mut server = Self {
            kind: Kind::LiveKit,
            tls: false,
            keeps: false,
            address,
            media: address,
            port,
            tcp_port,
            udp_port,
            config,
            namespace,
            behind: None,
            process: None,
            folder,
        };
        server.restart();
        server
    }

    /// Starts it (again) on the same ports, and returns when it answers.
    pub fn restart(&mut self) {
        self.stop();
        if self.kind == Kind::Hub {
            self.process = Some(self.start_hub());
            return;
        }
        let program = places::provided("bin/livekit-server");
        let mut command = match &self.namespace {
            Some(namespace) => namespace.command(&program),
            None => Command::new(program),
        };
        command.arg("--config").arg(&self.config);
        let process = Running::start("livekit-server", &command);
        process.wait_for("start", Duration::from_secs(20), |line| {
            line.contains("starting LiveKit server").then_some(())
        });
        self.process = Some(process);
        if self.namespace.is_none() {
            self.wait_until_it_answers();
        }
    }

    fn start_hub(&self) -> Running {
        let program = places::built("roomseal");
        let mut command = match &self.namespace {
            Some(namespace) => namespace.command(&program),
            None => Command::new(program),
        };
        let at = |port| format!("{}:{port}", self.media);
        command.args(["hub", "--listen", &self.address().to_string()]);
        match &self.behind {
            Some(behind) => {
                command.args(["--engine", "livekit", "--livekit-url", &behind.url()]);
                command.args(["--livekit-agent", &format!("captions={AGENT}")]);
            }
            None => {
                command.args(["--media", &at(self.udp_port)]);
                command.args(["--media-tcp", &at(self.tcp_port)]);
            }
        }
        if self.namespace.is_some() {
            command.arg("--insecure-lan");
        }
        if self.keeps {
            command.arg("--data").arg(self.people());
        }
        if self.tls {
            command.arg("--tls");
        }
        command.arg("--pages").arg(places::provided("web"));
        command.args(["--api-key", API_KEY, "--api-secret-file"]);
        command.arg(&self.config).env("NO_COLOR", "1");
        let process = Running::start("roomseal hub", &command);
        process.wait_for("start", Duration::from_secs(20), |line| {
            line.contains("the hub listens").then_some(())
        });
        process
    }

    /// The id of its process.
    pub fn process(&self) -> u32 {
        let process = self.process.as_ref();
        process.expect("it runs until it is stopped").id()
    }

    /// Whether it is the hub.
    pub fn is_hub(&self) -> bool {
        self.kind == Kind::Hub
    }

    /// Kills it as a crash would.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Where the hub keeps its people, where it does.
    fn people(&self) -> PathBuf {
        self.folder.path().join("people")
    }

    /// What a hub keeps of people and meetings: each file with its bytes.
    pub fn kept(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = std::fs::read_dir(self.people());
        let files = files.expect("a hub with people has a folder for them");
        let files = files.map(|file| file.expect("it is there").path());
        files
            .map(|file| {
                let bytes = std::fs::read(&file).expect("its owner can read it");
                (file, bytes)
            })
            .collect()
    }

    /// The code for the first admin of a hub that keeps its people.
    pub fn set_up_code(&self) -> String {
        let file = self.people().join("set-up-code");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match std::fs::read_to_string(&file) {
                Ok(code) => return code.trim().to_owned(),
                Err(error) => assert!(Instant::now() < deadline, "no set-up code: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        self.process
            .as_ref()
            .map(Running::output)
            .unwrap_or_default()
    }

    /// Whether its log names this codec of a track.
    pub fn says_codec(&self, mime: &str) -> bool {
        let name = match self.kind {
            Kind::LiveKit => format!("\"mime\": \"{mime}\""),
            Kind::Hub => format!("mime=\"{mime}\""),
        };
        self.log().contains(&name)
    }

    /// Where clients connect to.
    pub fn url(&self) -> String {
        if let Some(behind) = &self.behind {
            return behind.url();
        }
        let scheme = if self.tls { "wss" } else { "ws" };
        format!("{scheme}://{}:{}", self.address, self.port)
    }

    /// The SHA-256 of the certificate that it made for itself, as it said at its start.
    pub fn certificate(&self) -> String {
        let log = self.log();
        let (_, hash) = log
            .split_once("its SHA-256 is ")
            .expect("a hub with TLS shows its certificate");
        hash.chars().take(32 * 3 - 1).collect()
    }

    /// The file with the certificate that the hub made for itself, where it did.
    pub(crate) fn authority(&self) -> Option<PathBuf> {
        self.tls.then(|| self.people().join("hub.pem"))
    }

    /// Where the hub has its pages.
    pub fn site(&self) -> String {
        assert_eq!(self.kind, Kind::Hub, "only the hub has pages");
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.address, self.port)
    }

    /// Where the hub has the page of `link`: the same room and the same secrets.
    pub fn page_of(&self, link: &str) -> String {
        places::page_at(&self.site(), link)
    }

    /// Where it is reached.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((self.address, self.port))
    }

    /// The port for signalling.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port for media over TCP.
    pub fn media_tcp_port(&self) -> u16 {
        self.tcp_port
    }

    /// Its API key and the secret of it, for a box that makes its own tokens.
    pub fn api_key(&self) -> (&'static str, &'static str) {
        (API_KEY, API_SECRET)
    }

    /// A token that lets `identity` into `room` with everything a participant may do.
    pub fn token(&self, identity: &str, room: &str) -> String {
        self.token_with(
            identity,
            VideoGrants {
                room_join: true,
                room: room.to_owned(),
                ..VideoGrants::default()
            },
        )
    }

    /// A token with grants of one's own.
    pub fn token_with(&self, identity: &str, grants: VideoGrants) -> String {
        AccessToken::with_api_key(API_KEY, API_SECRET)
            .with_identity(identity)
            .with_name(identity)
            .with_grants(grants)
            .to_jwt()
            .expect("the grants are well-formed")
    }

    /// A token for a participant of another kind than a person: `egress`, `sip`, `agent`, ...
    pub fn token_of_kind(&self, kind: &str, identity: &str, room: &str) -> String {
        AccessToken::with_api_key(API_KEY, API_SECRET)
            .with_identity(identity)
            .with_name(identity)
            .with_kind(kind)
            .with_grants(VideoGrants {
                room_join: true,
                room: room.to_owned(),
                ..VideoGrants::default()
            })
            .to_jwt()
            .expect("the grants are well-formed")
    }

    /// As its administrator: from now on nothing that `identity` says on data channels reaches anybody.
    pub fn silence(&self, identity: &str, room: &str) {
        let grants = VideoGrants {
            room_admin: true,
            room: room.to_owned(),
            ..VideoGrants::default()
        };
        let token = self.token_with("administrator", grants);
        let body = format!(
            "{{\"room\":\"{room}\",\"identity\":\"{identity}\",\"permission\":{{\"canSubscribe\":true,\
             \"canPublish\":true,\"canPublishData\":false}}}}"
        );
        let mut stream = TcpStream::connect((self.address, self.port)).expect("the server listens");
        write!(
            stream,
            "POST /twirp/livekit.RoomService/UpdateParticipant HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .expect("the server reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("the server answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// What it says of a token, as an answer over HTTP.
    pub fn validate(&self, token: &str) -> String {
        let mut stream = TcpStream::connect((self.address, self.port)).expect("the server listens");
        write!(
            stream,
            "GET /rtc/validate HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n",
            self.address
        )
        .expect("the server reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("the server answers");
        answer
    }

    fn wait_until_it_answers(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((self.address, self.port)).is_err() {
            assert!(
                Instant::now() < deadline,
                "livekit-server does not listen. Its log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What packets to other machines come from; loopback where there is no network.
fn address_on_lan() -> Ipv4Addr {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("there are free ports");
    // Nothing is sent there: it is an address of documentation (RFC 5737).
    let connected = socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9));
    match connected.and_then(|()| socket.local_addr()) {
        Ok(SocketAddr::V4(address)) => *address.ip(),
        _ => Ipv4Addr::LOCALHOST,
    }
}

/// Two TCP ports and one UDP port that were free a moment ago.
fn free_ports() -> [u16; 3] {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    let third = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    [first.local_addr(), second.local_addr(), third.local_addr()]
        .map(|a| a.expect("a bound socket has an address").port())
}
