// SPDX-License-Identifier: MIT OR Apache-2.0

//! One `webrtcbin` in its pipeline, and what is known of its peer.

use std::{
    sync::{Arc, atomic::Ordering, mpsc},
    time::Duration,
};

use gst::{glib, prelude::*};
use gst_webrtc::{
    WebRTCDTLSTransport, WebRTCDataChannel, WebRTCICE, WebRTCPeerConnectionState,
    WebRTCRTPTransceiver, WebRTCSCTPTransport, WebRTCSDPType, WebRTCSessionDescription,
};

use super::{
    WebRtcConfig,
    control::Command,
    flight,
    nice::{self, Credentials},
    pipeline_error,
    shared::Shared,
};
use crate::{
    clock, graph,
    sdp::{self, Description, Fingerprint, Known},
    transport::{IceServer, Refusal, Target, TransportError},
};

/// How long `webrtcbin` may think about a description; usually it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time that the jitter buffer waits for a retransmission. What comes in order is not delayed.
const LATENCY_MS: u32 = 200;

/// Packets in a row with which a stream begins at once. Without it the first picture of every track
/// waits for [`LATENCY_MS`], in case an earlier packet were still to come.
const FAST_START: u32 = 3;

/// Candidates per connection; more is no real service.
const MAX_CANDIDATES: usize = 256;

/// Streams of packets per connection; more is no real meeting, and each takes threads.
const MAX_STREAMS: u32 = 512;

/// Bits per second that RTCP may be computed from: high enough that feedback goes out at once.
const RTCP_BANDWIDTH: f64 = 4e6;

pub(super) struct Peer {
    pub(super) target: Target,
    pub(super) pipeline: gst::Pipeline,
    pub(super) webrtc: gst::Element,
    /// What the service's descriptions said so far.
    pub(super) known: Known,
    fingerprint: Option<Fingerprint>,
    remote_ufrag: Option<String>,
    /// Credentials after an ICE restart, of which `webrtcbin` does not know.
    credentials: Option<Credentials>,
    /// Our candidates, which stay good over a restart but have to be told again.
    local_candidates: Vec<String>,
    /// Candidates that came before the first description.
    waiting: Vec<String>,
    candidates: usize,
}

impl Peer {
    pub(super) fn new(
        target: Target,
        config: &WebRtcConfig,
        shared: &Arc<Shared>,
    ) -> Result<Self, TransportError> {
        let pipeline = gst::Pipeline::with_name(&format!("{target}"));
        clock::join(&pipeline);
        let webrtc = gst::ElementFactory::make("webrtcbin")
            // LiveKit gives up on anything but max-bundle.
            .property_from_str("bundle-policy", "max-bundle")
            .property("latency", LATENCY_MS)
            .build()
            .map_err(pipeline_error)?;
        if config.relay_only {
            webrtc.set_property_from_str("ice-transport-policy", "relay");
        }
        pipeline.add(&webrtc).map_err(pipeline_error)?;
        let peer = Self {
            target,
            pipeline,
            webrtc,
            known: Known::default(),
            fingerprint: None,
            remote_ufrag: None,
            credentials: None,
            local_candidates: Vec::new(),
            waiting: Vec::new(),
            candidates: 0,
        };
        peer.prepare_ice(config);
        peer.watch_ice(shared);
        peer.connect_signals(shared);
        peer.watch_bus(shared);
        Ok(peer)
    }

    pub(super) fn play(&self) -> Result<(), TransportError> {
        self.pipeline
            .set_state(gst::State::Playing)
            .map_err(pipeline_error)?;
        Ok(())
    }

    /// Draws the connection, where drawings are wanted.
    pub(super) fn draw(&self) {
        graph::draw(&self.pipeline);
    }

    pub(super) fn recalculate_latency(&self) {
        if let Err(error) = self.pipeline.recalculate_latency() {
            tracing::debug!(target = %self.target, %error, "latency not calculated");
        }
    }

    pub(super) fn stop(&self) {
        self.end_incoming_data();
        if let Err(error) = self.pipeline.set_state(gst::State::Null) {
            tracing::warn!(target = %self.target, %error, "pipeline did not stop");
        }
    }

    /// Lets no data reach SCTP any more.
    ///
    /// `sctpdec` ends the process (an assertion in its `on_receive`) when a first message of a
    /// stream comes in after its association began to close: whoever sends at the right moment
    /// would take the box down.
    fn end_incoming_data(&self) {
        let Some(bin) = self.webrtc.downcast_ref::<gst::Bin>() else {
            return;
        };
        let decoders = bin
            .iterate_recurse()
            .into_iter()
            .flatten()
            .filter(|element| {
                element
                    .factory()
                    .is_some_and(|factory| factory.name() == "sctpdec")
            });
        for pad in decoders.filter_map(|decoder| decoder.static_pad("sink")) {
            pad.add_probe(
                gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
                // Not Drop: the bindings free the buffer themselves, and GStreamer would again.
                |_, _| gst::PadProbeReturn::Handled,
            );
            // What got past before the probe stood is through once the stream can be locked.
            drop(pad.stream_lock());
        }
    }

    fn agent(&self) -> glib::Object {
        // `property` takes a reference of its own and does not sink the floating object, which
        // belongs to `webrtcbin`.
        self.webrtc
            .property::<WebRTCICE>("ice-agent")
            .property("agent")
    }

    fn prepare_ice(&self, config: &WebRtcConfig) {
        // Otherwise libnice runs an HTTP server and searches the network for routers to open.
        self.agent().set_property("upnp", false);
        if config.loopback {
            let added = self
                .webrtc
                .property::<WebRTCICE>("ice-agent")
                .emit_by_name::<bool>("add-local-ip-address", &[&"127.0.0.1"]);
            if !added {
                tracing::warn!("ICE does not take the loopback address");
            }
        } else {
            self.set_ice_servers(&config.ice_servers);
        }
    }

    /// Notes whether there is a way to the peer. `webrtcbin`'s own `ice-connection-state` stays at
    /// `new` while there is nothing but data.
    fn watch_ice(&self, shared: &Arc<Shared>) {
        let target = self.target;
        let shared = Arc::downgrade(shared);
        self.agent()
            .connect("component-state-changed", false, move |values| {
                let state = values[3].get::<u32>().ok()?;
                let reached = [nice::CONNECTED, nice::READY].contains(&state);
                let shared = shared.upgrade()?;
                let gate = shared.gate(target);
                gate.reached.store(reached, Ordering::Relaxed);
                None
            });
    }

    pub(super) fn set_ice_servers(&self, servers: &[IceServer]) {
        for server in servers {
            for url in &server.urls {
                self.add_ice_server(url, server);
            }
        }
    }

    fn add_ice_server(&self, url: &str, server: &IceServer) {
        let Some((scheme, rest)) = url.split_once(':') else {
            tracing::warn!(url, "ICE server without a scheme ignored");
            return;
        };
        match scheme {
            "stun" => self
                .webrtc
                .set_property("stun-server", format!("stun://{rest}")),
            "turn" => {
                let user = percent_encode(&server.username);
                let password = percent_encode(&server.credential);
                let uri = format!("turn://{user}:{password}@{rest}");
                if !self.webrtc.emit_by_name::<bool>("add-turn-server", &[&uri]) {
                    tracing::warn!(url, "TURN server not accepted");
                }
            }
            "stuns" | "turns" => tracing::warn!(
                url,
                "this box speaks no TLS to STUN and TURN servers and does not use this one; where \
                 its network lets no media through otherwise, have the meeting service name a \
                 server with turn: over UDP or TCP too (LiveKit: rtc.turn_servers, protocol tcp)"
            ),
            _ => tracing::warn!(url, "ICE server of unknown scheme ignored"),
        }
    }

    fn connect_signals(&self, shared: &Arc<Shared>) {
        let target = self.target;
        self.webrtc.connect("on-ice-candidate", false, {
            let shared = Arc::downgrade(shared);
            move |values| {
                let index = values[1].get::<u32>().ok()?;
                let candidate = values[2].get::<String>().ok()?;
                shared.upgrade()?.command(Command::LocalCandidate {
                    target,
                    index,
                    candidate,
                });
                None
            }
        });
        self.webrtc.connect_notify(
            Some("connection-state"),
            glib::clone!(
                #[weak]
                shared,
                move |_, _| shared.command(Command::ConnectionState { target })
            ),
        );
        self.webrtc.connect("on-data-channel", false, {
            let shared = Arc::downgrade(shared);
            move |values| {
                let channel = values[1].get::<WebRTCDataChannel>().ok()?;
                // Handlers have to be there when this returns, or the first message is missed.
                super::data::accept(&channel, &shared.upgrade()?);
                None
            }
        });
        // Everything that ICE delivers comes through `nicesrc`: the one place that shows whether
        // the peer is alive.
        let bin = self
            .webrtc
            .downcast_ref::<gst::Bin>()
            .expect("webrtcbin is a bin");
        bin.connect_deep_element_added(glib::clone!(
            #[weak]
            shared,
            move |_, _, element| {
                if element.has_property_with_type("max-streams", u32::static_type()) {
                    element.set_property("max-streams", MAX_STREAMS);
                }
                if element.has_property_with_type("rtx-next-seqnum", bool::static_type()) {
                    // A packet counts as missing when a later one has come, not when it is merely
                    // expected: otherwise the jitter buffer writes off the first packet after
                    // every pause of a sender (its own timer says "lost" before it is sent).
                    element.set_property("rtx-next-seqnum", false);
                }
                if element.has_property_with_type("faststart-min-packets", u32::static_type()) {
                    element.set_property("faststart-min-packets", FAST_START);
                }
                let is = |name| {
                    element
                        .factory()
                        .is_some_and(|factory| factory.name() == name)
                };
                let Some(pad) = element.static_pad("src") else {
                    return;
                };
                if is("dtlsenc") {
                    flight::mend(&pad);
                }
                if !is("nicesrc") {
                    return;
                }
                let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
                pad.add_probe(
                    kinds,
                    glib::clone!(
                        #[weak]
                        shared,
                        #[upgrade_or]
                        gst::PadProbeReturn::Remove,
                        move |_, info| {
                            let count = info.buffer_list().map_or(1, |list| list.len() as u64);
                            shared.gate(target).packet_received(count);
                            gst::PadProbeReturn::Ok
                        }
                    ),
                );
            }
        ));
    }

    fn watch_bus(&self, shared: &Arc<Shared>) {
        let target = self.target;
        let bus = self.pipeline.bus().expect("a pipeline has a bus");
        let shared = Arc::downgrade(shared);
        bus.set_sync_handler(move |_, message| {
            if let gst::MessageView::Latency(_) = message.view() {
                // Without a known latency `rtpbin` can tell nobody when a packet was captured.
                if let Some(shared) = shared.upgrade() {
                    shared.command(Command::Latency { target });
                }
            } else if let gst::MessageView::Error(error) = message.view() {
                let source = message.src().map(|source| source.name().to_string());
                let source = source.unwrap_or_default();
                // Both complain whenever the service closes first.
                if source.starts_with("sctp") || source.starts_with("dtls") {
                    tracing::debug!(%target, source, error = %error.error(), "peer closed");
                } else if let Some(shared) = shared.upgrade() {
                    let reason = format!("{source}: {}", error.error());
                    shared.command(Command::PipelineError { target, reason });
                }
            }
            gst::BusSyncReply::Drop
        });
    }

    /// Asks `webrtcbin` for something that it answers by a promise.
    fn ask(
        &self,
        signal: &str,
        argument: &dyn ToValue,
    ) -> Result<Option<gst::Structure>, TransportError> {
        let (sender, reply) = mpsc::sync_channel(1);
        let promise = gst::Promise::with_change_func(move |reply| {
            // The reply belongs to the promise and is copied here.
            let reply = match reply {
                Ok(reply) => Ok(reply.map(gst::StructureRef::to_owned)),
                Err(error) => Err(format!("{error:?}")),
            };
            let _ = sender.send(reply);
        });
        let argument = argument.to_value();
        self.webrtc
            .emit_by_name_with_values(signal, &[argument, promise.to_value()]);
        let failed = |what: String| TransportError::Pipeline(format!("{signal}: {what}"));
        let reply = reply
            .recv_timeout(PATIENCE)
            .map_err(|_| failed("no reply".into()))?
            .map_err(failed)?;
        if let Some(error) = reply
            .as_ref()
            .and_then(|reply| reply.get::<glib::Error>("error").ok())
        {
            return Err(failed(error.to_string()));
        }
        Ok(reply)
    }

    fn describe(&self, signal: &str, field: &str) -> Result<Description, TransportError> {
        let reply = self.ask(signal, &None::<gst::Structure>)?;
        let description = reply
            .and_then(|reply| reply.get::<WebRTCSessionDescription>(field).ok())
            .ok_or_else(|| TransportError::Pipeline(format!("{signal}: no {field}")))?;
        let text = description.sdp().as_text().map_err(pipeline_error)?;
        let mut description = Description::parse(&text).map_err(pipeline_error)?;
        if let Some(Credentials { ufrag, pwd }) = &self.credentials {
            description.set_ice_credentials(ufrag, pwd);
        }
        Ok(description)
    }

    pub(super) fn create_offer(&self) -> Result<Description, TransportError> {
        self.describe("create-offer", "offer")
    }

    pub(super) fn create_answer(&self) -> Result<Description, TransportError> {
        self.describe("create-answer", "answer")
    }

    pub(super) fn set_local(
        &self,
        kind: WebRTCSDPType,
        description: &Description,
    ) -> Result<(), TransportError> {
        self.set("set-local-description", kind, description)
    }

    /// Hands an accepted description to `webrtcbin`, then the candidates that waited for it.
    pub(super) fn set_remote(
        &mut self,
        kind: WebRTCSDPType,
        description: &Description,
        fingerprint: Fingerprint,
    ) -> Result<(), TransportError> {
        self.set("set-remote-description", kind, description)?;
        self.fingerprint = Some(fingerprint);
        self.remote_ufrag = description.ice_ufrag().map(str::to_owned);
        self.tune_rtcp();
        for candidate in std::mem::take(&mut self.waiting) {
            self.add_candidate(&candidate);
        }
        Ok(())
    }

    fn set(
        &self,
        signal: &str,
        kind: WebRTCSDPType,
        description: &Description,
    ) -> Result<(), TransportError> {
        let message = gst_sdp::SDPMessage::parse_buffer(description.to_string().as_bytes())
            .map_err(pipeline_error)?;
        self.ask(signal, &WebRTCSessionDescription::new(kind, message))?;
        Ok(())
    }

    /// Whether a description of the service was set.
    pub(super) fn is_negotiated(&self) -> bool {
        self.fingerprint.is_some()
    }

    /// Whether a description restarts ICE.
    pub(super) fn is_restart(&self, description: &Description) -> bool {
        self.remote_ufrag
            .as_deref()
            .is_some_and(|last| description.ice_ufrag() != Some(last))
    }

    /// Starts ICE anew; the next description carries the new credentials.
    pub(super) fn restart_ice(&mut self) -> bool {
        let Some(credentials) = nice::restart(&self.agent()) else {
            return false;
        };
        self.credentials = Some(credentials);
        self.candidates = 0;
        true
    }

    /// Remembers a candidate of ours.
    pub(super) fn local_candidate(&mut self, init_json: &str) {
        self.local_candidates.push(init_json.to_owned());
    }

    /// All our candidates so far.
    pub(super) fn local_candidates(&self) -> Vec<String> {
        self.local_candidates.clone()
    }

    pub(super) fn candidate(&mut self, candidate: String) {
        self.candidates += 1;
        if self.candidates > MAX_CANDIDATES {
            tracing::warn!(target = %self.target, "too many ICE candidates; ignored");
        } else if !self.is_negotiated() {
            self.waiting.push(candidate);
        } else {
            self.add_candidate(&candidate);
        }
    }

    fn add_candidate(&self, candidate: &str) {
        self.webrtc
            .emit_by_name::<()>("add-ice-candidate", &[&0u32, &candidate]);
    }

    pub(super) fn state(&self) -> WebRTCPeerConnectionState {
        self.webrtc.property("connection-state")
    }

    /// Compares the certificate of the peer with the fingerprint of its description, which
    /// `webrtcbin` before 1.28 does not do.
    pub(super) fn check_certificate(&self) -> Result<(), Refusal> {
        let target = self.target;
        let announced = self.fingerprint.ok_or(Refusal::NoCertificate { target })?;
        let transports = self.dtls_transports();
        if transports.is_empty() {
            return Err(Refusal::NoCertificate { target });
        }
        for transport in transports {
            let found = transport
                .remote_certificate()
                .and_then(|pem| sdp::certificate_fingerprint(&pem))
                .ok_or(Refusal::NoCertificate { target })?;
            if found != announced {
                return Err(Refusal::Fingerprint {
                    target,
                    found: found.to_string(),
                    announced: announced.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Everything is bundled, so this is one; were it more, each would have to be right.
    fn dtls_transports(&self) -> Vec<WebRTCDTLSTransport> {
        let mut transports = Vec::new();
        let sctp = self
            .webrtc
            .property::<Option<WebRTCSCTPTransport>>("sctp-transport");
        transports.extend(sctp.and_then(|sctp| sctp.transport()));
        for index in 0..self.known.media_sections() {
            let transceiver = self.webrtc.emit_by_name::<Option<WebRTCRTPTransceiver>>(
                "get-transceiver",
                &[&(index as i32)],
            );
            let Some(transceiver) = transceiver else {
                break;
            };
            transports.extend(transceiver.sender().and_then(|sender| sender.transport()));
            transports.extend(
                transceiver
                    .receiver()
                    .and_then(|receiver| receiver.transport()),
            );
        }
        transports.sort_by_key(|transport| transport.as_ptr());
        transports.dedup();
        transports
    }

    pub(super) fn rtpbin(&self) -> Option<gst::Element> {
        self.webrtc
            .downcast_ref::<gst::Bin>()
            .and_then(|bin| bin.by_name("rtpbin"))
    }

    /// The element of the only RTP session, once there is one.
    pub(super) fn session_element(&self) -> Option<gst::Element> {
        self.rtpbin()?.emit_by_name("get-session", &[&0u32])
    }

    /// What that element is built on.
    fn session(&self) -> Option<glib::Object> {
        self.rtpbin()?
            .emit_by_name("get-internal-session", &[&0u32])
    }

    /// Feedback goes out at once: otherwise a NACK waits until it is of no use.
    fn tune_rtcp(&self) {
        if let Some(session) = self.session() {
            session.set_property("bandwidth", RTCP_BANDWIDTH);
            session.set_property("rtcp-reduced-size", true);
        }
    }
}

/// User names and passwords may have any character, the server's address may not (RFC 3986 §2.1).
fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_percent_encoded() {
        assert_eq!(
            percent_encode("1795310577:box@Ü"),
            "1795310577%3Abox%40%C3%9C"
        );
    }
}
