// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rooms that are booked for meetings: boxes, each with a host link that was sealed to its key and that stays closed here.

use std::collections::{BTreeMap, BTreeSet};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::{Deserialize, Serialize};

use super::devices::Device;
use super::meetings::{Asker, Plan};
use super::{People, Refusal};

/// Rooms of one meeting.
pub(crate) const MOST: usize = 16;

/// The longest sealed link, in characters.
pub(crate) const LONGEST: usize = 8192;

/// The shortest, in bytes: a version, a point of the curve and a tag.
const SHORTEST: usize = 1 + 65 + 16;

/// Meetings that a device is told of, the next ones. With the longest links they are less than a mebibyte.
const TOLD: i64 = 64;

/// A box that can be booked.
#[derive(Debug, Serialize)]
pub(crate) struct Room {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Its public key: a compressed point of P-256 in base64url.
    pub(crate) key: String,
}

/// That a box is to come to a meeting.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Booking {
    pub(crate) device: String,
    /// The host link, sealed to the key of the device; base64url.
    pub(crate) sealed: String,
}

/// A box that is booked.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Booked {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A meeting, as it is told to a box that is booked for it.
#[derive(Debug, Serialize)]
pub(crate) struct Invited {
    pub(crate) room: String,
    pub(crate) title: String,
    #[serde(flatten)]
    pub(crate) plan: Plan,
    pub(crate) e2ee: bool,
    pub(crate) waiting_room: bool,
    /// What its organiser is called; empty: the owner's box, or an account that is gone.
    pub(crate) organiser: String,
    pub(crate) sealed: String,
}

impl People {
    /// The rooms that can be booked.
    ///
    /// # Errors
    /// When what is kept cannot be read.
    pub(crate) async fn rooms(&self) -> Result<Vec<Room>, Refusal> {
        Ok(self.store.begin().await?.rooms().await?)
    }

    /// The rooms that are booked for the scheduled meetings of who asks, by the meeting's own room.
    ///
    /// # Errors
    /// When what is kept cannot be read.
    pub(crate) async fn booked(
        &self,
        asker: &Asker,
    ) -> Result<BTreeMap<String, Vec<Booked>>, Refusal> {
        let mut work = self.store.begin().await?;
        let of = asker.account().map(|account| &account.id);
        Ok(work.booked(of, self.now()).await?)
    }

    /// The meetings that a device is booked for and that are not over, the next first.
    ///
    /// # Errors
    /// When what is kept cannot be read.
    pub(crate) async fn invited(&self, device: &Device) -> Result<Vec<Invited>, Refusal> {
        let mut work = self.store.begin().await?;
        Ok(work.invited(&device.id, self.now(), TOLD).await?)
    }
}

/// Looks at what can be seen of bookings from outside: how many, each device once, and the form of what is sealed.
pub(super) fn check(bookings: &[Booking]) -> Result<(), Refusal> {
    if bookings.len() > MOST {
        return Err(Refusal::Invalid("rooms: book at most 16 for one meeting"));
    }
    let devices: BTreeSet<_> = bookings.iter().map(|booking| &booking.device).collect();
    if devices.len() < bookings.len() {
        return Err(Refusal::Invalid("rooms: name each room once"));
    }
    if bookings.iter().all(|booking| is_sealed(&booking.sealed)) {
        Ok(())
    } else {
        Err(Refusal::Invalid(
            "sealed: send the host link, sealed to the key of the room, in base64url without padding and in at most \
             8192 characters",
        ))
    }
}

fn is_sealed(text: &str) -> bool {
    text.len() <= LONGEST
        && Base64UrlUnpadded::decode_vec(text).is_ok_and(|bytes| bytes.len() >= SHORTEST)
}
