// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings in the hub's own process.

use std::net::SocketAddr;

use roomseal_hub::EngineConfig;

use super::harness::embedded;

pub(crate) struct Held;

impl Held {
    pub(crate) const IS_EMBEDDED: bool = true;

    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn engine(&self) -> EngineConfig {
        embedded()
    }

    /// Clients connect to the hub itself.
    pub(crate) fn belongs_to(&self, _hub: SocketAddr) {}

    /// Where rooms are administered; those in the hub by its own address.
    pub(crate) fn rooms(&self, hub: SocketAddr) -> SocketAddr {
        hub
    }
}
