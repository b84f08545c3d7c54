// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which rooms there are, and which packets go to which.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use roomseal_policy::E2ee;
use tokio::sync::mpsc;

use crate::engine::Embedded;
use crate::forward::{Route, Way};
use crate::meeting::{Doors, Knock, Meeting, Packet};
use crate::routes::{RoomNumber, Routes};

/// All rooms of a hub.
#[derive(Debug)]
pub(crate) struct Switch {
    start: Instant,
    most_rooms: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    routes: Routes,
    numbers: HashMap<String, RoomNumber>,
    rooms: HashMap<RoomNumber, Doors>,
    next: RoomNumber,
}

impl Switch {
    pub(crate) fn new(most_rooms: usize) -> Self {
        Self {
            start: Instant::now(),
            most_rooms,
            inner: Mutex::default(),
        }
    }

    /// The room of that name, which is opened if it is not there; `None` when there are too many.
    pub(crate) fn room(&self, name: &str, embedded: &Arc<Embedded>) -> Option<mpsc::Sender<Knock>> {
        let mut inner = self.lock();
        let known = inner.numbers.get(name).copied();
        let number = match known {
            Some(number) => number,
            None if inner.rooms.len() >= self.most_rooms => return None,
            None => {
                inner.next += 1;
                let number = inner.next;
                inner.numbers.insert(name.into(), number);
                inner
                    .rooms
                    .insert(number, Meeting::open(embedded, number, name));
                number
            }
        };
        inner.rooms.get(&number).map(|doors| doors.knocks.clone())
    }

    /// The room of that name, if it is there.
    pub(crate) fn find(&self, name: &str) -> Option<mpsc::Sender<Knock>> {
        let inner = self.lock();
        let number = inner.numbers.get(name)?;
        let doors = inner.rooms.get(number)?;
        Some(doors.knocks.clone())
    }

    /// Whether end-to-end encryption is on in the room of that name, as its hosts told the hub; `None`: nobody did.
    pub(crate) fn e2ee(&self, name: &str) -> Option<E2ee> {
        let inner = self.lock();
        let number = inner.numbers.get(name)?;
        inner.rooms.get(number)?.said.e2ee()
    }

    /// All rooms.
    pub(crate) fn rooms(&self) -> Vec<(String, mpsc::Sender<Knock>)> {
        let inner = self.lock();
        let rooms = inner.numbers.iter().filter_map(|(name, number)| {
            let doors = inner.rooms.get(number)?;
            Some((name.clone(), doors.knocks.clone()))
        });
        rooms.collect()
    }

    /// Takes a room out, unless somebody waits at its door.
    pub(crate) fn close(
        &self,
        number: RoomNumber,
        name: &str,
        nobody_waits: impl Fn() -> bool,
    ) -> bool {
        let mut inner = self.lock();
        if !nobody_waits() {
            return false;
        }
        inner.numbers.remove(name);
        inner.rooms.remove(&number);
        inner.routes.close(number);
        true
    }

    /// Hands a packet to its room. Whether it is somebody's; a room that is too busy for it loses it all the same.
    pub(crate) fn pass(&self, way: Way, bytes: &[u8]) -> bool {
        let at = Instant::now();
        let mut inner = self.lock();
        let now = at.saturating_duration_since(self.start);
        let Some((room, peer)) = inner.routes.of(way, bytes, now) else {
            return false;
        };
        if let Some(doors) = inner.rooms.get(&room) {
            let packet = Packet {
                peer,
                way,
                bytes: bytes.to_vec(),
                at,
            };
            // A room that cannot keep up loses packets, and no other room does.
            let _ = doors.packets.try_send(packet);
        }
        true
    }

    /// Takes a change in whose packets are whose.
    pub(crate) fn change(&self, room: RoomNumber, route: Route) {
        let now = self.start.elapsed();
        self.lock().routes.change(room, route, now);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is a single one, so that a panic leaves nothing half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
