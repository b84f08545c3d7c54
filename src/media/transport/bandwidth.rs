// SPDX-License-Identifier: MIT OR Apache-2.0

//! How much the network towards the service carries, from its feedback about what arrived.
//!
//! A small relative of Google's congestion control: loss and growing delay pull the estimate
//! down, otherwise it rises slowly. Pure; time is an argument.

use std::time::Duration;

/// What the service reported about packets of ours (one transport-wide congestion control
/// message).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Feedback {
    /// Bits per second that we sent.
    pub(super) sent: u32,
    /// Bits per second that arrived.
    pub(super) received: u32,
    /// Packets that arrived.
    pub(super) packets: u32,
    /// Share of packets that did not arrive, 0 to 1.
    pub(super) loss: f64,
    /// How much later each packet came than the one before it, mean in nanoseconds: above zero a
    /// queue grows somewhere.
    pub(super) delay_growth: i64,
}

/// The estimate and its history.
#[derive(Clone, Debug)]
pub(super) struct Bandwidth {
    estimate: f64,
    reported: f64,
    /// Queue that grew over the last feedbacks, in nanoseconds; decays.
    queue: f64,
    /// Smoothed loss.
    loss: f64,
    last_decrease: Option<Duration>,
    last_feedback: Option<Duration>,
}

impl Bandwidth {
    /// Below this no video is worth sending.
    pub(super) const MIN: f64 = 100_000.0;
    /// Above this no box of ours encodes.
    pub(super) const MAX: f64 = 8_000_000.0;
    /// What a connection is trusted to carry before anything is known.
    pub(super) const START: f64 = 1_500_000.0;

    /// Shares of lost packets between which the estimate stays, as in Google's.
    const LOSS_HIGH: f64 = 0.10;
    const LOSS_LOW: f64 = 0.02;
    /// A queue that grew by this much is congestion, not jitter.
    const QUEUE_LIMIT: f64 = 30e6;
    /// One reduction has to take effect before the next.
    const DECREASE_INTERVAL: Duration = Duration::from_millis(300);
    /// Growth per second.
    const GROWTH: f64 = 0.08;

    /// Begins with [`Self::START`].
    pub(super) fn new() -> Self {
        Self {
            estimate: Self::START,
            reported: Self::START,
            queue: 0.0,
            loss: 0.0,
            last_decrease: None,
            last_feedback: None,
        }
    }

    /// Bits per second.
    pub(super) fn estimate(&self) -> u32 {
        // Between MIN and MAX, so it fits.
        self.estimate as u32
    }

    /// Takes a feedback at time `now`; gives the new estimate if it changed enough to act on.
    pub(super) fn feedback(&mut self, feedback: Feedback, now: Duration) -> Option<u32> {
        let elapsed = self
            .last_feedback
            .map_or(Duration::ZERO, |last| now.saturating_sub(last))
            .min(Duration::from_secs(1));
        self.last_feedback = Some(now);

        let loss = if feedback.loss.is_finite() {
            feedback.loss.clamp(0.0, 1.0)
        } else {
            0.0
        };
        self.loss += 0.3 * (loss - self.loss);
        // Half of what was known is forgotten in about half a second, so jitter cancels out.
        self.queue *= 0.5f64.powf(elapsed.as_secs_f64() / 0.5);
        self.queue += feedback.delay_growth as f64 * f64::from(feedback.packets);
        self.queue = self
            .queue
            .clamp(-Self::QUEUE_LIMIT, 4.0 * Self::QUEUE_LIMIT);

        let may_decrease = self
            .last_decrease
            .is_none_or(|last| now.saturating_sub(last) >= Self::DECREASE_INTERVAL);
        if self.queue > Self::QUEUE_LIMIT {
            if may_decrease {
                // Below what arrives, so that the queue can drain.
                let received = f64::from(feedback.received);
                let target = if received > 0.0 {
                    received
                } else {
                    self.estimate
                };
                self.decrease(0.85 * target.min(self.estimate), now);
                self.queue = 0.0;
            }
        } else if self.loss > Self::LOSS_HIGH {
            if may_decrease {
                self.decrease(self.estimate * (1.0 - 0.5 * self.loss), now);
            }
        } else if self.loss < Self::LOSS_LOW && self.is_used(&feedback) {
            let grown = self.estimate * (1.0 + Self::GROWTH * elapsed.as_secs_f64());
            self.estimate = grown.min(Self::MAX);
        }
        self.report()
    }

    fn decrease(&mut self, target: f64, now: Duration) {
        self.estimate = target.clamp(Self::MIN, Self::MAX);
        self.last_decrease = Some(now);
    }

    /// What is not used proves nothing: a still picture must not raise the estimate for ever.
    fn is_used(&self, feedback: &Feedback) -> bool {
        f64::from(feedback.sent) > 0.7 * self.estimate
    }

    fn report(&mut self) -> Option<u32> {
        let change = (self.estimate - self.reported).abs() / self.reported;
        (change >= 0.03).then(|| {
            self.reported = self.estimate;
            self.estimate()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(100);

    /// A link of `capacity` that queues, with a sender that follows the estimate.
    fn run(bandwidth: &mut Bandwidth, capacity: f64, seconds: u32, start: Duration) -> Duration {
        let mut now = start;
        let mut queued = 0.0;
        for _ in 0..seconds * 10 {
            now += STEP;
            let sent = f64::from(bandwidth.estimate());
            let before: f64 = queued;
            queued = (queued + (sent - capacity) * STEP.as_secs_f64()).max(0.0);
            let growth = (queued - before) / capacity * 1e9;
            let packets = (sent * STEP.as_secs_f64() / 9600.0).max(1.0);
            let feedback = Feedback {
                sent: sent as u32,
                received: sent.min(capacity) as u32,
                packets: packets as u32,
                loss: 0.0,
                delay_growth: (growth / packets) as i64,
            };
            let _ = bandwidth.feedback(feedback, now);
        }
        now
    }

    fn steady(sent: u32, loss: f64, delay_growth: i64) -> Feedback {
        Feedback {
            sent,
            received: sent,
            packets: 15,
            loss,
            delay_growth,
        }
    }

    #[test]
    fn a_free_network_raises_the_estimate_slowly_up_to_the_bound() {
        let mut bandwidth = Bandwidth::new();
        let mut now = Duration::ZERO;
        for _ in 0..50 {
            now += STEP;
            let sent = bandwidth.estimate();
            bandwidth.feedback(steady(sent, 0.0, 0), now);
        }
        let after_five_seconds = f64::from(bandwidth.estimate()) / Bandwidth::START;
        assert!(
            (1.3..1.6).contains(&after_five_seconds),
            "{after_five_seconds}"
        );
        for _ in 0..1000 {
            now += STEP;
            let sent = bandwidth.estimate();
            bandwidth.feedback(steady(sent, 0.0, 0), now);
        }
        assert_eq!(bandwidth.estimate(), Bandwidth::MAX as u32);
    }

    #[test]
    fn a_narrow_link_is_found_and_kept() {
        let mut bandwidth = Bandwidth::new();
        let now = run(&mut bandwidth, 600_000.0, 20, Duration::ZERO);
        let narrow = bandwidth.estimate();
        assert!((350_000..750_000).contains(&narrow), "{narrow}");
        run(&mut bandwidth, 3_000_000.0, 60, now);
        let wide = bandwidth.estimate();
        assert!((1_800_000..3_600_000).contains(&wide), "{wide}");
    }

    #[test]
    fn much_loss_lowers_the_estimate_and_little_loss_does_not() {
        let mut bandwidth = Bandwidth::new();
        let mut now = Duration::ZERO;
        for _ in 0..20 {
            now += STEP;
            bandwidth.feedback(steady(1_500_000, 0.05, 0), now);
        }
        assert_eq!(bandwidth.estimate(), Bandwidth::START as u32);
        for _ in 0..100 {
            now += STEP;
            bandwidth.feedback(steady(1_500_000, 0.30, 0), now);
        }
        assert!(bandwidth.estimate() < 200_000);
        for _ in 0..100 {
            now += STEP;
            bandwidth.feedback(steady(1_500_000, 1.0, 0), now);
        }
        assert_eq!(bandwidth.estimate(), Bandwidth::MIN as u32);
    }

    #[test]
    fn jitter_around_zero_changes_nothing() {
        let mut bandwidth = Bandwidth::new();
        let mut now = Duration::ZERO;
        for index in 0..100 {
            now += STEP;
            let growth = if index % 2 == 0 {
                1_000_000
            } else {
                -1_000_000
            };
            // Too little is sent for growth.
            let reported = bandwidth.feedback(steady(200_000, 0.0, growth), now);
            assert_eq!(reported, None);
        }
    }

    #[test]
    fn impossible_values_keep_the_estimate_in_bounds() {
        let mut bandwidth = Bandwidth::new();
        let bounds = Bandwidth::MIN as u32..=Bandwidth::MAX as u32;
        for (index, loss) in [f64::NAN, f64::INFINITY, -1.0, 7.0].into_iter().enumerate() {
            for growth in [i64::MIN, i64::MAX, 0] {
                let feedback = Feedback {
                    sent: u32::MAX,
                    received: 0,
                    packets: u32::MAX,
                    loss,
                    delay_growth: growth,
                };
                // Time may even run backwards.
                bandwidth.feedback(feedback, Duration::from_secs(10 - index as u64));
                assert!(bounds.contains(&bandwidth.estimate()));
            }
        }
    }
}
