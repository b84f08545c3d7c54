// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever somebody with a valid token says to the hub, and sends it as packets before there is a key for any: nothing
//! panics, and who is in the room with him stays there.
//!
//! A row of parts, each with what it is for, its length in two bytes, and so many bytes.
#![no_main]

#[path = "../../../src/hub/tests/simulated/world.rs"]
mod world;

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::{self as proto};
use prost::Message as _;
use roomseal_hub::room::{ConnectionId, Target};

use world::World;

/// More is more of the same.
const MOST_PARTS: usize = 32;

fuzz_target!(|input: &[u8]| {
    let mut world = World::new();
    let ann = world.come("ann", None).expect("there is room");
    let mut eve = world.come("eve", None).expect("there is room");
    let mut rest = input;
    for _ in 0..MOST_PARTS {
        let Some((&[kind, high, low], after)) = rest.split_first_chunk::<3>() else {
            break;
        };
        let length = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (part, after) = after.split_at(length);
        rest = after;
        match kind % 7 {
            0 => {
                if let Ok(request) = proto::SignalRequest::decode(part)
                    && let Some(message) = request.message
                {
                    world.say(eve, message);
                }
            }
            kind @ (1 | 2) => {
                let text = String::from_utf8_lossy(part).into_owned();
                describe(&mut world, eve, kind == 1, text);
            }
            3 => world.packet(eve, Target::Publisher, part),
            4 => world.packet(eve, Target::Subscriber, part),
            5 => world.pass(Duration::from_millis(part.first().copied().unwrap_or(1).into())),
            _ => {
                world.leave(eve);
                let resume = std::str::from_utf8(part).ok().filter(|sid| !sid.is_empty());
                match world.come("eve", resume.map(str::to_owned)) {
                    Some(again) => eve = again,
                    None => return,
                }
            }
        }
    }
    world.say(ann, Ask::Ping(1));
    assert!(!world.is_closed(ann), "somebody else was put out");
});

fn describe(world: &mut World, from: ConnectionId, is_offer: bool, sdp: String) {
    let description = |kind: &str| proto::SessionDescription {
        r#type: kind.into(),
        sdp,
        id: 1,
        ..Default::default()
    };
    let message = match is_offer {
        true => Ask::Offer(description("offer")),
        false => Ask::Answer(description("answer")),
    };
    world.say(from, message);
}
