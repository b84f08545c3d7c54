// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers of a source that were left out on one way, so that those behind them can close up.

use std::collections::VecDeque;

/// Older ones are only counted: nothing that late has a place any more.
const MOST: usize = 1024;

/// Which numbers were left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Left {
    /// Ascending.
    newest: VecDeque<u64>,
    /// How many came before those.
    older: u64,
    /// The last of the older ones.
    floor: Option<u64>,
}

impl Left {
    /// Notes that this one is left out.
    pub(super) fn add(&mut self, number: u64) {
        if self.floor.is_some_and(|floor| number <= floor) {
            return;
        }
        let at = self.newest.partition_point(|other| *other < number);
        if self.newest.get(at) == Some(&number) {
            return;
        }
        self.newest.insert(at, number);
        if self.newest.len() > MOST {
            self.floor = self.newest.pop_front();
            self.older += 1;
        }
    }

    /// How many were left out before this one; `None` when that is too long ago to tell, or when it is one of them.
    pub(super) fn before(&self, number: u64) -> Option<u64> {
        if self.floor.is_some_and(|floor| number <= floor) {
            return None;
        }
        let at = self.newest.partition_point(|other| *other < number);
        (self.newest.get(at) != Some(&number)).then_some(self.older + at as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_not_left_out_closes_up(left in prop::collection::btree_set(0_u64..3000, 0..600)) {
            let mut noted = Left::default();
            for number in &left {
                noted.add(*number);
                noted.add(*number);
            }
            let mut expected = 0;
            for number in 0..3000 {
                if left.contains(&number) {
                    prop_assert_eq!(noted.before(number), None);
                } else {
                    prop_assert_eq!(number - noted.before(number).expect("it has a place"), expected);
                    expected += 1;
                }
            }
        }
    }

    #[test]
    fn what_was_left_out_long_ago_is_counted_only() {
        let mut left = Left::default();
        for number in 0..5000 {
            left.add(number * 2);
        }
        assert_eq!(left.newest.len(), MOST);
        assert_eq!(left.before(10_001), Some(5000));
        assert_eq!(left.before(9_001), Some(4501));
        assert_eq!(left.before(101), None);
    }
}
