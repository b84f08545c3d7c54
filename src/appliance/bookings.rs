// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this box is booked for: heard from its hub, opened with its own key, and entered when somebody here asks for it.
//!
//! The hub says who booked, and could say anything: a booking is an invitation, and nothing enters it but a press or a
//! word. The link that leads there stays here, in memory, and goes to who enters it.

mod hear;
mod open;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roomseal_policy::Link;

use crate::status::Booked;

pub use hear::hear;

/// How long before its start a meeting is the next one for who asks for that in words.
const ASKED: Duration = Duration::from_secs(30 * 60);

/// How long before its start the button enters it.
const PRESSED: Duration = Duration::from_secs(10 * 60);

/// How far the box's clock may be from the hub's. Farther, and the hub's counts for what is booked: a box without a
/// battery for its clock begins in another year.
const APART: i64 = 120;

/// What the box is booked for; all clones have the same.
#[derive(Clone, Debug, Default)]
pub struct Bookings(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    invitations: Vec<Invitation>,
    /// Seconds that the hub's clock is ahead, where that counts.
    ahead: i64,
}

/// A booking that opened.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// What is shown of it.
    pub shown: Booked,
    /// Where it leads.
    pub link: Link,
    /// What it was opened from.
    sealed: String,
}

impl Bookings {
    /// The meeting that somebody means who asks for the next one: of those that run the last that began, else the first
    /// that begins within half an hour. Not that in `here`, where the box is.
    pub fn next(&self, here: Option<&str>) -> Option<Invitation> {
        self.lock().next(system_time(), ASKED, here).cloned()
    }

    /// The meeting that a press of the button enters now.
    pub fn by_press(&self) -> Option<Invitation> {
        self.lock().next(system_time(), PRESSED, None).cloned()
    }

    /// The meeting in this room.
    pub fn of(&self, room: &str) -> Option<Invitation> {
        let book = self.lock();
        let now = book.now(system_time());
        let mut left = book.left(now);
        left.find(|one| one.shown.room == room).cloned()
    }

    /// A meeting as it is told to people: what, when, and by whom.
    pub fn called(&self, booked: &Booked) -> String {
        let now = self.lock().now(system_time());
        format!(
            "\"{}\", {}, {}",
            booked.title,
            booked.when(now),
            booked.by()
        )
    }

    /// What is not over.
    fn shown(&self) -> Vec<Booked> {
        let book = self.lock();
        let left = book.left(book.now(system_time()));
        left.map(|one| one.shown.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn now(&self, system: i64) -> i64 {
        system.saturating_add(self.ahead)
    }

    fn left(&self, now: i64) -> impl Iterator<Item = &Invitation> {
        self.invitations
            .iter()
            .filter(move |one| one.shown.ends > now)
    }

    fn next(&self, system: i64, before: Duration, here: Option<&str>) -> Option<&Invitation> {
        let now = self.now(system);
        let soon = now.saturating_add(before.as_secs() as i64);
        let elsewhere = || {
            self.left(now)
                .filter(|one| here != Some(one.shown.room.as_str()))
        };
        let running = elsewhere().filter(|one| one.shown.starts <= now);
        let coming = elsewhere().filter(|one| one.shown.starts > now && one.shown.starts <= soon);
        running
            .max_by_key(|one| one.shown.starts)
            .or_else(|| coming.min_by_key(|one| one.shown.starts))
    }
}

/// The box's own clock, in seconds since 1970.
fn system_time() -> i64 {
    seconds(SystemTime::now())
}

fn seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use roomseal_policy::{E2ee, RoomName};

    use super::*;
    use crate::new_meeting::{NewMeeting, link_secret};

    const NOW: i64 = 1_800_000_000;

    /// The link of a host into `room` at `origin`.
    pub(crate) fn host_link(origin: &str, room: &str) -> Link {
        let room: RoomName = room.parse().unwrap();
        let secret = link_secret().unwrap();
        let made = NewMeeting::make(origin.parse().unwrap(), room, secret, E2ee::On).unwrap();
        made.host(&"Ada".parse().unwrap()).unwrap()
    }

    fn invitation(room: &str, starts: i64, ends: i64) -> Invitation {
        Invitation {
            shown: Booked {
                room: room.to_owned(),
                title: room.to_owned(),
                starts: NOW + starts,
                ends: NOW + ends,
                organiser: "Ada".to_owned(),
                hub: "meet.example.org".to_owned(),
                e2ee: true,
                waiting_room: false,
            },
            link: host_link("https://meet.example.org", room),
            sealed: String::new(),
        }
    }

    fn book(invitations: &[(&str, i64, i64)]) -> Book {
        let invitations = invitations.iter();
        Book {
            invitations: invitations
                .map(|(room, starts, ends)| invitation(room, *starts, *ends))
                .collect(),
            ahead: 0,
        }
    }

    fn next<'a>(book: &'a Book, before: Duration, here: Option<&str>) -> Option<&'a str> {
        let next = book.next(NOW, before, here);
        next.map(|one| one.shown.room.as_str())
    }

    #[test]
    fn what_runs_comes_before_what_begins_and_of_two_that_run_the_later() {
        let book = book(&[
            ("over", -7200, 0),
            ("long", -3600, 3600),
            ("short", -60, 600),
            ("soon", 60, 3600),
        ]);
        assert_eq!(next(&book, ASKED, None), Some("short"));
        assert_eq!(next(&book, PRESSED, None), Some("short"));
        assert_eq!(next(&book, ASKED, Some("short")), Some("long"));
    }

    #[test]
    fn the_next_begins_within_half_an_hour_and_for_the_button_within_ten_minutes() {
        for (starts, asked, pressed) in [
            (600, true, true),
            (601, true, false),
            (1800, true, false),
            (1801, false, false),
        ] {
            let book = book(&[("later", starts + 60, 9000), ("soon", starts, 9000)]);
            assert_eq!(
                next(&book, ASKED, None),
                asked.then_some("soon"),
                "{starts}"
            );
            assert_eq!(
                next(&book, PRESSED, None),
                pressed.then_some("soon"),
                "{starts}"
            );
        }
        assert_eq!(next(&book(&[("over", -60, 0)]), ASKED, None), None);
    }

    #[test]
    fn a_clock_that_is_not_set_does_not_decide_what_runs() {
        let mut book = book(&[("running", -60, 600)]);
        let in_1970 = 100;
        assert!(book.next(in_1970, ASKED, None).is_none());
        book.ahead = NOW - in_1970;
        assert!(book.next(in_1970, ASKED, None).is_some());
        assert_eq!(book.left(book.now(in_1970)).count(), 1);
        assert_eq!(book.left(book.now(in_1970 + 600)).count(), 0, "it is over");
    }

    #[test]
    fn nothing_of_a_link_is_printed() {
        let one = invitation("budget", 0, 60);
        let secret = one.link.expose();
        let secret = secret.split_once("#k=").unwrap().1;
        let secret = secret.split_once('&').unwrap().0;
        assert!(!format!("{one:?}").contains(secret), "{one:?}");
    }
}
