// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who is on the screen, and where.
//!
//! Pure: people in, rectangles out. [`Stage`] remembers who occupies which seat, so that a face
//! that stays on the screen stays in its place while speakers around it come and go.

use std::collections::{HashMap, HashSet};

/// A picture size in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// A rectangle in the composed picture, in pixels from the top left. All four are even, because
/// the colour planes of the picture have half its resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rect {
    /// Distance from the left edge.
    pub x: u32,
    /// Distance from the top edge.
    pub y: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// One participant in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Stays the same for as long as the participant is shown.
    pub seat: usize,
    /// Identity of the participant.
    pub identity: String,
    /// Where its camera picture goes. The picture keeps its aspect inside.
    pub rect: Rect,
}

/// What the screen shows at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// Place of the remote screen share, if there is one.
    pub screen: Option<Rect>,
    /// The participants shown, by seat.
    pub tiles: Vec<Tile>,
    /// How many more there are.
    pub others: usize,
}

/// The most tiles any board shows.
pub const MOST_TILES: usize = 6;

/// Cameras and the cells that hold them are this wide, per [`ASPECT_HEIGHT`].
const ASPECT_WIDTH: u32 = 16;
const ASPECT_HEIGHT: u32 = 9;

/// A screen share takes this share of the longer side; the tiles get the rest.
const SCREEN_PERCENT: u32 = 80;

/// Someone who may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Identity of the participant.
    pub identity: String,
    /// Whether there is a picture of them, or only a name.
    pub picture: bool,
}

/// Who sits where, and who spoke when.
#[derive(Debug)]
pub struct Stage {
    max_tiles: usize,
    seats: Vec<Option<String>>,
    /// Larger is later; who never spoke is absent.
    spoke: HashMap<String, u64>,
    turn: u64,
}

impl Stage {
    /// An empty stage of at most `max_tiles` tiles (no more than [`MOST_TILES`]).
    pub fn new(max_tiles: usize) -> Self {
        Self {
            max_tiles: max_tiles.min(MOST_TILES),
            seats: Vec::new(),
            spoke: HashMap::new(),
            turn: 0,
        }
    }

    /// Changes how many tiles there may be; those who spoke last remain.
    pub fn set_max_tiles(&mut self, max_tiles: usize) {
        self.max_tiles = max_tiles.min(MOST_TILES);
    }

    /// Notes who is speaking now, loudest first.
    pub fn set_active_speakers<S: AsRef<str>>(&mut self, identities: &[S]) {
        // The loudest gets the latest turn.
        for identity in identities.iter().rev() {
            self.turn += 1;
            self.spoke.insert(identity.as_ref().to_owned(), self.turn);
        }
    }

    /// Places `people` (in the order in which they joined) on a picture of size `canvas`, with or
    /// without a screen share.
    pub fn arrange(&mut self, people: &[Candidate], sharing: bool, canvas: Size) -> Scene {
        let present: HashSet<&str> = people.iter().map(|who| who.identity.as_str()).collect();
        self.spoke.retain(|who, _| present.contains(who.as_str()));
        self.seat(people);

        let shown = self.seats.iter().flatten().count();
        let (screen, cells) = if sharing {
            beside_screen(shown, canvas)
        } else {
            (None, grid(shown, whole(canvas)))
        };
        let tiles = self
            .seats
            .iter()
            .enumerate()
            .filter_map(|(seat, who)| who.clone().map(|identity| (seat, identity)))
            .zip(cells)
            .map(|((seat, identity), rect)| Tile {
                seat,
                identity,
                rect,
            })
            .collect();
        Scene {
            screen,
            tiles,
            others: people.len() - shown,
        }
    }

    /// Decides who has a seat, moving nobody who keeps one.
    fn seat(&mut self, people: &[Candidate]) {
        let mut ranked: Vec<&Candidate> = people.iter().collect();
        // Stable: among people who never spoke, the one who came first is shown. One who has a
        // seat is preferred, so that silence changes nothing.
        ranked.sort_by_key(|who| {
            let name = &who.identity;
            let seated = self.seats.iter().flatten().any(|other| other == name);
            (
                std::cmp::Reverse(self.spoke.get(name).copied().unwrap_or(0)),
                !who.picture,
                !seated,
            )
        });
        ranked.truncate(self.max_tiles);
        let ranked: Vec<&String> = ranked.into_iter().map(|who| &who.identity).collect();
        let chosen: HashSet<&String> = ranked.iter().copied().collect();

        for seat in &mut self.seats {
            if seat.as_ref().is_some_and(|who| !chosen.contains(who)) {
                *seat = None;
            }
        }
        // With fewer tiles than before, those on the seats that go away take free ones.
        let homeless: Vec<String> = self
            .seats
            .split_off(self.seats.len().min(self.max_tiles))
            .into_iter()
            .flatten()
            .collect();
        self.seats.resize(self.max_tiles, None);
        let newcomers: Vec<String> = homeless
            .into_iter()
            .chain(ranked.into_iter().cloned())
            .collect();
        for who in newcomers {
            if self.seats.iter().flatten().any(|other| *other == who) {
                continue;
            }
            if let Some(free) = self.seats.iter_mut().find(|seat| seat.is_none()) {
                *free = Some(who);
            }
        }
    }
}

/// Places `count` equal cells of camera aspect in `area`, as large as they go.
fn grid(count: usize, area: Rect) -> Vec<Rect> {
    let Some(columns) = (1..=count).max_by_key(|columns| {
        let (width, _) = cell(count, *columns, area);
        // Of equally large ones as many beside each other as there are, on a wide area.
        let wide = area.width >= area.height;
        (width, if wide { *columns } else { count - *columns })
    }) else {
        return Vec::new();
    };
    let (width, height) = cell(count, columns, area);
    let rows = count.div_ceil(columns);
    let top = area.y + (area.height - height * rows as u32) / 2;
    (0..count)
        .map(|index| {
            let row = index / columns;
            let in_row = columns.min(count - row * columns);
            let left = area.x + (area.width - width * in_row as u32) / 2;
            Rect {
                x: even(left + width * (index % columns) as u32),
                y: even(top + height * row as u32),
                width,
                height,
            }
        })
        .collect()
}

/// The largest even cell of camera aspect of which `count` fit into `area` in so many columns.
fn cell(count: usize, columns: usize, area: Rect) -> (u32, u32) {
    let rows = count.div_ceil(columns) as u32;
    let width = area.width / columns as u32;
    let height = area.height / rows;
    let by_height = height * ASPECT_WIDTH / ASPECT_HEIGHT;
    if by_height < width {
        (even(by_height), even(height))
    } else {
        (even(width), even(width * ASPECT_HEIGHT / ASPECT_WIDTH))
    }
}

/// A large screen share and a strip of `count` tiles along the shorter side.
fn beside_screen(count: usize, canvas: Size) -> (Option<Rect>, Vec<Rect>) {
    let all = whole(canvas);
    if count == 0 {
        return (Some(all), Vec::new());
    }
    let (screen, strip) = if canvas.width >= canvas.height {
        let width = even(canvas.width * SCREEN_PERCENT / 100);
        (
            Rect { width, ..all },
            Rect {
                x: width,
                width: even(canvas.width - width),
                ..all
            },
        )
    } else {
        let height = even(canvas.height * SCREEN_PERCENT / 100);
        (
            Rect { height, ..all },
            Rect {
                y: height,
                height: even(canvas.height - height),
                ..all
            },
        )
    };
    (Some(screen), grid(count, strip))
}

fn whole(canvas: Size) -> Rect {
    Rect {
        x: 0,
        y: 0,
        width: even(canvas.width),
        height: even(canvas.height),
    }
}

fn even(pixels: u32) -> u32 {
    pixels & !1
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANVAS: Size = Size {
        width: 1280,
        height: 720,
    };

    fn people(names: &[&str]) -> Vec<Candidate> {
        let candidate = |name: &&str| Candidate {
            identity: (*name).to_owned(),
            picture: true,
        };
        names.iter().map(candidate).collect()
    }

    fn seats(scene: &Scene) -> Vec<(usize, &str)> {
        scene
            .tiles
            .iter()
            .map(|tile| (tile.seat, tile.identity.as_str()))
            .collect()
    }

    fn overlap(a: Rect, b: Rect) -> bool {
        a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
    }

    #[test]
    fn one_person_fills_the_picture_and_two_share_it() {
        let mut stage = Stage::new(6);
        let scene = stage.arrange(&people(&["ann"]), false, CANVAS);
        assert_eq!(scene.tiles[0].rect, whole(CANVAS));
        let scene = stage.arrange(&people(&["ann", "bob"]), false, CANVAS);
        assert_eq!(scene.tiles[0].rect.width, 640);
        assert_eq!(scene.tiles[0].rect.height, 360);
        assert_eq!(scene.tiles[0].rect.y, scene.tiles[1].rect.y);
        assert_eq!(scene.others, 0);
    }

    #[test]
    fn tiles_never_overlap_keep_their_aspect_and_stay_inside() {
        for canvas in [
            CANVAS,
            Size {
                width: 1920,
                height: 1080,
            },
            Size {
                width: 601,
                height: 1023,
            },
        ] {
            for count in 0..=8 {
                for sharing in [false, true] {
                    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
                    let room = people(&names[..count]);
                    let scene = Stage::new(6).arrange(&room, sharing, canvas);
                    assert_eq!(scene.screen.is_some(), sharing);
                    assert_eq!(scene.tiles.len(), count.min(6));
                    assert_eq!(scene.others, count - scene.tiles.len());
                    let all: Vec<Rect> = scene
                        .screen
                        .into_iter()
                        .chain(scene.tiles.iter().map(|tile| tile.rect))
                        .collect();
                    for (index, rect) in all.iter().enumerate() {
                        assert!(rect.x + rect.width <= canvas.width, "{canvas:?} {rect:?}");
                        assert!(rect.y + rect.height <= canvas.height, "{canvas:?} {rect:?}");
                        assert!(rect.x % 2 + rect.y % 2 + rect.width % 2 + rect.height % 2 == 0);
                        for other in &all[index + 1..] {
                            assert!(!overlap(*rect, *other), "{rect:?} {other:?}");
                        }
                    }
                    for tile in &scene.tiles {
                        let off = i64::from(tile.rect.width) * 9 - i64::from(tile.rect.height) * 16;
                        assert!(off.abs() <= 64, "{:?}", tile.rect);
                    }
                }
            }
        }
    }

    #[test]
    fn a_new_speaker_takes_the_seat_of_who_was_silent_longest_and_nobody_else_moves() {
        let mut stage = Stage::new(3);
        let room = people(&["ann", "bob", "cat", "dan"]);
        let scene = stage.arrange(&room, false, CANVAS);
        assert_eq!(seats(&scene), [(0, "ann"), (1, "bob"), (2, "cat")]);
        assert_eq!(scene.others, 1);

        stage.set_active_speakers(&["ann"]);
        stage.set_active_speakers(&["cat"]);
        stage.set_active_speakers(&["dan"]);
        let scene = stage.arrange(&room, false, CANVAS);
        assert_eq!(seats(&scene), [(0, "ann"), (1, "dan"), (2, "cat")]);
        assert_eq!(scene.others, 1);
    }

    #[test]
    fn a_speaker_already_shown_does_not_move() {
        let mut stage = Stage::new(3);
        let room = people(&["ann", "bob", "cat", "dan"]);
        let before = stage.arrange(&room, false, CANVAS);
        for who in ["cat", "ann", "bob", "cat"] {
            stage.set_active_speakers(&[who]);
            assert_eq!(stage.arrange(&room, false, CANVAS), before);
        }
    }

    #[test]
    fn who_leaves_is_replaced_in_place() {
        let mut stage = Stage::new(3);
        stage.arrange(&people(&["ann", "bob", "cat", "dan"]), false, CANVAS);
        let scene = stage.arrange(&people(&["ann", "cat", "dan"]), false, CANVAS);
        assert_eq!(seats(&scene), [(0, "ann"), (1, "dan"), (2, "cat")]);
    }

    #[test]
    fn fewer_tiles_keep_the_last_speakers() {
        let mut stage = Stage::new(4);
        let room = people(&["ann", "bob", "cat", "dan"]);
        stage.arrange(&room, false, CANVAS);
        stage.set_active_speakers(&["dan", "bob"]);
        stage.set_max_tiles(2);
        let scene = stage.arrange(&room, false, CANVAS);
        assert_eq!(seats(&scene), [(0, "dan"), (1, "bob")]);
        assert_eq!(scene.others, 2);
        stage.set_max_tiles(0);
        let scene = stage.arrange(&room, false, CANVAS);
        assert_eq!((scene.tiles.len(), scene.others), (0, 4));
    }

    #[test]
    fn a_screen_share_is_large_with_the_tiles_aside() {
        let mut stage = Stage::new(6);
        let scene = stage.arrange(&people(&["ann", "bob"]), true, CANVAS);
        let screen = scene.screen.expect("a screen is shared");
        assert_eq!((screen.width, screen.height), (1024, 720));
        assert!(scene.tiles.iter().all(|tile| tile.rect.x >= 1024));
        let alone = stage.arrange(&people(&[]), true, CANVAS);
        assert_eq!(alone.screen, Some(whole(CANVAS)));
    }

    #[test]
    fn a_picture_comes_before_a_name_until_the_name_speaks() {
        let mut stage = Stage::new(1);
        let mut room = people(&["ann", "bob"]);
        room[0].picture = false;
        assert_eq!(seats(&stage.arrange(&room, false, CANVAS)), [(0, "bob")]);
        stage.set_active_speakers(&["ann"]);
        assert_eq!(seats(&stage.arrange(&room, false, CANVAS)), [(0, "ann")]);
    }

    #[test]
    fn speakers_who_are_not_in_the_room_take_no_seat() {
        let mut stage = Stage::new(2);
        stage.set_active_speakers(&["ghost"]);
        let scene = stage.arrange(&people(&["ann"]), false, CANVAS);
        assert_eq!(seats(&scene), [(0, "ann")]);
    }
}
