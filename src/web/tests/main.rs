// SPDX-License-Identifier: MIT OR Apache-2.0
//! The join page's core as it runs in a browser, with a service in between, on this machine.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod asks;
mod chat;
mod meeting;
mod plan;
