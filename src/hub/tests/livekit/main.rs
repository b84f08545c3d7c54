// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hub that stands in front of a real `livekit-server`: the same people, the same rules, the same tests.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

#[path = "../people/browser.rs"]
mod browser;
#[path = "../people/deeds.rs"]
mod deeds;
mod engine;
#[path = "../people/features.rs"]
mod features;
#[path = "../harness/mod.rs"]
mod harness;
mod held;
#[path = "../people/hosts.rs"]
mod hosts;
#[path = "../people/meetings.rs"]
mod meetings;
#[path = "../people/office.rs"]
mod office;
#[path = "../people/secret.rs"]
mod secret;
mod services;
#[path = "../people/waiting.rs"]
mod waiting;
mod webhook;

use std::time::Duration;

use browser::{Answer, Browser};
use harness::{Client, SECRET, keys};
use held::Held;
use office::{Office, PASSWORD, problem};
use roomseal_hub::people::Clock;
use serde_json::{Value, json};

/// Accounts are the same wherever meetings are held.
mod accounts {
    pub(crate) use super::office::{joined, path};
}
