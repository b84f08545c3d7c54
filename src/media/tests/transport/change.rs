// SPDX-License-Identifier: MIT OR Apache-2.0

//! Connections that change, break and end.

use std::time::{Duration, Instant};

use gstroomseal::transport::{LocalTrackId, Transport, TransportError, TransportEvent};
use roomseal_e2ee::Codec;

use crate::pair::*;

fn threads_and_files() -> (usize, usize) {
    let count = |path| std::fs::read_dir(path).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[test]
fn a_section_serves_one_track_after_the_other() {
    let _alone = alone();
    let mut pair = Pair::new();
    let cid = pair.add(1, Codec::Vp8, "TR_one");
    pair.add(2, Codec::Opus, "TR_opus");
    pair.connect();
    let some_frames = |pair: &mut Pair, local: u32, sid: &str, make: fn(u64) -> Vec<u8>| {
        let deadline = Instant::now() + PATIENCE;
        let mut index = 0;
        while pair.frames(sid).len() < 3 {
            assert!(Instant::now() < deadline, "{sid}: {:#?}", pair.brief());
            pair.push(local, &make(index));
            index += 1;
            pair.for_a_while(Duration::from_millis(10));
        }
    };
    some_frames(&mut pair, 1, "TR_one", vp8);

    pair.sender.remove_track(LocalTrackId(1)).unwrap();
    pair.sids[0] = None;
    pair.sender.negotiate();
    pair.until("end of the track", |seen| {
        let is_end = |event: &TransportEvent| {
            matches!(event, TransportEvent::RemoteTrackEnded { sid } if &**sid == "TR_one")
        };
        let end = seen.iter().position(|(_, event)| is_end(event));
        end.is_some_and(|end| {
            let answer = |event: &TransportEvent| matches!(event, TransportEvent::LocalAnswer { .. });
            seen[end..].iter().any(|(_, event)| answer(event))
        })
    });
    assert!(last_offer(&pair).contains("a=inactive"));
    assert!(pair.sender.remove_track(LocalTrackId(1)).is_err());

    // A new track of another codec gets a section of its own.
    pair.sids.extend([None, Some("TR_h264")]);
    let other = pair.sender.add_track(track(3, Codec::H264)).unwrap();
    assert_ne!(other, cid);
    assert_eq!(pair.sender.add_track(track(4, Codec::Vp8)), Ok(cid));
    assert_eq!(
        pair.sender.add_track(track(4, Codec::Vp8)),
        Err(TransportError::DuplicateTrack(LocalTrackId(4)))
    );
    pair.seen.clear();
    pair.sids[0] = Some("TR_two");
    pair.sender.negotiate();
    pair.until("answer", |seen| {
        seen.iter()
            .any(|(_, event)| matches!(event, TransportEvent::LocalAnswer { .. }))
    });
    assert!(!last_offer(&pair).contains("a=inactive"));
    some_frames(&mut pair, 3, "TR_h264", h264);
    pair.push(4, &vp8(0));
    assert_eq!(pair.sender.stats().local[&LocalTrackId(4)].frames, 1);
}

#[test]
fn media_flows_on_after_an_ice_restart() {
    let _alone = alone();
    let mut pair = Pair::new();
    pair.add(1, Codec::Vp8, "TR_vp8");
    pair.connect();
    let ufrag = |sdp: &str| {
        sdp.lines()
            .find(|line| line.starts_with("a=ice-ufrag"))
            .map(str::to_owned)
            .unwrap()
    };
    let before = ufrag(&last_offer(&pair));
    pair.seen.clear();
    pair.sender.restart_ice();
    pair.until("answer", |seen| {
        seen.iter()
            .any(|(_, event)| matches!(event, TransportEvent::LocalAnswer { .. }))
    });
    assert_ne!(ufrag(&last_offer(&pair)), before);
    let deadline = Instant::now() + PATIENCE;
    let mut index = 0;
    while pair.frames("TR_vp8").len() < 20 {
        assert!(Instant::now() < deadline, "{:#?}", pair.brief());
        pair.push(1, &vp8(index));
        index += 1;
        pair.for_a_while(Duration::from_millis(10));
    }
}

#[test]
fn threads_and_files_stay_level_over_many_connections() {
    let _alone = alone();
    let cycle = || {
        let mut pair = Pair::new();
        pair.add(1, Codec::Vp8, "TR_vp8");
        pair.add(2, Codec::Opus, "TR_opus");
        pair.connect();
        for index in 0..5 {
            pair.push(1, &vp8(index));
            pair.push(2, &opus(index));
        }
        pair.until("a frame", |seen| {
            seen.iter()
                .any(|(_, event)| matches!(event, TransportEvent::Frame { .. }))
        });
        pair.sender.close();
        pair.receiver.close();
    };
    // Pools and caches fill up first.
    for _ in 0..3 {
        cycle();
    }
    let (threads, files) = threads_and_files();
    for _ in 0..20 {
        cycle();
    }
    // The last threads may still be on their way out.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let (threads_now, files_now) = threads_and_files();
        if threads_now <= threads && files_now <= files {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "threads {threads} -> {threads_now}, files {files} -> {files_now}"
        );
        std::thread::yield_now();
    }
}

#[test]
fn an_offer_whose_answer_was_lost_is_made_again_and_a_listener_offers_nothing() {
    let _alone = alone();
    let mut pair = Pair::new();
    // Nothing is published yet, so there is nothing to restart.
    pair.sender.restart_ice();
    pair.for_a_while(Duration::from_millis(100));
    assert!(pair.seen.is_empty(), "{:#?}", pair.brief());

    pair.add(1, Codec::Opus, "TR_opus");
    pair.sender.negotiate();
    pair.until("offer", |seen| {
        seen.iter()
            .any(|(_, event)| matches!(event, TransportEvent::LocalOffer { .. }))
    });
    // The answer to the first offer now comes too late.
    pair.sender.restart_ice();
    pair.until("connection of both sides", |seen| {
        is_connected(seen, Side::Sender) && is_connected(seen, Side::Receiver)
    });
    let offers = pair.seen.iter().filter_map(|(_, event)| match event {
        TransportEvent::LocalOffer { id, .. } => Some(*id),
        _ => None,
    });
    assert_eq!(offers.collect::<Vec<_>>(), [1, 2]);
    assert!(refusals(&pair.seen).is_empty());
    for index in 0..3 {
        pair.push(1, &opus(index));
    }
    pair.until("a frame", |seen| {
        seen.iter()
            .any(|(_, event)| matches!(event, TransportEvent::Frame { .. }))
    });
}
