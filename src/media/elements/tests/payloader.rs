// SPDX-License-Identifier: MIT OR Apache-2.0

use gst::prelude::*;
use gst_check::Harness;
use gst_rtp::prelude::*;

use super::{VP8 as CAPS, init, noise};

const MTU: u32 = 1200;

/// One RTP packet, taken apart.
#[derive(Debug)]
struct Packet {
    seq: u16,
    marker: bool,
    timestamp: u32,
    start: bool,
    picture_id: u16,
    fragment: Vec<u8>,
    size: usize,
    delta: bool,
}

fn harness(launch: &str) -> Harness {
    init();
    let mut harness = Harness::new_parse(launch);
    harness.set_src_caps_str(CAPS);
    harness.play();
    harness
}

fn frame(bytes: Vec<u8>, number: u64) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    let writable = buffer.get_mut().unwrap();
    writable.set_pts(number * 100 * gst::ClockTime::MSECOND);
    if number > 0 {
        writable.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    buffer
}

fn pull(harness: &mut Harness) -> Packet {
    let buffer = harness.pull().unwrap();
    let rtp = gst_rtp::RTPBuffer::from_buffer_readable(&buffer).unwrap();
    let payload = rtp.payload().unwrap();
    assert_eq!(payload[0] & 0x8F, 0x80, "extended, partition 0, reference");
    assert_eq!(payload[1], 0x80, "only a picture ID follows");
    assert_eq!(payload[2] & 0x80, 0x80, "the picture ID has 15 bits");
    Packet {
        seq: rtp.seq(),
        marker: rtp.is_marker(),
        timestamp: rtp.timestamp(),
        start: payload[0] & 0x10 != 0,
        picture_id: u16::from_be_bytes([payload[2], payload[3]]) & 0x7FFF,
        fragment: payload[4..].to_vec(),
        size: buffer.size(),
        delta: buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
    }
}

#[test]
fn a_frame_becomes_one_run_of_packets_with_start_bit_marker_and_picture_id() {
    let mut harness = harness(&format!("rtpvp8opaquepay mtu={MTU}"));
    let bytes = noise(5000, 1);
    harness.push(frame(bytes.clone(), 0)).unwrap();

    let packets: Vec<_> = (0..5).map(|_| pull(&mut harness)).collect();
    assert!(harness.try_pull().is_none());
    let joined: Vec<u8> = packets.iter().flat_map(|p| p.fragment.clone()).collect();
    assert_eq!(joined, bytes);
    for (index, packet) in packets.iter().enumerate() {
        assert_eq!(packet.start, index == 0);
        assert_eq!(packet.marker, index == 4);
        assert_eq!(packet.delta, index != 0);
        assert_eq!(packet.picture_id, packets[0].picture_id);
        assert_eq!(packet.timestamp, packets[0].timestamp);
        assert_eq!(packet.seq, packets[0].seq.wrapping_add(index as u16));
        assert!(packet.size <= MTU as usize - 20, "room for extensions");
    }
}

#[test]
fn the_picture_id_counts_frames_and_wraps_after_15_bits() {
    let mut harness = harness("rtpvp8opaquepay");
    harness.push(frame(vec![1], 0)).unwrap();
    let first = pull(&mut harness).picture_id;
    for number in 1..=0x8000_u64 {
        harness.push(frame(vec![1], number)).unwrap();
        let expected = (u64::from(first) + number) as u16 & 0x7FFF;
        assert_eq!(pull(&mut harness).picture_id, expected);
    }
}

#[test]
fn an_empty_frame_is_no_packet() {
    let mut harness = harness("rtpvp8opaquepay");
    harness.push(frame(Vec::new(), 0)).unwrap();
    assert!(harness.try_pull().is_none());
    harness.push(frame(vec![0; 20], 1)).unwrap();
    assert!(pull(&mut harness).start);
}

#[test]
fn a_frame_of_exactly_one_packet_and_one_byte_more_are_cut_right() {
    for (len, count) in [(1164, 1), (1165, 2), (2328, 2), (2329, 3)] {
        let mut harness = harness(&format!("rtpvp8opaquepay mtu={MTU}"));
        let bytes = noise(len, 2);
        harness.push(frame(bytes.clone(), 0)).unwrap();
        let packets: Vec<_> = (0..count).map(|_| pull(&mut harness)).collect();
        assert!(harness.try_pull().is_none());
        assert!(packets.last().unwrap().marker);
        assert_eq!(packets.iter().map(|p| p.fragment.len()).sum::<usize>(), len);
    }
}

#[test]
fn header_extensions_fit_into_the_mtu() {
    init();
    let payloader = gst::ElementFactory::make("rtpvp8opaquepay")
        .property("mtu", MTU)
        .build()
        .unwrap();
    let extension = gst::ElementFactory::make("rtphdrexttwcc")
        .build()
        .unwrap()
        .downcast::<gst_rtp::RTPHeaderExtension>()
        .unwrap();
    extension.set_id(3);
    payloader.emit_by_name::<()>("add-extension", &[&extension]);
    let mut harness = Harness::with_element(&payloader, Some("sink"), Some("src"));
    harness.set_src_caps_str(CAPS);
    harness.play();

    harness.push(frame(noise(4000, 3), 0)).unwrap();
    for _ in 0..4 {
        let buffer = harness.pull().unwrap();
        assert!(buffer.size() <= MTU as usize);
        let rtp = gst_rtp::RTPBuffer::from_buffer_readable(&buffer).unwrap();
        assert!(rtp.extension_onebyte_header(3, 0).is_some());
    }
}

#[test]
fn frames_that_no_vp8_parser_understands_come_out_of_the_stock_depayloader_unchanged() {
    let mut harness = harness(&format!("rtpvp8opaquepay mtu={MTU} ! rtpvp8depay"));
    for number in 0..100 {
        // A readable frame tag and size, as a sealed frame has; noise from there on.
        let mut bytes = vec![0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xF0, 0x00];
        bytes.extend(noise(100 + 97 * number as usize, number));
        bytes[0] |= u8::from(number % 30 != 0);
        let buffer = frame(bytes.clone(), number % 30);
        harness.push(buffer).unwrap();
        let out = harness.pull().unwrap();
        assert_eq!(out.map_readable().unwrap().as_slice(), bytes);
        assert_eq!(
            out.flags().contains(gst::BufferFlags::DELTA_UNIT),
            number % 30 != 0
        );
    }
}
