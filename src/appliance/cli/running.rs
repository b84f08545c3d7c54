// SPDX-License-Identifier: MIT OR Apache-2.0
//! The box that runs on this machine, and how commands reach it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Failure;
use crate::status::socket::{self, Answer, Asked};

/// A box that is alive answers in milliseconds, unless it is just opening its devices.
const PATIENCE: Duration = Duration::from_secs(12);

/// Which running box is meant.
#[derive(Debug, clap::Args)]
pub struct RunningBox {
    /// Socket of the box [default: in $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/roomseal or /run/roomseal]
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
}

impl RunningBox {
    /// Where it listens.
    pub(super) fn path(&self) -> PathBuf {
        self.socket
            .clone()
            .or_else(|| socket::default_path().filter(|path| path.exists()))
            .unwrap_or_else(|| PathBuf::from("/run/roomseal/status.sock"))
    }

    /// Puts something to it.
    pub(super) async fn reach(
        &self,
        asking: impl Future<Output = io::Result<Asked>>,
    ) -> Result<Asked, Failure> {
        tokio::time::timeout(PATIENCE, asking)
            .await
            .map_err(|_| self.silent())?
            .map_err(|error| self.absent(&error.to_string()))
    }

    /// Its first answer.
    pub(super) async fn hear(&self, asked: &mut Asked) -> Result<Answer, Failure> {
        tokio::time::timeout(PATIENCE, asked.next())
            .await
            .map_err(|_| self.silent())?
            .map_err(|error| self.absent(&error.to_string()))?
            .ok_or_else(|| self.absent("it closed the connection"))
    }

    fn silent(&self) -> Failure {
        self.absent("it is silent")
    }

    /// No box, and what to do.
    pub(super) fn absent(&self, why: &str) -> Failure {
        Failure::NoBox(format!(
            "no running box answers on {}: {why}; start one with `roomseal run`, or name its socket with --socket",
            self.path().display()
        ))
    }
}
