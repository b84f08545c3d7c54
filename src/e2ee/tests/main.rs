// SPDX-License-Identifier: MIT OR Apache-2.0
//! The public interface against vectors, an independent reference, and hostile input.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod data;
mod envelope;
mod epoch;
mod frames;
mod h264;
mod reference;
mod secrets;
mod vectors;
