// SPDX-License-Identifier: MIT OR Apache-2.0

//! All pictures and names to one screen.
//!
//! One pipeline with a fixed number of inputs: `max_tiles` seats and one shared screen. Inputs are
//! moved, hidden and given to another participant, but never added or removed while it runs.

use std::cell::RefCell;
use std::sync::Arc;

use gst::prelude::*;

use super::config::{Display, PresentConfig, PresentError, TrackState};
use super::label;
use super::layout::{Rect, Size};
use super::overlay::{self, Canvas};
use super::pipeline::{Running, build_error, chain, count_from, make, source};
use crate::clock;

/// Pictures that may wait for an input.
const MOST_WAITING: u64 = 8;

/// The composed picture is this many lines of text high.
const LINES: u32 = 36;

/// Width of a letter in percent of the size of the font; DejaVu Sans, on average.
const LETTER_PERCENT: u32 = 62;

/// Height of a line in percent of the size of the font.
const LINE_PERCENT: u32 = 120;

/// Colour of the one state in which all is well, and of every other.
const SEALED_COLOUR: &str = "#8ce99a";
const WARNING_COLOUR: &str = "#ffc94d";

/// Room for the shade around a caption, in pixels.
const SHADE: u32 = 12;

/// The screen at work.
#[derive(Debug)]
pub(super) struct Composer {
    /// One per tile, then one for the shared screen.
    places: Vec<Place>,
    /// The same, then one for those not shown.
    captions: Vec<Caption>,
    size: Size,
    header: u32,
    _running: Running,
}

/// One input: where its picture comes in, and how the compositor treats it.
#[derive(Debug)]
pub(super) struct Place {
    source: gst_app::AppSrc,
    pad: gst::Pad,
}

#[derive(Debug)]
struct Caption {
    overlay: gst::Element,
    /// Drawing text takes longer than seeing that it is the same.
    drawn: RefCell<(String, u32, u32)>,
}

impl Composer {
    /// Starts showing (black, at first); `None` when there is nowhere to show.
    pub(super) fn start(
        config: &PresentConfig,
        canvas: &Arc<Canvas>,
        failed: impl Fn(String) + Send + Sync + 'static,
    ) -> Result<Option<Self>, PresentError> {
        let what = "display";
        let Some(sink) = display(&config.display)? else {
            return Ok(None);
        };
        crate::plugins::require(&["compositor", "textoverlay"])
            .map_err(|error| build_error(what, &error))?;
        let compositor = gst::ElementFactory::make("compositor")
            // It goes on when a sender, or every sender, stops.
            .property("force-live", true)
            .property("ignore-inactive-pads", true)
            .property_from_str("background", "black")
            .build()
            .map_err(|error| build_error(what, &error))?;
        let filter = make(what, "capsfilter")?;
        filter.set_property("caps", composed_caps(config));

        let captions: Vec<Caption> = (0..config.max_tiles + 2)
            .map(|_| Caption::new(config.size))
            .collect::<Result<_, _>>()?;
        let convert = make(what, "videoconvert")?;
        let mut row: Vec<&gst::Element> = vec![&compositor, &filter];
        row.extend(captions.iter().map(|caption| &caption.overlay));
        let overlay = overlay::element(canvas)?;
        row.extend([&overlay, &convert, &sink]);
        let pipeline = gst::Pipeline::new();
        let begin = clock::now();
        chain(what, &pipeline, &row)?;

        let delay = i64::try_from(config.playout_delay.as_nanos()).unwrap_or(i64::MAX);
        let places = (0..config.max_tiles + 1)
            .map(|_| Place::new(&pipeline, &compositor, delay, begin))
            .collect::<Result<_, _>>()?;
        let running = Running::start_at(begin, pipeline, what, failed)?;
        Ok(Some(Self {
            places,
            captions,
            size: config.size,
            header: config.header,
            _running: running,
        }))
    }

    /// An input: by seat, or the last one for the shared screen.
    pub(super) fn place(&self, index: usize) -> &Place {
        &self.places[index]
    }

    /// Writes a name and a state on a place, or wipes it.
    pub(super) fn caption(&self, index: usize, text: Option<&(String, Option<TrackState>, Rect)>) {
        let caption = &self.captions[index];
        let Some((name, state, rect)) = text else {
            caption.set("", 0, 0);
            return;
        };
        let font = font_size(self.size);
        let letters = (rect.width * 100 / (font * LETTER_PERCENT)) as usize;
        let state = state.filter(|state| *state != TrackState::Waiting);
        let (lines, text) = describe(name, state, letters);
        let height = lines * font * LINE_PERCENT / 100 + SHADE;
        caption.set(&text, rect.x, (rect.y + rect.height).saturating_sub(height));
    }

    /// Says in the top left corner of the tiles how many more people there are.
    pub(super) fn caption_others(&self, others: usize) {
        let text = match others {
            0 => String::new(),
            1 => "+1 other".to_owned(),
            _ => format!("+{others} others"),
        };
        self.captions[self.places.len()].set(&text, 0, self.header);
    }
}

impl Place {
    fn new(
        pipeline: &gst::Pipeline,
        compositor: &gst::Element,
        delay: i64,
        begin: gst::ClockTime,
    ) -> Result<Self, PresentError> {
        let what = "display";
        let source = source(MOST_WAITING);
        source.set_min_latency(delay);
        count_from(&source, begin);
        pipeline
            .add(&source)
            .map_err(|error| build_error(what, &error))?;
        let pad = compositor
            .request_pad_simple("sink_%u")
            .ok_or_else(|| build_error(what, &"the compositor gives no input"))?;
        pad.set_property("alpha", 0f64);
        pad.set_property_from_str("sizing-policy", "keep-aspect-ratio");
        source
            .static_pad("src")
            .expect("appsrc has a source pad")
            .link(&pad)
            .map_err(|error| build_error(what, &error))?;
        Ok(Self { source, pad })
    }

    /// Where pictures go in.
    pub(super) fn source(&self) -> gst_app::AppSrc {
        self.source.clone()
    }

    /// Moves the picture.
    pub(super) fn put(&self, rect: Rect) {
        for (property, value) in [
            ("xpos", rect.x),
            ("ypos", rect.y),
            ("width", rect.width),
            ("height", rect.height),
        ] {
            self.pad
                .set_property(property, i32::try_from(value).unwrap_or(i32::MAX));
        }
    }

    /// Shows or hides the picture.
    pub(super) fn show(&self, visible: bool) {
        self.pad
            .set_property("alpha", if visible { 1f64 } else { 0f64 });
    }

    /// Follows what is queued with a black dot, so that the next owner's first moments do not
    /// show the last picture of the one before.
    pub(super) fn wipe(&self) {
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, 2, 2)
            .build()
            .expect("two by two pixels are a picture");
        let mut buffer = gst::Buffer::with_size(info.size()).expect("a few bytes can be had");
        let black = buffer.make_mut();
        black.set_pts(clock::now());
        if let Ok(mut map) = black.map_writable() {
            map.fill(128);
            let luma = info.stride()[0].unsigned_abs() as usize * 2;
            map[..luma].fill(16);
        }
        if let Ok(caps) = info.to_caps() {
            let sample = gst::Sample::builder().buffer(&buffer).caps(&caps).build();
            // It refuses only while the display is being taken down.
            let _ = self.source.push_sample(&sample);
        }
    }
}

impl Caption {
    fn new(size: Size) -> Result<Self, PresentError> {
        let overlay = make("display", "textoverlay")?;
        overlay.set_property("auto-resize", false);
        overlay.set_property("font-desc", format!("Sans {}px", font_size(size)));
        overlay.set_property("shaded-background", true);
        // Left and top alignment are the ones that count in pixels.
        overlay.set_property_from_str("halignment", "left");
        overlay.set_property_from_str("valignment", "top");
        overlay.set_property_from_str("line-alignment", "left");
        overlay.set_property_from_str("wrap-mode", "none");
        overlay.set_property("text", "");
        Ok(Self {
            overlay,
            drawn: RefCell::default(),
        })
    }

    /// Writes Pango markup with its corner at these pixels.
    fn set(&self, markup: &str, x: u32, y: u32) {
        let wanted = (markup.to_owned(), x, y);
        if *self.drawn.borrow() == wanted {
            return;
        }
        // Room for the shade, which is drawn around the text.
        let pad = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX).saturating_add(4);
        self.overlay.set_property("xpad", pad(x));
        self.overlay.set_property("ypad", pad(y));
        self.overlay.set_property("text", &wanted.0);
        self.drawn.replace(wanted);
    }
}

/// The markup of a caption that is `letters` wide, and how many lines it has. A name may say
/// "sealed" too, but it cannot have the colour, nor the place.
fn describe(name: &str, state: Option<TrackState>, letters: usize) -> (u32, String) {
    // The name keeps its own direction, and what stands around it the usual one.
    let isolated = |name: &str| format!("\u{200e}\u{2068}{}\u{2069}", label::markup(name));
    let Some(state) = state else {
        return (1, isolated(&label::plain(name, letters)));
    };
    let colour = match state {
        TrackState::Verified => SEALED_COLOUR,
        _ => WARNING_COLOUR,
    };
    let words = state.to_string();
    // What is too long for a narrow tile says at least what is the matter.
    let words = match words.split_once(':') {
        Some((short, _)) if words.len() > letters => short.to_owned(),
        _ => words,
    };
    let coloured = format!(
        "<span foreground=\"{colour}\">{}</span>",
        label::markup(&words)
    );
    let beside = letters.saturating_sub(words.len() + 3);
    // On a narrow tile the state gets a line of its own: it must not be cut off for a long name.
    if name.chars().count() > beside {
        let name = isolated(&label::plain(name, letters));
        (2, format!("{name}\n{coloured}"))
    } else {
        (1, format!("{} – {coloured}", isolated(name)))
    }
}

fn font_size(size: Size) -> u32 {
    (size.height / LINES).max(8)
}

fn composed_caps(config: &PresentConfig) -> gst::Caps {
    let pixels = |value: u32| i32::try_from(value & !1).unwrap_or(i32::MAX);
    gst_video::VideoCapsBuilder::new()
        .format(gst_video::VideoFormat::I420)
        .width(pixels(config.size.width))
        .height(pixels(config.size.height))
        .pixel_aspect_ratio(gst::Fraction::new(1, 1))
        .framerate(gst::Fraction::new(
            i32::try_from(config.framerate.clamp(1, 60)).unwrap_or(30),
            1,
        ))
        .build()
}

/// The sink, not yet in any pipeline.
pub(super) fn display(display: &Display) -> Result<Option<gst::Element>, PresentError> {
    let what = "display";
    let sink = match display {
        Display::None => return Ok(None),
        Display::Kms { connector, driver } => {
            let sink = make(what, "kmssink")?;
            if let Some(connector) = connector {
                sink.set_property("connector-id", connector);
            }
            if let Some(driver) = driver {
                sink.set_property("driver-name", driver);
            }
            sink
        }
        Display::Wayland => {
            let sink = make(what, "waylandsink")?;
            sink.set_property("fullscreen", true);
            sink
        }
        Display::Window => make(what, "autovideosink")?,
        Display::Elements(description) => gst::parse::bin_from_description(description, true)
            .map_err(|error| build_error(what, &error))?
            .upcast(),
    };
    Ok(Some(sink))
}

#[cfg(test)]
mod tests {
    use roomseal_e2ee::Verdict;

    use super::*;

    #[test]
    fn a_name_cannot_pass_for_a_state() {
        let (lines, text) = describe("Ann – <span>sealed</span>", Some(TrackState::Clear), 80);
        assert_eq!(lines, 1);
        assert_eq!(text.matches("<span").count(), 1);
        assert!(text.ends_with("– <span foreground=\"#ffc94d\">not encrypted</span>"));
    }

    #[test]
    fn a_long_name_does_not_push_the_state_away() {
        let refused = Some(TrackState::CannotOpen(Verdict::OtherKey));
        let (lines, text) = describe("A name of many letters", refused, 16);
        assert_eq!(lines, 2);
        assert!(text.contains("A name of many…"), "{text}");
        assert!(text.ends_with(">cannot open</span>"), "{text}");
        let (lines, text) = describe("Ann", refused, 60);
        assert_eq!(lines, 1);
        assert!(text.contains("cannot open: other key, or altered"));
    }

    #[test]
    fn a_name_without_a_state_stands_alone() {
        let (lines, text) = describe("Ann & Bob", None, 60);
        assert_eq!(
            (lines, text.as_str()),
            (1, "\u{200e}\u{2068}Ann &amp; Bob\u{2069}")
        );
    }
}
