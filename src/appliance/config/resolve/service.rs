// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the meeting is, and what lets the box in.

use roomseal_service::livekit::{
    self, CertificateHash, Mint, Plaintext, ServerUrl, Token, TokenSource, Trust,
};
use toml::Spanned;

use super::{Origin, Text, located, option, pick};
use crate::config::file::{self, Given};
use crate::config::{ConfigError, Overrides, Service};

/// What opens the door of the service.
enum Access {
    ApiKey {
        key: String,
        secret: livekit::Secret,
    },
    Token(Token),
}

impl Text<'_> {
    pub(super) fn service(
        &self,
        name: &str,
        file: file::Service,
        over: &Overrides,
        warnings: &mut Vec<String>,
    ) -> Result<Service, ConfigError> {
        let insecure_lan = file.insecure_lan || over.insecure_lan;
        let plaintext = if insecure_lan {
            Plaintext::AllowedOnLan
        } else {
            Plaintext::LoopbackOnly
        };
        let (url, origin) = self.required(over.url.clone(), "--url", file.url, "url")?;
        let server = self.told(&origin, ServerUrl::parse(&url, plaintext))?;
        // One way in given on the command line replaces both ways of the file.
        let given =
            over.token_file.is_some() || over.api_key.is_some() || over.api_secret_file.is_some();
        let access = if given {
            self.access(
                option(&over.token_file, "--token-file"),
                option(&over.api_key, "--api-key"),
                option(&over.api_secret_file, "--api-secret-file"),
            )?
        } else {
            self.access(
                located(file.token_file),
                located(file.api_key),
                located(file.api_secret_file),
            )?
        };
        let (identity, origin) = pick(over.identity.clone(), "--identity", file.identity, || {
            "roomseal".to_owned()
        });
        self.label(&identity, &origin, 256)?;
        let (tokens, room, identity) = match access {
            Access::ApiKey { key, secret } => {
                let room = option(&over.room, "--room").or_else(|| located(file.room));
                if let Some((room, origin)) = &room {
                    self.label(room, origin, 256)?;
                }
                let room = room.map(|(room, _)| room);
                let mut mint = Mint::new(key, secret, room.clone().unwrap_or_default(), &identity);
                mint.name = name.to_owned();
                (TokenSource::Minted(Box::new(mint)), room, identity)
            }
            Access::Token(token) => {
                let claims = token.claims().clone();
                let asked = over.room.clone().or(file.room.map(Spanned::into_inner));
                if let Some(asked) = asked.filter(|asked| *asked != claims.room) {
                    warnings.push(format!(
                        "the token is for room `{}`, not for `{asked}`: the token decides",
                        claims.room
                    ));
                }
                let ago = token.expired(std::time::SystemTime::now());
                if let Some(ago) = ago {
                    warnings.push(format!(
                        "the token expired {} s ago: ask for a new one, or set the clock",
                        ago.as_secs()
                    ));
                }
                (
                    TokenSource::Given(token),
                    Some(claims.room),
                    claims.identity,
                )
            }
        };
        Ok(Service {
            server,
            trust: self.trust(file.ca_file, file.certificate_sha256, over)?,
            tokens,
            room,
            identity,
            insecure_lan,
        })
    }

    fn access(
        &self,
        token: Option<(String, Origin)>,
        key: Option<(String, Origin)>,
        secret: Option<(String, Origin)>,
    ) -> Result<Access, ConfigError> {
        match (token, key, secret) {
            (Some((reference, origin)), None, None) => {
                let secret = self.secret(&reference, &origin)?;
                let text = self.text_of(&secret, &origin)?;
                Ok(Access::Token(self.told(&origin, Token::parse(text))?))
            }
            (None, Some((key, origin)), Some((reference, secret_origin))) => {
                self.label(&key, &origin, 256)?;
                let secret = self.secret(&reference, &secret_origin)?;
                let text = self.text_of(&secret, &secret_origin)?;
                Ok(Access::ApiKey {
                    key,
                    secret: livekit::Secret::new(text),
                })
            }
            (Some((_, origin)), _, _) => self.fail(
                &origin,
                "two ways in are given, a token and an API key",
                "keep one of them",
            ),
            (None, Some((_, origin)), None) => self.fail(
                &origin,
                "an API key without its secret",
                "add api-secret-file (--api-secret-file)",
            ),
            (None, None, Some((_, origin))) => self.fail(
                &origin,
                "an API secret without its key",
                "add api-key (--api-key)",
            ),
            (None, None, None) => match self.held.and_then(|held| held.token.clone()) {
                Some(token) => Ok(Access::Token(token)),
                None => Err(ConfigError::Missing {
                    place: self.path.to_owned(),
                    key: "token-file, or api-key with api-secret-file,",
                    option: "--token-file, or --api-key with --api-secret-file",
                }),
            },
        }
    }

    fn trust(
        &self,
        ca_file: Given<String>,
        certificate: Given<String>,
        over: &Overrides,
    ) -> Result<Trust, ConfigError> {
        let ca_file = match &over.ca_file {
            Some(path) => Some((path.clone(), Origin::Option("--ca-file"))),
            None => located(ca_file).map(|(path, origin)| (self.base.join(path), origin)),
        };
        if let Some((path, origin)) = &ca_file
            && let Err(error) = std::fs::File::open(path)
        {
            return self.fail(
                origin,
                format!("cannot read {}: {error}", path.display()),
                "name a PEM file",
            );
        }
        let certificate = option(&over.certificate_sha256, "--certificate-sha256")
            .or_else(|| located(certificate))
            .map(|(text, origin)| self.told(&origin, text.parse::<CertificateHash>()))
            .transpose()?;
        Ok(Trust {
            extra_authorities: ca_file.map(|(path, _)| path),
            certificate,
        })
    }
}
