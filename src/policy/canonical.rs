// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one way to write signed JSON.
//!
//! No space, the fields in the order given, strings escaped no more than JSON demands: what `JSON.stringify` makes of an
//! object with the fields in that order. Anything else is refused, so two readers can never understand the same signed
//! bytes differently (fields given twice, numbers like `1e0`, escapes for plain letters, fields that only one side knows).

use alloc::string::String;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;

pub(crate) fn write(content: &impl Serialize) -> String {
    serde_json::to_string(content).expect("structs of strings and numbers always have a JSON form")
}

pub(crate) fn read<T: DeserializeOwned + Serialize>(payload: &[u8]) -> Result<T, Refusal> {
    let content = serde_json::from_slice(payload).map_err(|_| Refusal::Content)?;
    if write(&content).as_bytes() == payload {
        Ok(content)
    } else {
        Err(Refusal::NotCanonical)
    }
}
