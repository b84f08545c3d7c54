// SPDX-License-Identifier: MIT OR Apache-2.0
//! SVG, piece by piece. Text of others goes in as text only.

use std::fmt::Write as _;

use gst::glib::markup_escape_text;
use roomseal_media::present::layout::Size;
use roomseal_media::present::{Patch, label};
use zeroize::Zeroizing;

/// Room for a drawing with a code in it, so that no part of an invitation stays behind in a smaller allocation.
const ROOM: usize = 96 * 1024;

/// Width of a letter in percent of its height; DejaVu Sans, on average.
const LETTER_PERCENT: u32 = 62;

/// A drawing in the making, in pixels of the design.
pub(super) struct Drawing {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    body: Zeroizing<String>,
}

/// Where a text stands from its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Type {
    pub(super) size: u32,
    pub(super) bold: bool,
    pub(super) colour: &'static str,
    pub(super) anchor: Anchor,
}

impl Type {
    pub(super) fn plain(size: u32, colour: &'static str) -> Self {
        Self {
            size,
            bold: false,
            colour,
            anchor: Anchor::Start,
        }
    }

    pub(super) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    /// How many letters fit into so many pixels.
    pub(super) fn letters(self, width: u32) -> usize {
        let percent = LETTER_PERCENT + if self.bold { 8 } else { 0 };
        (width * 100 / (self.size * percent)) as usize
    }
}

impl Drawing {
    pub(super) fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self {
            x,
            y,
            width,
            height,
            body: Zeroizing::new(String::with_capacity(ROOM)),
        }
    }

    /// A filled rectangle.
    pub(super) fn rect(
        &mut self,
        x: u32,
        y: u32,
        width: u32,
        height: u32,
        radius: u32,
        fill: &str,
    ) {
        self.add(format_args!(
            r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}" fill="{fill}"/>"#
        ));
    }

    /// The whole of it, dark, so much of it seen through.
    pub(super) fn shade(&mut self, fill: &str, opacity: f32) {
        let (width, height) = (self.width, self.height);
        self.add(format_args!(
            r#"<rect width="{width}" height="{height}" fill="{fill}" fill-opacity="{opacity}"/>"#
        ));
    }

    /// One line of text, cut to what fits into `width`.
    pub(super) fn text(&mut self, x: u32, y: u32, width: u32, look: Type, text: &str) {
        let text = label::plain(text, look.letters(width));
        let text = markup_escape_text(&text);
        let Type { size, colour, .. } = look;
        let weight = if look.bold { "bold" } else { "normal" };
        let anchor = match look.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(format_args!(
            r#"<text x="{x}" y="{y}" font-family="DejaVu Sans, sans-serif" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}">{text}</text>"#
        ));
    }

    /// A sign of 24 by 24 units, made so large.
    pub(super) fn sign(&mut self, x: u32, y: u32, size: u32, sign: &str) {
        let scale = f64::from(size) / 24.0;
        self.add(format_args!(
            r#"<g transform="translate({x} {y}) scale({scale})">{sign}</g>"#
        ));
    }

    /// A path in units of its own, each so many pixels large.
    pub(super) fn path(&mut self, x: u32, y: u32, scale: f64, path: &str, fill: &str) {
        self.add(format_args!(
            r#"<path transform="translate({x} {y}) scale({scale})" shape-rendering="crispEdges" fill="{fill}" d="{path}"/>"#
        ));
    }

    /// As a document for a screen of this size.
    pub(super) fn finish(self, screen: Size, design: Size) -> Patch {
        let scaled = |pixels: u32| (pixels * screen.height).div_ceil(design.height);
        let Self {
            x,
            y,
            width,
            height,
            body,
        } = self;
        let mut svg = Zeroizing::new(String::with_capacity(body.len() + 256));
        let (wide, high) = (scaled(width).max(1), scaled(height).max(1));
        // A String takes everything.
        let _ = write!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {width} {height}">{}</svg>"#,
            *body
        );
        Patch {
            x: scaled(x),
            y: scaled(y),
            svg,
        }
    }

    fn add(&mut self, piece: std::fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = self.body.write_fmt(piece);
    }
}

/// `text` in lines of at most so many letters.
pub(super) fn lines(text: &str, letters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= letters => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
