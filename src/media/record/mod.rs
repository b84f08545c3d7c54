// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keeps what each participant sends, as it was encoded.

pub mod mkv;
