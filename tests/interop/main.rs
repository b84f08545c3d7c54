// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interop with LiveKit's own clients, as they are shipped, and with who reads the description of the hub's API.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod node;
mod nonsense;
mod page;
mod worker;
