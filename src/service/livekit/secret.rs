// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text that must not appear in a log: overwritten when dropped, redacted when printed.

use std::fmt;

use zeroize::Zeroizing;

/// A secret text: an API secret, a token, a TURN password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Only for handing it to what it is meant for, never for showing it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
