// SPDX-License-Identifier: MIT OR Apache-2.0
//! The link of the meeting, for whoever may pass it on. It holds the secret, so it is no part of the status.

use std::sync::{Arc, Mutex, PoisonError};

use roomseal_policy::Link;

/// Where the link of the running meeting is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Invitation(Arc<Mutex<Option<Link>>>);

impl Invitation {
    /// Puts another in its place.
    pub(super) fn set(&self, link: Option<Link>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = link;
    }

    /// As guests get it.
    pub(super) fn for_guests(&self) -> Option<Link> {
        let link = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        link.as_ref().map(Link::for_guests)
    }
}
