// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings in this process: the hub forwards their packets itself.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use livekit_protocol as proto;
use str0m::config::DtlsCert;
use str0m::net::Protocol;
use tokio::net::TcpListener;

use super::{AddressError, EngineError, Unfulfilled};
use crate::datagrams::Datagrams;
use crate::forward::{self, Addresses, Way};
use crate::meeting::ask;
use crate::room::{Told, Wish};
use crate::secrets::Secrets;
use crate::serve::DATAGRAM;
use crate::streams::{self, Streams};
use crate::switch::Switch;
use crate::token::ApiKeys;

/// How this process holds meetings.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedConfig {
    /// Where media arrives, as clients reach it: an address of this machine, and a UDP port (0: any that is free).
    pub media: SocketAddr,
    /// Where clients connect to for media whose network lets no UDP through: an address of this machine, and a TCP port
    /// (0: any that is free).
    pub media_tcp: SocketAddr,
    /// Rooms at a time.
    pub most_rooms: usize,
    /// Participants of a room.
    pub most_participants: usize,
}

/// What all rooms in this process share.
#[derive(Debug)]
pub(crate) struct Embedded {
    pub(crate) keys: Arc<ApiKeys>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) datagrams: Datagrams,
    pub(crate) streams: Streams,
    pub(crate) media: Addresses,
    pub(crate) certificate: DtlsCert,
    pub(crate) most_participants: usize,
    pub(crate) switch: Switch,
}

impl Embedded {
    /// Takes the addresses for media.
    pub(super) async fn open(
        config: &EmbeddedConfig,
        keys: &Arc<ApiKeys>,
        secrets: &Arc<Secrets>,
    ) -> Result<(Self, TcpListener), EngineError> {
        let udp = |source| AddressError {
            address: config.media,
            what: "media",
            option: "--media",
            source,
        };
        let tcp = |source| AddressError {
            address: config.media_tcp,
            what: "media over TCP",
            option: "--media-tcp",
            source,
        };
        let datagrams = Datagrams::bind(config.media).await.map_err(udp)?;
        let streams = TcpListener::bind(config.media_tcp).await.map_err(tcp)?;
        let media = Addresses {
            udp: datagrams.address().map_err(udp)?,
            tcp: streams.local_addr().map_err(tcp)?,
        };
        let embedded = Self {
            keys: Arc::clone(keys),
            secrets: Arc::clone(secrets),
            datagrams,
            streams: Streams::default(),
            media,
            certificate: forward::certificate()?,
            most_participants: config.most_participants,
            switch: Switch::new(config.most_rooms),
        };
        Ok((embedded, streams))
    }

    /// Hands packets to their rooms, however they come, until dropped.
    pub(super) async fn hold(self: Arc<Self>, streams: TcpListener) -> Infallible {
        let connecting = streams::listen(streams, Arc::clone(&self));
        tokio::select! {
            never = self.receive() => never,
            never = connecting => never,
        }
    }

    async fn receive(&self) -> Infallible {
        let mut bytes = vec![0; DATAGRAM];
        loop {
            match self.datagrams.receive(&mut bytes).await {
                Ok((length, address)) => {
                    let protocol = Protocol::Udp;
                    let way = Way { protocol, address };
                    self.switch.pass(way, &bytes[..length]);
                }
                Err(error) => {
                    tracing::debug!(%error, "no packet");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    pub(super) async fn ask(&self, room: &str, wish: Wish) -> Result<Told, Unfulfilled> {
        let knocks = self.switch.find(room).ok_or(Unfulfilled::NoRoom)?;
        let told = ask(&knocks, wish).await.ok_or(Unfulfilled::NoRoom)?;
        Ok(told?)
    }

    pub(super) async fn set_up(
        self: &Arc<Self>,
        request: proto::CreateRoomRequest,
    ) -> Result<proto::Room, Unfulfilled> {
        // A room may close just now; the next one of its name is another.
        for _ in 0..3 {
            let knocks = self.switch.room(&request.name, self);
            let knocks = knocks.ok_or(Unfulfilled::Full)?;
            let wish = Wish::SetUp(Box::new(request.clone()));
            match ask(&knocks, wish).await {
                Some(Ok(Told::Room(room))) => return Ok(*room),
                Some(Err(denied)) => return Err(denied.into()),
                _ => {}
            }
        }
        Err(Unfulfilled::Closes)
    }

    pub(super) async fn rooms(&self, names: &[String]) -> Vec<proto::Room> {
        let mut rooms = Vec::new();
        for (name, knocks) in self.switch.rooms() {
            if !names.is_empty() && !names.contains(&name) {
                continue;
            }
            // One that closes meanwhile is none.
            if let Some(Ok(Told::Room(room))) = ask(&knocks, Wish::Show).await {
                rooms.push(*room);
            }
        }
        rooms
    }
}
