// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal mute`, `start`, `join`, `leave`, `end`, `key` and `link`: wishes to the running box.

use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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
  roomseal join                   the room of last time
  roomseal join k3f-9ab-x2c       the Roomseal meeting of this room code; its key is asked for
  roomseal join lobby             the foreign room lobby, with the key that the box has
  roomseal join --camera          the Roomseal meeting of the code that is held to the box's camera
  roomseal join --link            the Roomseal meeting of a link, which is asked for unseen or read from a pipe
  roomseal join --next            the meeting that this box is booked for and that runs, or begins within half an hour

Another room than the configured one needs an api-key in [service]; a token is for one room. A link is never an argument,
where every user of this machine would see its secret.")]
pub struct JoinArgs {
    /// Room or room code to enter [default: the room of last time]
    room: Option<String>,
    /// Ask for the link of a Roomseal meeting
    #[arg(long, conflicts_with_all = ["room", "link_file"])]
    link: bool,
    /// Read the code of a link with the box's camera
    #[arg(long, conflicts_with_all = ["room", "link", "link_file"])]
    camera: bool,
    /// File (mode 0600) with the link of a Roomseal meeting
    #[arg(long, value_name = "FILE", conflicts_with = "room")]
    link_file: Option<String>,
    /// The meeting that this box is booked for and that runs or begins next
    #[arg(long, conflicts_with_all = ["room", "link", "camera", "link_file"])]
    next: bool,
    /// Which box.
    #[command(flatten)]
    running: RunningBox,
}

/// Arguments of `roomseal start`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Makes a Roomseal meeting with new keys, encryption on, and enters it; the box is its host. The same does the box's button
outside of a meeting. It needs an api-key in [service].")]
pub struct StartArgs {
    /// Which box.
    #[command(flatten)]
    running: RunningBox,
}

/// Arguments of `roomseal end`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Everybody is put out. It takes a box that is a host and has an api-key in [service], or a token that may do it. The box
then waits for the next meeting.")]
pub struct EndArgs {
    /// Which box.
    #[command(flatten)]
    running: RunningBox,
}

/// Arguments of `roomseal link`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Whoever has the link can read the meeting: give it only to whom you invite, over a channel you trust.")]
pub struct LinkArgs {
    /// File to write, mode 0600; must not be there yet
    #[arg(long, short, value_name = "FILE", required_unless_present = "screen")]
    out: Option<PathBuf>,
    /// Show the link as a code on the box's screen for a minute, or no longer
    #[arg(long, value_enum, value_name = "ON", num_args = 0..=1, default_missing_value = "on", conflicts_with = "out")]
    screen: Option<Wanted>,
    /// Which box.
    #[command(flatten)]
    running: RunningBox,
}

/// Arguments of `roomseal key`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The key is asked for without being shown, or read from a pipe or a file that only its owner reads; never give it as an
argument, where every user of this machine sees it. In a Roomseal meeting it is its passphrase or its link, in a foreign
room the passphrase or raw key of the application. It is used from the next frame on; nobody has to leave for it. The
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
    /// on: everybody sends sealed frames only; off: everybody sends clear
    #[arg(value_enum)]
    to: Wanted,
    /// Which box.
    #[command(flatten)]
    running: RunningBox,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wanted {
    On,
    Off,
}

impl E2eeArgs {
    /// Turns it.
    ///
    /// # Errors
    /// As [`MuteArgs::run`].
    pub fn run(&self) -> Result<(), Failure> {
        let to = on_or_off(self.to);
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
        if self.camera {
            return tell(&self.running, Spoken::Scan {});
        }
        if self.next {
            return tell(&self.running, Spoken::Booked { room: None });
        }
        let link = match &self.link_file {
            Some(file) => Some(secret::read(file, Path::new("."))?),
            None if self.link => Some(typed("Link of the meeting: ", "link")?),
            None => None,
        };
        let link = link.as_ref().map(spoken).transpose()?;
        let room = self.room.clone();
        tell(&self.running, Spoken::Join { link, room })
    }
}

impl StartArgs {
    /// Starts.
    ///
    /// # Errors
    /// As [`MuteArgs::run`].
    pub fn run(&self) -> Result<(), Failure> {
        tell(&self.running, Spoken::Start {})
    }
}

impl EndArgs {
    /// Ends.
    ///
    /// # Errors
    /// As [`MuteArgs::run`].
    pub fn run(&self) -> Result<(), Failure> {
        tell(&self.running, Spoken::End {})
    }
}

impl LinkArgs {
    /// Writes the link.
    ///
    /// # Errors
    /// As [`MuteArgs::run`], and when the file cannot be written.
    pub fn run(&self) -> Result<(), Failure> {
        let Some(out) = &self.out else {
            let to = on_or_off(self.screen.unwrap_or(Wanted::On));
            return tell(&self.running, Spoken::Invitation { to });
        };
        match ask(&self.running, Spoken::GuestLink {})? {
            Reply::Link(link) => {
                std::fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(out)
                    .and_then(|mut file| writeln!(file, "{}", link.expose()))
                    .with_context(|| format!("cannot write {}", out.display()))?;
                println!("{}: for guests", out.display());
                Ok(())
            }
            other => say(other),
        }
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
            None if self.hex => typed("Raw key of the meeting (hexadecimal): ", "key")?,
            None => typed("Passphrase or link of the meeting: ", "key")?,
        };
        let spoken = spoken(&secret)?;
        let (mut link, mut passphrase, mut raw_hex) = (None, None, None);
        let kind = if self.hex {
            &mut raw_hex
        } else if is_link(&secret) {
            &mut link
        } else {
            &mut passphrase
        };
        *kind = Some(spoken);
        let wish = Spoken::Key {
            link,
            passphrase,
            raw_hex,
        };
        tell(&self.running, wish)
    }
}

/// No passphrase begins like an address.
fn is_link(secret: &Secret) -> bool {
    let begins = |scheme: &[u8]| {
        let start = secret.expose().get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins(b"https://") || begins(b"http://")
}

fn on_or_off(wanted: Wanted) -> OnOff {
    match wanted {
        Wanted::On => OnOff::On,
        Wanted::Off => OnOff::Off,
    }
}

/// A secret as it goes into a wish.
fn spoken(secret: &Secret) -> Result<SpokenSecret, Failure> {
    SpokenSecret::new(secret).ok_or_else(|| {
        anyhow!("that is no text; write a passphrase, a link or hexadecimal digits").into()
    })
}

/// Has the wish carried out and prints what came of it.
fn tell(running: &RunningBox, wish: Spoken) -> Result<(), Failure> {
    say(ask(running, wish)?)
}

/// Has the wish carried out.
fn ask(running: &RunningBox, wish: Spoken) -> Result<Reply, Failure> {
    let path = running.path();
    let answer = super::wait_for(async {
        let mut asked = running.reach(Asked::wish(&path, &wish)).await?;
        running.hear(&mut asked).await
    })??;
    match answer {
        Answer::Reply(reply) => Ok(reply),
        Answer::Error(why) => Err(anyhow!("{why}").into()),
        Answer::Status(_) => Err(other_version()),
    }
}

/// Prints what came of a wish.
fn say(reply: Reply) -> Result<(), Failure> {
    match reply {
        Reply::Done(text) => {
            println!("{text}");
            Ok(())
        }
        Reply::Denied(text) => Err(anyhow!("denied: {text}").into()),
        Reply::NotNow(text) => Err(anyhow!("{text}").into()),
        Reply::Link(_) | Reply::Wrong(_) => Err(other_version()),
    }
}

fn other_version() -> Failure {
    anyhow!("the box answered something else; is it of another version than this program?").into()
}

/// A line from standard input, unseen if that is a terminal.
pub(super) fn typed(prompt: &str, what: &str) -> Result<Secret, Failure> {
    /// More than a passphrase or link has.
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
        return Err(anyhow!("cancelled; nothing has changed").into());
    }
    let text = line.trim_ascii();
    if text.is_empty() {
        return Err(anyhow!("no {what} was given; nothing has changed").into());
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
