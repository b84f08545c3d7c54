// SPDX-License-Identifier: MIT OR Apache-2.0
//! The box: command line, configuration and the daemon that puts the rooms together.
//!
//! [`config::Config`] is what people wrote, checked. [`supervise::Supervisor`] holds the tasks
//! of a running box, and [`status::Publisher`] what it says about itself.
#![forbid(unsafe_code)]

pub mod config;
pub mod hygiene;
pub mod logging;
pub mod secret;
pub mod status;
pub mod supervise;
pub mod text;
