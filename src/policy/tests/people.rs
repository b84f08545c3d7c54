// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings, hosts and decisions that are the same in every run.

use roomseal_policy::{
    Certificate, Check, Decision, E2ee, Host, HostKey, KeyModel, KeySeed, MeetingKey, PolicyNonce,
    RoomName,
};
use zeroize::Zeroizing;

pub(crate) fn seed(fill: u8) -> KeySeed {
    KeySeed::new(Zeroizing::new([fill; 32])).unwrap()
}

pub(crate) fn room() -> RoomName {
    "board-room".parse().unwrap()
}

pub(crate) fn meeting() -> MeetingKey {
    MeetingKey::from_seed(&seed(1))
}

/// A host of [`meeting`], another for each number.
pub(crate) fn host(number: u8) -> Host {
    host_of(&meeting(), &room(), number)
}

pub(crate) fn host_of(meeting: &MeetingKey, room: &RoomName, number: u8) -> Host {
    let key = HostKey::from_seed(&seed(100 + number));
    let name = format!("Host {number}").parse().unwrap();
    let certificate = Certificate::issue(meeting, room, key.public(), &name);
    Host::new(key, certificate).unwrap()
}

/// What a host decides; `nonce` tells decisions apart.
pub(crate) fn decide(e2ee: E2ee, nonce: u8) -> Decision {
    Decision {
        e2ee,
        key: KeyModel::User,
        nonce: PolicyNonce::new([nonce; 16]),
        check: Check::new([0xC0 ^ nonce; 16]),
        at: 1_763_785_200 + u64::from(nonce),
    }
}
