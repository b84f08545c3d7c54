// SPDX-License-Identifier: MIT OR Apache-2.0
//! The public interface: vectors, hostile input, and what must hold for every chain.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chains;
mod deeds;
mod forge;
mod links;
mod order;
mod people;
mod refused;
mod rooms;
mod vectors;
