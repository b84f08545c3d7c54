// SPDX-License-Identifier: MIT OR Apache-2.0
//! Base64url without padding (RFC 4648 §5), one text for each value.

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64UrlUnpadded, Encoding};

/// The text is not base64url, has padding or stray bits, or stands for another number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotBase64url;

pub(crate) fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// Two texts never stand for the same bytes: what is compared or hashed as text would otherwise be one of several.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, NotBase64url> {
    Base64UrlUnpadded::decode_vec(text).map_err(|_| NotBase64url)
}

/// Exactly `N` bytes, written to `bytes` so that a secret has one place only.
pub(crate) fn decode_into<const N: usize>(
    text: &str,
    bytes: &mut [u8; N],
) -> Result<(), NotBase64url> {
    match Base64UrlUnpadded::decode(text, bytes) {
        Ok(decoded) if decoded.len() == N => Ok(()),
        _ => Err(NotBase64url),
    }
}

pub(crate) fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], NotBase64url> {
    let mut bytes = [0; N];
    decode_into(text, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stray_bits_padding_and_the_other_alphabet_are_refused() {
        assert_eq!(decode("_-A"), Ok(alloc::vec![0xFF, 0xE0]));
        for text in ["_-B", "_-A=", "/+A", "_-A ", "_-A\n", "_"] {
            assert_eq!(decode(text), Err(NotBase64url), "{text:?}");
        }
        assert_eq!(decode_array("_-A"), Ok([0xFF, 0xE0]));
        assert_eq!(decode_array::<3>("_-A"), Err(NotBase64url));
        assert_eq!(decode_array::<1>("_-A"), Err(NotBase64url));
    }
}
