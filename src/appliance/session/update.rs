// SPDX-License-Identifier: MIT OR Apache-2.0
//! While an update is installed, the box shows that, and goes into no meeting.

use crate::control::{Order, Reply};
use crate::status::{Publisher, Update};

/// In a meeting it is not the time.
pub(super) const IN_A_MEETING: &str = "the box is in a meeting, and is not updated while people talk; `roomseal leave` leads out of it, or try again \
     when it is over";

/// Begins to show it, for a box in no meeting. Whoever asked ends it (`Publisher::updated`), also by going away.
pub(super) fn begin(order: Order, status: &Publisher) {
    if let Some(refused) = refusal(status) {
        order.answer(refused);
        return;
    }
    status.update(|status| {
        status.updating = Some(Update {
            percent: 0,
            text: "beginning".to_owned(),
        });
    });
    status.happened("an update is being installed");
    if !order.heard(Reply::Done(
        "the box shows that it is being updated".to_owned(),
    )) {
        status.updated();
    }
}

/// Why nothing else can begin now.
pub(super) fn refusal(status: &Publisher) -> Option<Reply> {
    let updating = status.watch().borrow().updating.is_some();
    updating.then(|| {
        Reply::NotNow(
            "an update is being installed; try again in a few minutes, and do not unplug the box"
                .to_owned(),
        )
    })
}
