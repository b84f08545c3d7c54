// SPDX-License-Identifier: MIT OR Apache-2.0
//! A link as a bottleneck with a queue in front of it, and loss of its own. The same each time.

use std::collections::VecDeque;
use std::time::Duration;

/// The way to a client. As it is made, it carries everything at once.
#[derive(Default)]
pub(crate) struct Net {
    /// Bits per second that it carries.
    pub(crate) rate: Option<u64>,
    /// How long its queue may be.
    pub(crate) queue: Duration,
    /// Part of the packets that it loses, whatever its queue.
    pub(crate) loss: f64,
    /// How long a packet takes at least.
    pub(crate) delay: Duration,
    /// Until when the queue lasts.
    pub(crate) until: Duration,
    pub(crate) drawn: u64,
    pub(crate) way: VecDeque<(Duration, Vec<u8>)>,
    /// How many packets came, and how many of them got lost.
    pub(crate) came: usize,
    pub(crate) lost: usize,
    /// The longest time in the queue.
    pub(crate) longest: Duration,
}

impl Net {
    /// So many bits per second, and a queue of 300 ms.
    pub(crate) fn slow(rate: u64) -> Self {
        Self {
            rate: Some(rate),
            queue: Duration::from_millis(300),
            delay: Duration::from_millis(10),
            ..Self::default()
        }
    }

    /// What came and got lost is counted from here on.
    pub(crate) fn count_anew(&mut self) {
        (self.came, self.lost, self.longest) = (0, 0, Duration::ZERO);
    }

    /// The part of the packets that got lost.
    pub(crate) fn lost_part(&self) -> f64 {
        self.lost as f64 / self.came.max(1) as f64
    }

    pub(super) fn send(&mut self, packet: Vec<u8>, now: Duration) {
        self.came += 1;
        let from = self.until.max(now);
        let takes = self.rate.map_or(Duration::ZERO, |rate| {
            // With what IP and UDP put in front.
            let bits = (packet.len() + 28) as f64 * 8.0;
            Duration::from_secs_f64(bits / rate as f64)
        });
        let is_full = self.rate.is_some() && from - now > self.queue;
        if is_full || self.draw() < self.loss {
            self.lost += 1;
            return;
        }
        self.longest = self.longest.max(from - now);
        self.until = from + takes;
        self.way.push_back((self.until + self.delay, packet));
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.way.front().map(|(at, _)| *at)
    }

    pub(super) fn arrive(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.due().filter(|due| *due <= now)?;
        self.way.pop_front().map(|(_, packet)| packet)
    }

    fn draw(&mut self) -> f64 {
        self.drawn = self
            .drawn
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.drawn >> 40) as f64 / f64::from(1 << 24)
    }
}
