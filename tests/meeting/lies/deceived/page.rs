// SPDX-License-Identifier: MIT OR Apache-2.0
//! A browser with the join page. What it shows is asked for; what it showed is remembered by a script in it.

use std::path::Path;
use std::time::{Duration, Instant};

use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::doorway::Doorway;
use serde_json::{Value, json};

use super::{Deceived, Left};
use crate::SOON;
use crate::lies::NAMED;

/// Remembers what the shield showed and why, what became of the connection, and the most that was said of each track.
const REMEMBER: &str = "(() => {
    const lied = window.lied = { shown: [], news: [], played: {} };
    const text = (id) => document.getElementById(id).textContent;
    const look = () => {
        const state = document.body.dataset.state;
        const reasons = [...document.querySelectorAll('#reasons li')].map((it) => it.textContent);
        const last = lied.shown.at(-1);
        if (last?.state !== state || String(last.reasons) !== String(reasons)) lied.shown.push({ state, reasons });
        if (lied.news.at(-1) !== text('news')) lied.news.push(text('news'));
        for (const line of document.querySelectorAll('#people [data-source]')) {
            const { verification, source, opened } = line.dataset;
            const name = `${line.closest('[data-identity]').dataset.identity} ${source}`;
            const seen = lied.played[name] ??= { opened: 0, called: [] };
            seen.opened = Math.max(seen.opened, Number(opened));
            if (!seen.called.includes(verification)) seen.called.push(verification);
        }
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
})()";

/// How often the page is asked.
const LOOK: Duration = Duration::from_millis(200);

pub(super) struct Page {
    browser: Browser,
    /// What of the news is known.
    heard: u64,
    /// Frames that left clear when they were allowed to.
    forgotten: u64,
}

impl Page {
    /// Opens the page of `link` and enters the meeting; the service is at `url`.
    pub(super) fn join(url: &str, token: &str, room: &str, link: &Path) -> Self {
        let link = std::fs::read_to_string(link).unwrap();
        let door = Doorway::with_token(url, token);
        let mut browser = Browser::start();
        browser.open(&door.page_of(&link), Window::Desktop, "light");
        browser.see("#room", room, SOON);
        browser.run(REMEMBER);
        browser.tab_to("name");
        browser.write("Alice");
        browser.key("Enter");
        browser.see("#meeting", "", SOON);
        Self {
            browser,
            heard: 0,
            forgotten: 0,
        }
    }

    /// Waits until an expression in the page is true.
    fn until(&mut self, what: &str, expression: &str, within: Duration) {
        let began = Instant::now();
        while self.browser.run(expression) != json!(true) {
            if began.elapsed() > within {
                let (said, remembered) = (self.browser.said(), self.browser.run("window.lied"));
                panic!("the page shows no {what}: {remembered:#}\n{said}");
            }
            // It answers when asked; a few times a second is soon enough.
            std::thread::sleep(LOOK);
        }
    }

    /// The line of a track, as an expression.
    fn line(of: &str, source: &str) -> String {
        let source = source.replace(' ', "-");
        format!(
            "document.querySelector('#people [data-identity=\"{of}\"] [data-source=\"{source}\"]')"
        )
    }
}

impl Deceived for Page {
    fn wait_for_shield(&mut self, state: &str) {
        let shows = format!("document.body.dataset.state === '{state}'");
        self.until(state, &shows, SOON + SOON);
    }

    fn wait_for_reason(&mut self, state: &str, reason: &str) {
        let (state, reason) = (json!(state), json!(reason));
        let shown = format!(
            "window.lied.shown.some((it) => it.state === {state} && it.reasons.includes({reason}))"
        );
        self.until(&reason.to_string(), &shown, NAMED);
    }

    fn wait_for_opened(&mut self, of: &str, source: &str, frames: u64) {
        let line = Self::line(of, source);
        let opened = format!(
            "{line}?.dataset.verification === 'verified' && Number({line}.dataset.opened) > {frames}"
        );
        self.until(&format!("verified {source} of {of}"), &opened, SOON);
    }

    fn wait_for_sealed(&mut self, frames: u64) {
        let goal = self.left().sealed + frames;
        let began = Instant::now();
        while self.left().sealed < goal {
            assert!(began.elapsed() < SOON, "no {frames} frames leave sealed");
            // It counts when asked.
            std::thread::sleep(LOOK);
        }
    }

    fn wait_for_connection(&mut self, joined: bool) {
        let news = if joined { "back in" } else { "is lost" };
        let from = self.heard;
        let heard = format!("window.lied.news.slice({from}).some((it) => it.includes('{news}'))");
        self.until(news, &heard, SOON);
        let heard = self.browser.run("window.lied.news.length");
        self.heard = heard.as_u64().unwrap();
    }

    fn verification(&mut self, of: &str, source: &str) -> Option<String> {
        let line = Self::line(of, source);
        let word = self
            .browser
            .run(&format!("{line}?.dataset.verification ?? null"));
        word.as_str().map(str::to_owned)
    }

    fn lists(&mut self, identity: &str) -> bool {
        let person = format!("#people [data-identity=\"{identity}\"]");
        self.browser.shows(&person)
    }

    fn wait_until_gone(&mut self, identity: &str) {
        let gone = format!("!document.querySelector('#people [data-identity=\"{identity}\"]')");
        self.until(&format!("list without {identity}"), &gone, SOON + SOON);
    }

    fn left(&mut self) -> Left {
        let sum = |browser: &mut Browser, how: &str| {
            let script = format!(
                "[...document.querySelectorAll('#own li')].reduce((sum, it) => sum + Number(it.dataset.{how}), 0)"
            );
            browser.run(&script).as_u64().unwrap()
        };
        Left {
            sealed: sum(&mut self.browser, "sealed"),
            clear: sum(&mut self.browser, "clear"),
        }
    }

    fn never_played(&mut self, of: &str, source: &str) {
        let name = format!("{of} {}", source.replace(' ', "-"));
        let seen = self
            .browser
            .run(&format!("window.lied.played[{}] ?? null", json!(name)));
        if seen.is_null() {
            return;
        }
        assert_eq!(seen["opened"], 0, "{name}: {seen}");
        let called: Vec<&str> = seen["called"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert!(
            !called.contains(&"verified") && !called.contains(&"clear"),
            "{name}: {seen}"
        );
    }

    #[cfg(feature = "full")]
    fn wait_for_sending(&mut self, beginning: &str) {
        let says = format!(
            "document.getElementById('sending').textContent.startsWith({})",
            json!(beginning)
        );
        self.until(beginning, &says, NAMED);
    }

    fn forget(&mut self) {
        self.forgotten = self.left().clear;
        self.browser
            .run("window.lied.shown.splice(0, window.lied.shown.length - 1)");
    }

    fn never_clear(&mut self) {
        assert_eq!(self.left().clear, self.forgotten);
        self.never_showed(&["open"]);
    }

    fn never_showed(&mut self, states: &[&str]) {
        let shown = self.browser.run("window.lied.shown");
        for moment in shown.as_array().unwrap() {
            let state = moment["state"].as_str().unwrap();
            assert!(!states.contains(&state), "{moment}");
        }
    }
}
