// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where meetings are held: in this process, or at a LiveKit server that the hub stands in front of.
//!
//! Whatever the engine, it is asked for the same things, in the words of [`Wish`] and [`Told`], so that the rules for
//! people, hosts and features are written once.

mod embedded;

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

use crate::forward::CertificateError;
use crate::room::{Denied, Told, Wish};
use crate::secrets::Secrets;
use crate::token::ApiKeys;

/// Where meetings shall be held.
#[derive(Debug)]
pub enum EngineConfig {
    /// In this process.
    Embedded(EmbeddedConfig),
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
        }
    }

    /// Holds meetings until dropped.
    pub(crate) async fn hold(self, streams: Option<TcpListener>) -> Infallible {
        match (self, streams) {
            (Self::Embedded(embedded), Some(streams)) => embedded.hold(streams).await,
            _ => pending().await,
        }
    }

    /// Asks a room for what its administrators may have.
    ///
    /// # Errors
    /// When it is not there, or does not want to.
    pub(crate) async fn ask(&self, room: &str, wish: Wish) -> Result<Told, Unfulfilled> {
        match self {
            Self::Embedded(embedded) => embedded.ask(room, wish).await,
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
        }
    }

    /// Rooms of these names; of no names: all.
    pub(crate) async fn rooms(&self, names: &[String]) -> Result<Vec<proto::Room>, Unfulfilled> {
        match self {
            Self::Embedded(embedded) => Ok(embedded.rooms(names).await),
        }
    }

    /// Whether there is a room of that name.
    pub(crate) async fn runs(&self, name: &str) -> Result<bool, Unfulfilled> {
        match self {
            Self::Embedded(embedded) => Ok(embedded.switch.find(name).is_some()),
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
        }
    }
}
