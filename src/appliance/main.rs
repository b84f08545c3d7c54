// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `roomseal` program.
fn main() {}
