// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a box comes to its configuration: somebody answers on its page, or brings a file.
//!
//! What came of it lies in the [`Folder`] of the box, whole or not at all, and is checked there by the same rules by which
//! the box is started with it.

mod answers;
mod file;
mod folder;

pub use answers::Answers;
pub use file::{BringError, Brought, SAMPLE, bring, replace};
pub use folder::{Folder, KeepError};

/// A field of the answers, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Field {
    /// As in the wish: `url`, `api-key`, …
    pub field: String,
    /// What is wrong, and what to do.
    pub text: String,
}
