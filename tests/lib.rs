// SPDX-License-Identifier: MIT OR Apache-2.0
//! What crosses rooms: interop with foreign clients and servers, attacks, faults.
//!
//! This library is what the test binaries share: a real `livekit-server`, the official Python SDK as a participant, the
//! `roomseal` binary as a user runs it, real footage to compare with, and networks that can be cut.
//!
//! Everything here panics with a full account of what happened when something is not as it should be: in a test, that is
//! the verdict. Nothing skips: where the real thing is missing, the test fails and says how to get it.

#![allow(
    clippy::missing_panics_doc,
    reason = "see above: a fixture's panic is the test's verdict"
)]

pub mod appliance;
pub mod bare;
pub mod browser;
pub mod code;
pub mod crossing;
pub mod device;
pub mod doorway;
pub mod footage;
pub mod keeper;
pub mod leak;
pub mod livekit;
pub mod network;
pub mod people;
pub mod places;
pub mod process;
pub mod proxy;
pub mod rauc;
pub mod relay;
pub mod sdk;
pub mod toggle;
pub mod visitor;
