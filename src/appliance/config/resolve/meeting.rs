// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Roomseal meeting: its link, and the passphrase where the link asks for one.

use roomseal_e2ee::Secret;
use roomseal_policy::{self as policy, E2ee, Link, MeetingPassphrase, SecretSource};
use roomseal_service::livekit::ServerUrl;

use super::{Origin, Text, located, option};
use crate::config::{ConfigError, Overrides, RoomsealMeeting, file};

impl Text<'_> {
    /// Reads the meeting, if one is given. Its room stands over every other room, and its passphrase is taken out of
    /// the options: it is not that of a foreign room.
    pub(super) fn meeting(
        &self,
        file: file::Meeting,
        foreign: &file::E2ee,
        over: &mut Overrides,
        warnings: &mut Vec<String>,
    ) -> Result<Option<RoomsealMeeting>, ConfigError> {
        let link = option(&over.link_file, "--link-file").or_else(|| located(file.link_file));
        let Some((reference, origin)) = link else {
            return Ok(None);
        };
        if foreign.has_keys() {
            return self.fail(
                &origin,
                "a Roomseal meeting, and keys of a foreign room in [e2ee]",
                "keep one of them: the link brings the keys of its meeting",
            );
        }
        let text = self.secret(&reference, &origin)?;
        let link = self.told(&origin, Link::parse(self.text_of(&text, &origin)?))?;
        let passphrase = option(&over.passphrase_file.take(), "--passphrase-file")
            .or_else(|| located(file.passphrase_file));
        let secret = match (link.secret(), passphrase) {
            (SecretSource::Link(secret), None) => Some(Secret::new(*secret.expose())),
            (SecretSource::Passphrase, Some((reference, origin))) => {
                Some(self.passphrase(&link, &reference, &origin)?)
            }
            (SecretSource::Passphrase, None) => {
                warnings.push(
                    "the link asks for a passphrase: until it is entered (roomseal key), this box can neither send \
                     nor open anything sealed"
                        .to_owned(),
                );
                None
            }
            (SecretSource::Service, None) => {
                warnings.push(
                    "the service makes and holds the secret of this meeting: it can see and hear everything, and the \
                     shield never says more than \"sealed by service\""
                        .to_owned(),
                );
                None
            }
            (SecretSource::Link(_) | SecretSource::Service, Some((_, origin))) => {
                return self.fail(
                    &origin,
                    "a passphrase for a link that asks for none",
                    "remove it, or take the link that was given with the passphrase",
                );
            }
        };
        over.room = Some(link.room().to_string());
        Ok(Some(RoomsealMeeting {
            begin: match file.begin.map(toml::Spanned::into_inner) {
                Some(file::Begin::On) => E2ee::On,
                Some(file::Begin::Off) => E2ee::Off,
                None => link.announced(),
            },
            room: link.room().clone(),
            link: Some(link),
            secret,
            entered: false,
            require_e2ee: file.require_e2ee,
        }))
    }

    /// What stands before `/j/` in links: as written, else where the service itself is.
    pub(super) fn origin(
        &self,
        file: file::Given<String>,
        server: &ServerUrl,
    ) -> Result<policy::Origin, ConfigError> {
        if let Some((text, origin)) = located(file) {
            return self.told(&origin, text.parse());
        }
        let scheme = if server.is_encrypted() {
            "https"
        } else {
            "http"
        };
        let host = match server.host() {
            address if address.contains(':') => format!("[{address}]"),
            name => name.to_owned(),
        };
        let text = format!("{scheme}://{host}:{}", server.port());
        self.told(&Origin::Default, text.parse())
    }

    fn passphrase(
        &self,
        link: &Link,
        reference: &str,
        origin: &Origin,
    ) -> Result<Secret, ConfigError> {
        let typed = self.secret(reference, origin)?;
        let passphrase = MeetingPassphrase::new(self.text_of(&typed, origin)?);
        let passphrase = self.told(origin, passphrase)?;
        Ok(Secret::from_passphrase(
            passphrase.expose().as_bytes(),
            link.room().as_str(),
        ))
    }
}

impl file::E2ee {
    fn has_keys(&self) -> bool {
        self.passphrase_file.is_some()
            || self.raw_key_hex_file.is_some()
            || !self.participant.is_empty()
    }
}
