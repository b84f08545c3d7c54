// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between meetings: devices are closed, and the box waits for somebody who wants one.

use std::time::Duration;

use roomseal_media::capture::SeenCode;
use roomseal_media::transport::MediaKind;
use roomseal_policy::Link;

use super::draw::IdleScreen;
use super::key::Plan;
use super::orders::turn;
use super::scan::Scan;
use super::{Pulses, Setup, draw, lamp, place, update};
use crate::control::{Command, Destination, Key, Order, Orders, Origin, Reply};
use crate::status::{Connection, Publisher};
use crate::supervise::Stop;

/// Lamp and screen are renewed so often; what is not, is dark after one and a half seconds.
pub(super) const BEAT: Duration = Duration::from_millis(500);

/// What there is to do where nothing can be done yet.
const NO_MEETING: &str =
    "the box is in no meeting; `roomseal start` makes one, `roomseal join` enters one";

/// Waits until somebody asks for a meeting; `false` when the process stops.
pub(super) async fn outside(
    setup: &mut Setup,
    orders: &mut Orders,
    status: &Publisher,
    stop: &Stop,
    pulses: &Pulses,
) -> bool {
    let mut beat = tokio::time::interval(BEAT);
    status.update(|status| {
        if status.connection == Connection::Starting {
            let reason = "no meeting yet".to_owned();
            status.connection = Connection::Left { reason };
        }
    });
    let screen = IdleScreen::open(&setup.call.present, status).await;
    let (mut scan, mut codes) = Scan::new();
    let goes_in = loop {
        tokio::select! {
            () = stop.asked() => break false,
            _ = beat.tick() => {
                let shield = status.watch().borrow().outside();
                pulses.media.beat();
                pulses.signalling.beat();
                let muted = setup.muted.is_muted(MediaKind::Audio);
                lamp::renew_outside(&mut setup.lamp, status, &shield, muted);
                status.judged(shield);
                scan.tick().await;
                let press = draw::press(setup, status);
                status.update(|status| status.press = press);
                let hint = hint(setup, status, &scan);
                screen.draw(&mut setup.screen, status, &hint);
            }
            Some(code) = codes.recv() => {
                if scan.is_open() && seen(setup, status, &code) {
                    break true;
                }
            }
            Some(order) = orders.next() => {
                if obey(setup, status, order, &mut scan).await {
                    break true;
                }
            }
        }
    };
    status.update(|status| status.press.clear());
    scan.end().await;
    screen.close().await;
    goes_in
}

/// What the screen says that there is to do.
fn hint(setup: &Setup, status: &Publisher, scan: &Scan) -> String {
    if status.watch().borrow().updating.is_some() {
        "Meetings begin again when the update is installed. Do not unplug this box.".to_owned()
    } else if scan.is_open() {
        "Hold the code of the meeting to the camera.".to_owned()
    } else {
        draw::hint(setup, status)
    }
}

/// Carries out `order`; whether the box goes into a meeting now.
async fn obey(setup: &mut Setup, status: &Publisher, order: Order, scan: &mut Scan) -> bool {
    let origin = order.origin;
    if matches!(order.command, Command::Update) {
        update::begin(order, status);
        return false;
    }
    let reply = match order.command.clone() {
        Command::Join { to } => match join(setup, status, to) {
            Ok(room) => {
                status.happened(&format!("on the way to {room} {}", origin.words()));
                order.answer(Reply::Done(format!("joining {room}")));
                return true;
            }
            Err(refused) => refused,
        },
        Command::Booked { room } => match booked(setup, status, room.as_deref(), origin) {
            Ok(begun) => {
                order.answer(begun);
                return true;
            }
            Err(refused) => refused,
        },
        Command::Start => match start(setup, status, origin) {
            Ok(begun) => {
                order.answer(begun);
                return true;
            }
            Err(refused) => refused,
        },
        Command::Press if origin == Origin::Box && setup.meetings.button_starts => {
            match press(setup, status, origin) {
                Ok(begun) => {
                    order.answer(begun);
                    return true;
                }
                Err(refused) => refused,
            }
        }
        Command::Key(key) => match keep(setup, key).await {
            Ok(()) => {
                status.happened(&format!("new key {}", origin.words()));
                Reply::Done("the key is kept for the next meeting".to_owned())
            }
            Err(refused) => refused,
        },
        Command::Scan => scan.begin(setup).await,
        Command::Chat(_)
        | Command::E2ee { .. }
        | Command::End
        | Command::GuestLink
        | Command::Hold
        | Command::Invitation { .. }
        | Command::Leave
        | Command::Press
        | Command::Update => Reply::NotNow(NO_MEETING.to_owned()),
        Command::Mute { what, to } => turn(setup, status, what, to, origin),
        Command::SetUp(_) => place::is_set_up(),
    };
    if let Reply::Denied(why) = &reply {
        status.happened(&format!("refused {}: {why}", origin.words()));
    }
    order.answer(reply);
    false
}

/// A code was held to the camera; whether the box goes into its meeting now.
fn seen(setup: &mut Setup, status: &Publisher, code: &SeenCode) -> bool {
    let to = match Link::parse(code.expose()) {
        Ok(link) => Some(Destination::Link(Box::new(link))),
        Err(error) => {
            let text = format!("the code at the camera is of no use: {error}");
            status.trouble("code", Some(text));
            return false;
        }
    };
    match join(setup, status, to) {
        Ok(room) => {
            status.trouble("code", None);
            status.happened(&format!("on the way to {room} by a code at the camera"));
            true
        }
        Err(refused) => {
            status.trouble("code", Some(refused.text().to_owned()));
            false
        }
    }
}

/// Prepares to enter; gives the room.
fn join(setup: &mut Setup, status: &Publisher, to: Option<Destination>) -> Result<String, Reply> {
    if let Some(refused) = update::refusal(status) {
        return Err(refused);
    }
    match to {
        Some(to) => {
            if let Some(refused) = place::out_of_reach(setup, &to) {
                return Err(refused);
            }
            place::go(setup, status, to);
        }
        None if status.watch().borrow().room.is_empty() => {
            return Err(Reply::NotNow(
                "the box has been in no room yet: name one, or make one with `roomseal start`"
                    .to_owned(),
            ));
        }
        None => place::back(setup, status),
    }
    Ok(status.watch().borrow().room.clone())
}

/// Prepares what the button does: to enter the meeting that the box is booked for about now, else one that is made here.
/// Whoever presses hears no answer, so a refusal is shown.
fn press(setup: &mut Setup, status: &Publisher, origin: Origin) -> Result<Reply, Reply> {
    let (begun, about) = match setup.bookings.by_press() {
        Some(next) => (
            booked(setup, status, Some(&next.shown.room), origin),
            "booked meeting",
        ),
        None => (start(setup, status, origin), "new meeting"),
    };
    match &begun {
        // Whoever began a meeting wants somebody to come.
        Ok(_) if about == "new meeting" => setup.invitation.show(),
        Ok(_) => {}
        Err(refused) => status.trouble(about, Some(refused.text().to_owned())),
    }
    begun
}

/// Prepares to enter a meeting that the box is booked for.
fn booked(
    setup: &mut Setup,
    status: &Publisher,
    room: Option<&str>,
    origin: Origin,
) -> Result<Reply, Reply> {
    let (to, called) = place::booked(setup, room, None)?;
    let room = join(setup, status, Some(to))?;
    status.trouble("booked meeting", None);
    status.happened(&format!(
        "on the way to {room}, {called}, {}",
        origin.words()
    ));
    Ok(Reply::Done(format!("joining {room}: {called}")))
}

/// Prepares to enter a meeting that is made here.
fn start(setup: &mut Setup, status: &Publisher, origin: Origin) -> Result<Reply, Reply> {
    if let Some(refused) = update::refusal(status) {
        return Err(refused);
    }
    let to = place::new(setup)?;
    let room = to.room().to_owned();
    place::go(setup, status, to);
    status.trouble("new meeting", None);
    status.happened(&format!("new meeting {room}, {}", origin.words()));
    Ok(Reply::Done(format!(
        "new meeting {room}; `roomseal link` writes the link for guests"
    )))
}

/// Keeps a key for the meeting that comes next.
async fn keep(setup: &mut Setup, key: Key) -> Result<(), Reply> {
    let made = match Plan::of(setup, key)? {
        Plan::Now(made) => made,
        Plan::Work(work) => tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| Reply::NotNow("the box is stopping; start it again".to_owned()))?,
    };
    made.keep(setup);
    Ok(())
}
