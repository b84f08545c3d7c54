// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service that lies to one member of a Roomseal meeting: a box shows it, names the person and says why, on its
//! status, on the terminal and on its page, and so does the join page in a browser; neither sends clear nor plays what is
//! not the person's. [`Server::on_loopback`] says which service it is.

mod deceived;
mod members;
mod policies;
mod service;
mod tracks;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use livekit_token::VideoGrants;
use roomseal_appliance::status::Status;
use roomseal_tests::appliance::Appliance;
use roomseal_tests::livekit::Server;
use serde_json::Value;

use self::deceived::{By, Deceived};
use self::service::{Liar, Lies};
use crate::SOON;
use crate::roomseal::{new_meeting, start, wait_for_shield};

const MEDIA: [&str; 4] = ["--camera", "test", "--microphone", "test"];

/// How long it takes at most until a person is named who is heard of every ten seconds.
const NAMED: Duration = Duration::from_secs(35);

/// The links of a meeting, which may have any number of sessions.
struct Links {
    room: &'static str,
    host: PathBuf,
    guest: PathBuf,
    _folder: tempfile::TempDir,
}

impl Links {
    fn new(room: &'static str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (host, guest) = new_meeting(&folder.path().join("meeting"), room, more);
        Self {
            room,
            host,
            guest,
            _folder: folder,
        }
    }

    /// The host's box, by the honest door; it may write the room's metadata.
    fn host(&self, server: &Server) -> Appliance {
        let grants = VideoGrants {
            room_join: true,
            room_admin: true,
            room: self.room.to_owned(),
            ..VideoGrants::default()
        };
        let token = server.token_with("box", grants);
        start("run", "box", &self.host)
            .with(MEDIA)
            .join_at(&server.url(), &token, self.room)
    }

    /// Another member, by the honest door.
    fn bob(&self, server: &Server) -> Appliance {
        start("guest", "bob", &self.guest)
            .with(MEDIA)
            .join(server, self.room)
    }
}

/// A meeting that is sealed: the host's box and bob, each verified by the other.
struct Sealed {
    links: Links,
    server: Server,
    host: Appliance,
    bob: Appliance,
}

impl Sealed {
    fn begin(room: &'static str) -> Self {
        let links = Links::new(room, &[]);
        let server = Server::on_loopback();
        let began = Instant::now();
        let host = links.host(&server);
        let bob = links.bob(&server);
        for member in [&host, &bob] {
            wait_for_shield(member, began, "sealed");
        }
        Self {
            links,
            server,
            host,
            bob,
        }
    }

    fn alice(&self, by: By, lies: Lies) -> (Liar, Box<dyn Deceived>) {
        let liar = Liar::before(&self.server, lies);
        let alice = self.links.alice(by, &liar, &self.server);
        (liar, alice)
    }

    /// The real id of a track.
    fn sid(&self, of: &str, source: &str) -> String {
        let seen_by = if of == "box" { &self.bob } else { &self.host };
        let found = seen_by.wait_for_track("track", of, source, SOON, |_| true);
        found.sid
    }
}

/// What the page of a box is told to draw.
fn page_of_box(of: &Appliance) -> Value {
    let url = of.wait_for("page", SOON, |status| status.page.clone());
    let address = url
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix('/'))
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /api/state HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str(body).unwrap()
}

/// At no time a frame left this box clear, and the shield never said that encryption is off.
fn never_clear(member: &Appliance) {
    for (_, status) in member.statuses() {
        assert!(status.local_tracks.iter().all(|track| track.clear == 0));
        assert_ne!(status.shield.state, "open", "{:?}", status.shield);
    }
}

/// Since then no frame left this box clear, and the shield did not say that encryption is off.
fn never_clear_since(member: &Appliance, since: Instant) {
    let statuses = member.statuses();
    let clear = |status: &Status| -> u64 { status.local_tracks.iter().map(|t| t.clear).sum() };
    let after: Vec<_> = statuses.iter().filter(|(at, _)| *at > since).collect();
    let (_, first) = after.first().expect("counters move all the time");
    for (_, status) in &after {
        // What a track that was made anew has counted is less.
        assert!(clear(status) <= clear(first), "{:?}", status.local_tracks);
        assert_ne!(status.shield.state, "open", "{:?}", status.shield);
    }
}
