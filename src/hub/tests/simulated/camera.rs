// SPDX-License-Identifier: MIT OR Apache-2.0
//! Somebody in a room who films, in layers, and gives key frames when asked.

use std::time::Duration;

use super::world::{Got, World};

/// From one picture to the next.
pub(crate) const STEP: Duration = Duration::from_millis(40);

/// What a packet carries at most.
const PACKET: usize = 1100;

/// Pictures and sound of one client.
pub(crate) struct Camera {
    who: usize,
    layers: Vec<Layer>,
    /// Whether each layer has three temporal layers.
    temporal: bool,
    picture: u32,
    /// How many key frames it was asked for.
    pub(crate) asked: usize,
    sounds: u64,
}

struct Layer {
    rid: Option<&'static str>,
    rate: usize,
    number: u64,
    base: u8,
    key_due: bool,
    sent: usize,
}

/// What a packet says of itself, in the part that would be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) layer: u8,
    pub(crate) temporal: u8,
    pub(crate) is_key: bool,
}

impl Mark {
    /// Of a packet of pictures.
    pub(crate) fn of(got: &Got) -> Option<Self> {
        let [.., layer, temporal, key, 0xab] = got.payload[..] else {
            return None;
        };
        Some(Self {
            layer,
            temporal,
            is_key: key == 1,
        })
    }
}

impl Camera {
    /// In three layers of 150, 500 and 1500 kbit/s.
    pub(crate) fn in_layers(world: &mut World, name: &str) -> Self {
        let who = world.join_with(name, &["q", "h", "f"]);
        let layers = [
            (Some("q"), 150_000),
            (Some("h"), 500_000),
            (Some("f"), 1_500_000),
        ];
        Self::new(who, &layers, false)
    }

    /// In a single layer of so many bits per second.
    pub(crate) fn alone(world: &mut World, name: &str, rate: usize, temporal: bool) -> Self {
        let who = world.join(name);
        Self::new(who, &[(None, rate)], temporal)
    }

    fn new(who: usize, layers: &[(Option<&'static str>, usize)], temporal: bool) -> Self {
        let layer = |(rid, rate): &(_, usize)| Layer {
            rid: *rid,
            rate: *rate,
            number: 100,
            base: 0,
            key_due: true,
            sent: 0,
        };
        Self {
            who,
            layers: layers.iter().map(layer).collect(),
            temporal,
            picture: 0,
            asked: 0,
            sounds: 0,
        }
    }

    /// Packets of a layer so far.
    pub(crate) fn sent(&self, layer: usize) -> usize {
        self.layers[layer].sent
    }

    /// Packets of sound so far.
    pub(crate) fn sounds(&self) -> u64 {
        self.sounds
    }

    /// One picture, and the sound that goes with it.
    pub(crate) fn shoot(&mut self, world: &mut World) {
        for rid in world.take_asked(self.who) {
            self.asked += 1;
            for layer in &mut self.layers {
                layer.key_due |= rid.is_none() || layer.rid == rid.as_deref();
            }
        }
        for _ in 0..2 {
            self.sounds += 1;
            world.sound(self.who, self.sounds, self.sounds as u32 * 960, &[0x5a; 80]);
        }
        self.picture += 1;
        for index in 0..self.layers.len() {
            self.expose(index, world);
        }
    }

    fn expose(&mut self, index: usize, world: &mut World) {
        let picture = self.picture;
        let layer = &mut self.layers[index];
        let is_key = std::mem::take(&mut layer.key_due);
        let (temporal, synced) = match picture % 4 {
            _ if is_key || !self.temporal => (0, false),
            0 => (0, false),
            2 => (1, true),
            1 => (2, true),
            _ => (2, false),
        };
        if temporal == 0 {
            layer.base = layer.base.wrapping_add(1);
        }
        let size = layer.rate / 8 * STEP.as_millis() as usize / 1000;
        let size = if is_key { size * 4 } else { size };
        let count = size.div_ceil(PACKET).max(1);
        let [high, low] = (picture as u16 | 0x8000).to_be_bytes();
        let name = u8::try_from(index).expect("there are three");
        for part in 0..count {
            let start = if part == 0 { 0x90 } else { 0x80 };
            let place = temporal << 6 | u8::from(synced) << 5;
            let mut payload = if self.temporal {
                vec![start, 0xe0, high, low, layer.base, place]
            } else {
                vec![start, 0x80, high, low]
            };
            payload.push(u8::from(!is_key));
            payload.resize((size / count).max(20), 0x5a);
            payload.extend([name, temporal, u8::from(is_key), 0xab]);
            let place = (layer.number, picture * 3600, part + 1 == count);
            layer.number += 1;
            layer.sent += 1;
            match layer.rid {
                Some(rid) => world.layer(self.who, rid, place, &payload),
                None => world.picture(self.who, place.0, place.1, place.2, &payload),
            }
        }
    }
}
