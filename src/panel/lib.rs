// SPDX-License-Identifier: MIT OR Apache-2.0
//! The front panel: what a person does with its buttons, what its lamps show, and the board file that says which lines
//! they are on.
//!
//! Pure, with time as an argument: [`gesture`] tells presses from holds, [`light`] what each state of the shield looks
//! like, [`lamp`] what is lit from the renewals alone. With the feature `linux` (on by default) come the board file
//! ([`board::Board::load`] reads `board/<id>/board.toml`; the simulated board is built in, so the binary that is tested
//! is the one that ships), the drivers ([`drive`]) and [`file_error::FileError`], the one way in which a TOML file that
//! people write is complained about, here and in the configuration.
#![cfg_attr(not(any(feature = "linux", test)), no_std)]
#![forbid(unsafe_code)]

#[cfg(feature = "linux")]
pub mod board;
#[cfg(feature = "linux")]
pub mod drive;
#[cfg(feature = "linux")]
pub mod file_error;
pub mod gesture;
pub mod lamp;
pub mod light;
#[cfg(feature = "linux")]
pub mod table;

#[cfg(feature = "linux")]
pub use board::{Board, BoardError};
#[cfg(feature = "linux")]
pub use file_error::FileError;
