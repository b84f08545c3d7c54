// SPDX-License-Identifier: MIT OR Apache-2.0
//! The few messages of LiveKit's protobuf that chat needs: what is sealed has to be written and read where the keys are.
//!
//! Field numbers are those of `livekit_models.proto`. Numbers beyond 64 bits, groups and other field types than asked
//! for are skipped or end the reading: what comes from others is never trusted to be well-formed.

use roomseal_e2ee::data::EncryptedData;
use roomseal_meeting::chat::{About, HISTORY, Piece, TOPIC};

/// `DataPacket.destination_identities`.
const DESTINATION: u32 = 5;
/// `EncryptedPacketPayload.chat_message`.
const SEALED_LINE: u32 = 3;
/// `EncryptedPacketPayload.stream_header`; chunk and trailer follow, here and in `DataPacket`.
const SEALED_BEGIN: u32 = 7;
/// `DataPacket.stream_header`.
const CLEAR_BEGIN: u32 = 13;
/// `DataPacket.encrypted_packet`.
const SEALED: u32 = 18;
/// `Encryption.Type.GCM`.
const GCM: u64 = 1;

/// A piece of a line that leaves, as the bytes of its message.
#[derive(Debug)]
pub(crate) struct Content {
    /// 0: the header, 1: a chunk, 2: the trailer.
    kind: u32,
    message: Vec<u8>,
}

/// The pieces of a line, in order.
pub(crate) fn line(id: &str, text: &str) -> Vec<Content> {
    stream(TOPIC, id, &[text.as_bytes().to_vec()])
}

/// The pieces of a text stream, in order.
pub(crate) fn stream(topic: &str, id: &str, chunks: &[Vec<u8>]) -> Vec<Content> {
    let mut header = Vec::new();
    bytes(&mut header, 1, id.as_bytes());
    bytes(&mut header, 3, topic.as_bytes());
    bytes(&mut header, 4, b"text/plain");
    let length: usize = chunks.iter().map(Vec::len).sum();
    number(&mut header, 5, length as u64);
    // An empty `TextHeader`: which of the two is there says what the stream is.
    bytes(&mut header, 9, &[]);
    let chunks = chunks.iter().zip(0..).map(|(text, index)| {
        let mut chunk = Vec::new();
        bytes(&mut chunk, 1, id.as_bytes());
        if index > 0 {
            number(&mut chunk, 2, index);
        }
        bytes(&mut chunk, 3, text);
        (1, chunk)
    });
    let mut trailer = Vec::new();
    bytes(&mut trailer, 1, id.as_bytes());
    let messages = [(0, header)]
        .into_iter()
        .chain(chunks)
        .chain([(2, trailer)]);
    messages
        .map(|(kind, message)| Content { kind, message })
        .collect()
}

impl Content {
    /// The bytes that are sealed in place of it.
    pub(crate) fn to_sealable(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        bytes(&mut payload, SEALED_BEGIN + self.kind, &self.message);
        payload
    }

    /// The packet that carries it to one or to everybody, as the bytes of a `DataPacket`. Without a sequence nobody sends
    /// it again later.
    pub(crate) fn packet(&self, to: Option<&str>, sealed: Option<EncryptedData>) -> Vec<u8> {
        let mut packet = Vec::new();
        if let Some(to) = to {
            bytes(&mut packet, DESTINATION, to.as_bytes());
        }
        match sealed {
            None => bytes(&mut packet, CLEAR_BEGIN + self.kind, &self.message),
            Some(data) => {
                let mut inner = Vec::new();
                number(&mut inner, 1, GCM);
                bytes(&mut inner, 2, &data.iv);
                number(&mut inner, 3, u8::from(data.key_index).into());
                bytes(&mut inner, 4, &data.value);
                bytes(&mut packet, SEALED, &inner);
            }
        }
        packet
    }
}

/// The piece of a line in what opened; `None` for everything else that may be sealed.
pub(crate) fn piece(payload: &[u8]) -> Option<Piece> {
    let (field, Value::Bytes(message)) = fields(payload).last()? else {
        return None;
    };
    match field {
        SEALED_LINE => Some(Piece::Line {
            id: text(last(message, 1).unwrap_or_default())?,
            text: text(last(message, 4)?)?,
        }),
        SEALED_BEGIN => {
            let topics = [(TOPIC, About::Line), (HISTORY, About::History)];
            let topic = last(message, 3)?;
            let (_, about) = topics.into_iter().find(|(of, _)| of.as_bytes() == topic)?;
            last(message, 9).is_some().then_some(Piece::Begin {
                id: text(last(message, 1)?)?,
                about,
                text: last(message, 11).unwrap_or_default().to_vec(),
            })
        }
        8 => Some(Piece::Part {
            id: text(last(message, 1)?)?,
            index: last_number(message, 2),
            text: last(message, 3).unwrap_or_default().to_vec(),
        }),
        9 => Some(Piece::End {
            id: text(last(message, 1)?)?,
            whole: last(message, 2).unwrap_or_default().is_empty(),
        }),
        _ => None,
    }
}

/// What a field holds.
#[derive(Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message up to where it is no message any more.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u32, Value<'_>)> {
    std::iter::from_fn(move || {
        loop {
            let tag = take_number(&mut rest)?;
            let field = u32::try_from(tag >> 3).ok()?;
            return match tag & 7 {
                0 => Some((field, Value::Number(take_number(&mut rest)?))),
                1 => {
                    rest = rest.get(8..)?;
                    continue;
                }
                2 => {
                    let length = usize::try_from(take_number(&mut rest)?).ok()?;
                    let (value, after) = rest.split_at_checked(length)?;
                    rest = after;
                    Some((field, Value::Bytes(value)))
                }
                5 => {
                    rest = rest.get(4..)?;
                    continue;
                }
                _ => None,
            };
        }
    })
}

/// Of a field that comes more than once the last counts.
fn last(message: &[u8], wanted: u32) -> Option<&[u8]> {
    let found = fields(message).filter_map(|(field, value)| match value {
        Value::Bytes(bytes) if field == wanted => Some(bytes),
        _ => None,
    });
    found.last()
}

fn last_number(message: &[u8], wanted: u32) -> u64 {
    let found = fields(message).filter_map(|(field, value)| match value {
        Value::Number(number) if field == wanted => Some(number),
        _ => None,
    });
    found.last().unwrap_or_default()
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for at in 0..10 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f).checked_shl(7 * at)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    varint(out, u64::from(field) << 3);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    varint(out, u64::from(field) << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(id: &str, said: &str) -> Vec<Option<Piece>> {
        let contents = line(id, said);
        contents.iter().map(|it| piece(&it.to_sealable())).collect()
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let said = "Zoë 王 ".repeat(100);
        let expected = [
            Piece::Begin {
                id: "7f".into(),
                about: About::Line,
                text: Vec::new(),
            },
            Piece::Part {
                id: "7f".into(),
                index: 0,
                text: said.as_bytes().to_vec(),
            },
            Piece::End {
                id: "7f".into(),
                whole: true,
            },
        ];
        assert_eq!(pieces("7f", &said), expected.map(Some));
    }

    #[test]
    fn it_is_the_protobuf_of_livekit_byte_by_byte() {
        let [header, chunk, trailer] = &line("a", "hi")[..] else {
            panic!("more than a header, a chunk and a trailer");
        };
        assert_eq!(
            header.packet(None, None),
            *b"\x6a\x1c\x0a\x01a\x1a\x07lk.chat\x22\x0atext/plain\x28\x02\x4a\x00"
        );
        assert_eq!(chunk.packet(None, None), *b"\x72\x07\x0a\x01a\x1a\x02hi");
        assert_eq!(trailer.to_sealable(), *b"\x4a\x03\x0a\x01a");
        let data = EncryptedData {
            iv: [9; 12],
            key_index: roomseal_e2ee::KeyIndex::of_epoch(5),
            value: vec![1, 2, 3],
        };
        let sealed = trailer.packet(None, Some(data));
        assert_eq!(
            sealed,
            *b"\x92\x01\x17\x08\x01\x12\x0c\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x18\x05\x22\x03\x01\x02\x03"
        );
    }

    #[test]
    fn a_stream_of_several_chunks_names_whom_it_is_for_and_what_it_is_about() {
        let chunks = [b"one".to_vec(), b"two".to_vec()];
        let contents = stream(HISTORY, "7f", &chunks);
        assert_eq!(
            contents[2].packet(Some("ann"), None),
            *b"\x2a\x03ann\x72\x0b\x0a\x027f\x10\x01\x1a\x03two"
        );
        let pieces: Vec<_> = contents.iter().map(|it| piece(&it.to_sealable())).collect();
        let Some(Piece::Begin { about, .. }) = &pieces[0] else {
            panic!("{pieces:?}");
        };
        assert_eq!(*about, About::History);
        let Some(Piece::Part { index: 1, text, .. }) = &pieces[2] else {
            panic!("{pieces:?}");
        };
        assert_eq!(text, b"two");
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_no_piece_and_no_panic() {
        let whole = line("id", "text")[0].to_sealable();
        for length in 0..whole.len() {
            assert_eq!(piece(&whole[..length]), None, "{length}");
        }
        for other in [
            &b"\x0a\x02hi"[..],
            b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
            b"\x3b\x00",
            b"\x38\x01",
        ] {
            assert_eq!(piece(other), None, "{other:?}");
        }
        let mut of_another_topic = Vec::new();
        let mut message = Vec::new();
        bytes(&mut message, 1, b"id");
        bytes(&mut message, 3, b"files");
        bytes(&mut message, 9, &[]);
        bytes(&mut of_another_topic, SEALED_BEGIN, &message);
        assert_eq!(piece(&of_another_topic), None);
    }
}
