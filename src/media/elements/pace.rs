// SPDX-License-Identifier: MIT OR Apache-2.0

//! Something that must not happen too often.

use std::time::{Duration, Instant};

/// Key frames are asked for no oftener than a meeting service passes requests on.
pub(super) const KEY_UNIT_INTERVAL: Duration = Duration::from_millis(500);

/// Lets one event through per interval.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    last: Option<Instant>,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            last: None,
        }
    }

    /// Whether the event may happen now; if so, the interval begins.
    pub(super) fn due(&mut self, now: Instant) -> bool {
        let due = self
            .last
            .is_none_or(|last| now.duration_since(last) >= self.interval);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_per_interval_comes_through() {
        let mut pace = Pace::new(Duration::from_millis(500));
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        assert!(pace.due(at(0)));
        assert!(!pace.due(at(499)));
        assert!(pace.due(at(500)));
        assert!(!pace.due(at(999)));
        assert!(pace.due(at(5000)));
    }
}
