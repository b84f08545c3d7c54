// SPDX-License-Identifier: MIT OR Apache-2.0

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

use gst::glib;
use gst::subclass::prelude::*;
use gst_rtp::prelude::*;
use gst_rtp::subclass::prelude::*;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "rtpvp8opaquepay",
        gst::DebugColorFlags::empty(),
        Some("VP8 RTP payloader that does not read frames"),
    )
});

/// X, I and M descriptor with a 15-bit picture ID (RFC 7741 §4.2).
const DESCRIPTOR_LEN: usize = 4;
const EXTENDED: u8 = 0x80;
const START_OF_PARTITION: u8 = 0x10;
const PICTURE_ID_PRESENT: u8 = 0x80;
const PICTURE_ID_IS_15_BITS: u16 = 0x8000;

const RTP_HEADER_LEN: usize = 12;

/// The base class writes header extensions after the packet was cut, so their room is kept free:
/// 4 bytes of extension header, transport-wide sequence number 3, absolute send time 4, a mid of up
/// to 8 with its header byte.
const HEADER_EXTENSION_ROOM: usize = 20;

/// No network has a smaller MTU than this leaves; a property value below it would cut to nothing.
const MIN_PAYLOAD: usize = 64;

#[derive(Debug, Default)]
pub struct RtpVp8OpaquePay {
    /// Picture ID of the next frame; the upper bit is cut off where it is written.
    picture_id: AtomicU16,
}

impl RtpVp8OpaquePay {
    /// Bytes of a frame that go into one packet.
    fn room(&self) -> usize {
        (self.obj().mtu() as usize)
            .saturating_sub(RTP_HEADER_LEN + HEADER_EXTENSION_ROOM + DESCRIPTOR_LEN)
            .max(MIN_PAYLOAD)
    }

    fn packet(
        &self,
        fragment: &[u8],
        picture_id: u16,
        place: Place,
        frame: &gst::BufferRef,
    ) -> Result<gst::Buffer, gst::FlowError> {
        let payload_len = u32::try_from(DESCRIPTOR_LEN + fragment.len())
            .expect("a fragment is no longer than the MTU, which is a u32");
        let mut packet = self.obj().allocate_output_buffer(payload_len, 0, 0);
        {
            let packet = packet
                .get_mut()
                .expect("nobody else holds a buffer that was just allocated");
            packet.set_pts(frame.pts());
            packet.set_dts(frame.dts());
            if !place.first || frame.flags().contains(gst::BufferFlags::DELTA_UNIT) {
                packet.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
            if place.first && frame.flags().contains(gst::BufferFlags::DISCONT) {
                packet.set_flags(gst::BufferFlags::DISCONT);
            }
            if place.last {
                packet.set_flags(gst::BufferFlags::MARKER);
            }

            let mut rtp = gst_rtp::RTPBuffer::from_buffer_writable(packet).map_err(|_| {
                gst::element_imp_error!(
                    self,
                    gst::ResourceError::NoSpaceLeft,
                    ["No memory for an RTP packet"]
                );
                gst::FlowError::Error
            })?;
            rtp.set_marker(place.last);
            let payload = rtp
                .payload_mut()
                .expect("the packet was allocated with a payload");
            let [high, low] = (PICTURE_ID_IS_15_BITS | picture_id).to_be_bytes();
            payload[..DESCRIPTOR_LEN].copy_from_slice(&[
                EXTENDED | if place.first { START_OF_PARTITION } else { 0 },
                PICTURE_ID_PRESENT,
                high,
                low,
            ]);
            payload[DESCRIPTOR_LEN..].copy_from_slice(fragment);
        }
        Ok(packet)
    }
}

/// Where a packet stands in its frame.
#[derive(Clone, Copy)]
struct Place {
    first: bool,
    last: bool,
}

#[glib::object_subclass]
impl ObjectSubclass for RtpVp8OpaquePay {
    const NAME: &'static str = "GstRoomsealRtpVp8OpaquePay";
    type Type = super::RtpVp8OpaquePay;
    type ParentType = gst_rtp::RTPBasePayload;
}

impl ObjectImpl for RtpVp8OpaquePay {
    fn constructed(&self) {
        self.parent_constructed();
        // RFC 7741: the first picture ID is random, so that a restart is seen as one.
        let mut start = [0; 2];
        if getrandom::fill(&mut start).is_ok() {
            self.picture_id
                .store(u16::from_ne_bytes(start), Ordering::Relaxed);
        }
        self.obj().set_options("video", true, "VP8", 90_000);
    }
}

impl GstObjectImpl for RtpVp8OpaquePay {}

impl ElementImpl for RtpVp8OpaquePay {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Opaque VP8 RTP payloader",
                "Codec/Payloader/Network/RTP",
                "Cuts VP8 frames into RTP packets (RFC 7741) without reading them, \
                 so that sealed frames pass",
                "The Roomseal developers",
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static PAD_TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let src = gst::Caps::builder("application/x-rtp")
                .field("media", "video")
                .field("payload", gst::IntRange::new(96, 127))
                .field("clock-rate", 90_000)
                .field("encoding-name", "VP8")
                .build();
            let sink = gst::Caps::builder("video/x-vp8").build();
            let always = |name, direction, caps: &gst::Caps| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, caps)
                    .expect("the template's name and caps are well-formed")
            };
            vec![
                always("src", gst::PadDirection::Src, &src),
                always("sink", gst::PadDirection::Sink, &sink),
            ]
        });
        &PAD_TEMPLATES
    }
}

impl RTPBasePayloadImpl for RtpVp8OpaquePay {
    fn handle_buffer(&self, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let map = buffer.map_readable().map_err(|_| {
            gst::element_imp_error!(
                self,
                gst::ResourceError::Read,
                ["A frame's memory cannot be read"]
            );
            gst::FlowError::Error
        })?;
        let frame = map.as_slice();
        if frame.is_empty() {
            gst::debug!(CAT, imp = self, "empty frame dropped");
            return Ok(gst::FlowSuccess::Ok);
        }

        let picture_id = self.picture_id.fetch_add(1, Ordering::Relaxed) & !PICTURE_ID_IS_15_BITS;
        // As many packets as needed, all about as long: a short last one would be sent as
        // expensively as a full one.
        let packets = frame.len().div_ceil(self.room());
        let fragment_len = frame.len().div_ceil(packets);
        // Rounding up can fill one packet less than counted.
        let packets = frame.len().div_ceil(fragment_len);
        gst::trace!(
            CAT,
            imp = self,
            "picture {picture_id}: {} bytes in {packets} packets",
            frame.len()
        );

        let place = |index| Place {
            first: index == 0,
            last: index + 1 == packets,
        };
        if packets == 1 {
            let packet = self.packet(frame, picture_id, place(0), &buffer)?;
            drop(map);
            return self.obj().push(packet);
        }
        let mut list = gst::BufferList::new_sized(packets);
        {
            let list = list
                .get_mut()
                .expect("nobody else holds a list that was just allocated");
            for (index, fragment) in frame.chunks(fragment_len).enumerate() {
                list.add(self.packet(fragment, picture_id, place(index), &buffer)?);
            }
        }
        drop(map);
        self.obj().push_list(list)
    }
}
