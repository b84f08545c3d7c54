// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the page is told: chosen piece by piece, so that nothing new in the status reaches a browser by itself.

use roomseal_meeting::Shield as Verdict;
use roomseal_panel::light;
use serde::Serialize;

use crate::status::{
    Ask, Booked, ChatLine, Connection, Ending, Enrolled, Happening, LocalTrack, NetworkPage,
    Participant, Shield, Status, Trouble,
};

/// Where the page is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On the box itself.
    Box,
    /// On a device that was let in.
    Network(SignIn),
}

/// Whether somebody is signed in as host on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SignIn {
    /// This box has no password, so nobody can.
    No,
    /// With the password.
    Offered,
    /// The device came by the password; it has to be paired by a code first.
    TakesCode,
    /// Somebody is.
    Done,
}

/// What is drawn. `src/web/panel/words.js` has the same in its types.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct State {
    place: &'static str,
    /// Only on the network.
    sign_in: Option<SignIn>,
    name: String,
    version: String,
    room: String,
    service: String,
    identity: String,
    insecure_lan: bool,
    connection: Where,
    connection_text: String,
    offers: Offers,
    shield: Shield,
    lamp: Lamp,
    /// A Roomseal meeting, whose key comes with its link; else a foreign room.
    hosted: bool,
    /// What there is to decide about encryption; `None` outside.
    encryption: Option<Encryption>,
    ending: Option<Ending>,
    asks: Option<Ask>,
    key_model: String,
    sending: String,
    local_tracks: Vec<LocalTrack>,
    participants: Vec<Participant>,
    chat: Vec<ChatLine>,
    troubles: Vec<Trouble>,
    happenings: Vec<Happening>,
    recording: bool,
    /// Where this box can be booked.
    enrolled: Option<Enrolled>,
    /// What it is booked for, as its hub says.
    booked: Vec<Booked>,
    /// Nobody has set the box up yet: that is all that is asked for.
    awaits_set_up: bool,
    /// Only at the box: it is what proves that somebody is there.
    pairing_code: Option<String>,
    /// Only at the box, for who wants the page on a device of his own.
    network_page: Option<NetworkPage>,
}

/// Encryption, as the button has it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Encryption {
    /// `None`: no host has decided.
    on: Option<bool>,
    /// Whether a press here decides.
    ours: bool,
    /// Whether it is decided for everybody, or for what this box sends and plays.
    for_all: bool,
}

/// What a lamp with colours does.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Lamp {
    /// Empty when it is off.
    hue: &'static str,
    shape: &'static str,
}

/// What can be asked for from here about meetings; what would be refused is not offered.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Offers {
    /// Make a meeting.
    start: bool,
    /// Enter the room of last time.
    join: bool,
    /// Enter a meeting that the box is booked for.
    booked: bool,
    /// End the meeting for everybody.
    end: bool,
    /// Turn encryption off, which elsewhere takes the button of the box.
    off: bool,
}

/// Where the box is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Where {
    Inside,
    Outside,
    OnTheWay,
}

/// What of `status` the page shows; a shield that is not `fresh` is dark.
pub(super) fn of(status: &Status, fresh: bool, place: Place) -> State {
    let shield = if fresh {
        status.shield.clone()
    } else {
        Shield {
            text: "Nobody has looked at the meeting for more than a second, so nothing is said about it.".to_owned(),
            ..Shield::outside()
        }
    };
    let connection = match status.connection {
        Connection::Joined => Where::Inside,
        Connection::Left { .. } => Where::Outside,
        Connection::Starting | Connection::Connecting { .. } | Connection::Reconnecting { .. } => {
            Where::OnTheWay
        }
    };
    let sign_in = match place {
        Place::Box => None,
        Place::Network(sign_in) => Some(sign_in),
    };
    let encryption = (connection == Where::Inside)
        .then(|| encryption(status))
        .flatten();
    let is_host = sign_in == Some(SignIn::Done);
    let is_free = connection == Where::Outside && status.updating.is_none();
    State {
        place: match place {
            Place::Box => "box",
            Place::Network(_) => "network",
        },
        sign_in,
        name: status.name.clone(),
        version: status.version.clone(),
        room: status.room.clone(),
        service: status.service.clone(),
        identity: status.identity.clone(),
        insecure_lan: status.insecure_lan,
        connection,
        connection_text: status.connection.text(),
        offers: Offers {
            start: is_free && status.makes_meetings,
            join: is_free && !status.room.is_empty(),
            booked: is_free && !status.booked.is_empty(),
            end: connection == Where::Inside
                && status.ends_meeting
                && (place == Place::Box || is_host),
            off: is_host
                && status.ending.is_none()
                && encryption
                    .as_ref()
                    .is_some_and(|e| e.ours && e.on == Some(true)),
        },
        lamp: lamp(&shield),
        shield,
        hosted: status.hosted,
        encryption,
        ending: status.ending.clone(),
        asks: status.asks.clone(),
        key_model: status.key_model.clone(),
        sending: status.sending.clone(),
        local_tracks: status.local_tracks.clone(),
        participants: status.participants.clone(),
        chat: status.chat.clone(),
        troubles: status.troubles.clone(),
        happenings: status.happenings.clone(),
        recording: status.recording.is_some(),
        enrolled: status.enrolled.clone(),
        booked: status.booked.clone(),
        awaits_set_up: status.awaits_set_up,
        pairing_code: match place {
            Place::Box => status.pairing_code.clone(),
            Place::Network(_) => None,
        },
        network_page: match place {
            Place::Box => status.network_page.clone(),
            Place::Network(_) => None,
        },
    }
}

fn lamp(shield: &Shield) -> Lamp {
    let verdict = Verdict::from_word(&shield.state).unwrap_or(Verdict::Fault);
    let (hue, shape) = light::colour(verdict).words();
    Lamp { hue, shape }
}

/// What the button decides; nothing before a Roomseal meeting was looked at for the first time.
fn encryption(status: &Status) -> Option<Encryption> {
    match &status.encryption {
        Some(hosts) => Some(Encryption {
            on: hosts.on,
            ours: hosts.host,
            for_all: true,
        }),
        None => (!status.hosted).then_some(Encryption {
            on: Some(status.e2ee_required),
            ours: true,
            for_all: false,
        }),
    }
}
