// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program as people run it: what goes in, what comes out, what it ends with.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod boards;
mod config;
mod enrol;
mod frame;
mod hub;
mod lamp;
mod microphone;
mod order;
mod program;
mod provision;
mod run;
mod status;
mod units;
