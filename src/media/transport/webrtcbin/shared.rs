// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the control thread, the callers and the streaming threads look at together.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use super::{
    address::Addresses, control::Command, data::Channels, publish::LocalTrack, receive::Branch,
};
use crate::{
    clock,
    transport::{
        ConnectionStats, EventSink, LocalTrackId, LocalTrackStats, RemoteTrackStats, Target,
        TransportEvent, TransportStats, bandwidth::Bandwidth,
    },
};

pub(super) struct Shared {
    events: EventSink,
    commands: mpsc::Sender<Command>,
    /// Nothing passes any more, in either direction.
    pub(super) closed: AtomicBool,
    publisher: Gate,
    subscriber: Gate,
    /// Our tracks. The lock is never held while a frame is pushed.
    pub(super) local: RwLock<HashMap<LocalTrackId, Arc<LocalTrack>>>,
    /// Track of each section of the newest offer.
    pub(super) mids: Mutex<HashMap<String, Arc<str>>>,
    /// The SSRCs of the newest offer that was answered.
    pub(super) announced: Mutex<HashSet<u32>>,
    /// Receiving chains, one per `webrtcbin` pad.
    pub(super) branches: Mutex<Vec<Branch>>,
    pub(super) remote: Mutex<HashMap<Arc<str>, Arc<RemoteCounters>>>,
    pub(super) channels: Mutex<Channels>,
    pub(super) data_received: AtomicU64,
    pub(super) bandwidth: Mutex<Bandwidth>,
    pub(super) addresses: Addresses,
    sif_trailer: RwLock<Arc<[u8]>>,
}

impl Shared {
    pub(super) fn new(events: EventSink, commands: mpsc::Sender<Command>) -> Self {
        Self {
            events,
            commands,
            closed: AtomicBool::new(false),
            publisher: Gate::default(),
            subscriber: Gate::default(),
            local: RwLock::default(),
            mids: Mutex::default(),
            announced: Mutex::default(),
            branches: Mutex::default(),
            remote: Mutex::default(),
            channels: Mutex::default(),
            data_received: AtomicU64::new(0),
            bandwidth: Mutex::new(Bandwidth::new()),
            addresses: Addresses::default(),
            sif_trailer: RwLock::new(Arc::default()),
        }
    }

    pub(super) fn gate(&self, target: Target) -> &Gate {
        match target {
            Target::Publisher => &self.publisher,
            Target::Subscriber => &self.subscriber,
        }
    }

    /// Whether media and messages may pass.
    pub(super) fn is_open(&self, target: Target) -> bool {
        self.gate(target).open.load(Ordering::SeqCst) && !self.closed.load(Ordering::SeqCst)
    }

    /// Leaves a message for the control thread, if it still runs.
    pub(super) fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Tells the call, unless the transport is closed.
    pub(super) fn emit(&self, event: TransportEvent) {
        if !self.closed.load(Ordering::SeqCst) {
            (self.events)(event);
        }
    }

    /// Tells the call why the transport closed itself.
    pub(super) fn emit_last(&self, event: TransportEvent) {
        (self.events)(event);
    }

    pub(super) fn set_sif_trailer(&self, trailer: Vec<u8>) {
        *self
            .sif_trailer
            .write()
            .unwrap_or_else(PoisonError::into_inner) = trailer.into();
    }

    pub(super) fn sif_trailer(&self) -> Arc<[u8]> {
        Arc::clone(
            &self
                .sif_trailer
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    pub(super) fn stats(&self) -> TransportStats {
        let local = self.local.read().unwrap_or_else(PoisonError::into_inner);
        TransportStats {
            publisher: self.connection_stats(Target::Publisher),
            subscriber: self.connection_stats(Target::Subscriber),
            local: local
                .iter()
                .map(|(id, track)| (*id, track.stats()))
                .collect(),
            remote: lock(&self.remote)
                .iter()
                .map(|(sid, counters)| (Arc::clone(sid), counters.stats()))
                .collect(),
            bitrate_estimate: lock(&self.bandwidth).estimate(),
            data_received: self.data_received.load(Ordering::Relaxed),
            stranded: self.addresses.are_gone(),
        }
    }

    fn connection_stats(&self, target: Target) -> ConnectionStats {
        let gate = self.gate(target);
        let closed = self.closed.load(Ordering::SeqCst);
        ConnectionStats {
            verified: self.is_open(target),
            reached: gate.reached.load(Ordering::Relaxed),
            awaited: gate.awaited().filter(|_| !closed),
            last_received: gate.last_received(),
            packets_received: gate.packets.load(Ordering::Relaxed),
        }
    }
}

/// Takes a lock; a thread that panicked under it left counters and maps in order.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// State of one connection that streaming threads need.
#[derive(Default)]
pub(super) struct Gate {
    /// The peer's certificate is the announced one.
    pub(super) open: AtomicBool,
    /// ICE has found a way to the peer.
    pub(super) reached: AtomicBool,
    /// Running time of the first agreement on a session in nanoseconds, plus one; zero before it.
    negotiated: AtomicU64,
    /// Running time of the last packet in nanoseconds, plus one; zero before the first.
    last_packet: AtomicU64,
    packets: AtomicU64,
}

impl Gate {
    pub(super) fn packet_received(&self, count: u64) {
        self.last_packet
            .store(clock::now().nseconds() + 1, Ordering::Relaxed);
        self.packets.fetch_add(count, Ordering::Relaxed);
    }

    /// Both sides have said how they want to be connected; all but the first time change nothing.
    pub(super) fn negotiated(&self) {
        let now = clock::now().nseconds() + 1;
        // Fails when it was set before.
        let _ = self
            .negotiated
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn awaited(&self) -> Option<Duration> {
        since(&self.negotiated).filter(|_| !self.open.load(Ordering::SeqCst))
    }

    fn last_received(&self) -> Option<Duration> {
        since(&self.last_packet)
    }
}

/// Time since a moment that is kept as running time in nanoseconds plus one.
fn since(moment: &AtomicU64) -> Option<Duration> {
    let moment = moment.load(Ordering::Relaxed).checked_sub(1)?;
    let now = clock::now().nseconds();
    Some(Duration::from_nanos(now.saturating_sub(moment)))
}

/// Counters of one remote track.
#[derive(Default)]
pub(super) struct RemoteCounters {
    pub(super) packets: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) server_injected: AtomicU64,
    pub(super) frames: AtomicU64,
}

impl RemoteCounters {
    fn stats(&self) -> RemoteTrackStats {
        RemoteTrackStats {
            packets: self.packets.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            server_injected: self.server_injected.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
        }
    }
}

/// Counters of one track of ours.
#[derive(Default)]
pub(super) struct LocalCounters {
    pub(super) frames: AtomicU64,
    pub(super) dropped: AtomicU64,
}

impl LocalCounters {
    pub(super) fn stats(&self) -> LocalTrackStats {
        LocalTrackStats {
            frames: self.frames.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}
