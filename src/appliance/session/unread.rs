// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages that are not shown, told to the journal without letting anybody fill it.

use std::time::Duration;

/// Between two lines of the journal there is at least this.
const APART: Duration = Duration::from_secs(10);

/// What was not told yet.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// When a line was written last.
    told: Option<Duration>,
    /// Messages since then.
    more: u64,
}

impl Unread {
    /// One more; says whether it is to be told by itself.
    pub(super) fn refused(&mut self, now: Duration) -> bool {
        let first = self.more == 0 && self.is_time(now);
        if first {
            self.told = Some(now);
        } else {
            self.more += 1;
        }
        first
    }

    /// How many there were beside those that were told, if it is time to say so. To be asked every second or so.
    pub(super) fn due(&mut self, now: Duration) -> Option<u64> {
        if self.more == 0 || !self.is_time(now) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.more))
    }

    fn is_time(&self, now: Duration) -> bool {
        self.told
            .is_none_or(|told| now.saturating_sub(told) >= APART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_and_then_a_number_every_ten_seconds() {
        let mut unread = Unread::default();
        let mut lines = Vec::new();
        for millis in 0..25_000 {
            let now = Duration::from_millis(millis);
            if unread.refused(now) {
                lines.push(1);
            }
            lines.extend(unread.due(now));
        }
        assert_eq!(lines, [1, 10_000, 10_000]);
        let later = Duration::from_secs(30);
        assert_eq!(unread.due(later), Some(4_999));
        assert_eq!(unread.due(later), None);
        // Who writes once a minute is told of each time.
        assert!(unread.refused(Duration::from_secs(60)));
        assert!(unread.refused(Duration::from_secs(120)));
    }
}
