// SPDX-License-Identifier: MIT OR Apache-2.0
//! The word list that passphrases and the words of a key are taken from: the EFF's large one.

/// How many words it has.
pub(crate) const LIST_LEN: usize = 7776;

/// The words, in the order of the list.
pub(crate) fn word_list() -> core::str::Lines<'static> {
    include_str!("words/eff_large.txt").lines()
}

/// The word at this place, which is below [`LIST_LEN`].
pub(crate) fn word(index: usize) -> &'static str {
    word_list()
        .nth(index)
        .expect("the list has as many words as it has indexes")
}
