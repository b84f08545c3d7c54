// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a new meeting is made of: the same for one that is planned and one that begins at once.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use roomseal_e2ee::Secret;
use roomseal_policy::{
    Certificate, Chain, Check, Decision, E2ee, Host, HostCheck, HostGrant, HostKey, HostName,
    KeyModel, KeySeed, Link, LinkSecret, MeetingKey, MeetingPassphrase, Origin, PolicyNonce,
    RoomCode, RoomName, SecretSource, ServiceCertificateHash, UnusableSeed,
};
use zeroize::Zeroizing;

/// A meeting whose key is here: hosts can be certified.
pub(crate) struct NewMeeting {
    seed: KeySeed,
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
        let seed = seed()?;
        let key = MeetingKey::from_seed(&seed);
        let guest = Link::guest(origin, room, secret, key.hash(), announced);
        Ok(Self { seed, key, guest })
    }

    /// The same on a service that made its TLS certificate itself: all links from now on say which.
    pub(crate) fn with_service_certificate(self, hash: ServiceCertificateHash) -> Self {
        Self {
            guest: self.guest.with_service_certificate(hash),
            ..self
        }
    }

    /// One that was made before, by its key and its link for guests.
    ///
    /// # Errors
    /// When the key is that of another meeting.
    pub(crate) fn kept(seed: KeySeed, guest: Link) -> anyhow::Result<Self> {
        let key = MeetingKey::from_seed(&seed);
        if guest.host_check() != HostCheck::Link(key.hash()) {
            return Err(anyhow!(
                "the key and the guest link are of two meetings: take both from where the meeting was made"
            ));
        }
        Ok(Self { seed, key, guest })
    }

    /// What the key is made of: whoever has it can make himself a host.
    pub(crate) fn seed(&self) -> &KeySeed {
        &self.seed
    }

    /// Has a host sign that encryption is on, for all links from now on: members begin with it before any host is there.
    ///
    /// # Errors
    /// When the system gives no random bytes, or the meeting is not announced as sealed.
    pub(crate) fn sign_in_advance(&mut self, by: &Host, secret: &Secret) -> anyhow::Result<()> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| anyhow!("no random bytes: {error}"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let decision = Decision {
            e2ee: E2ee::On,
            key: KeyModel::User,
            nonce: PolicyNonce::new(nonce),
            check: Check::new(secret.check_value(&nonce)),
            at: now.map_or(0, |since| since.as_secs()),
        };
        let root = Chain::start(by, &decision);
        self.guest = self.guest.clone().with_root(root)?;
        Ok(())
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
        self.link_of(self.grant(name)?)
    }

    /// The link of this host.
    ///
    /// # Errors
    /// When it is a host of another meeting.
    pub(crate) fn link_of(&self, grant: HostGrant) -> anyhow::Result<Link> {
        Ok(self.guest.clone().for_host(grant)?)
    }

    /// What makes somebody a host, with a key of its own.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn grant(&self, name: &HostName) -> anyhow::Result<HostGrant> {
        let seed = seed()?;
        let key = HostKey::from_seed(&seed);
        let certificate = Certificate::issue(&self.key, self.guest.room(), key.public(), name);
        Ok(HostGrant::new(seed, certificate)?)
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
pub(crate) fn seed() -> anyhow::Result<KeySeed> {
    KeySeed::new(random()?)
        .or_else(|UnusableSeed| KeySeed::new(random().unwrap_or_default()))
        .map_err(anyhow::Error::from)
}
