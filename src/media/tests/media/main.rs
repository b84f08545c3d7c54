// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whole pipelines of the media room, fed and watched from outside.

#![allow(
    clippy::unwrap_used,
    reason = "a panic is how a test reports that something is not as it should be"
)]

mod call;
mod capture;
mod present;
