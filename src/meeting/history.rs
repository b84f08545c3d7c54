// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines of chat for those who come late: kept by who read them, and told to a member that asks. PROTOCOL.md, "Chat".
//!
//! What is told is hearsay of who tells it. A line that came sealed is told sealed or not at all.

use alloc::borrow::ToOwned as _;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chat::{LONGEST_LINE, Line, Origin};
use crate::confirm::Bytes;

/// The topic of what is asked and told about earlier lines.
pub const TOPIC: &str = "roomseal.history";

/// Lines that are kept, and told at once.
const MOST_LINES: usize = 200;

/// Bytes of lines that are kept, and of JSON in which they are told.
const MOST_BYTES: usize = 64 * 1024;

/// How long a member that was asked has to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who was heard of only now may not have heard us yet.
const SETTLE: Duration = Duration::from_secs(1);

/// For so long after it may write does a member ask: whoever comes later has nothing to tell.
const ASKING: Duration = Duration::from_secs(30);

/// A member is answered no more often.
const PAUSE: Duration = Duration::from_secs(2);

/// How often one member is asked that does not answer.
const MOST_TRIES: u8 = 3;

/// Members that are asked in one stretch.
const MOST_ASKED: usize = 8;

/// The longest message about history.
pub(crate) const LONGEST: usize = MOST_BYTES + 1024;

/// What fits in one packet with everything around it.
const CHUNK: usize = 15_000;

/// The longest identity, name and id of a line that are kept.
const LONGEST_NAME: usize = 256;

/// Something to be said to one member, as a text stream on [`TOPIC`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Say {
    /// Whom to.
    pub to: String,
    /// Of the stream.
    pub id: String,
    /// Its text, in the pieces in which it is sent.
    pub chunks: Vec<Vec<u8>>,
    /// How all of it leaves, or nothing.
    pub sealed: bool,
}

/// A line that a member told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What was written, by whom, and how it came to the first who told of it: all as they say.
    pub line: Line,
    /// What they call its author; untrusted.
    pub called: String,
    /// How long ago it came, in seconds.
    pub ago: u64,
}

/// What is kept of a line.
#[derive(Clone, PartialEq, Eq)]
struct Kept {
    line: Line,
    called: String,
    /// When it came, in seconds of the caller's clock; before its beginning for what was told.
    at: i64,
    /// It came here sealed, so it never leaves clear, whatever it is said to have been before.
    confined: bool,
}

#[derive(Clone, Debug)]
struct Asking {
    of: String,
    nonce: [u8; 16],
    at: Duration,
    sealed: bool,
}

/// The lines that one member keeps, and what it asks and answers about them.
#[derive(Default)]
pub(crate) struct History {
    /// In the order in which they came.
    kept: Vec<Kept>,
    asking: Option<Asking>,
    /// How we may write, and since when.
    way: Option<(bool, Duration)>,
    /// How often each was asked since then.
    tries: BTreeMap<String, u8>,
    /// Since when each is known to be a member.
    known: BTreeMap<String, Duration>,
    /// Somebody told us lines in this stay: sealed, or only clear.
    told: Option<bool>,
    answered: BTreeMap<String, Duration>,
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What people write is theirs.
        f.debug_struct("History")
            .field("lines", &self.kept.len())
            .field("asking", &self.asking.is_some())
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "t", rename_all = "kebab-case", deny_unknown_fields)]
enum Message {
    /// `{"t":"ask","v":1,"nonce":…}`
    Ask { v: u8, nonce: Bytes<16> },
    /// `{"t":"told","v":1,"nonce":…,"lines":[…]}`
    Told {
        v: u8,
        nonce: Bytes<16>,
        lines: Vec<Wire>,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    from: String,
    called: String,
    id: String,
    text: String,
    sealed: bool,
    ago: u64,
}

/// What came of a message about history.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Answer(Say),
    Told(Vec<Told>),
}

impl History {
    /// In the room from zero: what is kept stays, and nobody is known.
    pub(crate) fn restart(&mut self) {
        *self = Self {
            kept: core::mem::take(&mut self.kept),
            ..Self::default()
        };
    }

    /// Drops all lines.
    pub(crate) fn forget(&mut self) {
        self.kept.clear();
    }

    /// Keeps a line that was read or written here.
    pub(crate) fn keep(&mut self, line: &Line, origin: &Origin<'_>) {
        let fits = [&line.from, &line.id]
            .iter()
            .all(|it| it.len() <= LONGEST_NAME);
        if fits && line.text.len() <= LONGEST_LINE {
            self.insert(Kept {
                line: line.clone(),
                called: cut(origin.called),
                at: seconds(origin.now),
                confined: line.sealed,
            });
        }
    }

    /// Whether a message of `from` is waited for, which is as long as an answer can be.
    pub(crate) fn waits_for(&self, from: &str, sealed: bool) -> bool {
        let asking = self.asking.as_ref();
        asking.is_some_and(|asking| asking.of == from && asking.sealed == sealed)
    }

    /// What has to be asked now, and whom; `way` says how we may write, `members` who is known to be one.
    pub(crate) fn due<'a>(
        &mut self,
        way: Option<bool>,
        members: impl Iterator<Item = &'a str>,
        now: Duration,
        draw: impl FnOnce() -> Option<[u8; 16]>,
    ) -> Option<Say> {
        let members: BTreeSet<&str> = members.collect();
        self.known
            .retain(|known, _| members.contains(known.as_str()));
        for member in members {
            if !self.known.contains_key(member) {
                self.known.insert(member.to_owned(), now);
            }
        }
        if self.way.map(|(sealed, _)| sealed) != way {
            self.way = way.map(|sealed| (sealed, now));
            self.tries.clear();
            self.asking = None;
        }
        let (sealed, since) = self.way?;
        let enough = self.told.is_some_and(|best| best || !sealed);
        if enough || now.saturating_sub(since) > ASKING {
            self.asking = None;
            return None;
        }
        let waits = |asking: &Asking| now.saturating_sub(asking.at) < PATIENCE;
        if self.asking.as_ref().is_some_and(waits) {
            return None;
        }
        self.asking = None;
        let tries = |identity: &str| self.tries.get(identity).copied().unwrap_or_default();
        let next = self.known.iter().filter(|(identity, since)| {
            let tries = tries(identity);
            now.saturating_sub(**since) >= SETTLE
                && tries < MOST_TRIES
                && (tries > 0 || self.tries.len() < MOST_ASKED)
        });
        // Each once before anybody again; among equals everybody takes the same order.
        let of = next.min_by_key(|(identity, _)| tries(identity))?.0.clone();
        let nonce = draw()?;
        *self.tries.entry(of.clone()).or_default() += 1;
        self.asking = Some(Asking {
            of: of.clone(),
            nonce,
            at: now,
            sealed,
        });
        let ask = Message::Ask {
            v: 1,
            nonce: Bytes(nonce),
        };
        Some(say(of, nonce, &ask, sealed))
    }

    /// Reads a message that a member sent; `way` says how we may write.
    pub(crate) fn take(
        &mut self,
        origin: &Origin<'_>,
        text: &[u8],
        sealed: bool,
        way: Option<bool>,
    ) -> Option<Came> {
        match serde_json::from_slice(text).ok()? {
            Message::Ask { v: 1, nonce } => self.answer(origin, nonce.0, way?).map(Came::Answer),
            Message::Told { v: 1, nonce, lines } => {
                self.hear(origin, nonce.0, lines, sealed).map(Came::Told)
            }
            _ => None,
        }
    }

    fn answer(&mut self, origin: &Origin<'_>, nonce: [u8; 16], sealed: bool) -> Option<Say> {
        let now = origin.now;
        self.answered
            .retain(|_, at| now.saturating_sub(*at) < PAUSE);
        if self.answered.contains_key(origin.identity) {
            return None;
        }
        self.answered.insert(origin.identity.to_owned(), now);
        let mut bytes = 0;
        let mut lines: Vec<Wire> = Vec::new();
        for kept in self.kept.iter().rev() {
            if kept.confined && !sealed {
                continue;
            }
            let line = Wire {
                from: kept.line.from.clone(),
                called: kept.called.clone(),
                id: kept.line.id.clone(),
                text: kept.line.text.clone(),
                sealed: kept.line.sealed,
                ago: u64::try_from(seconds(now) - kept.at).unwrap_or_default(),
            };
            // And the comma.
            bytes += json(&line).len() + 1;
            if bytes > MOST_BYTES {
                break;
            }
            lines.push(line);
        }
        lines.reverse();
        let told = Message::Told {
            v: 1,
            nonce: Bytes(nonce),
            lines,
        };
        Some(say(origin.identity.to_owned(), nonce, &told, sealed))
    }

    fn hear(
        &mut self,
        origin: &Origin<'_>,
        nonce: [u8; 16],
        lines: Vec<Wire>,
        sealed: bool,
    ) -> Option<Vec<Told>> {
        let waits = |asking: &mut Asking| {
            asking.of == origin.identity && asking.nonce == nonce && asking.sealed == sealed
        };
        let asked = self.asking.take_if(waits)?;
        // Whatever it said, it has nothing else to tell.
        self.tries.insert(asked.of, MOST_TRIES);
        let sound = |line: &Wire| {
            // What was sealed does not come clear: whoever tells it so lies, or is not who it seems.
            (sealed || !line.sealed)
                && !line.from.is_empty()
                && line.text.len() <= LONGEST_LINE
                && [&line.from, &line.called, &line.id]
                    .iter()
                    .all(|it| it.len() <= LONGEST_NAME)
        };
        if lines.len() > MOST_LINES || !lines.iter().all(sound) {
            return None;
        }
        if !lines.is_empty() {
            self.told = Some(sealed);
        }
        let mut told = Vec::new();
        for Wire {
            from,
            called,
            id,
            text,
            sealed: was_sealed,
            ago,
        } in lines
        {
            let known = |kept: &Kept| kept.line.from == from && kept.line.id == id;
            if self.kept.iter().any(known) {
                continue;
            }
            let line = Line {
                from,
                id,
                text,
                sealed: was_sealed,
            };
            let ago = ago.min(LONGEST_AGO);
            self.insert(Kept {
                line: line.clone(),
                called: called.clone(),
                at: seconds(origin.now) - i64::try_from(ago).unwrap_or_default(),
                confined: sealed,
            });
            told.push(Told { line, called, ago });
        }
        Some(told)
    }

    /// Puts a line where its time is, and drops as many of the oldest as it takes.
    fn insert(&mut self, kept: Kept) {
        let place = self.kept.partition_point(|other| other.at <= kept.at);
        self.kept.insert(place, kept);
        let mut bytes = 0;
        let stays = self
            .kept
            .iter()
            .rev()
            .take(MOST_LINES)
            .take_while(|kept| {
                let Line { from, id, text, .. } = &kept.line;
                bytes += from.len() + id.len() + text.len() + kept.called.len();
                bytes <= MOST_BYTES
            })
            .count();
        self.kept.drain(..self.kept.len() - stays);
    }
}

/// A year: no meeting is older.
const LONGEST_AGO: u64 = 366 * 24 * 3600;

fn say(to: String, nonce: [u8; 16], message: &Message, sealed: bool) -> Say {
    let id = nonce.iter().map(|byte| alloc::format!("{byte:02x}"));
    Say {
        to,
        id: id.collect(),
        chunks: json(message).chunks(CHUNK).map(<[u8]>::to_vec).collect(),
        sealed,
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings, numbers and flags have a JSON form")
}

fn seconds(now: Duration) -> i64 {
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// A name as far as it is kept.
fn cut(name: &str) -> String {
    name[..name.floor_char_boundary(LONGEST_NAME)].to_owned()
}
