// SPDX-License-Identifier: MIT OR Apache-2.0

//! The caps of an H.264 stream, which cannot be told before its parameter sets are.

use crate::elements::avc;

#[derive(Debug, Default)]
pub(super) struct AvcCaps {
    /// What upstream said, already as avc but without `codec_data`.
    base: Option<gst::Caps>,
    /// The parameter sets that downstream knows, with their lengths.
    header: Vec<u8>,
    /// Events that came in behind the caps and have to leave behind them.
    waiting: Vec<gst::Event>,
}

impl AvcCaps {
    /// Takes what upstream says; gives the caps to send at once when the parameter sets are known
    /// already.
    pub(super) fn begin(&mut self, base: gst::Caps) -> Option<gst::Caps> {
        self.base = Some(base);
        self.complete()
    }

    /// Keeps an event for later while the caps have not left; gives it back when they have.
    pub(super) fn keep(&mut self, event: gst::Event) -> Option<gst::Event> {
        if self.header.is_empty() {
            self.waiting.push(event);
            return None;
        }
        Some(event)
    }

    /// The events that were kept.
    pub(super) fn release(&mut self) -> Vec<gst::Event> {
        std::mem::take(&mut self.waiting)
    }

    /// Follows the parameter sets of a frame in avc; puts what has to leave before it into `events`.
    /// False when the frame cannot leave, since nobody could tell downstream what it is.
    pub(super) fn follow(&mut self, frame: &[u8], events: &mut Vec<gst::Event>) -> bool {
        let Some(header) = avc::header(frame) else {
            return false;
        };
        if header != self.header && avc::codec_data(header).is_some() {
            self.header.clear();
            self.header.extend_from_slice(header);
            let Some(caps) = self.complete() else {
                return false;
            };
            events.push(gst::event::Caps::new(&caps));
            events.append(&mut self.waiting);
        }
        !self.header.is_empty()
    }

    /// The caps of the stream as far as it is known.
    fn complete(&self) -> Option<gst::Caps> {
        let mut caps = self.base.clone()?;
        caps.make_mut()
            .set("codec_data", avc::codec_data(&self.header)?);
        Some(caps)
    }
}
