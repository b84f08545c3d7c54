// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal update`: has RAUC install an update, and the running box show that while it lasts.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, anyhow};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{Failure, RunningBox, wait_for};
use crate::control::Reply;
use crate::status::Update;
use crate::status::socket::{Answer, Asked, Updating};
use crate::text::plain;

/// What RAUC's last line begins with where it failed.
const LAST_ERROR: &str = "LastError:";

/// More than RAUC has ever said about one failure.
const LONGEST_COMPLAINT: u64 = 64 * 1024;

/// Arguments of `roomseal update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
RAUC checks who signed the update and whether it is for this kind of box, writes it beside what runs now, and the box
starts with it next time. While it is installed, lamp, screen and page say so, and no meeting begins.

A box in a meeting is not updated: leave it first (`roomseal leave`), or wait for its end.")]
pub struct UpdateArgs {
    /// The update: a file, or an address that RAUC can read
    bundle: String,
    /// The program that installs it
    #[arg(long, value_name = "PROGRAM", default_value = "rauc")]
    rauc: PathBuf,
    /// Which box.
    #[command(flatten)]
    running: RunningBox,
}

impl UpdateArgs {
    /// Installs it.
    ///
    /// # Errors
    /// When the box does not want to be updated now, or the update is not installed; says why.
    pub fn run(&self) -> Result<(), Failure> {
        wait_for(self.install())?
    }

    async fn install(&self) -> Result<(), Failure> {
        let mut shown = self.begin().await?;
        let result = self.have_installed(&mut shown).await;
        let text = match &result {
            Ok(()) => "an update is installed, and is used from the next start on".to_owned(),
            Err(why) => format!("an update was not installed: {why:#}"),
        };
        tell(&mut shown, &Updating::Ended { text: text.clone() }).await;
        match result {
            Ok(()) => {
                println!("{text}");
                Ok(())
            }
            Err(why) => Err(why.context("the update was not installed").into()),
        }
    }

    /// Tells the running box; `None`: there is none, and nobody to show it to.
    async fn begin(&self) -> Result<Option<Asked>, Failure> {
        let Ok(mut asked) = Asked::update(&self.running.path()).await else {
            eprintln!("roomseal: no box runs here, so none shows this");
            return Ok(None);
        };
        match self.running.hear(&mut asked).await? {
            Answer::Reply(Reply::Done(_)) => Ok(Some(asked)),
            Answer::Reply(refused) => Err(anyhow!("{}", refused.text()).into()),
            Answer::Error(why) => Err(anyhow!("{why}").into()),
            Answer::Status(_) => Err(anyhow!(
                "the box answered something else; is it of another version than this program?"
            )
            .into()),
        }
    }

    async fn have_installed(&self, shown: &mut Option<Asked>) -> anyhow::Result<()> {
        let mut rauc = Command::new(&self.rauc)
            .arg("install")
            .arg(&self.bundle)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for this program: what RAUC's service has begun cannot be taken back.
            .process_group(0)
            .spawn()
            .with_context(|| {
                format!(
                    "{} cannot be started; install RAUC, or name it with --rauc",
                    self.rauc.display()
                )
            })?;
        let complaint = complaint(&mut rauc);
        let output = rauc.stdout.take().context("RAUC has no output")?;
        let mut lines = BufReader::new(output).lines();
        // RAUC's own verdict comes between the lines of progress.
        let mut last = None;
        let heard = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(update) = progress(&line) {
                    println!("{:3} %  {}", update.percent, update.text);
                    tell(shown, &Updating::Goes(update)).await;
                } else if let Some(why) = line.trim_start().strip_prefix(LAST_ERROR) {
                    last = Some(why.trim().to_owned());
                }
            }
            anyhow::Ok(last)
        };
        tokio::pin!(heard);
        let last = loop {
            tokio::select! {
                done = &mut heard => break done?,
                pressed = tokio::signal::ctrl_c() => {
                    pressed.context("no word of Ctrl-C")?;
                    eprintln!("roomseal: an update that has begun is not stopped half-way; wait for its end");
                }
            }
        };
        let complaint = complaint.await.unwrap_or_default();
        let lines = || complaint.lines().rev().find(|line| !line.trim().is_empty());
        let why = last.as_deref().or_else(lines).unwrap_or_default();
        let ended = rauc.wait().await.context("RAUC is gone")?;
        if ended.success() {
            return Ok(());
        }
        Err(anyhow!("{}", verdict(why)))
    }
}

/// Tells the running box, if there is one still. That one goes away meanwhile stops no update.
async fn tell(shown: &mut Option<Asked>, update: &Updating) {
    let Some(asked) = shown else {
        return;
    };
    let told = async {
        asked.tell(update).await?;
        asked.next().await
    };
    if !matches!(told.await, Ok(Some(_))) {
        *shown = None;
    }
}

/// Collects what RAUC complains about, so that it never waits for a reader.
fn complaint(rauc: &mut Child) -> tokio::task::JoinHandle<String> {
    let errors = rauc.stderr.take();
    tokio::spawn(async move {
        let mut text = Vec::new();
        if let Some(mut errors) = errors {
            // As much as came; what follows it is taken and dropped.
            let _ = (&mut errors)
                .take(LONGEST_COMPLAINT)
                .read_to_end(&mut text)
                .await;
            let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
        }
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// How far it is, in a line of RAUC: ` 40% Verifying signature done.`
fn progress(line: &str) -> Option<Update> {
    let (percent, text) = line.trim_start().split_once("% ")?;
    let percent = percent.parse().ok().filter(|percent| *percent <= 100)?;
    let text = plain(text.trim());
    Some(Update { percent, text })
}

/// Why RAUC did not install it, in words, with its own at the end.
fn verdict(own: &str) -> String {
    let own = plain(own.trim());
    let says = |words: &[&str]| {
        let own = own.to_ascii_lowercase();
        words.iter().any(|word| own.contains(word))
    };
    let why = if says(&["signature", "certificate", "verify"]) {
        "nobody signed it whom this box believes, or it was changed afterwards: get it anew from where updates come from"
    } else if says(&["compatible"]) {
        "it is for another kind of box: get the one for this board"
    } else if says(&[
        "no such file",
        "not found",
        "failed to open",
        "failed to load bundle",
    ]) {
        "it cannot be read: check its name"
    } else if says(&["no space"]) {
        "there is no space for it: it is larger than the place for it"
    } else if says(&["d-bus", "dbus", "bus name", "proxy", "de.pengutronix.rauc"]) {
        "the service that installs updates does not run: see systemctl status rauc"
    } else {
        "what runs now was not changed"
    };
    match own.as_str() {
        "" => format!("{why} (RAUC did not say more)"),
        own => format!("{why} ({own})"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn progress_is_read_from_lines_that_have_some() {
        let update = progress(" 40% Verifying signature done.").unwrap();
        assert_eq!(
            (update.percent, &*update.text),
            (40, "Verifying signature done.")
        );
        assert_eq!(progress("100% Installing done.").unwrap().percent, 100);
        for line in [
            "installing",
            "",
            "Installing `x` succeeded",
            "400% of it",
            "% done",
        ] {
            assert_eq!(progress(line), None, "{line}");
        }
    }

    #[test]
    fn what_went_wrong_is_said_in_words_and_in_those_of_rauc() {
        let compatible =
            "Installation error: Compatible mismatch: Expected 'a' but bundle manifest has 'b'";
        let said = verdict(compatible);
        assert!(
            said.contains("another kind of box") && said.contains("Expected 'a'"),
            "{said}"
        );
        let said = verdict("signature verification failed: Verify error: self-signed certificate");
        assert!(said.contains("nobody signed it"), "{said}");
        let said = verdict("D-Bus error while installing `x`");
        assert!(said.contains("does not run"), "{said}");
        assert!(verdict("").contains("did not say"), "{}", verdict(""));
    }
}
