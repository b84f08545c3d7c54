// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs a [`Session`] on tokio: carries out its actions, feeds it what happens.
//!
//! One task owns the session; a second one per connection writes, so that a full socket never keeps
//! the first from reading, from its timer or from its owner's requests.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    time::{Duration, Instant, SystemTime},
};

use futures_util::{
    SinkExt,
    stream::{SplitSink, SplitStream, StreamExt},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::{self, Message};
use tracing::{debug, info, warn};

use super::{
    Config,
    connect::{Attempt, WebSocket},
    error::Error,
    event::{Event, Reason},
    request::{Request, Wish},
    session::{Action, Input, Purpose, Session},
    token::Token,
    wire,
};

/// Events the owner has not taken yet. With so many waiting nothing more is read, so that a
/// flooding server fills its own buffers and not ours.
const WAITING_EVENTS: usize = 256;

/// Messages on their way out. A peer that takes none for so long is gone.
const WAITING_MESSAGES: usize = 256;

/// How long the last messages may take when leaving.
const FAREWELL: Duration = Duration::from_millis(500);

type Opening = Pin<Box<dyn Future<Output = Result<Box<WebSocket>, Error>> + Send>>;

/// A session and its connection.
pub(super) struct Driver {
    config: Config,
    session: Session,
    start: Instant,
    opening: Option<Opening>,
    reader: Option<SplitStream<WebSocket>>,
    writer: Option<Writer>,
    /// The connection that a resume replaces. The server ends a session whose connection closes
    /// before the next one is there, so it stays open until then.
    parked: Option<Writer>,
    events: VecDeque<Event>,
    /// What the log says last about being disconnected; days without network must not fill it.
    logged: Option<Reason>,
    finished: bool,
}

impl Driver {
    pub(super) fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            session: Session::new(seed),
            start: Instant::now(),
            opening: None,
            reader: None,
            writer: None,
            parked: None,
            events: VecDeque::new(),
            logged: None,
            finished: false,
        }
    }

    /// Until the session has ended and everything is told, or nobody is interested any more.
    pub(super) async fn run(
        mut self,
        mut requests: mpsc::UnboundedReceiver<Request>,
        owner: mpsc::Sender<Event>,
    ) {
        self.feed(Input::Start);
        let mut abandoned = false;
        while !(self.finished && self.events.is_empty()) {
            let deadline = self
                .session
                .deadline()
                .map(|at| tokio::time::Instant::from_std(self.start + at));
            let input = tokio::select! {
                permit = owner.reserve(), if !self.events.is_empty() => {
                    match (permit, self.events.pop_front()) {
                        (Ok(permit), Some(event)) => permit.send(event),
                        // Nobody listens any more.
                        _ => self.events.clear(),
                    }
                    continue;
                }
                () = owner.closed(), if !abandoned => {
                    abandoned = true;
                    leave()
                }
                request = requests.recv(), if !abandoned => request.map_or_else(
                    || { abandoned = true; leave() },
                    Input::Request,
                ),
                opened = wait_open(&mut self.opening) => {
                    self.opening = None;
                    match opened {
                        Ok(socket) => {
                            self.take(*socket);
                            Input::Opened
                        }
                        Err(error) => Input::OpenFailed(error),
                    }
                }
                frame = read(&mut self.reader), if self.events.len() < WAITING_EVENTS => {
                    match frame {
                        Some(input) => input,
                        None => continue,
                    }
                }
                () = wait_until(deadline) => Input::Tick,
            };
            self.feed(input);
        }
        for writer in [self.writer.take(), self.parked.take()]
            .into_iter()
            .flatten()
        {
            writer.finish().await;
        }
    }

    fn feed(&mut self, input: Input) {
        let mut stuck = self.act(input);
        // A lost message would leave the two sides with different ideas: begin a new connection,
        // whose first messages bring them together again.
        while stuck {
            let reason = Reason::Broken("it takes no more messages".into());
            stuck = self.act(Input::Closed(reason));
        }
    }

    /// Carries out what an input leads to. Says whether a message could not be sent.
    fn act(&mut self, input: Input) -> bool {
        let mut stuck = false;
        for action in self.session.handle(input, self.start.elapsed()) {
            match action {
                Action::Connect(purpose, refreshed) => self.connect(purpose, refreshed),
                Action::Send(message) => {
                    if let Some(writer) = &self.writer {
                        stuck |= !writer.send(Message::binary(wire::encode(*message)));
                    }
                }
                Action::Close => self.close(),
                Action::Park => self.park(),
                Action::Emit(event) => {
                    self.log(&event);
                    self.events.push_back(event);
                }
                Action::Finish => {
                    self.opening = None;
                    self.reader = None;
                    self.finished = true;
                }
            }
        }
        stuck
    }

    fn connect(&mut self, purpose: Purpose, refreshed: Option<Token>) {
        let now = SystemTime::now();
        // The server's newer token wins while it is valid; afterwards our own is at least no worse.
        let (token, minted) = match refreshed.filter(|token| token.expired(now).is_none()) {
            Some(token) => (Ok(token), false),
            None => (self.config.tokens.token(), self.config.tokens.can_mint()),
        };
        self.opening = Some(match token {
            Ok(token) => Box::pin(
                Attempt {
                    server: self.config.server.clone(),
                    trust: self.config.trust.clone(),
                    client: self.config.client.clone(),
                    token,
                    minted,
                    purpose,
                }
                .open(),
            ),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        });
    }

    fn take(&mut self, socket: WebSocket) {
        let (sink, stream) = socket.split();
        self.reader = Some(stream);
        self.writer = Some(Writer::start(sink));
        if let Some(old) = self.parked.take() {
            tokio::spawn(old.finish());
        }
    }

    fn close(&mut self) {
        self.opening = None;
        self.reader = None;
        // They say goodbye by themselves as far as they still can.
        for writer in [self.writer.take(), self.parked.take()]
            .into_iter()
            .flatten()
        {
            tokio::spawn(writer.finish());
        }
    }

    fn park(&mut self) {
        self.opening = None;
        self.reader = None;
        // One that never came to speak is closed; the one before it is still worth keeping.
        match (self.parked.take(), self.writer.take()) {
            (Some(old), Some(new)) => {
                self.parked = Some(old);
                tokio::spawn(new.finish());
            }
            (old, new) => self.parked = old.or(new),
        }
    }

    /// What an operator wants to find in the log. Participants' names are none of its business.
    fn log(&mut self, event: &Event) {
        match event {
            Event::Connecting { attempt } => debug!(attempt, "connecting to the meeting service"),
            Event::Joined(join) => {
                self.logged = None;
                info!(
                    server = join.server_version,
                    others = join.others.len(),
                    "joined"
                );
            }
            Event::Resumed(_) => {
                self.logged = None;
                info!("resumed");
            }
            Event::Reconnecting { reason, resume } => warn!(%reason, resume, "reconnecting"),
            Event::Disconnected { reason, .. } if self.logged.as_ref() == Some(reason) => {
                debug!(%reason, "still not connected");
            }
            Event::Disconnected { reason, will_retry } => {
                self.logged = Some(reason.clone());
                warn!(%reason, will_retry, "not connected");
            }
            Event::Garbage { what, count } => warn!(%what, count, "garbage from the server"),
            Event::RequestRefused {
                request, reason, ..
            } => warn!(request, reason, "the server refused a request"),
            Event::SubscriptionError { sid, error } => warn!(sid, ?error, "cannot receive a track"),
            _ => {}
        }
    }
}

/// The writing half of a connection.
struct Writer {
    queue: mpsc::Sender<Message>,
    task: JoinHandle<()>,
}

impl Writer {
    fn start(mut sink: SplitSink<WebSocket, Message>) -> Self {
        let (queue, mut waiting) = mpsc::channel(WAITING_MESSAGES);
        let task = tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                // A broken connection is reported by the reading half.
                if sink.send(message).await.is_err() {
                    return;
                }
            }
            let _ = sink.close().await;
        });
        Self { queue, task }
    }

    /// Queues a message. `false` when the queue is full or the writer has ended: the connection is
    /// as good as gone.
    fn send(&self, message: Message) -> bool {
        self.queue.try_send(message).is_ok()
    }

    /// Writes what is queued and a close frame, within reason.
    async fn finish(self) {
        let Self { queue, mut task } = self;
        drop(queue);
        if timeout(FAREWELL, &mut task).await.is_err() {
            task.abort();
        }
    }
}

fn leave() -> Input {
    Input::Request(Request {
        join: None,
        what: Wish::Leave,
    })
}

async fn wait_open(opening: &mut Option<Opening>) -> Result<Box<WebSocket>, Error> {
    match opening {
        Some(opening) => opening.await,
        None => std::future::pending().await,
    }
}

async fn wait_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The next frame as an input; `None` for those that only keep the WebSocket alive.
async fn read(reader: &mut Option<SplitStream<WebSocket>>) -> Option<Input> {
    let Some(stream) = reader else {
        return std::future::pending().await;
    };
    let closed = match stream.next().await {
        Some(Ok(Message::Binary(frame))) => return Some(Input::Frame(frame.into())),
        Some(Ok(Message::Text(_))) => return Some(Input::Text),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return None,
        Some(Ok(Message::Close(_))) | None => Reason::Broken("closed by the server".into()),
        Some(Err(tungstenite::Error::Capacity(_))) => Reason::Oversized,
        Some(Err(e)) => Reason::Broken(e.to_string()),
    };
    *reader = None;
    Some(Input::Closed(closed))
}
