// SPDX-License-Identifier: MIT OR Apache-2.0
//! The secrets of meetings whose key model is `server`: the one place in the hub that holds any.
//!
//! Each is made for one session, when the first who was admitted asks for it, and wiped when the session is over. It is
//! in no metadata, no log and no file; after the hub was started again, members find that their key is another one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::people::draw;

/// A secret: 32 random bytes.
type Secret = Zeroizing<[u8; 32]>;

/// Secrets by room.
#[derive(Default)]
pub(crate) struct Secrets(Mutex<HashMap<String, Secret>>);

impl Secrets {
    /// The secret of the session in this room, for who was admitted to it.
    pub(crate) fn of(&self, room: &str) -> Secret {
        let mut secrets = self.lock();
        let secret = secrets.entry(room.to_owned()).or_insert_with(|| {
            let mut secret = Zeroizing::new([0; 32]);
            draw(&mut *secret);
            secret
        });
        secret.clone()
    }

    /// The session in this room is over.
    pub(crate) fn forget(&self, room: &str) {
        self.lock().remove(room);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Secret>> {
        // Every change is a single one, so that a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} of them)", self.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_one_secret_and_the_next_another() {
        let secrets = Secrets::default();
        let first = secrets.of("room");
        assert_eq!(*secrets.of("room"), *first);
        assert_ne!(*secrets.of("another"), *first);
        assert_ne!(*first, [0; 32]);
        secrets.forget("room");
        assert_ne!(*secrets.of("room"), *first);
        assert_eq!(format!("{secrets:?}"), "Secrets(2 of them)");
    }
}
