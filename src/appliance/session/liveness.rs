// SPDX-License-Identifier: MIT OR Apache-2.0
//! Notices that the other end is gone. `webrtcbin` says `connected` for minutes after the cable was pulled; a
//! connection that carries media hears something of its peer at least every few seconds, be it only feedback.

use std::time::Duration;

use roomseal_media::transport::{ConnectionStats, Target, TransportStats};

/// Silence this long on a connection that carries media means that it is dead. Feedback comes every second or more
/// often, and a short outage heals without help.
const DEAD_AFTER: Duration = Duration::from_secs(5);

/// What was seen at the last look.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    sent: u64,
    publisher_dead: bool,
    subscriber_dead: bool,
}

impl Liveness {
    /// The connections that have died since the last look, and how long they have been silent. Each death is told
    /// once, until the connection is heard again.
    ///
    /// `expected`: somebody in the room sends something that is not muted and that we receive.
    pub(super) fn look(
        &mut self,
        stats: &TransportStats,
        expected: bool,
    ) -> Vec<(Target, Duration)> {
        let sent = stats.local.values().map(|track| track.frames).sum();
        // Only what we send is answered by feedback.
        let sending = sent > self.sent;
        self.sent = sent;
        let publisher = died(&mut self.publisher_dead, &stats.publisher, sending)
            .map(|silent| (Target::Publisher, silent));
        let subscriber = died(&mut self.subscriber_dead, &stats.subscriber, expected)
            .map(|silent| (Target::Subscriber, silent));
        publisher.into_iter().chain(subscriber).collect()
    }
}

fn died(dead: &mut bool, connection: &ConnectionStats, busy: bool) -> Option<Duration> {
    let silent = connection
        .last_received
        .filter(|silent| connection.verified && *silent > DEAD_AFTER);
    match silent {
        None => {
            *dead = false;
            None
        }
        Some(_) if *dead || !busy => None,
        Some(silent) => {
            *dead = true;
            Some(silent)
        }
    }
}

#[cfg(test)]
mod tests {
    use roomseal_media::transport::{LocalTrackId, LocalTrackStats};

    use super::*;

    fn stats(silent: u64, sent: u64) -> TransportStats {
        let connection = ConnectionStats {
            verified: true,
            last_received: Some(Duration::from_secs(silent)),
            ..ConnectionStats::default()
        };
        let mut stats = TransportStats {
            publisher: connection,
            subscriber: connection,
            ..TransportStats::default()
        };
        stats.local.insert(
            LocalTrackId(1),
            LocalTrackStats {
                frames: sent,
                ..LocalTrackStats::default()
            },
        );
        stats
    }

    #[test]
    fn a_silent_connection_that_carries_media_dies_once_and_can_die_again_after_it_was_heard() {
        let mut liveness = Liveness::default();
        assert_eq!(liveness.look(&stats(0, 10), true), []);
        let both = liveness.look(&stats(6, 20), true);
        assert_eq!(
            both,
            [
                (Target::Publisher, Duration::from_secs(6)),
                (Target::Subscriber, Duration::from_secs(6))
            ]
        );
        assert_eq!(liveness.look(&stats(7, 30), true), []);
        assert_eq!(liveness.look(&stats(0, 40), true), []);
        assert_eq!(liveness.look(&stats(6, 50), true).len(), 2);
    }

    #[test]
    fn a_connection_that_carries_nothing_may_be_silent() {
        let mut liveness = Liveness::default();
        liveness.look(&stats(0, 10), false);
        assert_eq!(liveness.look(&stats(60, 10), false), []);
    }
}
