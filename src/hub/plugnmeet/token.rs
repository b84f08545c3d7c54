// SPDX-License-Identifier: MIT OR Apache-2.0
//! `POST /auth/room/getJoinToken`: lets one person into a meeting that was made. The token is good for a link.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{No, read, room};
use crate::entry::{self, GUEST, since_1970};
use crate::meeting::Building;
use crate::token::LONGEST_NAME;

/// How long a link is good.
const VALID: Duration = Duration::from_secs(10 * 60);

/// What identities of others begin with: those of Plug-N-Meet's own programs, and those that the hub gives.
const TAKEN: [&str; 9] = [
    "ingres_",
    "sip_",
    "pnm_agent-",
    "pnm_tts_agent-",
    "user_",
    GUEST,
    "account-",
    "device-",
    "box-",
];

#[derive(Deserialize)]
struct Ask {
    room_id: String,
    user_info: User,
}

#[derive(Deserialize)]
struct User {
    name: String,
    user_id: String,
    #[serde(default)]
    is_admin: bool,
    #[serde(default)]
    is_hidden: bool,
}

/// What the token of a link says, as Plug-N-Meet names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) nbf: u64,
    pub(super) exp: u64,
    pub(super) sub: String,
    pub(super) name: String,
    pub(super) user_id: String,
    pub(super) room_id: String,
    pub(super) is_admin: bool,
    pub(super) is_hidden: bool,
}

pub(super) async fn token(body: &[u8], key: &str, building: &Arc<Building>) -> Result<Value, No> {
    let asked: Ask = read(body)?;
    let room = room(&asked.room_id)?;
    let bad = |text: &str| No::new(StatusCode::BAD_REQUEST, text);
    let user = asked.user_info;
    let name = entry::called(&user.name).map_err(|what| bad(&format!("user_info.name: {what}")))?;
    let is_plain = |c: char| c.is_ascii_graphic() && !"*>.".contains(c);
    let is_taken = TAKEN.iter().any(|it| user.user_id.starts_with(it))
        || ["RECORDER_BOT", "RTMP_BOT"].contains(&&*user.user_id)
        || user.user_id.ends_with("-native")
        || user.user_id.contains("-FIELD_");
    if user.user_id.is_empty() || user.user_id.len() > LONGEST_NAME {
        return Err(bad("user_info.user_id is missing or longer than 256 bytes"));
    }
    if is_taken || !user.user_id.chars().all(is_plain) {
        return Err(bad("user_info.user_id cannot be this one; take another"));
    }
    if user.is_hidden {
        return Err(bad(
            "nobody is hidden in meetings here; send is_hidden false",
        ));
    }
    let meeting = building.api.people.meeting(room.as_str()).await?;
    let is_made = meeting.is_some_and(|meeting| meeting.session.is_some());
    if !is_made || !building.engine.runs(room.as_str()).await? {
        let text = "this room is not active; create it first";
        return Err(No::new(StatusCode::NOT_FOUND, text));
    }
    let now = since_1970();
    let claims = Claims {
        iss: key.to_owned(),
        nbf: now.as_secs(),
        exp: (now + VALID).as_secs(),
        sub: user.user_id.clone(),
        name,
        user_id: user.user_id,
        room_id: room.as_str().to_owned(),
        is_admin: user.is_admin,
        is_hidden: false,
    };
    let token = building.keys.sign(key, &claims);
    let token = token.ok_or_else(|| No::new(StatusCode::UNAUTHORIZED, "this API key is gone"))?;
    Ok(json!({ "status": true, "msg": "success", "token": token }))
}
