// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boards in `board/`: each is loaded as the box loads it, and agrees with the wiring that people follow.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use roomseal_panel::Board;
use roomseal_panel::board::panel::{Lamp, Line, LineName, Wire};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../board")
}

fn boards() -> Vec<Board> {
    let mut ids: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    ids.sort();
    assert_eq!(ids, ["cm4", "qemu", "rpi4", "rpi5", "sim", "zero2w"]);
    let load = |id: &String| Board::load(id, &folder()).unwrap_or_else(|error| panic!("{error}"));
    ids.iter().map(load).collect()
}

/// Every line of a board, by what is connected to it.
fn lines(board: &Board) -> BTreeMap<&'static str, Line> {
    let panel = &board.panel;
    let of = |wire: &Wire| match wire {
        Wire::Gpio { line, .. } => line.clone(),
        other => panic!("{}: {other:?}", board.id),
    };
    let Some(Lamp::Rgb([red, green, blue])) = &panel.lamp else {
        panic!("{}: {:?}", board.id, panel.lamp);
    };
    BTreeMap::from([
        ("button", panel.button.as_ref().unwrap().line.clone()),
        ("mute", panel.mute_button.as_ref().unwrap().line.clone()),
        ("mute lamp", of(panel.mute_lamp.as_ref().unwrap())),
        ("red", of(red)),
        ("green", of(green)),
        ("blue", of(blue)),
    ])
}

#[test]
fn every_board_is_loaded_and_nothing_on_it_shares_a_line() {
    let table = fs::read_to_string(folder().join("README.md")).unwrap();
    for board in boards() {
        let lines = lines(&board);
        assert_eq!(lines.len(), 6, "{}", board.id);
        for (what, line) in &lines {
            let others = lines.iter().filter(|(other, _)| *other != what);
            assert!(
                others.clone().all(|(_, other)| other != line),
                "{}: {what}",
                board.id
            );
        }
        assert!(
            table.contains(&format!("`{}`", board.id)),
            "{} is in no table",
            board.id
        );
    }
}

#[test]
fn boards_with_a_header_are_wired_as_the_drawing_has_it() {
    let drawing = fs::read_to_string(folder().join("wiring.txt")).unwrap();
    for board in boards() {
        if matches!(board.id.as_str(), "sim" | "qemu") {
            continue;
        }
        for (what, line) in lines(&board) {
            let LineName::Number(number) = line.name else {
                panic!("{}: {line:?}", board.id);
            };
            let gpio = format!("GPIO {number}");
            let drawn = drawing
                .lines()
                .any(|row| row.contains(&gpio) && row.contains(what));
            assert!(
                drawn,
                "{}: {what} at {gpio} is not in the drawing",
                board.id
            );
        }
        // What the drawing promises of the buttons: the chip's own resistor, and pressed is low.
        let button = board.panel.button.as_ref().unwrap();
        assert_eq!(
            format!("{:?} {:?}", button.active, button.pull),
            "Low Up",
            "{}",
            board.id
        );
    }
    assert!(drawing.contains("zero2w"));
}

#[test]
fn no_board_is_asked_for_more_than_its_memory_and_encoders_give() {
    for board in boards() {
        let hardware = board.media.encoders[0].starts_with("v4l2");
        let (vp8, h264) = (board.media.vp8, board.media.h264);
        if hardware {
            // What the processor has to do stands back behind what the encoder does.
            assert!(vp8.height < h264.height, "{}", board.id);
        }
        if board.id == "zero2w" {
            assert_eq!(
                (board.media.hub_participants, board.media.tiles.count),
                (0, 2)
            );
        }
        assert!(
            board.media.encoders.iter().any(|name| name == "vp8enc"),
            "{}",
            board.id
        );
    }
}
