// SPDX-License-Identifier: MIT OR Apache-2.0

//! Handshake messages of DTLS leave in one piece.
//!
//! The DTLS element of GStreamer 1.22 tells OpenSSL no packet size. OpenSSL then takes the smallest
//! there is and cuts each flight into a dozen packets of some 200 bytes; and because it fills up
//! packets the first time but not when it repeats a flight, the second cut is another. RFC 6347
//! §4.2.3 allows that. pion/dtls, on which LiveKit stands, does not put pieces of different cuts
//! together (up to 3.1.5 at least, see its pull request 1099): once it has some pieces of a message
//! and one was lost, all repetitions are in vain and the connection never stands.
//!
//! A message that comes whole is the same each time, and two packets are lost less often than a
//! dozen. What is signed and hashed in a handshake are whole messages (§4.2.6), so nobody can tell
//! how they were cut.

use gst::prelude::*;

use super::shared::lock;

/// Most bytes of a datagram: what every path carries (RFC 8261 §5), without IP and UDP.
const DATAGRAM: usize = 1200;

/// Content type, version, epoch, number, length (RFC 6347 §4.1).
const RECORD_HEADER: usize = 13;

/// Type, length, message number, offset and length of the piece (RFC 6347 §4.2.2).
const MESSAGE_HEADER: usize = 12;

/// Most bytes of a message in one record.
const PIECE: usize = DATAGRAM - RECORD_HEADER - MESSAGE_HEADER;

/// Content type of handshake messages.
const HANDSHAKE: u8 = 22;

/// More is no handshake of ours: a certificate has less than 1 kB.
const LONGEST: usize = 1 << 14;

/// Lets handshake messages that leave through `pad`, the source of a `dtlsenc`, go in one piece.
pub(super) fn mend(pad: &gst::Pad) {
    let messages = std::sync::Mutex::new(Messages::default());
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(buffer) = info.buffer_mut() else {
            return gst::PadProbeReturn::Ok;
        };
        let datagrams = match buffer.map_readable() {
            Ok(bytes) => lock(&messages).take(&bytes),
            Err(_) => return gst::PadProbeReturn::Ok,
        };
        let Some(mut datagrams) = datagrams else {
            return gst::PadProbeReturn::Ok;
        };
        let Some(last) = datagrams.pop() else {
            // The rest of the message follows at once.
            return gst::PadProbeReturn::Handled;
        };
        *buffer = gst::Buffer::from_slice(last);
        // Past this probe, straight to the next element.
        if let Some(peer) = pad.peer() {
            for datagram in datagrams {
                if let Err(error) = peer.chain(gst::Buffer::from_slice(datagram)) {
                    tracing::debug!(%error, "a packet of a handshake was not taken");
                }
            }
        }
        gst::PadProbeReturn::Ok
    });
}

/// Puts the pieces of one message after the other together.
#[derive(Debug, Default)]
struct Messages {
    begun: Option<Begun>,
}

/// A message of which pieces are missing.
#[derive(Debug)]
struct Begun {
    version: [u8; 2],
    kind: u8,
    number: [u8; 2],
    length: usize,
    body: Vec<u8>,
    /// Numbers of the records that it came in; a record that goes out needs one, and none may go out twice.
    records: Vec<[u8; 6]>,
}

/// A record that carries one piece of one message.
#[derive(Clone, Copy, Debug)]
struct Piece<'r> {
    record: &'r [u8],
    offset: usize,
    length: usize,
    bytes: &'r [u8],
}

impl Messages {
    /// Takes a datagram and says what to send instead, perhaps nothing yet; `None`: the same.
    fn take(&mut self, datagram: &[u8]) -> Option<Vec<Vec<u8>>> {
        let records = records(datagram)?;
        if !records.iter().any(|record| Piece::cut(record).is_some()) {
            return None;
        }
        let mut datagrams = Vec::new();
        for record in records {
            match Piece::cut(record) {
                None => append(&mut datagrams, record),
                Some(piece) => {
                    for record in self.add(piece) {
                        append(&mut datagrams, &record);
                    }
                }
            }
        }
        Some(datagrams)
    }

    /// Adds a piece; gives the records of its message when it was the last.
    fn add(&mut self, piece: Piece) -> Vec<Vec<u8>> {
        if piece.offset == 0 {
            self.begun = Some(Begun::with(piece));
        }
        let complete = self.begun.take().and_then(|mut begun| {
            if !begun.goes_on_with(piece) {
                return None;
            }
            begun.body.extend_from_slice(piece.bytes);
            begun.records.push(piece.record_number());
            Some(begun)
        });
        match complete {
            // Never seen: OpenSSL cuts from the beginning to the end. What is lost here is repeated.
            None => {
                tracing::debug!("a piece of a handshake message came out of turn");
                Vec::new()
            }
            Some(begun) if begun.body.len() == begun.length => begun.records(),
            Some(begun) => {
                self.begun = Some(begun);
                Vec::new()
            }
        }
    }
}

impl Begun {
    fn with(first: Piece) -> Self {
        let record = first.record;
        Self {
            version: [record[1], record[2]],
            kind: record[RECORD_HEADER],
            number: [record[RECORD_HEADER + 4], record[RECORD_HEADER + 5]],
            length: first.length,
            body: Vec::with_capacity(first.length),
            records: Vec::new(),
        }
    }

    fn goes_on_with(&self, piece: Piece) -> bool {
        let number = &piece.record[RECORD_HEADER + 4..RECORD_HEADER + 6];
        piece.offset == self.body.len() && piece.length == self.length && number == self.number
    }

    /// The whole message in as few records as possible, always cut at the same places.
    fn records(&self) -> Vec<Vec<u8>> {
        let pieces = self.body.chunks(PIECE);
        // Never more than it came in, whose pieces were smaller. The newest numbers, so that they still grow.
        let spare = self.records.len().saturating_sub(pieces.len());
        let numbers = &self.records[spare..];
        let record = |(at, (bytes, number)): (usize, (&[u8], &[u8; 6]))| {
            let mut record = Vec::with_capacity(RECORD_HEADER + MESSAGE_HEADER + bytes.len());
            record.push(HANDSHAKE);
            record.extend_from_slice(&self.version);
            record.extend_from_slice(&[0, 0]);
            record.extend_from_slice(number);
            record.extend_from_slice(&be(MESSAGE_HEADER + bytes.len())[1..]);
            record.push(self.kind);
            record.extend_from_slice(&be(self.length));
            record.extend_from_slice(&self.number);
            record.extend_from_slice(&be(at * PIECE));
            record.extend_from_slice(&be(bytes.len()));
            record.extend_from_slice(bytes);
            record
        };
        pieces.zip(numbers).enumerate().map(record).collect()
    }
}

impl<'r> Piece<'r> {
    /// What a record carries if that is a piece of a message and neither sealed nor all of it.
    fn cut(record: &'r [u8]) -> Option<Self> {
        let (header, content) = record.split_at_checked(RECORD_HEADER)?;
        let (message, bytes) = content.split_at_checked(MESSAGE_HEADER)?;
        let piece = Self {
            record,
            length: number(&message[1..4]),
            offset: number(&message[6..9]),
            bytes,
        };
        let in_the_clear = header[0] == HANDSHAKE && header[3..5] == [0, 0];
        let alone = number(&message[9..12]) == bytes.len();
        let cut = bytes.len() < piece.length && piece.length <= LONGEST;
        (in_the_clear && alone && cut).then_some(piece)
    }

    fn record_number(&self) -> [u8; 6] {
        let mut number = [0; 6];
        number.copy_from_slice(&self.record[5..11]);
        number
    }
}

/// The records of a datagram; `None` when it is none of DTLS.
fn records(mut datagram: &[u8]) -> Option<Vec<&[u8]>> {
    let mut records = Vec::new();
    while !datagram.is_empty() {
        let length = number(datagram.get(11..RECORD_HEADER)?);
        let (record, rest) = datagram.split_at_checked(RECORD_HEADER + length)?;
        records.push(record);
        datagram = rest;
    }
    Some(records)
}

/// Puts a record into the last datagram if there is room, otherwise into a new one.
fn append(datagrams: &mut Vec<Vec<u8>>, record: &[u8]) {
    match datagrams.last_mut() {
        Some(last) if last.len() + record.len() <= DATAGRAM => last.extend_from_slice(record),
        _ => datagrams.push(record.to_vec()),
    }
}

/// A number of at most four bytes, the highest first.
fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |so_far, byte| so_far << 8 | usize::from(*byte))
}

/// A number below 2^24 in three bytes, the highest first.
fn be(number: usize) -> [u8; 3] {
    let [.., a, b, c] = number.to_be_bytes();
    [a, b, c]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// What OpenSSL leaves to a packet of 256 bytes.
    const SMALL: usize = 228;

    /// Cuts messages (kind and body) as OpenSSL does; `filling`: into what room is left in a datagram, as the first time.
    fn flight(messages: &[(u8, Vec<u8>)], first_record: u64, filling: bool) -> Vec<Vec<u8>> {
        let mut out: Vec<Vec<u8>> = vec![Vec::new()];
        let mut next = first_record;
        for (seq, (kind, body)) in messages.iter().enumerate() {
            if !filling {
                out.push(Vec::new());
            }
            let mut offset = 0;
            while offset < body.len() {
                let used = out.last().unwrap().len();
                let mut room = SMALL.saturating_sub(used + RECORD_HEADER + MESSAGE_HEADER);
                if room == 0 {
                    out.push(Vec::new());
                    room = SMALL - RECORD_HEADER - MESSAGE_HEADER;
                }
                let bytes = &body[offset..body.len().min(offset + room)];
                let mut record = vec![HANDSHAKE, 0xfe, 0xfd, 0, 0];
                record.extend_from_slice(&next.to_be_bytes()[2..]);
                record.extend_from_slice(&be(MESSAGE_HEADER + bytes.len())[1..]);
                record.push(*kind);
                record.extend_from_slice(&be(body.len()));
                record.extend_from_slice(&[0, u8::try_from(seq).unwrap()]);
                record.extend_from_slice(&be(offset));
                record.extend_from_slice(&be(bytes.len()));
                record.extend_from_slice(bytes);
                next += 1;
                offset += bytes.len();
                out.last_mut().unwrap().extend_from_slice(&record);
            }
        }
        out.retain(|datagram| !datagram.is_empty());
        out
    }

    /// Certificate, key exchange and signature, about as large as they are.
    fn messages() -> Vec<(u8, Vec<u8>)> {
        let body = |length: usize| (0..length).map(|n| (n % 251) as u8).collect();
        vec![(11, body(819)), (16, body(33)), (15, body(260))]
    }

    fn sent(messages: &mut Messages, flight: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let sent = |datagram: &Vec<u8>| {
            let instead = messages.take(datagram);
            instead.unwrap_or_else(|| vec![datagram.clone()])
        };
        flight.iter().flat_map(sent).collect()
    }

    /// The parts of each record that no repetition may change: all but its number.
    fn told(datagrams: &[Vec<u8>]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let all = datagrams
            .iter()
            .flat_map(|datagram| records(datagram).unwrap());
        all.map(|record| (record[..5].to_vec(), record[11..].to_vec()))
            .collect()
    }

    #[test]
    fn a_flight_that_was_cut_leaves_whole_and_in_fewer_datagrams() {
        let cut = flight(&messages(), 1, true);
        let whole = sent(&mut Messages::default(), &cut);
        assert!(cut.len() >= 6, "{}", cut.len());
        assert!(whole.len() <= 3, "{}", whole.len());
        let told = told(&whole);
        assert_eq!(told.len(), 3);
        for ((_, record), (kind, body)) in told.iter().zip(messages()) {
            assert_eq!(record[2], kind);
            assert_eq!(record[2 + MESSAGE_HEADER..], body[..]);
            assert_eq!(record[3..6], be(body.len()), "length of the message");
            assert_eq!(record[8..11], be(0), "offset");
            assert_eq!(record[11..14], be(body.len()), "length of the piece");
        }
        assert!(whole.iter().all(|datagram| datagram.len() <= DATAGRAM));
    }

    #[test]
    fn a_repetition_that_is_cut_otherwise_leaves_the_same() {
        let (first, again) = (
            flight(&messages(), 1, true),
            flight(&messages(), 100, false),
        );
        assert_ne!(told(&first), told(&again));
        let mut state = Messages::default();
        let first = sent(&mut state, &first);
        let again = sent(&mut state, &again);
        assert_eq!(told(&first), told(&again));
    }

    #[test]
    fn numbers_of_records_grow_and_none_is_used_twice() {
        let mut state = Messages::default();
        let mut out = sent(&mut state, &flight(&messages(), 1, true));
        out.extend(sent(&mut state, &flight(&messages(), 100, false)));
        let all = out.iter().flat_map(|datagram| records(datagram).unwrap());
        let numbers: Vec<_> = all.map(|record| record[5..11].to_vec()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }

    #[test]
    fn a_message_larger_than_a_datagram_is_always_cut_at_the_same_places() {
        let large = [(11, vec![7; 3000]), (15, vec![9; 260])];
        let mut state = Messages::default();
        let first = sent(&mut state, &flight(&large, 1, true));
        let again = sent(&mut state, &flight(&large, 100, false));
        assert_eq!(told(&first), told(&again));
        assert!(first.iter().all(|datagram| datagram.len() <= DATAGRAM));
        let lengths: Vec<_> = told(&first)
            .iter()
            .map(|(_, record)| number(&record[11..14]))
            .collect();
        assert_eq!(lengths, [PIECE, PIECE, 3000 - 2 * PIECE, 260]);
    }

    #[test]
    fn what_is_sealed_whole_or_no_handshake_is_left_as_it_is() {
        let mut state = Messages::default();
        let whole = flight(&[(1, vec![5; 100])], 0, true).remove(0);
        assert_eq!(state.take(&whole), None);
        let mut sealed = flight(&[(20, vec![5; 400])], 0, true).remove(0);
        sealed[4] = 1;
        assert_eq!(state.take(&sealed), None);
        assert_eq!(
            state.take(&[20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 1]),
            None
        );
        for nonsense in [
            &[][..],
            &[22],
            &[22; 40],
            &[0; 12],
            &whole[..whole.len() - 1],
        ] {
            assert_eq!(state.take(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_change_of_keys_stays_behind_the_message_before_it() {
        let mut cut = flight(&[(15, vec![9; 260])], 1, true);
        let change = [20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 1];
        cut.last_mut().unwrap().extend_from_slice(&change);
        let out = sent(&mut Messages::default(), &cut);
        let kinds: Vec<_> = told(&out).iter().map(|(header, _)| header[0]).collect();
        assert_eq!(kinds, [HANDSHAKE, 20]);
    }
}
