// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client side of meeting services: signalling only, it touches no media and no key of a meeting.
//!
//! [`livekit`] speaks LiveKit's v0 signalling protocol, which the embedded hub, a LiveKit server or
//! cluster and Plug-N-Meet all understand. [`hub`] is a device's side of a hub's own API: where rooms
//! are booked.

#![forbid(unsafe_code)]

pub mod hub;
pub mod livekit;
