// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking at the rooms of a LiveKit server again and again, so that what hosts say there is followed.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use roomseal_policy::{E2ee, read_metadata};
use tokio::time::sleep;

use super::LiveKit;
use super::call::CallError;
use crate::hosts;
use crate::meeting::Building;

/// How long after one look the next follows, while there are rooms.
const OFTEN: Duration = Duration::from_secs(1);

/// The same while there are none, or the server is away.
const SELDOM: Duration = Duration::from_secs(3);

/// How soon one look may follow another that somebody asked for.
const SOONEST: Duration = Duration::from_millis(100);

/// Rooms that are looked after at the same time.
const AT_ONCE: usize = 8;

impl LiveKit {
    /// Has the rooms looked at without delay.
    pub(crate) fn look_now(&self) {
        self.look.notify_one();
    }

    /// Looks until dropped.
    pub(in crate::engine) async fn watch(self: Arc<Self>, building: Arc<Building>) -> Infallible {
        let mut is_away = false;
        loop {
            let pause = match self.look_around(&building).await {
                Ok(rooms) => {
                    if std::mem::take(&mut is_away) {
                        tracing::info!("the LiveKit server is back");
                    }
                    if rooms > 0 { OFTEN } else { SELDOM }
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(%error, "the rooms cannot be looked after");
                    }
                    SELDOM
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = async {
                    sleep(SOONEST).await;
                    self.look.notified().await;
                } => {}
            }
        }
    }

    /// Looks at all rooms once: how many there are.
    async fn look_around(&self, building: &Building) -> Result<usize, CallError> {
        let asked = Instant::now();
        let rooms = self.list(&[]).await?;
        self.take_in(&rooms, asked);
        // Other applications may use the same server; their rooms are none of the hub's business.
        let sealed = building.api.people.sealed_rooms().await;
        let sealed = sealed.unwrap_or_else(|error| {
            tracing::error!(%error, "what hosts said cannot be read");
            BTreeSet::new()
        });
        let ours = rooms
            .iter()
            .filter(|room| sealed.contains(&room.name) || read_metadata(&room.metadata).is_some());
        stream::iter(ours)
            .for_each_concurrent(AT_ONCE, |room| self.look_after(building, &room.name))
            .await;
        Ok(rooms.len())
    }

    /// Does what follows from what the hosts of a room say.
    async fn look_after(&self, building: &Building, room: &str) {
        if let Some((policy, e2ee)) = self.news(room) {
            match hosts::follow(building, room, &policy, e2ee).await {
                Ok(()) => self.note(room, |seen| seen.followed = Some(policy)),
                Err(error) => tracing::error!(room, %error, "what hosts say cannot be kept"),
            }
            return;
        }
        let e2ee = hosts::e2ee(building, room).await;
        // Where what is kept cannot be read, it was not kept that it is off.
        if e2ee.is_ok_and(|said| said != Some(E2ee::On)) {
            return;
        }
        hosts::clear(building, room).await;
    }
}
