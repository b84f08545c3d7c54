// SPDX-License-Identifier: MIT OR Apache-2.0

//! What goes in on one side comes out on the other.

use std::time::{Duration, Instant};

use gstroomseal::transport::{LocalTrackId, Transport, TransportError, TransportEvent};
use roomseal_e2ee::Codec;

use crate::pair::*;

#[test]
fn frames_of_every_codec_arrive_byte_for_byte() {
    let _alone = alone();
    let mut pair = Pair::new();
    let cids = [
        pair.add(1, Codec::Vp8, "TR_vp8"),
        pair.add(2, Codec::Opus, "TR_opus"),
        pair.add(3, Codec::H264, "TR_h264"),
    ];
    assert!(cids[0] != cids[1] && cids[1] != cids[2]);
    pair.connect();
    let offer = pair.seen.iter().find_map(|(_, event)| match event {
        TransportEvent::LocalOffer { sdp, .. } => Some(sdp.clone()),
        _ => None,
    });
    let offer = offer.unwrap();
    for cid in &cids {
        assert!(offer.contains(&format!(" {cid}\r\n")), "{cid} in {offer}");
    }
    assert!(!offer.contains("sprop-parameter-sets"), "{offer}");

    let count = 60;
    for index in 0..count {
        pair.push(1, &vp8(index));
        pair.push(2, &opus(index));
        pair.push(3, &h264(index));
        pair.for_a_while(Duration::from_millis(5));
    }
    let all = usize::try_from(count).unwrap();
    pair.until("arrival of all frames", |seen| {
        let of = |wanted: &str| {
            seen.iter()
                .filter(|(_, event)| {
                    matches!(event, TransportEvent::Frame { sid, .. } if &**sid == wanted)
                })
                .count()
        };
        // The last H.264 frame is complete only when its marker came, which it did.
        of("TR_vp8") == all && of("TR_opus") == all && of("TR_h264") == all
    });
    let expect = |make: fn(u64) -> Vec<u8>| (0..count).map(make).collect::<Vec<_>>();
    assert_eq!(pair.frames("TR_vp8"), expect(vp8));
    assert_eq!(pair.frames("TR_opus"), expect(opus));
    assert_eq!(pair.frames("TR_h264"), expect(h264));

    let stats = pair.receiver.stats();
    assert!(stats.subscriber.verified && stats.subscriber.packets_received > 180);
    assert!(stats.subscriber.last_received.unwrap() < Duration::from_secs(10));
    assert_eq!(stats.remote["TR_vp8"].lost, 0);
    assert_eq!(pair.sender.stats().local[&LocalTrackId(3)].frames, count);
}

#[test]
fn nothing_is_lost_where_a_sender_was_silent_for_a_while() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.add(1, Codec::Vp8, "TR_vp8");
    pair.add(2, Codec::Opus, "TR_opus");
    pair.connect();
    let bursts = 3;
    for burst in 0..bursts {
        for index in 0..20 {
            pair.push(1, &vp8(burst * 20 + index));
            pair.push(2, &opus(burst * 20 + index));
            pair.for_a_while(Duration::from_millis(20));
        }
        // Longer than the receiver waits for a packet that it knows to be missing.
        pair.for_a_while(Duration::from_millis(800));
    }
    let expect = |make: fn(u64) -> Vec<u8>| (0..bursts * 20).map(make).collect::<Vec<_>>();
    assert_eq!(pair.frames("TR_vp8"), expect(vp8));
    assert_eq!(pair.frames("TR_opus"), expect(opus));
    let stats = pair.receiver.stats();
    assert_eq!(
        (stats.remote["TR_vp8"].lost, stats.remote["TR_opus"].lost),
        (0, 0)
    );
}

#[test]
fn a_video_begins_with_a_key_frame_and_asks_until_it_comes() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.add(1, Codec::Vp8, "TR_vp8");
    pair.connect();
    pair.for_a_while(Duration::from_millis(20));
    pair.seen.clear();
    for index in 1..=20 {
        pair.push(
            1,
            &[&[0x31, 0x20, 0], noise(index, 100).as_slice()].concat(),
        );
    }
    pair.until("two requests", |seen| {
        let requests = seen.iter().filter(|(side, event)| {
            *side == Side::Sender && matches!(event, TransportEvent::KeyFrameRequested { .. })
        });
        requests.count() == 2
    });
    let stats = pair.sender.stats().local[&LocalTrackId(1)];
    assert_eq!((stats.frames, stats.dropped), (0, 20));
    for index in 0..3 {
        pair.push(1, &vp8(index));
    }
    pair.until("frames", |seen| {
        seen.iter()
            .any(|(_, event)| matches!(event, TransportEvent::Frame { .. }))
    });
    assert_eq!(pair.frames("TR_vp8")[0], vp8(0));
}

#[test]
fn a_request_for_a_key_frame_reaches_the_sender() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.add(1, Codec::H264, "TR_h264");
    pair.add(2, Codec::Vp8, "TR_vp8");
    pair.connect();
    // A source of packets counts only after some of them (RFC 3550 A.1).
    for index in 0..3 {
        pair.push(1, &h264(index));
        pair.push(2, &vp8(index));
    }
    pair.until("both tracks", |seen| {
        ["TR_h264", "TR_vp8"].iter().all(|wanted| {
            seen.iter().any(|(_, event)| {
                matches!(event, TransportEvent::Frame { sid, .. } if &**sid == *wanted)
            })
        })
    });
    for (local, sid) in [(1, "TR_h264"), (2, "TR_vp8")] {
        pair.seen.clear();
        let deadline = Instant::now() + PATIENCE;
        let arrived = |(side, event): &(Side, TransportEvent)| {
            *side == Side::Sender
                && matches!(event, TransportEvent::KeyFrameRequested { local: l } if l.0 == local)
        };
        while !pair.seen.iter().any(arrived) {
            assert!(Instant::now() < deadline, "{:#?}", pair.brief());
            pair.receiver.request_key_frame(sid);
            pair.for_a_while(Duration::from_millis(200));
        }
    }
}

#[test]
fn frames_of_the_service_are_dropped_before_they_become_part_of_anything() {
    let _alone = alone();
    let trailer = b"0123456789abcdef0123456789abcdef".to_vec();
    let mut pair = Pair::with_sif_trailer(trailer.clone());
    pair.add(1, Codec::Opus, "TR_opus");
    pair.add(2, Codec::H264, "TR_h264");
    pair.connect();
    for index in 0..10 {
        let injected = [opus(index), trailer.clone()].concat();
        pair.push(1, &opus(index));
        pair.push(1, &injected);
        pair.push(2, &h264(index));
        pair.for_a_while(Duration::from_millis(5));
    }
    pair.push(2, &[h264(1), trailer].concat());
    pair.push(1, &opus(99));
    pair.until("the last frame", |seen| {
        seen.iter().any(|(_, event)| {
            matches!(event, TransportEvent::Frame { buffer, .. }
                if *buffer.map_readable().unwrap() == *opus(99))
        })
    });
    let expected: Vec<_> = (0..10).chain([99]).map(opus).collect();
    assert_eq!(pair.frames("TR_opus"), expected);
    let stats = pair.receiver.stats();
    assert_eq!(stats.remote["TR_opus"].server_injected, 10);
    assert_eq!(stats.remote["TR_opus"].lost, 0);
}

#[test]
fn who_sends_no_media_can_send_messages() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.sender.negotiate();
    pair.until("open channels", |seen| {
        seen.iter()
            .any(|(_, event)| matches!(event, TransportEvent::DataOpen))
    });
    assert_eq!(pair.sender.send_data(true, b"hello".to_vec()), Ok(()));
    pair.until("message", |seen| {
        seen.iter().any(|(side, event)| {
            *side == Side::Receiver
                && matches!(event, TransportEvent::Data { bytes, .. } if bytes == b"hello")
        })
    });
}

#[test]
fn messages_cross_on_both_channels() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.add(1, Codec::Opus, "TR_opus");
    assert_eq!(
        pair.sender.send_data(true, vec![1]),
        Err(TransportError::DataNotOpen)
    );
    pair.connect();
    // The channels open a moment after the connection.
    pair.until("open channels", |seen| {
        seen.iter()
            .any(|(side, event)| *side == Side::Sender && matches!(event, TransportEvent::DataOpen))
    });
    let large = noise(3, 64_000);
    for (reliable, bytes) in [
        (true, b"reliable".to_vec()),
        (false, b"lossy".to_vec()),
        (true, large),
    ] {
        assert_eq!(pair.sender.send_data(reliable, bytes.clone()), Ok(()));
        pair.until("message", |seen| {
            seen.iter().any(|(side, event)| {
                *side == Side::Receiver
                    && matches!(event, TransportEvent::Data { reliable: r, bytes: b } if *r == reliable && *b == bytes)
            })
        });
    }
    let too_long = TransportError::DataTooLong {
        len: 64_001,
        max: 64_000,
    };
    assert_eq!(pair.sender.send_data(true, vec![0; 64_001]), Err(too_long));
    assert_eq!(pair.receiver.stats().data_received, 3);
}
