// SPDX-License-Identifier: MIT OR Apache-2.0
//! The secret that the service keeps (key model `server`): asked for after each join, until the service gives it.

use std::time::Duration;

use roomseal_e2ee::Secret;
use roomseal_meeting::call::Event as MeetingEvent;
use roomseal_policy::KeyModel;
use roomseal_service::livekit::{self, Config, meeting_secret};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

use super::Session;

/// How long after a refusal the service is asked again.
const AGAIN: Duration = Duration::from_secs(5);

/// What the service says.
pub(super) type Answer = Result<Zeroizing<[u8; 32]>, livekit::Error>;

/// The question that is under way, if one is.
#[derive(Debug)]
pub(super) struct Kept {
    answers: mpsc::UnboundedSender<Answer>,
    asked: Option<AbortHandle>,
}

impl Kept {
    /// Gives what is asked with, and where answers come.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Answer>) {
        let (answers, coming) = mpsc::unbounded_channel();
        let asked = None;
        (Self { answers, asked }, coming)
    }

    /// Asks `after` a while; what was asked before is of no interest any more.
    fn ask(&mut self, config: Config, room: String, after: Duration) {
        self.forget();
        let answers = self.answers.clone();
        let asked = tokio::spawn(async move {
            tokio::time::sleep(after).await;
            // After the session's end nobody waits for it.
            let _ = answers.send(meeting_secret(&config, &room).await);
        });
        self.asked = Some(asked.abort_handle());
    }

    /// Whatever the service would say, nobody waits for it any more.
    pub(super) fn forget(&mut self) {
        if let Some(asked) = self.asked.take() {
            asked.abort();
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.forget();
    }
}

impl Session<'_> {
    /// In a meeting whose secret the service keeps, asks for that of this session.
    pub(super) fn ask_for_secret(&mut self, after: Duration) {
        let Some(meeting) = &self.setup.meeting else {
            return;
        };
        if meeting.key_model() == KeyModel::Server {
            let room = meeting.room.to_string();
            self.kept.ask(self.setup.reached(), room, after);
        }
    }

    /// The service answered.
    pub(super) fn take_secret(&mut self, answer: Answer) {
        // People may have entered their own secret meanwhile: then the service's is none.
        let Some(meeting) = &mut self.setup.meeting else {
            return;
        };
        if meeting.key_model() != KeyModel::Server {
            return;
        }
        match answer {
            Ok(bytes) => {
                self.status.trouble("secret", None);
                let secret = Secret::new(*bytes);
                // A secret that is said again is no other one, and nothing has to be proved again.
                let mark = |secret: &Secret| secret.check_value(&[0; 16]);
                if meeting.secret.as_ref().map(mark) != Some(mark(&secret)) {
                    tracing::info!("the service gave the secret of this session");
                    meeting.secret = Some(secret.clone());
                    self.meeting(MeetingEvent::Secret {
                        secret: Some(secret),
                        from: KeyModel::Server,
                    });
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no secret");
                self.status.trouble("secret", Some(error.to_string()));
                self.ask_for_secret(AGAIN);
            }
        }
    }
}
