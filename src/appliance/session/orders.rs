// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people ask for, carried out: inside a room by its session, outside by [`outside`].

use std::time::Instant;

use roomseal_e2ee::FrameKey;
use roomseal_media::call;
use roomseal_media::transport::MediaKind;
use roomseal_meeting::call::Event as MeetingEvent;
use roomseal_meeting::{Action, Announcement, By as Presser};
use roomseal_service::livekit::TokenSource;

use super::lamp;
use super::mute::{self, By};
use super::{BEAT, Pulses, Session, Setup};
use crate::control::{Command, Medium, Order, Orders, Origin, Reply, Switch};
use crate::status::{Connection, Publisher, Shield};
use crate::supervise::Stop;

/// Where the box goes after an order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Outside,
    /// Into this room.
    Elsewhere(String),
}

impl Session<'_> {
    /// Carries out `order` and answers it.
    pub(super) fn order(&mut self, order: Order) -> Next {
        let origin = order.origin;
        let (reply, next) = match order.command.clone() {
            Command::Chat(line) => (self.chat(&line), Next::Stay),
            Command::E2ee { on: true } => (self.turn_on(origin), Next::Stay),
            // Off is never one press: asked for in words, it is as long a thought as the hold of a button.
            Command::E2ee { on: false } | Command::Hold => (
                self.press(MeetingEvent::Hold(presser(origin)), "off is announced"),
                Next::Stay,
            ),
            Command::Press => (
                self.press(MeetingEvent::Press(presser(origin)), "pressed"),
                Next::Stay,
            ),
            Command::Join { room } => self.join(room.as_deref(), origin),
            Command::Key(key) => (self.key(key, origin), Next::Stay),
            Command::Leave => {
                let reason = format!("asked to, {}", origin.words());
                self.status.happened(&format!("left {}", origin.words()));
                self.out(&reason);
                let done = "left; `roomseal join` or the page bring the box back";
                (Reply::Done(done.to_owned()), Next::Outside)
            }
            Command::Mute { what, to } => (self.mute(what, to, origin), Next::Stay),
        };
        if let Reply::Denied(why) = &reply {
            self.denied = Some(Instant::now());
            let text = format!("refused {}: {why}", origin.words());
            self.status.happened(&text);
        }
        order.answer(reply);
        next
    }

    fn join(&self, room: Option<&str>, origin: Origin) -> (Reply, Next) {
        let here = self.status.watch().borrow().room.clone();
        match room {
            Some(room) if room != here => {
                if let Some(refused) = only_room(self.setup, &here) {
                    return (refused, Next::Stay);
                }
                self.status
                    .happened(&format!("left for {room} {}", origin.words()));
                self.out("on the way to another room");
                (
                    Reply::Done(format!("leaving {here} for {room}")),
                    Next::Elsewhere(room.to_owned()),
                )
            }
            _ => {
                let text = format!("the box is already in {here}, or on its way there");
                (Reply::NotNow(text), Next::Stay)
            }
        }
    }

    /// Seals and opens with `key` from the next frame on: nobody has to leave for it.
    fn key(&mut self, key: FrameKey, origin: Origin) -> Reply {
        if self.setup.meeting.is_some() {
            return Reply::NotNow(
                "this is a Roomseal meeting: its keys come from its link; start the box with the right link".into(),
            );
        }
        let keys = &mut self.setup.e2ee.keys;
        keys.shared = Some(key);
        if let Some(own) = keys.of(&self.setup.identity).cloned() {
            self.call.command(call::Command::SendKey(keys.index, own));
            self.own_key();
        }
        for (sid, identity) in self.room.keyed_by_app() {
            self.call.command(call::Command::Keys {
                sid,
                keys: self.setup.e2ee.keys.ring(&identity),
            });
        }
        self.status.happened(&format!("new key {}", origin.words()));
        Reply::Done(
            "the key is in use; the shield says whether it opens what the others send".into(),
        )
    }

    fn turn_on(&mut self, origin: Origin) -> Reply {
        let now = self.now();
        let is_ending = self
            .room
            .encryption(false, now)
            .is_some_and(|encryption| encryption.ending.is_some());
        // While it is about to go off, a press keeps it on.
        if self.room.is_on() && !is_ending {
            return Reply::Done("encryption is on already".into());
        }
        self.press(MeetingEvent::Press(presser(origin)), "encryption goes on")
    }

    /// The button, wherever it was pressed.
    fn press(&mut self, event: MeetingEvent, done: &str) -> Reply {
        if self.setup.meeting.is_none() {
            return Reply::NotNow(
                "in a foreign room this box decides for itself alone, by [e2ee] required: only a Roomseal meeting has \
                 a host (`roomseal new-meeting`)"
                    .into(),
            );
        }
        let now = self.now();
        let actions = self.room.handle(event, now);
        let denied = actions.iter().find_map(|action| match action {
            Action::Announce(Announcement::Denied(why)) => Some(why.text()),
            _ => None,
        });
        self.act(actions);
        match denied {
            Some(why) => Reply::Denied(why.into()),
            None => Reply::Done(done.into()),
        }
    }

    fn mute(&mut self, what: Medium, to: Switch, origin: Origin) -> Reply {
        let before = self.setup.muted;
        let reply = turn(self.setup, &self.status, what, to, origin);
        if self.setup.muted != before {
            self.silence(mute::kind(what));
        }
        reply
    }

    /// The service asks for it, on behalf of somebody in the room.
    pub(super) fn muted_by_service(&mut self, sid: &str, muted: bool) {
        let Some(kind) = self.publishing.kind_of(sid) else {
            return;
        };
        let to = if muted { Switch::On } else { Switch::Off };
        let what = mute::medium(kind);
        match self.setup.muted.turn(what, to, By::Service) {
            Ok(_) => {
                let done = if muted { "muted" } else { "opened" };
                let text = format!("{} {done} by the meeting service", what.word());
                self.status.happened(&text);
            }
            Err(why) => {
                let text = format!("the service may not open the {}: {why}", what.word());
                self.status.happened(&text);
            }
        }
        // Also when it was refused: the service is to show what is.
        self.silence(kind);
    }

    /// Makes media and service follow the switch, on every track that has it.
    fn silence(&self, kind: MediaKind) {
        let muted = self.setup.muted.is_muted(kind);
        self.call.command(call::Command::Mute { kind, muted });
        for sid in self.publishing.sids(kind) {
            self.handle.mute(sid, muted);
        }
    }
}

/// Who presses, for the rules of the meeting: only who stands at the box is a person at the box.
fn presser(origin: Origin) -> Presser {
    match origin {
        Origin::Box => Presser::Box,
        Origin::CommandLine | Origin::LocalPage | Origin::Paired => Presser::NetworkPaired,
    }
}

/// Waits outside until somebody asks for a room; `false` when the process stops.
pub(super) async fn outside(
    setup: &mut Setup,
    orders: &mut Orders,
    status: &Publisher,
    stop: &Stop,
    pulses: &Pulses,
) -> bool {
    let mut beat = tokio::time::interval(BEAT);
    loop {
        let order = tokio::select! {
            () = stop.asked() => return false,
            _ = beat.tick() => {
                status.judged(Shield::outside());
                pulses.media.beat();
                pulses.signalling.beat();
                lamp::renew_outside(setup, status);
                continue;
            }
            Some(order) = orders.next() => order,
        };
        let origin = order.origin;
        let reply = match order.command.clone() {
            Command::Join { room } => {
                let here = status.watch().borrow().room.clone();
                let room = room.unwrap_or_else(|| here.clone());
                match only_room(setup, &here).filter(|_| room != here) {
                    Some(refused) => refused,
                    None => {
                        enter(setup, status, &room);
                        status.happened(&format!("on the way to {room} {}", origin.words()));
                        order.answer(Reply::Done(format!("joining {room}")));
                        return true;
                    }
                }
            }
            Command::Key(key) => {
                setup.e2ee.keys.shared = Some(key);
                status.happened(&format!("new key {}", origin.words()));
                Reply::Done("the key is kept for the next meeting".to_owned())
            }
            Command::Chat(_)
            | Command::E2ee { .. }
            | Command::Hold
            | Command::Leave
            | Command::Press => {
                Reply::NotNow("the box is in no meeting; `roomseal join` enters one".to_owned())
            }
            Command::Mute { what, to } => turn(setup, status, what, to, origin),
        };
        if let Reply::Denied(why) = &reply {
            status.happened(&format!("refused {}: {why}", origin.words()));
        }
        order.answer(reply);
    }
}

/// The next membership is one of `room`.
pub(super) fn enter(setup: &mut Setup, status: &Publisher, room: &str) {
    if let TokenSource::Minted(mint) = &mut setup.service.tokens {
        room.clone_into(&mut mint.room);
    }
    status.update(|status| {
        room.clone_into(&mut status.room);
        status.connection = Connection::Starting;
    });
}

/// Why no other room than `here` can be entered, if so.
fn only_room(setup: &Setup, here: &str) -> Option<Reply> {
    matches!(setup.service.tokens, TokenSource::Given(_)).then(|| {
        Reply::NotNow(format!(
            "this box has a token for {here} and no other room; give it an api-key in [service], or start it with a \
             token for that room"
        ))
    })
}

/// Turns a mute switch and says so; whoever captures has to follow it.
fn turn(setup: &mut Setup, status: &Publisher, what: Medium, to: Switch, origin: Origin) -> Reply {
    let word = what.word();
    match setup.muted.turn(what, to, By::Person(origin)) {
        Ok(muted) => {
            let done = if muted { "muted" } else { "open" };
            status.happened(&format!("{word} {done}, {}", origin.words()));
            Reply::Done(format!("the {word} is {done}"))
        }
        Err(why) => Reply::Denied(format!("the {word} stays muted: {why}")),
    }
}
