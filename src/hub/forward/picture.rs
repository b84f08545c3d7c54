// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers of VP8 pictures, which have to go on across a change of layer too (RFC 7741 §4.2).
//!
//! They stand in front of the frame, outside of what is sealed, and each layer counts from a start of its own.

use str0m::rtp::{Vp8Descriptor, Vp8Patch};

const PICTURES: u16 = 1 << 15;
const KEYS: u8 = 32;

/// Numbers of the pictures on one way.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    layer: Option<u8>,
    /// Ours minus the source's: picture, base layer, key.
    offset: (u16, u8, u8),
    /// The newest of ours.
    newest: (u16, u8, u8),
}

impl Pictures {
    /// What has to change in the descriptor of a packet, if anything.
    pub(super) fn of(&mut self, layer: u8, payload: &[u8]) -> Option<Vp8Patch> {
        let descriptor = Vp8Descriptor::parse(payload).ok()?;
        let id = descriptor.picture_id()?;
        let base = descriptor.tl0_pic_idx();
        let key = descriptor.key_idx();
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
        let id = id.wrapping_add(self.offset.0) % PICTURES;
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
        if self.offset == (0, 0, 0) {
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
    }
}
