// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes to whom beside tracks, and what a token allows.

use super::*;

#[test]
fn a_token_for_looking_allows_nothing_else() {
    let mut world = World::new();
    let (ann, ann_id, _) = world.enter("ann");
    let looker = Admission {
        can_publish: false,
        can_publish_data: false,
        ..admission("bob")
    };
    let bob = world.arrive(looker, all()).unwrap();
    let bob_id = world.opened();
    world.ask(bob, Ask::AddTrack(proto::AddTrackRequest::default()));
    let refused = world.said(bob).into_iter().any(|message| {
        matches!(message, Say::RequestResponse(r) if r.reason == request_response_not_allowed())
    });
    assert!(refused, "{:?}", world.done);
    world.report(bob_id, chat("", &[]));
    assert!(world.done.is_empty());
    world.ask(
        bob,
        Ask::UpdateMetadata(proto::UpdateParticipantMetadata {
            metadata: "boss".into(),
            ..Default::default()
        }),
    );
    assert_eq!(world.updates(ann), []);
    // Only from a microphone, and not from a camera.
    let speaker = Admission {
        can_publish_sources: vec!["microphone".into()],
        ..admission("cem")
    };
    let cem = world.arrive(speaker, all()).unwrap();
    let cem_id = world.opened();
    world.publish(cem, cem_id, proto::TrackSource::Microphone, "0");
    world.ask(
        cem,
        Ask::AddTrack(proto::AddTrackRequest {
            source: proto::TrackSource::Camera as i32,
            ..Default::default()
        }),
    );
    assert!(matches!(world.said(cem)[0], Say::RequestResponse(_)));
    assert!(world.room.members[&ann_id].tracks.is_empty());
}

fn request_response_not_allowed() -> i32 {
    proto::request_response::Reason::NotAllowed as i32
}

/// A message of a member, which says that it is from `claimed`, to those named or to everybody.
fn chat(claimed: &str, to: &[&str]) -> Report {
    let packet = proto::DataPacket {
        participant_identity: claimed.into(),
        destination_identities: to.iter().map(|who| (*who).to_owned()).collect(),
        value: Some(proto::data_packet::Value::User(proto::UserPacket {
            payload: b"hello".to_vec(),
            ..Default::default()
        })),
        ..Default::default()
    };
    Report::Data {
        reliable: true,
        packet: packet.encode_to_vec(),
    }
}

#[test]
fn data_goes_to_those_named_or_to_everybody_and_under_the_senders_own_name() {
    let mut world = World::new();
    let (_, ann, sid) = world.enter("ann");
    let (_, bob, _) = world.enter("bob");
    let (_, cem, _) = world.enter("cem");
    for (report, expected) in [
        (chat("bob", &[]), vec![bob, cem]),
        (chat("", &["cem"]), vec![cem]),
        // Not back to oneself, and not to who is not there.
        (chat("", &["ann", "dee"]), vec![]),
    ] {
        world.report(ann, report);
        let orders = world.orders();
        let Some(Order::Data {
            to,
            packet,
            reliable,
        }) = orders.first()
        else {
            assert!(expected.is_empty(), "{orders:?}");
            continue;
        };
        assert_eq!(*to, expected);
        assert!(*reliable);
        let packet = proto::DataPacket::decode(packet.as_slice()).unwrap();
        assert_eq!(packet.participant_identity, "ann");
        assert_eq!(packet.participant_sid, sid);
    }
    let garbage = Report::Data {
        reliable: true,
        packet: vec![0xff; 40],
    };
    world.report(ann, garbage);
    assert!(world.done.is_empty());
}

#[test]
fn who_is_hidden_is_shown_to_nobody() {
    let mut world = World::new();
    let (ann, _, _) = world.enter("ann");
    let hidden = Admission {
        hidden: true,
        ..admission("eve")
    };
    let eve = world.arrive(hidden, all()).unwrap();
    let eve_id = world.opened();
    assert_eq!(world.updates(ann), []);
    let (bob, _, _) = world.enter("bob");
    let others = world.joined_others(bob);
    assert_eq!(others, ["ann"]);
    let sid = world.publish(eve, eve_id, proto::TrackSource::Microphone, "0");
    assert_eq!(world.orders(), [&Order::Bind(eve_id, "0".into(), sid)]);
    world.ask(eve, Ask::Leave(proto::LeaveRequest::default()));
    assert_eq!(world.updates(ann), []);
}

impl World {
    /// Who was there, as a new participant of the same name is told.
    fn joined_others(&mut self, _connection: ConnectionId) -> Vec<String> {
        let others = self.room.visible().map(|m| m.admission.identity.clone());
        others.filter(|who| who != "bob").collect()
    }
}
