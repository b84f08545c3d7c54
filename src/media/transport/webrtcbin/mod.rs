// SPDX-License-Identifier: MIT OR Apache-2.0

//! The transport on GStreamer's `webrtcbin`, two of them.
//!
//! One thread per transport ([`control`]) does everything that changes a connection, one thing
//! after the other; `webrtcbin`'s signals and the callers only leave messages for it. Frames do
//! not pass through it: they go from the caller's thread into an `appsrc`, and from `webrtcbin`'s
//! threads out through an `appsink`, past a [`shared::Gate`] that opens when the peer is verified.

mod address;
mod avc;
mod control;
mod data;
mod flight;
mod nice;
mod peer;
mod publish;
mod receive;
mod shared;
mod streams;

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering, mpsc},
    thread::{self, JoinHandle},
};

use control::{Command, Control};
use gst::prelude::*;
use shared::Shared;

use crate::plugins;

use super::{
    EventSink, IceServer, LocalTrackId, PublishTrack, RemoteOffer, Target, Transport,
    TransportError, TransportStats,
};

/// How connections are made.
#[derive(Clone, Debug, Default)]
pub struct WebRtcConfig {
    /// STUN and TURN servers of the join response.
    pub ice_servers: Vec<IceServer>,
    /// The service runs on this machine and is reached over loopback, which ICE ignores otherwise.
    pub loopback: bool,
    /// Reach the service only through a TURN server.
    pub relay_only: bool,
    /// Bytes by which the service marks frames of its own (`sif_trailer` of the join response).
    pub sif_trailer: Vec<u8>,
}

/// The transport on GStreamer's `webrtcbin`.
pub struct WebRtcBin {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for WebRtcBin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebRtcBin").finish_non_exhaustive()
    }
}

impl WebRtcBin {
    /// Makes both connections, not yet negotiated.
    pub fn new(config: WebRtcConfig, events: EventSink) -> Result<Self, TransportError> {
        plugins::gst_init().map_err(pipeline_error)?;
        plugins::require(plugins::TRANSPORT).map_err(pipeline_error)?;
        let (commands, received) = mpsc::channel();
        let shared = Arc::new(Shared::new(events, commands));
        shared.set_sif_trailer(config.sif_trailer.clone());
        let control = Control::new(&config, Arc::clone(&shared))?;
        let thread = thread::Builder::new()
            .name("transport".into())
            .spawn(move || control.run(&received))
            .map_err(pipeline_error)?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Sends a command and waits for its result.
    fn call<T>(
        &self,
        command: impl FnOnce(mpsc::SyncSender<T>) -> Command,
    ) -> Result<T, TransportError> {
        let (reply, result) = mpsc::sync_channel(1);
        self.shared.command(command(reply));
        // The sender is dropped unused when the thread has ended.
        result.recv().map_err(|_| TransportError::Closed)
    }
}

impl Transport for WebRtcBin {
    fn add_track(&self, track: PublishTrack) -> Result<String, TransportError> {
        self.call(|reply| Command::AddTrack { track, reply })?
    }

    fn remove_track(&self, local: LocalTrackId) -> Result<(), TransportError> {
        self.call(|reply| Command::RemoveTrack { local, reply })?
    }

    fn negotiate(&self) {
        self.shared.command(Command::Negotiate);
    }

    fn push(&self, local: LocalTrackId, frame: gst::Buffer) {
        publish::push(&self.shared, local, frame);
    }

    fn remote_offer(&self, offer: RemoteOffer) {
        self.shared.command(Command::RemoteOffer(offer));
    }

    fn remote_answer(&self, sdp: String, id: u32) {
        self.shared.command(Command::RemoteAnswer { sdp, id });
    }

    fn remote_candidate(&self, target: Target, init_json: String) {
        self.shared
            .command(Command::RemoteCandidate { target, init_json });
    }

    fn set_ice_servers(&self, servers: Vec<IceServer>) {
        self.shared.command(Command::SetIceServers(servers));
    }

    fn set_sif_trailer(&self, trailer: Vec<u8>) {
        self.shared.set_sif_trailer(trailer);
    }

    fn request_key_frame(&self, sid: &str) {
        self.shared.command(Command::RequestKeyFrame(sid.into()));
    }

    fn send_data(&self, reliable: bool, bytes: Vec<u8>) -> Result<(), TransportError> {
        data::send(&self.shared, reliable, bytes)
    }

    fn restart_ice(&self) {
        self.shared.command(Command::RestartIce);
    }

    fn stats(&self) -> TransportStats {
        self.shared.stats()
    }

    fn close(&self) {
        // From now on nothing passes, even before the thread gets to it.
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.command(Command::Close);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // An event function that drops the last reference runs on that thread itself.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!("the transport's thread panicked");
            }
        }
    }
}

impl Drop for WebRtcBin {
    fn drop(&mut self) {
        self.close();
    }
}

/// Makes the DTLS key of the process in the background, which takes up to a second and would
/// otherwise delay the first offer. All connections share it.
pub fn warm_up() {
    let spawned = thread::Builder::new().name("dtls-key".into()).spawn(|| {
        if plugins::gst_init().is_err() {
            return;
        }
        match gst::ElementFactory::make("dtlsdec").build() {
            // NULL to READY makes the key; it belongs to the process and outlives the element.
            Ok(element) => {
                let _ = element.set_state(gst::State::Ready);
                let _ = element.set_state(gst::State::Null);
            }
            Err(error) => tracing::warn!(%error, "no DTLS element"),
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "the DTLS key will be made at the first offer");
    }
}

fn pipeline_error(error: impl std::fmt::Display) -> TransportError {
    TransportError::Pipeline(error.to_string())
}
