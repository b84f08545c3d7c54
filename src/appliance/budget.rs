// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the board file to the media budget: two rooms that do not know each other.

use roomseal_media::budget::{EncodeBudget, MediaBudget};
use roomseal_panel::Board;
use roomseal_panel::board::EncodeSize;

/// What the board affords in one meeting.
pub fn of(board: &Board) -> MediaBudget {
    MediaBudget {
        vp8: encode(board.media.vp8),
        h264: encode(board.media.h264),
        tiles: board.media.tiles.count,
        tile_width: board.media.tiles.width,
        tile_height: board.media.tiles.height,
    }
}

fn encode(size: EncodeSize) -> EncodeBudget {
    EncodeBudget {
        width: size.width,
        height: size.height,
        framerate: size.framerate,
        // The board file bounds it to 20 000, so the product fits.
        bitrate: size.bitrate_kbps * 1000,
    }
}
