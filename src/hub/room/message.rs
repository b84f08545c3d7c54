// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parts of what clients are told.

use std::collections::HashMap;

use livekit_protocol::{self as proto, signal_response};

use super::Dice;

/// An id as LiveKit's: a prefix and twelve characters.
pub(super) fn id(prefix: &str, dice: &mut Dice) -> String {
    const CHARACTERS: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
    let mut bits = dice();
    let mut text = format!("{prefix}_");
    for _ in 0..12 {
        text.push(char::from(CHARACTERS[(bits % 32) as usize]));
        bits /= 32;
    }
    text
}

pub(super) fn server_info() -> proto::ServerInfo {
    proto::ServerInfo {
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: 16,
        ..Default::default()
    }
}

pub(super) fn leave(
    reason: proto::DisconnectReason,
    action: proto::leave_request::Action,
) -> signal_response::Message {
    signal_response::Message::Leave(proto::LeaveRequest {
        can_reconnect: action != proto::leave_request::Action::Disconnect,
        reason: reason as i32,
        action: action as i32,
        ..Default::default()
    })
}

pub(super) fn description(
    kind: &str,
    sdp: String,
    id: u32,
    tracks: HashMap<String, String>,
) -> proto::SessionDescription {
    proto::SessionDescription {
        r#type: kind.into(),
        sdp,
        id,
        mid_to_track_id: tracks,
    }
}
