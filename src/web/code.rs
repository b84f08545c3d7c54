// SPDX-License-Identifier: MIT OR Apache-2.0
//! A text as a code for a camera.

use std::fmt;

use qrcode::{Color, EcLevel, QrCode};
use serde::Serialize;
use zeroize::Zeroizing;

/// The light margin that a camera wants, in modules (ISO/IEC 18004).
const MARGIN: usize = 4;

/// A code, as a path of SVG.
#[derive(Serialize)]
pub struct Drawn {
    /// Width and height, with the margin, in modules.
    pub size: usize,
    /// The dark modules; as secret as what the code says.
    #[serde(serialize_with = "crate::plan::exposed")]
    pub path: Zeroizing<String>,
}

/// Draws `text`; `None` if it is too long for a code.
pub(crate) fn draw(text: &str) -> Option<Drawn> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width();
    let mut path = Zeroizing::new(String::new());
    for (y, row) in code.to_colors().chunks(width).enumerate() {
        for (x, color) in row.iter().enumerate() {
            if *color == Color::Dark {
                path.push_str(&format!("M{} {}h1v1h-1z", x + MARGIN, y + MARGIN));
            }
        }
    }
    Some(Drawn {
        size: width + 2 * MARGIN,
        path,
    })
}

impl fmt::Debug for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Drawn({} modules)", self.size)
    }
}
