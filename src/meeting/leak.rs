// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a frame left clear although nothing but sealed ones may.

use core::time::Duration;

use crate::call::Sent;

/// Frames on their way through an element when it is told to seal are no leak.
const ON_THE_WAY: Duration = Duration::from_secs(1);

/// Watches what leaves one member.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Leak {
    sent: Sent,
    /// Since when nothing clear may leave.
    sealed_since: Option<Duration>,
    seen: Option<Duration>,
}

impl Leak {
    /// Whether nothing clear may leave from now on.
    pub(crate) fn forbid(&mut self, clear_is_forbidden: bool, now: Duration) {
        self.sealed_since = match (clear_is_forbidden, self.sealed_since) {
            (true, since) => since.or(Some(now)),
            (false, _) => None,
        };
    }

    /// Totals of what has left.
    pub(crate) fn count(&mut self, sent: Sent, now: Duration) {
        // Totals that went back belong to new elements, which count from zero.
        let grown = sent
            .clear
            .checked_sub(self.sent.clear)
            .unwrap_or(sent.clear);
        let settled = self
            .sealed_since
            .is_some_and(|since| now.saturating_sub(since) > ON_THE_WAY);
        if settled && grown > 0 {
            self.seen = Some(now);
        }
        self.sent = sent;
    }

    /// When a clear frame was seen to leave last that must not.
    pub(crate) fn seen(&self) -> Option<Duration> {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clear(clear: u64) -> Sent {
        Sent { sealed: 0, clear }
    }

    #[test]
    fn only_what_leaves_clear_after_the_switch_has_settled_is_a_leak() {
        let at = Duration::from_millis;
        let mut leak = Leak::default();
        leak.count(clear(50), at(0));
        leak.forbid(true, at(100));
        leak.count(clear(51), at(1100));
        assert_eq!(leak.seen(), None, "it was on its way");
        leak.count(clear(51), at(1200));
        assert_eq!(leak.seen(), None);
        leak.count(clear(52), at(1300));
        assert_eq!(leak.seen(), Some(at(1300)));
        leak.forbid(false, at(1400));
        leak.count(clear(99), at(9000));
        assert_eq!(leak.seen(), Some(at(1300)));
    }
}
