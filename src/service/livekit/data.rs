// SPDX-License-Identifier: MIT OR Apache-2.0
//! Data packets: what travels over the `_reliable` and `_lossy` channels of the peer connections.
//!
//! Sealing is not done here. An encrypted packet carries its parts as plain bytes in [`Sealed`];
//! what was sealed is the bytes of [`Content::to_sealable`], what was opened goes to
//! [`Content::from_opened`]. Sender, destination, sequence and topic of a stream are never
//! authenticated by LiveKit's format.

use std::collections::HashMap;

use livekit_protocol::{self as proto, data_packet, encrypted_packet_payload};
use prost::Message as _;

/// The largest packet that data channels carry, in bytes: 66 000 vanish without an error (tried).
pub const LARGEST: usize = 64_000;

/// So many senders are told apart when looking for repeated packets.
const SENDERS: usize = 4096;

/// A data packet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packet {
    /// Who sent it, by the server's word; empty in what we send.
    pub sender_identity: String,
    /// The sender's sid, by the server's word; on reliable packets of ours our own.
    pub sender_sid: String,
    /// To whom; empty for everybody.
    pub destinations: Vec<String>,
    /// Counts a sender's reliable packets from 1; 0 on lossy ones.
    pub sequence: u32,
    /// What is in it.
    pub body: Body,
}

/// What is in a packet.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Readable by the server.
    Clear(Content),
    /// Sealed by its sender.
    Sealed(Sealed),
}

impl Default for Body {
    fn default() -> Self {
        Self::Clear(Content::Other("nothing"))
    }
}

/// A sealed content, as it is on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// 12 bytes from every sender we know; not checked here.
    pub iv: Vec<u8>,
    /// Slot of the key in the ring; not checked here.
    pub key_index: u32,
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

/// What an application says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Bytes under a topic.
    User {
        /// May be empty.
        topic: String,
        /// The application's bytes.
        payload: Vec<u8>,
    },
    /// A line of LiveKit's older chat.
    Chat {
        /// Unique id of the message.
        id: String,
        /// The text.
        text: String,
        /// Milliseconds since 1970, by the sender's clock.
        timestamp_ms: i64,
    },
    /// The beginning of a text or byte stream.
    StreamHeader {
        /// Which stream.
        id: String,
        /// What it is about, for example `lk.chat`.
        topic: String,
        /// Whether it is text.
        text: bool,
        /// Content type, for example `text/plain`.
        mime: String,
        /// Bytes in all, when the sender knows.
        total: Option<u64>,
        /// Content sent with the header by newer clients.
        inline: Vec<u8>,
    },
    /// A piece of a stream.
    StreamChunk {
        /// Which stream.
        id: String,
        /// Counts from 0.
        index: u64,
        /// The bytes.
        content: Vec<u8>,
    },
    /// The end of a stream.
    StreamTrailer {
        /// Which stream.
        id: String,
        /// Why it ended early; empty when it is complete.
        reason: String,
    },
    /// Something that is not used here, by its name. It cannot be sent.
    Other(&'static str),
}

/// Why bytes are no data packet, or a packet cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Not decodable.
    #[error("not a LiveKit data packet")]
    Malformed,
    /// Content that only receives.
    #[error("{0} cannot be sent")]
    NotSendable(&'static str),
    /// Beyond [`LARGEST`].
    #[error(
        "a data packet of {0} bytes is larger than the {LARGEST} bytes that a channel carries: send it in pieces"
    )]
    TooLarge(usize),
}

impl Packet {
    /// A packet from received bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DataError> {
        let packet = proto::DataPacket::decode(bytes).map_err(|_| DataError::Malformed)?;
        use data_packet::Value as V;
        // Two of the values are deprecated and named only to be told apart.
        #[allow(deprecated)]
        let body = match packet.value {
            Some(V::EncryptedPacket(sealed)) => Body::Sealed(Sealed {
                iv: sealed.iv,
                key_index: sealed.key_index,
                ciphertext: sealed.encrypted_value,
            }),
            Some(V::User(user)) => Body::Clear(user.into()),
            Some(V::ChatMessage(chat)) => Body::Clear(chat.into()),
            Some(V::StreamHeader(header)) => Body::Clear(header.into()),
            Some(V::StreamChunk(chunk)) => Body::Clear(chunk.into()),
            Some(V::StreamTrailer(trailer)) => Body::Clear(trailer.into()),
            Some(V::Speaker(_)) => Body::Clear(Content::Other("speakers")),
            Some(V::SipDtmf(_)) => Body::Clear(Content::Other("telephone keys")),
            Some(V::Transcription(_)) => Body::Clear(Content::Other("a transcription")),
            Some(V::Metrics(_)) => Body::Clear(Content::Other("metrics")),
            Some(V::RpcRequest(_) | V::RpcAck(_) | V::RpcResponse(_)) => {
                Body::Clear(Content::Other("a remote call"))
            }
            None => Body::Clear(Content::Other("something newer")),
        };
        Ok(Self {
            sender_identity: packet.participant_identity,
            sender_sid: packet.participant_sid,
            destinations: packet.destination_identities,
            sequence: packet.sequence,
            body,
        })
    }

    /// The bytes to send.
    pub fn encode(self) -> Result<Vec<u8>, DataError> {
        use data_packet::Value as V;
        let value = match self.body {
            Body::Sealed(sealed) => V::EncryptedPacket(proto::EncryptedPacket {
                encryption_type: proto::encryption::Type::Gcm as i32,
                iv: sealed.iv,
                key_index: sealed.key_index,
                encrypted_value: sealed.ciphertext,
            }),
            Body::Clear(content) => match content.into_wire()? {
                Wire::User(user) => V::User(user),
                Wire::Chat(chat) => V::ChatMessage(chat),
                Wire::Header(header) => V::StreamHeader(header),
                Wire::Chunk(chunk) => V::StreamChunk(chunk),
                Wire::Trailer(trailer) => V::StreamTrailer(trailer),
            },
        };
        let bytes = proto::DataPacket {
            participant_identity: self.sender_identity,
            participant_sid: self.sender_sid,
            destination_identities: self.destinations,
            sequence: self.sequence,
            value: Some(value),
            ..Default::default()
        }
        .encode_to_vec();
        if bytes.len() > LARGEST {
            return Err(DataError::TooLarge(bytes.len()));
        }
        Ok(bytes)
    }
}

impl Content {
    /// The bytes that are sealed in place of this content (`EncryptedPacketPayload`).
    pub fn to_sealable(self) -> Result<Vec<u8>, DataError> {
        use encrypted_packet_payload::Value as V;
        let value = match self.into_wire()? {
            Wire::User(user) => V::User(user),
            Wire::Chat(chat) => V::ChatMessage(chat),
            Wire::Header(header) => V::StreamHeader(header),
            Wire::Chunk(chunk) => V::StreamChunk(chunk),
            Wire::Trailer(trailer) => V::StreamTrailer(trailer),
        };
        Ok(proto::EncryptedPacketPayload { value: Some(value) }.encode_to_vec())
    }

    /// The content from bytes that were opened.
    pub fn from_opened(bytes: &[u8]) -> Result<Self, DataError> {
        use encrypted_packet_payload::Value as V;
        let payload =
            proto::EncryptedPacketPayload::decode(bytes).map_err(|_| DataError::Malformed)?;
        Ok(match payload.value {
            Some(V::User(user)) => user.into(),
            Some(V::ChatMessage(chat)) => chat.into(),
            Some(V::StreamHeader(header)) => header.into(),
            Some(V::StreamChunk(chunk)) => chunk.into(),
            Some(V::StreamTrailer(trailer)) => trailer.into(),
            Some(V::RpcRequest(_) | V::RpcAck(_) | V::RpcResponse(_)) => {
                Self::Other("a remote call")
            }
            None => Self::Other("something newer"),
        })
    }

    fn into_wire(self) -> Result<Wire, DataError> {
        use proto::data_stream;
        Ok(match self {
            Self::User { topic, payload } => Wire::User(proto::UserPacket {
                payload,
                topic: Some(topic),
                ..Default::default()
            }),
            Self::Chat {
                id,
                text,
                timestamp_ms,
            } => Wire::Chat(proto::ChatMessage {
                id,
                timestamp: timestamp_ms,
                message: text,
                ..Default::default()
            }),
            Self::StreamHeader {
                id,
                topic,
                text,
                mime,
                total,
                // Only clients that say they understand it may get it; pieces reach all.
                inline: _,
            } => Wire::Header(data_stream::Header {
                stream_id: id,
                topic,
                mime_type: mime,
                total_length: total,
                content_header: Some(if text {
                    data_stream::header::ContentHeader::TextHeader(Default::default())
                } else {
                    data_stream::header::ContentHeader::ByteHeader(Default::default())
                }),
                ..Default::default()
            }),
            Self::StreamChunk { id, index, content } => Wire::Chunk(data_stream::Chunk {
                stream_id: id,
                chunk_index: index,
                content,
                ..Default::default()
            }),
            Self::StreamTrailer { id, reason } => Wire::Trailer(data_stream::Trailer {
                stream_id: id,
                reason,
                ..Default::default()
            }),
            Self::Other(what) => return Err(DataError::NotSendable(what)),
        })
    }
}

/// Finds reliable packets that the server sends again after a resume.
#[derive(Debug, Default)]
pub struct Dedupe {
    last: HashMap<String, u32>,
}

impl Dedupe {
    /// Whether the packet is new. Lossy packets and those without a sender always are.
    pub fn is_new(&mut self, packet: &Packet) -> bool {
        if packet.sequence == 0 || packet.sender_sid.is_empty() {
            return true;
        }
        match self.last.get_mut(&packet.sender_sid) {
            Some(last) if packet.sequence <= *last => false,
            Some(last) => {
                *last = packet.sequence;
                true
            }
            None => {
                // A server that makes up senders must not fill the memory.
                if self.last.len() < SENDERS {
                    self.last.insert(packet.sender_sid.clone(), packet.sequence);
                }
                true
            }
        }
    }

    /// The sender has left.
    pub fn forget(&mut self, sender_sid: &str) {
        self.last.remove(sender_sid);
    }

    /// How far each sender's packets were received, for [`super::DataState::received`].
    pub fn received(&self) -> Vec<(String, u32)> {
        self.last
            .iter()
            .map(|(sid, last)| (sid.clone(), *last))
            .collect()
    }
}

/// The contents that can be sent.
enum Wire {
    User(proto::UserPacket),
    Chat(proto::ChatMessage),
    Header(proto::data_stream::Header),
    Chunk(proto::data_stream::Chunk),
    Trailer(proto::data_stream::Trailer),
}

impl From<proto::UserPacket> for Content {
    fn from(user: proto::UserPacket) -> Self {
        Self::User {
            topic: user.topic.unwrap_or_default(),
            payload: user.payload,
        }
    }
}

impl From<proto::ChatMessage> for Content {
    fn from(chat: proto::ChatMessage) -> Self {
        Self::Chat {
            id: chat.id,
            text: chat.message,
            timestamp_ms: chat.timestamp,
        }
    }
}

impl From<proto::data_stream::Header> for Content {
    fn from(header: proto::data_stream::Header) -> Self {
        Self::StreamHeader {
            id: header.stream_id,
            topic: header.topic,
            text: matches!(
                header.content_header,
                Some(proto::data_stream::header::ContentHeader::TextHeader(_))
            ),
            mime: header.mime_type,
            total: header.total_length,
            inline: header.inline_content.unwrap_or_default(),
        }
    }
}

impl From<proto::data_stream::Chunk> for Content {
    fn from(chunk: proto::data_stream::Chunk) -> Self {
        Self::StreamChunk {
            id: chunk.stream_id,
            index: chunk.chunk_index,
            content: chunk.content,
        }
    }
}

impl From<proto::data_stream::Trailer> for Content {
    fn from(trailer: proto::data_stream::Trailer) -> Self {
        Self::StreamTrailer {
            id: trailer.stream_id,
            reason: trailer.reason,
        }
    }
}

#[cfg(test)]
mod tests {
    // A failed unwrap is a failed test.
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn hello() -> Content {
        Content::User {
            topic: "greeting".into(),
            payload: b"hello".to_vec(),
        }
    }

    fn contents() -> Vec<Content> {
        vec![
            hello(),
            Content::Chat {
                id: "1".into(),
                text: "hi".into(),
                timestamp_ms: 1_700_000_000_000,
            },
            Content::StreamHeader {
                id: "s".into(),
                topic: "lk.chat".into(),
                text: true,
                mime: "text/plain".into(),
                total: Some(2),
                inline: Vec::new(),
            },
            Content::StreamChunk {
                id: "s".into(),
                index: 0,
                content: b"hi".to_vec(),
            },
            Content::StreamTrailer {
                id: "s".into(),
                reason: String::new(),
            },
        ]
    }

    #[test]
    fn every_content_comes_back_clear_and_sealable() {
        for content in contents() {
            let packet = Packet {
                sender_sid: "PA_1".into(),
                destinations: vec!["bob".into()],
                sequence: 7,
                body: Body::Clear(content.clone()),
                ..Default::default()
            };
            let bytes = packet.clone().encode().unwrap();
            assert_eq!(Packet::decode(&bytes).unwrap(), packet);
            let sealable = content.clone().to_sealable().unwrap();
            assert_eq!(Content::from_opened(&sealable).unwrap(), content);
        }
    }

    #[test]
    fn a_sealed_packet_passes_through_byte_by_byte() {
        let sealed = Sealed {
            iv: vec![1; 12],
            key_index: 3,
            ciphertext: vec![9; 40],
        };
        let packet = Packet {
            body: Body::Sealed(sealed.clone()),
            ..Default::default()
        };
        let decoded = Packet::decode(&packet.encode().unwrap()).unwrap();
        assert_eq!(decoded.body, Body::Sealed(sealed));
    }

    #[test]
    fn an_encrypted_packet_of_the_javascript_client_is_read() {
        // `encryption_type` left out, as livekit-client does: field 18 with iv, key index 0 left
        // out, value.
        let mut bytes = vec![0x92, 0x01, 18, 0x12, 12];
        bytes.extend([7; 12]);
        bytes.extend([0x22, 2, 0xaa, 0xbb]);
        let Body::Sealed(sealed) = Packet::decode(&bytes).unwrap().body else {
            panic!("not read as sealed");
        };
        assert_eq!(sealed.iv, [7; 12]);
        assert_eq!((sealed.key_index, sealed.ciphertext), (0, vec![0xaa, 0xbb]));
    }

    #[test]
    fn a_packet_that_no_channel_carries_is_refused() {
        let packet = Packet {
            body: Body::Clear(Content::User {
                topic: String::new(),
                payload: vec![0; LARGEST],
            }),
            ..Default::default()
        };
        assert!(matches!(packet.encode(), Err(DataError::TooLarge(_))));
    }

    #[test]
    fn what_is_repeated_after_a_resume_is_found() {
        let mut dedupe = Dedupe::default();
        let packet = |sid: &str, sequence| Packet {
            sender_sid: sid.into(),
            sequence,
            ..Default::default()
        };
        assert!(dedupe.is_new(&packet("PA_a", 1)));
        assert!(dedupe.is_new(&packet("PA_a", 2)));
        assert!(!dedupe.is_new(&packet("PA_a", 2)));
        assert!(!dedupe.is_new(&packet("PA_a", 1)));
        assert!(dedupe.is_new(&packet("PA_b", 1)));
        assert!(dedupe.is_new(&packet("PA_a", 0)));
        assert_eq!(dedupe.received().len(), 2);
        dedupe.forget("PA_a");
        assert!(dedupe.is_new(&packet("PA_a", 1)));
    }

    #[test]
    fn made_up_senders_do_not_fill_the_memory() {
        let mut dedupe = Dedupe::default();
        for number in 0..SENDERS as u32 * 2 {
            let packet = Packet {
                sender_sid: format!("PA_{number}"),
                sequence: 1,
                ..Default::default()
            };
            assert!(dedupe.is_new(&packet));
        }
        assert_eq!(dedupe.received().len(), SENDERS);
    }

    #[test]
    fn broken_bytes_are_refused() {
        assert_eq!(Packet::decode(&[0x12, 0x7f]), Err(DataError::Malformed));
        assert_eq!(
            Content::from_opened(&[0x0a, 0x7f]),
            Err(DataError::Malformed)
        );
    }
}
