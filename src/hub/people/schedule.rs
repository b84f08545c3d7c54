// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings that are scheduled: who may, and whose they are.

use super::account::Role;
use super::bookings::{self, Booked, Booking};
use super::meetings::{Asker, Meeting, Plan};
use super::{People, Refusal};

/// Scheduled meetings of one account that are not over.
const MOST: usize = 500;

/// The longest title, in characters.
const LONGEST_TITLE: usize = 200;

/// The longest meeting, in seconds: a month.
const LONGEST: i64 = 31 * 24 * 60 * 60;

/// How far ahead a meeting may begin, in seconds: ten years.
const AHEAD: i64 = 10 * 366 * 24 * 60 * 60;

impl People {
    /// Keeps a meeting that is to be, and the rooms that are booked for it.
    ///
    /// # Errors
    /// When it takes a licence that is not there, the room is taken, the plan makes no sense, or a room cannot be booked.
    pub(crate) async fn schedule(
        &self,
        asker: &Asker,
        meeting: Meeting,
        called: &str,
        plan: Plan,
        bookings: &[Booking],
    ) -> Result<(Meeting, Vec<Booked>), Refusal> {
        let title = title(called)?;
        bookings::check(bookings)?;
        let Plan { starts, ends } = plan;
        let now = self.now();
        if ends <= now || starts > now.saturating_add(AHEAD) {
            return Err(Refusal::Invalid(
                "starts, ends: send seconds since 1970, of a meeting that is not over and begins within ten years",
            ));
        }
        if ends <= starts || ends.saturating_sub(starts) > LONGEST {
            return Err(Refusal::Invalid(
                "ends: send a moment after the start, at most a month later",
            ));
        }
        if self.plans(asker).await?.len() >= MOST {
            return Err(Refusal::Invalid(
                "there are 500 scheduled meetings already; cancel one that is not needed any more",
            ));
        }
        let meeting = Meeting {
            title: Some(title),
            plan: Some(plan),
            ..meeting
        };
        let mut work = self.store.begin().await?;
        let meeting = self.begin_meeting(&mut work, asker, meeting).await?;
        let rooms = work.rooms().await?;
        let mut booked = Vec::with_capacity(bookings.len());
        for booking in bookings {
            let Some(room) = rooms.iter().find(|room| room.id == booking.device) else {
                return Err(Refusal::NoSuchRoom(booking.device.clone()));
            };
            work.insert_booking(&meeting.room, booking).await?;
            booked.push(Booked {
                id: room.id.clone(),
                name: room.name.clone(),
            });
        }
        work.commit().await?;
        Ok((meeting, booked))
    }

    /// The scheduled meetings of who asks that are not over, the next first.
    ///
    /// # Errors
    /// When what is kept cannot be read.
    pub(crate) async fn plans(&self, asker: &Asker) -> Result<Vec<Meeting>, Refusal> {
        let mut work = self.store.begin().await?;
        let of = asker.account().map(|account| &account.id);
        Ok(work.plans(of, self.now()).await?)
    }

    /// One of them.
    ///
    /// # Errors
    /// When there is none, or it is another's.
    pub(crate) async fn plan(&self, asker: &Asker, room: &str) -> Result<Meeting, Refusal> {
        let meeting = self.store.begin().await?.meeting(room).await?;
        let meeting = meeting.filter(|meeting| meeting.plan.is_some() && is_of(meeting, asker));
        meeting.ok_or(Refusal::NoSuch("scheduled meeting"))
    }

    /// Takes one back. Who has its link can still meet there: the link is theirs.
    ///
    /// # Errors
    /// When there is none, or it is another's; admins cancel all.
    pub(crate) async fn cancel(&self, asker: &Asker, room: &str) -> Result<(), Refusal> {
        let mut work = self.store.begin().await?;
        let meeting = work.meeting(room).await?;
        let meeting = meeting.filter(|meeting| {
            let admin = matches!(asker, Asker::Account(account) if account.role == Role::Admin);
            meeting.plan.is_some() && (admin || is_of(meeting, asker))
        });
        let meeting = meeting.ok_or(Refusal::NoSuch("scheduled meeting"))?;
        work.delete_meeting(&meeting.room).await?;
        Ok(work.commit().await?)
    }

    /// Forgets a meeting that is over, so that another can have its room.
    ///
    /// # Errors
    /// When nothing can be kept.
    pub(crate) async fn end_meeting(&self, room: &str) -> Result<(), Refusal> {
        let mut work = self.store.begin().await?;
        work.delete_meeting(room).await?;
        Ok(work.commit().await?)
    }
}

fn is_of(meeting: &Meeting, asker: &Asker) -> bool {
    meeting.organiser.as_ref() == asker.account().map(|account| &account.id)
}

fn title(typed: &str) -> Result<String, Refusal> {
    let title = typed.trim();
    let fits = (1..=LONGEST_TITLE).contains(&title.chars().count())
        && !title.chars().any(char::is_control);
    if fits {
        Ok(title.to_owned())
    } else {
        Err(Refusal::Invalid(
            "title: take 1 to 200 characters that can be seen",
        ))
    }
}
