// SPDX-License-Identifier: MIT OR Apache-2.0

//! How long an Opus packet sounds (RFC 6716, section 3.1).

use std::time::Duration;

/// Duration of the packet; `None` when it is not one. A packet sounds at most 120 ms.
pub fn duration(packet: &[u8]) -> Option<Duration> {
    let toc = *packet.first()?;
    let frame_us = match toc >> 3 {
        config @ 0..=11 => [10_000, 20_000, 40_000, 60_000][usize::from(config % 4)],
        config @ 12..=15 => [10_000, 20_000][usize::from(config % 2)],
        config => [2_500, 5_000, 10_000, 20_000][usize::from(config % 4)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1)? & 0x3f),
    };
    let whole = Duration::from_micros(frame_us * frames);
    (!whole.is_zero() && whole <= Duration::from_millis(120)).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_follow_the_first_two_bytes() {
        let ms = |packet: &[u8]| duration(packet).map(|d| d.as_micros());
        assert_eq!(ms(&[0x78]), Some(20_000), "hybrid, one frame of 20 ms");
        assert_eq!(ms(&[0xfc]), Some(20_000), "CELT, one frame of 20 ms");
        assert_eq!(ms(&[0x18]), Some(60_000), "SILK, one frame of 60 ms");
        assert_eq!(ms(&[0xe1]), Some(5_000), "CELT, two frames of 2.5 ms");
        assert_eq!(ms(&[0xfb, 3]), Some(60_000), "three frames by count");
        assert_eq!(ms(&[0xfb]), None);
        assert_eq!(ms(&[0xfb, 0]), None);
        assert_eq!(ms(&[0xfb, 63]), None, "longer than any packet may be");
        assert_eq!(ms(&[]), None);
    }
}
