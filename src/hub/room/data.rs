// SPDX-License-Identifier: MIT OR Apache-2.0
//! Data packets from one member to others.

#![allow(
    deprecated,
    reason = "clients of both kinds are about: those that read the older fields, and those that read the newer ones"
)]

use livekit_protocol::{self as proto, data_packet};
use prost::Message as _;

use super::{MemberId, Order, Room};

impl Room {
    /// Passes a packet on, under the name of who really sent it.
    pub(super) fn data(&mut self, from: MemberId, reliable: bool, packet: &[u8]) {
        let Some(sender) = self.members.get(&from) else {
            return;
        };
        let Ok(mut packet) = proto::DataPacket::decode(packet) else {
            return;
        };
        if !sender.admission.can_publish_data || !may_come_from_a_member(packet.value.as_ref()) {
            return;
        }
        packet.kind = if reliable {
            data_packet::Kind::Reliable as i32
        } else {
            data_packet::Kind::Lossy as i32
        };
        let hidden = sender.admission.hidden;
        let (sid, identity) = if hidden {
            (String::new(), String::new())
        } else {
            (sender.sid.clone(), sender.admission.identity.clone())
        };
        let mut sids = Vec::new();
        let mut identities = packet.destination_identities.clone();
        if let Some(data_packet::Value::User(user)) = &mut packet.value {
            user.participant_sid.clone_from(&sid);
            user.participant_identity.clone_from(&identity);
            sids.clone_from(&user.destination_sids);
            identities.extend(user.destination_identities.iter().cloned());
        }
        packet.participant_sid = sid;
        packet.participant_identity = identity;
        let to = self.receivers(Some(from), &sids, &identities);
        if !to.is_empty() {
            self.order(Order::Data {
                to,
                reliable,
                packet: packet.encode_to_vec(),
            });
        }
    }

    /// Who is meant, of those who may receive anything: everybody when nobody is named.
    pub(super) fn receivers(
        &self,
        from: Option<MemberId>,
        sids: &[String],
        identities: &[String],
    ) -> Vec<MemberId> {
        let everybody = sids.is_empty() && identities.is_empty();
        let members = self.members.iter();
        members
            .filter(|(id, member)| {
                Some(**id) != from
                    && member.admission.can_subscribe
                    && (everybody
                        || sids.contains(&member.sid)
                        || identities.contains(&member.admission.identity))
            })
            .map(|(id, _)| *id)
            .collect()
    }
}

/// What only a service says: nobody may say it in its place.
fn may_come_from_a_member(value: Option<&data_packet::Value>) -> bool {
    !matches!(value, None | Some(data_packet::Value::Speaker(_)))
}
