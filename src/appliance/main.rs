// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `roomseal` program.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use roomseal_appliance::cli::{Cli, Command, Failure, Prepared, end};
use roomseal_appliance::{daemon, hygiene};

fn main() -> ExitCode {
    // Before arguments are read: they name files with secrets.
    if let Err(error) = hygiene::protect() {
        eprintln!("roomseal: the system does not let this process protect its keys: {error}");
        return ExitCode::FAILURE;
    }
    let code = end(match Cli::parse().command {
        Command::CheckConfig(args) => args.run(),
        Command::Chat(args) => args.run(),
        Command::E2ee(args) => args.run(),
        Command::End(args) => args.run(),
        Command::Enrol(args) => args.run(),
        Command::Frame(args) => args.run(),
        Command::Guest(args) => meet(args.prepare()),
        Command::Hub(args) => args.run(),
        Command::Invite(args) => args.run(),
        Command::Join(args) => args.run(),
        Command::Key(args) => args.run(),
        Command::Lamp(args) => args.run(),
        Command::Leave(args) => args.run(),
        Command::Link(args) => args.run(),
        Command::Mute(args) => args.run(),
        Command::NewHost(args) => args.run(),
        Command::NewMeeting(args) => args.run(),
        Command::PagePassword(args) => args.run(),
        Command::Provision(args) => args.run(),
        Command::Run(args) => meet(args.prepare()),
        Command::Selftest(args) => args.run(),
        Command::Start(args) => args.run(),
        Command::Status(args) => args.run(),
        Command::Update(args) => args.run(),
    });
    leave(code)
}

fn meet(prepared: Result<Prepared, Failure>) -> Result<(), Failure> {
    daemon::run(prepared?).map_err(Failure::Failed)
}

/// Ends the process without the exit handlers of C libraries: OpenSSL's would free what a thread of GStreamer may still
/// be using (a DTLS key being made, an encoder being tried), and a box that was asked to stop would crash instead.
/// Everything of our own has been dropped before.
fn leave(code: u8) -> ! {
    // A reader that went away is no reason to end differently.
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
    // SAFETY: `_exit` takes a number, touches no memory of ours and does not return.
    unsafe { libc::_exit(code.into()) }
}
