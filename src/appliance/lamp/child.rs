// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lamp process started by the box itself: for a PC, where nobody starts services.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::process::{Child, Command};

use crate::supervise::Stop;

/// How long it may take to go dark and end.
const GRACE: Duration = Duration::from_secs(2);

/// Starts `roomseal lamp` for `board`. It ends when this process does, however that happens: it holds the other end of
/// its standard input.
///
/// # Errors
/// When the program cannot be started again.
pub fn start(
    board: &str,
    board_dir: &Path,
    socket: &Path,
    panel_dir: Option<&Path>,
) -> Result<Child, anyhow::Error> {
    let program = std::env::current_exe().context("cannot find the own program")?;
    let mut command = Command::new(program);
    command
        .args(["lamp", "--with-input", "--board", board, "--board-dir"])
        .arg(board_dir)
        .arg("--socket")
        .arg(socket)
        .stdin(Stdio::piped());
    if let Some(panel) = panel_dir {
        command.arg("--panel-dir").arg(panel);
    }
    command.spawn().context("cannot start the lamp process")
}

/// Waits for the end of both: a lamp that ends by itself is missed on the status, not by the meeting.
///
/// # Errors
/// When the child cannot be waited for.
pub async fn mind(mut lamp: Child, stop: Stop) -> Result<(), anyhow::Error> {
    let input = lamp.stdin.take();
    tokio::select! {
        ended = lamp.wait() => {
            tracing::warn!("the lamp process has ended by itself: {}", ended?);
            stop.asked().await;
        }
        () = stop.asked() => {
            drop(input);
            // Dark it is in any case: nobody renews it.
            let _ = tokio::time::timeout(GRACE, lamp.wait()).await;
        }
    }
    Ok(())
}
