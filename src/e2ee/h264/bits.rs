// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bit by bit through raw byte sequence payloads, with the codes of ITU-T H.264, 9.1.

use alloc::vec::Vec;

/// Reads bits from the most significant one down; none once the bytes have ended.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bits read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// Up to 32 bits as a number.
    pub(super) fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// An unsigned Exp-Golomb code, ue(v).
    pub(super) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.bits(zeros)?)
    }

    /// A signed Exp-Golomb code, se(v), of which only the length matters here, or whether it is zero modulo 256.
    pub(super) fn se(&mut self) -> Option<i64> {
        let code = i64::from(self.ue()?);
        Some(if code % 2 == 1 {
            (code + 1) / 2
        } else {
            -(code / 2)
        })
    }
}

/// Writes bits from the most significant one down.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    at: usize,
}

impl BitWriter {
    /// Takes over the first `count` bits of `bytes`.
    pub(super) fn copy_of(bytes: &[u8], count: usize) -> Option<Self> {
        let mut reader = BitReader::new(bytes);
        let mut writer = Self::default();
        for _ in 0..count {
            writer.flag(reader.flag()?);
        }
        Some(writer)
    }

    pub(super) fn flag(&mut self, bit: bool) {
        if self.at.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if bit && let Some(last) = self.bytes.last_mut() {
            *last |= 0x80 >> (self.at % 8);
        }
        self.at += 1;
    }

    /// An unsigned Exp-Golomb code, ue(v).
    pub(super) fn ue(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let length = 64 - code.leading_zeros();
        for _ in 1..length {
            self.flag(false);
        }
        for bit in (0..length).rev() {
            self.flag(code >> bit & 1 == 1);
        }
    }

    /// The bytes, ended by the stop bit and padding of 7.3.2.11.
    pub(super) fn into_rbsp(mut self) -> Vec<u8> {
        self.flag(true);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back_as_written() {
        for value in [0, 1, 2, 7, 254, 65_535, 0x7FFF_FFFE, u32::MAX - 1] {
            let mut writer = BitWriter::default();
            writer.ue(value);
            let bytes = writer.into_rbsp();
            assert_eq!(BitReader::new(&bytes).ue(), Some(value));
        }
    }

    #[test]
    fn signed_codes_follow_the_table_of_the_standard() {
        let mut writer = BitWriter::default();
        for code in 0..5 {
            writer.ue(code);
        }
        let bytes = writer.into_rbsp();
        let mut reader = BitReader::new(&bytes);
        for value in [0, 1, -1, 2, -2] {
            assert_eq!(reader.se(), Some(value));
        }
    }

    #[test]
    fn reading_past_the_end_gives_nothing() {
        assert_eq!(BitReader::new(&[]).flag(), None);
        assert_eq!(BitReader::new(&[0; 8]).ue(), None);
        assert_eq!(BitReader::new(&[0x0F]).bits(9), None);
    }
}
