// SPDX-License-Identifier: MIT OR Apache-2.0
//! Named tasks and threads: whatever ends unasked or stops beating ends the process under its name.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use roomseal_appliance::supervise::Supervisor;
//! # async fn example() -> Result<(), roomseal_appliance::supervise::Ended> {
//! let mut supervisor = Supervisor::new();
//! let pulse = supervisor.heartbeat("media", Duration::from_secs(5));
//! let stop = supervisor.stop();
//! supervisor.task("signalling", async move {
//!     stop.asked().await;
//!     Ok(())
//! });
//! pulse.beat();
//! supervisor.ready("in the meeting");
//! supervisor.run().await
//! # }
//! ```
//!
//! The watchdog of systemd is fed only while every heartbeat moves: heartbeats of loops, not of frames, so an idle box
//! is healthy and a hung one is restarted.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How often heartbeats are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How long tasks may take to end once they are asked to.
const GRACE: Duration = Duration::from_secs(3);

/// What a task or thread returns.
pub type Outcome = Result<(), anyhow::Error>;

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// A task or thread returned although nobody asked it to.
    #[error("{name} ended by itself")]
    Unasked {
        /// Its name.
        name: &'static str,
    },
    /// A task or thread failed.
    #[error("{name} failed: {reason:#}")]
    Failed {
        /// Its name.
        name: &'static str,
        /// What it said.
        reason: anyhow::Error,
    },
    /// A task or thread panicked.
    #[error("{name} panicked; please report this with the lines above")]
    Panicked {
        /// Its name.
        name: &'static str,
    },
    /// A loop no longer comes round.
    #[error("{name} hangs: no sign of life for {} s", .silent.as_secs())]
    Hung {
        /// Its name.
        name: &'static str,
        /// How long it has been silent.
        silent: Duration,
    },
}

/// Holds what must not end, and the pulse of what must not hang.
#[derive(Debug)]
pub struct Supervisor {
    ends: mpsc::UnboundedSender<(&'static str, End)>,
    ended: mpsc::UnboundedReceiver<(&'static str, End)>,
    stop: watch::Sender<bool>,
    pulses: Vec<Pulse>,
    running: usize,
}

/// A clonable wish: says when the process is to end, and asks it to.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

/// The sign of life of one loop; cheap enough for every turn, callable from any thread.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<AtomicU64>);

#[derive(Debug)]
enum End {
    Returned(Outcome),
    Panicked,
}

#[derive(Debug)]
struct Pulse {
    name: &'static str,
    beats: Arc<AtomicU64>,
    limit: Duration,
    seen: u64,
    moved: Instant,
}

impl Supervisor {
    /// A supervisor of nothing yet. Needs a tokio runtime.
    pub fn new() -> Self {
        let (ends, ended) = mpsc::unbounded_channel();
        Self {
            ends,
            ended,
            stop: watch::Sender::new(false),
            pulses: Vec::new(),
            running: 0,
        }
    }

    /// Runs `task` on the runtime; it must not end before [`Stop::asked`] does.
    pub fn task(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Outcome> + Send + 'static,
    ) {
        self.running += 1;
        let ends = self.ends.clone();
        let handle = tokio::spawn(task);
        tokio::spawn(async move {
            let end = match handle.await {
                Ok(outcome) => End::Returned(outcome),
                Err(_) => End::Panicked,
            };
            // Nobody listens only when the process is already ending.
            let _ = ends.send((name, end));
        });
    }

    /// Runs `work` on a thread of that name; it must not end before [`Stop::is_asked`].
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn thread(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Outcome + Send + 'static,
    ) -> std::io::Result<()> {
        let ends = self.ends.clone();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let end = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
                    Ok(outcome) => End::Returned(outcome),
                    Err(_) => End::Panicked,
                };
                let _ = ends.send((name, end));
            })?;
        self.running += 1;
        Ok(())
    }

    /// A heartbeat that has to move at least once every `limit`, from now on.
    pub fn heartbeat(&mut self, name: &'static str, limit: Duration) -> Heartbeat {
        let beats = Arc::new(AtomicU64::new(0));
        self.pulses.push(Pulse {
            name,
            beats: Arc::clone(&beats),
            limit,
            seen: 0,
            moved: Instant::now(),
        });
        Heartbeat(beats)
    }

    /// Tells systemd that the box is up; without systemd nothing happens.
    pub fn ready(&self, status: &str) {
        notify(&[
            sd_notify::NotifyState::Ready,
            sd_notify::NotifyState::Status(status),
        ]);
    }

    /// The wish to end, to be given to every task.
    pub fn stop(&self) -> Stop {
        Stop(self.stop.clone())
    }

    /// Watches until somebody asks to stop (also by SIGINT or SIGTERM) or something ends.
    ///
    /// # Errors
    /// The name of what ended or hangs.
    pub async fn run(mut self) -> Result<(), Ended> {
        let stop = self.stop();
        let mut signals = Signals::listen();
        let watchdog = sd_notify::watchdog_enabled();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut fed: Option<Instant> = None;
        let result = loop {
            tokio::select! {
                biased;
                () = stop.asked() => break Ok(()),
                () = signals.next() => {
                    tracing::info!("asked to stop by a signal");
                    break Ok(());
                }
                end = self.ended.recv() => {
                    let (name, end) = end.expect("the supervisor holds a sender itself");
                    self.running -= 1;
                    // Somebody may have asked, and this task have followed, since `stop` was looked at above.
                    if stop.is_asked() && matches!(end, End::Returned(Ok(()))) {
                        break Ok(());
                    }
                    break Err(unasked(name, end));
                }
                now = look.tick() => {
                    if let Some(hung) = self.hung(now) {
                        break Err(hung);
                    }
                    if let Some(every) = watchdog
                        && fed.is_none_or(|at| now - at >= every / 3)
                    {
                        notify(&[sd_notify::NotifyState::Watchdog]);
                        fed = Some(now);
                    }
                }
            }
        };
        notify(&[sd_notify::NotifyState::Stopping]);
        stop.ask();
        let ended = self.wind_down().await;
        // The first failure is the cause; what fails while stopping is only told when nothing failed before.
        result.and(ended)
    }

    /// Waits for the others to end; who does not within the grace is left behind, the process ends anyway.
    async fn wind_down(&mut self) -> Result<(), Ended> {
        let deadline = Instant::now() + GRACE;
        let mut result = Ok(());
        while self.running > 0 {
            match tokio::time::timeout_at(deadline, self.ended.recv()).await {
                Ok(Some((_, End::Returned(Ok(()))))) => {}
                Ok(Some((name, end))) => result = result.and(Err(unasked(name, end))),
                Ok(None) | Err(_) => {
                    tracing::warn!(left = self.running, "not everything ended in time");
                    break;
                }
            }
            self.running -= 1;
        }
        result
    }

    fn hung(&mut self, now: Instant) -> Option<Ended> {
        for pulse in &mut self.pulses {
            let beats = pulse.beats.load(Ordering::Relaxed);
            if beats != pulse.seen {
                pulse.seen = beats;
                pulse.moved = now;
            } else if now - pulse.moved > pulse.limit {
                return Some(Ended::Hung {
                    name: pulse.name,
                    silent: now - pulse.moved,
                });
            }
        }
        None
    }
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// Asks everybody to end.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once somebody asked.
    pub async fn asked(&self) {
        let mut asked = self.0.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = asked.wait_for(|asked| *asked).await;
    }
}

impl Heartbeat {
    /// The loop came round.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Tells systemd that a process without a [`Supervisor`] is up; without systemd nothing happens.
pub fn ready() {
    notify(&[sd_notify::NotifyState::Ready]);
}

/// Feeds systemd's watchdog for a process of one loop, in that loop; without systemd nothing happens.
pub fn alive() {
    notify(&[sd_notify::NotifyState::Watchdog]);
}

/// Shows `text` in `systemctl status`; without systemd nothing happens.
pub fn show(text: &str) {
    notify(&[sd_notify::NotifyState::Status(text)]);
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    // A socket that refuses is systemd's trouble; the watchdog acts on it.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}

fn unasked(name: &'static str, end: End) -> Ended {
    match end {
        End::Returned(Ok(())) => Ended::Unasked { name },
        End::Returned(Err(reason)) => Ended::Failed { name, reason },
        End::Panicked => Ended::Panicked { name },
    }
}

/// SIGINT and SIGTERM; where they cannot be listened to, they keep their default effect.
struct Signals {
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
        }
    }

    async fn next(&mut self) {
        async fn one(signal: &mut Option<tokio::signal::unix::Signal>) {
            match signal {
                Some(signal) => {
                    signal.recv().await;
                }
                None => std::future::pending().await,
            }
        }
        tokio::select! {
            () = one(&mut self.interrupt) => {}
            () = one(&mut self.terminate) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_by_itself_ends_the_process_under_its_name() {
        let mut supervisor = Supervisor::new();
        supervisor.task("signalling", async { Ok(()) });
        let ended = supervisor.run().await.unwrap_err();
        assert_eq!(ended.to_string(), "signalling ended by itself");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_fails_is_named_with_its_reason() {
        let mut supervisor = Supervisor::new();
        supervisor.task("status", async { anyhow::bail!("the socket is gone") });
        let ended = supervisor.run().await.unwrap_err();
        assert_eq!(ended.to_string(), "status failed: the socket is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_named() {
        let mut supervisor = Supervisor::new();
        supervisor.task("media", async { panic!("planted by the test") });
        assert!(matches!(
            supervisor.run().await,
            Err(Ended::Panicked { name: "media" })
        ));
    }

    #[tokio::test]
    async fn a_thread_that_ends_by_itself_is_named() {
        let mut supervisor = Supervisor::new();
        supervisor.thread("glib", || Ok(())).unwrap();
        assert!(matches!(
            supervisor.run().await,
            Err(Ended::Unasked { name: "glib" })
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_that_stops_is_a_hang() {
        let mut supervisor = Supervisor::new();
        let _idle = supervisor.heartbeat("media", Duration::from_secs(5));
        let before = Instant::now();
        let ended = supervisor.run().await.unwrap_err();
        assert!(
            matches!(ended, Ended::Hung { name: "media", .. }),
            "{ended}"
        );
        assert!(before.elapsed() < Duration::from_secs(6));
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_that_moves_keeps_the_process_alive_until_it_is_asked_to_stop() {
        let mut supervisor = Supervisor::new();
        let pulse = supervisor.heartbeat("media", Duration::from_secs(1));
        let stop = supervisor.stop();
        supervisor.task("media", async move {
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_millis(500)).await;
                pulse.beat();
            }
            stop.ask();
            stop.asked().await;
            Ok(())
        });
        supervisor.run().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_task_that_follows_the_wish_to_stop_at_once_has_not_ended_unasked() {
        for _ in 0..500 {
            let mut supervisor = Supervisor::new();
            let stop = supervisor.stop();
            supervisor.task("timer", async move {
                stop.ask();
                Ok(())
            });
            supervisor.run().await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_waits_for_tasks_but_not_for_ever() {
        let mut supervisor = Supervisor::new();
        let stop = supervisor.stop();
        let polite = stop.clone();
        supervisor.task("polite", async move {
            polite.asked().await;
            Ok(())
        });
        supervisor.task("deaf", std::future::pending());
        stop.ask();
        let before = Instant::now();
        supervisor.run().await.unwrap();
        assert!(before.elapsed() <= GRACE + LOOK);
    }
}
