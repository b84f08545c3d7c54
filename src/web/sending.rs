// SPDX-License-Identifier: MIT OR Apache-2.0
//! What leaves this browser: sealed, clear or not at all, as the meeting decided.

use std::collections::BTreeMap;

use roomseal_e2ee::{Codec, FrameKey, Fresh, IvSource, KeyIndex, Sealer};
use roomseal_meeting::call::{OwnTrack, Sent};
use roomseal_meeting::{self as meeting, Bytes};

/// What became of a frame that wants to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It leaves as it is: encryption is off.
    Clear,
    /// It does not leave.
    Dropped,
    /// It leaves sealed, and is this long.
    Sealed(usize),
}

/// All pipes that lead out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    fresh: Fresh,
    decided: meeting::Sending,
    key: Option<(KeyIndex, FrameKey)>,
    pipes: BTreeMap<u32, Pipe>,
    /// Totals since the beginning, of pipes that are gone too.
    sent: Sent,
}

/// One track on its way out.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) sid: String,
    pub(crate) source: meeting::Source,
    pub(crate) sealed: u64,
    pub(crate) clear: u64,
    pub(crate) dropped: u64,
    codec: Codec,
    sealer: Sealer,
}

impl Outgoing {
    pub(crate) fn new(fresh: Fresh) -> Self {
        Self {
            fresh,
            decided: meeting::Sending::NothingOutside,
            key: None,
            pipes: BTreeMap::new(),
            sent: Sent::default(),
        }
    }

    /// From now on only this may leave.
    pub(crate) fn decide(&mut self, sending: meeting::Sending) {
        self.decided = sending;
    }

    /// What is sealed is sealed with this key from now on.
    pub(crate) fn set_key(&mut self, key: Option<(KeyIndex, FrameKey)>) {
        for pipe in self.pipes.values_mut() {
            pipe.set_key(key.as_ref());
        }
        self.key = key;
    }

    /// The service took what leaves through a pipe. A track that is published anew has IVs of its own.
    pub(crate) fn begin(&mut self, number: u32, sid: String, source: meeting::Source) {
        if self.pipes.get(&number).is_some_and(|pipe| pipe.sid == sid) {
            return;
        }
        let codec = match source {
            meeting::Source::Microphone | meeting::Source::ScreenSound => Codec::Opus,
            meeting::Source::Camera | meeting::Source::Other | meeting::Source::Screen => {
                Codec::Vp8
            }
        };
        let pipe = Pipe {
            sid,
            source,
            sealed: 0,
            clear: 0,
            dropped: 0,
            codec,
            sealer: self.sealer(codec),
        };
        self.pipes.insert(number, pipe);
    }

    pub(crate) fn end(&mut self, number: u32) {
        self.pipes.remove(&number);
    }

    /// Not in the room any more: the next join publishes anew.
    pub(crate) fn end_all(&mut self) {
        self.pipes.clear();
    }

    /// Decides about one frame; when it is sealed, it is in `out`.
    pub(crate) fn take(
        &mut self,
        number: u32,
        codec: Codec,
        frame: &[u8],
        out: &mut Vec<u8>,
    ) -> Left {
        let Some(pipe) = self.pipes.get_mut(&number) else {
            return Left::Dropped;
        };
        if pipe.codec != codec {
            let sealer = self.sealer(codec);
            let Some(pipe) = self.pipes.get_mut(&number) else {
                return Left::Dropped;
            };
            (pipe.codec, pipe.sealer) = (codec, sealer);
        }
        let Some(pipe) = self.pipes.get_mut(&number) else {
            return Left::Dropped;
        };
        match self.decided {
            meeting::Sending::Clear => {
                pipe.clear += 1;
                self.sent.clear += 1;
                Left::Clear
            }
            meeting::Sending::Sealed => {
                out.resize(Sealer::max_sealed_len(codec, frame.len()), 0);
                match pipe.sealer.seal(frame, out) {
                    Ok(length) => {
                        pipe.sealed += 1;
                        self.sent.sealed += 1;
                        Left::Sealed(length)
                    }
                    Err(_) => {
                        pipe.dropped += 1;
                        Left::Dropped
                    }
                }
            }
            _ => {
                pipe.dropped += 1;
                Left::Dropped
            }
        }
    }

    /// What all pipes together have let out.
    pub(crate) fn sent(&self) -> Sent {
        self.sent
    }

    /// What is published, for the confirms. A track whose IVs have ended is not named: nothing of it leaves.
    pub(crate) fn tracks(&self) -> Vec<OwnTrack> {
        let tracks = self.pipes.values().filter_map(|pipe| {
            Some(OwnTrack {
                sid: pipe.sid.clone(),
                source: pipe.source,
                iv: Bytes(pipe.sealer.iv_prefix()),
                next: pipe.sealer.iv_counter()?,
            })
        });
        tracks.collect()
    }

    pub(crate) fn pipes(&self) -> impl Iterator<Item = &Pipe> {
        self.pipes.values()
    }

    fn sealer(&mut self, codec: Codec) -> Sealer {
        let mut sealer = Sealer::new(codec, IvSource::new(self.fresh.draw()));
        if let Some((index, key)) = &self.key {
            sealer.set_key(*index, key.clone());
        }
        sealer
    }
}

impl Pipe {
    fn set_key(&mut self, key: Option<&(KeyIndex, FrameKey)>) {
        match key {
            Some((index, key)) => self.sealer.set_key(*index, key.clone()),
            None => self.sealer.clear_key(),
        }
    }
}
