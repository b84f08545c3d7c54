// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hub in the place of a LiveKit server: same meetings, same proofs.

use std::time::Instant;

use roomseal_appliance::status::Connection;
use roomseal_e2ee::Codec;
use roomseal_tests::appliance::participant;
use roomseal_tests::bare::Bare;
use roomseal_tests::livekit::Server;
use roomseal_tests::network::Network;

use crate::faults::{meet, nothing_clear, wait_for_more};
use crate::roomseal::{ask, new_meeting, start, wait_for_shield};
use crate::{SOON, faults, idle, one_at_a_time, resume, sdk};

const MEDIA: [&str; 4] = ["--camera", "test", "--microphone", "test"];

// What the hub does to frames shows in one direction; this is the other half minute of it.
#[cfg(feature = "full")]
#[test]
fn a_guest_opens_every_frame_that_the_box_seals_and_the_hub_forwards() {
    crate::sealed::the_guest_opens_every_frame(Server::hub);
}

// What the hub does to frames shows in one direction; this is the other half minute of it.
#[cfg(feature = "full")]
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

#[test]
fn after_a_killed_and_restarted_hub_the_meeting_is_back_within_five_seconds() {
    faults::killed_and_restarted(Server::hub);
}

#[test]
fn a_box_without_a_room_starts_leaves_enters_and_ends_meetings_on_the_hub() {
    idle::meetings_without_a_start(Server::hub);
}

#[test]
fn where_no_udp_passes_media_reach_the_hub_over_tcp() {
    let _turn = one_at_a_time();
    let network = Network::with_hosts(3);
    let server = Server::hub_inside(network.host(0));
    resume::lose(&network, "udp", None);
    let (sender, guest) = meet(&server, "tcp", Some(&network));
    wait_for_more(&guest, Instant::now(), 60, SOON);
    nothing_clear(&sender);
}

#[cfg(feature = "full")]
#[test]
fn when_udp_stops_media_reach_the_hub_over_tcp() {
    resume::when_udp_stops(Server::hub_inside);
}

#[test]
fn a_host_turns_encryption_on_bots_are_put_out_and_the_meeting_ends_for_everybody_on_the_hub() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::hub();
    let (host_link, guest_link) =
        new_meeting(&folder.path().join("links"), "hub", &["--announce-off"]);
    let host = start("run", "box", &host_link)
        .api_key(&server)
        .with(MEDIA)
        .join(&server, "hub");
    let mut guest = start("guest", "guest", &guest_link)
        .with(MEDIA)
        .join(&server, "hub");
    let began = Instant::now();
    for member in [&host, &guest] {
        wait_for_shield(member, began, "open");
    }
    // While it is off, whatever joins may stay.
    let token = server.token_of_kind("egress", "recorder", "hub");
    let recorder = Bare::join(&server.url(), &token, Vec::new());
    let watcher = Bare::join(&server.url(), &server.token("watcher", "hub"), Vec::new());
    let off = watcher.metadata().pop().unwrap();
    assert!(!off.is_empty(), "the policy is in the metadata");
    host.wait_for("recorder", SOON, |status| {
        participant(status, "recorder").map(drop)
    });

    let pressed = Instant::now();
    let (done, said) = ask(&host, &["e2ee", "on"]);
    assert!(done, "{said}");
    recorder.wait_until_out(SOON);
    let on = watcher.metadata_after(&off, SOON);
    for member in [&host, &guest] {
        let took = wait_for_shield(member, pressed, "sealed");
        println!(
            "{}: sealed {} ms after the press",
            member.identity(),
            took.as_millis()
        );
    }
    host.wait_for("word of the recorder", SOON, |status| {
        let mut texts = status.happenings.iter().map(|it| &it.text);
        texts.any(|text| text.contains("recorder")).then_some(())
    });
    // Who comes now learns what holds from the metadata; a bot is not let in again, and told why.
    let late = Bare::join(&server.url(), &server.token("late", "hub"), Vec::new());
    assert_eq!(late.metadata(), [on]);
    let refused = server.validate(&server.token_of_kind("egress", "second", "hub"));
    assert!(
        refused.contains("403") && refused.contains("a recorder is not let in"),
        "{refused}"
    );

    let (refused, said) = ask(&guest, &["end"]);
    assert!(!refused && said.contains("only a host"), "{said}");
    let (done, said) = ask(&host, &["end"]);
    assert!(done, "{said}");
    // The box waits for its next meeting.
    host.wait_for("box outside", SOON, |status| {
        matches!(status.connection, Connection::Left { .. }).then_some(())
    });
    assert!(!guest.process.wait(SOON).success());
    let output = guest.process.output();
    assert!(output.contains("is over"), "{output}");
}
