// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people ask for, carried out: inside a room. What is done outside stands in [`outside`](super::outside).

use std::time::Instant;

use roomseal_media::call;
use roomseal_media::transport::MediaKind;
use roomseal_meeting::call::Event as MeetingEvent;
use roomseal_meeting::{Action, Announcement, By as Presser};
use roomseal_policy::Link;

use super::mute::{self, By};
use super::{Session, Setup, place, update};
use crate::control::{Command, Destination, Medium, Order, Origin, Reply, SpokenSecret, Switch};
use crate::status::Publisher;

/// Where the box goes after an order.
#[derive(Debug)]
pub(super) enum Next {
    Stay,
    Outside,
    /// There.
    Elsewhere(Destination),
}

impl Session<'_> {
    /// Carries out `order` and answers it.
    pub(super) fn order(&mut self, order: Order) -> Next {
        let origin = order.origin;
        let (reply, next) = match order.command.clone() {
            Command::Key(key) => {
                self.enter(key, order);
                return Next::Stay;
            }
            Command::Booked { room } => self.booked(room.as_deref(), origin),
            Command::Chat(line) => (self.chat(&line), Next::Stay),
            Command::E2ee { on: true } => (self.turn_on(origin), Next::Stay),
            // Off is never one press: asked for in words, it is as long a thought as the hold of a button.
            Command::E2ee { on: false } | Command::Hold => (
                self.press(
                    MeetingEvent::Hold(presser(origin)),
                    "off is announced",
                    origin,
                ),
                Next::Stay,
            ),
            Command::Press => (
                self.press(MeetingEvent::Press(presser(origin)), "pressed", origin),
                Next::Stay,
            ),
            Command::End => {
                self.end(order);
                return Next::Stay;
            }
            Command::Invitation { shown } => (self.invite(shown, origin), Next::Stay),
            Command::GuestLink => (self.guest_link(origin), Next::Stay),
            Command::Join { to } => self.join(to, origin),
            Command::Leave => {
                let reason = format!("asked to, {}", origin.words());
                self.status.happened(&format!("left {}", origin.words()));
                self.out(&reason);
                let done = "left; `roomseal join` or the page bring the box back";
                (Reply::Done(done.to_owned()), Next::Outside)
            }
            Command::Start | Command::Scan => {
                let here = self.status.watch().borrow().room.clone();
                let text = format!("the box is in {here}: leave it first (`roomseal leave`)");
                (Reply::NotNow(text), Next::Stay)
            }
            Command::Mute { what, to } => (self.mute(what, to, origin), Next::Stay),
            Command::SetUp(_) => (place::is_set_up(), Next::Stay),
            Command::Update => (Reply::NotNow(update::IN_A_MEETING.into()), Next::Stay),
        };
        if let Reply::Denied(why) = &reply {
            self.denied = Some((Instant::now(), why.clone()));
            let text = format!("refused {}: {why}", origin.words());
            self.status.happened(&text);
        }
        order.answer(reply);
        next
    }

    fn join(&self, to: Option<Destination>, origin: Origin) -> (Reply, Next) {
        let here = self.status.watch().borrow().room.clone();
        let Some(to) = to.filter(|to| !self.is_here(to, &here)) else {
            let text = format!("the box is already in {here}, or on its way there");
            return (Reply::NotNow(text), Next::Stay);
        };
        if let Some(refused) = place::out_of_reach(self.setup, &to) {
            return (refused, Next::Stay);
        }
        let room = to.room();
        self.status
            .happened(&format!("left for {room} {}", origin.words()));
        self.out("on the way to another room");
        (
            Reply::Done(format!("leaving {here} for {room}")),
            Next::Elsewhere(to),
        )
    }

    /// Somebody wants the box in the meeting that it is booked for; by itself it leaves none for that.
    fn booked(&self, room: Option<&str>, origin: Origin) -> (Reply, Next) {
        let here = self.status.watch().borrow().room.clone();
        match place::booked(self.setup, room, Some(&here)) {
            Ok((to, _)) => self.join(Some(to), origin),
            Err(refused) => (refused, Next::Stay),
        }
    }

    /// Whether `to` is where the box is; another meeting may have the same room.
    fn is_here(&self, to: &Destination, here: &str) -> bool {
        let same = match (to, &self.setup.meeting) {
            (Destination::Room(_), None) | (Destination::Code(_), Some(_)) => true,
            (Destination::Link(link), Some(meeting)) => {
                let own = meeting.link.as_ref().map(Link::host_check);
                own == Some(link.host_check())
            }
            _ => false,
        };
        same && to.room() == here
    }

    /// Ends the meeting for everybody; the service's word that it has ended takes this box out, too.
    fn end(&self, order: Order) {
        let refused = if order.origin == Origin::Paired {
            Some(Reply::Denied(
                "this is for a host who is signed in, or for somebody at the box".to_owned(),
            ))
        } else if !self.decides_its_end() {
            Some(Reply::Denied(
                "only a host ends the meeting for everybody; `roomseal leave` leaves it".to_owned(),
            ))
        } else {
            None
        };
        if let Some(refused) = refused {
            order.answer(refused);
            return;
        }
        let Some(admin) = self.talk.admin() else {
            order.answer(Reply::NotNow(
                "this box has a token that may not end meetings: leave it, or give the box an api-key in [service]"
                    .to_owned(),
            ));
            return;
        };
        self.status
            .happened(&format!("ended for everybody {}", order.origin.words()));
        tokio::spawn(async move {
            let reply = match admin.end_room().await {
                Ok(()) => Reply::Done("the meeting is over for everybody".to_owned()),
                Err(error) => Reply::NotNow(format!("the service did not end it: {error}")),
            };
            order.answer(reply);
        });
    }

    /// The link for guests, for who has a shell on this box: it has the key in it.
    fn guest_link(&self, origin: Origin) -> Reply {
        if origin != Origin::CommandLine {
            return Reply::Denied("the link has the key in it: it is given out at the box".into());
        }
        let link = self.setup.meeting.as_ref().map(|meeting| &meeting.link);
        match link {
            Some(Some(link)) => Reply::Link(SpokenSecret::link(link)),
            Some(None) => Reply::NotNow(
                "this box came with the room code and has no link: ask a host for one".into(),
            ),
            None => Reply::NotNow(
                "this is a foreign room, which has no link: `roomseal invite` writes an invitation"
                    .into(),
            ),
        }
    }

    fn turn_on(&mut self, origin: Origin) -> Reply {
        let is_ending = self.room.countdown(self.now()).is_some();
        // While it is about to go off, a press keeps it on.
        if self.room.is_on() && !is_ending {
            return Reply::Done("encryption is on already".into());
        }
        let done = match is_ending {
            true => "encryption stays on",
            false => "encryption goes on",
        };
        self.press(MeetingEvent::Press(presser(origin)), done, origin)
    }

    /// The button, wherever it was pressed.
    fn press(&mut self, event: MeetingEvent, done: &str, origin: Origin) -> Reply {
        let now = self.now();
        let actions = self.room.handle(event, now);
        let denied = actions.iter().find_map(|action| match action {
            Action::Announce(Announcement::Denied(why)) => Some(why.text()),
            _ => None,
        });
        self.act(actions);
        match denied {
            Some(why) => Reply::Denied(why.into()),
            None => {
                // Everybody in the room has seen who pressed the button, and nobody who pressed elsewhere.
                if origin != Origin::Box {
                    self.status.happened(&format!("{done}, {}", origin.words()));
                }
                Reply::Done(done.into())
            }
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
        Origin::Host => Presser::NetworkHost,
        Origin::CommandLine | Origin::LocalPage | Origin::Paired => Presser::NetworkPaired,
    }
}

/// Turns a mute switch and says so; whoever captures has to follow it.
pub(super) fn turn(
    setup: &mut Setup,
    status: &Publisher,
    what: Medium,
    to: Switch,
    origin: Origin,
) -> Reply {
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
