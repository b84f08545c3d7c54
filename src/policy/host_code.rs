// SPDX-License-Identifier: MIT OR Apache-2.0
//! Thirty digits to compare where no link named the meeting's hosts.

use alloc::vec::Vec;
use core::fmt;

use crate::digest::{MeetingKeyHash, sha256};
use crate::room::RoomName;

/// The code that stands beside "host not checked" and that the host's own screen shows too.
///
/// `d = SHA-256("roomseal host code v1" ‖ len16(room) ‖ room ‖ h)`; each 5 bytes of its first 30, as a number, modulo
/// 100 000 give one group of five digits. To make a meeting key with the code of another takes some 2⁹⁹ tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCode([u32; 6]);

impl HostCode {
    /// The code of a meeting.
    pub fn new(room: &RoomName, meeting: &MeetingKeyHash) -> Self {
        let room = room.as_str().as_bytes();
        let length = u16::try_from(room.len()).expect("a room's name has at most 64 bytes");
        let mut input = Vec::from(*b"roomseal host code v1");
        input.extend(length.to_be_bytes());
        input.extend(room);
        input.extend(meeting.as_bytes());
        let digest = sha256(&input);
        Self(core::array::from_fn(|group| {
            let number = digest[group * 5..][..5]
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte));
            u32::try_from(number % 100_000).expect("five digits fit")
        }))
    }
}

impl fmt::Display for HostCode {
    /// Six groups of five digits with spaces between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, group) in self.0.iter().enumerate() {
            let space = if at > 0 { " " } else { "" };
            write!(f, "{space}{group:05}")?;
        }
        Ok(())
    }
}
