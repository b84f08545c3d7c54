// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the page is told: chosen piece by piece, so that nothing new in the status reaches a browser by itself.

use serde::Serialize;

use crate::status::{
    ChatLine, Connection, Happening, LocalTrack, Participant, Shield, Status, Trouble,
};

/// What is drawn. `src/web/panel/words.js` has the same in its types.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct State {
    name: String,
    version: String,
    room: String,
    service: String,
    identity: String,
    insecure_lan: bool,
    connection: Where,
    connection_text: String,
    shield: Shield,
    e2ee_required: bool,
    key_model: &'static str,
    sending: String,
    local_tracks: Vec<LocalTrack>,
    participants: Vec<Participant>,
    troubles: Vec<Trouble>,
    happenings: Vec<Happening>,
    chat: Vec<ChatLine>,
    recording: bool,
}

/// Where the box is.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Where {
    Inside,
    Outside,
    OnTheWay,
}

/// What of `status` the page shows; a shield that is not `fresh` is dark.
pub(super) fn of(status: &Status, fresh: bool) -> State {
    State {
        name: status.name.clone(),
        version: status.version.clone(),
        room: status.room.clone(),
        service: status.service.clone(),
        identity: status.identity.clone(),
        insecure_lan: status.insecure_lan,
        connection: match status.connection {
            Connection::Joined => Where::Inside,
            Connection::Left { .. } => Where::Outside,
            Connection::Starting
            | Connection::Connecting { .. }
            | Connection::Reconnecting { .. } => Where::OnTheWay,
        },
        connection_text: status.connection.text(),
        shield: if fresh {
            status.shield.clone()
        } else {
            Shield {
                text: "Nobody has looked at the meeting for more than a second, so nothing is said about it.".to_owned(),
                ..Shield::outside()
            }
        },
        e2ee_required: status.e2ee_required,
        key_model: "The application that made this meeting shares one key with everybody. Roomseal checks frames, not \
                    who holds the key.",
        sending: status.sending.clone(),
        local_tracks: status.local_tracks.clone(),
        participants: status.participants.clone(),
        troubles: status.troubles.clone(),
        happenings: status.happenings.clone(),
        chat: status.chat.clone(),
        recording: status.recording.is_some(),
    }
}
