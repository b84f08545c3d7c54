// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of fixed length that are compared and printed: hashes, nonces, checks.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::base64url::{self, NotBase64url};

/// A public value of fixed length, in base64url wherever it is text.
macro_rules! value {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// How many bytes it has.
            pub const LEN: usize = $length;

            /// Takes the bytes as they are.
            pub const fn new(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base64url::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl core::str::FromStr for $name {
            type Err = NotAValue;

            fn from_str(text: &str) -> Result<Self, NotAValue> {
                base64url::decode_array(text)
                    .map(Self)
                    .map_err(|NotBase64url| NotAValue { length: $length })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(de::Error::custom)
            }
        }
    };
}

/// The text does not stand for a value of the right length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the base64url text (without padding) of {length} bytes")]
pub struct NotAValue {
    length: usize,
}

value! {
    /// `h(P)`: SHA-256 of the exact bytes of a policy. Names a policy everywhere.
    PolicyHash, 32
}

value! {
    /// SHA-256 of the exact bytes of a host certificate. A policy names its signer with it.
    CertificateHash, 32
}

value! {
    /// `h`: SHA-256 of the compressed public point of a meeting key. A link names the meeting's hosts with it.
    MeetingKeyHash, 32
}

value! {
    /// SHA-256 of the DER form of the TLS certificate that a self-made service shows, as a link may carry it.
    ServiceCertificateHash, 32
}

value! {
    /// Fresh random bytes in every policy. Public.
    PolicyNonce, 16
}

value! {
    /// What the secret and the nonce of a policy give together (PROTOCOL.md, "Keys"); made and compared where keys are.
    /// Public.
    Check, 16
}

value! {
    /// Fresh random bytes of a member, made at every join: what carries them was said after that. Public.
    MemberNonce, 16
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
