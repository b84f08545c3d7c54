// SPDX-License-Identifier: MIT OR Apache-2.0
//! One track on its way to one member: numbers without gaps, whatever is forwarded.
//!
//! A receiver sees one stream. What it is made of may change (another layer, a pause), and each time the numbers of the
//! packets go on where they were: a gap would look like loss, and be asked for.

use std::time::Duration;

use super::left::Left;

/// Beyond this distance behind the newest packet a late one has no place any more.
const LATE: u64 = 1024;

/// Numbers of the packets on one way.
#[derive(Debug)]
pub(super) struct Numbers {
    clock: u32,
    next: Option<Next>,
    /// What was left out of what is being forwarded.
    left: Left,
    /// The first number: below 2^16, as the receiver counts from there.
    first: u16,
}

#[derive(Clone, Copy, Debug)]
struct Next {
    /// What is being forwarded.
    layer: u8,
    /// Its first sequence number that belongs here.
    from: u64,
    /// Ours minus the source's.
    sequence: i128,
    /// Ours minus the source's.
    timestamp: u32,
    /// The highest of ours.
    highest: u64,
    newest_timestamp: u32,
    at: Duration,
    /// Go on with the next packet as if it were another source.
    interrupted: bool,
}

impl Numbers {
    /// `clock`: ticks of a timestamp per second. `first`: any number.
    pub(super) fn new(clock: u32, first: u16) -> Self {
        Self {
            clock,
            next: None,
            left: Left::default(),
            first: first & 0x7fff,
        }
    }

    /// Numbers and timestamp for a packet of `layer` that came at `now`; `None` when it came too late to have a place.
    pub(super) fn of(
        &mut self,
        layer: u8,
        sequence: u64,
        timestamp: u32,
        now: Duration,
    ) -> Option<(u64, u32)> {
        let next = match self.next {
            None => Next {
                layer,
                from: sequence,
                sequence: i128::from(self.first) - i128::from(sequence),
                timestamp: 0,
                highest: u64::from(self.first),
                newest_timestamp: timestamp,
                at: now,
                interrupted: false,
            },
            Some(last) if last.layer != layer || last.interrupted => {
                // Layers count from different starts; what they share is the time.
                let passed = now.saturating_sub(last.at).as_micros() * u128::from(self.clock);
                let passed = ((passed / 1_000_000) as u32).max(1);
                let here = last.newest_timestamp.wrapping_add(passed);
                Next {
                    layer,
                    from: sequence,
                    sequence: i128::from(last.highest) + 1 - i128::from(sequence),
                    timestamp: here.wrapping_sub(timestamp),
                    highest: last.highest + 1,
                    newest_timestamp: here,
                    at: now,
                    interrupted: false,
                }
            }
            Some(mut next) => {
                let number = self.number(&next, sequence)?;
                if sequence < next.from || number + LATE < next.highest {
                    return None;
                }
                if number > next.highest {
                    next.highest = number;
                    next.newest_timestamp = timestamp.wrapping_add(next.timestamp);
                    next.at = now;
                }
                self.next = Some(next);
                return Some((number, timestamp.wrapping_add(next.timestamp)));
            }
        };
        self.next = Some(next);
        self.left = Left::default();
        Some((next.highest, timestamp.wrapping_add(next.timestamp)))
    }

    /// The packet is left out: those behind it close up, unless one of them has gone already.
    pub(super) fn leave_out(&mut self, layer: u8, sequence: u64) {
        let Some(next) = self.next.filter(|next| next.layer == layer) else {
            return;
        };
        let number = self.number(&next, sequence);
        if sequence > next.from && number.is_some_and(|number| number > next.highest) {
            self.left.add(sequence);
        }
    }

    fn number(&self, next: &Next, sequence: u64) -> Option<u64> {
        let left = i128::from(self.left.before(sequence)?);
        u64::try_from(i128::from(sequence) + next.sequence - left).ok()
    }

    /// Whether a packet has a number.
    pub(super) fn have_begun(&self) -> bool {
        self.next.is_some()
    }

    /// The next packet follows the last one, whatever lies between.
    pub(super) fn interrupt(&mut self) {
        if let Some(next) = &mut self.next {
            next.interrupted = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_steady_stream_keeps_its_gaps_and_its_order() {
        let mut numbers = Numbers::new(90_000, 500);
        assert_eq!(numbers.of(2, 70_000, 1000, ms(0)), Some((500, 1000)));
        assert_eq!(numbers.of(2, 70_002, 4000, ms(33)), Some((502, 4000)));
        // Late, and now where it belongs.
        assert_eq!(numbers.of(2, 70_001, 1000, ms(34)), Some((501, 1000)));
        // From before the beginning, and from long ago.
        assert_eq!(numbers.of(2, 69_999, 900, ms(35)), None);
        numbers.of(2, 72_000, 9000, ms(36));
        assert_eq!(numbers.of(2, 70_003, 4000, ms(37)), None);
    }

    #[test]
    fn another_layer_goes_on_where_the_last_one_ended() {
        let mut numbers = Numbers::new(90_000, 10);
        numbers.of(0, 100, 50_000, ms(0));
        numbers.of(0, 101, 53_000, ms(33));
        let (number, time) = numbers.of(2, 9, 4_000_000_000, ms(66)).expect("a place");
        assert_eq!((number, time), (12, 53_000 + 33 * 90));
        assert_eq!(
            numbers.of(2, 10, 4_000_000_000u32.wrapping_add(3000), ms(99)),
            Some((13, 53_000 + 33 * 90 + 3000))
        );
        // A late packet of the new layer, from before the switch.
        assert_eq!(numbers.of(2, 8, 3_999_999_999, ms(100)), None);
    }

    #[test]
    fn a_pause_leaves_no_gap() {
        let mut numbers = Numbers::new(48_000, 0);
        numbers.of(2, 1, 960, ms(0));
        numbers.interrupt();
        assert_eq!(
            numbers.of(2, 5000, 9_000_000, ms(10_000)),
            Some((1, 960 + 480_000))
        );
    }

    #[test]
    fn what_is_left_out_leaves_no_gap_and_what_is_lost_does() {
        let mut numbers = Numbers::new(90_000, 0);
        let mut of = |sequence, leave: bool| {
            if leave {
                numbers.leave_out(2, sequence);
                return None;
            }
            Some(numbers.of(2, sequence, 0, ms(0))?.0)
        };
        assert_eq!(of(100, false), Some(0));
        assert_eq!(of(101, true), None);
        assert_eq!(of(103, false), Some(2));
        assert_eq!(of(102, false), Some(1));
        assert_eq!(of(105, true), None);
        assert_eq!(of(104, true), None);
        assert_eq!(of(106, false), Some(3));
        // Too late to close up: the one behind it has gone.
        assert_eq!(of(110, false), Some(7));
        assert_eq!(of(109, true), None);
        assert_eq!(of(111, false), Some(8));
        assert_eq!(of(108, false), Some(5));
    }

    #[test]
    fn timestamps_wrap_around() {
        let mut numbers = Numbers::new(90_000, 0);
        assert_eq!(numbers.of(2, 1, u32::MAX, ms(0)), Some((0, u32::MAX)));
        assert_eq!(numbers.of(2, 2, 2999, ms(33)), Some((1, 2999)));
        assert!(numbers.of(1, 7, 5, ms(66)).is_some());
    }
}
