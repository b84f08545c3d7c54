// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is said on topic `roomseal` and written into the room's metadata.
//!
//! Every message is a JSON object whose field `t` says what it is: `chain` and `vouch` are this crate's, the others belong
//! to the meeting. Messages themselves are not signed; what is in them is.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::certificate::Certificate;
use crate::chain::Chain;
use crate::policy::Policy;
use crate::refusal::Refusal;

/// What a message is, by its `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// A chain or a part of one: for [`Chain::begin`] or [`Chain::merge`].
    Chain,
    /// A vouch: for [`Vouch::verify`](crate::Vouch::verify).
    Vouch,
    /// Not this crate's.
    Other,
}

impl MessageKind {
    /// Looks at the field `t` and at nothing else.
    pub fn of(text: &str) -> Self {
        #[derive(Deserialize)]
        struct Tagged {
            t: String,
        }
        match serde_json::from_str::<Tagged>(text) {
            Ok(Tagged { t }) if t == CHAIN => Self::Chain,
            Ok(Tagged { t }) if t == VOUCH => Self::Vouch,
            _ => Self::Other,
        }
    }
}

/// `{"t":"chain","v":1,"certificates":[JWS, …],"policies":[JWS, …]}`, policies after their predecessors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChainMessage {
    t: String,
    v: u8,
    pub(crate) certificates: Vec<String>,
    pub(crate) policies: Vec<String>,
}

impl ChainMessage {
    pub(crate) fn read(text: &str) -> Result<Self, Refusal> {
        if text.len() > Chain::MOST_TEXT {
            return Err(Refusal::TooLong);
        }
        let message: Self = serde_json::from_str(text).map_err(|_| Refusal::NotAMessage)?;
        if message.t != CHAIN || message.v != 1 {
            return Err(Refusal::NotAMessage);
        }
        let long = message.certificates.len() > Chain::MOST_CERTIFICATES
            || message.policies.len() > Chain::MOST_POLICIES;
        if long {
            Err(Refusal::TooLong)
        } else {
            Ok(message)
        }
    }
}

impl ChainMessage {
    /// The message with one certificate and one policy.
    pub(crate) fn text_of(certificate: &str, policy: &str) -> String {
        write(&Self {
            t: CHAIN.into(),
            v: 1,
            certificates: alloc::vec![certificate.into()],
            policies: alloc::vec![policy.into()],
        })
    }
}

/// Length of the message with no certificate and no policy in it.
pub(crate) const EMPTY_CHAIN_LEN: usize =
    r#"{"t":"chain","v":1,"certificates":[],"policies":[]}"#.len();

pub(crate) fn write_chain<'a>(
    certificates: impl IntoIterator<Item = &'a Certificate>,
    policies: impl IntoIterator<Item = &'a Policy>,
) -> String {
    let text = |text: &str| text.to_owned();
    write(&ChainMessage {
        t: CHAIN.into(),
        v: 1,
        certificates: certificates
            .into_iter()
            .map(|certificate| text(certificate.text()))
            .collect(),
        policies: policies
            .into_iter()
            .map(|policy| text(policy.text()))
            .collect(),
    })
}

/// `{"t":"vouch","v":1,"certificate":JWS,"vouch":JWS}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VouchMessage {
    t: String,
    v: u8,
    pub(crate) certificate: String,
    pub(crate) vouch: String,
}

impl VouchMessage {
    pub(crate) fn read(text: &str) -> Result<Self, Refusal> {
        if text.len() > Self::MOST_TEXT {
            return Err(Refusal::TooLong);
        }
        let message: Self = serde_json::from_str(text).map_err(|_| Refusal::NotAMessage)?;
        if message.t == VOUCH && message.v == 1 {
            Ok(message)
        } else {
            Err(Refusal::NotAMessage)
        }
    }

    pub(crate) fn write(certificate: &Certificate, vouch: String) -> String {
        write(&Self {
            t: VOUCH.into(),
            v: 1,
            certificate: certificate.text().into(),
            vouch,
        })
    }

    const MOST_TEXT: usize = 8192;
}

fn write(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("structs of strings and numbers always have a JSON form")
}

const CHAIN: &str = "chain";
const VOUCH: &str = "vouch";
