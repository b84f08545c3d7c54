// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever somebody whose media are connected sends as pictures and as messages: nothing panics, and the pictures of
//! somebody else still arrive at a third.
//!
//! A row of parts, each with what it is, its length in one byte, and so many bytes. The meeting goes on from input to
//! input, since getting connected takes a thousand times as long as a packet.
#![no_main]

#[path = "../../../src/hub/tests/simulated/world.rs"]
mod world;

use std::cell::RefCell;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;

use world::World;

/// Inputs of one meeting.
const MOST_INPUTS: usize = 2000;
const MOST_PARTS: usize = 16;
const MOMENT: Duration = Duration::from_millis(5);

/// Ann sends pictures, Bob receives them, Eve is the one to be afraid of.
struct Meeting {
    world: World,
    ann: usize,
    bob: usize,
    eve: usize,
    inputs: usize,
    picture: u64,
    number: u64,
    time: u32,
}

impl Meeting {
    fn new() -> Self {
        let mut world = World::new();
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.join(name));
        let mut meeting = Self {
            world,
            ann,
            bob,
            eve,
            inputs: 0,
            picture: 1,
            number: 1,
            time: 0,
        };
        for _ in 0..1000 {
            meeting.world.pass(MOMENT);
            if meeting.is_seen() {
                return meeting;
            }
        }
        panic!("within five seconds nobody sees anybody");
    }

    /// Whether a picture of Ann arrives at Bob.
    fn is_seen(&mut self) -> bool {
        let before = self.world.client(self.bob).received;
        self.picture += 1;
        let time = (self.picture as u32).wrapping_mul(6000);
        // RFC 7741: the first packet of a key frame.
        let payload = [0x10, 0x00, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01, 0x5a];
        self.world.picture(self.ann, self.picture, time, true, &payload);
        self.world.pass(MOMENT);
        self.world.client(self.bob).received > before
    }

    fn take(&mut self, input: &[u8]) {
        let mut rest = input;
        for _ in 0..MOST_PARTS {
            let Some((&[kind, length], after)) = rest.split_first_chunk::<2>() else {
                break;
            };
            let (part, after) = after.split_at(usize::from(length).min(after.len()));
            rest = after;
            match kind % 4 {
                0 => self.world.message(self.eve, part),
                1 => self.world.pass(Duration::from_millis(length.into())),
                kind => {
                    // Numbers and times that follow each other, and such that do not.
                    let Some((&jump, payload)) = part.split_first() else {
                        continue;
                    };
                    let far = if kind == 3 { u64::from(jump) << 8 } else { 1 };
                    self.number += far.max(1);
                    self.time = self.time.wrapping_add(u32::from(jump) << 10);
                    let marker = jump & 1 == 1;
                    self.world.picture(self.eve, self.number, self.time, marker, payload);
                }
            }
        }
        self.world.pass(MOMENT);
    }
}

thread_local! {
    static MEETING: RefCell<Option<Meeting>> = const { RefCell::new(None) };
}

fuzz_target!(|input: &[u8]| {
    MEETING.with_borrow_mut(|slot| {
        let meeting = slot.get_or_insert_with(Meeting::new);
        meeting.take(input);
        // A queue that Eve has filled may cost a picture, not the meeting.
        let is_seen = (0..20).any(|_| meeting.is_seen());
        assert!(is_seen, "nobody is seen any more");
        assert!(!meeting.world.is_put_out(meeting.ann) && !meeting.world.is_put_out(meeting.bob));
        meeting.inputs += 1;
        if meeting.inputs >= MOST_INPUTS || meeting.world.is_put_out(meeting.eve) {
            *slot = None;
        }
    });
});
