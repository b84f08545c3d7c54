// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hub in the place of a LiveKit server: same meetings, same proofs.

use roomseal_e2ee::Codec;
use roomseal_tests::livekit::Server;

use crate::{resume, sdk, sealed};

#[test]
fn a_guest_opens_every_frame_that_the_box_seals_and_the_hub_forwards() {
    sealed::the_guest_opens_every_frame(Server::hub);
}

#[test]
fn the_official_sdk_opens_what_the_box_seals_and_the_hub_forwards() {
    sdk::the_sdk_opens(Server::hub, "vp8enc", "hub-to-sdk", "video/VP8");
}

#[test]
fn the_box_opens_what_the_official_sdk_seals_and_the_hub_forwards() {
    sdk::the_box_opens(Server::hub, Codec::Vp8, "hub-from-sdk", "video/VP8");
}

#[test]
fn three_seconds_without_signalling_interrupt_neither_session_nor_media_on_the_hub() {
    resume::three_seconds_without_signalling(Server::hub);
}
