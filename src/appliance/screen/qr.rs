// SPDX-License-Identifier: MIT OR Apache-2.0
//! QR codes, as paths.

use std::fmt::Write as _;
use std::sync::Arc;

use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

/// Light modules around a code, as ISO 18004 demands.
const QUIET: usize = 4;

/// A code as a path, one unit per module. Cheap to clone; wiped when the last one is dropped.
#[derive(Clone)]
pub(super) struct Code {
    path: Arc<Zeroizing<String>>,
    /// Modules across, with the light ones around.
    pub(super) width: usize,
}

impl Code {
    /// The code for `text`; `None` where there is too much of it.
    pub(super) fn of(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
        let width = code.width();
        let modules = code.to_colors();
        // Enough for every version, so that nothing stays behind in a smaller allocation.
        let mut path = Zeroizing::new(String::with_capacity(256 * 1024));
        for (y, row) in modules.chunks(width).enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|one, other| one == other) {
                if run[0] == Color::Dark {
                    // A String takes everything.
                    let _ = write!(
                        path,
                        "M{} {}h{}v1h-{}z",
                        x + QUIET,
                        y + QUIET,
                        run.len(),
                        run.len()
                    );
                }
                x += run.len();
            }
        }
        Some(Self {
            path: Arc::new(path),
            width: width + 2 * QUIET,
        })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}
