// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a verdict is still being renewed: a loop that hangs must not leave its last word shining.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A verdict older than this is none (PROTOCOL §8).
const FRESH: Duration = Duration::from_millis(1500);

/// When the shield was looked at last.
#[derive(Clone, Debug, Default)]
pub struct Renewals(Arc<Mutex<Option<Instant>>>);

impl Renewals {
    /// It was looked at just now.
    pub(super) fn renew(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether the last verdict still holds.
    pub fn is_fresh(&self) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|at| at.elapsed() <= FRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_verdict_that_nobody_renews_is_none() {
        let renewals = Renewals::default();
        assert!(!renewals.is_fresh());
        renewals.renew();
        tokio::time::advance(FRESH).await;
        assert!(renewals.is_fresh());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!renewals.is_fresh());
    }
}
