// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rooms that can be booked, and those that are.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, query};

use super::{StoreError, Work};
use crate::people::account::AccountId;
use crate::people::bookings::{Booked, Booking, Invited, Room};
use crate::people::meetings::Plan;

impl Work {
    /// All that can be booked: devices whose owner is not disabled, by name.
    pub(crate) async fn rooms(&mut self) -> Result<Vec<Room>, StoreError> {
        let rows = query(
            "SELECT device.id AS id, device.name AS name, public_key FROM device \
             JOIN account ON account.id = device.account WHERE NOT account.disabled ORDER BY device.name, device.id",
        )
        .fetch_all(&mut *self.0)
        .await?;
        let read = |row: &SqliteRow| -> Result<Room, sqlx::Error> {
            Ok(Room {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                key: row.try_get("public_key")?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn insert_booking(
        &mut self,
        meeting: &str,
        booking: &Booking,
    ) -> Result<(), StoreError> {
        query("INSERT INTO booking (meeting, device, sealed) VALUES ($1, $2, $3)")
            .bind(meeting)
            .bind(&booking.device)
            .bind(&booking.sealed)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Which rooms are booked for the meetings of an account, or of the owner's box, that are not over.
    pub(crate) async fn booked(
        &mut self,
        of: Option<&AccountId>,
        now: i64,
    ) -> Result<BTreeMap<String, Vec<Booked>>, StoreError> {
        let rows = query(
            "SELECT booking.meeting AS meeting, device.id AS id, device.name AS name FROM booking \
             JOIN meeting ON meeting.room = booking.meeting JOIN device ON device.id = booking.device \
             WHERE COALESCE(meeting.organiser, '') = $1 AND meeting.ends > $2 ORDER BY device.name, device.id",
        )
        .bind(of.map_or("", AccountId::as_str))
        .bind(now)
        .fetch_all(&mut *self.0)
        .await?;
        let mut booked = BTreeMap::<_, Vec<_>>::new();
        for row in rows {
            booked
                .entry(row.try_get("meeting")?)
                .or_default()
                .push(Booked {
                    id: row.try_get("id")?,
                    name: row.try_get("name")?,
                });
        }
        Ok(booked)
    }

    /// At most so many meetings that a device is booked for and that are not over, the next first.
    pub(crate) async fn invited(
        &mut self,
        device: &str,
        now: i64,
        most: i64,
    ) -> Result<Vec<Invited>, StoreError> {
        let rows = query(
            "SELECT room, title, starts, ends, e2ee, waiting_room, display_name, sealed FROM booking \
             JOIN meeting ON meeting.room = booking.meeting LEFT JOIN account ON account.id = meeting.organiser \
             WHERE device = $1 AND ends > $2 ORDER BY starts, room LIMIT $3",
        )
        .bind(device)
        .bind(now)
        .bind(most)
        .fetch_all(&mut *self.0)
        .await?;
        let read = |row: &SqliteRow| -> Result<Invited, sqlx::Error> {
            let organiser: Option<String> = row.try_get("display_name")?;
            Ok(Invited {
                room: row.try_get("room")?,
                title: row.try_get("title")?,
                plan: Plan {
                    starts: row.try_get("starts")?,
                    ends: row.try_get("ends")?,
                },
                e2ee: row.try_get("e2ee")?,
                waiting_room: row.try_get("waiting_room")?,
                organiser: organiser.unwrap_or_default(),
                sealed: row.try_get("sealed")?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }
}
