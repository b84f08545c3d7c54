// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hub's media on a network and a clock of the test's own: what happens at moments that no real network promises.

#![allow(clippy::expect_used, reason = "in a test a panic is the verdict")]

mod camera;
mod slow;
mod world;

use std::time::Duration;

use roomseal_hub::room::Target;

use world::World;

/// The first packet of a key frame (RFC 7741, 4.2 and 4.3).
const PICTURE: [u8; 12] = [
    0x10, 0x00, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01, 0x5a,
];

#[test]
fn pictures_of_one_arrive_at_all_others() {
    let mut world = World::new();
    let [ann, bob, cem] = ["ann", "bob", "cem"].map(|name| world.join(name));
    world.pass(Duration::from_secs(2));
    let before = [bob, cem].map(|who| world.client(who).received);
    for number in 1..=20 {
        world.picture(ann, number, number as u32 * 6000, true, &PICTURE);
        world.pass(Duration::from_millis(66));
    }
    let after = [bob, cem].map(|who| world.client(who).received);
    for (before, after) in before.into_iter().zip(after) {
        assert_eq!(after - before, 20);
    }
    assert_eq!(world.client(ann).received, 0);
}

#[test]
fn a_client_connects_although_its_packets_wait_for_a_busy_hub() {
    for waiting in [0, 1, 5, 20, 100] {
        let mut world = World::new();
        world.pass(Duration::from_secs(1));
        world.waiting = Duration::from_millis(waiting);
        let ann = world.join("ann");
        world.pass(Duration::from_secs(3));
        // This client says hello once.
        assert!(world.client(ann).is_connected, "after {waiting} ms");
    }
}

#[test]
fn a_broken_dtls_handshake_is_the_trouble_of_who_sends_it() {
    // The header of a record and of a message, byte by byte, and what is in it, here and there.
    for at in (0..40).chain((40..300).step_by(13)) {
        for change in [0x01, 0xff] {
            let mut world = World::new();
            let ann = world.join("ann");
            world.pass(Duration::from_millis(500));
            world.spoiled = Some((at, change));
            world.join("eve");
            world.pass(Duration::from_millis(500));
            assert!(world.client(ann).is_connected);
            assert!(!world.is_put_out(ann), "byte {at} by {change:#x}");
        }
    }
}

#[test]
fn forged_packets_of_dtls_do_not_end_a_connection_that_is_up() {
    let mut world = World::new();
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    world.pass(Duration::from_secs(2));
    // Each content type of TLS and one that is none, in the epoch of the handshake and in that of the keys.
    for kind in [20, 21, 22, 23, 24, 25, 63] {
        for epoch in [0, 1] {
            for content in [&[][..], &[2, 40], &[1, 0], &[1, 0, 0, 0], &[0; 64]] {
                let length = u8::try_from(content.len()).expect("it is short");
                let head = [kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 9, 0, length];
                world.forge(ann, Target::Publisher, &[&head, content].concat());
                world.forge(ann, Target::Publisher, &[kind]);
            }
        }
    }
    let before = world.client(bob).received;
    for number in 1..=20 {
        world.picture(ann, number, number as u32 * 6000, true, &PICTURE);
        world.pass(Duration::from_millis(66));
    }
    assert_eq!(world.client(bob).received - before, 20);
    assert!(!world.is_put_out(ann));
}

#[test]
fn a_track_that_begins_after_many_reports_arrives() {
    let mut world = World::new();
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    world.pass(Duration::from_secs(2));
    // Receiver reports, more than anybody sends of a track that has not begun.
    let report = [&[0x81, 201, 0, 7][..], &[0; 900]].concat();
    for _ in 0..200 {
        world.forge(bob, Target::Subscriber, &report);
    }
    world.pass(Duration::from_secs(2));
    let before = world.client(bob).received;
    for number in 1..=20 {
        world.picture(ann, number, number as u32 * 6000, true, &PICTURE);
        world.pass(Duration::from_millis(66));
    }
    assert_eq!(world.client(bob).received - before, 20);
    assert!(!world.is_put_out(bob));
}
