// SPDX-License-Identifier: MIT OR Apache-2.0
//! The LiveKit client against a real livekit-server, and against servers that misbehave.

// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

mod client;
mod fake;
mod hostile;
mod meeting;
mod network;
mod refusal;
mod server;
mod trust;
