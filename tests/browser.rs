// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real Chromium or Firefox that looks at the pages of the box, or joins its meetings.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::places;
use crate::process::Running;

/// What a browser needs to start on a busy machine.
const START: Duration = Duration::from_secs(40);

/// What an operation may take beyond its own time.
const SLACK: Duration = Duration::from_secs(15);

/// A running browser; it ends with its driver, whose pipe it reads.
#[derive(Debug)]
pub struct Browser {
    driver: Running,
    folder: PathBuf,
    heard: usize,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Of HTTP.
    pub status: u64,
    /// Names and values, a line each.
    pub headers: String,
    /// As far as it came.
    pub body: Vec<u8>,
}

/// How wide the windows are that a page has to fit.
#[derive(Clone, Copy, Debug)]
pub enum Window {
    /// 1280 × 900 pixels.
    Desktop,
    /// 390 × 844 pixels, as on a phone.
    Phone,
}

impl Browser {
    /// Starts one; pictures are kept in `pictures` in cargo's target folder.
    pub fn start() -> Self {
        Self::start_with("/usr/bin/chromium", &[])
    }

    /// Starts a Firefox.
    pub fn firefox() -> Self {
        Self::start_with("/usr/bin/firefox-esr", &[])
    }

    /// Starts one whose camera shows `camera` (Y4M), and whose microphone hears `microphone` (WAV), both over and over.
    pub fn seeing(camera: &Path, microphone: &Path) -> Self {
        let options = [
            format!("--use-file-for-fake-video-capture={}", camera.display()),
            format!("--use-file-for-fake-audio-capture={}", microphone.display()),
        ];
        Self::start_with("/usr/bin/chromium", &options)
    }

    fn start_with(program: &str, options: &[String]) -> Self {
        assert!(
            Path::new(program).exists(),
            "{program} is missing: run `make setup`"
        );
        let folder = places::pictures();
        std::fs::create_dir_all(&folder).expect("a folder for pictures can be made");
        let mut command = Command::new("node");
        command
            .arg(places::root().join("tests/browser/drive.mjs"))
            .arg(places::provided("browser/node_modules"))
            .arg(program)
            .args(options);
        let driver = Running::start(program, &command);
        let mut browser = Self {
            driver,
            folder,
            heard: 0,
        };
        browser.answer("start", START);
        browser
    }

    /// Opens a page in a window of its own, without anything that another window left; the window before is closed.
    pub fn open(&mut self, url: &str, window: Window, scheme: &str) {
        self.ask(&json!({"op": "close"}), SLACK);
        self.open_beside(url, window, scheme);
    }

    /// Opens a page in a window of its own beside the others, and goes on there; the first window is number 0.
    pub fn open_beside(&mut self, url: &str, window: Window, scheme: &str) {
        let (width, height) = match window {
            Window::Desktop => (1280, 900),
            Window::Phone => (390, 844),
        };
        let what =
            json!({"op": "open", "url": url, "width": width, "height": height, "scheme": scheme});
        self.ask(&what, SLACK);
    }

    /// Goes on in the window with this number.
    pub fn turn_to(&mut self, window: usize) {
        self.ask(&json!({"op": "turn", "to": window}), SLACK);
    }

    /// Waits until something that `selector` names is visible, with `text` in it; returns all of its text.
    pub fn see(&mut self, selector: &str, text: &str, within: Duration) -> String {
        let what = json!({"op": "see", "selector": selector, "text": text, "within": within.as_millis() as u64});
        let seen = self.ask(&what, within + SLACK);
        seen.as_str().unwrap_or_default().to_owned()
    }

    /// Whether something that `selector` names is there now.
    pub fn shows(&mut self, selector: &str) -> bool {
        self.ask(&json!({"op": "shows", "selector": selector}), SLACK) == json!(true)
    }

    /// Presses a key, as `Enter` or `Space`.
    pub fn key(&mut self, key: &str) {
        self.ask(&json!({"op": "key", "key": key}), SLACK);
    }

    /// Types.
    pub fn write(&mut self, text: &str) {
        self.ask(&json!({"op": "type", "text": text}), SLACK);
    }

    /// Presses Tab until the element with this id has the focus.
    pub fn tab_to(&mut self, id: &str) {
        self.ask(&json!({"op": "tab", "to": id}), SLACK);
    }

    /// Takes a picture of the whole page, which must not be wider than its window.
    pub fn picture(&mut self, name: &str) -> PathBuf {
        let wider = self.ask(&json!({"op": "width"}), SLACK);
        assert_eq!(wider, json!(0), "{name}: wider than the window");
        let file = self.folder.join(format!("{name}.png"));
        self.ask(&json!({"op": "shot", "file": file}), SLACK);
        file
    }

    /// Takes a picture of what the window shows of the page.
    pub fn picture_of_window(&mut self, name: &str) -> PathBuf {
        let file = self.folder.join(format!("{name}.png"));
        self.ask(&json!({"op": "shot", "file": file, "window": true}), SLACK);
        file
    }

    /// Takes a picture of one element.
    pub fn picture_of(&mut self, selector: &str, name: &str) -> PathBuf {
        let file = self.folder.join(format!("{name}.png"));
        self.ask(
            &json!({"op": "shot", "file": file, "selector": selector}),
            SLACK,
        );
        file
    }

    /// What a screen reader is told about the page: roles, names and texts, as lines.
    pub fn said(&mut self) -> String {
        let said = self.ask(&json!({"op": "said"}), SLACK);
        said.as_str().unwrap_or_default().to_owned()
    }

    /// Runs a script in the page.
    pub fn load(&mut self, file: &Path) {
        self.ask(&json!({"op": "load", "file": file}), SLACK);
    }

    /// What an expression in the page comes to, promises awaited.
    pub fn run(&mut self, script: &str) -> Value {
        self.ask(&json!({"op": "run", "script": script}), SLACK)
    }

    /// Asks a server beside the browser, with headers that no browser would send; reads for at most `within`.
    pub fn ask_beside(
        &mut self,
        url: &str,
        method: &str,
        headers: &[(&str, &str)],
        body: &str,
        within: Duration,
    ) -> Answered {
        let headers: serde_json::Map<String, Value> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let what = json!({"op": "ask", "url": url, "method": method, "headers": headers, "body": body,
            "within": within.as_millis() as u64});
        let answer = self.ask(&what, within + SLACK);
        let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
        Answered {
            status: answer["status"].as_u64().unwrap_or_default(),
            headers: text("headers"),
            body: hex::decode(text("body")).expect("the driver writes digits"),
        }
    }

    /// What scripts and the content policy complained about.
    pub fn complaints(&mut self) -> Vec<String> {
        let complaints = self.ask(&json!({"op": "complaints"}), SLACK);
        serde_json::from_value(complaints).expect("complaints are texts")
    }

    /// Ends it and whatever it started, and clears its profile away.
    pub fn close(mut self) {
        self.driver.hang_up();
        let ended = self.driver.wait(START);
        assert!(ended.success(), "the driver ended with {ended}");
    }

    fn ask(&mut self, what: &Value, within: Duration) -> Value {
        self.driver.tell(&what.to_string());
        self.answer(&what.to_string(), within)
    }

    fn answer(&mut self, what: &str, within: Duration) -> Value {
        let answer =
            self.driver
                .wait_after(self.heard, &format!("answer to {what}"), within, |line| {
                    serde_json::from_str::<Value>(line)
                        .ok()
                        .filter(Value::is_object)
                });
        let lines = self.driver.lines();
        // One answer is awaited at a time, so the last line that is one is this one.
        self.heard = lines
            .iter()
            .rposition(|(_, line)| line.starts_with('{'))
            .map_or(self.heard, |last| last + 1);
        assert!(answer["error"].is_null(), "{what}: {}", answer["error"]);
        answer["ok"].clone()
    }
}
