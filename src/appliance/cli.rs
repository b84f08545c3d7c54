// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: what people type, and what the program ends with.
//!
//! [`RunArgs::prepare`] and [`GuestArgs::prepare`] turn what was typed into a [`Prepared`] meeting: everything checked,
//! nothing started.

mod check;
mod enrol;
mod frame;
mod guest;
mod hub;
mod invite;
mod lamp;
mod new_host;
mod new_meeting;
mod order;
mod page_password;
mod provision;
mod run;
mod running;
mod selftest;
mod status;
mod update;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use roomseal_panel::{Board, BoardError};

use crate::config::{Config, ConfigError, Housing, Overrides};
use crate::provisioning::Folder;
use crate::secret::SecretError;

pub use check::CheckArgs;
pub use enrol::EnrolArgs;
pub use frame::FrameArgs;
pub use guest::GuestArgs;
pub use hub::HubArgs;
pub use invite::InviteArgs;
pub use lamp::LampArgs;
pub use new_host::NewHostArgs;
pub use new_meeting::NewMeetingArgs;
pub use order::{
    ChatArgs, E2eeArgs, EndArgs, JoinArgs, KeyArgs, LeaveArgs, LinkArgs, MuteArgs, StartArgs,
};
pub use page_password::PagePasswordArgs;
pub use provision::ProvisionArgs;
pub use run::RunArgs;
pub use running::RunningBox;
pub use selftest::SelftestArgs;
pub use status::StatusArgs;
pub use update::UpdateArgs;

/// End-to-end encrypted meeting box.
#[derive(Debug, Parser)]
#[command(
    name = "roomseal",
    version,
    about = "End-to-end encrypted meeting box: every frame is sealed before WebRTC sees it",
    after_help = AFTER_HELP,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  failed: the message says what to do
  2  wrong use of the command line
  3  the configuration, the board file or a secret file is at fault
  4  no running box answers

Secrets are read from files of mode 0600 (or systemd credentials), never from arguments or the environment.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a line to everybody in the running box's meeting
    Chat(ChatArgs),
    /// Check a configuration and say what it means
    CheckConfig(CheckArgs),
    /// Turn end-to-end encryption on for everybody in the running box's meeting
    E2ee(E2eeArgs),
    /// End the running box's meeting for everybody
    End(EndArgs),
    /// Make this box a room that can be booked at a hub
    Enrol(EnrolArgs),
    /// Seal or open one encoded frame, from standard input to standard output
    Frame(FrameArgs),
    /// Join as a guest without devices, and say what arrives
    Guest(Box<GuestArgs>),
    /// Be the meeting service: let clients into rooms and pass on what they seal
    Hub(HubArgs),
    /// Write an invitation for one guest
    Invite(InviteArgs),
    /// Bring the running box into its meeting, or into another by room code or link
    Join(JoinArgs),
    /// Give the running box the key of its meeting
    Key(KeyArgs),
    /// Own the lamps, and show what the running box renews
    Lamp(LampArgs),
    /// Have the running box leave its meeting
    Leave(LeaveArgs),
    /// Write the guest link of the running box's meeting to a file
    Link(LinkArgs),
    /// Mute the running box, or open it again
    Mute(MuteArgs),
    /// Make somebody else a host of a Roomseal meeting
    NewHost(NewHostArgs),
    /// Make a Roomseal meeting: links for hosts and guests
    NewMeeting(NewMeetingArgs),
    /// Write the password of the page on the network, as a hash, to a file
    PagePassword(PagePasswordArgs),
    /// Take over what somebody wrote on the boot partition
    Provision(ProvisionArgs),
    /// Be the box: join the meeting and stay in it
    Run(Box<RunArgs>),
    /// Test a part of this machine and print a report
    Selftest(SelftestArgs),
    /// Have the running box make a meeting at once, and enter it
    Start(StartArgs),
    /// Show the state of the running box
    Status(StatusArgs),
    /// Install an update, and have the running box show that
    Update(UpdateArgs),
}

/// A meeting to be entered: checked, not started.
#[derive(Debug)]
pub struct Prepared {
    /// What does not depend on meetings.
    pub housing: Housing,
    /// What to do.
    pub begin: Begin,
    /// What to do it on.
    pub board: Board,
    /// Where to answer status questions; `None`: nowhere.
    pub status_socket: Option<PathBuf>,
    /// Whether the socket was asked for: then the box does not start without it.
    pub status_socket_required: bool,
    /// When to leave by itself.
    pub duration: Option<Duration>,
    /// Whether the box waits for the next meeting when one has ended.
    pub waits: bool,
    /// Where the front panel is; `None`: it is left alone.
    pub panel: Option<PanelPlaces>,
}

/// What a box begins with.
#[derive(Debug)]
pub enum Begin {
    /// It is set up, and knows its meeting or waits for one.
    Meet(Box<Config>),
    /// It waits for somebody who sets it up.
    SetUp(Box<Unprovisioned>),
}

/// A box that is not set up yet.
#[derive(Debug)]
pub struct Unprovisioned {
    /// Where what comes of it is kept.
    pub folder: Folder,
    /// What stands over it.
    pub overrides: Overrides,
}

/// Where the parts of the front panel are.
#[derive(Clone, Debug)]
pub struct PanelPlaces {
    /// Socket of the lamp process; `None`: there is no place for one.
    pub lamp: Option<PathBuf>,
    /// Start the lamp process, with board files from here.
    pub start_lamp: Option<PathBuf>,
    /// Folder of the simulated panel; `None`: there is no place for one.
    pub simulated: Option<PathBuf>,
}

/// Why the program ends with something else than 0.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Exit code 3.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// Exit code 3.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Exit code 1.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
    /// Exit code 3.
    #[error("{0}")]
    File(#[from] roomseal_panel::FileError),
    /// Exit code 4.
    #[error("{0}")]
    NoBox(String),
    /// Exit code 3.
    #[error("{}; {}", .0, .0.advice())]
    Secret(#[from] SecretError),
    /// Exit code 2.
    #[error("{0}")]
    Usage(String),
}

impl Failure {
    /// The exit code, as the help text lists them.
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Board(_) | Self::Config(_) | Self::File(_) | Self::Secret(_) => 3,
            Self::NoBox(_) => 4,
        }
    }
}

/// The exit code: nothing to say on success, one line on standard error otherwise.
pub fn end(result: Result<(), Failure>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(failure) => {
            eprintln!("roomseal: {failure}");
            failure.code()
        }
    }
}

/// A small runtime for commands that only wait for one answer.
fn wait_for<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)?;
    Ok(runtime.block_on(work))
}
