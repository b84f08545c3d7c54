// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who waits to be let into a meeting, until a host admits them or they go away.
//!
//! Whoever waits asks again and again, with a ticket that only he has. It stays good after he was admitted, so that a page
//! that is loaded anew does not wait again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use zeroize::Zeroizing;

use crate::entry;
use crate::people::{draw_token, hash};

/// Who has not asked for so long waits no more.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a ticket is good after its owner was admitted and came in.
const ADMITTED: Duration = Duration::from_secs(12 * 60 * 60);

/// People who wait for one meeting at a time.
const MOST: usize = 64;

/// Meetings that people wait for at a time.
const MOST_MEETINGS: usize = 1024;

/// Those who wait, by room.
#[derive(Debug, Default)]
pub(crate) struct Lobby(Mutex<HashMap<String, Vec<Waiting>>>);

#[derive(Debug)]
struct Waiting {
    shown: Shown,
    /// SHA-256 of the ticket.
    ticket: String,
    asked: Instant,
    verdict: Option<bool>,
}

/// Somebody who waits, as hosts see him.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Whether he has an account here and is signed in.
    pub(crate) signed_in: bool,
}

/// What somebody who waits gets.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) id: String,
    /// Nobody else's business.
    pub(crate) text: Zeroizing<String>,
}

/// How it stands with a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No host has decided yet.
    Waits,
    Admitted,
    Refused,
}

/// More people wait than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Lobby {
    /// Somebody wants to be let in.
    ///
    /// # Errors
    /// When too many wait already.
    pub(crate) fn knock(
        &self,
        room: &str,
        name: &str,
        signed_in: bool,
        now: Instant,
    ) -> Result<Ticket, Full> {
        let mut rooms = self.lock();
        if rooms.len() >= MOST_MEETINGS {
            rooms.retain(|_, waiting| {
                tidy(waiting, now);
                !waiting.is_empty()
            });
            if rooms.len() >= MOST_MEETINGS && !rooms.contains_key(room) {
                return Err(Full);
            }
        }
        let waiting = rooms.entry(room.to_owned()).or_default();
        tidy(waiting, now);
        if waiting.iter().filter(|it| it.verdict != Some(true)).count() >= MOST {
            return Err(Full);
        }
        let ticket = Ticket {
            id: entry::drawn(""),
            text: Zeroizing::new(draw_token()),
        };
        waiting.push(Waiting {
            shown: Shown {
                id: ticket.id.clone(),
                name: name.to_owned(),
                signed_in,
            },
            ticket: hash(&ticket.text),
            asked: now,
            verdict: None,
        });
        Ok(ticket)
    }

    /// Somebody asks again; `None`: there is no such ticket, or no longer.
    pub(crate) fn ask(&self, room: &str, ticket: &str, now: Instant) -> Option<(Shown, Standing)> {
        let mut rooms = self.lock();
        let waiting = rooms.get_mut(room)?;
        tidy(waiting, now);
        let ticket = hash(ticket);
        let found = waiting.iter_mut().find(|it| it.ticket == ticket)?;
        found.asked = now;
        let standing = match found.verdict {
            None => Standing::Waits,
            Some(true) => Standing::Admitted,
            Some(false) => Standing::Refused,
        };
        Some((found.shown.clone(), standing))
    }

    /// Those about whom no host has decided, the first first.
    pub(crate) fn waiting(&self, room: &str, now: Instant) -> Vec<Shown> {
        let mut rooms = self.lock();
        let Some(waiting) = rooms.get_mut(room) else {
            return Vec::new();
        };
        tidy(waiting, now);
        let undecided = waiting.iter().filter(|it| it.verdict.is_none());
        undecided.map(|it| it.shown.clone()).collect()
    }

    /// A host decides; whether somebody of that id waits.
    pub(crate) fn decide(&self, room: &str, id: &str, admit: bool, now: Instant) -> bool {
        let mut rooms = self.lock();
        let Some(waiting) = rooms.get_mut(room) else {
            return false;
        };
        tidy(waiting, now);
        let mut undecided = waiting.iter_mut().filter(|it| it.verdict.is_none());
        let Some(found) = undecided.find(|it| it.shown.id == id) else {
            return false;
        };
        found.verdict = Some(admit);
        found.asked = now;
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Waiting>>> {
        // Every change is a single one, so that a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes out who has gone.
fn tidy(waiting: &mut Vec<Waiting>, now: Instant) {
    waiting.retain(|it| {
        let patience = if it.verdict == Some(true) {
            ADMITTED
        } else {
            PATIENCE
        };
        now.saturating_duration_since(it.asked) <= patience
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_shown_until_a_host_decides() {
        let (lobby, now) = (Lobby::default(), Instant::now());
        let ann = lobby
            .knock("room", "Ann", true, now)
            .expect("there is room");
        let eve = lobby
            .knock("room", "Eve", false, now)
            .expect("there is room");
        let shown = lobby.waiting("room", now);
        let names: Vec<_> = shown.iter().map(|it| (&*it.name, it.signed_in)).collect();
        assert_eq!(names, [("Ann", true), ("Eve", false)]);
        assert_eq!(lobby.waiting("another", now), []);
        let ask = |ticket: &Ticket| lobby.ask("room", &ticket.text, now).map(|(_, it)| it);
        assert_eq!(ask(&ann), Some(Standing::Waits));
        assert!(lobby.decide("room", &ann.id, true, now));
        assert!(lobby.decide("room", &eve.id, false, now));
        assert_eq!(
            (ask(&ann), ask(&eve)),
            (Some(Standing::Admitted), Some(Standing::Refused))
        );
        assert_eq!(lobby.waiting("room", now), []);
        // Once is for good, and tickets are for one room.
        assert!(!lobby.decide("room", &eve.id, true, now));
        assert_eq!(lobby.ask("another", &ann.text, now), None);
        assert_eq!(lobby.ask("room", &ann.id, now), None);
    }

    #[test]
    fn who_has_gone_is_forgotten_and_who_was_admitted_not_at_once() {
        let (lobby, start) = (Lobby::default(), Instant::now());
        let ann = lobby
            .knock("room", "Ann", false, start)
            .expect("there is room");
        let eve = lobby
            .knock("room", "Eve", false, start)
            .expect("there is room");
        assert!(lobby.decide("room", &ann.id, true, start));
        let later = start + PATIENCE + Duration::from_millis(1);
        assert_eq!(lobby.waiting("room", later), []);
        assert_eq!(lobby.ask("room", &eve.text, later), None);
        assert!(!lobby.decide("room", &eve.id, true, later));
        assert!(lobby.ask("room", &ann.text, later).is_some());
        assert_eq!(lobby.ask("room", &ann.text, later + ADMITTED * 2), None);
    }

    #[test]
    fn only_so_many_wait_and_they_are_forgotten_in_time() {
        let (lobby, now) = (Lobby::default(), Instant::now());
        let knock = |room: &str, now| lobby.knock(room, "Eve", false, now).is_ok();
        assert_eq!((0..1000).filter(|_| knock("room", now)).count(), MOST);
        let others = (0..10_000).filter(|number| knock(&format!("room{number}"), now));
        assert_eq!(others.count(), MOST_MEETINGS - 1);
        let later = now + PATIENCE + Duration::from_millis(1);
        assert!(knock("another", later) && knock("room", later));
        assert_eq!(lobby.lock().len(), 2);
    }
}
