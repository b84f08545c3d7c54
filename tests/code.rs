// SPDX-License-Identifier: MIT OR Apache-2.0
//! QR codes: read from a screen as a phone reads them, and shown to a camera.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use gst::prelude::*;
use qrcode::{Color, EcLevel, QrCode};

/// A picture as it is on a screen: three bytes a pixel, row by row.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Pixels per row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// Red, green, blue.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// Reads a PNG file; `None` where it is not there, or is just being written.
    pub fn read(file: &Path) -> Option<Self> {
        let mut reader = png::Decoder::new(BufReader::new(File::open(file).ok()?))
            .read_info()
            .ok()?;
        let mut bytes = vec![0; reader.output_buffer_size()?];
        let info = reader.next_frame(&mut bytes).ok()?;
        let channels = info.color_type.samples();
        let pixels = bytes[..info.buffer_size()]
            .chunks(channels)
            .flat_map(|pixel| {
                [
                    pixel[0],
                    pixel[channels.min(2) - 1],
                    pixel[channels.min(3) - 1],
                ]
            })
            .collect();
        Some(Self {
            width: info.width as usize,
            height: info.height as usize,
            pixels,
        })
    }

    /// One pixel.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]
    }

    /// How many pixels of a rectangle `accept` takes.
    pub fn count(
        &self,
        (x, y, width, height): (usize, usize, usize, usize),
        accept: impl Fn([u8; 3]) -> bool,
    ) -> usize {
        let all = (y..y + height).flat_map(|y| (x..x + width).map(move |x| (x, y)));
        all.filter(|(x, y)| accept(self.pixel(*x, *y))).count()
    }

    /// The texts of the codes on it.
    pub fn codes(&self) -> Vec<String> {
        let mut grey =
            rqrr::PreparedImage::prepare_from_greyscale(self.width, self.height, |x, y| {
                self.pixel(x, y)[1]
            });
        let grids = grey.detect_grids();
        let read = grids.into_iter().filter_map(|grid| grid.decode().ok());
        read.map(|(_, text)| text).collect()
    }
}

/// Writes a clip of five seconds in which somebody holds the code of `text` to the camera.
pub fn clip(text: &str, file: &Path) {
    encode(
        &still(text, file),
        "vp8enc deadline=1 target-bitrate=2000000 ! matroskamux",
        file,
    );
}

/// The same as raw pictures (`.y4m`), as a browser takes them for its camera.
pub fn camera(text: &str, file: &Path) {
    encode(&still(text, file), "y4menc", file);
}

/// A script that makes a page's camera show the code of `text` where the browser has no way to play a file there.
pub fn canvas(text: &str) -> String {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).expect("it fits into a code");
    let dark: Vec<bool> = code
        .to_colors()
        .into_iter()
        .map(|it| it == Color::Dark)
        .collect();
    format!(
        "(() => {{
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [640, 480];
            const [dark, across, pen] = [{dark:?}, {}, canvas.getContext('2d')];
            const size = Math.floor(460 / (across + 8));
            const draw = () => {{
                pen.fillStyle = '#ccc';
                pen.fillRect(0, 0, 640, 480);
                dark.forEach((is, at) => {{
                    pen.fillStyle = is ? '#222' : '#ddd';
                    pen.fillRect(120 + (at % across) * size, 40 + Math.floor(at / across) * size, size, size);
                }});
            }};
            setInterval(draw, 66);
            const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = async ({{ audio, video }}) => {{
                const stream = new MediaStream();
                if (audio) (await real({{ audio }})).getTracks().forEach((it) => stream.addTrack(it));
                if (video) canvas.captureStream(15).getTracks().forEach((it) => stream.addTrack(it));
                return stream;
            }};
        }})()",
        code.width()
    )
}

/// Draws the code beside `file`.
fn still(text: &str, file: &Path) -> PathBuf {
    const WIDTH: usize = 640;
    const HEIGHT: usize = 480;
    let code = QrCode::with_error_correction_level(text, EcLevel::M).expect("it fits into a code");
    let (modules, across) = (code.to_colors(), code.width());
    let size = (HEIGHT - 20) / (across + 8);
    let (left, top) = ((WIDTH - across * size) / 2, (HEIGHT - across * size) / 2);
    let mut pixels = vec![200; WIDTH * HEIGHT];
    for (at, module) in modules.iter().enumerate() {
        let (x, y) = (left + at % across * size, top + at / across * size);
        let shade = if *module == Color::Dark { 30 } else { 220 };
        for row in y..y + size {
            pixels[row * WIDTH + x..row * WIDTH + x + size].fill(shade);
        }
    }
    let still = file.with_extension("png");
    let out = BufWriter::new(File::create(&still).expect("a picture can be written"));
    let mut encoder = png::Encoder::new(out, WIDTH as u32, HEIGHT as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().expect("a picture can be written");
    writer
        .write_image_data(&pixels)
        .expect("a picture can be written");
    writer.finish().expect("a picture can be written");
    still
}

/// Five seconds of a still picture.
fn encode(still: &Path, how: &str, file: &Path) {
    gst::init().expect("GStreamer is there");
    let pipeline = gst::parse::launch(&format!(
        "filesrc location={} ! pngdec ! imagefreeze num-buffers=75 ! video/x-raw,framerate=15/1 ! videoconvert \
         ! video/x-raw,format=I420 ! {how} ! filesink location={}",
        still.display(),
        file.display()
    ))
    .expect("the elements are there")
    .downcast::<gst::Pipeline>()
    .expect("it is a pipeline");
    pipeline.set_state(gst::State::Playing).expect("it starts");
    let end = [gst::MessageType::Eos, gst::MessageType::Error];
    let bus = pipeline.bus().expect("every pipeline has a bus");
    let message = bus
        .timed_pop_filtered(gst::ClockTime::from_seconds(60), &end)
        .expect("it ends");
    assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
    pipeline.set_state(gst::State::Null).expect("it stops");
}
