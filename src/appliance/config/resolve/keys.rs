// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys, and what they are required for.

use std::collections::BTreeMap;

use roomseal_e2ee::{FrameKey, KeyIndex, Passphrase, RawKey};

use super::{Origin, Text, located, option, pick};
use crate::config::{ConfigError, E2ee, KeyFile, Keys, Overrides, file};
use crate::secret::Secret;

/// Shorter ones are guessed from one recorded frame.
const SHORTEST_GOOD_PASSPHRASE: usize = 12;
const SHORTEST_RAW_KEY: usize = 16;

impl Text<'_> {
    pub(super) fn e2ee(
        &self,
        file: file::E2ee,
        over: &Overrides,
        me: &str,
        warnings: &mut Vec<String>,
    ) -> Result<E2ee, ConfigError> {
        let (index, origin) = pick(over.key_index, "--key-index", file.key_index, || 0);
        let Ok(index) = KeyIndex::try_from(index) else {
            return self.fail(&origin, "not a key index", "write 0 to 15");
        };
        let shared = if over.passphrase_file.is_some() || over.key_hex_file.is_some() {
            (
                option(&over.passphrase_file, "--passphrase-file"),
                option(&over.key_hex_file, "--key-hex-file"),
            )
        } else {
            (
                located(file.passphrase_file),
                located(file.raw_key_hex_file),
            )
        };
        let mut keys = Keys {
            index,
            shared: self
                .key(shared.0.clone(), shared.1.clone(), warnings)?
                .or_else(|| self.held.and_then(|held| held.key.clone())),
            participants: BTreeMap::new(),
        };
        for participant in file.participant {
            let origin = Origin::File(participant.identity.span());
            let identity = participant.identity.into_inner();
            self.label(&identity, &origin, 256)?;
            let key = self.key(
                located(participant.passphrase_file),
                located(participant.raw_key_hex_file),
                warnings,
            )?;
            let Some(key) = key else {
                return self.fail(
                    &origin,
                    "a participant without key",
                    "add passphrase-file or raw-key-hex-file to this block",
                );
            };
            if keys.participants.insert(identity, key).is_some() {
                return self.fail(
                    &origin,
                    "the same identity twice",
                    "remove one of the blocks",
                );
            }
        }
        let required = match (over.no_e2ee, file.required) {
            (true, _) => false,
            (false, Some(required)) => required.into_inner(),
            (false, None) => true,
        };
        if required && keys.is_empty() {
            warnings.push(
                "no key: this box will see who is there, and neither send nor open anything; add passphrase-file or \
                 raw-key-hex-file to [e2ee] (--passphrase-file, --key-hex-file)"
                    .to_owned(),
            );
        } else if required && keys.of(me).is_none() {
            warnings.push(format!(
                "no key for this box itself (identity `{me}`): it will send nothing; add passphrase-file to [e2ee], or a block for `{me}`"
            ));
        }
        if !required {
            warnings.push(
                "end-to-end encryption is not required: pictures and sound leave clear for the service"
                    .to_owned(),
            );
        }
        let shared_file = match shared {
            (Some((reference, origin)), _) => {
                Some(KeyFile::Passphrase(self.rooted(reference, &origin)))
            }
            (None, Some((reference, origin))) => {
                Some(KeyFile::RawHex(self.rooted(reference, &origin)))
            }
            (None, None) => None,
        };
        Ok(E2ee {
            required,
            keys,
            shared_file,
        })
    }

    fn key(
        &self,
        passphrase: Option<(String, Origin)>,
        raw: Option<(String, Origin)>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<FrameKey>, ConfigError> {
        match (passphrase, raw) {
            (Some((reference, origin)), None) => {
                let secret = self.secret(&reference, &origin)?;
                if secret.expose().len() < SHORTEST_GOOD_PASSPHRASE {
                    warnings.push(format!(
                        "the passphrase in {reference} is shorter than {SHORTEST_GOOD_PASSPHRASE} characters: it can be guessed from one recorded frame"
                    ));
                }
                Ok(Some(passphrase_key(&secret)))
            }
            (None, Some((reference, origin))) => {
                let secret = self.secret(&reference, &origin)?;
                match raw_key(&secret) {
                    Some(key) => Ok(Some(key)),
                    None => self.fail(&origin, RAW_KEY_PROBLEM, RAW_KEY_ADVICE),
                }
            }
            (Some(_), Some((_, origin))) => self.fail(
                &origin,
                "a passphrase and a raw key at once",
                "keep one: their keys differ even for the same bytes",
            ),
            (None, None) => Ok(None),
        }
    }
}

/// What is wrong with a raw key file.
pub(crate) const RAW_KEY_PROBLEM: &str = "the file holds no raw key";
/// What a raw key file has to hold.
pub(crate) const RAW_KEY_ADVICE: &str =
    "write at least 16 bytes as hexadecimal digits, for example: openssl rand -hex 32";

/// The key that LiveKit derives from a passphrase.
pub(crate) fn passphrase_key(secret: &Secret) -> FrameKey {
    FrameKey::from_passphrase(&Passphrase::new(secret.expose()))
}

/// The key that LiveKit derives from raw bytes, given in hexadecimal digits.
pub(crate) fn raw_key(secret: &Secret) -> Option<FrameKey> {
    let bytes = secret.decode_hex()?;
    (bytes.expose().len() >= SHORTEST_RAW_KEY)
        .then(|| FrameKey::from_raw_key(&RawKey::new(bytes.expose().to_vec())))
}
