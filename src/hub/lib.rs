// SPDX-License-Identifier: MIT OR Apache-2.0
//! The embedded meeting service: a small forwarder that speaks LiveKit's protocol.
//!
//! It lets people into rooms, tells them of each other and passes their packets on. It holds no media key and imports
//! none of the crates that could: what members seal is opened by members. LiveKit's v0 signalling is spoken (`/rtc`, two
//! peer connections), so that LiveKit's own clients and the box join it as they join a LiveKit server.
//!
//! # The way of a packet
//!
//! ```text
//!  publisher ──UDP──► serve ────┐
//!          └───TCP──► streams ──► switch ──► meeting (one task per room)      meeting ──UDP/TCP──► subscribers
//!                               routes:      forward: SRTP opened, track       SRTP sealed for each,
//!                               whose it is, found, numbers without gaps ──►   retransmission,
//!                               how much     room: who receives it             never the frame inside
//! ```
//!
//! # The way of a message
//!
//! ```text
//!  client ──WebSocket──► signalling ──► meeting ──► room (pure: who, what, when) ──► Action::Send ──► client
//!  administrator ──HTTP──► twirp ─────────┘         │
//!                          token                    └──► Action::Media ──► forward (str0m) ──► Report ──► room
//!  browser ──HTTP──► api ──► people (accounts, sessions, audit log) ──► store (SQL)
//! ```
//!
//! Programs that speak with Plug-N-Meet make meetings by `plugnmeet`. The one secret that the hub may hold is in `secrets`.
//! A browser gets the page from `pages`, and from `join` a token for its meeting; then it is a client as any other.
//!
//! What one client does bears on nobody else: queues are bounded, what does not fit is dropped (packets), waited for
//! (requests) or ends the connection (what a client does not take); see the constants of `serve`, [`room`] and `routes`.

#![forbid(unsafe_code)]

mod api;
mod bucket;
mod calendar;
mod datagrams;
mod engine;
mod entry;
pub mod forward;
mod guests;
mod hosts;
mod join;
mod lobby;
mod meeting;
mod pages;
pub mod people;
mod plugnmeet;
pub mod room;
mod routes;
mod secrets;
mod serve;
mod signalling;
mod streams;
mod switch;
mod tls;
pub mod token;
mod twirp;
mod wire;

pub use api::{Origin, OriginError};
pub use engine::{
    AddressError, EmbeddedConfig, EngineConfig, EngineError, LiveKitConfig, LiveKitUrl,
    LiveKitUrlError,
};
pub use pages::{Pages, PagesError};
pub use serve::{Config, Error, Hub};
pub use tls::{Identity, IdentityError, Issuer};
