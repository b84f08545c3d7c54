// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the status says about encryption in a Roomseal meeting: for everybody, and person by person.

use roomseal_meeting::call::Person;
use serde::{Deserialize, Serialize};

/// Encryption in a Roomseal meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Encryption {
    /// As the followed policy says; `None`: no host has decided.
    pub on: Option<bool>,
    /// This box is a host.
    pub host: bool,
    /// The service holds the key.
    pub by_service: bool,
}

/// How somebody stands in a Roomseal meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    /// `verified`, `pending`, `unsealed`, `keyless`, or `open` while encryption is off: for programs.
    pub word: String,
    /// Why, for people.
    pub text: String,
}

impl Encryption {
    /// In words for people.
    pub fn text(&self) -> String {
        let decided = match self.on {
            Some(true) => "on",
            Some(false) => "OFF",
            None => "no host has decided",
        };
        let who = if self.host {
            "this box is a host"
        } else {
            "a host decides"
        };
        format!("{decided}; {who}")
    }
}

impl From<&Person> for Standing {
    fn from(person: &Person) -> Self {
        Self {
            word: person.word().to_owned(),
            text: person.text(),
        }
    }
}
