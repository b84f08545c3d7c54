// SPDX-License-Identifier: MIT OR Apache-2.0

//! Real descriptions, damaged at random (the same way in each run): whatever comes out is either
//! refused or still keeps every rule.

use super::{
    Description, Known, accept_answer, accept_offer, certificate_fingerprint, open_directions,
    parse_remote_candidate, publisher_answer, publisher_offer, send_inactive, widen_answer,
};

const SEEDS: [&str; 2] = [
    include_str!("testdata/livekit-offer-data.sdp"),
    include_str!("testdata/livekit-offer-tracks.sdp"),
];

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).expect("below a usize")
    }

    fn damage(&mut self, text: &str) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for _ in 0..=self.below(4) {
            let count = lines.len();
            if count == 0 {
                break;
            }
            let (one, other) = (self.below(count), self.below(count));
            match self.below(7) {
                0 => lines.swap(one, other),
                1 => {
                    lines.remove(one);
                }
                2 => lines.insert(one, lines[other].clone()),
                3 => lines.truncate(one),
                4 => self.damage_line(&mut lines[one]),
                5 => {
                    let splice = lines[other]
                        .split(':')
                        .next_back()
                        .unwrap_or_default()
                        .to_owned();
                    let name = lines[one].split(':').next().unwrap_or_default().to_owned();
                    lines[one] = format!("{name}:{splice}");
                }
                _ => lines[one].push_str(&"9".repeat(self.below(5000))),
            }
        }
        lines.join(if self.below(2) == 0 { "\r\n" } else { "\n" })
    }

    fn damage_line(&mut self, line: &mut String) {
        const PIECES: [char; 12] = [
            '\0',
            ' ',
            ':',
            '/',
            '=',
            '-',
            '0',
            '9',
            'a',
            'é',
            '\u{10ffff}',
            '\t',
        ];
        let mut chars: Vec<char> = line.chars().collect();
        let at = self.below(chars.len());
        match self.below(3) {
            0 if !chars.is_empty() => {
                chars.remove(at);
            }
            1 if !chars.is_empty() => chars[at] = PIECES[self.below(PIECES.len())],
            _ => chars.insert(at, PIECES[self.below(PIECES.len())]),
        }
        *line = chars.into_iter().collect();
    }
}

#[test]
fn damaged_descriptions_are_refused_or_keep_the_rules() {
    let mut random = Random(0x5eed);
    let intact = accept_offer(SEEDS[1], &Known::default()).expect("a real offer");
    let mut accepted_count = 0;
    for round in 0..500 {
        let text = random.damage(SEEDS[round % SEEDS.len()]);
        let _ = accept_offer(&text, &intact.known);
        let _ = accept_answer(&text, &intact.description, &Known::default());
        let _ = certificate_fingerprint(&text);
        let _ = parse_remote_candidate(&text);
        if let Ok(mut any) = Description::parse(&text) {
            publisher_offer(&mut any, &["1".into()]);
            publisher_answer(&mut any);
            any.set_ice_credentials("user", "password");
        }
        let Ok(accepted) = accept_offer(&text, &Known::default()) else {
            continue;
        };
        accepted_count += 1;
        // What goes on to webrtcbin is accepted again, word for word.
        let reduced = accepted.description.to_string();
        let again = accept_offer(&reduced, &accepted.known).expect("reduced descriptions are fine");
        assert_eq!(again.description.to_string(), reduced);
        let mut answer = accepted.description.clone();
        let mut offer = accepted.description;
        let closed = open_directions(&mut offer);
        widen_answer(&mut answer, &offer);
        send_inactive(&mut answer, &closed);
        Description::parse(&answer.to_string()).expect("an answer is well-formed");
    }
    // Otherwise the damage is too great to test anything but refusal.
    assert!(accepted_count > 25, "{accepted_count}");
}
