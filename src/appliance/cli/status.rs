// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal status`: the state of the running box.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::{Failure, wait_for};
use crate::status::socket::{self, Answer, Asked, Question};
use crate::status::view::{View, table};

/// A box that is alive answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Arguments of `roomseal status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Ends with 4 when no running box answers.")]
pub struct StatusArgs {
    /// One JSON object per line instead of a table
    #[arg(long)]
    json: bool,
    /// Go on and show every change
    #[arg(long, short)]
    watch: bool,
    /// Socket of the box [default: in $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/roomseal or /run/roomseal]
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
}

impl StatusArgs {
    /// Asks and shows.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn run(&self) -> Result<(), Failure> {
        let path = self
            .socket
            .clone()
            .or_else(|| socket::default_path().filter(|path| path.exists()))
            .unwrap_or_else(|| PathBuf::from("/run/roomseal/status.sock"));
        wait_for(self.ask(&path))?
    }

    async fn ask(&self, path: &Path) -> Result<(), Failure> {
        let question = if self.watch {
            Question::Watch
        } else {
            Question::Status
        };
        let no_box = |why: String| {
            Failure::NoBox(format!(
                "no running box answers on {}: {why}; start one with `roomseal run`, or name its socket with --socket",
                path.display()
            ))
        };
        let asked = tokio::time::timeout(PATIENCE, Asked::ask(path, question)).await;
        let mut asked = asked
            .map_err(|_| no_box("it is silent".to_owned()))?
            .map_err(|error| no_box(error.to_string()))?;
        let mut out = io::stdout();
        let mut view = View::new();
        let mut first = true;
        loop {
            let answer = if first {
                tokio::time::timeout(PATIENCE, asked.next())
                    .await
                    .map_err(|_| no_box("it is silent".to_owned()))?
            } else {
                asked.next().await
            };
            let status = match answer.map_err(|error| no_box(error.to_string()))? {
                Some(Answer::Status(status)) => status,
                Some(Answer::Error(why)) => return Err(no_box(why)),
                None if first => return Err(no_box("it closed the connection".to_owned())),
                None => return Ok(()),
            };
            first = false;
            let written = match (self.json, self.watch) {
                (true, _) => {
                    let line =
                        serde_json::to_string(&status).context("the status cannot be written")?;
                    writeln!(out, "{line}").and_then(|()| out.flush())
                }
                (false, true) => view.show(&status),
                (false, false) => out.write_all(table(&status).as_bytes()),
            };
            match written {
                Ok(()) => {}
                // Whoever reads has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(anyhow::Error::from(error).into()),
            }
            if !self.watch {
                return Ok(());
            }
        }
    }
}
