// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys, derivations, key ring, frame formats and replay: bytes in, bytes out.
//!
//! One encoded frame goes in, one sealed frame comes out, in LiveKit's format:
//! `header (clear) | AES-128-GCM ciphertext | tag (16) | IV (12) | 0x0C | key index`.
//! No clock, no randomness, no I/O: time and random bytes are passed in, so every state can be tested.
//!
//! ```
//! use core::time::Duration;
//! use roomseal_e2ee::{Codec, FrameContext, FrameKey, IvSource, KeyIndex, Opener, RawKey, Replay, Sealer};
//!
//! let key = FrameKey::from_raw_key(&RawKey::new(vec![7; 32]));
//! let index = KeyIndex::try_from(3)?;
//!
//! let mut sealer = Sealer::new(Codec::Opus, IvSource::new([0xA7; 12])); // 12 random bytes
//! sealer.set_key(index, key.clone());
//! let frame = [0x78, 1, 2, 3];
//! let mut sealed = vec![0; Sealer::max_sealed_len(Codec::Opus, frame.len())];
//! let length = sealer.seal(&frame, &mut sealed)?;
//!
//! let mut opener = Opener::new(Codec::Opus, Replay::Window);
//! opener.keys().set(index, key);
//! let context = FrameContext { gap: false, now: Duration::ZERO };
//! let length = opener.open(&mut sealed[..length], &context).expect("the key is the same");
//! assert_eq!(sealed[..length], frame);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod codec;
mod counters;
pub mod data;
mod derive;
pub mod envelope;
mod epoch;
mod format;
mod fresh;
pub mod h264;
mod iv;
mod key;
mod livekit;
mod opener;
mod replay;
mod ring;
mod sealer;
mod verdict;

pub use codec::Codec;
pub use counters::{OpenCounters, SealCounters};
pub use epoch::{ConfirmKey, EpochKey, Secret};
pub use format::{Envelope, FrameFormat, SealError, Unauthentic, Unreadable};
pub use fresh::Fresh;
pub use iv::{Iv, IvSource, PREFIX_LEN};
pub use key::{FrameKey, Passphrase, RawKey};
pub use livekit::LiveKit;
pub use opener::{FrameContext, Opener};
pub use replay::Replay;
pub use ring::{KeyIndex, KeyIndexOutOfRange, KeyRing};
pub use sealer::Sealer;
pub use verdict::Verdict;
