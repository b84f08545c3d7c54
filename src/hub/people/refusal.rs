// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why somebody does not get what he asks for.

use std::time::Duration;

use super::licence::NotAllowed;
use super::store::StoreError;

/// Why not. The texts are for who asked, and say what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Too many passwords are looked at already.
    #[error("too many people sign in just now; try again in a few seconds")]
    Busy,
    /// No such code, or no longer.
    #[error("this code is wrong, used, or too old; check it, or ask for a new one")]
    Code,
    /// No such account, or another password. Which of them is nobody's business.
    #[error("name or password is wrong; check both, or ask an admin for a new invitation")]
    Credentials,
    /// The password is right.
    #[error("this account is disabled; ask an admin")]
    Disabled,
    /// Something in the request cannot be.
    #[error("{0}")]
    Invalid(&'static str),
    /// Another device has the key.
    #[error(
        "a device with this key is enrolled already; take that one out first, or make a new key"
    )]
    KeyTaken,
    /// Nobody could administer the hub any more.
    #[error("this is the last admin who can sign in; make another account admin first")]
    LastAdmin,
    /// A password cannot be looked at.
    #[error("the password cannot be checked; free some memory on the hub, and try again")]
    Memory,
    /// There is one of that name.
    #[error("there is an account of that name already; choose another name, or invite it anew")]
    NameTaken,
    /// There is nothing of that id.
    #[error("there is no such {0}, or no longer; look at the list again")]
    NoSuch(&'static str),
    /// A room that is to be booked is not there; with what it was named by.
    #[error("rooms: there is no room {:?} here, or no longer; look at the list of rooms again",
        .0.chars().take(64).collect::<String>())]
    NoSuchRoom(String),
    /// That meeting may not be started.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// Only admins may.
    #[error("this is for admins; ask one of them")]
    NotAdmin,
    /// Nobody is signed in.
    #[error("nobody is signed in here, or no longer; sign in, and try again")]
    NotSignedIn,
    /// A device did not sign what it should have.
    #[error(
        "the signature is not this device's over this code or challenge and the name of this hub; get a new one and sign it"
    )]
    Proof,
    /// Another meeting has the room.
    #[error(
        "there is a meeting in this room already; make another room, or delete that meeting first"
    )]
    RoomTaken,
    /// There is an admin.
    #[error("this hub is set up already; sign in, or ask an admin for an invitation")]
    SetUp,
    /// Nothing can be kept.
    #[error("the hub cannot keep anything just now; its log says why")]
    Store(#[from] StoreError),
    /// A token that is none.
    #[error("this token is wrong, too old, or not for this; get a new one")]
    Token,
    /// Too many tries.
    #[error("too many wrong tries; wait {} s, and try again", .0.as_secs() + 1)]
    TooMany(Duration),
}

impl PartialEq for Refusal {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}
