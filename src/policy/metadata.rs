// SPDX-License-Identifier: MIT OR Apache-2.0
//! The chain's place in the room's metadata, which belongs to others too.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::chain::Chain;

/// The metadata is somebody else's: not a JSON object, or without room for the chain. Send data messages only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the room's metadata is not ours to write: the policy goes by data messages alone")]
pub struct NotOurs;

/// The metadata with this chain in it; all other keys stay as they are, byte for byte and in their order.
///
/// # Errors
/// The metadata is something else than a JSON object (or nothing), or would become longer than LiveKit allows.
pub fn write_metadata(existing: &str, chain: &Chain) -> Result<String, NotOurs> {
    let mut object = Object::read(existing)?;
    let message = RawValue::from_string(chain.message()).expect("a message is JSON");
    match object.0.iter_mut().find(|(key, _)| key == KEY) {
        Some((_, value)) => *value = message,
        None => object.0.push((KEY.to_owned(), message)),
    }
    let text = serde_json::to_string(&object).expect("keys are text and values are JSON");
    if text.len() > Chain::MOST_TEXT {
        Err(NotOurs)
    } else {
        Ok(text)
    }
}

/// The message in the metadata, for [`Chain::begin`] or [`Chain::merge`]; `None` if there is none.
pub fn read_metadata(text: &str) -> Option<String> {
    let object = Object::read(text).ok()?;
    let (_, message) = object.0.into_iter().find(|(key, _)| key == KEY)?;
    Some(message.get().to_owned())
}

const KEY: &str = "roomseal";

/// A JSON object whose values nobody looks at.
struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    fn read(text: &str) -> Result<Self, NotOurs> {
        if text.trim().is_empty() {
            return Ok(Self(Vec::new()));
        }
        if text.len() > Chain::MOST_TEXT {
            return Err(NotOurs);
        }
        let object: Self = serde_json::from_str(text).map_err(|_| NotOurs)?;
        // With the key there twice, readers would differ on which one counts.
        let ours = object.0.iter().filter(|(key, _)| key == KEY).count();
        if ours > 1 { Err(NotOurs) } else { Ok(object) }
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}
