// SPDX-License-Identifier: MIT OR Apache-2.0
//! Access tokens: read, and made from an API key.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use livekit_token::{AccessToken, VideoGrants};

use super::{error::Error, secret::Secret};

/// The longest text taken for a token, in bytes; HTTP servers refuse longer headers.
const LONGEST: usize = 16 * 1024;

/// How long a token made here is valid, unless said otherwise. Long enough for a clock that is some
/// minutes off; a connection that lives longer gets new ones from the server.
const TTL: Duration = Duration::from_secs(6 * 3600);

/// How long a token for one request is valid: clocks may differ by a minute.
const ADMINISTRATOR_TTL: Duration = Duration::from_secs(5 * 60);

/// Where tokens come from.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// One that somebody else made. When it has expired and the server's newer one too, the box
    /// cannot come back.
    Given(Token),
    /// Made here, anew for every join.
    Minted(Box<Mint>),
}

/// What is needed to make tokens.
#[derive(Clone, Debug)]
pub struct Mint {
    /// Name of the key.
    pub api_key: String,
    /// The key.
    pub api_secret: Secret,
    /// The room to join.
    pub room: String,
    /// Who joins.
    pub identity: String,
    /// Name shown to others; may be empty.
    pub name: String,
    /// Free text everybody in the room can read; may be empty.
    pub metadata: String,
    /// Key/value pairs everybody in the room can read.
    pub attributes: BTreeMap<String, String>,
    /// Lets the participant remove and mute others and end the room.
    pub room_admin: bool,
    /// Whether it may publish.
    pub can_publish: bool,
    /// How long a token is valid; `None` for six hours.
    pub ttl: Option<Duration>,
}

impl Mint {
    /// A participant who may publish and subscribe, without any extras.
    pub fn new(
        api_key: impl Into<String>,
        api_secret: Secret,
        room: impl Into<String>,
        identity: impl Into<String>,
    ) -> Self {
        Self {
            api_key: api_key.into(),
            api_secret,
            room: room.into(),
            identity: identity.into(),
            name: String::new(),
            metadata: String::new(),
            attributes: BTreeMap::new(),
            room_admin: false,
            can_publish: true,
            ttl: None,
        }
    }

    /// Makes a token that is valid from now on.
    pub fn token(&self) -> Result<Token, Error> {
        self.check()?;
        self.sign(
            self.ttl.unwrap_or(TTL),
            VideoGrants {
                room_join: true,
                room: self.room.clone(),
                room_admin: self.room_admin,
                can_publish: Some(self.can_publish),
                can_subscribe: Some(true),
                can_publish_data: Some(true),
                can_update_own_metadata: Some(true),
                ..Default::default()
            },
        )
    }

    /// Makes a token that administers the room and cannot join it, valid for one request.
    pub(super) fn administrator(&self) -> Result<Token, Error> {
        self.check()?;
        self.sign(
            ADMINISTRATOR_TTL,
            VideoGrants {
                room: self.room.clone(),
                room_admin: true,
                // To end a room is the right of who may make one.
                room_create: true,
                ..Default::default()
            },
        )
    }

    fn check(&self) -> Result<(), Error> {
        for (value, name) in [
            (self.api_key.as_str(), "no API key"),
            (self.api_secret.expose(), "no API secret"),
            (self.room.as_str(), "no room"),
            (self.identity.as_str(), "no identity"),
        ] {
            if value.is_empty() {
                return Err(Error::TokenSource {
                    reason: name.into(),
                });
            }
        }
        Ok(())
    }

    fn sign(&self, ttl: Duration, grants: VideoGrants) -> Result<Token, Error> {
        let jwt = AccessToken::with_api_key(&self.api_key, self.api_secret.expose())
            .with_ttl(ttl)
            .with_identity(&self.identity)
            .with_name(&self.name)
            .with_metadata(&self.metadata)
            .with_attributes(&self.attributes)
            .with_grants(grants)
            .to_jwt()
            .map_err(|e| Error::TokenSource {
                reason: e.to_string(),
            })?;
        Token::parse(jwt)
    }
}

impl TokenSource {
    /// A token to join with. A minted one is new.
    pub(super) fn token(&self) -> Result<Token, Error> {
        match self {
            Self::Given(token) => Ok(token.clone()),
            Self::Minted(mint) => mint.token(),
        }
    }

    /// Whether a later token may fare better than the one that was refused.
    pub(super) fn can_mint(&self) -> bool {
        matches!(self, Self::Minted(_))
    }
}

/// An access token that has the right shape. Only the server can tell whether it is genuine.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    jwt: Secret,
    claims: Claims,
}

/// What a token says, unverified: for showing and for telling how old it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The room it is for; may be empty.
    pub room: String,
    /// Who it is for.
    pub identity: String,
    /// The name shown to others; may be empty.
    pub name: String,
    /// When it ends to be valid.
    pub expires: Option<SystemTime>,
    /// Whether it lets its bearer administer the room.
    pub room_admin: bool,
}

impl Token {
    /// Takes over a token as it was given, with white space around it.
    pub fn parse(text: impl Into<String>) -> Result<Self, Error> {
        let text = Secret::new(text);
        let jwt = text.expose().trim();
        let malformed = |reason| Error::TokenMalformed { reason };
        if jwt.is_empty() {
            return Err(malformed("it is empty"));
        }
        if jwt.len() > LONGEST {
            return Err(malformed("it is too long"));
        }
        // It goes into an HTTP header: nothing else may be in it.
        if !jwt
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.=".contains(&b))
        {
            return Err(malformed("it has characters in it that no token has"));
        }
        if jwt.split('.').count() != 3 {
            return Err(malformed("it does not have three parts"));
        }
        let claims = livekit_token::Claims::from_unverified(jwt)
            .map_err(|_| malformed("its middle part cannot be read"))?;
        Ok(Self {
            claims: Claims {
                room: claims.video.room,
                identity: claims.sub,
                name: claims.name,
                expires: match claims.exp {
                    0 => None,
                    // A date beyond what the clock can count never comes.
                    secs => UNIX_EPOCH.checked_add(Duration::from_secs(secs as u64)),
                },
                room_admin: claims.video.room_admin,
            },
            jwt: Secret::new(jwt),
        })
    }

    /// What it says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// How long ago it expired by the given clock; `None` while it is valid.
    pub fn expired(&self, now: SystemTime) -> Option<Duration> {
        now.duration_since(self.claims.expires?).ok()
    }

    /// The token itself. Only for handing it to the server, or to whom it was made for.
    pub fn expose(&self) -> &str {
        self.jwt.expose()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    // A failed unwrap is a failed test.
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn mint() -> Mint {
        let secret = Secret::new("a secret of at least 32 characters");
        Mint::new("key1", secret, "atrium", "box-1")
    }

    #[test]
    fn a_minted_token_says_who_may_go_where() {
        let token = mint().token().unwrap();
        assert_eq!(token.claims().room, "atrium");
        assert_eq!(token.claims().identity, "box-1");
        assert!(!token.claims().room_admin);
        assert_eq!(token.expired(SystemTime::now()), None);
        let ago = token.expired(SystemTime::now() + TTL + Duration::from_secs(60));
        assert!(ago.unwrap() >= Duration::from_secs(60));
    }

    #[test]
    fn what_is_missing_is_named_before_a_token_is_made() {
        let mut mint = mint();
        mint.room.clear();
        let text = mint.token().unwrap_err().to_string();
        assert!(text.contains("no room"), "{text}");
    }

    #[test]
    fn neither_token_nor_secret_is_printed() {
        let mint = mint();
        let token = mint.token().unwrap();
        let text = format!("{mint:?} {token:?}");
        assert!(!text.contains("a secret of"), "{text}");
        assert!(!text.contains("eyJ"), "{text}");
        assert!(text.contains("atrium"));
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_repeated() {
        for text in [
            "",
            "   ",
            "abc",
            "a.b.c",
            "eyJhbGciOiJIUzI1NiJ9.bm9wZQ.c2ln",
            "a.b.c\r\nX-Other: header",
            "ä.b.c",
        ] {
            let error = Token::parse(text).unwrap_err();
            assert!(matches!(error, Error::TokenMalformed { .. }), "{text}");
            assert!(text.trim().is_empty() || !error.to_string().contains(text.trim()));
        }
        assert!(Token::parse("a.".repeat(10_000)).is_err());
    }

    #[test]
    fn arbitrary_text_never_panics() {
        const LETTERS: &[u8] = b"eyJhbGciOi0.-_=..";
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        for length in (0..80).cycle().take(20_000) {
            let text: String = (0..length)
                .map(|_| {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    LETTERS[(random >> 33) as usize % LETTERS.len()] as char
                })
                .collect();
            let _ = Token::parse(text);
        }
    }

    #[test]
    fn white_space_around_a_token_does_no_harm() {
        let token = mint().token().unwrap();
        let pasted = format!("  {}\n", token.expose());
        assert_eq!(Token::parse(pasted).unwrap(), token);
    }

    #[test]
    fn an_absurd_date_of_expiry_does_no_harm() {
        // {"exp":18446744073709551615,"sub":"x"}
        let token = Token::parse(
            "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE4NDQ2NzQ0MDczNzA5NTUxNjE1LCJzdWIiOiJ4In0.c2ln",
        )
        .unwrap();
        assert_eq!(token.expired(SystemTime::now()), None);
    }
}
