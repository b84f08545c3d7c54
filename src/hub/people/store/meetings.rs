// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings, and what admins chose.

use std::collections::BTreeSet;

use roomseal_policy::{E2ee, KeyModel};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, query, query_scalar};

use super::{StoreError, Work};
use crate::people::account::AccountId;
use crate::people::meetings::{Meeting, Plan};

const COLUMNS: &str = "room, organiser, e2ee, key_model, made, meeting_key, policy, said, title, starts, ends, session, \
     waiting_room";

impl Work {
    pub(crate) async fn insert_meeting(&mut self, meeting: &Meeting) -> Result<(), StoreError> {
        let plan = meeting.plan.as_ref();
        query(&format!(
            "INSERT INTO meeting ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
        ))
        .bind(&meeting.room)
        .bind(meeting.organiser.as_ref().map(AccountId::as_str))
        .bind(meeting.e2ee)
        .bind(match meeting.key_model {
            KeyModel::User => "user",
            KeyModel::Server => "server",
        })
        .bind(meeting.made)
        .bind(&meeting.meeting_key)
        .bind(&meeting.policy)
        .bind(meeting.said.map(word))
        .bind(&meeting.title)
        .bind(plan.map(|plan| plan.starts))
        .bind(plan.map(|plan| plan.ends))
        .bind(&meeting.session)
        .bind(meeting.waiting_room)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    pub(crate) async fn meeting(&mut self, room: &str) -> Result<Option<Meeting>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM meeting WHERE room = $1");
        let row = query(&text).bind(room).fetch_optional(&mut *self.0).await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// The scheduled ones of an account, or of the owner's box, that are not over, the next first.
    pub(crate) async fn plans(
        &mut self,
        of: Option<&AccountId>,
        now: i64,
    ) -> Result<Vec<Meeting>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS} FROM meeting WHERE COALESCE(organiser, '') = $1 AND ends > $2 ORDER BY starts, room"
        );
        let rows = query(&text)
            .bind(of.map_or("", AccountId::as_str))
            .bind(now);
        let rows = rows.fetch_all(&mut *self.0).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Keeps what hosts say now, if the meeting is known.
    pub(crate) async fn set_policy(
        &mut self,
        room: &str,
        policy: &str,
        said: E2ee,
    ) -> Result<(), StoreError> {
        query("UPDATE meeting SET policy = $1, said = $2 WHERE room = $3")
            .bind(policy)
            .bind(word(said))
            .bind(room)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Rooms whose hosts said last that end-to-end encryption is on, or that were made so where hosts say nothing.
    pub(crate) async fn sealed_rooms(&mut self) -> Result<BTreeSet<String>, StoreError> {
        let rooms: Vec<String> = query_scalar(
            "SELECT room FROM meeting WHERE said = $1 OR (session IS NOT NULL AND e2ee)",
        )
        .bind(word(E2ee::On))
        .fetch_all(&mut *self.0)
        .await?;
        Ok(rooms.into_iter().collect())
    }

    pub(crate) async fn delete_meeting(&mut self, room: &str) -> Result<(), StoreError> {
        query("DELETE FROM meeting WHERE room = $1")
            .bind(room)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Forgets meetings that were made before, and those that were scheduled and are over since.
    pub(crate) async fn delete_meetings(&mut self, before: i64) -> Result<(), StoreError> {
        query("DELETE FROM meeting WHERE made < $1 AND (ends IS NULL OR ends < $2)")
            .bind(before)
            .bind(before)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    pub(crate) async fn has_accounts(&mut self) -> Result<bool, StoreError> {
        let count: i64 = query_scalar("SELECT COUNT(*) FROM account WHERE password IS NOT NULL")
            .fetch_one(&mut *self.0)
            .await?;
        Ok(count > 0)
    }

    pub(crate) async fn setting(&mut self, name: &str) -> Result<Option<String>, StoreError> {
        let row = query("SELECT value FROM setting WHERE name = $1")
            .bind(name)
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(row.map(|row| row.try_get("value")).transpose()?)
    }

    pub(crate) async fn set_setting(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        query("DELETE FROM setting WHERE name = $1")
            .bind(name)
            .execute(&mut *self.0)
            .await?;
        query("INSERT INTO setting (name, value) VALUES ($1, $2)")
            .bind(name)
            .bind(value)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }
}

fn word(e2ee: E2ee) -> &'static str {
    match e2ee {
        E2ee::On => "on",
        E2ee::Off => "off",
    }
}

fn read(row: &SqliteRow) -> Result<Meeting, sqlx::Error> {
    let key_model: String = row.try_get("key_model")?;
    let said: Option<String> = row.try_get("said")?;
    let (starts, ends): (Option<i64>, Option<i64>) = (row.try_get("starts")?, row.try_get("ends")?);
    let organiser: Option<String> = row.try_get("organiser")?;
    Ok(Meeting {
        room: row.try_get("room")?,
        organiser: organiser.map(AccountId::kept),
        e2ee: row.try_get("e2ee")?,
        key_model: if key_model == "server" {
            KeyModel::Server
        } else {
            KeyModel::User
        },
        made: row.try_get("made")?,
        meeting_key: row.try_get("meeting_key")?,
        policy: row.try_get("policy")?,
        said: said.map(|said| if said == "on" { E2ee::On } else { E2ee::Off }),
        title: row.try_get("title")?,
        plan: starts.zip(ends).map(|(starts, ends)| Plan { starts, ends }),
        session: row.try_get("session")?,
        waiting_room: row.try_get("waiting_room")?,
    })
}
