// SPDX-License-Identifier: MIT OR Apache-2.0
//! What members say to each other on the data channels: the meeting's own messages, and chat.
//!
//! The meeting's own messages authenticate themselves and are never sealed. Chat is what people wrote: it leaves as
//! media does, sealed, clear or not at all, and is read by the same rules ([`roomseal_meeting::chat`]).

use std::time::Duration;

use roomseal_e2ee::data::{DataSealer, EncryptedData};
use roomseal_e2ee::{FrameKey, KeyIndex, PREFIX_LEN};
use roomseal_meeting::chat::{self, About, Chat, Heard, NotSent, Origin, Piece, Say};
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

    /// What is kept of earlier lines is not for those who have another secret.
    pub(super) fn forget(&mut self) {
        self.chat.forget();
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
    pub(super) fn chat(
        &mut self,
        me: Origin<'_>,
        id: &str,
        line: &str,
    ) -> Result<Vec<Vec<u8>>, NotWritten> {
        if line.len() > LONGEST_LINE {
            return Err(NotSent::TooLong.into());
        }
        let mut packets = Vec::new();
        for content in stream(chat::TOPIC, id, &[line.as_bytes().to_vec()]) {
            let sealed = self.chat.leave(&content.clone().to_sealable()?)?;
            packets.push(self.packet(Vec::new(), body(content, sealed))?);
        }
        self.chat.wrote(me, id, line);
        Ok(packets)
    }

    /// What has to be asked now about earlier lines, of a member that may know them.
    pub(super) fn due(&mut self, now: Duration) -> Option<Say> {
        let draw = || {
            let mut nonce = [0; 16];
            getrandom::fill(&mut nonce).ok().map(|()| nonce)
        };
        self.chat.due(now, draw)
    }

    /// The packets for what is asked or told about earlier lines.
    ///
    /// # Errors
    /// When it may not leave any more in the way it was made for.
    pub(super) fn tell(&mut self, say: &Say) -> Result<Vec<Vec<u8>>, NotWritten> {
        let mut packets = Vec::new();
        for content in stream(chat::HISTORY, &say.id, &say.chunks) {
            let sealable = content.clone().to_sealable()?;
            let sealed = self.chat.leave_as(&sealable, say.sealed)?;
            packets.push(self.packet(vec![say.to.clone()], body(content, sealed))?);
        }
        Ok(packets)
    }

    /// Reads what came; `None` for what is not complete, repeated, of no interest or no packet at all. `called` says what
    /// a participant is called.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        called: impl Fn(&str) -> String,
        now: Duration,
    ) -> Option<Received> {
        let packet = Packet::decode(bytes).ok()?;
        if !self.dedupe.is_new(&packet) || packet.sender_identity.is_empty() {
            return None;
        }
        let from = packet.sender_identity;
        let called = called(&from);
        let origin = Origin {
            identity: &from,
            called: &called,
            now,
        };
        let heard = match packet.body {
            Body::Clear(Content::User { topic, payload }) if topic == TOPIC => {
                let text = String::from_utf8(payload).ok()?;
                return Some(Received::Said { from, text });
            }
            Body::Clear(content) => self.chat.hear(origin, piece(content)?),
            Body::Sealed(sealed) => {
                let packet = (&sealed.iv[..], sealed.key_index, &sealed.ciphertext[..]);
                let read = |bytes: &[u8]| piece(Content::from_opened(bytes).ok()?);
                self.chat.hear_sealed(origin, packet, read)
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

/// The pieces of a text stream, in order.
fn stream(topic: &str, id: &str, chunks: &[Vec<u8>]) -> Vec<Content> {
    let length: usize = chunks.iter().map(Vec::len).sum();
    let header = Content::StreamHeader {
        id: id.to_owned(),
        topic: topic.to_owned(),
        text: true,
        mime: "text/plain".to_owned(),
        total: Some(length as u64),
        inline: Vec::new(),
    };
    let chunks = chunks.iter().zip(0..);
    let chunks = chunks.map(|(content, index)| Content::StreamChunk {
        id: id.to_owned(),
        index,
        content: content.clone(),
    });
    let trailer = Content::StreamTrailer {
        id: id.to_owned(),
        reason: String::new(),
    };
    [header]
        .into_iter()
        .chain(chunks)
        .chain([trailer])
        .collect()
}

fn body(content: Content, sealed: Option<EncryptedData>) -> Body {
    match sealed {
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
    }
}

/// The piece of a line in a content.
fn piece(content: Content) -> Option<Piece> {
    match content {
        Content::Chat { id, text, .. } => Some(Piece::Line { id, text }),
        Content::StreamHeader {
            id,
            topic,
            text: true,
            inline,
            ..
        } => {
            let about = match topic.as_str() {
                chat::TOPIC => About::Line,
                chat::HISTORY => About::History,
                _ => return None,
            };
            let text = inline;
            Some(Piece::Begin { id, about, text })
        }
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

#[cfg(test)]
mod tests {
    use roomseal_e2ee::{IvSource, KeyRing, RawKey};
    use roomseal_meeting::Opening;

    use super::*;

    /// What the service makes of a packet: it says who sent it.
    fn carried(bytes: &[u8], from: &str) -> Vec<u8> {
        let mut packet = Packet::decode(bytes).expect("it is a packet");
        packet.sender_identity = from.to_owned();
        packet.sender_sid = from.to_owned();
        packet.encode().expect("it was one before")
    }

    fn member(fill: u8) -> (Messages, FrameKey) {
        let mut messages = Messages::new(DataSealer::new(IvSource::new([fill; 12])));
        let key = FrameKey::from_raw_key(&RawKey::new(vec![fill; 32]));
        messages.send(Sending::Sealed);
        messages.send_key(Some((KeyIndex::of_epoch(1), key.clone())));
        (messages, key)
    }

    fn knows(one: &mut Messages, name: &str, (other, key): &(Messages, FrameKey)) {
        let mut keys = KeyRing::new();
        keys.set(KeyIndex::of_epoch(1), key.clone());
        let rules = Rules {
            opening: Opening::Required,
            keys,
            iv_prefix: Some(other.iv_prefix()),
            iv_floor: 0,
            confirmed: true,
        };
        one.open(name.to_owned(), rules);
    }

    #[test]
    fn a_box_that_comes_late_asks_for_the_earlier_lines_and_is_told_them_sealed() {
        let (mut ann, mut zoe) = (member(1), member(2));
        knows(&mut ann.0, "zoe", &zoe);
        knows(&mut zoe.0, "ann", &ann);
        let seconds = Duration::from_secs;
        let called = |identity: &str| identity.to_uppercase();
        let me = Origin {
            identity: "ann",
            called: "Ann",
            now: seconds(1),
        };
        // More than fits in one packet.
        for n in 0..4 {
            let line = format!("shall we begin? {}", "x".repeat(16_000));
            ann.0.chat(me, &n.to_string(), &line).expect("it is in");
        }
        assert_eq!(zoe.0.due(seconds(10)), None);
        let ask = zoe.0.due(seconds(11)).expect("there is somebody to ask");
        let mut answer = None;
        for bytes in zoe.0.tell(&ask).expect("it may leave") {
            let named = Packet::decode(&bytes).expect("it is a packet");
            assert_eq!(named.destinations, ["ann"]);
            answer = ann.0.receive(&carried(&bytes, "zoe"), called, seconds(11));
        }
        let Some(Received::Chat(Heard::Asked(say))) = answer else {
            panic!("{answer:?}");
        };
        let packets = ann.0.tell(&say).expect("it may leave");
        assert!(packets.len() > 5, "{}", packets.len());
        let mut told = None;
        for bytes in packets {
            assert!(!bytes.windows(5).any(|it| it == b"shall"), "in the clear");
            told = zoe.0.receive(&carried(&bytes, "ann"), called, seconds(11));
        }
        let Some(Received::Chat(Heard::Told { by, lines })) = told else {
            panic!("{told:?}");
        };
        assert_eq!((by.as_str(), lines.len()), ("ann", 4));
        assert!(lines.iter().all(|told| told.line.sealed && told.ago == 10));
        assert_eq!(zoe.0.due(seconds(15)), None);

        // Nothing of it leaves once encryption is off.
        ann.0.send(Sending::Clear);
        assert!(ann.0.tell(&say).is_err());
    }
}
