// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that work for a room at a LiveKit server: they are stopped when encryption goes on, beside being put out.
//!
//! A server on its own has none of the services for them, and says so; then there is nothing to stop.

use livekit_protocol as proto;

use super::LiveKit;
use super::call::{CallError, Grants};

impl LiveKit {
    /// Stops whatever records, sends on, comes in as a stream or listens, in this room.
    pub(crate) async fn sweep(&self, room: &str) {
        self.note(room, |seen| seen.is_swept = true);
        let tried = [
            (
                "recordings and streams",
                self.stop_egress(room, |_| true).await,
            ),
            ("streams from outside", self.switch_off_ingress(room).await),
            ("agents", self.dismiss_agents(room, |_| true).await),
        ];
        for (what, stopped) in tried {
            match stopped {
                Ok(0) => {}
                Ok(count) => tracing::info!(room, count, "encryption is on: {what} are stopped"),
                // A server without them.
                Err(CallError::NotSetUp(_)) => {}
                Err(error) => {
                    // The next look tries again.
                    self.note(room, |seen| seen.is_swept = false);
                    tracing::warn!(room, %error, "{what} cannot be stopped");
                }
            }
        }
    }

    /// Whether programs were stopped since encryption went on.
    pub(crate) fn is_swept(&self, room: &str) -> bool {
        self.seen().get(room).is_some_and(|seen| seen.is_swept)
    }

    /// Invites again whom encryption kept out; nobody comes back by that alone.
    pub(crate) async fn invite_again(&self, room: &str) {
        let mut switched_off = Vec::new();
        self.note(room, |seen| {
            seen.is_swept = false;
            switched_off = std::mem::take(&mut seen.switched_off);
        });
        for id in switched_off {
            if let Err(error) = self.switch_ingress(&id, true).await {
                tracing::warn!(room, %error, "a stream from outside cannot be invited again");
            }
        }
    }

    /// Stops what records a room or sends it on, as far as it is meant: how many.
    pub(super) async fn stop_egress(
        &self,
        room: &str,
        is_meant: impl Fn(&proto::EgressInfo) -> bool,
    ) -> Result<usize, CallError> {
        let mut running = self.egress(room).await?;
        running.retain(is_meant);
        for one in &running {
            let request = proto::StopEgressRequest {
                egress_id: one.egress_id.clone(),
            };
            let _: proto::EgressInfo = self.call("Egress/StopEgress", RECORD, &request).await?;
        }
        Ok(running.len())
    }

    /// What records a room or sends it on.
    pub(super) async fn egress(&self, room: &str) -> Result<Vec<proto::EgressInfo>, CallError> {
        let request = proto::ListEgressRequest {
            room_name: room.to_owned(),
            active: true,
            ..Default::default()
        };
        let answer: proto::ListEgressResponse =
            self.call("Egress/ListEgress", RECORD, &request).await?;
        Ok(answer.items)
    }

    async fn switch_off_ingress(&self, room: &str) -> Result<usize, CallError> {
        let request = proto::ListIngressRequest {
            room_name: room.to_owned(),
            ..Default::default()
        };
        let answer: proto::ListIngressResponse = self
            .call("Ingress/ListIngress", STREAM_IN, &request)
            .await?;
        let on = answer
            .items
            .into_iter()
            .filter(|it| it.enabled != Some(false));
        let mut count = 0;
        for one in on {
            self.switch_ingress(&one.ingress_id, false).await?;
            self.note(room, |seen| seen.switched_off.push(one.ingress_id));
            count += 1;
        }
        Ok(count)
    }

    async fn switch_ingress(&self, id: &str, enabled: bool) -> Result<(), CallError> {
        let request = proto::UpdateIngressRequest {
            ingress_id: id.to_owned(),
            enabled: Some(enabled),
            ..Default::default()
        };
        let _: proto::IngressInfo = self
            .call("Ingress/UpdateIngress", STREAM_IN, &request)
            .await?;
        Ok(())
    }

    /// Dismisses agents whose names are meant: how many.
    pub(super) async fn dismiss_agents(
        &self,
        room: &str,
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<usize, CallError> {
        let request = proto::ListAgentDispatchRequest {
            room: room.to_owned(),
            ..Default::default()
        };
        let administer = Grants::administer(room);
        let mut answer: proto::ListAgentDispatchResponse = self
            .call("AgentDispatchService/ListDispatch", administer, &request)
            .await?;
        let sent = &mut answer.agent_dispatches;
        sent.retain(|dispatch| is_meant(&dispatch.agent_name));
        for dispatch in sent.iter() {
            let request = proto::DeleteAgentDispatchRequest {
                dispatch_id: dispatch.id.clone(),
                room: room.to_owned(),
            };
            let _: proto::AgentDispatch = self
                .call("AgentDispatchService/DeleteDispatch", administer, &request)
                .await?;
        }
        Ok(answer.agent_dispatches.len())
    }
}

pub(super) const RECORD: Grants<'_> = Grants {
    room_record: true,
    ..NOTHING
};

const STREAM_IN: Grants<'_> = Grants {
    ingress_admin: true,
    ..NOTHING
};

pub(super) const TELEPHONES: Grants<'_> = Grants {
    telephones: true,
    ..NOTHING
};

const NOTHING: Grants<'_> = Grants {
    room: "",
    room_admin: false,
    room_create: false,
    room_list: false,
    room_record: false,
    ingress_admin: false,
    telephones: false,
};
