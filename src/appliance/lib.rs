// SPDX-License-Identifier: MIT OR Apache-2.0
//! The box: command line, configuration and the daemon that puts the rooms together.
//!
//! [`cli`] is what people type, [`config::Config`] what they wrote, checked; [`cli::RunArgs::prepare`] makes one
//! [`cli::Prepared`] of both. [`supervise::Supervisor`] holds the tasks of a running box, [`status::Publisher`] what it
//! says about itself, and [`roster`] turns what the service says into what [`roomseal_meeting`] decides on.
#![forbid(unsafe_code)]

pub mod bookings;
pub mod budget;
pub mod buttons;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod enrolment;
pub mod hygiene;
pub mod lamp;
pub mod logging;
mod new_meeting;
pub mod page;
pub mod password;
pub mod provisioning;
pub mod roster;
pub mod screen;
pub mod secret;
pub mod session;
mod socket_file;
pub mod status;
pub mod supervise;
pub mod text;
