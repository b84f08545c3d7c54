// SPDX-License-Identifier: MIT OR Apache-2.0
//! The RTP time stamps that libwebrtc's senders write into their IVs.

use alloc::vec::Vec;

use crate::iv::Iv;

/// The newest time stamp of each SSRC that authenticated.
#[derive(Debug)]
pub(crate) struct Timestamps {
    newest: Vec<(u32, u32)>,
    oldest_allowed: u32,
}

impl Timestamps {
    pub(super) fn new(clock_rate: u32) -> Self {
        Self {
            newest: Vec::with_capacity(MAX_SSRCS),
            oldest_allowed: clock_rate.saturating_mul(MAX_AGE_SECONDS),
        }
    }

    pub(super) fn admits(&self, iv: &Iv) -> bool {
        match self.newest.iter().find(|(ssrc, _)| *ssrc == iv.word(0)) {
            Some((_, newest)) => {
                let age = newest.wrapping_sub(iv.word(1));
                !is_older(age) || age <= self.oldest_allowed
            }
            // Forgetting an SSRC would let its frames play again.
            None => self.newest.len() < MAX_SSRCS,
        }
    }

    pub(super) fn record(&mut self, iv: &Iv) {
        match self.newest.iter_mut().find(|(ssrc, _)| *ssrc == iv.word(0)) {
            Some((_, newest)) => {
                if !is_older(newest.wrapping_sub(iv.word(1))) {
                    *newest = iv.word(1);
                }
            }
            None => self.newest.push((iv.word(0), iv.word(1))),
        }
    }
}

/// Whether a time stamp so many ticks behind the newest is older, time stamps going round every 13 to 24 hours.
fn is_older(age: u32) -> bool {
    age < 1 << 31
}

const MAX_AGE_SECONDS: u32 = 5;
/// Three simulcast layers, and room for a sender that starts anew.
const MAX_SSRCS: usize = 16;
