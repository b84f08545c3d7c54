// SPDX-License-Identifier: MIT OR Apache-2.0
//! The join page's core: `e2ee`, `policy` and `meeting`, as the box has them, for a browser.
//!
//! All of it runs in the worker that touches the frames, in one WebAssembly memory: the meeting decides there, and the
//! keys that it makes go to the sealers and openers beside it. The page tells what happened ([`Told`]) and hears what it
//! has to do ([`Answer`]) and what to show ([`View`]); no key and no rule ever crosses to it, so nothing that runs in the
//! page, LiveKit's client included, can have a frame leave clear or a shield turn green.
//!
//! - A frame of a pipe that the core has not been told of does not leave. A pipe is told of once the service took its
//!   track; what leaves then, and how, is what the meeting decided *before* the frame was asked about. So there is no
//!   moment in which a track is sent and its sealing is not in force.
//! - What leaves and what opens is counted where it happens, per track, and goes to the meeting as the totals of the box's
//!   elements do. The shield is a function of that.
//! - What the service says of a track (declared clear, muted, whose) never changes how it is opened.
//!
//! [`Core`] is all there is to it. `abi.rs` carries it over the border of WebAssembly by hand: a few functions that take
//! numbers, text and frames in two buffers. That needs no generator and no further crate, and the JavaScript beside it is
//! `join/core.ts`.

#![deny(unsafe_code)]

#[cfg(target_arch = "wasm32")]
mod abi;
mod answer;
mod call;
mod chat;
mod code;
mod decides;
mod dropped;
mod plan;
mod receiving;
mod rooms;
mod sending;
mod told;
mod view;
mod wire;

pub use crate::call::{Core, NotAMeeting, Start, Visit};
pub use crate::decides::KeyFrom;
pub use answer::{Answer, Line, Todo, ToldBy};
pub use code::Drawn;
pub use plan::{NotPlanned, Planned, Wish, plan};
pub use receiving::Received;
pub use rooms::{Booking, Guest, NotBooked, words};
pub use sending::Left;
pub use told::{Told, Track, Who};
pub use view::{OwnTrack, Person, Reason, RemoteTrack, View};

pub use roomseal_e2ee::Codec;
pub use roomseal_meeting::{Kind, Medium, Source};
pub use roomseal_policy::Act;
