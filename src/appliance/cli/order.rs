// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal mute`, `leave`, `join` and `key`: wishes to the running box.

use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use zeroize::Zeroizing;

use super::{Failure, RunningBox};
use crate::control::{Medium, OnOff, Reply, Spoken, SpokenSecret, Switch};
use crate::secret::{self, Secret};
use crate::status::socket::{Answer, Asked};

/// Arguments of `roomseal mute`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What somebody muted with the button on the box can be opened again there, here, and on the page of the box itself, but
not from the network.

  roomseal mute            microphone off
  roomseal mute off        microphone on again
  roomseal mute --camera   camera off")]
pub struct MuteArgs {
    /// What is to be
    #[arg(value_enum, default_value = "on")]
    to: Muting,
    /// The camera instead of the microphone
    #[arg(long)]
    camera: bool,
    /// Which box.
    #[command(flatten)]
    running: RunningBox,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Muting {
    /// Send nothing
    On,
    /// Send again
    Off,
    /// The other way
    Toggle,
}

/// Arguments of `roomseal leave`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The box stays on, outside of every meeting, with camera and microphone closed; `roomseal join` brings it back.")]
pub struct LeaveArgs {
    /// Which box.
    #[command(flatten)]
    running: RunningBox,
}

/// Arguments of `roomseal join`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Another room than the configured one needs an api-key in [service]; a token is for one room. The key stays the one the
box has: give another with `roomseal key`.")]
pub struct JoinArgs {
    /// Room to enter [default: the one of last time]
    room: Option<String>,
    /// Which box.
    #[command(flatten)]
    running: RunningBox,
}

/// Arguments of `roomseal key`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The key is asked for without being shown, or read from a pipe or a file that only its owner reads; never give it as an
argument, where every user of this machine sees it. It is used from the next frame on; nobody has to leave for it. The
box forgets it when it stops: a key that is to stay belongs into the file that passphrase-file names.")]
pub struct KeyArgs {
    /// File (mode 0600) with the key
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    /// It is a raw key in hexadecimal digits, not a passphrase
    #[arg(long)]
    hex: bool,
    /// Which box.
    #[command(flatten)]
    running: RunningBox,
}

/// Arguments of `roomseal e2ee`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Turns end-to-end encryption on for everybody in a Roomseal meeting of which this box is a host. Turning it off takes a
person at the box who holds its button, or a host who is signed in; from here it is denied.")]
pub struct E2eeArgs {
    /// What is to be
    #[arg(value_enum)]
    to: Wanted,
    /// Which box.
    #[command(flatten)]
    running: RunningBox,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wanted {
    /// Everybody sends sealed frames only
    On,
    /// Everybody sends clear
    Off,
}

impl E2eeArgs {
    /// Turns it.
    ///
    /// # Errors
    /// As [`MuteArgs::run`].
    pub fn run(&self) -> Result<(), Failure> {
        let to = match self.to {
            Wanted::On => OnOff::On,
            Wanted::Off => OnOff::Off,
        };
        tell(&self.running, Spoken::E2ee { to })
    }
}

/// Arguments of `roomseal chat`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The line leaves as pictures and sound do: sealed while encryption is on.")]
pub struct ChatArgs {
    /// What to write
    line: String,
    /// Which box.
    #[command(flatten)]
    running: RunningBox,
}

impl ChatArgs {
    /// Writes.
    ///
    /// # Errors
    /// As [`MuteArgs::run`].
    pub fn run(&self) -> Result<(), Failure> {
        let line = self.line.clone();
        tell(&self.running, Spoken::Chat { line })
    }
}

impl MuteArgs {
    /// Mutes.
    ///
    /// # Errors
    /// When no box answers, or it does not want to.
    pub fn run(&self) -> Result<(), Failure> {
        let what = if self.camera {
            Medium::Camera
        } else {
            Medium::Microphone
        };
        let to = match self.to {
            Muting::On => Switch::On,
            Muting::Off => Switch::Off,
            Muting::Toggle => Switch::Toggle,
        };
        tell(&self.running, Spoken::Mute { what, to })
    }
}

impl LeaveArgs {
    /// Leaves.
    ///
    /// # Errors
    /// As [`MuteArgs::run`].
    pub fn run(&self) -> Result<(), Failure> {
        tell(&self.running, Spoken::Leave {})
    }
}

impl JoinArgs {
    /// Joins.
    ///
    /// # Errors
    /// As [`MuteArgs::run`].
    pub fn run(&self) -> Result<(), Failure> {
        let room = self.room.clone();
        tell(&self.running, Spoken::Join { room })
    }
}

impl KeyArgs {
    /// Asks for the key and gives it to the box.
    ///
    /// # Errors
    /// As [`MuteArgs::run`], and when there is no key to be read.
    pub fn run(&self) -> Result<(), Failure> {
        let secret = match &self.file {
            Some(file) => secret::read(file, Path::new("."))?,
            None => typed(if self.hex {
                "Raw key of the meeting (hexadecimal): "
            } else {
                "Passphrase of the meeting: "
            })?,
        };
        let spoken = SpokenSecret::new(&secret).ok_or_else(|| {
            anyhow!("the key is no text; write a passphrase or hexadecimal digits")
        })?;
        let wish = if self.hex {
            Spoken::Key {
                passphrase: None,
                raw_hex: Some(spoken),
            }
        } else {
            Spoken::Key {
                passphrase: Some(spoken),
                raw_hex: None,
            }
        };
        tell(&self.running, wish)
    }
}

/// Has the wish carried out and prints what came of it.
fn tell(running: &RunningBox, wish: Spoken) -> Result<(), Failure> {
    let path = running.path();
    let answer = super::wait_for(async {
        let mut asked = running.reach(Asked::wish(&path, &wish)).await?;
        running.hear(&mut asked).await
    })??;
    match answer {
        Answer::Reply(Reply::Done(text)) => {
            println!("{text}");
            Ok(())
        }
        Answer::Reply(Reply::Denied(text)) => Err(anyhow!("denied: {text}").into()),
        Answer::Reply(Reply::NotNow(text)) => Err(anyhow!("{text}").into()),
        Answer::Error(why) => Err(anyhow!("{why}").into()),
        Answer::Status(_) => Err(anyhow!(
            "the box answered something else; is it of another version than this program?"
        )
        .into()),
    }
}

/// A line from standard input, unseen if that is a terminal.
fn typed(prompt: &str) -> Result<Secret, Failure> {
    /// More than a passphrase has.
    const LONGEST: u64 = 4096;
    const CTRL_C: u8 = 3;

    let stdin = io::stdin();
    let unseen = if stdin.is_terminal() {
        eprint!("{prompt}");
        io::stderr()
            .flush()
            .context("the terminal cannot be written")?;
        Some(Unseen::begin().context("the terminal does not hide what is typed")?)
    } else {
        None
    };
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST as usize));
    // Byte by byte from the descriptor itself: a buffered reader would keep a copy.
    let mut bytes = rustix::io::dup(&stdin)
        .map(std::fs::File::from)
        .context("standard input cannot be read")?
        .take(LONGEST);
    let mut byte = [0];
    while bytes
        .read(&mut byte)
        .context("standard input cannot be read")?
        == 1
    {
        if byte[0] == b'\n' || byte[0] == CTRL_C {
            break;
        }
        line.push(byte[0]);
    }
    drop(unseen);
    if byte[0] == CTRL_C {
        return Err(anyhow!("cancelled; the box has the key it had").into());
    }
    let text = line.trim_ascii();
    if text.is_empty() {
        return Err(anyhow!("no key was given; the box has the key it had").into());
    }
    Ok(Secret::new(text.to_vec()))
}

/// A terminal that shows nothing of what is typed, until dropped.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = termios::tcgetattr(&stdin)?;
        let mut hidden = before.clone();
        // Ctrl-C ends the line instead of the process: who is killed here would leave the terminal without echo.
        hidden.local_modes &= !(LocalModes::ECHO | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VEOL] = 3;
        termios::tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // A terminal that is gone needs no repair.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
        eprintln!();
    }
}
