// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device's side of a hub: how it is enrolled there, shows who it is, and hears what it is booked for.
//!
//! A pairing code brings the device in, once. Later it answers a challenge with its key, which gives it a [`Pass`] for an
//! hour. All that the hub says is the hub's word: what is booked is opened and judged by whoever holds the key.

mod error;

use std::{
    fmt,
    time::{Duration, Instant, SystemTime},
};

use roomseal_policy::DeviceKey;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::livekit::{
    self, Answer, LONGEST, Question, Secret, ServerUrl, Trust, ask, dial, harmless,
};

pub use self::error::Error;

/// How long one request may take, from the name to the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest list of meetings that is read, in bytes.
const LONGEST_LIST: u64 = 1024 * 1024;

/// How long before its end a pass is not used any more.
const MARGIN: Duration = Duration::from_secs(60);

/// A hub, as a device reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    /// Where it is.
    pub server: ServerUrl,
    /// Which certificates it may have.
    pub trust: Trust,
}

/// What a hub made of a device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Enrolled {
    /// What the hub calls it, for programs.
    pub id: String,
    /// What the hub calls it, for people.
    pub name: String,
}

/// What a device shows a hub with each question, for an hour.
pub struct Pass {
    token: Secret,
    until: Instant,
}

/// What a device is booked for.
#[derive(Debug)]
pub struct Heard {
    /// The meetings that are not over, the next first.
    pub meetings: Vec<Booking>,
    /// The hub's clock; `None` when it does not say.
    pub now: Option<SystemTime>,
}

/// A meeting that a device is booked for, as the hub says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Booking {
    /// Its room.
    pub room: String,
    /// What it is called.
    pub title: String,
    /// Seconds since 1970.
    pub starts: i64,
    /// Seconds since 1970.
    pub ends: i64,
    /// Whether it is end-to-end encrypted, which only its link shows.
    pub e2ee: bool,
    /// Whether guests wait until a host lets them in.
    pub waiting_room: bool,
    /// Who booked.
    pub organiser: String,
    /// The host link, sealed to the device's key.
    pub sealed: String,
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").finish_non_exhaustive()
    }
}

impl Pass {
    /// Whether it is still good for a question.
    pub fn is_good(&self) -> bool {
        Instant::now() < self.until
    }
}

impl Hub {
    /// What the hub is called in what a device signs, and where people read it: host, and port if it needs one.
    pub fn name(&self) -> String {
        self.server.authority()
    }

    /// Brings a device in that has this key.
    ///
    /// # Errors
    /// When the hub cannot be reached, or refuses.
    pub async fn enrol(&self, key: &DeviceKey, code: &str, name: &str) -> Result<Enrolled, Error> {
        #[derive(Serialize)]
        struct Asked<'a> {
            code: &'a str,
            name: &'a str,
            key: String,
            proof: &'a str,
        }
        let proof = key.enrolment(code, &self.name());
        let key = key.public().to_string();
        let asked = Asked {
            code,
            name,
            key,
            proof: &proof,
        };
        let answer = self.post("/api/devices/enrol", &asked).await?;
        let enrolled: Enrolled = read(&answer)?;
        Ok(Enrolled {
            name: harmless(&enrolled.name),
            ..enrolled
        })
    }

    /// A pass for an enrolled device that has this key.
    ///
    /// # Errors
    /// When the hub cannot be reached, or does not know the device any more.
    pub async fn pass(&self, key: &DeviceKey, device: &str) -> Result<Pass, Error> {
        #[derive(Serialize)]
        struct Who<'a> {
            device: &'a str,
        }
        #[derive(Deserialize)]
        struct Challenge {
            challenge: String,
        }
        #[derive(Serialize)]
        struct Answered<'a> {
            device: &'a str,
            answer: &'a str,
        }
        #[derive(Deserialize)]
        struct Given {
            token: Zeroizing<String>,
            valid: u64,
        }
        let answer = self.post("/api/devices/challenge", &Who { device }).await?;
        let Challenge { challenge } = read(&answer)?;
        let answered = Answered {
            device,
            answer: &key.answer(&challenge, &self.name()),
        };
        let asked = Instant::now();
        let answer = self.post("/api/devices/token", &answered).await?;
        let mut given: Given = read(&answer)?;
        // It goes into a header.
        if !given.token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::NotAHub);
        }
        let valid = Duration::from_secs(given.valid).saturating_sub(MARGIN);
        Ok(Pass {
            token: Secret::new(std::mem::take(&mut *given.token)),
            until: asked + valid.min(Duration::from_secs(24 * 3600)),
        })
    }

    /// What the device is booked for that has this pass.
    ///
    /// # Errors
    /// When the hub cannot be reached, or refuses.
    pub async fn meetings(&self, pass: &Pass) -> Result<Heard, Error> {
        #[derive(Deserialize)]
        struct List {
            meetings: Vec<Booking>,
        }
        let question = Question {
            method: "GET",
            path: "/api/devices/self/meetings",
            bearer: Some(pass.token.expose()),
            content: None,
            longest: LONGEST_LIST,
        };
        let answer = self.ask(&question).await?;
        let List { meetings } = read(&answer)?;
        let date = answer.date.as_deref();
        Ok(Heard {
            meetings,
            now: date.and_then(|date| httpdate::parse_http_date(date).ok()),
        })
    }

    async fn post(&self, path: &str, asked: &impl Serialize) -> Result<Answer, Error> {
        // Sized up front: a vector that grows leaves copies of a code behind.
        let mut content = Zeroizing::new(Vec::with_capacity(LONGEST as usize));
        serde_json::to_writer(&mut *content, asked).map_err(|_| Error::NotAHub)?;
        let question = Question {
            method: "POST",
            path,
            bearer: None,
            content: Some(("application/json", &content)),
            longest: LONGEST,
        };
        self.ask(&question).await
    }

    /// The answer, if it is a good one.
    async fn ask(&self, question: &Question<'_>) -> Result<Answer, Error> {
        let host = || self.server.host().to_owned();
        let answering = async {
            let mut stream = dial(&self.server, &self.trust).await?;
            ask(&mut stream, &self.server, question)
                .await
                .map_err(|error| livekit::Error::Interrupted {
                    host: host(),
                    reason: error.to_string(),
                })
        };
        let answer = timeout(PATIENCE, answering).await.unwrap_or_else(|_| {
            Err(livekit::Error::Timeout {
                host: host(),
                waited: PATIENCE,
            })
        })?;
        match answer.status {
            200..=299 if answer.whole => Ok(answer),
            200..=299 => Err(Error::Away(livekit::Error::Interrupted {
                host: host(),
                reason: "its answer is cut short".to_owned(),
            })),
            _ => Err(Error::refusal(&answer)),
        }
    }
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Error> {
    // What was not understood is not repeated: it may be a token.
    serde_json::from_str(&answer.body).map_err(|_| Error::NotAHub)
}
