// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a host shows the meeting service to be taken for one.

use alloc::string::String;

use serde::Serialize;

use crate::canonical;
use crate::certificate::Host;
use crate::jws::{self, Kind};

/// That a host comes in under a name of the service's, which is drawn anew each time: so a proof is good once.
///
/// JWS (`typ` `roomseal-host-entry`) by a host key over `{"room":…,"identity":…,"hub":…}`. The host's certificate goes
/// with it. It is between the host and the service; no member obeys it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostEntry {
    /// The room.
    pub room: String,
    /// What the service calls the host: its identity in the room, or its place in the waiting room.
    pub identity: String,
    /// What the host calls the service: the name, and port if there is one, that it asks it by.
    pub hub: String,
}

impl HostEntry {
    /// Signs it.
    pub fn sign(&self, host: &Host) -> String {
        let payload = canonical::write(self);
        jws::sign(Kind::HostEntry, payload.as_bytes(), host.key().signer())
    }
}
