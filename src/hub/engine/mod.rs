// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where meetings are held: in this process, or at a LiveKit server that the hub stands in front of.
//!
//! Whatever the engine, it is asked for the same things, in the words of [`Wish`] and [`Told`], so that the rules for
//! people, hosts and features are written once.

mod embedded;
mod livekit;

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use livekit_protocol as proto;
use roomseal_policy::E2ee;
use tokio::net::TcpListener;

pub(crate) use embedded::Embedded;
pub use embedded::EmbeddedConfig;
pub(crate) use livekit::{CallError, LiveKit, Start, hear_webhook, is_webhook};
pub use livekit::{LiveKitConfig, LiveKitUrl, LiveKitUrlError};

use crate::forward::CertificateError;
use crate::meeting::Building;
use crate::room::{Denied, Told, Wish};
use crate::secrets::Secrets;
use crate::token::ApiKeys;

/// Where meetings shall be held.
#[derive(Debug)]
pub enum EngineConfig {
    /// In this process.
    Embedded(EmbeddedConfig),
    /// At a LiveKit server or cluster.
    LiveKit(LiveKitConfig),
}

/// Why meetings cannot be held there.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no certificate for media.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// An address cannot be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It is somebody else's server, or the key is wrong.
    #[error(
        "the LiveKit server at {url} does not take the API key ({reason}); check its name, and the file with its secret"
    )]
    Key {
        /// The server.
        url: LiveKitUrl,
        /// What it says.
        reason: String,
    },
}

/// Why an address is not listened at.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {address} for {what}: {source}; choose another with {option}")]
pub struct AddressError {
    /// The address.
    pub address: SocketAddr,
    /// What for.
    pub what: &'static str,
    /// What chooses it.
    pub option: &'static str,
    /// What the system says.
    pub source: io::Error,
}

/// Where meetings are held.
#[derive(Clone, Debug)]
pub(crate) enum Engine {
    /// In this process.
    Embedded(Arc<Embedded>),
    /// At a LiveKit server or cluster.
    LiveKit(Arc<LiveKit>),
}

/// Why an engine does not do what it was asked for. The texts are for who asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfulfilled {
    /// The room does not want to.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Nothing runs under that name.
    #[error("requested room does not exist")]
    NoRoom,
    /// One more room would be too many.
    #[error("this server has as many rooms as it can; try again when a meeting has ended")]
    Full,
    /// It ends, and the next of its name is another.
    #[error("the room closes just now; try again")]
    Closes,
    /// The server that holds the meetings is away, or does not want to.
    #[error(transparent)]
    Engine(CallError),
}

impl Engine {
    /// Gets ready; with where media over TCP will arrive, if that is here.
    ///
    /// # Errors
    /// When an address is taken, or not of this machine.
    pub(crate) async fn open(
        config: EngineConfig,
        keys: &Arc<ApiKeys>,
        secrets: &Arc<Secrets>,
    ) -> Result<(Self, Option<TcpListener>), EngineError> {
        match config {
            EngineConfig::Embedded(config) => {
                let (embedded, streams) = Embedded::open(&config, keys, secrets).await?;
                Ok((Self::Embedded(Arc::new(embedded)), Some(streams)))
            }
            EngineConfig::LiveKit(config) => {
                let livekit = LiveKit::open(config, keys, secrets).await?;
                Ok((Self::LiveKit(Arc::new(livekit)), None))
            }
        }
    }

    /// Holds meetings until dropped.
    pub(crate) async fn hold(
        self,
        streams: Option<TcpListener>,
        building: Arc<Building>,
    ) -> Infallible {
        match (self, streams) {
            (Self::Embedded(embedded), Some(streams)) => embedded.hold(streams).await,
            (Self::Embedded(_), None) => pending().await,
            (Self::LiveKit(livekit), _) => livekit.watch(building).await,
        }
    }

    /// Asks a room for what its administrators may have.
    ///
    /// # Errors
    /// When it is not there, or does not want to.
    pub(crate) async fn ask(&self, room: &str, wish: Wish) -> Result<Told, Unfulfilled> {
        match self {
            Self::Embedded(embedded) => embedded.ask(room, wish).await,
            Self::LiveKit(livekit) => livekit.ask(room, wish).await,
        }
    }

    /// Opens a room, or sets up the one that is there.
    ///
    /// # Errors
    /// When there are too many, or the request is not taken.
    pub(crate) async fn set_up(
        &self,
        request: proto::CreateRoomRequest,
    ) -> Result<proto::Room, Unfulfilled> {
        match self {
            Self::Embedded(embedded) => embedded.set_up(request).await,
            Self::LiveKit(livekit) => livekit.set_up(request).await,
        }
    }

    /// Rooms of these names; of no names: all.
    pub(crate) async fn rooms(&self, names: &[String]) -> Result<Vec<proto::Room>, Unfulfilled> {
        match self {
            Self::Embedded(embedded) => Ok(embedded.rooms(names).await),
            Self::LiveKit(livekit) => Ok(livekit.list(names).await?),
        }
    }

    /// Whether there is a room of that name.
    pub(crate) async fn runs(&self, name: &str) -> Result<bool, Unfulfilled> {
        match self {
            Self::Embedded(embedded) => Ok(embedded.switch.find(name).is_some()),
            Self::LiveKit(livekit) => Ok(livekit.look_at(name).await?.is_some()),
        }
    }

    /// The text for everybody in the room; empty when it is not there.
    pub(crate) async fn metadata(&self, room: &str) -> Result<String, Unfulfilled> {
        match self.ask(room, Wish::Show).await {
            Ok(Told::Room(room)) => Ok(room.metadata),
            Ok(_) | Err(Unfulfilled::NoRoom | Unfulfilled::Closes) => Ok(String::new()),
            Err(error) => Err(error),
        }
    }

    /// Whether end-to-end encryption is on in the room of that name, as its metadata says; `None`: it says nothing.
    pub(crate) fn e2ee(&self, room: &str) -> Option<E2ee> {
        match self {
            Self::Embedded(embedded) => embedded.switch.e2ee(room),
            Self::LiveKit(livekit) => livekit.e2ee(room),
        }
    }

    /// Learns how it stands with a room now, where that may be news to this process.
    ///
    /// # Errors
    /// When nobody can say.
    pub(crate) async fn look_at(&self, room: &str) -> Result<(), Unfulfilled> {
        if let Self::LiveKit(livekit) = self {
            livekit.look_at(room).await?;
        }
        Ok(())
    }

    /// Names the session in a room: the next one there has another name.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn session(&self, room: &str) -> Result<String, Unfulfilled> {
        match self {
            // The room itself tells when it is over.
            Self::Embedded(_) => Ok(room.to_owned()),
            Self::LiveKit(livekit) => {
                let found = livekit.look_at(room).await?;
                Ok(found.ok_or(Unfulfilled::NoRoom)?.sid)
            }
        }
    }

    /// Where people connect to, if that is not the hub.
    pub(crate) fn url(&self) -> Option<&str> {
        match self {
            Self::Embedded(_) => None,
            Self::LiveKit(livekit) => Some(livekit.url().as_str()),
        }
    }

    /// Where a page connects to beside the hub, as it follows other sources in a content-security-policy.
    pub(crate) fn sources(&self) -> String {
        match self {
            Self::Embedded(_) => String::new(),
            Self::LiveKit(livekit) => livekit.sources(),
        }
    }

    /// Whether metadata that hosts write passes the hub, which then sees to it that they may.
    pub(crate) fn sees_metadata_first(&self) -> bool {
        matches!(self, Self::Embedded(_))
    }
}
