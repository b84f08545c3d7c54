// SPDX-License-Identifier: MIT OR Apache-2.0

//! The data channels `_reliable` and `_lossy`.

use std::sync::{Arc, atomic::Ordering};

use gst::{glib, prelude::*};
use gst_webrtc::WebRTCDataChannel;

use super::control::Command;
use super::shared::{Shared, lock};
use crate::transport::{Target, TransportError, TransportEvent};

/// LiveKit carries 65 535 bytes; 66 000 vanish without an error.
const MAX_MESSAGE: usize = 64_000;
/// More than this waiting to be sent is congestion.
const MAX_BUFFERED: u64 = 1 << 20;

/// The publisher's channels, once they are open.
#[derive(Default)]
pub(super) struct Channels {
    reliable: Option<WebRTCDataChannel>,
    lossy: Option<WebRTCDataChannel>,
}

impl Channels {
    pub(super) fn are_open(&self) -> bool {
        self.reliable.is_some() && self.lossy.is_some()
    }
}

/// Creates both channels on the publisher, which has to be at least `READY`.
pub(super) fn create(webrtc: &gst::Element, shared: &Arc<Shared>) -> Result<(), TransportError> {
    let lossy_options = gst::Structure::builder("options")
        .field("ordered", false)
        .field("max-retransmits", 0)
        .build();
    let reliable_options = gst::Structure::builder("options")
        .field("ordered", true)
        .build();
    for (label, reliable, options) in [
        ("_reliable", true, reliable_options),
        ("_lossy", false, lossy_options),
    ] {
        let channel = webrtc
            .emit_by_name::<Option<WebRTCDataChannel>>("create-data-channel", &[&label, &options])
            .ok_or_else(|| TransportError::Pipeline(format!("no data channel {label}")))?;
        // Its `ready-state` is no valid value before it opens, so only the signal is asked.
        channel.connect_on_open(glib::clone!(
            #[weak]
            shared,
            move |channel| {
                let mut channels = lock(&shared.channels);
                let slot = if reliable {
                    &mut channels.reliable
                } else {
                    &mut channels.lossy
                };
                *slot = Some(channel.clone());
                drop(channels);
                shared.command(Command::ChannelOpen);
            }
        ));
        receive(&channel, Target::Publisher, reliable, shared);
    }
    Ok(())
}

/// Takes messages of a channel that the service created.
pub(super) fn accept(channel: &WebRTCDataChannel, shared: &Arc<Shared>) {
    match channel.label().as_deref() {
        Some("_reliable") => receive(channel, Target::Subscriber, true, shared),
        Some("_lossy") => receive(channel, Target::Subscriber, false, shared),
        // `_data_track` and whatever comes later has a framing of its own.
        label => tracing::debug!(label, "data channel ignored"),
    }
}

/// Sends a message on one of the publisher's channels.
pub(super) fn send(shared: &Shared, reliable: bool, bytes: Vec<u8>) -> Result<(), TransportError> {
    if shared.closed.load(Ordering::SeqCst) {
        return Err(TransportError::Closed);
    }
    if bytes.len() > MAX_MESSAGE {
        return Err(TransportError::DataTooLong {
            len: bytes.len(),
            max: MAX_MESSAGE,
        });
    }
    let channel = {
        let channels = lock(&shared.channels);
        if reliable {
            channels.reliable.clone()
        } else {
            channels.lossy.clone()
        }
    };
    let channel = channel
        .filter(|_| shared.is_open(Target::Publisher))
        .ok_or(TransportError::DataNotOpen)?;
    if channel.buffered_amount() > MAX_BUFFERED {
        return Err(TransportError::DataCongested);
    }
    channel
        .send_data_full(Some(&glib::Bytes::from_owned(bytes)))
        .map_err(|error| TransportError::Pipeline(error.to_string()))
}

fn receive(channel: &WebRTCDataChannel, target: Target, reliable: bool, shared: &Arc<Shared>) {
    channel.connect_on_message_data(glib::clone!(
        #[weak]
        shared,
        move |_, bytes| {
            // Before the peer is verified a message could be anybody's.
            if let Some(bytes) = bytes.filter(|_| shared.is_open(target)) {
                shared.data_received.fetch_add(1, Ordering::Relaxed);
                shared.emit(TransportEvent::Data {
                    reliable,
                    bytes: bytes.to_vec(),
                });
            }
        }
    ));
}
