// SPDX-License-Identifier: MIT OR Apache-2.0

//! The elements under GStreamer's own test harness.

#![allow(
    clippy::unwrap_used,
    reason = "a panic is how a test reports that something is not as it should be"
)]

mod payloader;

/// Starts GStreamer; every test begins with it.
fn init() {
    crate::plugins::gst_init().unwrap();
}

/// Bytes that look random and are the same in every run.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}
