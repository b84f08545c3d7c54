// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hub in front of a LiveKit server: it has the page, lets people in, and the server holds the meetings.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::livekit::Server;
use crate::process::Running;
use crate::{appliance, places};

/// A running hub; dropping it kills it.
#[derive(Debug)]
pub struct Front {
    address: String,
    _process: Running,
    _folder: TempDir,
}

impl Front {
    /// Starts one on a free port of 127.0.0.1.
    pub fn of(server: &Server) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (key, secret) = server.api_key();
        let file = appliance::secret(folder.path(), "livekit-secret", secret);
        let mut command = Command::new(places::built("roomseal"));
        command.args(["hub", "--engine", "livekit", "--listen", "127.0.0.1:0"]);
        command.args(["--livekit-url", &server.url(), "--livekit-api-key", key]);
        command.arg("--livekit-api-secret-file").arg(file);
        command.arg("--pages").arg(places::provided("web"));
        command.env("NO_COLOR", "1");
        let process = Running::start("roomseal hub before a LiveKit server", &command);
        let address = process.wait_for("address", Duration::from_secs(20), |line| {
            let (_, address) = line.split_once("the hub listens on ")?;
            address.split([',', ' ']).next().map(str::to_owned)
        });
        Self {
            address,
            _process: process,
            _folder: folder,
        }
    }

    /// Where it has the page of `link`: the same room and the same secrets.
    pub fn page_of(&self, link: &str) -> String {
        places::page_at(&format!("http://{}", self.address), link)
    }
}
