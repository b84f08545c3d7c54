// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the status says about encryption in a Roomseal meeting: for everybody, and person by person.

use roomseal_meeting::call::{Mark, Person, Reason};
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
        let because = |why| {
            let reason = Reason {
                who: Some(person.identity.clone()),
                called: person.called.clone(),
                why,
            };
            reason.text()
        };
        let (word, text) = match person.mark {
            Mark::Open => ("open", String::new()),
            Mark::Verified => (
                "verified",
                "has proved to hold the key and to follow the same host".to_owned(),
            ),
            Mark::Pending(why) => ("pending", because(why)),
            Mark::Unsealed(why) => ("unsealed", because(why)),
            Mark::Keyless => (
                "keyless",
                "has not proved to hold the key, and sends nothing".to_owned(),
            ),
        };
        Self {
            word: word.to_owned(),
            text,
        }
    }
}
