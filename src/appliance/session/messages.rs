// SPDX-License-Identifier: MIT OR Apache-2.0
//! What members say to each other on the data channels: the meeting's own messages, and chat.
//!
//! The meeting's own messages authenticate themselves and are never sealed. Chat is what people wrote: it leaves as
//! media does, sealed, clear or not at all, and is read by the same rules ([`roomseal_meeting::chat`]).

use roomseal_e2ee::data::{DataSealer, EncryptedData};
use roomseal_e2ee::{FrameKey, KeyIndex, PREFIX_LEN};
use roomseal_meeting::chat::{self, Chat, Heard, NotSent, Piece};
use roomseal_meeting::{Rules, Sending, TOPIC};
use roomseal_service::livekit::data::{Body, Content, DataError, Dedupe, Packet, Sealed};

pub use roomseal_meeting::chat::LONGEST_LINE;

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
    /// Something that somebody wrote.
    Chat(Heard),
}

/// Why a line of chat was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotWritten {
    /// By the rules.
    #[error(transparent)]
    NotSent(#[from] NotSent),
    /// The service's format does not take it.
    #[error(transparent)]
    Format(#[from] DataError),
}

/// The messages of one stay in a room.
#[derive(Debug)]
pub(super) struct Messages {
    /// Counts our reliable packets.
    sequence: u32,
    chat: Chat,
    dedupe: Dedupe,
}

impl Messages {
    /// Says nothing but the meeting's own messages before it is told otherwise.
    pub(super) fn new(sealer: DataSealer) -> Self {
        Self {
            sequence: 0,
            chat: Chat::new(sealer),
            dedupe: Dedupe::default(),
        }
    }

    /// In the room from zero: the service counts packets anew, and nobody is known.
    pub(super) fn restart(&mut self) {
        self.sequence = 0;
        self.chat.restart();
        self.dedupe = Dedupe::default();
    }

    /// What all IVs of our packets begin with.
    pub(super) fn iv_prefix(&self) -> [u8; PREFIX_LEN] {
        self.chat.iv_prefix()
    }

    /// What may leave from now on.
    pub(super) fn send(&mut self, sending: Sending) {
        self.chat.send(sending);
    }

    /// Whether what is written now leaves sealed.
    pub(super) fn seals(&self) -> bool {
        self.chat.sending() == Sending::Sealed
    }

    /// What is sealed with from now on.
    pub(super) fn send_key(&mut self, key: Option<(KeyIndex, FrameKey)>) {
        self.chat.send_key(key);
    }

    /// How the packets of a participant are opened from now on.
    pub(super) fn open(&mut self, identity: String, rules: Rules) {
        self.chat.open(identity, rules);
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
    pub(super) fn chat(&mut self, id: &str, line: &str) -> Result<Vec<Vec<u8>>, NotWritten> {
        if line.len() > LONGEST_LINE {
            return Err(NotSent::TooLong.into());
        }
        let id = id.to_owned();
        let contents = [
            Content::StreamHeader {
                id: id.clone(),
                topic: chat::TOPIC.to_owned(),
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
            let body = match self.chat.leave(&content.clone().to_sealable()?)? {
                None => Body::Clear(content),
                Some(EncryptedData {
                    iv,
                    key_index,
                    value,
                }) => Body::Sealed(Sealed {
                    iv: iv.to_vec(),
                    key_index: u8::from(key_index).into(),
                    ciphertext: value,
                }),
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
        let heard = match packet.body {
            Body::Clear(Content::User { topic, payload }) if topic == TOPIC => {
                let text = String::from_utf8(payload).ok()?;
                return Some(Received::Said { from, text });
            }
            Body::Clear(content) => self.chat.hear(&from, piece(content)?),
            Body::Sealed(sealed) => {
                let packet = (&sealed.iv[..], sealed.key_index, &sealed.ciphertext[..]);
                let read = |bytes: &[u8]| piece(Content::from_opened(bytes).ok()?);
                self.chat.hear_sealed(&from, packet, read)
            }
        };
        heard.map(Received::Chat)
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
}

/// The piece of a line in a content.
fn piece(content: Content) -> Option<Piece> {
    match content {
        Content::Chat { text, .. } => Some(Piece::Line { text }),
        Content::StreamHeader {
            id,
            topic,
            text: true,
            inline,
            ..
        } if topic == chat::TOPIC => Some(Piece::Begin { id, text: inline }),
        Content::StreamChunk { id, index, content } => Some(Piece::Part {
            id,
            index,
            text: content,
        }),
        Content::StreamTrailer { id, reason } => Some(Piece::End {
            id,
            whole: reason.is_empty(),
        }),
        _ => None,
    }
}
