// SPDX-License-Identifier: MIT OR Apache-2.0
//! Room boxes that an organiser books: the words of their keys, and the host link sealed to each.

use roomseal_e2ee::Fresh;
use roomseal_e2ee::envelope::{self, DevicePublic, NotAPoint, SealError};
use roomseal_policy::{KEY_WORDS, PublicKey, RoomName, key_words};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A box that is to come to a meeting.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guest {
    /// What the hub calls it.
    pub device: String,
    /// Its key, which people have compared: the compressed point in base64url.
    pub key: PublicKey,
}

/// The host link, sealed to the key of a box.
#[derive(Debug, Serialize)]
pub struct Booking {
    /// What the hub calls the box.
    pub device: String,
    /// Base64url; nobody but the box can open it.
    pub sealed: String,
}

/// Why a room cannot be booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotBooked {
    /// The key is none.
    #[error("the key of a room is no key: have an admin enrol its box anew")]
    Key(#[from] NotAPoint),
    /// The link is not sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The words by which people compare the key of a box with what the box shows.
pub fn words(key: &PublicKey) -> [&'static str; KEY_WORDS] {
    key_words(key.as_bytes())
}

/// Seals the host link of the meeting in `room` to the key of each box.
pub(crate) fn book(
    guests: &[Guest],
    room: &RoomName,
    link: &str,
    fresh: &mut Fresh,
) -> Result<Vec<Booking>, NotBooked> {
    let bookings = guests.iter().map(|guest| {
        let to = DevicePublic::new(guest.key.as_bytes())?;
        let random = Zeroizing::new(fresh.draw());
        Ok(Booking {
            device: guest.device.clone(),
            sealed: envelope::seal(&to, room.as_str(), link, &random)?,
        })
    });
    bookings.collect()
}
