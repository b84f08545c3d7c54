// SPDX-License-Identifier: MIT OR Apache-2.0

//! The chime: two falling tones that say that something is about to happen.

use std::f64::consts::TAU;

use super::mix::MIX_RATE;

/// The tones, one after the other, in Hz: E6 and A5.
const TONES: [f64; 2] = [1318.5, 880.0];

/// How long each of them sounds, in samples: 280 ms.
const LENGTH: usize = 13_440;

/// How loud they begin, of the most there is: to be heard beside voices, and not to startle.
const LEVEL: f64 = 0.3;

/// How quickly they fade, as bells do: to a hundredth within their time.
const FADING: f64 = 4.6;

/// Samples of the first and last 5 ms, in which a tone comes and goes without a click.
const EDGE: usize = 240;

/// Samples of the chime at [`MIX_RATE`], mono.
pub(super) fn samples() -> Vec<i16> {
    let tone = |hertz: f64| {
        (0..LENGTH).map(move |at| {
            let edge = at.min(LENGTH - 1 - at).min(EDGE) as f64 / EDGE as f64;
            let fade = (-FADING * at as f64 / LENGTH as f64).exp();
            let wave = (TAU * hertz * at as f64 / f64::from(MIX_RATE)).sin();
            // Within the range of an i16, as no factor is above one.
            (wave * fade * edge * LEVEL * f64::from(i16::MAX)) as i16
        })
    };
    TONES.into_iter().flat_map(tone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_half_a_second_of_two_tones_without_a_click() {
        let chime = samples();
        let seconds = chime.len() as f64 / f64::from(MIX_RATE);
        assert!((0.5..0.7).contains(&seconds), "{seconds}");
        assert_eq!([chime[0], chime[chime.len() - 1]], [0, 0]);
        let step = chime
            .windows(2)
            .map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
        assert!(
            step.max() < Some(2_500),
            "no jump louder than the tone itself makes"
        );
        let crossings = |part: &[i16]| {
            part.windows(2)
                .filter(|pair| pair[0] < 0 && pair[1] >= 0)
                .count()
        };
        let [first, second] = [&chime[..LENGTH], &chime[LENGTH..]].map(crossings);
        assert!(
            (360..375).contains(&first) && (240..250).contains(&second),
            "{first} {second}"
        );
    }
}
