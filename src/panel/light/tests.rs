// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a lamp shows, watched over time.

use core::time::Duration;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// The light every 10 ms.
fn watch(pattern: Pattern, seconds: u64) -> Vec<Light> {
    (0..seconds * 100)
        .map(|tick| pattern.at(Duration::from_millis(tick * 10)))
        .collect()
}

/// How often it goes on.
fn flashes(lights: &[Light], lit: impl Fn(&Light) -> bool) -> usize {
    let mut before = false;
    let mut flashes = 0;
    for light in lights {
        let now = lit(light);
        flashes += usize::from(now && !before);
        before = now;
    }
    flashes
}

fn all() -> impl Iterator<Item = Pattern> {
    Shield::ALL
        .into_iter()
        .flat_map(|shield| [colour(shield), one_colour(shield)])
        .chain([mute(true), mute(false)])
}

#[test]
fn no_two_states_look_alike_except_where_a_lamp_without_colour_is_off() {
    let mut seen: Vec<Vec<(Hue, u8)>> = Vec::new();
    for shield in Shield::ALL {
        let lights: Vec<_> = watch(colour(shield), 12)
            .into_iter()
            .map(|light| (light.hue, light.level))
            .collect();
        assert!(!seen.contains(&lights), "{shield:?}");
        seen.push(lights);
    }
    let mut seen: Vec<Vec<bool>> = Vec::new();
    for shield in Shield::ALL {
        let lights: Vec<_> = watch(one_colour(shield), 12)
            .into_iter()
            .map(|light| light.on)
            .collect();
        let off = !lights.contains(&true);
        assert_eq!(
            off,
            matches!(shield, Shield::Open | Shield::Connecting | Shield::Dark),
            "{shield:?}"
        );
        assert!(off || !seen.contains(&lights), "{shield:?}");
        seen.push(lights);
    }
}

#[test]
fn green_is_lit_for_green_states_alone() {
    for shield in Shield::ALL {
        for light in watch(colour(shield), 12) {
            let green = light.hue == Hue::Green && light.level > 0;
            assert!(!green || shield.is_green(), "{shield:?}");
            // Also where each colour is on or off: green alone means green.
            let alone = light.switched() == [false, true, false];
            assert!(!alone || shield.is_green(), "{shield:?}");
            let [red, green, blue] = light.duty();
            assert!(
                green <= red || green <= blue || shield.is_green(),
                "{shield:?}"
            );
        }
    }
}

#[test]
fn only_sealed_is_a_steady_light_on_a_lamp_with_one_colour() {
    for shield in Shield::ALL {
        let steady = watch(one_colour(shield), 12).iter().all(|light| light.on);
        assert_eq!(steady, shield == Shield::Sealed, "{shield:?}");
    }
}

#[test]
fn nothing_flashes_more_than_three_times_a_second() {
    for pattern in all() {
        let lights = watch(pattern, 12);
        for second in lights.windows(100) {
            let flashes = flashes(second, |light| light.on);
            assert!(flashes <= 3, "{pattern:?}");
        }
    }
}

#[test]
fn a_refused_press_flashes_three_times_and_never_again() {
    for pattern in [colour(Shield::Denied), one_colour(Shield::Denied)] {
        let lights = watch(pattern, 60);
        assert_eq!(flashes(&lights, |light| light.level > 0), 3);
        assert!(
            lights[200..].iter().all(|light| light.level == 0),
            "over within the two seconds in which it is shown"
        );
    }
}

#[test]
fn pulses_come_as_often_as_the_table_says() {
    for (pattern, seconds, expected) in [
        (colour(Shield::Waiting), 12, 4),
        (colour(Shield::SealedByService), 12, 3),
        (colour(Shield::UnsealedPeer), 12, 16),
        (colour(Shield::WrongKey), 12, 6),
        (one_colour(Shield::SetUp), 10, 4),
        (one_colour(Shield::Updating), 10, 2),
        (one_colour(Shield::Sealing), 10, 10),
    ] {
        let lights = watch(pattern, seconds);
        assert_eq!(flashes(&lights, |light| light.on), expected, "{pattern:?}");
    }
}

#[test]
fn breathing_never_goes_dark_and_blinks_on_a_lamp_without_brightness() {
    let lights = watch(colour(Shield::Sealing), 4);
    assert!(lights.iter().all(|light| light.level > 0));
    assert_eq!(lights.iter().map(|light| light.level).max(), Some(255));
    assert!(
        lights
            .windows(2)
            .all(|pair| pair[0].level.abs_diff(pair[1].level) <= 3),
        "it fades"
    );
    assert_eq!(flashes(&lights, |light| light.on), 2);
}

#[test]
fn all_colours_of_a_light_that_are_dimmed_are_dimmed_alike() {
    // So pulses of one light need two wake-ups a period, whatever its colour.
    for pattern in all() {
        for light in watch(pattern, 12) {
            let mut dimmed = light.duty().to_vec();
            dimmed.retain(|duty| !matches!(duty, 0 | 0xffff));
            dimmed.dedup();
            assert!(dimmed.len() <= 1, "{pattern:?} {light:?}");
        }
    }
}

#[test]
fn full_is_full_and_dim_is_on_where_there_is_no_brightness() {
    assert_eq!(
        colour(Shield::Sealed).at(Duration::ZERO).duty(),
        [0, 0xffff, 0]
    );
    let dim = colour(Shield::Open).at(Duration::ZERO);
    assert!(dim.duty().iter().all(|duty| (1..0x2000).contains(duty)));
    assert_eq!(dim.switched(), [true; 3]);
    let amber = colour(Shield::WrongKey).at(Duration::ZERO);
    assert_eq!(amber.switched(), [true, true, false]);
    assert_eq!(Light::DARK.duty(), [0; 3]);
    assert_eq!(Light::DARK.switched(), [false; 3]);
}

proptest! {
    #[test]
    fn a_light_stays_as_long_as_it_says(index in 0_usize..28, millis in 0_u64..100_000) {
        let pattern = all().nth(index).expect("28 patterns");
        let since = Duration::from_millis(millis);
        let light = pattern.at(since);
        let stays = pattern.stays(since).unwrap_or(Duration::from_secs(100));
        prop_assert!(!stays.is_zero());
        let mut later = Duration::ZERO;
        while later < stays {
            let now = pattern.at(since + later);
            prop_assert_eq!(now.hue, light.hue);
            prop_assert!(now.level.abs_diff(light.level) <= 5, "{:?} {:?}", light, now);
            later += Duration::from_millis(7);
        }
    }

    #[test]
    fn any_time_is_a_light(index in 0_usize..28, seconds: u64, nanos in 0_u32..1_000_000_000) {
        let pattern = all().nth(index).expect("28 patterns");
        let since = Duration::new(seconds, nanos);
        let light = pattern.at(since);
        prop_assert!(light.level > 0 || !light.on);
        pattern.stays(since);
    }
}
