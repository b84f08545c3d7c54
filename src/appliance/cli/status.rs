// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal status`: the state of the running box.

use std::io::{self, Write};

use anyhow::Context;

use super::{Failure, RunningBox, wait_for};
use crate::status::socket::{Answer, Asked, Question};
use crate::status::view::{View, table};

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
    /// Which box.
    #[command(flatten)]
    running: RunningBox,
}

impl StatusArgs {
    /// Asks and shows.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn run(&self) -> Result<(), Failure> {
        wait_for(self.ask())?
    }

    async fn ask(&self) -> Result<(), Failure> {
        let question = if self.watch {
            Question::Watch
        } else {
            Question::Status
        };
        let path = self.running.path();
        let mut asked = self.running.reach(Asked::ask(&path, question)).await?;
        let mut out = io::stdout();
        let mut view = View::new();
        let mut answer = self.running.hear(&mut asked).await?;
        loop {
            let status = match answer {
                Answer::Status(status) => status,
                Answer::Error(why) => return Err(self.running.absent(&why)),
                Answer::Reply(reply) => return Err(self.running.absent(reply.text())),
            };
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
            let next = asked.next().await;
            answer = match next.map_err(|error| self.running.absent(&error.to_string()))? {
                Some(answer) => answer,
                None => return Ok(()),
            };
        }
    }
}
