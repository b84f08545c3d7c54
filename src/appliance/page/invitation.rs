// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest link as a code for cameras. It carries the meeting's secret, so only a person at the box has it shown.

use qrcode::{Color, EcLevel, QrCode};
use roomseal_policy::Link;
use serde::Serialize;

/// What is drawn: rows of `1` for dark and `0` for light, without a margin; and the part of the link that is no secret.
#[derive(Serialize)]
pub(super) struct Drawn {
    rows: Vec<String>,
    address: String,
}

/// Draws `link` as guests get it; `None` when it is longer than such a code can be.
pub(super) fn draw(link: &Link) -> Option<Drawn> {
    let link = link.for_guests();
    let code = QrCode::with_error_correction_level(link.expose().as_bytes(), EcLevel::M).ok()?;
    let rows = code
        .to_colors()
        .chunks(code.width())
        .map(|row| {
            let dark = |color: &Color| if *color == Color::Dark { '1' } else { '0' };
            row.iter().map(dark).collect()
        })
        .collect();
    Some(Drawn {
        rows,
        address: link.address(),
    })
}
