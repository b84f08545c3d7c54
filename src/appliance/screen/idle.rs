// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between meetings: the name of the room, the time, how to begin a meeting, and where the page of the box is.

use super::drawing::{Drawing, Type, lines};
use super::looks::{AMBER, WARNING, WHITE, look};
use super::qr::Code;
use super::{DESIGN, Local};
use crate::status::{Enrolled, Status};

const BACKGROUND: &str = "#0f1419";
const DIM: &str = "#adb5bd";
const LEFT: u32 = 64;

pub(super) fn draw(status: &Status, local: &Local, code: Option<&Code>) -> Drawing {
    let mut drawing = Drawing::new(0, 0, DESIGN.width, DESIGN.height);
    drawing.shade(BACKGROUND, 1.0);
    let name = Type::plain(56, WHITE).bold();
    drawing.text(LEFT, 112, DESIGN.width - 2 * LEFT, name, &status.name);
    if matches!(status.shield.state.as_str(), "set-up" | "updating") {
        let look = look(&status.shield.state);
        drawing.sign(LEFT, 138, 32, look.sign);
        let said = match status.shield.reasons.first() {
            Some(reason) => format!("{}: {reason}", look.name),
            None => look.name.to_owned(),
        };
        drawing.text(
            LEFT + 44,
            164,
            1100,
            Type::plain(28, look.colour).bold(),
            &said,
        );
    }
    match (&status.enrolled, status.booked.is_empty()) {
        (None, _) => {
            clock(&mut drawing, local, 330, 180);
            hint(&mut drawing, local, 452, 4);
        }
        (Some(enrolled), true) => {
            clock(&mut drawing, local, 330, 180);
            hint(&mut drawing, local, 452, 2);
            place(&mut drawing, enrolled);
        }
        (Some(enrolled), false) => {
            clock(&mut drawing, local, 240, 90);
            hint(&mut drawing, local, 326, 3);
            invitations(&mut drawing, status, local);
            place(&mut drawing, enrolled);
        }
    }
    let mut y = 584;
    for text in warnings(status).iter().take(2) {
        drawing.sign(LEFT, y - 22, 26, WARNING);
        drawing.text(LEFT + 40, y, 780, Type::plain(20, AMBER), text);
        y += 34;
    }
    if let Some(code) = &status.pairing_code {
        let text = format!("Pairing code for a device: {code}");
        drawing.text(LEFT, 624, 1150, Type::plain(26, WHITE).bold(), &text);
    }
    let page = match (&status.network_page, &status.page) {
        // The other one is for who has a keyboard at the box.
        (Some(page), _) => format!("Page of this box: {}", page.address),
        (None, Some(address)) => format!("Page of this box: {address}"),
        (None, None) => "This box has no page.".to_owned(),
    };
    drawing.text(LEFT, 656, 1150, Type::plain(26, DIM), &page);
    if let Some(page) = &status.network_page {
        // Too long for one line that is read from some steps away.
        let (first, second) = halves(&page.certificate);
        let small = Type::plain(19, DIM);
        let first = format!("SHA-256 of its certificate: {first}");
        drawing.text(LEFT, 684, 1150, small, &first);
        drawing.text(LEFT, 708, 1150, small, second);
    }
    if let Some(code) = code {
        let side = 340;
        drawing.rect(876, 190, side, side, 12, "#ffffff");
        let scale = f64::from(side) / code.width as f64;
        drawing.path(876, 190, scale, code.path(), "#000000");
        drawing.text(
            876,
            566,
            side,
            Type::plain(20, DIM),
            "Open the page of this box",
        );
    }
    drawing
}

/// Time and day, the time on this line and so large.
fn clock(drawing: &mut Drawing, local: &Local, y: u32, size: u32) {
    let inset = size / 22;
    drawing.text(LEFT - inset, y, 780, Type::plain(size, WHITE), &local.time);
    let day = y + size / 6 + 24;
    drawing.text(LEFT, day, 780, Type::plain(32, DIM), &local.day);
}

/// What there is to do, from this line on, in so many lines at most.
fn hint(drawing: &mut Drawing, local: &Local, y: u32, most: usize) {
    let look = Type::plain(28, WHITE);
    let lines = lines(&local.hint, look.letters(780));
    for (line, y) in lines.iter().take(most).zip((y..).step_by(36)) {
        drawing.text(LEFT, y, 800, look, line);
    }
}

/// The next meetings that the box is booked for.
fn invitations(drawing: &mut Drawing, status: &Status, local: &Local) {
    for (booked, y) in status.booked.iter().take(2).zip([446, 482]) {
        let text = format!(
            "{}  {}, by {}",
            booked.when(local.now),
            booked.title,
            booked.organiser
        );
        drawing.text(LEFT, y, 790, Type::plain(24, WHITE), &text);
    }
    if let Some(more) = status.booked.len().checked_sub(2).filter(|more| *more > 0) {
        let text = format!("and {more} more");
        drawing.text(LEFT + 680, 516, 130, Type::plain(18, DIM), &text);
    }
}

/// Where the box is booked, and what somebody compares who books it for the first time.
fn place(drawing: &mut Drawing, enrolled: &Enrolled) {
    let small = Type::plain(18, DIM);
    let says = format!("Invitations are by name as {} says.", enrolled.hub);
    drawing.text(LEFT, 516, 660, small, &says);
    let words = format!("Words of this room's key: {}", enrolled.words);
    drawing.text(LEFT, 544, 800, small, &words);
}

/// A fingerprint (`AB:CD:…`) in two.
fn halves(fingerprint: &str) -> (&str, &str) {
    let middle = fingerprint
        .char_indices()
        .nth(fingerprint.chars().count() / 2);
    middle.map_or((fingerprint, ""), |(at, _)| fingerprint.split_at(at))
}

fn warnings(status: &Status) -> Vec<String> {
    let lan = status
        .insecure_lan
        .then(|| "signalling is NOT PROTECTED on the network".to_owned());
    let bookings = status.enrolled.as_ref();
    let bookings = bookings
        .filter(|enrolled| enrolled.insecure_lan)
        .map(|_| "bookings are NOT PROTECTED on the network".to_owned());
    let troubles = status.troubles.iter();
    lan.into_iter()
        .chain(bookings)
        .chain(troubles.map(|trouble| format!("{}: {}", trouble.about, trouble.text)))
        .collect()
}
