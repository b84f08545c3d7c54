// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the box's own screen says: outside of meetings who it is and how to begin one, inside how it stands with
//! encryption, over the pictures of the others.
//!
//! Pure: a status in, drawings out. They are given to media again and again, for what nobody renews is not shown.

mod drawing;
mod idle;
mod looks;
mod meeting;
mod qr;

use std::fmt;

use roomseal_media::present::layout::Size;
use roomseal_media::present::{Overlay, Patch};
use zeroize::Zeroizing;

use crate::status::Status;

pub use looks::{Look, look};

/// Drawings are made for a screen of this size and scaled to the one that is there.
const DESIGN: Size = Size {
    width: 1280,
    height: 720,
};

/// Height of the bar that says how it stands, in pixels of the design.
const HEADER: u32 = 56;

/// What only the screen of the box shows.
#[derive(Default)]
pub struct Local {
    /// The time of day, as people read it.
    pub time: String,
    /// The day, as people read it.
    pub day: String,
    /// How somebody at the box begins a meeting, or why nobody can.
    pub hint: String,
    /// Seconds since 1970.
    pub now: i64,
    /// The link for guests, while a person at the box wants it shown.
    pub invitation: Option<Zeroizing<String>>,
}

/// Draws for one screen.
pub struct Screen {
    size: Size,
    /// Code and drawing of the last invitation or address: they change seldom, and take their time.
    code: Option<(Zeroizing<String>, qr::Code)>,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("time", &self.time)
            .field("hint", &self.hint)
            .field("invitation", &self.invitation.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Screen {
    /// For a composed picture of this size.
    pub fn new(size: Size) -> Self {
        Self { size, code: None }
    }

    /// Height of the bar at the top of the picture, where nobody is shown.
    pub fn header(size: Size) -> u32 {
        HEADER * size.height / DESIGN.height
    }

    /// Outside of a meeting.
    pub fn idle(&mut self, status: &Status, local: &Local) -> Overlay {
        let network = status.network_page.as_ref().map(|page| &page.address);
        let address = network.or(status.page.as_ref()).cloned();
        let code = address.map(Zeroizing::new);
        let code = code.and_then(|address| self.code(&address));
        self.overlay(vec![idle::draw(status, local, code.as_ref())])
    }

    /// In a meeting.
    pub fn meeting(&mut self, status: &Status, local: &Local) -> Overlay {
        let code = local.invitation.as_ref();
        let code = code.and_then(|link| self.code(link));
        let mut drawings = meeting::draw(status);
        if let Some(code) = code {
            drawings.push(meeting::invitation(status, &code));
        }
        self.overlay(drawings)
    }

    fn code(&mut self, text: &Zeroizing<String>) -> Option<qr::Code> {
        if self.code.as_ref().is_none_or(|(known, _)| known != text) {
            self.code = Some((text.clone(), qr::Code::of(text)?));
        }
        self.code.as_ref().map(|(_, code)| code.clone())
    }

    fn overlay(&self, drawings: Vec<drawing::Drawing>) -> Overlay {
        let patches: Vec<Patch> = drawings
            .into_iter()
            .map(|drawing| drawing.finish(self.size, DESIGN))
            .collect();
        Overlay { patches }
    }
}

#[cfg(test)]
mod tests;
