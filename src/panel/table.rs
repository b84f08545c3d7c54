// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lamp's states as a table for the manual, from the same code that lights the lamp.

use std::fmt::Write;

use roomseal_meeting::Shield;

use crate::light::{Pattern, colour, one_colour};

/// Every state, when it is shown and what it looks like, in Markdown.
pub fn markdown() -> String {
    let mut table =
        "| state | when | lamp with colours | lamp with one colour |\n|---|---|---|---|\n"
            .to_owned();
    for shield in Shield::ALL {
        let words = |pattern: Pattern, with_hue: bool| match pattern.words() {
            (hue, shape) if with_hue && !hue.is_empty() => format!("{hue}, {shape}"),
            (_, shape) => shape.to_owned(),
        };
        let row = writeln!(
            table,
            "| {} | {} | {} | {} |",
            shield.name(),
            shield.when(),
            words(colour(shield), true),
            words(one_colour(shield), false)
        );
        row.expect("a String takes every line");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_shows_what_the_lamp_does() {
        let readme = include_str!("../../README.md");
        let (_, rest) = readme
            .split_once("<!-- lamp table: printed by the code, see src/panel/table.rs -->\n\n")
            .expect("README.md has the beginning of the table");
        let (shown, _) = rest
            .split_once("\n<!-- end of the lamp table -->")
            .expect("README.md has the end of the table");
        let table = markdown();
        assert!(
            shown == table,
            "README.md shows another table than the code; put this in its place:\n\n{table}"
        );
    }
}
