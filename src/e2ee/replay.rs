// SPDX-License-Identifier: MIT OR Apache-2.0
//! Refuses frames that were here before.

/// How frames of a sender are told from replays; see each kind for what it can promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// For our own senders: a window of 1 024 frames per IV prefix.
    Window,
    /// For LiveKit's JavaScript and native senders: the exact last 4 096 IVs, and the RTP time stamp inside the IV
    /// not older than 5 s.
    Libwebrtc {
        /// Ticks per second of the RTP time stamp: 90 000 for video, 48 000 for Opus.
        clock_rate: u32,
    },
    /// For senders with random IVs: the exact set, up to a cap.
    RandomIvs,
    /// For foreign rooms: told from the first frames that authenticate.
    Auto {
        /// Ticks per second of the RTP time stamp, should the sender be of the libwebrtc kind.
        clock_rate: u32,
    },
}
