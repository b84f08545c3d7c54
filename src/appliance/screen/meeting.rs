// SPDX-License-Identifier: MIT OR Apache-2.0
//! In a meeting: the shield and what it rests on, over the pictures of the others.

use roomseal_meeting::Shield;

use super::drawing::{Anchor, Drawing, Type, lines};
use super::looks::{AMBER, KEY_SIGN, WHITE, look};
use super::qr::Code;
use super::{DESIGN, HEADER};
use crate::status::{Connection, Status};

const BACKGROUND: &str = "#0f1419";
const DIM: &str = "#ced4da";
const MOST_REASONS: usize = 4;
/// Height of one reason.
const LINE: u32 = 32;

pub(super) fn draw(status: &Status) -> Vec<Drawing> {
    let mut drawings = vec![header(status)];
    drawings.extend(reasons(status));
    drawings.extend(key(status));
    drawings.extend(countdown(status));
    drawings
}

/// The bar at the top: the shield in words, shape and colour; the meeting; who holds its keys.
fn header(status: &Status) -> Drawing {
    let look = look(&status.shield.state);
    let mut bar = Drawing::new(0, 0, DESIGN.width, HEADER);
    bar.shade(BACKGROUND, 1.0);
    bar.sign(14, 8, 40, look.sign);
    let large = Type::plain(28, look.colour).bold();
    bar.text(70, 38, 520, large, name(status, look.name));
    let right = Type::plain(20, WHITE).anchored(Anchor::End);
    bar.text(DESIGN.width - 16, 24, 560, right, &status.room);
    let small = Type::plain(14, DIM).anchored(Anchor::End);
    bar.text(DESIGN.width - 16, 46, 640, small, &status.key_model);
    bar
}

/// What the shield is called; in the room it is not the line that is missing.
fn name(status: &Status, usual: &'static str) -> &'static str {
    let waits = status.shield.state == Shield::Connecting.word();
    match (
        waits && status.connection == Connection::Joined,
        &status.asks,
    ) {
        (true, Some(_)) => "Waiting for a key",
        (true, None) => "Waiting for the host",
        (false, _) => usual,
    }
}

/// Who is not sealed, and what else the shield rests on.
fn reasons(status: &Status) -> Option<Drawing> {
    let mut said: Vec<String> = Vec::new();
    if status.insecure_lan {
        said.push("signalling is NOT PROTECTED on the network".to_owned());
    }
    if let Some(code) = &status.pairing_code {
        said.push(format!("pairing code for a device: {code}"));
    }
    said.extend(status.shield.reasons.iter().cloned());
    if said.is_empty() {
        return None;
    }
    if said.len() > MOST_REASONS {
        let more = said.len() - (MOST_REASONS - 1);
        said.truncate(MOST_REASONS - 1);
        said.push(format!("and {more} more"));
    }
    let height = u32::try_from(said.len()).unwrap_or(1) * LINE + 12;
    let mut card = Drawing::new(0, HEADER, DESIGN.width, height);
    card.shade(BACKGROUND, 0.82);
    for (text, y) in said.iter().zip((LINE..).step_by(LINE as usize)) {
        card.text(24, y, 1232, Type::plain(20, WHITE), text);
    }
    Some(card)
}

/// What has to be entered.
fn key(status: &Status) -> Option<Drawing> {
    let ask = status.asks.as_ref()?;
    let mut card = Drawing::new(240, 400, 800, 260);
    card.shade(BACKGROUND, 0.94);
    card.sign(32, 28, 52, KEY_SIGN);
    card.text(112, 66, 660, Type::plain(32, AMBER).bold(), "Key needed");
    let text = Type::plain(22, WHITE);
    let said = lines(&ask.text, text.letters(740));
    for (line, y) in said.iter().take(3).zip((116..).step_by(32)) {
        card.text(32, y, 760, text, line);
    }
    // What was held to the camera and did not help.
    if let Some(trouble) = status.troubles.iter().find(|it| it.about == "code") {
        let small = Type::plain(18, AMBER);
        let said = lines(&trouble.text, small.letters(740));
        for (line, y) in said.iter().take(2).zip((216..).step_by(26)) {
            card.text(32, y, 760, small, line);
        }
    }
    Some(card)
}

/// That encryption is about to go off.
fn countdown(status: &Status) -> Option<Drawing> {
    let ending = status.ending.as_ref()?;
    let mut card = Drawing::new(0, 280, DESIGN.width, 132);
    card.shade("#ffc94d", 1.0);
    card.rect(0, 0, DESIGN.width, 8, 0, "#0f1419");
    card.rect(0, 124, DESIGN.width, 8, 0, "#0f1419");
    let middle = DESIGN.width / 2;
    let large = Type::plain(48, "#0f1419").bold().anchored(Anchor::Middle);
    let text = format!("E2EE off in {} s: {}", ending.seconds, ending.by);
    card.text(middle, 70, 1200, large, &text);
    let small = Type::plain(22, "#0f1419").anchored(Anchor::Middle);
    card.text(middle, 106, 1200, small, "Any host's press keeps it on.");
    Some(card)
}

/// How somebody in the room joins with a device of his own.
pub(super) fn invitation(status: &Status, code: &Code) -> Drawing {
    let mut card = Drawing::new(796, 76, 464, 600);
    card.shade("#ffffff", 1.0);
    let scale = 464.0 / code.width as f64;
    card.path(0, 0, scale, code.path(), "#000000");
    let middle = |look: Type| look.anchored(Anchor::Middle);
    card.text(
        232,
        500,
        440,
        middle(Type::plain(34, "#000000").bold()),
        &status.room,
    );
    let small = middle(Type::plain(18, "#343a40"));
    card.text(232, 540, 450, small, "Scan this code to join.");
    card.text(232, 568, 450, small, "Who has it can see and hear all.");
    card
}
