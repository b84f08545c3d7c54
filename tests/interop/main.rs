// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interop with LiveKit's own clients, as they are shipped.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod page;
mod worker;
