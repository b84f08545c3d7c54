// SPDX-License-Identifier: MIT OR Apache-2.0
//! A script in a Node process that answers one line of JSON with another.

use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use roomseal_tests::places;
use serde_json::Value;

/// The process; it ends with this.
pub(crate) struct Node {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Node {
    /// Runs `script` of this project's `tests` folder with what it needs.
    pub(crate) fn run(script: &str, needs: PathBuf) -> Self {
        let mut child = Command::new("node")
            .arg(places::root().join("tests").join(script))
            .arg(needs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Not the test's own: Node makes the pipes that it inherits non-blocking, and what the test prints after
            // it was killed is lost.
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start node ({e}): run `make setup`"));
        let mut stderr = child.stderr.take().unwrap();
        thread::spawn(move || io::copy(&mut stderr, &mut io::stderr()));
        Self {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&mut self, what: &Value) -> Value {
        writeln!(self.stdin, "{what}").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("the script answered {line:?} ({e}) to {what}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
