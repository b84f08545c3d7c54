// SPDX-License-Identifier: MIT OR Apache-2.0

//! Services that are not what they say, or send what no service sends.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use gstroomseal::{
    sdp::SdpRefused,
    transport::{Refusal, RemoteOffer, Target, Transport, TransportError, TransportEvent},
};
use roomseal_e2ee::Codec;

use crate::pair::*;

/// The description with its media sections in another order, or with fewer of them.
fn arrange(sdp: &str, order: &[usize]) -> String {
    let parts: Vec<_> = sdp.split("m=").collect();
    let sections: String = order
        .iter()
        .map(|&index| format!("m={}", parts[index + 1]))
        .collect();
    format!("{}{sections}", parts[0])
}

#[test]
fn a_service_with_another_certificate_gets_nothing_from_us() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.answer = Box::new(falsify);
    pair.add(1, Codec::Vp8, "TR_vp8");
    pair.add(2, Codec::Opus, "TR_opus");
    pair.sender.negotiate();
    let deadline = Instant::now() + PATIENCE;
    while refusals(&pair.seen).is_empty() {
        assert!(Instant::now() < deadline, "{:#?}", pair.brief());
        pair.push(1, &vp8(0));
        pair.push(2, &opus(0));
        assert!(pair.sender.send_data(true, b"secret".to_vec()).is_err());
        pair.step(Duration::from_millis(2));
    }
    pair.push(1, &vp8(0));
    pair.for_a_while(Duration::from_millis(300));
    let found = refusals(&pair.seen);
    assert!(
        matches!(
            found.as_slice(),
            [(
                Side::Sender,
                Refusal::Fingerprint {
                    target: Target::Publisher,
                    ..
                }
            )]
        ),
        "{found:?}"
    );
    assert!(!is_connected(&pair.seen, Side::Sender));
    let nothing = pair.seen.iter().all(|(_, event)| {
        !matches!(
            event,
            TransportEvent::Frame { .. } | TransportEvent::Data { .. }
        )
    });
    assert!(nothing, "{:#?}", pair.brief());
    assert_eq!(
        pair.sender.add_track(track(9, Codec::Opus)),
        Err(TransportError::Closed)
    );
    assert_eq!(
        pair.sender.send_data(true, vec![1]),
        Err(TransportError::Closed)
    );
}

#[test]
fn nothing_is_taken_from_a_service_with_another_certificate() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.offer = Box::new(falsify);
    pair.add(1, Codec::Vp8, "TR_vp8");
    pair.add(2, Codec::Opus, "TR_opus");
    pair.sender.negotiate();
    pair.until("refusal", |seen| !refusals(seen).is_empty());
    for index in 0..20 {
        pair.push(1, &vp8(index));
        pair.push(2, &opus(index));
        let _ = pair.sender.send_data(true, b"from whom?".to_vec());
        pair.for_a_while(Duration::from_millis(5));
    }
    let found = refusals(&pair.seen);
    assert!(
        matches!(
            found.as_slice(),
            [(
                Side::Receiver,
                Refusal::Fingerprint {
                    target: Target::Subscriber,
                    ..
                }
            )]
        ),
        "{found:?}"
    );
    let nothing = pair.seen.iter().all(|(_, event)| {
        !matches!(
            event,
            TransportEvent::Frame { .. } | TransportEvent::Data { .. }
        )
    });
    assert!(
        nothing && !is_connected(&pair.seen, Side::Receiver),
        "{:#?}",
        pair.brief()
    );
}

#[test]
fn a_hostile_offer_is_named_and_the_process_lives() {
    let _alone = alone();
    type Edit = fn(&str) -> String;
    let table: [(Edit, SdpRefused); 6] = [
        (
            |sdp| arrange(sdp, &[1, 0, 2]),
            SdpRefused::KindChanged { section: 0 },
        ),
        (
            |sdp| arrange(sdp, &[0, 1]),
            SdpRefused::SectionCount {
                found: 2,
                expected: 3,
            },
        ),
        (
            |sdp| sdp.replace("a=mid:", "a=middle:"),
            SdpRefused::MidMissing { section: 0 },
        ),
        (
            |sdp| sdp.replace("a=fingerprint:", "a=print:"),
            SdpRefused::FingerprintMissing { section: 0 },
        ),
        (falsify, SdpRefused::FingerprintDiffers { section: 0 }),
        (
            |_| "\u{0}garbage".into(),
            SdpRefused::Line {
                line: 1,
                what: "begins with no letter",
            },
        ),
    ];
    for (edit, expected) in table {
        let mut pair = Pair::new();
        pair.add(1, Codec::Vp8, "TR_vp8");
        pair.add(2, Codec::Opus, "TR_opus");
        pair.connect();
        let sdp = edit(&last_offer(&pair));
        let mid_to_track = HashMap::new();
        pair.receiver.remote_offer(RemoteOffer {
            sdp,
            id: 77,
            mid_to_track,
        });
        pair.until("refusal", |seen| !refusals(seen).is_empty());
        assert_eq!(
            refusals(&pair.seen),
            [(Side::Receiver, Refusal::Sdp(expected))]
        );
        pair.push(1, &vp8(0));
        pair.for_a_while(Duration::from_millis(50));
        assert_eq!(pair.frames("TR_vp8"), Vec::<Vec<u8>>::new());
    }
    // After all of that a new one works.
    let mut pair = Pair::new();
    pair.add(1, Codec::Opus, "TR_opus");
    pair.connect();
}

#[test]
fn offers_during_teardown_do_no_harm() {
    let _alone = alone();
    for round in 0..8 {
        let mut pair = Pair::new();
        pair.add(1, Codec::Vp8, "TR_vp8");
        pair.add(2, Codec::Opus, "TR_opus");
        pair.sender.negotiate();
        // Each round is torn down at another moment of the negotiation.
        for _ in 0..round * 2 {
            pair.step(Duration::from_millis(200));
        }
        let offer = pair.seen.iter().find_map(|(_, event)| match event {
            TransportEvent::LocalOffer { sdp, .. } => Some(sdp.clone()),
            _ => None,
        });
        let receiver = &pair.receiver;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for id in 100..110 {
                    let sdp = offer.clone().unwrap_or_else(|| "v=0".into());
                    receiver.remote_offer(RemoteOffer {
                        sdp,
                        id,
                        mid_to_track: HashMap::new(),
                    });
                }
            });
            scope.spawn(|| receiver.close());
        });
        pair.receiver.close();
        pair.sender.close();
    }
}

/// The offer without what says which packets belong to its pictures.
fn conceal_pictures(sdp: &str) -> String {
    let mut pictures = false;
    let kept = sdp.split_inclusive("\r\n").filter(|line| {
        if line.starts_with("m=") {
            pictures = line.starts_with("m=video");
        }
        !(pictures && line.starts_with("a=ssrc"))
    });
    kept.collect()
}

#[test]
fn packets_of_a_stream_that_was_not_announced_are_dropped_and_the_others_go_on() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.offer = Box::new(conceal_pictures);
    pair.add(1, Codec::Vp8, "TR_vp8");
    pair.add(2, Codec::Opus, "TR_opus");
    pair.connect();
    let deadline = Instant::now() + PATIENCE;
    let mut index = 0;
    // Long past the time that packets wait in a jitter buffer.
    while pair.frames("TR_opus").len() < 200 {
        assert!(Instant::now() < deadline, "{:#?}", pair.brief());
        pair.push(1, &vp8(index));
        pair.push(2, &opus(index));
        index += 1;
        pair.for_a_while(Duration::from_millis(5));
    }
    assert!(pair.frames("TR_vp8").is_empty());
}
