// SPDX-License-Identifier: MIT OR Apache-2.0
//! What members say to each other on the data channels: the meeting's own messages, and chat.
//!
//! The meeting's own messages authenticate themselves and are never sealed. Chat is what people wrote: it leaves as
//! media does, sealed, clear or not at all, and is read by the same rules.

use std::collections::HashMap;

use roomseal_e2ee::data::{DataOpener, DataSealer, EncryptedData};
use roomseal_e2ee::{FrameKey, KeyIndex, PREFIX_LEN, Replay, Verdict};
use roomseal_meeting::{Opening, Rules, Sending, TOPIC};
use roomseal_service::livekit::data::{Body, Content, DataError, Dedupe, Packet, Sealed};

/// Topic of LiveKit's chat.
const CHAT: &str = "lk.chat";

/// The longest line of chat, in bytes of UTF-8.
pub const LONGEST_LINE: usize = 16 * 1024;

/// Lines that arrive in pieces at the same time, from all senders together.
const MOST_STREAMS: usize = 64;

/// Senders whose packets are opened: more participants than a room has.
const MOST_SENDERS: usize = 1024;

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A message of the meeting's protocol.
    Said {
        /// Whom it comes from, as the service says.
        from: String,
        /// The message.
        text: String,
    },
    /// A line of chat.
    Chat(Line),
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
pub(super) struct Line {
    /// Whom it comes from. Only of a sealed line a member, or this box itself, said so.
    pub(super) from: String,
    /// What was written; untrusted.
    pub(super) text: String,
    /// It came sealed, and opened.
    pub(super) sealed: bool,
}

/// Why a line of chat was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotSent {
    /// Nothing may leave.
    #[error("nothing leaves this box at the moment ({0:?}): the shield says what is missing")]
    Held(Sending),
    /// Too long.
    #[error("a line has at most {LONGEST_LINE} bytes: send it in parts")]
    TooLong,
    /// It could not be sealed, so it stays here.
    #[error("the line cannot be sealed: {0}")]
    Unsealed(#[from] roomseal_e2ee::SealError),
    /// The service's format does not take it.
    #[error(transparent)]
    Format(#[from] DataError),
}

/// The messages of one stay in a room.
#[derive(Debug)]
pub(super) struct Messages {
    /// Counts our reliable packets.
    sequence: u32,
    sealer: DataSealer,
    sending: Sending,
    openers: HashMap<String, (Rules, DataOpener)>,
    dedupe: Dedupe,
    /// Lines of which not all pieces are here, by sender and stream.
    streams: HashMap<(String, String), Stream>,
}

#[derive(Debug)]
struct Stream {
    text: Vec<u8>,
    next: u64,
    sealed: bool,
}

impl Messages {
    /// Says nothing but the meeting's own messages before it is told otherwise.
    pub(super) fn new(sealer: DataSealer) -> Self {
        Self {
            sequence: 0,
            sealer,
            sending: Sending::NothingOutside,
            openers: HashMap::new(),
            dedupe: Dedupe::default(),
            streams: HashMap::new(),
        }
    }

    /// In the room from zero: the service counts packets anew, and nobody is known.
    pub(super) fn restart(&mut self) {
        self.sequence = 0;
        self.sending = Sending::NothingOutside;
        self.openers.clear();
        self.dedupe = Dedupe::default();
        self.streams.clear();
    }

    /// What all IVs of our packets begin with.
    pub(super) fn iv_prefix(&self) -> [u8; PREFIX_LEN] {
        self.sealer.iv_prefix()
    }

    /// What may leave from now on.
    pub(super) fn send(&mut self, sending: Sending) {
        self.sending = sending;
    }

    /// Whether what is written now leaves sealed.
    pub(super) fn seals(&self) -> bool {
        self.sending == Sending::Sealed
    }

    /// What is sealed with from now on.
    pub(super) fn send_key(&mut self, key: Option<(KeyIndex, FrameKey)>) {
        match key {
            Some((index, key)) => self.sealer.set_key(index, key),
            None => self.sealer.clear_key(),
        }
    }

    /// How the packets of a participant are opened from now on.
    pub(super) fn open(&mut self, identity: String, rules: Rules) {
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

    /// The packet for a message of the meeting's protocol; everybody gets it when `to` is empty.
    ///
    /// # Errors
    /// When it is too long for a packet.
    pub(super) fn say(&mut self, to: Vec<String>, text: &str) -> Result<Vec<u8>, DataError> {
        let content = Content::User {
            topic: TOPIC.to_owned(),
            payload: text.as_bytes().to_vec(),
        };
        self.packet(to, Body::Clear(content))
    }

    /// The packets for a line of chat to everybody.
    ///
    /// # Errors
    /// When nothing may leave, or the line cannot be sealed though it has to be.
    pub(super) fn chat(&mut self, id: &str, line: &str) -> Result<Vec<Vec<u8>>, NotSent> {
        if line.len() > LONGEST_LINE {
            return Err(NotSent::TooLong);
        }
        let id = id.to_owned();
        let contents = [
            Content::StreamHeader {
                id: id.clone(),
                topic: CHAT.to_owned(),
                text: true,
                mime: "text/plain".to_owned(),
                total: Some(line.len() as u64),
                inline: Vec::new(),
            },
            Content::StreamChunk {
                id: id.clone(),
                index: 0,
                content: line.as_bytes().to_vec(),
            },
            Content::StreamTrailer {
                id,
                reason: String::new(),
            },
        ];
        let mut packets = Vec::with_capacity(contents.len());
        for content in contents {
            let body = match self.sending {
                Sending::Clear => Body::Clear(content),
                Sending::Sealed => {
                    let EncryptedData {
                        iv,
                        key_index,
                        value,
                    } = self.sealer.seal(&content.to_sealable()?)?;
                    Body::Sealed(Sealed {
                        iv: iv.to_vec(),
                        key_index: u8::from(key_index).into(),
                        ciphertext: value,
                    })
                }
                held => return Err(NotSent::Held(held)),
            };
            packets.push(self.packet(Vec::new(), body)?);
        }
        Ok(packets)
    }

    /// Reads what came; `None` for what is not complete, repeated, of no interest or no packet at all.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Option<Received> {
        let packet = Packet::decode(bytes).ok()?;
        if !self.dedupe.is_new(&packet) || packet.sender_identity.is_empty() {
            return None;
        }
        let from = packet.sender_identity;
        match packet.body {
            Body::Clear(Content::User { topic, payload }) if topic == TOPIC => {
                let text = String::from_utf8(payload).ok()?;
                Some(Received::Said { from, text })
            }
            Body::Clear(content) => {
                let clear_is_read = self
                    .openers
                    .get(&from)
                    .is_some_and(|(rules, _)| rules.opening == Opening::AllowClear);
                if clear_is_read {
                    self.content(from, content, false)
                } else {
                    is_chat(&content).then_some(Received::Refused {
                        from,
                        why: Verdict::Clear,
                    })
                }
            }
            Body::Sealed(sealed) => {
                let opened = match self.openers.get_mut(&from) {
                    Some((_, opener)) => {
                        opener.open(&sealed.iv, sealed.key_index, &sealed.ciphertext)
                    }
                    None => Err(Verdict::NoKey),
                };
                match opened {
                    Ok(bytes) => {
                        let content = Content::from_opened(&bytes).ok()?;
                        self.content(from, content, true)
                    }
                    // The service sends packets again after a resume.
                    Err(Verdict::Replayed) => None,
                    Err(why) => Some(Received::Refused { from, why }),
                }
            }
        }
    }

    fn packet(&mut self, destinations: Vec<String>, body: Body) -> Result<Vec<u8>, DataError> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        Packet {
            destinations,
            sequence: self.sequence,
            body,
            ..Packet::default()
        }
        .encode()
    }

    fn content(&mut self, from: String, content: Content, sealed: bool) -> Option<Received> {
        match content {
            Content::Chat { text, .. } if text.len() <= LONGEST_LINE => {
                Some(Received::Chat(Line { from, text, sealed }))
            }
            Content::StreamHeader {
                id,
                topic,
                text: true,
                inline,
                ..
            } if topic == CHAT && inline.len() <= LONGEST_LINE => {
                if self.streams.len() >= MOST_STREAMS {
                    // Whoever leaves lines unfinished does not keep the others from writing.
                    self.streams.clear();
                }
                let stream = Stream {
                    text: inline,
                    next: 0,
                    sealed,
                };
                self.streams.insert((from, id), stream);
                None
            }
            Content::StreamChunk { id, index, content } => {
                let key = (from, id);
                let stream = self.streams.get_mut(&key)?;
                let fits = stream.text.len() + content.len() <= LONGEST_LINE;
                // A piece that came another way than the first is not of the same author.
                if !fits || stream.next != index || stream.sealed != sealed {
                    self.streams.remove(&key);
                    return None;
                }
                stream.text.extend_from_slice(&content);
                stream.next += 1;
                None
            }
            Content::StreamTrailer { id, reason } => {
                let (from, _) = (&from, &id);
                let stream = self.streams.remove(&(from.clone(), id))?;
                if !reason.is_empty() || stream.sealed != sealed {
                    return None;
                }
                let text = String::from_utf8(stream.text).ok()?;
                Some(Received::Chat(Line {
                    from: from.clone(),
                    text,
                    sealed,
                }))
            }
            _ => None,
        }
    }
}

fn is_chat(content: &Content) -> bool {
    match content {
        Content::Chat { .. } => true,
        Content::StreamHeader { topic, .. } => topic == CHAT,
        _ => false,
    }
}
