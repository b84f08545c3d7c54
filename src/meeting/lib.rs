// SPDX-License-Identifier: MIT OR Apache-2.0
//! The call: who is there, what may be sent and played, what has verified.
//!
//! A state machine without clock, socket or thread: [`ForeignRoom::handle`] takes what happened and when, and answers
//! what to do. What it takes from the service ([`Event::Joined`](call::Event::Joined), …) decides who is *listed* and
//! which track belongs to whom; whether a track is *verified* comes from [`Event::Counted`](call::Event::Counted) alone,
//! that is from what the opening elements counted, so no message of the service can make it look better than it is.
//!
//! ```
//! use core::time::Duration;
//! use roomseal_e2ee::OpenCounters;
//! use roomseal_meeting::call::Event;
//! use roomseal_meeting::*;
//!
//! let mut room = ForeignRoom::new(Requirement::Sealed, true);
//! let camera = Track::new("TR_1", Source::Camera, Declared::Sealed);
//! let alice = Participant::new("alice", "Alice").with_track(camera);
//! let seconds = Duration::from_secs;
//! let joined = Event::Joined { me: "box".into(), others: vec![alice], metadata: String::new() };
//! let actions = room.handle(joined, seconds(1));
//! assert!(actions.contains(&Action::Send(Sending::Sealed)));
//! let actions = room.handle(Event::Flowing { sid: "TR_1".into() }, seconds(2));
//! assert!(matches!(&actions[..], [Action::Play(play)] if play.identity == "alice"));
//!
//! assert_eq!(room.report(seconds(2)).participants[0].tracks[0].text, "waiting for the first frame");
//! let counters = OpenCounters { opened: 1, ..Default::default() };
//! room.handle(Event::Counted { sid: "TR_1".into(), counters }, seconds(3));
//! assert_eq!(room.report(seconds(3)).participants[0].tracks[0].verification, Verification::Verified);
//! assert_eq!(room.report(seconds(9)).participants[0].tracks[0].verification, Verification::Silent);
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod action;
pub mod call;
pub mod chat;
mod confirm;
mod follow;
mod foreign;
mod hidden;
mod history;
mod hosting;
mod leak;
mod member;
mod nonces;
mod report;
mod roster;
mod shield;
mod verification;

pub use action::{Action, Announcement, Denied, Opening, Play, Rules, Sending};
pub use call::Meeting;
pub use confirm::{Bytes, Instance, IvPrefix};
pub use follow::Invitation;
pub use foreign::{Circumstances, ForeignRoom, ForeignVerdict, Requirement};
pub use hosting::{By, COUNTDOWN, DENIED, SEARCH};
pub use nonces::{LIVE, PERIOD};
pub use report::{ParticipantReport, Report, TrackReport};
pub use roster::{Declared, Kind, Medium, Participant, Source, Track};
pub use shield::{Presence, Shield, View};
pub use verification::{FRESH, Refusal, Verification};

/// The topic of the data messages by which members of a Roomseal meeting understand each other.
pub const TOPIC: &str = "roomseal";
