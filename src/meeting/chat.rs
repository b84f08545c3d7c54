// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people write to each other: it leaves as media does, sealed, clear or not at all, and is read by the same rules.
//!
//! Lines travel as LiveKit's text streams on topic [`TOPIC`], in data packets. Their encoding is the caller's: it makes
//! [`Piece`]s of what came in the clear and of what opened here, and asks before anything leaves.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use roomseal_e2ee::data::{DataOpener, DataSealer, EncryptedData};
use roomseal_e2ee::{FrameKey, KeyIndex, PREFIX_LEN, Replay, SealError, Verdict};
use serde::{Deserialize, Serialize};

use crate::action::{Opening, Rules, Sending};

/// The topic of LiveKit's chat.
pub const TOPIC: &str = "lk.chat";

/// The longest line, in bytes of UTF-8.
pub const LONGEST_LINE: usize = 16 * 1024;

/// Lines that arrive in pieces at the same time, from all senders together.
const MOST_STREAMS: usize = 64;

/// Senders whose packets are opened: more participants than a room has.
const MOST_SENDERS: usize = 1024;

/// A part of what somebody writes; in JSON `{"is": "begin", …}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Piece {
    /// A line begins.
    Begin {
        /// Of the line, by its sender.
        id: String,
        /// What came with its beginning.
        text: Vec<u8>,
    },
    /// A line ends.
    End {
        /// Of the line.
        id: String,
        /// All of it was sent.
        whole: bool,
    },
    /// A whole line, as LiveKit's older chat sends it.
    Line {
        /// What was written.
        text: String,
    },
    /// A line goes on.
    Part {
        /// Of the line.
        id: String,
        /// Counts from 0.
        index: u64,
        /// What it goes on with.
        text: Vec<u8>,
    },
}

/// What came of what somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A line.
    Line(Line),
    /// Somebody wrote, and it cannot be read or must not be believed.
    Refused {
        /// Whom it comes from, as the service says.
        from: String,
        /// Why.
        why: Verdict,
    },
}

/// A line of chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whom it comes from. Only of a sealed line a member said so.
    pub from: String,
    /// What was written; untrusted.
    pub text: String,
    /// It came sealed, and opened.
    pub sealed: bool,
}

/// Why something that was written does not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSent {
    /// Nothing may leave.
    #[error("nothing leaves at the moment: the shield says what is missing")]
    Held(Sending),
    /// The line is longer than [`LONGEST_LINE`].
    #[error("a line has at most {LONGEST_LINE} bytes: send it in parts")]
    TooLong,
    /// It could not be sealed, so it stays here.
    #[error("the line cannot be sealed: {0}")]
    Unsealed(#[from] SealError),
}

/// What one member writes and reads during its stay in a room; what it obeys comes from [`Action`](crate::Action)s.
#[derive(Debug)]
pub struct Chat {
    sealer: DataSealer,
    sending: Sending,
    openers: BTreeMap<String, (Rules, DataOpener)>,
    /// Lines of which not all pieces are here, by sender and line.
    streams: BTreeMap<(String, String), Stream>,
}

#[derive(Debug)]
struct Stream {
    text: Vec<u8>,
    next: u64,
    sealed: bool,
}

impl Chat {
    /// Lets nothing out, and reads nothing, before it is told otherwise.
    pub fn new(sealer: DataSealer) -> Self {
        Self {
            sealer,
            sending: Sending::NothingOutside,
            openers: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    /// In the room from zero: nobody is known.
    pub fn restart(&mut self) {
        self.sending = Sending::NothingOutside;
        self.openers.clear();
        self.streams.clear();
    }

    /// What all IVs of our packets begin with.
    pub fn iv_prefix(&self) -> [u8; PREFIX_LEN] {
        self.sealer.iv_prefix()
    }

    /// What may leave from now on ([`Action::Send`](crate::Action::Send)).
    pub fn send(&mut self, sending: Sending) {
        self.sending = sending;
    }

    /// What may leave now.
    pub fn sending(&self) -> Sending {
        self.sending
    }

    /// What is sealed with from now on ([`Action::SendKey`](crate::Action::SendKey)).
    pub fn send_key(&mut self, key: Option<(KeyIndex, FrameKey)>) {
        match key {
            Some((index, key)) => self.sealer.set_key(index, key),
            None => self.sealer.clear_key(),
        }
    }

    /// How the packets of a participant are opened from now on ([`Action::ReopenData`](crate::Action::ReopenData)).
    pub fn open(&mut self, identity: String, rules: Rules) {
        if self.openers.len() >= MOST_SENDERS && !self.openers.contains_key(&identity) {
            return;
        }
        let (known, opener) = self.openers.entry(identity).or_insert_with(|| {
            // A member names its prefix, which a window fits; other senders draw IVs as they like.
            let replay = match rules.iv_prefix {
                Some(_) => Replay::Window,
                None => Replay::RandomIvs,
            };
            (rules.clone(), DataOpener::new(replay))
        });
        // The other kind of sender gets another memory: the old one knows nothing of its packets.
        if known.iv_prefix.is_some() != rules.iv_prefix.is_some() && rules.iv_prefix.is_some() {
            *opener = DataOpener::new(Replay::Window);
        }
        *opener.keys() = rules.keys.clone();
        opener.set_iv_prefix(rules.iv_prefix);
        opener.set_peer_confirmed(rules.confirmed);
        *known = rules;
    }

    /// What a packet with this content (`EncryptedPacketPayload`) has to be to leave: sealed as given, or clear
    /// (`None`).
    ///
    /// # Errors
    /// When nothing may leave, or it cannot be sealed though it has to be.
    pub fn leave(&mut self, content: &[u8]) -> Result<Option<EncryptedData>, NotSent> {
        match self.sending {
            Sending::Clear => Ok(None),
            Sending::Sealed => Ok(Some(self.sealer.seal(content)?)),
            held => Err(NotSent::Held(held)),
        }
    }

    /// Reads a piece that came in the clear; `None` for what is not complete or of no interest.
    pub fn hear(&mut self, from: &str, piece: Piece) -> Option<Heard> {
        let read = self
            .openers
            .get(from)
            .is_some_and(|(rules, _)| rules.opening == Opening::AllowClear);
        if read {
            return self.take(from, piece, false);
        }
        // One word for each line is enough.
        matches!(piece, Piece::Begin { .. } | Piece::Line { .. }).then(|| Heard::Refused {
            from: from.into(),
            why: Verdict::Clear,
        })
    }

    /// Opens and reads a sealed packet, given by its fields as they came; `read` makes a piece of the content that
    /// opened. `None` for what is not complete, repeated, or of no interest.
    pub fn hear_sealed(
        &mut self,
        from: &str,
        (iv, key_index, value): (&[u8], u32, &[u8]),
        read: impl FnOnce(&[u8]) -> Option<Piece>,
    ) -> Option<Heard> {
        let opened = match self.openers.get_mut(from) {
            Some((_, opener)) => opener.open(iv, key_index, value),
            None => Err(Verdict::NoKey),
        };
        match opened {
            Ok(content) => self.take(from, read(&content)?, true),
            // The service sends packets again after a resume.
            Err(Verdict::Replayed) => None,
            Err(why) => Some(Heard::Refused {
                from: from.into(),
                why,
            }),
        }
    }

    fn take(&mut self, from: &str, piece: Piece, sealed: bool) -> Option<Heard> {
        let line = |text| {
            let from = from.into();
            Heard::Line(Line { from, text, sealed })
        };
        match piece {
            Piece::Line { text } => (text.len() <= LONGEST_LINE).then(|| line(text)),
            Piece::Begin { id, text } => {
                if text.len() > LONGEST_LINE {
                    return None;
                }
                if self.streams.len() >= MOST_STREAMS {
                    // Whoever leaves lines unfinished does not keep the others from writing.
                    self.streams.clear();
                }
                let stream = Stream {
                    text,
                    next: 0,
                    sealed,
                };
                self.streams.insert((from.into(), id), stream);
                None
            }
            Piece::Part { id, index, text } => {
                let key = (from.into(), id);
                let stream = self.streams.get_mut(&key)?;
                let fits = stream.text.len() + text.len() <= LONGEST_LINE;
                // A piece that came another way than the first is not of the same author.
                if !fits || stream.next != index || stream.sealed != sealed {
                    self.streams.remove(&key);
                    return None;
                }
                stream.text.extend_from_slice(&text);
                stream.next += 1;
                None
            }
            Piece::End { id, whole } => {
                let stream = self.streams.remove(&(from.into(), id))?;
                if !whole || stream.sealed != sealed {
                    return None;
                }
                String::from_utf8(stream.text).ok().map(line)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;
    use alloc::vec;

    use roomseal_e2ee::{IvSource, KeyRing, RawKey};

    use super::*;

    fn chat(fill: u8) -> Chat {
        Chat::new(DataSealer::new(IvSource::new([fill; 12])))
    }

    fn key() -> (KeyIndex, FrameKey) {
        let key = FrameKey::from_raw_key(&RawKey::new(vec![7; 32]));
        (KeyIndex::of_epoch(1), key)
    }

    /// One who reads both, and one who seals, as the reader knows it.
    fn two() -> (Chat, Chat) {
        let (mut reader, mut alice) = (chat(1), chat(2));
        let (index, key) = key();
        alice.send(Sending::Sealed);
        alice.send_key(Some((index, key.clone())));
        let mut keys = KeyRing::new();
        keys.set(index, key);
        let rules = Rules {
            opening: Opening::AllowClear,
            keys,
            iv_prefix: Some(alice.iv_prefix()),
            iv_floor: 0,
            confirmed: true,
        };
        reader.open("alice".into(), rules);
        (reader, alice)
    }

    fn pieces() -> [Piece; 3] {
        let id = || "1".to_owned();
        [
            Piece::Begin {
                id: id(),
                text: Vec::new(),
            },
            Piece::Part {
                id: id(),
                index: 0,
                text: b"good morning".to_vec(),
            },
            Piece::End {
                id: id(),
                whole: true,
            },
        ]
    }

    #[test]
    fn all_of_a_line_comes_the_same_way_or_nothing_of_it_is_shown() {
        let (mut reader, mut alice) = two();
        for sealed in 0..8 {
            let mut heard = None;
            for (at, piece) in pieces().into_iter().enumerate() {
                heard = if sealed >> at & 1 == 1 {
                    let data = alice
                        .leave(b"a piece")
                        .expect("it has a key")
                        .expect("it seals");
                    let packet = (
                        &data.iv[..],
                        u8::from(data.key_index).into(),
                        &data.value[..],
                    );
                    reader.hear_sealed("alice", packet, |_| Some(piece))
                } else {
                    reader.hear("alice", piece)
                };
            }
            let line = |sealed| {
                Some(Heard::Line(Line {
                    from: "alice".into(),
                    text: "good morning".into(),
                    sealed,
                }))
            };
            let expected = match sealed {
                0 => line(false),
                7 => line(true),
                _ => None,
            };
            assert_eq!(heard, expected, "{sealed:03b}");
        }
    }

    #[test]
    fn a_line_with_a_piece_missing_or_too_long_is_none() {
        let (mut reader, _) = two();
        let part = |index, length| Piece::Part {
            id: "1".into(),
            index,
            text: vec![b'x'; length],
        };
        let [begin, _, end] = pieces();
        for parts in [
            vec![part(1, 5)],
            vec![part(0, 5), part(2, 5)],
            vec![part(0, LONGEST_LINE), part(1, 1)],
        ] {
            reader.hear("alice", begin.clone());
            for part in parts {
                reader.hear("alice", part);
            }
            assert_eq!(reader.hear("alice", end.clone()), None);
        }
        let broken_off = Piece::End {
            id: "1".into(),
            whole: false,
        };
        reader.hear("alice", begin);
        assert_eq!(reader.hear("alice", broken_off), None);
    }

    #[test]
    fn who_leaves_lines_unfinished_fills_no_memory() {
        let (mut reader, _) = two();
        for n in 0..10 * MOST_STREAMS {
            let id = alloc::format!("{n}");
            let text = Vec::new();
            reader.hear("alice", Piece::Begin { id, text });
            assert!(reader.streams.len() <= MOST_STREAMS);
        }
    }
}
