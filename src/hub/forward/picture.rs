// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers of VP8 pictures, which have to go on across a change of layer too (RFC 7741 §4.2).
//!
//! They stand in front of the frame, outside of what is sealed, and each layer counts from a start of its own.

use str0m::rtp::{Vp8Descriptor, Vp8Patch};

use super::left::Left;

const PICTURES: u16 = 1 << 15;
const KEYS: u8 = 32;

/// No layer.
const NONE: u8 = u8::MAX;

/// Numbers of the pictures on one way.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    layer: Option<u8>,
    /// Ours minus the source's: picture, base layer, key.
    offset: (u16, u8, u8),
    /// The newest of ours.
    newest: (u16, u8, u8),
    /// The newest of the source's pictures, counted on.
    source: Option<u64>,
    /// Which of them were left out. A receiver waits for a picture whose number is missing, where a later one could need
    /// it.
    left: Left,
}

impl Pictures {
    /// What has to change in the descriptor of a packet, if anything.
    pub(super) fn of(&mut self, layer: u8, payload: &[u8]) -> Option<Vp8Patch> {
        let descriptor = Vp8Descriptor::parse(payload).ok()?;
        let id = descriptor.picture_id()?;
        let base = descriptor.tl0_pic_idx();
        let key = descriptor.key_idx();
        if self.layer != Some(layer) {
            self.source = None;
            self.left = Left::default();
        }
        match self.layer {
            None => self.newest.0 = id,
            Some(last) if last != layer => {
                let newest = self.newest;
                self.offset = (
                    newest.0.wrapping_add(1).wrapping_sub(id) % PICTURES,
                    newest.1.wrapping_add(1).wrapping_sub(base.unwrap_or(0)),
                    newest.2.wrapping_add(1).wrapping_sub(key.unwrap_or(0)) % KEYS,
                );
            }
            Some(_) => {}
        }
        self.layer = Some(layer);
        let counted = self.count_on(id);
        let left = self.left.before(counted).unwrap_or(0);
        // Both wrap at multiples of the number of pictures.
        let id = id.wrapping_add(self.offset.0).wrapping_sub(left as u16) % PICTURES;
        let base = base.map(|base| base.wrapping_add(self.offset.1));
        let key = key.map(|key| key.wrapping_add(self.offset.2) % KEYS);
        // Later packets of an older picture do not count.
        if id.wrapping_sub(self.newest.0) % PICTURES < PICTURES / 2 {
            self.newest = (
                id,
                base.unwrap_or(self.newest.1),
                key.unwrap_or(self.newest.2),
            );
        }
        if self.offset == (0, 0, 0) && left == 0 {
            return None;
        }
        let mut patch = descriptor.patch().picture_id(id);
        if let Some(base) = base {
            patch = patch.tl0_pic_idx(base);
        }
        if let Some(key) = key {
            patch = patch.key_idx(key);
        }
        // A number that does not fit a short descriptor stays as it came: a jump is better than nonsense.
        patch.build().ok()
    }

    /// The picture of this packet is left out: those behind it close up.
    pub(super) fn leave_out(&mut self, layer: u8, payload: &[u8]) {
        let Ok(descriptor) = Vp8Descriptor::parse(payload) else {
            return;
        };
        let newest = self.source;
        if let (true, Some(id)) = (self.layer == Some(layer), descriptor.picture_id()) {
            let id = self.count_on(id);
            if newest.is_none_or(|newest| id > newest) {
                self.left.add(id);
            }
        }
    }

    /// The next picture follows the last one, whatever lies between.
    pub(super) fn interrupt(&mut self) {
        if self.layer.is_some() {
            self.layer = Some(NONE);
        }
    }

    /// A number of the source as one that does not wrap.
    fn count_on(&mut self, id: u16) -> u64 {
        let newest = self.source.unwrap_or(u64::from(PICTURES) + u64::from(id));
        let ahead = id.wrapping_sub(newest as u16) % PICTURES;
        let counted = if ahead < PICTURES / 2 {
            newest + u64::from(ahead)
        } else {
            newest.saturating_sub(u64::from(PICTURES - ahead))
        };
        self.source = Some(newest.max(counted));
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X, I with 15 bits, L, T and K; then the start of a frame.
    fn packet(id: u16, base: u8, key: u8) -> Vec<u8> {
        let [high, low] = (0x8000 | id).to_be_bytes();
        vec![0x90, 0xf0, high, low, base, key, 0x10, 0x02]
    }

    #[test]
    fn a_steady_layer_is_left_alone() {
        let mut pictures = Pictures::default();
        for id in [32_766, 32_767, 0, 1] {
            assert!(pictures.of(2, &packet(id, 7, 3)).is_none());
        }
        assert!(pictures.of(2, &[]).is_none());
    }

    #[test]
    fn another_layer_goes_on_counting() {
        let mut pictures = Pictures::default();
        pictures.of(0, &packet(32_767, 255, 31));
        assert!(pictures.of(2, &packet(100, 50, 5)).is_some());
        // 32767 + 1, 255 + 1 and 31 + 1, each around its end.
        assert_eq!(pictures.newest, (0, 0, 0));
        pictures.of(2, &packet(101, 51, 5));
        assert_eq!(pictures.newest, (1, 1, 0));
        // A late packet of the picture before.
        pictures.of(2, &packet(100, 50, 5));
        assert_eq!(pictures.newest, (1, 1, 0));
        pictures.of(0, &packet(5, 1, 1));
        assert_eq!(pictures.newest, (2, 2, 1));
        pictures.interrupt();
        pictures.of(0, &packet(90, 9, 7));
        assert_eq!(pictures.newest, (3, 3, 2));
    }

    #[test]
    fn those_behind_a_picture_that_is_left_out_close_up() {
        let mut pictures = Pictures::default();
        let mut ours = Vec::new();
        for id in (32_765..PICTURES).chain(0..6) {
            // Two packets each.
            for _ in 0..2 {
                let packet = packet(id, 7, 3);
                if id % 2 == 1 {
                    pictures.leave_out(2, &packet);
                } else {
                    pictures.of(2, &packet);
                    ours.push(pictures.newest.0);
                }
            }
        }
        // The first one that is left out has nothing in front of it.
        assert_eq!(ours, [32_766, 32_766, 32_767, 32_767, 0, 0, 1, 1]);
        // A late packet of the one before.
        pictures.of(2, &packet(2, 7, 3));
        assert_eq!(pictures.newest.0, 1);
    }
}
