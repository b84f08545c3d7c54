// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the link to a receiver carries, by what the receiver says of the packets that were sent.
//!
//! A receiver counts as fast until its feedback says otherwise: packets that get lost together with a delay that grew, many
//! packets lost, or a delay that grew a lot. What it got in that time is what the link carries. A cut that changes
//! nothing shows that the trouble is not of our making (a radio that loses one packet in five, or the receiver's own way
//! up that is full), and is taken back. From a cut it goes up step by step, and after a step that failed the next one
//! waits twice as long.
//!
//! Not the engine's own estimate: that one comes with a pacer, which asks the whole engine again for each packet, and
//! begins at a number that it has to find out about. Nobody here is restricted for want of a number.

use std::time::Duration;

/// Below this there is too little to judge by, in bits per second.
const LEAST: f64 = 20_000.0;

/// A delay that grew by this much is a queue.
const QUEUE: Duration = Duration::from_millis(100);

/// A delay that grew by this much is too much, whether anything is lost or not.
const LONG_QUEUE: Duration = Duration::from_millis(250);

/// With a queue, so much loss is enough.
const SOME_LOSS: f64 = 0.03;

/// Without one, it takes as much as no sound radio loses.
const MUCH_LOSS: f64 = 0.15;

/// Loss beyond this is never taken for the nature of a link.
const MOST_NATURAL: f64 = 0.4;

/// Of what arrived, this much is sent, so that the queue drains.
const SHARE: f64 = 0.85;

/// A cut leaves at least this much: what was measured in a second may have been an outage.
const DEEPEST: f64 = 0.2;

/// What is sent at the very least is taken for carried, in bits per second.
const FLOOR: f64 = 30_000.0;

/// How long a change may take until it shows.
const SETTLE: Duration = Duration::from_secs(2);

/// A step up that went well for so long has succeeded.
const TRIAL: Duration = Duration::from_secs(4);

/// How long after a cut the first step up is tried, and how long at most.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(120));

/// How long the smallest delay is remembered, in halves.
const HALF: Duration = Duration::from_secs(30);

/// What was heard of the last interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) now: Duration,
    /// Bits per second that were sent.
    pub(super) rate: f64,
    /// Part of the packets that got lost, of those of which the receiver told.
    pub(super) loss: f64,
    /// From sending a packet until hearing of it.
    pub(super) delay: Duration,
    /// The same of an ICE check, which may have gone when nothing else did.
    pub(super) check: Option<Duration>,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Steady,
    /// Send no more than [`Link::room`], at once.
    Cut {
        /// It is not certain that the link is to blame, or nothing got lost yet: no video has to go for it.
        gently: bool,
    },
    /// Send what was sent before [`Verdict::Raise`].
    Back,
    /// Try a little more.
    Raise,
    /// Send everything: the link carries it, or is not to blame.
    Free,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    LossAndQueue,
    Loss,
    Queue,
}

/// The last cut, as long as it is not known what it led to.
#[derive(Clone, Copy, Debug)]
struct Cut {
    evidence: Evidence,
    before: Sample,
    loss: f64,
    base: Duration,
}

/// What a link carries.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Bits per second; `None` while it counts as fast.
    room: Option<f64>,
    last: Option<(Duration, Duration)>,
    shortest: Shortest,
    loss: f64,
    /// Loss that was there at any rate.
    natural: f64,
    /// Samples with evidence in a row.
    bad: u8,
    cut: Option<Cut>,
    /// Until when nothing is concluded.
    settled: Duration,
    /// What it carried before it was raised, as long as that may fail.
    tried: Option<f64>,
    next_try: Duration,
    patience: Duration,
}

impl Link {
    /// What it carries, in bits per second; `None` while it counts as fast.
    pub(super) fn room(&self) -> Option<u64> {
        self.room.map(|room| room as u64)
    }

    /// Takes what was heard.
    pub(super) fn heard(&mut self, sample: Sample) -> Verdict {
        let Sample {
            now,
            rate,
            loss,
            delay,
            check,
        } = sample;
        let is_sound = rate.is_finite() && (0.0..=1.0).contains(&loss);
        if !is_sound || rate < LEAST {
            return self.step_up(now);
        }
        self.loss += 0.4 * (loss - self.loss);
        self.natural = self.natural.min(self.loss);
        let base = self
            .shortest
            .of(check.map_or(delay, |check| delay.min(check)), now);
        let grown = delay.saturating_sub(base);
        let before = self.last.replace((now, delay));
        if now < self.settled {
            return Verdict::Steady;
        }
        if let Some(cut) = self.cut
            && self.is_not_to_blame(&cut, &sample)
        {
            return self.acquit(&cut, &sample);
        }
        let falls = before.is_some_and(|(_, before)| delay + before / 8 < before);
        let improves = falls || (self.loss > SOME_LOSS && loss < self.loss / 2.0);
        let excess = loss - self.natural;
        let longest = if self.tried.is_some() {
            QUEUE
        } else {
            LONG_QUEUE
        };
        let evidence = if grown > QUEUE && excess > SOME_LOSS && !improves {
            Some(Evidence::LossAndQueue)
        } else if self.loss - self.natural > MUCH_LOSS && excess > MUCH_LOSS {
            Some(Evidence::Loss)
        } else if grown > longest && !improves {
            Some(Evidence::Queue)
        } else {
            None
        };
        let Some(evidence) = evidence else {
            self.bad = 0;
            self.cut = None;
            if grown > QUEUE {
                return Verdict::Steady;
            }
            return self.step_up(now);
        };
        self.bad += 1;
        self.next_try = self.next_try.max(now + SETTLE);
        let enough = match evidence {
            // A step up has just been tried.
            _ if self.tried.is_some() => 1,
            Evidence::Queue => 3,
            Evidence::LossAndQueue | Evidence::Loss => 2,
        };
        if self.bad < enough {
            return Verdict::Steady;
        }
        self.bad = 0;
        self.settled = now + SETTLE;
        if let Some(proven) = self.tried.take() {
            self.room = Some(proven);
            self.patience = (self.patience * 2).min(PATIENCE.1);
            self.next_try = now + self.patience;
            return Verdict::Back;
        }
        // While a queue grows, less arrives in a second than was sent in one.
        let slope = before.map_or(0.0, |(then, before)| {
            let passed = now.saturating_sub(then).as_secs_f64().max(0.001);
            (delay.as_secs_f64() - before.as_secs_f64()) / passed
        });
        let arrived = rate * (1.0 - loss) * (1.0 - slope.clamp(0.0, 0.9));
        let room = (arrived * SHARE).max(rate * DEEPEST);
        let room = self.room.map_or(room, |last| room.min(last * SHARE));
        self.room = Some(room.max(FLOOR));
        self.patience = self.patience.max(PATIENCE.0);
        self.next_try = now + self.patience;
        let loss = self.loss.max(loss);
        // Of cuts in a row, the first one tells best what they led to.
        if self.cut.is_none_or(|cut| cut.evidence != evidence) {
            self.cut = Some(Cut {
                evidence,
                before: sample,
                loss,
                base,
            });
        }
        Verdict::Cut {
            gently: match evidence {
                Evidence::LossAndQueue => false,
                Evidence::Loss => loss < MOST_NATURAL,
                Evidence::Queue => true,
            },
        }
    }

    /// [`Verdict::Cut`] led to nothing.
    pub(super) fn kept(&mut self) {
        self.cut = None;
        self.settled = Duration::ZERO;
    }

    /// So much is sent after [`Verdict::Raise`], in bits per second.
    pub(super) fn raised(&mut self, total: u64) {
        if let Some(room) = &mut self.room {
            *room = room.max(total as f64);
        }
    }

    /// There is nothing more to send after [`Verdict::Raise`].
    pub(super) fn free(&mut self) {
        self.room = None;
        self.tried = None;
        self.patience = PATIENCE.0;
    }

    fn step_up(&mut self, now: Duration) -> Verdict {
        let Some(room) = self.room.filter(|_| now >= self.settled.max(self.next_try)) else {
            return Verdict::Steady;
        };
        if self.tried.replace(room).is_some() {
            // The last step held.
            self.patience = PATIENCE.0;
        }
        self.next_try = now + TRIAL;
        Verdict::Raise
    }

    /// Whether much less was sent since a cut, and what led to it went on as before.
    fn is_not_to_blame(&self, cut: &Cut, now: &Sample) -> bool {
        if now.rate > cut.before.rate * 0.6 {
            return false;
        }
        let queue = cut.before.delay.saturating_sub(cut.base);
        match cut.evidence {
            Evidence::Loss => cut.loss < MOST_NATURAL && self.loss.min(now.loss) > cut.loss * 0.8,
            Evidence::Queue => {
                let long = now.delay.abs_diff(cut.before.delay) < queue / 5;
                long && now.loss - self.natural < SOME_LOSS
            }
            // A queue that is full stays so until enough is cut.
            Evidence::LossAndQueue => false,
        }
    }

    /// Takes the cuts back.
    fn acquit(&mut self, cut: &Cut, now: &Sample) -> Verdict {
        if cut.evidence == Evidence::Loss {
            self.natural = self.loss;
        } else {
            self.shortest = Shortest::default();
            self.shortest.of(now.delay, now.now);
        }
        self.cut = None;
        self.free();
        Verdict::Free
    }
}

/// The shortest delay of the last minute or so.
#[derive(Debug, Default)]
struct Shortest {
    since: Duration,
    /// Of this half and the one before.
    halves: (Option<Duration>, Option<Duration>),
}

impl Shortest {
    fn of(&mut self, delay: Duration, now: Duration) -> Duration {
        if now.saturating_sub(self.since) >= HALF {
            self.since = now;
            self.halves = (None, self.halves.0);
        }
        let this = self.halves.0.map_or(delay, |this| this.min(delay));
        self.halves.0 = Some(this);
        self.halves.1.map_or(this, |last| last.min(this))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STEP: Duration = Duration::from_millis(500);

    /// A link that carries so many bits per second with a queue of so many seconds, and how it goes with one who sends
    /// what `Link` lets it of `wanted` bits per second.
    struct Path {
        carries: f64,
        longest: f64,
        natural: f64,
        /// A delay that does not come from what is sent.
        foreign: f64,
        queue: f64,
        link: Link,
        now: Duration,
        wanted: f64,
        sends: f64,
    }

    impl Path {
        fn new(carries: f64, wanted: f64) -> Self {
            Self {
                carries,
                longest: 0.3,
                natural: 0.0,
                foreign: 0.0,
                queue: 0.0,
                link: Link::default(),
                now: Duration::ZERO,
                wanted,
                sends: wanted,
            }
        }

        fn step(&mut self) -> Verdict {
            self.now += STEP;
            let fills = (self.sends / self.carries - 1.0) * STEP.as_secs_f64();
            let queue = (self.queue + fills).clamp(0.0, self.longest);
            let over = (fills - (queue - self.queue)).max(0.0) * self.carries;
            self.queue = queue;
            let overflow = over / (self.sends * STEP.as_secs_f64());
            let loss = overflow + (1.0 - overflow) * self.natural;
            let verdict = self.link.heard(Sample {
                now: self.now,
                rate: self.sends,
                loss: loss.clamp(0.0, 1.0),
                delay: Duration::from_secs_f64(0.03 + self.queue + self.foreign),
                // There was one before anything else went.
                check: Some(Duration::from_secs_f64(0.03 + self.foreign)),
            });
            if verdict == Verdict::Raise {
                if self.sends >= self.wanted {
                    self.link.free();
                }
                let more = (self.sends * 1.5).min(self.wanted);
                self.link.raised(more as u64);
            }
            let room = self.link.room().map_or(f64::MAX, |room| room as f64);
            self.sends = self.wanted.min(room);
            verdict
        }

        fn run(&mut self, seconds: u32) -> Vec<Verdict> {
            (0..seconds * 2).map(|_| self.step()).collect()
        }
    }

    #[test]
    fn what_the_link_carries_is_found_within_seconds_and_not_undercut_by_much() {
        for (carries, seconds) in [(300_000.0, 6), (900_000.0, 4)] {
            let mut path = Path::new(carries, 1_500_000.0);
            path.run(seconds);
            let found = path.sends / carries;
            assert!((0.5..1.0).contains(&found), "{found} of {carries}");
        }
    }

    #[test]
    fn a_step_up_that_fails_is_taken_back_and_the_next_one_waits_longer() {
        let mut path = Path::new(300_000.0, 1_500_000.0);
        path.run(5);
        let verdicts = path.run(115);
        let at = |wanted| {
            let places = verdicts.iter().enumerate();
            let places = places.filter(move |(_, verdict)| **verdict == wanted);
            places.map(|(at, _)| at).collect::<Vec<_>>()
        };
        let (raised, back) = (at(Verdict::Raise), at(Verdict::Back));
        assert!(raised.len() <= 8, "{raised:?}");
        let waits: Vec<usize> = back.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(waits.windows(2).all(|pair| pair[1] > pair[0]), "{back:?}");
        assert!(path.sends < 300_000.0);
    }

    #[test]
    fn a_link_that_recovers_is_soon_free() {
        let mut path = Path::new(300_000.0, 1_500_000.0);
        path.run(12);
        path.carries = 10_000_000.0;
        path.run(30);
        assert_eq!(path.link.room(), None);
        assert!(
            path.run(60)
                .iter()
                .all(|verdict| *verdict == Verdict::Steady)
        );
    }

    #[test]
    fn what_a_cut_does_not_help_against_is_not_held_against_the_link() {
        // A radio that loses much at any rate.
        let mut path = Path::new(10_000_000.0, 1_500_000.0);
        path.natural = 0.25;
        path.run(40);
        assert_eq!(path.link.room(), None);
        // The way up of the receiver is full.
        let mut path = Path::new(10_000_000.0, 1_500_000.0);
        path.run(5);
        path.foreign = 0.8;
        path.run(40);
        assert_eq!(path.link.room(), None);
    }

    #[test]
    fn an_outage_is_forgotten() {
        let mut path = Path::new(10_000_000.0, 1_500_000.0);
        path.run(5);
        path.natural = 1.0;
        path.run(3);
        path.natural = 0.0;
        path.run(30);
        assert_eq!(path.link.room(), None);
    }

    proptest! {
        #[test]
        fn some_loss_and_some_delay_restrict_nobody(
            samples in prop::collection::vec((0.0..0.14, 0.02..0.11), 1..200),
        ) {
            let mut link = Link::default();
            for (number, (loss, delay)) in (1..).zip(samples) {
                let verdict = link.heard(Sample {
                    now: STEP * number,
                    rate: 1e6,
                    loss,
                    delay: Duration::from_secs_f64(delay),
                    check: None,
                });
                prop_assert_eq!(verdict, Verdict::Steady);
            }
        }

        #[test]
        fn nonsense_never_leaves_less_than_the_floor(
            samples in prop::collection::vec(
                (0_u64..2000, any::<f64>(), any::<f64>(), any::<u32>(), any::<Option<u32>>()),
                1..200,
            ),
        ) {
            let mut link = Link::default();
            let mut now = Duration::ZERO;
            for (passed, rate, loss, delay, check) in samples {
                now += Duration::from_millis(passed);
                link.heard(Sample {
                    now,
                    rate,
                    loss: if loss.is_finite() { loss.abs().fract() } else { loss },
                    delay: Duration::from_micros(delay.into()),
                    check: check.map(|check| Duration::from_micros(check.into())),
                });
                prop_assert!(link.room().is_none_or(|room| room >= FLOOR as u64));
            }
        }
    }
}
