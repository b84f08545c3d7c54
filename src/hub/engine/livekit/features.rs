// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a LiveKit server can do beside meetings, as far as the services for it are set up there: record, send on, call
//! telephones and room systems, and let agents listen.

use livekit_protocol as proto;
use livekit_protocol::egress_info::Request;
use livekit_protocol::participant_info::Kind;
use livekit_protocol::sip_dispatch_rule::Rule;

use super::LiveKit;
use super::call::{CallError, Grants};
use super::programs::{RECORD, TELEPHONES};
use crate::entry;
use crate::people::draw;

/// Why a feature does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Start {
    /// Something has to be said about it.
    #[error("{0}")]
    Ask(&'static str),
    /// Nothing there does it.
    #[error("nothing is set up at the LiveKit server that does it; ask who runs the hub")]
    NotSetUp,
    /// The server does not want to.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Which services the server has.
#[derive(Clone, Copy, Debug, Default)]
struct Services {
    egress: bool,
    calls_in: bool,
    calls_out: bool,
}

impl LiveKit {
    /// The names of the features that can be started in a room.
    pub(crate) async fn offers(&self, room: &str) -> Result<Vec<String>, CallError> {
        let services = self.services(room).await?;
        let mut names: Vec<String> = self.agents.iter().map(|(name, _)| name.clone()).collect();
        for (name, is_there) in [
            ("cloud-recording", services.egress),
            ("stream-out", services.egress),
            ("phone-dial-in", services.calls_in),
            ("sip", services.calls_out),
        ] {
            if is_there {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Starts a feature: what the server calls it, and the number that callers type, if they do.
    pub(crate) async fn start(
        &self,
        room: &str,
        feature: &str,
        to: Option<&str>,
    ) -> Result<(String, Option<String>), Start> {
        match feature {
            "cloud-recording" => Ok((self.record(room).await?, None)),
            "stream-out" => {
                let to = to.filter(|to| is_stream(to)).ok_or(Start::Ask(STREAM))?;
                Ok((self.send_on(room, to).await?, None))
            }
            "phone-dial-in" => {
                let (id, pin) = self.let_call(room).await?;
                Ok((id, Some(pin)))
            }
            "sip" => {
                let to = to.filter(|to| !to.is_empty()).ok_or(Start::Ask(NUMBER))?;
                Ok((self.ring(room, to).await?, None))
            }
            _ => Ok((self.send_agent(room, feature).await?, None)),
        }
    }

    /// Stops a feature in a room: whether it ran.
    pub(crate) async fn stop(&self, room: &str, feature: &str) -> Result<bool, CallError> {
        let stopped = match feature {
            "cloud-recording" => self.stop_egress(room, |one| !sends_on(one)).await,
            "stream-out" => self.stop_egress(room, sends_on).await,
            "phone-dial-in" => self.let_nobody_call(room).await,
            "sip" => self.hang_up(room).await,
            _ => {
                let mut agents = self.agents.iter();
                match agents.find(|(name, _)| name == feature) {
                    Some((_, agent)) => self.dismiss_agents(room, |name| name == agent).await,
                    None => Ok(0),
                }
            }
        };
        match stopped {
            // A server without the service for it.
            Err(CallError::NotSetUp(_)) => Ok(false),
            stopped => Ok(stopped? > 0),
        }
    }

    async fn services(&self, room: &str) -> Result<Services, CallError> {
        let is_there = |answer: Result<bool, CallError>| match answer {
            // What it cannot even list, it does not do.
            Err(CallError::NotSetUp(_) | CallError::Refused(_) | CallError::NotFound(_)) => {
                Ok(false)
            }
            other => other,
        };
        Ok(Services {
            egress: is_there(self.egress(room).await.map(|_| true))?,
            calls_in: is_there(self.ways_in().await.map(|ways| !ways.is_empty()))?,
            calls_out: is_there(self.ways_out().await.map(|ways| !ways.is_empty()))?,
        })
    }

    async fn record(&self, room: &str) -> Result<String, CallError> {
        let file = proto::EncodedFileOutput {
            // The service fills these in.
            filepath: "{room_name}-{time}".to_owned(),
            ..Default::default()
        };
        let request = proto::RoomCompositeEgressRequest {
            room_name: room.to_owned(),
            file_outputs: vec![file],
            ..Default::default()
        };
        self.start_egress(&request).await
    }

    async fn send_on(&self, room: &str, to: &str) -> Result<String, CallError> {
        let protocol = if to.starts_with("srt") {
            proto::StreamProtocol::Srt
        } else {
            proto::StreamProtocol::Rtmp
        };
        let stream = proto::StreamOutput {
            protocol: protocol as i32,
            urls: vec![to.to_owned()],
        };
        let request = proto::RoomCompositeEgressRequest {
            room_name: room.to_owned(),
            stream_outputs: vec![stream],
            ..Default::default()
        };
        self.start_egress(&request).await
    }

    async fn start_egress(
        &self,
        request: &proto::RoomCompositeEgressRequest,
    ) -> Result<String, CallError> {
        let started: proto::EgressInfo = self
            .call("Egress/StartRoomCompositeEgress", RECORD, request)
            .await?;
        Ok(started.egress_id)
    }

    /// Lets telephones into a room that know its number.
    async fn let_call(&self, room: &str) -> Result<(String, String), Start> {
        let ways = self.ways_in().await?;
        if ways.is_empty() {
            return Err(Start::NotSetUp);
        }
        let mut random = [0; 4];
        draw(&mut random);
        let pin = format!("{:08}", u32::from_le_bytes(random) % 100_000_000);
        let direct = proto::SipDispatchRuleDirect {
            room_name: room.to_owned(),
            pin: pin.clone(),
        };
        let rule = proto::SipDispatchRuleInfo {
            rule: Some(proto::SipDispatchRule {
                rule: Some(Rule::DispatchRuleDirect(direct)),
            }),
            trunk_ids: ways,
            hide_phone_number: true,
            name: room.to_owned(),
            ..Default::default()
        };
        let request = proto::CreateSipDispatchRuleRequest {
            dispatch_rule: Some(rule),
            ..Default::default()
        };
        let made: proto::SipDispatchRuleInfo = self
            .call("SIP/CreateSIPDispatchRule", TELEPHONES, &request)
            .await?;
        Ok((made.sip_dispatch_rule_id, pin))
    }

    /// Takes back what [`LiveKit::let_call`] made for a room.
    async fn let_nobody_call(&self, room: &str) -> Result<usize, CallError> {
        let request = proto::ListSipDispatchRuleRequest::default();
        let answer: proto::ListSipDispatchRuleResponse = self
            .call("SIP/ListSIPDispatchRule", TELEPHONES, &request)
            .await?;
        let leads_here = |rule: &proto::SipDispatchRuleInfo| {
            let rule = rule.rule.as_ref().and_then(|rule| rule.rule.as_ref());
            matches!(rule, Some(Rule::DispatchRuleDirect(direct)) if direct.room_name == room)
        };
        let rules: Vec<_> = answer.items.into_iter().filter(leads_here).collect();
        for rule in &rules {
            let request = proto::DeleteSipDispatchRuleRequest {
                sip_dispatch_rule_id: rule.sip_dispatch_rule_id.clone(),
            };
            let _: proto::SipDispatchRuleInfo = self
                .call("SIP/DeleteSIPDispatchRule", TELEPHONES, &request)
                .await?;
        }
        Ok(rules.len())
    }

    /// Puts out telephones and room systems.
    async fn hang_up(&self, room: &str) -> Result<usize, CallError> {
        let administer = Grants::administer(room);
        let request = proto::ListParticipantsRequest { room: room.into() };
        let answer: proto::ListParticipantsResponse = self
            .call("RoomService/ListParticipants", administer, &request)
            .await?;
        let calls = answer.participants.into_iter();
        let calls: Vec<_> = calls.filter(|one| one.kind() == Kind::Sip).collect();
        for call in &calls {
            let request = proto::RoomParticipantIdentity {
                room: room.into(),
                identity: call.identity.clone(),
                ..Default::default()
            };
            let _: proto::RemoveParticipantResponse = self
                .call("RoomService/RemoveParticipant", administer, &request)
                .await?;
        }
        Ok(calls.len())
    }

    /// Calls a telephone or room system.
    async fn ring(&self, room: &str, to: &str) -> Result<String, Start> {
        let ways = self.ways_out().await?;
        let request = proto::CreateSipParticipantRequest {
            sip_trunk_id: ways.into_iter().next().ok_or(Start::NotSetUp)?,
            sip_call_to: to.to_owned(),
            room_name: room.to_owned(),
            participant_identity: entry::drawn("sip-"),
            participant_name: to.to_owned(),
            play_dialtone: true,
            ..Default::default()
        };
        let called: proto::SipParticipantInfo = self
            .call("SIP/CreateSIPParticipant", TELEPHONES, &request)
            .await?;
        Ok(called.participant_identity)
    }

    /// Sends the agent that does it.
    async fn send_agent(&self, room: &str, feature: &str) -> Result<String, Start> {
        let agent = self.agents.iter().find(|(name, _)| name == feature);
        let (_, agent) = agent.ok_or(Start::NotSetUp)?;
        let request = proto::CreateAgentDispatchRequest {
            agent_name: agent.clone(),
            room: room.to_owned(),
            ..Default::default()
        };
        let administer = Grants::administer(room);
        let sent: proto::AgentDispatch = self
            .call("AgentDispatchService/CreateDispatch", administer, &request)
            .await?;
        Ok(sent.id)
    }

    /// Lines on which telephones call in.
    async fn ways_in(&self) -> Result<Vec<String>, CallError> {
        let request = proto::ListSipInboundTrunkRequest::default();
        let answer: proto::ListSipInboundTrunkResponse = self
            .call("SIP/ListSIPInboundTrunk", TELEPHONES, &request)
            .await?;
        let trunks = answer.items.into_iter();
        Ok(trunks.map(|trunk| trunk.sip_trunk_id).collect())
    }

    /// Lines on which telephones are called.
    async fn ways_out(&self) -> Result<Vec<String>, CallError> {
        let request = proto::ListSipOutboundTrunkRequest::default();
        let answer: proto::ListSipOutboundTrunkResponse = self
            .call("SIP/ListSIPOutboundTrunk", TELEPHONES, &request)
            .await?;
        let trunks = answer.items.into_iter();
        Ok(trunks.map(|trunk| trunk.sip_trunk_id).collect())
    }
}

/// Whether it sends a meeting on, rather than recording it.
fn sends_on(egress: &proto::EgressInfo) -> bool {
    match &egress.request {
        Some(Request::RoomComposite(asked)) => !asked.stream_outputs.is_empty(),
        _ => !egress.stream_results.is_empty(),
    }
}

const STREAM: &str =
    "to: send the address that the meeting is sent on to, as in rtmps://live.example.org/app/key";
const NUMBER: &str = "to: send the number or the address that is called";

fn is_stream(to: &str) -> bool {
    ["rtmp://", "rtmps://", "srt://"]
        .iter()
        .any(|scheme| to.starts_with(scheme))
}
