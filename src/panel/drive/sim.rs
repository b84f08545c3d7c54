// SPDX-License-Identifier: MIT OR Apache-2.0
//! The simulated panel: a folder. An LED is a file with its brightness in percent; a key is a pipe that takes the words
//! `press`, `hold`, `down` and `up`, one a line.
//!
//! ```text
//! $ echo press > $XDG_RUNTIME_DIR/roomseal/panel/button
//! $ tail -n +1 $XDG_RUNTIME_DIR/roomseal/panel/*lamp*
//! ```

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::gpio::readable;
use super::{Edge, FULL, Key, Leds, LineError, clock};
use crate::gesture;

/// How long `press` keeps the key down.
const SHORT: Duration = Duration::from_millis(100);

/// How long `hold` keeps the key down: long enough to be told, with room for a busy machine.
const LONG: Duration = gesture::HOLD.saturating_add(Duration::from_millis(500));

/// LEDs that are files.
#[derive(Debug)]
pub struct SimulatedLeds {
    leds: Vec<(PathBuf, Option<u32>)>,
    folder: PathBuf,
}

impl SimulatedLeds {
    /// Files of these names in `folder`, which is made; all dark.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn open(folder: &Path, names: Vec<String>) -> Result<Self, LineError> {
        make(folder)?;
        let leds = names
            .iter()
            .map(|name| (folder.join(plain(name)), None))
            .collect();
        let mut leds = Self {
            leds,
            folder: folder.to_owned(),
        };
        leds.set(&[])?;
        Ok(leds)
    }

    fn set(&mut self, duty: &[u16]) -> Result<(), LineError> {
        for (index, (path, told)) in self.leds.iter_mut().enumerate() {
            let duty = u32::from(duty.get(index).copied().unwrap_or(0));
            let percent = (duty * 100).div_ceil(u32::from(FULL));
            if *told == Some(percent) {
                continue;
            }
            // Whoever looks sees the old value or the new one, never half of it.
            let new = self.folder.join(".new");
            std::fs::write(&new, format!("{percent}\n"))
                .and_then(|()| std::fs::rename(&new, &*path))
                .map_err(|error| LineError::failed(path.display(), "write it", error))?;
            *told = Some(percent);
        }
        Ok(())
    }
}

impl Leds for SimulatedLeds {
    fn light(&mut self, duty: &[u16], _at_most: Duration) -> Result<(), LineError> {
        self.set(duty)
    }
}

impl Drop for SimulatedLeds {
    fn drop(&mut self) {
        // The folder may be gone already.
        let _ = self.set(&[]);
    }
}

/// A key that is a named pipe.
#[derive(Debug)]
pub struct SimulatedKey {
    path: PathBuf,
    pipe: OwnedFd,
    /// The beginning of a line that is still being written.
    line: Vec<u8>,
    /// Edges to come, in order.
    coming: VecDeque<Edge>,
    /// When the last edge was or will be, whether it has been told or not.
    last: Option<Duration>,
    down: bool,
}

impl SimulatedKey {
    /// The pipe of this name in `folder`, which is made.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn open(folder: &Path, name: &str) -> Result<Self, LineError> {
        make(folder)?;
        let path = folder.join(plain(name));
        let failed = |action, error: rustix::io::Errno| {
            LineError::failed(path.display(), action, std::io::Error::from(error))
        };
        match rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(failed("make a pipe", error)),
        }
        // Also for writing: a pipe whose last writer has gone would be readable for ever.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = rustix::fs::open(&path, flags, Mode::empty())
            .map_err(|error| failed("open it", error))?;
        Ok(Self {
            path,
            pipe,
            line: Vec::new(),
            coming: VecDeque::new(),
            last: None,
            down: false,
        })
    }

    fn read(&mut self) -> Result<(), LineError> {
        let mut bytes = [0; 256];
        let read = match rustix::io::read(&self.pipe, &mut bytes) {
            Ok(read) => read,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => 0,
            Err(error) => {
                let error = std::io::Error::from(error);
                return Err(LineError::failed(self.path.display(), "read it", error));
            }
        };
        for byte in &bytes[..read] {
            if *byte != b'\n' {
                // No word is longer; what does not end does not grow.
                if self.line.len() < 16 {
                    self.line.push(*byte);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            // After what was asked for before, and far enough from it to be a press of its own and not a bounce.
            let now = clock::monotonic();
            let at = self.last.map_or(now, |last| now.max(last + SHORT));
            let edge = |down, at| Edge { down, at };
            match line.trim_ascii() {
                b"down" => self.coming.push_back(edge(true, at)),
                b"up" => self.coming.push_back(edge(false, at)),
                b"press" => self
                    .coming
                    .extend([edge(true, at), edge(false, at + SHORT)]),
                b"hold" => self.coming.extend([edge(true, at), edge(false, at + LONG)]),
                b"" => {}
                _ => tracing::warn!(
                    path = %self.path.display(),
                    "no word for a key; write press, hold, down or up"
                ),
            }
            self.last = self.coming.back().map(|edge| edge.at).or(self.last);
        }
        Ok(())
    }
}

impl Key for SimulatedKey {
    fn down(&mut self) -> Result<bool, LineError> {
        Ok(self.down)
    }

    fn wait(&mut self, at_most: Duration) -> Result<Option<Edge>, LineError> {
        let until = clock::monotonic() + at_most;
        loop {
            let now = clock::monotonic();
            if self.coming.front().is_some_and(|edge| edge.at <= now)
                && let Some(edge) = self.coming.pop_front()
            {
                self.down = edge.down;
                return Ok(Some(edge));
            }
            let next = self.coming.front().map_or(until, |edge| edge.at.min(until));
            let ready = readable(&self.pipe, next.saturating_sub(now))
                .map_err(|error| LineError::failed(self.path.display(), "wait for it", error))?;
            if ready {
                self.read()?;
            } else if clock::monotonic() >= until
                && self.coming.front().is_none_or(|edge| edge.at > until)
            {
                return Ok(None);
            }
        }
    }
}

/// The name without the quotes that messages put around it.
fn plain(name: &str) -> &str {
    name.trim_matches('`')
}

fn make(folder: &Path) -> Result<(), LineError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| LineError::failed(folder.display(), "make the folder", error))
}
