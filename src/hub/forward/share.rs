// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each video on a slow link gets of what the link carries.
//!
//! Sound is taken off before. Then every video gets its smallest layer, as far as there is room; then they go up evenly,
//! what is shown larger first. A video for whose smallest layer there is no room gets fewer frames of it.

use std::cmp::Reverse;

/// What is sent of a video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Share {
    /// Of the smallest layer only key frames.
    Keys,
    /// Of the smallest layer only frames of temporal layers up to this.
    Temporal(u8),
    /// At most this layer.
    Layer(u8),
    /// What the receiver wants.
    #[default]
    Whole,
}

/// A share, and what it takes in bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rung {
    pub(super) share: Share,
    pub(super) rate: u64,
}

/// What may be sent of a video, the least first; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ladder {
    rungs: Vec<Rung>,
    /// The layer that the receiver wants.
    asked: u8,
}

/// A layer as it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) layer: u8,
    /// Bits per second by the highest temporal layer that is sent; the last is everything.
    pub(super) rates: [u64; 4],
    /// Bits per second of key frames alone.
    pub(super) keys: u64,
}

impl Ladder {
    /// Of these layers, the smallest first, to a receiver that wants at most `asked`; `None` when nothing arrives.
    pub(super) fn new(offered: &[Offered], asked: u8) -> Option<Self> {
        let smallest = offered.first()?;
        let mut rungs = vec![Rung {
            share: Share::Keys,
            rate: smallest.keys.min(smallest.rates[3]),
        }];
        let mut above = smallest.rates[0];
        for (temporal, rate) in (0..).zip(&smallest.rates[..3]) {
            let rises = temporal == 0 || *rate > above;
            if rises && *rate > 0 && *rate < smallest.rates[3] {
                rungs.push(Rung {
                    share: Share::Temporal(temporal),
                    rate: *rate,
                });
            }
            above = *rate;
        }
        let fits = |layer: &&Offered| layer.layer <= asked || layer.layer == smallest.layer;
        rungs.extend(offered.iter().filter(fits).map(|layer| Rung {
            share: Share::Layer(layer.layer),
            rate: layer.rates[3],
        }));
        // What is more never counts for less.
        let mut most = 0;
        for rung in &mut rungs {
            most = rung.rate.max(most);
            rung.rate = most;
        }
        Some(Self { rungs, asked })
    }

    /// The rung of a share, or the highest below it.
    pub(super) fn rung_of(&self, share: Share) -> usize {
        let above = self.rungs.partition_point(|rung| rung.share <= share);
        above.saturating_sub(1)
    }

    /// The share of a rung; all of it at the top.
    pub(super) fn share_of(&self, rung: usize) -> Share {
        if rung + 1 >= self.rungs.len() {
            return Share::Whole;
        }
        self.rungs[rung].share
    }

    /// The rung of the whole smallest layer.
    pub(super) fn smallest(&self) -> usize {
        let rungs = &self.rungs;
        rungs.partition_point(|rung| rung.share < Share::Layer(0))
    }

    /// Bits per second that a rung takes.
    pub(super) fn rate(&self, rung: usize) -> u64 {
        self.rungs[rung].rate
    }

    /// How far up a rung is among videos with other layers.
    fn level(&self, rung: usize) -> usize {
        match self.rungs[rung].share {
            Share::Keys => 0,
            Share::Temporal(temporal) => 1 + usize::from(temporal),
            Share::Layer(_) | Share::Whole => 8 + rung - self.smallest(),
        }
    }
}

/// The rung for each video, so that all together take no more than `room`, in bits per second, but each at `least` this.
pub(super) fn allot(ladders: &[Ladder], room: u64, least: Vec<usize>) -> Vec<usize> {
    let mut at = least;
    let mut full = vec![false; ladders.len()];
    while let Some(index) = next(ladders, &at, &full) {
        at[index] += 1;
        if total(ladders, &at) > room {
            at[index] -= 1;
            full[index] = true;
        }
    }
    at
}

/// Which video goes up next, of those that are not `full`.
pub(super) fn next(ladders: &[Ladder], at: &[usize], full: &[bool]) -> Option<usize> {
    let open = (0..ladders.len()).filter(|index| {
        !full.get(*index).copied().unwrap_or(false) && at[*index] + 1 < ladders[*index].rungs.len()
    });
    open.min_by_key(|index| {
        let ladder = &ladders[*index];
        (ladder.level(at[*index]), Reverse(ladder.asked), *index)
    })
}

/// What all together take, in bits per second.
pub(super) fn total(ladders: &[Ladder], at: &[usize]) -> u64 {
    let rates = ladders
        .iter()
        .zip(at)
        .map(|(ladder, rung)| ladder.rate(*rung));
    rates.sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(layer: u8, rate: u64) -> Offered {
        Offered {
            layer,
            rates: [rate; 4],
            keys: rate / 5,
        }
    }

    fn simulcast(asked: u8) -> Ladder {
        let layers = [plain(0, 150_000), plain(1, 500_000), plain(2, 1_500_000)];
        Ladder::new(&layers, asked).expect("something arrives")
    }

    fn shares(ladders: &[Ladder], room: u64) -> Vec<Share> {
        let at = allot(ladders, room, vec![0; ladders.len()]);
        let rungs = ladders.iter().zip(at);
        rungs.map(|(ladder, rung)| ladder.share_of(rung)).collect()
    }

    #[test]
    fn one_video_gets_the_largest_layer_for_which_there_is_room() {
        let ladder = [simulcast(2)];
        assert_eq!(shares(&ladder, 1_500_000), [Share::Whole]);
        assert_eq!(shares(&ladder, 1_499_999), [Share::Layer(1)]);
        assert_eq!(shares(&ladder, 499_999), [Share::Layer(0)]);
        assert_eq!(shares(&ladder, 149_999), [Share::Keys]);
        assert_eq!(shares(&ladder, 0), [Share::Keys]);
        assert_eq!(shares(&[simulcast(0)], 150_000), [Share::Whole]);
    }

    #[test]
    fn every_video_gets_its_smallest_layer_before_one_gets_more() {
        let ladders = [simulcast(1), simulcast(2), simulcast(2)];
        let small = Share::Layer(0);
        assert_eq!(shares(&ladders, 450_000), [small, small, small]);
        // What is shown larger goes first.
        assert_eq!(shares(&ladders, 800_000), [small, Share::Layer(1), small]);
        assert_eq!(
            shares(&ladders, 1_500_000),
            [Share::Whole, Share::Layer(1), Share::Layer(1)]
        );
    }

    #[test]
    fn one_layer_loses_frames_from_the_top() {
        let layers = [Offered {
            layer: 2,
            rates: [600_000, 900_000, 1_500_000, 1_500_000],
            keys: 200_000,
        }];
        // A single layer is sent whatever layer is asked for.
        let ladder = [Ladder::new(&layers, 0).expect("something arrives")];
        assert_eq!(shares(&ladder, 1_500_000), [Share::Whole]);
        assert_eq!(shares(&ladder, 1_000_000), [Share::Temporal(1)]);
        assert_eq!(shares(&ladder, 700_000), [Share::Temporal(0)]);
        assert_eq!(shares(&ladder, 599_999), [Share::Keys]);
        assert_eq!(ladder[0].smallest(), 3);
        assert_eq!(allot(&ladder, 0, vec![2]), [2]);
        assert_eq!(ladder[0].rung_of(Share::Whole), 3);
        assert_eq!(ladder[0].rung_of(Share::Temporal(1)), 2);
    }

    #[test]
    fn where_nothing_arrives_there_is_nothing_to_share() {
        assert_eq!(Ladder::new(&[], 2), None);
        assert_eq!(allot(&[], 1000, Vec::new()), Vec::<usize>::new());
    }

    fn any_ladder() -> impl Strategy<Value = Ladder> {
        let layer = (
            any::<bool>(),
            [0_u64..100, 0..100, 0..100, 0..100],
            0_u64..50,
        );
        ([layer.clone(), layer.clone(), layer], 0_u8..3).prop_filter_map(
            "something arrives",
            |(layers, asked)| {
                let arriving = (0..).zip(layers).filter(|(_, (arrives, ..))| *arrives);
                let offered: Vec<Offered> = arriving
                    .map(|(layer, (_, mut rates, keys))| {
                        rates.sort_unstable();
                        Offered { layer, rates, keys }
                    })
                    .collect();
                Ladder::new(&offered, asked)
            },
        )
    }

    proptest! {
        #[test]
        fn nothing_that_fits_is_left_and_nothing_is_exceeded(
            ladders in prop::collection::vec(any_ladder(), 0..6),
            room in 0_u64..600,
            gently in any::<bool>(),
        ) {
            let least: Vec<usize> = ladders
                .iter()
                .map(|ladder| if gently { ladder.smallest() } else { 0 })
                .collect();
            let at = allot(&ladders, room, least.clone());
            prop_assert!(total(&ladders, &at) <= room || at == least);
            for index in 0..ladders.len() {
                prop_assert!(at[index] >= least[index]);
                let mut more = at.clone();
                more[index] += 1;
                if more[index] < ladders[index].rungs.len() {
                    prop_assert!(total(&ladders, &more) > room);
                }
                // Back and forth is the same.
                let share = ladders[index].share_of(at[index]);
                prop_assert_eq!(ladders[index].rung_of(share), at[index]);
            }
        }

        #[test]
        fn enough_room_is_for_everything(ladders in prop::collection::vec(any_ladder(), 1..6)) {
            let at = allot(&ladders, u64::MAX, vec![0; ladders.len()]);
            for (ladder, rung) in ladders.iter().zip(at) {
                prop_assert_eq!(ladder.share_of(rung), Share::Whole);
            }
        }
    }
}
