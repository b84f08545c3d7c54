// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a new meeting is made of: the same for one that is planned and one that begins at once.

use anyhow::anyhow;
use roomseal_policy::{
    Certificate, E2ee, HostGrant, HostKey, HostName, KeySeed, Link, LinkSecret, MeetingKey,
    MeetingPassphrase, Origin, RoomCode, RoomName, SecretSource, UnusableSeed,
};
use zeroize::Zeroizing;

/// A meeting whose key is still here: hosts can be certified.
pub(crate) struct NewMeeting {
    key: MeetingKey,
    guest: Link,
}

impl NewMeeting {
    /// Makes one; its keys are random.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn make(
        origin: Origin,
        room: RoomName,
        secret: SecretSource,
        announced: E2ee,
    ) -> anyhow::Result<Self> {
        let key = MeetingKey::from_seed(&seed()?);
        let guest = Link::guest(origin, room, secret, key.hash(), announced);
        Ok(Self { key, guest })
    }

    /// The link for guests.
    pub(crate) fn guest(&self) -> &Link {
        &self.guest
    }

    /// A link for a host, each with a key of its own.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn host(&self, name: &HostName) -> anyhow::Result<Link> {
        let seed = seed()?;
        let key = HostKey::from_seed(&seed);
        let certificate = Certificate::issue(&self.key, self.guest.room(), key.public(), name);
        let grant = HostGrant::new(seed, certificate)?;
        Ok(self.guest.clone().for_host(grant)?)
    }
}

/// A secret to stand in a link.
///
/// # Errors
/// When the system gives no random bytes.
pub(crate) fn link_secret() -> anyhow::Result<SecretSource> {
    Ok(SecretSource::Link(LinkSecret::new(random()?)))
}

/// Six words to be told to people.
///
/// # Errors
/// When the system gives no random bytes.
pub(crate) fn passphrase() -> anyhow::Result<MeetingPassphrase> {
    let mut failed = false;
    let made = MeetingPassphrase::generate(|bytes| failed |= getrandom::fill(bytes).is_err());
    match made {
        Ok(made) if !failed => Ok(made),
        _ => Err(anyhow!("no random bytes: is /dev/urandom there?")),
    }
}

/// A room that nobody has met in.
///
/// # Errors
/// When the system gives no random bytes.
pub(crate) fn room() -> anyhow::Result<RoomName> {
    let mut bytes = [0; 6];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random bytes: {error}"))?;
    Ok(RoomCode::from_random(bytes).room())
}

fn random() -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|error| anyhow!("no random bytes: {error}"))?;
    Ok(bytes)
}

/// One in four thousand million seeds is no key; two in a row are a broken generator.
fn seed() -> anyhow::Result<KeySeed> {
    KeySeed::new(random()?)
        .or_else(|UnusableSeed| KeySeed::new(random().unwrap_or_default()))
        .map_err(anyhow::Error::from)
}
