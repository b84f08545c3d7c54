// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `roomseal` program.

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
    end(match Cli::parse().command {
        Command::CheckConfig(args) => args.run(),
        Command::Frame(args) => args.run(),
        Command::Guest(args) => meet(args.prepare()),
        Command::Invite(args) => args.run(),
        Command::Run(args) => meet(args.prepare()),
        Command::Selftest(args) => args.run(),
        Command::Status(args) => args.run(),
    })
}

fn meet(prepared: Result<Prepared, Failure>) -> Result<(), Failure> {
    daemon::run(prepared?).map_err(Failure::Failed)
}
