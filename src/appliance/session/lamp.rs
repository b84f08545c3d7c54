// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lamp follows the verdict, from the turn of the loop in which it was made.

use roomseal_meeting::Shield;
use roomseal_panel::drive::clock;

use super::Session;
use crate::lamp::Renewals;
use crate::status::{LocalTrack, Publisher, Shield as Shown};

impl Session<'_> {
    /// Renews on the lamp what every other view is shown. Called where media has just been counted: should media or
    /// this loop hang, nothing is renewed, and the lamp goes dark.
    pub(super) fn renew_lamp(&mut self, shown: &Shown, tracks: &[LocalTrack]) {
        // What capture really does, not what was wished for; where the microphone has a switch, that too.
        let muted = tracks.iter().any(|track| {
            track.source == "microphone" && track.muted && track.switched_off != Some(false)
        });
        renew(&mut self.setup.lamp, &self.status, shown, muted);
    }
}

/// The same outside of every room, where nothing is captured.
pub(super) fn renew_outside(
    lamp: &mut Option<Renewals>,
    status: &Publisher,
    shown: &Shown,
    muted: bool,
) {
    renew(lamp, status, shown, muted);
}

fn renew(lamp: &mut Option<Renewals>, status: &Publisher, shown: &Shown, muted: bool) {
    let Some(lamp) = lamp else {
        return;
    };
    let shield = Shield::from_word(&shown.state).unwrap_or(Shield::Fault);
    lamp.renew(shield, muted, clock::boot());
    if let Some(trouble) = lamp.news() {
        match &trouble {
            Some(text) => tracing::warn!("{text}"),
            None => tracing::info!("the lamp works"),
        }
        status.trouble("lamp", trouble);
    }
}
