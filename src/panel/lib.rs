// SPDX-License-Identifier: MIT OR Apache-2.0
//! The front panel: the board file, its lines and its media budget.
//!
//! A board is data, chosen at run time: [`board::Board::load`] reads `board/<id>/board.toml`, and the simulated board
//! is built in, so the binary that is tested is the one that ships. [`file_error::FileError`] is the one way in which
//! a TOML file that people write is complained about, here and in the configuration.
#![forbid(unsafe_code)]

pub mod board;
pub mod file_error;

pub use board::{Board, BoardError};
pub use file_error::FileError;
