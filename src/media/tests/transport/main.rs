// SPDX-License-Identifier: MIT OR Apache-2.0

//! Two transports in one process: the publisher of one offers to the subscriber of the other, as
//! if a service stood between them that changes nothing, or something.
//!
//! A test binary of its own, because one test counts the threads and files of the process.

// A failed step in a test is best reported where it happened.
#![allow(clippy::unwrap_used)]

mod carry;
mod change;
mod hostile;
mod pair;
mod republish;
