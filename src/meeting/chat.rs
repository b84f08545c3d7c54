// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people write to each other: it leaves as media does, sealed, clear or not at all, and is read by the same rules.
//!
//! Lines travel as LiveKit's text streams on topic [`TOPIC`], in data packets. Their encoding is the caller's: it makes
//! [`Piece`]s of what came in the clear and of what opened here, and asks before anything leaves.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use roomseal_e2ee::data::{DataOpener, DataSealer, EncryptedData};
use roomseal_e2ee::{FrameKey, KeyIndex, PREFIX_LEN, Replay, SealError, Verdict};
use serde::{Deserialize, Serialize};

use crate::action::{Opening, Rules, Sending};
use crate::history::{self, Came, History};

pub use crate::history::{Say, TOPIC as HISTORY, Told};

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
        /// What it is about.
        about: About,
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
        /// Of the line, by its sender.
        id: String,
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

/// What pieces are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// Topic [`TOPIC`]: what somebody writes now.
    Line,
    /// Topic [`HISTORY`]: what members ask and tell about earlier lines.
    History,
}

/// Where something comes from, and when.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Who sent it, as the service says.
    pub identity: &'a str,
    /// What that participant is called.
    pub called: &'a str,
    /// The time since any fixed moment.
    pub now: Duration,
}

/// What came of what somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A line.
    Line(Line),
    /// A member asks for earlier lines: this has to be sent to it at once.
    Asked(Say),
    /// A member told of earlier lines, the oldest first: hearsay, whoever is named in it.
    Told {
        /// Who tells.
        by: String,
        /// Lines that were not known here.
        lines: Vec<Told>,
    },
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
    /// By its sender, who should not have two lines with the same.
    pub id: String,
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
    history: History,
}

#[derive(Debug)]
struct Stream {
    about: About,
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
            history: History::default(),
        }
    }

    /// In the room from zero, or out of it: nobody is known. Lines are kept, for the meeting is the same.
    pub fn restart(&mut self) {
        self.sending = Sending::NothingOutside;
        self.openers.clear();
        self.streams.clear();
        self.history.restart();
    }

    /// Drops the lines that are kept. To be called when the secret changes: who has the new one need not have had the
    /// old.
    pub fn forget(&mut self) {
        self.history.forget();
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

    /// As [`leave`](Self::leave), for a packet of a [`Say`]: as that was made to leave, or not at all.
    ///
    /// # Errors
    /// When it may not leave this way any more, or cannot be sealed though it has to be.
    pub fn leave_as(
        &mut self,
        content: &[u8],
        sealed: bool,
    ) -> Result<Option<EncryptedData>, NotSent> {
        match self.way() {
            Some(way) if way == sealed => self.leave(content),
            _ => Err(NotSent::Held(self.sending)),
        }
    }

    /// Keeps a line that was written here and has just left, for those who come late.
    pub fn wrote(&mut self, me: Origin<'_>, id: &str, text: &str) {
        if let Some(sealed) = self.way() {
            let line = Line {
                from: me.identity.into(),
                id: id.into(),
                text: text.into(),
                sealed,
            };
            self.history.keep(&line, &me);
        }
    }

    /// What has to be asked of a member now about earlier lines; to be called every second or more often. `draw` gives
    /// random bytes.
    pub fn due(&mut self, now: Duration, draw: impl FnOnce() -> Option<[u8; 16]>) -> Option<Say> {
        let way = self.way();
        let openers = self.openers.iter();
        let members = openers.filter(|(_, (rules, _))| rules.confirmed);
        let members = members.map(|(identity, _)| identity.as_str());
        self.history.due(way, members, now, draw)
    }

    /// Whether what leaves is sealed; `None`: nothing leaves.
    fn way(&self) -> Option<bool> {
        match self.sending {
            Sending::Sealed => Some(true),
            Sending::Clear => Some(false),
            _ => None,
        }
    }

    /// Reads a piece that came in the clear; `None` for what is not complete or of no interest.
    pub fn hear(&mut self, from: Origin<'_>, piece: Piece) -> Option<Heard> {
        let read = self
            .openers
            .get(from.identity)
            .is_some_and(|(rules, _)| rules.opening == Opening::AllowClear);
        if read {
            return self.take(from, piece, false);
        }
        // One word for each line is enough; nobody wrote what members ask and tell.
        let line = match piece {
            Piece::Begin { about, .. } => about == About::Line,
            Piece::Line { .. } => true,
            Piece::Part { .. } | Piece::End { .. } => false,
        };
        line.then(|| Heard::Refused {
            from: from.identity.into(),
            why: Verdict::Clear,
        })
    }

    /// Opens and reads a sealed packet, given by its fields as they came; `read` makes a piece of the content that
    /// opened. `None` for what is not complete, repeated, or of no interest.
    pub fn hear_sealed(
        &mut self,
        from: Origin<'_>,
        (iv, key_index, value): (&[u8], u32, &[u8]),
        read: impl FnOnce(&[u8]) -> Option<Piece>,
    ) -> Option<Heard> {
        let opened = match self.openers.get_mut(from.identity) {
            Some((_, opener)) => opener.open(iv, key_index, value),
            None => Err(Verdict::NoKey),
        };
        match opened {
            Ok(content) => self.take(from, read(&content)?, true),
            // The service sends packets again after a resume.
            Err(Verdict::Replayed) => None,
            Err(why) => Some(Heard::Refused {
                from: from.identity.into(),
                why,
            }),
        }
    }

    fn take(&mut self, from: Origin<'_>, piece: Piece, sealed: bool) -> Option<Heard> {
        match piece {
            Piece::Line { id, text } => self.line(from, id, text, sealed),
            Piece::Begin { id, about, text } => {
                if text.len() > self.longest(from.identity, about, sealed) {
                    return None;
                }
                if self.streams.len() >= MOST_STREAMS {
                    // Whoever leaves lines unfinished does not keep the others from writing.
                    self.streams.clear();
                }
                let stream = Stream {
                    about,
                    text,
                    next: 0,
                    sealed,
                };
                self.streams.insert((from.identity.into(), id), stream);
                None
            }
            Piece::Part { id, index, text } => {
                let key = (from.identity.into(), id);
                let stream = self.streams.get(&key)?;
                let longest = self.longest(from.identity, stream.about, sealed);
                let stream = self.streams.get_mut(&key)?;
                let fits = stream.text.len() + text.len() <= longest;
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
                let (key, stream) = self.streams.remove_entry(&(from.identity.into(), id))?;
                if !whole || stream.sealed != sealed {
                    return None;
                }
                match stream.about {
                    About::Line => {
                        self.line(from, key.1, String::from_utf8(stream.text).ok()?, sealed)
                    }
                    About::History => self.about_history(from, &stream.text, sealed),
                }
            }
        }
    }

    fn line(&mut self, from: Origin<'_>, id: String, text: String, sealed: bool) -> Option<Heard> {
        let line = Line {
            from: from.identity.into(),
            id,
            text,
            sealed,
        };
        (line.text.len() <= LONGEST_LINE).then(|| {
            self.history.keep(&line, &from);
            Heard::Line(line)
        })
    }

    fn about_history(&mut self, from: Origin<'_>, text: &[u8], sealed: bool) -> Option<Heard> {
        // The service can send in the clear as whoever is listed; only to who is proven to be a member is anything told.
        let (rules, _) = self.openers.get(from.identity)?;
        if !rules.confirmed {
            return None;
        }
        let way = self.way();
        Some(match self.history.take(&from, text, sealed, way)? {
            Came::Answer(say) => Heard::Asked(say),
            Came::Told(lines) => Heard::Told {
                by: from.identity.into(),
                lines,
            },
        })
    }

    /// How much a stream may hold.
    fn longest(&self, from: &str, about: About, sealed: bool) -> usize {
        match about {
            About::Line => LONGEST_LINE,
            About::History if self.history.waits_for(from, sealed) => history::LONGEST,
            About::History => LONGEST_ASK,
        }
    }
}

/// The longest question.
const LONGEST_ASK: usize = 256;

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

    fn alice_now() -> Origin<'static> {
        Origin {
            identity: "alice",
            called: "Alice",
            now: Duration::ZERO,
        }
    }

    fn pieces() -> [Piece; 3] {
        let id = || "1".to_owned();
        [
            Piece::Begin {
                id: id(),
                about: About::Line,
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
                    reader.hear_sealed(alice_now(), packet, |_| Some(piece))
                } else {
                    reader.hear(alice_now(), piece)
                };
            }
            let line = |sealed| {
                Some(Heard::Line(Line {
                    from: "alice".into(),
                    id: "1".into(),
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
            reader.hear(alice_now(), begin.clone());
            for part in parts {
                reader.hear(alice_now(), part);
            }
            assert_eq!(reader.hear(alice_now(), end.clone()), None);
        }
        let broken_off = Piece::End {
            id: "1".into(),
            whole: false,
        };
        reader.hear(alice_now(), begin);
        assert_eq!(reader.hear(alice_now(), broken_off), None);
    }

    #[test]
    fn who_leaves_lines_unfinished_fills_no_memory() {
        let (mut reader, _) = two();
        for n in 0..10 * MOST_STREAMS {
            let id = alloc::format!("{n}");
            let text = Vec::new();
            let about = About::Line;
            reader.hear(alice_now(), Piece::Begin { id, about, text });
            assert!(reader.streams.len() <= MOST_STREAMS);
        }
    }
}
