// SPDX-License-Identifier: MIT OR Apache-2.0
//! This member's nonces: what echoes one was said after it was given out.

use alloc::vec::Vec;
use core::time::Duration;

use roomseal_policy::MemberNonce;

/// How long a member counts as heard after the nonce that it echoed was given out. Nonces change every
/// [`PERIOD`], and an echo comes with the next confirm, so one confirm may fail to come.
pub const LIVE: Duration = Duration::from_secs(30);

/// How often every member confirms, with a new nonce.
pub const PERIOD: Duration = Duration::from_secs(10);

/// The nonces of this join, newest last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nonces(Vec<(MemberNonce, Duration)>);

impl Nonces {
    pub(crate) fn issue(&mut self, nonce: MemberNonce, now: Duration) {
        self.0.retain(|(_, at)| now.saturating_sub(*at) <= LIVE);
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push((nonce, now));
    }

    pub(crate) fn newest(&self) -> Option<MemberNonce> {
        self.0.last().map(|(nonce, _)| *nonce)
    }

    /// When a nonce was given out, if what echoes it still counts.
    pub(crate) fn issued(&self, nonce: &MemberNonce, now: Duration) -> Option<Duration> {
        self.0
            .iter()
            .find(|(own, _)| own == nonce)
            .map(|(_, at)| *at)
            .filter(|at| now.saturating_sub(*at) <= LIVE)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &MemberNonce> {
        self.0.iter().map(|(nonce, _)| nonce)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// More are given out only when the connection resumes again and again.
const MOST: usize = 16;
