// SPDX-License-Identifier: MIT OR Apache-2.0
//! A child process whose lines can be waited for, and which never outlives its test.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A started program. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    heard: Arc<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Both streams, in the order in which their lines came.
    lines: Vec<(Instant, String)>,
    /// The same before it was made text.
    bytes: Vec<u8>,
    ended_streams: u8,
}

impl Running {
    /// Starts `command`; `name` is what messages call it.
    pub fn start(name: &str, command: &Command) -> Self {
        // A test that is killed must not leave servers behind, so the kernel ends the child with the thread that made it.
        let mut guarded = Command::new("setpriv");
        guarded
            .args(["--pdeathsig", "KILL"])
            .arg(command.get_program())
            .args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(key, value),
                None => guarded.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            guarded.current_dir(folder);
        }
        guarded
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = guarded
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {name} ({command:?}): {e}"));

        let heard = Arc::new(Heard::default());
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        listen(stdout, Arc::clone(&heard));
        listen(stderr, Arc::clone(&heard));
        Self {
            name: name.to_owned(),
            stdin: child.stdin.take(),
            child,
            heard,
        }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Number of lines heard so far: a mark for [`Running::wait_after`].
    pub fn mark(&self) -> usize {
        self.state().lines.len()
    }

    /// Waits for the first line from which `find` makes something; panics after `within` with all that was heard.
    pub fn wait_for<T>(&self, what: &str, within: Duration, find: impl Fn(&str) -> Option<T>) -> T {
        self.wait_after(0, what, within, find)
    }

    /// As [`Running::wait_for`], in the lines after `mark`.
    pub fn wait_after<T>(
        &self,
        mark: usize,
        what: &str,
        within: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + within;
        let mut looked = mark;
        let mut state = self.state();
        loop {
            while let Some((_, line)) = state.lines.get(looked) {
                if let Some(found) = find(line) {
                    return found;
                }
                looked += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.ended_streams == 2 {
                let why = if left.is_zero() {
                    format!("within {within:?}")
                } else {
                    "before it ended".to_owned()
                };
                let heard = tail(&state);
                drop(state);
                panic!("{}: no {what} {why}. Its last lines:\n{heard}", self.name);
            }
            state = self
                .heard
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// All lines so far, with when they came.
    pub fn lines(&self) -> Vec<(Instant, String)> {
        self.state().lines.clone()
    }

    /// All that was said so far.
    pub fn output(&self) -> String {
        self.state()
            .lines
            .iter()
            .map(|(_, line)| format!("{line}\n"))
            .collect()
    }

    /// The same as it came, byte for byte.
    pub fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// Writes one line to the program's standard input.
    pub fn tell(&mut self, line: &str) {
        let stdin = self
            .stdin
            .as_mut()
            .expect("standard input is open until `hang_up`");
        writeln!(stdin, "{line}")
            .and_then(|()| stdin.flush())
            .unwrap_or_else(|e| panic!("{} does not listen: {e}", self.name));
    }

    /// Closes the program's standard input.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal by its name (`INT`, `TERM`, `KILL`, `STOP`, `CONT`).
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status();
        assert!(
            sent.is_ok_and(|s| s.success()),
            "{}: SIG{name} could not be sent",
            self.name
        );
    }

    /// Is it still alive?
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        let mut state = self.state();
        while state.ended_streams < 2 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let heard = tail(&state);
                drop(state);
                panic!(
                    "{} did not end within {within:?}. Its last lines:\n{heard}",
                    self.name
                );
            }
            state = self
                .heard
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        drop(state);
        self.child
            .wait()
            .unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// Asks it to end (Ctrl-C) and waits.
    pub fn interrupt(&mut self, within: Duration) -> ExitStatus {
        self.signal("INT");
        self.wait(within)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.heard
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let state = self.state();
            eprintln!("--- {}: last lines ---\n{}", self.name, tail(&state));
        }
    }
}

fn listen(stream: impl Read + Send + 'static, heard: Arc<Heard>) {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let mut state = heard.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.lines.push((Instant::now(), text));
            state.bytes.extend_from_slice(&line);
            drop(state);
            heard.changed.notify_all();
            line.clear();
        }
        heard
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .ended_streams += 1;
        heard.changed.notify_all();
    });
}

fn tail(state: &State) -> String {
    let first = state.lines.len().saturating_sub(60);
    state.lines[first..]
        .iter()
        .map(|(_, line)| format!("    {line}\n"))
        .collect()
}
