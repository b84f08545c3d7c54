// SPDX-License-Identifier: MIT OR Apache-2.0
//! One terminal, two writers: a table that is drawn over itself, and log lines that pass above it.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// The table that stands at the bottom of the terminal, if one does.
static STANDING: Mutex<Option<String>> = Mutex::new(None);

/// Columns and rows where the terminal does not say.
const USUAL: (usize, usize) = (80, 24);

/// Draws `table` over the one before.
///
/// # Errors
/// When standard output fails.
pub fn draw(table: &str) -> io::Result<()> {
    let mut standing = STANDING.lock().unwrap_or_else(PoisonError::into_inner);
    let (columns, rows) = size();
    let table = fit(table, columns, rows);
    let mut text = erase(standing.as_deref());
    text.push_str(&table);
    *standing = Some(table);
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Standard error for log lines; they pass above the table where both are on the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Above;

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let standing = STANDING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut err = io::stderr().lock();
        match standing.as_deref().filter(|_| err.is_terminal()) {
            Some(table) => {
                err.write_all(erase(Some(table)).as_bytes())?;
                err.write_all(bytes)?;
                err.write_all(table.as_bytes())?;
            }
            None => err.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

impl<'a> MakeWriter<'a> for Above {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

/// Up to the first line of the table, and clear from there: what scrolled away before stays.
fn erase(standing: Option<&str>) -> String {
    let mut text = String::new();
    let lines = standing.map_or(0, |table| table.lines().count());
    if lines > 0 {
        let _ = write!(text, "\x1b[{lines}A\x1b[J");
    }
    text
}

fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 1 => {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        }
        _ => USUAL,
    }
}

/// `table` with no line that the terminal would break and no more lines than it shows: otherwise the way back up
/// to its first line could not be known.
fn fit(table: &str, columns: usize, rows: usize) -> String {
    let columns = columns.max(20);
    let mut lines: Vec<String> = table.lines().flat_map(|line| fold(line, columns)).collect();
    let room = rows.saturating_sub(2).max(1);
    if lines.len() > room {
        let more = lines.len() - room;
        lines.truncate(room);
        lines.push(format!("… {more} more lines: make the terminal higher"));
    }
    lines
        .into_iter()
        .flat_map(|line| [line, "\n".to_owned()])
        .collect()
}

/// `line` in pieces that fit, the later ones indented.
fn fold(line: &str, columns: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for c in line.chars() {
        let width = width(c);
        if used + width > columns {
            pieces.push("      ".to_owned());
            used = 6;
        }
        used += width;
        pieces.last_mut().expect("it begins with one").push(c);
    }
    pieces
}

/// Columns of a character, rather too many than too few: wide scripts begin at U+1100.
fn width(c: char) -> usize {
    if c >= '\u{1100}' { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal_and_nothing_is_lost() {
        let folded = fit(&"會議室 and some words ".repeat(9), 40, 24);
        for line in folded.lines() {
            assert!(line.chars().map(width).sum::<usize>() <= 40, "{line}");
        }
        assert_eq!(
            folded.matches("會議室").count()
                + folded.matches("會議\n").count()
                + folded.matches("會\n").count(),
            9
        );
    }

    #[test]
    fn a_table_higher_than_the_terminal_is_cut_and_says_so() {
        let cut = fit(&"line\n".repeat(50), 80, 24);
        assert_eq!(cut.lines().count(), 23);
        assert!(
            cut.ends_with("… 28 more lines: make the terminal higher\n"),
            "{cut}"
        );
    }

    #[test]
    fn erasing_goes_up_by_the_lines_that_stand() {
        assert_eq!(erase(None), "");
        assert_eq!(erase(Some("a\nb\n")), "\x1b[2A\x1b[J");
    }
}
