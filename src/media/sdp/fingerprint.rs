// SPDX-License-Identifier: MIT OR Apache-2.0

//! The SHA-256 fingerprint that binds a DTLS certificate to a session description (RFC 8122 §5).

use std::fmt;

use sha2::{Digest, Sha256};

/// SHA-256 of a certificate in DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Reads the value of `a=fingerprint`; only SHA-256 is taken.
    pub fn parse(value: &str) -> Option<Self> {
        let (algorithm, digits) = value.split_once(' ')?;
        if !algorithm.eq_ignore_ascii_case("sha-256") {
            return None;
        }
        let mut bytes = [0; 32];
        let mut pairs = digits.split(':');
        for byte in &mut bytes {
            let pair = pairs.next()?;
            if pair.len() != 2 || !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        pairs.next().is_none().then_some(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Fingerprint of the first certificate in a PEM text; `None` if there is none.
pub fn certificate_fingerprint(pem: &str) -> Option<Fingerprint> {
    let body = pem
        .split_once("-----BEGIN CERTIFICATE-----")?
        .1
        .split_once("-----END CERTIFICATE-----")?
        .0;
    let der = decode_base64(body)?;
    (!der.is_empty()).then(|| Fingerprint(Sha256::digest(&der).into()))
}

/// Base64 with line breaks (RFC 4648 §4), as PEM uses it.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut bits = 0u32;
    let mut count = 0u8;
    let mut padded = false;
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padded = true;
                continue;
            }
            b'\r' | b'\n' | b' ' => continue,
            _ => return None,
        };
        if padded {
            return None;
        }
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            // The mask keeps the eight bits that are complete.
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_decodes_the_vectors_of_rfc_4648() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9v\nYmFy", "foobar"),
        ] {
            assert_eq!(decode_base64(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(decode_base64("Zg==Zg"), None);
        assert_eq!(decode_base64("Z!"), None);
    }

    #[test]
    fn a_fingerprint_reads_back() {
        let pem = "-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n";
        let fingerprint = certificate_fingerprint(pem).expect("a certificate");
        // sha256("foo")
        assert!(
            fingerprint
                .to_string()
                .starts_with("2C:26:B4:6B:68:FF:C6:8F")
        );
        let read = Fingerprint::parse(&format!(
            "SHA-256 {}",
            fingerprint.to_string().to_lowercase()
        ));
        assert_eq!(read, Some(fingerprint));
    }

    #[test]
    fn what_is_no_fingerprint_is_none() {
        let good = Fingerprint([7; 32]).to_string();
        for value in [
            String::new(),
            good.clone(),
            format!("sha-1 {good}"),
            format!("sha-256 {good}:07"),
            format!("sha-256 {}", &good[3..]),
            format!("sha-256 {}", good.replace("07", "+7")),
            format!("sha-256 {}", good.replace(':', "")),
            "sha-256 é".into(),
        ] {
            assert_eq!(Fingerprint::parse(&value), None, "{value}");
        }
        for pem in [
            "",
            "-----BEGIN CERTIFICATE-----",
            "-----END CERTIFICATE----------BEGIN CERTIFICATE-----",
        ] {
            assert_eq!(certificate_fingerprint(pem), None);
        }
    }
}
