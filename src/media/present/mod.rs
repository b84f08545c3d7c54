// SPDX-License-Identifier: MIT OR Apache-2.0

//! From sealed frames to screen, speaker and files.

mod config;
pub mod frame;
pub mod gate;
pub mod label;
pub mod layout;
pub mod state;

pub use config::*;
