// SPDX-License-Identifier: MIT OR Apache-2.0
//! The border of WebAssembly: functions that `join/core.ts` calls, with two buffers for text and frames.
//!
//! One core in one memory, in one thread. The caller asks for room in the input buffer, writes there, and says how many
//! bytes it wrote; what comes back is in the output buffer, or in the input buffer where a frame was opened in place. A
//! panic ends the instance for good, and the caller lets no frame pass then.

use std::cell::RefCell;
use std::time::Duration;

use roomseal_e2ee::Codec;
use roomseal_policy::KEY_WORDS;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use crate::call::{Core, Start, Visit};
use crate::decides::KeyFrom;
use crate::plan::Planned;
use crate::receiving::Received;
use crate::sending::Left;

#[derive(Default)]
struct State {
    core: Option<Core>,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// What a beginning comes to.
#[derive(Serialize)]
#[serde(untagged)]
enum Begun<'a> {
    Room { room: &'a str, service: bool },
    Error { error: String },
}

/// A room without a link.
#[derive(Deserialize)]
struct Address<'a> {
    room: &'a str,
    key: KeyFrom,
}

/// What a wish comes to.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Made {
    Planned(Box<Planned>),
    Error(String),
}

/// What a key comes to.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Read {
    Words([&'static str; KEY_WORDS]),
    Error(String),
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// The frame is left as it is.
const AS_IT_IS: i32 = 0;
/// The frame is dropped.
const DROPPED: i32 = -1;
/// The random bytes before the link.
const SEED: usize = 32;

/// Room for `length` bytes of input; where it is, until the next call of anything.
#[allow(
    unsafe_code,
    reason = "a name without hash; no other function of the module has it"
)]
#[unsafe(no_mangle)]
extern "C" fn input(length: usize) -> *mut u8 {
    STATE.with_borrow_mut(|state| {
        state.input.clear();
        state.input.resize(length, 0);
        state.input.as_mut_ptr()
    })
}

/// Where output is, until the next call of anything.
#[allow(
    unsafe_code,
    reason = "a name without hash; no other function of the module has it"
)]
#[unsafe(no_mangle)]
extern "C" fn output() -> *const u8 {
    STATE.with_borrow(|state| state.output.as_ptr())
}

/// Begins a meeting with 32 random bytes and a link, which are wiped; gives the length of `{"room", "service"}` or
/// `{"error"}`.
#[allow(
    unsafe_code,
    reason = "a name without hash; no other function of the module has it"
)]
#[unsafe(no_mangle)]
extern "C" fn begin(unix: f64) -> usize {
    enter(|seed, link| {
        let start = Start {
            link,
            seed,
            unix: unix as u64,
        };
        Core::new(&start).map_err(|error| error.to_string())
    })
}

/// Begins a meeting without a link, with 32 random bytes and `{"room", "key"}`; gives what [`begin`] gives.
#[allow(
    unsafe_code,
    reason = "a name without hash; no other function of the module has it"
)]
#[unsafe(no_mangle)]
extern "C" fn visit() -> usize {
    enter(|seed, address| {
        let Address { room, key } = serde_json::from_str(address).map_err(|error| {
            format!("this meeting is of a kind that this page does not know: {error}")
        })?;
        Core::visit(&Visit { room, key, seed }).map_err(|error| error.to_string())
    })
}

/// Makes the core of what is in the input, which is wiped.
fn enter(make: impl FnOnce([u8; SEED], &str) -> Result<Core, String>) -> usize {
    STATE.with_borrow_mut(|state| {
        let begun = match (state.input.first_chunk(), state.input.get(SEED..)) {
            (Some(seed), Some(text)) => std::str::from_utf8(text)
                .map_err(|_| "the link is not text".to_owned())
                .and_then(|text| make(*seed, text)),
            _ => Err("no random bytes were given".to_owned()),
        };
        state.input.zeroize();
        match begun {
            Ok(core) => {
                let begun = Begun::Room {
                    room: core.room(),
                    service: core.asks_service(),
                };
                let length = write(&mut state.output, &begun);
                state.core = Some(core);
                length
            }
            Err(error) => write(&mut state.output, &Begun::Error { error }),
        }
    })
}

/// Plans a meeting with 32 random bytes and what is wanted, as JSON; gives the length of `{"planned"}` or `{"error"}`. All
/// of it is wiped by [`wipe`].
#[allow(
    unsafe_code,
    reason = "a name without hash; no other function of the module has it"
)]
#[unsafe(no_mangle)]
extern "C" fn plan(unix: f64) -> usize {
    STATE.with_borrow_mut(|state| {
        let made = match (state.input.first_chunk(), state.input.get(SEED..)) {
            (Some(seed), Some(wish)) => serde_json::from_slice(wish)
                .map_err(|error| error.to_string())
                .and_then(|wish| {
                    crate::plan::plan(&wish, *seed, unix as u64).map_err(|error| error.to_string())
                }),
            _ => Err("no random bytes were given".to_owned()),
        };
        state.input.zeroize();
        let made = match made {
            Ok(planned) => Made::Planned(Box::new(planned)),
            Err(error) => Made::Error(error),
        };
        write(&mut state.output, &made)
    })
}

/// The words of the key of a room box, which is in the input as JSON text; gives the length of `{"words"}` or `{"error"}`.
#[allow(
    unsafe_code,
    reason = "a name without hash; no other function of the module has it"
)]
#[unsafe(no_mangle)]
extern "C" fn words() -> usize {
    STATE.with_borrow_mut(|state| {
        let read = match serde_json::from_slice(&state.input) {
            Ok(key) => Read::Words(crate::rooms::words(&key)),
            Err(error) => Read::Error(format!("the key of a room is no key: {error}")),
        };
        write(&mut state.output, &read)
    })
}

/// Wipes what was put out.
#[allow(
    unsafe_code,
    reason = "a name without hash; no other function of the module has it"
)]
#[unsafe(no_mangle)]
extern "C" fn wipe() {
    STATE.with_borrow_mut(|state| state.output.zeroize());
}

/// Takes what is told in the input, which is wiped; gives the length of the answer, zero if it could not be read.
#[allow(
    unsafe_code,
    reason = "a name without hash; no other function of the module has it"
)]
#[unsafe(no_mangle)]
extern "C" fn handle(now: f64) -> usize {
    STATE.with_borrow_mut(|state| {
        let told = serde_json::from_slice(&state.input);
        state.input.zeroize();
        match (told, &mut state.core) {
            (Ok(told), Some(core)) => {
                let answer = core.handle(told, at(now));
                write(&mut state.output, &answer)
            }
            _ => 0,
        }
    })
}

/// How everything stands; gives the length of the view, zero before a meeting began.
#[allow(
    unsafe_code,
    reason = "a name without hash; no other function of the module has it"
)]
#[unsafe(no_mangle)]
extern "C" fn view(now: f64) -> usize {
    STATE.with_borrow_mut(|state| match &state.core {
        Some(core) => write(&mut state.output, &core.view(at(now))),
        None => 0,
    })
}

/// Decides about the frame in the input that wants to leave: −1 it does not, 0 as it is, else the length of the sealed
/// one in the output.
#[allow(
    unsafe_code,
    reason = "a name without hash; no other function of the module has it"
)]
#[unsafe(no_mangle)]
extern "C" fn seal(pipe: u32, kind: u32) -> i32 {
    STATE.with_borrow_mut(|state| {
        let (Some(core), Some(codec)) = (&mut state.core, codec(kind)) else {
            return DROPPED;
        };
        match core.seal(pipe, codec, &state.input, &mut state.output) {
            Left::Clear => AS_IT_IS,
            Left::Dropped => DROPPED,
            Left::Sealed(length) => size(length),
        }
    })
}

/// Decides about the frame in the input that came: −1 it is not played, 0 as it is, else the length of the opened one,
/// where the input began.
#[allow(
    unsafe_code,
    reason = "a name without hash; no other function of the module has it"
)]
#[unsafe(no_mangle)]
extern "C" fn open(pipe: u32, kind: u32, now: f64) -> i32 {
    STATE.with_borrow_mut(|state| {
        let (Some(core), Some(codec)) = (&mut state.core, codec(kind)) else {
            return DROPPED;
        };
        match core.open(pipe, codec, &mut state.input, at(now)) {
            Received::Clear => AS_IT_IS,
            Received::Dropped => DROPPED,
            Received::Opened(length) => size(length),
        }
    })
}

/// Where the frame of the last [`open`] is.
#[allow(
    unsafe_code,
    reason = "a name without hash; no other function of the module has it"
)]
#[unsafe(no_mangle)]
extern "C" fn opened() -> *const u8 {
    STATE.with_borrow(|state| state.input.as_ptr())
}

fn codec(kind: u32) -> Option<Codec> {
    match kind {
        0 => Some(Codec::Opus),
        1 => Some(Codec::Vp8),
        2 => Some(Codec::H264),
        _ => None,
    }
}

/// An empty frame that opened would look like one that is left as it is; nobody plays it.
fn size(length: usize) -> i32 {
    i32::try_from(length)
        .ok()
        .filter(|length| *length > 0)
        .unwrap_or(DROPPED)
}

/// A clock that runs backwards or says nothing stands still.
fn at(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1000.0).unwrap_or_default()
}

fn write(output: &mut Vec<u8>, value: &impl Serialize) -> usize {
    output.clear();
    serde_json::to_writer(&mut *output, value)
        .expect("what is written has text for keys, and a vector takes everything");
    output.len()
}
