// SPDX-License-Identifier: MIT OR Apache-2.0
//! Joins anew when a connection does not come to stand. A handshake that hangs hangs for good, and a resume keeps it:
//! only a new session brings new connections.

use std::time::Duration;

use roomseal_media::transport::{ConnectionStats, Target, TransportStats};

/// How long a connection gets at first, from the agreement on a session to the checked certificate. Where one packet in
/// ten is lost, OpenSSL repeats after 1, 3 and 7 s, and the third time is hardly ever needed.
const FIRST: Duration = Duration::from_secs(15);

/// So often in a row the time is doubled, for networks that are merely slow.
const DOUBLED: u32 = 2;

/// How much patience is left.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Sessions in a row that were given up.
    given_up: u32,
    /// This one is.
    told: bool,
    /// What is awaited longest in this one.
    awaited: Option<Awaited>,
}

#[derive(Clone, Copy, Debug)]
struct Awaited {
    target: Target,
    time: Duration,
    /// Whether there is a way to the peer.
    reached: bool,
}

impl Patience {
    /// A session began from zero.
    pub(super) fn joined(&mut self) {
        self.told = false;
        self.awaited = None;
    }

    /// Why to join anew now, if it is time. It is told once for each session.
    pub(super) fn look(&mut self, stats: &TransportStats) -> Option<String> {
        let awaited = |target, connection: &ConnectionStats| {
            Some(Awaited {
                target,
                time: connection.awaited?,
                reached: connection.reached,
            })
        };
        self.awaited = awaited(Target::Publisher, &stats.publisher)
            .into_iter()
            .chain(awaited(Target::Subscriber, &stats.subscriber))
            .max_by_key(|awaited| awaited.time);
        if stats.publisher.verified && stats.subscriber.verified {
            self.given_up = 0;
        }
        self.give_up_after(self.limit())
    }

    /// Why to join anew although the session could be resumed: it has a connection that should have come to stand by now.
    /// LiveKit asks for a resume when that takes 10 s or more, again and again.
    pub(super) fn resuming(&mut self) -> Option<String> {
        self.give_up_after(self.limit() / 2)
    }

    fn limit(&self) -> Duration {
        FIRST * (1 << self.given_up.min(DOUBLED))
    }

    fn give_up_after(&mut self, limit: Duration) -> Option<String> {
        let Awaited {
            target,
            time,
            reached,
        } = self.awaited.filter(|awaited| awaited.time >= limit)?;
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        self.given_up += 1;
        let seconds = time.as_secs();
        Some(if reached {
            format!(
                "the {target} connection could not agree on transport keys within {seconds} s; joining again"
            )
        } else {
            format!(
                "the {target} connection found no way to the service within {seconds} s (does the network let its \
                 media ports through?); joining again"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// A publisher that stands, and a subscriber that is awaited or stands too.
    fn stats(awaited: Option<u64>, reached: bool) -> TransportStats {
        let stands = ConnectionStats {
            verified: true,
            reached: true,
            ..ConnectionStats::default()
        };
        let subscriber = match awaited {
            None => stands,
            Some(seconds) => ConnectionStats {
                awaited: Some(Duration::from_secs(seconds)),
                reached,
                ..ConnectionStats::default()
            },
        };
        TransportStats {
            publisher: stands,
            subscriber,
            ..TransportStats::default()
        }
    }

    #[test]
    fn a_session_is_given_up_once_when_a_connection_does_not_come_to_stand() {
        let mut patience = Patience::default();
        patience.joined();
        assert_eq!(patience.look(&stats(Some(14), true)), None);
        let why = patience.look(&stats(Some(15), true)).unwrap();
        assert_eq!(
            why,
            "the subscriber connection could not agree on transport keys within 15 s; joining again"
        );
        assert_eq!(patience.look(&stats(Some(16), true)), None);
        assert_eq!(patience.resuming(), None);
    }

    #[test]
    fn where_no_way_was_found_the_network_is_named() {
        let mut patience = Patience::default();
        let why = patience.look(&stats(Some(20), false)).unwrap();
        assert!(
            why.contains("found no way to the service within 20 s"),
            "{why}"
        );
    }

    #[test]
    fn each_session_given_up_in_a_row_gives_the_next_twice_the_time_up_to_a_minute() {
        let mut patience = Patience::default();
        for limit in [15, 30, 60, 60] {
            patience.joined();
            assert_eq!(patience.look(&stats(Some(limit - 1), true)), None);
            assert!(
                patience.look(&stats(Some(limit), true)).is_some(),
                "{limit} s"
            );
        }
        patience.joined();
        assert_eq!(patience.look(&stats(None, true)), None);
        patience.joined();
        assert!(
            patience.look(&stats(Some(15), true)).is_some(),
            "it stood in between"
        );
    }

    #[test]
    fn a_resume_is_declined_only_when_a_connection_has_been_awaited_for_half_the_time() {
        let mut patience = Patience::default();
        assert_eq!(patience.resuming(), None);
        patience.look(&stats(Some(7), true));
        assert_eq!(patience.resuming(), None);
        patience.look(&stats(Some(8), true));
        assert!(patience.resuming().is_some());
        patience.joined();
        patience.look(&stats(None, true));
        assert_eq!(patience.resuming(), None);
    }

    #[test]
    fn a_session_that_agreed_on_nothing_yet_is_not_given_up() {
        let mut patience = Patience::default();
        assert_eq!(patience.look(&TransportStats::default()), None);
    }
}
