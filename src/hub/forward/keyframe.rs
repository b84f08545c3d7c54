// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key frames: known by what stays clear of a sealed frame, and asked for in measure.

use std::time::Duration;

use str0m::format::Codec;

/// A sender is not asked for key frames more often than this: each costs as much as many other frames.
const PACE: Duration = Duration::from_millis(500);

/// Whether a key frame begins in this RTP payload; `None` when the codec does not show it.
///
/// Only bytes are read that sealing leaves as they are: payload descriptors and the first bytes of a frame.
pub(super) fn begins_in(codec: Codec, payload: &[u8]) -> Option<bool> {
    match codec {
        Codec::Vp8 => Some(vp8(payload).unwrap_or(false)),
        Codec::H264 => Some(h264(payload).unwrap_or(false)),
        _ => None,
    }
}

/// RFC 7741 §4.2: the first packet of partition 0, whose frame tag has its lowest bit clear (RFC 6386 §9.1).
fn vp8(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    let (start, partition) = (first & 0x10 != 0, first & 0x07);
    if !start || partition != 0 {
        return Some(false);
    }
    let mut at = 1;
    if first & 0x80 != 0 {
        let extension = *payload.get(at)?;
        at += 1;
        if extension & 0x80 != 0 {
            let long = *payload.get(at)? & 0x80 != 0;
            at += if long { 2 } else { 1 };
        }
        if extension & 0x40 != 0 {
            at += 1;
        }
        if extension & 0x30 != 0 {
            at += 1;
        }
    }
    Some(payload.get(at)? & 1 == 0)
}

/// RFC 6184: parameter sets come first in every key frame, alone (§5.6), aggregated (§5.7.1) or fragmented (§5.8).
fn h264(payload: &[u8]) -> Option<bool> {
    const SPS: u8 = 7;
    const STAP_A: u8 = 24;
    const FU_A: u8 = 28;
    match payload.first()? & 0x1f {
        SPS => Some(true),
        STAP_A => {
            let mut rest = payload.get(1..)?;
            while let [high, low, unit @ ..] = rest {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                if unit.first()? & 0x1f == SPS {
                    return Some(true);
                }
                rest = unit.get(length..)?;
            }
            Some(false)
        }
        FU_A => {
            let header = payload.get(1)?;
            Some(header & 0x80 != 0 && header & 0x1f == SPS)
        }
        _ => Some(false),
    }
}

/// When a sender was asked, and whether it has to be asked again.
#[derive(Debug)]
pub(super) struct Asking {
    pace: Duration,
    asked: Option<Duration>,
    wanted: bool,
}

impl Default for Asking {
    fn default() -> Self {
        Self::every(PACE)
    }
}

impl Asking {
    /// No more often than this.
    pub(super) fn every(pace: Duration) -> Self {
        Self {
            pace,
            asked: None,
            wanted: false,
        }
    }

    /// Somebody needs a key frame. Whether to ask the sender now; otherwise at [`Self::due`].
    pub(super) fn want(&mut self, now: Duration) -> bool {
        self.wanted = true;
        self.take(now)
    }

    /// Whether a request that waited is to be sent now.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let free = self.asked.is_none_or(|asked| now >= asked + self.pace);
        if self.wanted && free {
            self.wanted = false;
            self.asked = Some(now);
            return true;
        }
        false
    }

    /// A key frame has come, whoever asked for it.
    pub(super) fn forget(&mut self) {
        self.wanted = false;
    }

    /// When a request that waits may be sent.
    pub(super) fn due(&self) -> Option<Duration> {
        let asked = self.asked.filter(|_| self.wanted)?;
        Some(asked + self.pace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_sender_is_asked_at_once_and_then_twice_a_second_at_most() {
        let mut asking = Asking::default();
        let mut sent = 0;
        for at in 0..10_000 {
            // Sixteen receivers lose packets all the time.
            for _ in 0..16 {
                sent += u32::from(asking.want(ms(at)));
            }
            if at == 0 {
                assert_eq!(sent, 1);
            }
        }
        assert_eq!(sent, 20);
    }

    #[test]
    fn a_request_that_came_too_early_is_not_forgotten() {
        let mut asking = Asking::default();
        assert!(asking.want(ms(0)));
        assert_eq!(asking.due(), None);
        assert!(!asking.want(ms(100)));
        assert_eq!(asking.due(), Some(ms(500)));
        assert!(!asking.take(ms(499)));
        assert!(asking.take(ms(500)));
        assert!(!asking.take(ms(2000)));
    }

    #[test]
    fn key_frames_are_known_by_their_clear_bytes() {
        let table: [(Codec, &[u8], bool); 12] = [
            (Codec::Vp8, &[0x90, 0x80, 0x81, 0x23, 0x10, 0x02], true),
            (Codec::Vp8, &[0x90, 0x80, 0x81, 0x23, 0x11, 0x02], false),
            (Codec::Vp8, &[0x80, 0x80, 0x81, 0x23, 0x10, 0x02], false),
            (Codec::Vp8, &[0x10, 0x00], true),
            (Codec::Vp8, &[0x90, 0xf0, 0x01, 0x05, 0x20, 0x10], true),
            (Codec::Vp8, &[0x90, 0x80], false),
            (Codec::H264, &[0x67, 0x42], true),
            (Codec::H264, &[0x65, 0x88], false),
            (Codec::H264, &[0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68], true),
            (Codec::H264, &[0x78, 0, 1, 0x41, 0, 1, 0x41], false),
            (Codec::H264, &[0x7c, 0x87, 0x42], true),
            (Codec::H264, &[0x7c, 0x07, 0x42], false),
        ];
        for (codec, payload, key) in table {
            assert_eq!(
                begins_in(codec, payload),
                Some(key),
                "{codec:?} {payload:?}"
            );
        }
        assert_eq!(begins_in(Codec::Av1, &[0; 20]), None);
        assert_eq!(begins_in(Codec::Vp8, &[]), Some(false));
        assert_eq!(begins_in(Codec::H264, &[0x78, 0xff, 0xff, 1]), Some(false));
    }
}
