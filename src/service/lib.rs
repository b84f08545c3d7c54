// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client side of meeting services: signalling only, it touches no media and no key.
//!
//! [`livekit`] speaks LiveKit's v0 signalling protocol, which the embedded hub, a LiveKit server or
//! cluster and Plug-N-Meet all understand.

#![forbid(unsafe_code)]

pub mod livekit;
