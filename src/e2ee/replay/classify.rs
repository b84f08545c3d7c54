// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tells from the first IVs of a foreign sender how it makes them.

use crate::iv::Iv;

/// How a sender makes its IVs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A constant prefix and a counter: one of us.
    Counter,
    /// SSRC, RTP time stamp, time stamp minus count: libwebrtc and browsers.
    Timestamp,
    /// Anything else.
    Random,
}

/// Watches for a run of IVs that follow one rule.
#[derive(Debug, Default)]
pub(crate) struct Classifier {
    last: Option<Iv>,
    seen: u32,
    counter_run: u32,
    timestamp_run: u32,
    time_moved: bool,
}

impl Classifier {
    /// Takes the next authenticated IV; says the kind once it is certain.
    pub(super) fn observe(&mut self, iv: &Iv) -> Option<Kind> {
        self.seen += 1;
        if let Some(last) = self.last.replace(*iv) {
            let continues = |holds, run| if holds { run + 1 } else { 0 };
            self.counter_run = continues(follows_counter(&last, iv), self.counter_run);
            self.timestamp_run = continues(follows_timestamp(&last, iv), self.timestamp_run);
            self.time_moved =
                self.timestamp_run > 0 && (self.time_moved || last.word(1) != iv.word(1));
        }
        if self.counter_run == RUN {
            Some(Kind::Counter)
        } else if self.timestamp_run >= RUN && self.time_moved {
            Some(Kind::Timestamp)
        } else if self.seen == PATIENCE {
            Some(Kind::Random)
        } else {
            None
        }
    }
}

fn follows_counter(last: &Iv, iv: &Iv) -> bool {
    let step = iv.counter().wrapping_sub(last.counter());
    last.prefix() == iv.prefix() && (1..=MAX_STEP).contains(&step)
}

fn follows_timestamp(last: &Iv, iv: &Iv) -> bool {
    // Counts go round at 65 535.
    let count =
        |iv: &Iv| Some(iv.word(1).wrapping_sub(iv.word(2))).filter(|count| *count < COUNT_MODULUS);
    let (Some(before), Some(after)) = (count(last), count(iv)) else {
        return false;
    };
    let step = (after + COUNT_MODULUS - before) % COUNT_MODULUS;
    let time_step = iv.word(1).wrapping_sub(last.word(1));
    last.word(0) == iv.word(0) && (1..=MAX_STEP).contains(&step) && time_step < 1 << 31
}

/// By chance, eight IVs in a row follow neither rule.
const RUN: u32 = 8;
/// A sender that followed no rule for so many frames never will.
const PATIENCE: u32 = 64;
/// Frames that may be lost between two.
const MAX_STEP: u32 = 64;
const COUNT_MODULUS: u32 = 0xFFFF;
