// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets on their way over a slow link, one after the other: those of a key frame would not fit its queue all at once.

use std::collections::VecDeque;
use std::time::Duration;

use str0m::rtp::RtpWrite;

/// While so many bytes wait, no further key frame begins.
const ENOUGH: usize = 16 * 1024;

/// How fast packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Bits per second.
    pub(super) rate: u64,
    /// Faster where some would wait for longer than this.
    pub(super) within: Duration,
}

/// Packets that wait for their turn.
#[derive(Debug)]
pub(super) struct Paced<T = RtpWrite> {
    waiting: VecDeque<(T, usize)>,
    bytes: usize,
    /// When the next one may go.
    due: Duration,
    pace: Option<Pace>,
}

impl<T> Default for Paced<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            due: Duration::ZERO,
            pace: None,
        }
    }
}

impl<T> Paced<T> {
    /// How fast it goes from here on; `None` lets everything go.
    pub(super) fn set_pace(&mut self, pace: Option<Pace>) {
        self.pace = pace;
        if pace.is_none() {
            self.due = Duration::ZERO;
        }
    }

    pub(super) fn is_needed(&self) -> bool {
        self.pace.is_some() || !self.waiting.is_empty()
    }

    /// Whether one more key frame may begin.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < ENOUGH
    }

    /// A packet of so many `bytes` comes last.
    pub(super) fn push(&mut self, packet: T, bytes: usize) {
        self.bytes += bytes;
        self.waiting.push_back((packet, bytes));
    }

    /// The next packet whose turn has come.
    pub(super) fn pop(&mut self, now: Duration) -> Option<T> {
        if now < self.due {
            return None;
        }
        let (packet, bytes) = self.waiting.pop_front()?;
        if let Some(pace) = self.pace {
            let all = self.bytes as f64 * 8.0 / pace.within.as_secs_f64().max(0.001);
            let rate = all.max(pace.rate as f64).max(1.0);
            let takes = Duration::from_secs_f64(bytes as f64 * 8.0 / rate);
            self.due = self.due.max(now) + takes;
        }
        self.bytes -= bytes;
        Some(packet)
    }

    /// When the next one may go, if one waits.
    pub(super) fn due(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn pace(rate: u64, seconds: u64) -> Option<Pace> {
        let within = Duration::from_secs(seconds);
        Some(Pace { rate, within })
    }

    #[test]
    fn nothing_waits_for_longer_than_it_may() {
        let mut paced = Paced::default();
        paced.set_pace(pace(8000, 1));
        let mut longest = 0;
        for at in 0..20_000 {
            // Ten times what goes at that rate.
            if at % 100 == 0 {
                paced.push(at, 1000);
            }
            while let Some(since) = paced.pop(ms(at)) {
                longest = longest.max(at - since);
            }
        }
        assert!((500..1100).contains(&longest), "{longest} ms");
    }

    #[test]
    fn packets_go_at_the_rate_and_in_order() {
        let mut paced = Paced::default();
        paced.set_pace(pace(80_000, 60));
        for number in 0..10 {
            paced.push(number, 1000);
        }
        let mut went = Vec::new();
        for at in 0..2000 {
            while let Some(number) = paced.pop(ms(1000 + at)) {
                went.push((number, at));
            }
        }
        let expected: Vec<_> = (0..10).map(|number| (number, number * 100)).collect();
        assert_eq!(went, expected);
        assert_eq!(paced.due(), None);
        assert!(paced.is_needed());
    }

    #[test]
    fn without_a_rate_everything_goes() {
        let mut paced = Paced::default();
        paced.set_pace(pace(8, 100_000));
        for number in 0..20 {
            paced.push(number, 1000);
        }
        assert!(!paced.has_room());
        assert_eq!(paced.pop(ms(0)), Some(0));
        assert_eq!(paced.pop(ms(900_000)), None);
        paced.set_pace(None);
        assert_eq!((1..20).map_while(|_| paced.pop(ms(1))).count(), 19);
        assert!(!paced.is_needed());
    }
}
