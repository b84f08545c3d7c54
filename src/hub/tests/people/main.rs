// SPDX-License-Identifier: MIT OR Apache-2.0
//! The people of a hub as they meet it: over HTTP, with a cookie.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod accounts;
mod browser;
mod deeds;
mod devices;
mod features;
#[path = "../harness/mod.rs"]
mod harness;
mod held;
mod hosts;
mod meetings;
mod nonsense;
mod office;
mod plugnmeet;
mod rooms;
mod schedule;
mod secret;
mod set_up;
mod sign_in;
mod sites;
mod waiting;

use std::path::Path;
use std::time::Duration;

use browser::{Answer, Browser};
use harness::{Client, SECRET, keys};
use held::Held;
use office::{Office, PASSWORD, problem, sign_in};
use roomseal_hub::people::{Clock, People};
use serde_json::{Value, json};
