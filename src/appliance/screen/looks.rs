// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shield's states in words, shape and colour: colour alone says nothing.

/// How a state looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The state in words.
    pub name: &'static str,
    /// The shape, as SVG of 24 by 24 units with its colour in it.
    pub sign: &'static str,
    /// The colour.
    pub colour: &'static str,
}

pub(super) const GREEN: &str = "#69db7c";
pub(super) const AMBER: &str = "#ffc94d";
pub(super) const WHITE: &str = "#f1f3f5";
pub(super) const RED: &str = "#ff8787";

/// A shield with a tick in it.
const TICKED: &str = r##"<path fill="#69db7c" d="M12 1.5 21 5v6c0 5.5-4 9.5-9 11.5C7 20.500 3 16.500 3 11V5z"/><path fill="none" stroke="#0f1419" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round" d="m7.500 12 3.200 3.200 6-6.400"/>"##;
/// The outline of a shield with a cloud in it.
const CLOUDED: &str = r##"<path fill="none" stroke="#69db7c" stroke-width="2" stroke-linejoin="round" d="M12 2.500 20 5.700V11c0 5-3.500 8.500-8 10.400C7.500 19.500 4 16 4 11V5.700z"/><path fill="#69db7c" d="M8.700 15.200a2.600 2.600 0 0 1 .2-5.100 3.700 3.700 0 0 1 7 .9 2.200 2.200 0 0 1-.2 4.200z"/>"##;
/// The outline of a shield with three dots in it.
const SEALING: &str = r##"<path fill="none" stroke="#69db7c" stroke-width="2" stroke-linejoin="round" d="M12 2.500 20 5.700V11c0 5-3.500 8.500-8 10.400C7.500 19.500 4 16 4 11V5.700z"/><circle fill="#69db7c" cx="8" cy="11" r="1.400"/><circle fill="#69db7c" cx="12" cy="11" r="1.400"/><circle fill="#69db7c" cx="16" cy="11" r="1.400"/>"##;
/// A ring with three dots in it.
const WAITING: &str = r##"<circle fill="none" stroke="#69db7c" stroke-width="2" cx="12" cy="12" r="9.500"/><circle fill="#69db7c" cx="7.700" cy="12" r="1.400"/><circle fill="#69db7c" cx="12" cy="12" r="1.400"/><circle fill="#69db7c" cx="16.300" cy="12" r="1.400"/>"##;
/// A triangle with an exclamation mark.
const ALERT: &str = r##"<path fill="#ffc94d" d="M12 2 23 21.500H1z"/><path stroke="#0f1419" stroke-width="2.400" stroke-linecap="round" d="M12 9v5.500M12 18.200v.1"/>"##;
/// A key.
const KEY: &str = r##"<g fill="none" stroke="#ffc94d" stroke-width="2.400" stroke-linecap="round"><circle cx="7" cy="12" r="4"/><path d="M11 12h11M18 12v4M22 12v3"/></g>"##;
/// A padlock that stands open.
const OPEN: &str = r##"<rect fill="#f1f3f5" x="5" y="11" width="14" height="10" rx="2"/><path fill="none" stroke="#f1f3f5" stroke-width="2.200" stroke-linecap="round" d="M15.500 11V7a4 4 0 0 1 7.500-1.500"/>"##;
/// A ring with a bar across.
const BARRED: &str = r##"<g fill="none" stroke="#f1f3f5" stroke-width="2.400"><circle cx="12" cy="12" r="9"/><path d="m5.700 5.700 12.600 12.600"/></g>"##;
/// An octagon with a cross.
const CROSS: &str = r##"<path fill="#ff8787" d="M7.500 1.500h9l6 6v9l-6 6h-9l-6-6v-9z"/><path stroke="#0f1419" stroke-width="2.600" stroke-linecap="round" d="m8 8 8 8m0-8-8 8"/>"##;
/// Three dots.
const DOTS: &str = r##"<g fill="#f1f3f5"><circle cx="4.500" cy="12" r="2.400"/><circle cx="12" cy="12" r="2.400"/><circle cx="19.500" cy="12" r="2.400"/></g>"##;
/// A dash.
const NONE: &str =
    r##"<path stroke="#f1f3f5" stroke-width="2.400" stroke-linecap="round" d="M5 12h14"/>"##;

/// How the state of this word looks (`roomseal_meeting::Shield::word`).
pub fn look(state: &str) -> Look {
    let (name, sign, colour) = match state {
        "fault" => ("Fault", CROSS, RED),
        "denied" => ("Refused", BARRED, WHITE),
        "wrong-key" => ("Wrong key", KEY, AMBER),
        "unsealed-peer" => ("Not everybody is sealed", ALERT, AMBER),
        "sealing" => ("Sealing", SEALING, GREEN),
        "waiting" => ("Waiting for others", WAITING, GREEN),
        "sealed-by-service" => ("Sealed by the service", CLOUDED, GREEN),
        "sealed" => ("Sealed", TICKED, GREEN),
        "open" => ("Not encrypted", OPEN, WHITE),
        "connecting" => ("Connecting", DOTS, WHITE),
        "set-up" => ("Set-up", DOTS, WHITE),
        "updating" => ("Updating", DOTS, WHITE),
        "dark" => ("Not in a meeting", NONE, WHITE),
        _ => ("Unknown", ALERT, AMBER),
    };
    Look { name, sign, colour }
}

/// The sign of something that is missing or wrong.
pub(super) const WARNING: &str = ALERT;
/// The sign of a key.
pub(super) const KEY_SIGN: &str = KEY;
