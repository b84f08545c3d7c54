// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much arrives of a layer.

use std::time::Duration;

use super::share::Offered;
use super::temporal::Frame;

/// Over how long is counted.
const WINDOW: Duration = Duration::from_secs(1);

/// How often a receiver of nothing but key frames gets one, at best.
pub(super) const KEYS_EVERY: Duration = Duration::from_secs(3);

/// Bytes of a layer over time.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// Since when is counted; `None` until something has come.
    since: Option<Duration>,
    /// By temporal layer, without key frames.
    bytes: [u64; 4],
    /// Bits per second up to each temporal layer; `None` until a window is over.
    rates: Option<[u64; 4]>,
    /// The key frame that comes in, by its time.
    key: Option<u32>,
    /// The bytes of it, and of the one before.
    key_bytes: (u64, u64),
}

impl Rate {
    /// A packet of `bytes` has come.
    pub(super) fn count(&mut self, bytes: usize, frame: &Frame, now: Duration) {
        let bytes = bytes as u64;
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_sub(since);
        if passed >= WINDOW {
            let measured = self.measured(passed);
            self.rates = Some(match self.rates {
                Some(last) => std::array::from_fn(|at| u64::midpoint(last[at], measured[at])),
                None => measured,
            });
            self.bytes = [0; 4];
            self.since = Some(now);
        }
        if frame.begins_key == Some(true) && self.key != Some(frame.time) {
            self.key = Some(frame.time);
            self.key_bytes = (0, self.key_bytes.0);
        }
        if self.key == Some(frame.time) {
            // They come when asked for, and say little of what comes else.
            self.key_bytes.0 += bytes;
        } else {
            self.bytes[usize::from(frame.temporal.unwrap_or(0)).min(3)] += bytes;
        }
    }

    /// What is known of it, as layer `layer`.
    pub(super) fn offered(&self, layer: u8) -> Offered {
        let key = self.key_bytes.0.max(self.key_bytes.1);
        Offered {
            layer,
            // Until a window is over, what has come in it so far is all there is to go by.
            rates: self.rates.unwrap_or_else(|| self.measured(WINDOW)),
            keys: key * 8 / KEYS_EVERY.as_secs(),
        }
    }

    fn measured(&self, passed: Duration) -> [u64; 4] {
        // After a pause, what is in there was not spread over it.
        let seconds = passed.min(2 * WINDOW).as_secs_f64();
        let mut sum = 0;
        self.bytes.map(|bytes| {
            sum += bytes;
            (sum as f64 * 8.0 / seconds) as u64
        })
    }

    /// Bits per second.
    pub(super) fn total(&self) -> u64 {
        self.rates.map_or(0, |rates| rates[3])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_packets_gives_the_rate_by_temporal_layer() {
        let mut rate = Rate::default();
        for number in 0..101_u32 {
            let frame = Frame {
                temporal: Some([0, 2, 1, 2][number as usize % 4]),
                time: number * 3000,
                begins_key: Some(number == 0),
                ..Frame::default()
            };
            let now = Duration::from_millis(u64::from(number) * 10);
            rate.count(1000, &frame, now);
        }
        let offered = rate.offered(1);
        // The first one is a key frame.
        assert_eq!(offered.rates, [192_000, 392_000, 792_000, 792_000]);
        assert_eq!(offered.keys, 1000 * 8 / 3);
        assert_eq!(rate.total(), 792_000);
    }
}
