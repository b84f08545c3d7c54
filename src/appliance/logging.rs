// SPDX-License-Identifier: MIT OR Apache-2.0
//! Logs on standard error: text for people, `<N>` priorities for journald, or JSON lines.
//!
//! Levels: *info* and above hold no names of people and no addresses; *debug* may. Secrets are in no log at all: their
//! types do not show them.

use std::fmt;
use std::os::unix::fs::MetadataExt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Log, LogFormat};
use crate::status::screen;

/// Whose lines the level is about; of others only warnings are of interest here.
const OWN: [&str; 7] = [
    "gstroomseal",
    "roomseal_appliance",
    "roomseal_e2ee",
    "roomseal_hub",
    "roomseal_meeting",
    "roomseal_panel",
    "roomseal_service",
];

/// Starts logging for the whole process. A second call changes nothing.
pub fn start(log: &Log) {
    // RUST_LOG is not read: what is logged has to be seen in the configuration.
    // The hub's engine warns of what every client offers and it does not take.
    let filter = OWN
        .iter()
        .fold("warn,str0m=error".to_owned(), |filter, target| {
            format!("{filter},{target}={}", log.level)
        });
    let filter = EnvFilter::new(filter);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(screen::Above);
    let format = match log.format {
        LogFormat::Auto if under_journald() => LogFormat::Journal,
        LogFormat::Auto => LogFormat::Text,
        chosen => chosen,
    };
    let started = match format {
        LogFormat::Journal => builder.event_format(Journal).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Auto | LogFormat::Text => builder.with_target(false).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// Whether standard error goes to journald: it names device and inode of the stream it gave us (`systemd.exec(5)`).
fn under_journald() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else {
        return false;
    };
    stream == format!("{}:{}", stderr.dev(), stderr.ino())
}

/// One line per event, led by the priority that journald strips and stores (`sd-daemon(3)`).
#[derive(Clone, Copy, Debug)]
struct Journal;

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        context.format_fields(Writer::new(&mut line), event)?;
        // A line break would start an entry of its own, with whatever priority the text then spells.
        let line = crate::text::plain(&line);
        writeln!(
            writer,
            "<{}>{}: {line}",
            priority(*event.metadata().level()),
            event.metadata().target()
        )
    }
}

/// Syslog's numbers.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn journal_lines_carry_a_priority_and_cannot_be_broken() {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(kept.clone())
            .event_format(Journal)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(why = "x\n<0>forged", "lost the camera");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(text.starts_with("<4>"), "{text}");
        assert!(text.contains("lost the camera"), "{text}");
        assert_eq!(text.matches('\n').count(), 1, "{text}");
    }
}
