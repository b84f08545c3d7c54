// SPDX-License-Identifier: MIT OR Apache-2.0
//! Roomseal meetings of several members over a service that may lie, judged by what is really true.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod history;
mod lies;
mod scenarios;
mod search;
mod truth;
mod world;
