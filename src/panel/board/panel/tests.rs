// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a board file may say about its panel, and what is said about what it may not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::board::Board;

const SIM: &str = include_str!("../../../../board/sim/board.toml");

/// The simulated board without its panel, and these lines in its place.
fn with(panel: &str) -> Result<Panel, String> {
    let (media, _) = SIM.split_once("[button]").unwrap();
    Board::parse("board.toml", &format!("{media}{panel}"))
        .map(|board| board.panel)
        .map_err(|error| error.to_string())
}

const LED: &str = "[lamp]\nkind = \"single\"\nlight = ";

#[test]
fn the_simulated_board_has_the_whole_panel() {
    let panel = Board::sim().panel;
    let line = |name: &str| Line {
        chip: SIMULATED.into(),
        name: LineName::Name(name.into()),
    };
    assert_eq!(panel.button.unwrap().line, line("button"));
    assert_eq!(panel.mute_button.unwrap().line, line("mute-button"));
    let Some(Lamp::Rgb(wires)) = panel.lamp else {
        panic!("{:?}", panel.lamp)
    };
    assert!(matches!(&wires[1], Wire::Gpio { line: green, .. } if *green == line("lamp-green")));
    assert!(panel.mute_lamp.is_some());
}

#[test]
fn a_board_without_a_panel_is_a_board() {
    assert_eq!(with("").unwrap(), Panel::default());
}

#[test]
fn every_kind_of_light_is_read() {
    let panel = with(
        "[lamp]\nkind = \"rgb\"\n\
         red = { pwm-chip = \"pwmchip0\", channel = 0, frequency-hz = 1000, active = \"low\" }\n\
         green = { pwm-chip = \"pwmchip0\", channel = 1, frequency-hz = 1000, active = \"low\" }\n\
         blue = { pwm-chip = \"pwmchip0\", channel = 2, frequency-hz = 1000, active = \"low\" }\n\
         [mute-lamp]\nlight = { led = \"red:mute\" }\n",
    )
    .unwrap();
    assert!(matches!(
        panel.lamp,
        Some(Lamp::Rgb([
            _,
            Wire::Pwm {
                channel: 1,
                frequency: 1000,
                active: Active::Low,
                ..
            },
            _
        ]))
    ));
    assert_eq!(panel.mute_lamp, Some(Wire::KernelLed("red:mute".into())));

    let panel = with(
        "[button]\nchip = \"pinctrl-bcm2711\"\nline = 17\nactive = \"low\"\npull = \"up\"\ndebounce-ms = 15\n\
         [lamp]\nkind = \"single\"\nlight = { chip = \"gpiochip0\", line = \"LED\", active = \"high\" }\n",
    )
    .unwrap();
    assert_eq!(
        panel.button,
        Some(Button {
            line: Line {
                chip: "pinctrl-bcm2711".into(),
                name: LineName::Number(17)
            },
            active: Active::Low,
            pull: Pull::Up,
            debounce: Duration::from_millis(15),
        })
    );
    assert!(matches!(panel.lamp, Some(Lamp::Single(Wire::Gpio { .. }))));
}

#[test]
fn what_cannot_be_is_named_with_its_line_and_what_to_do() {
    let button =
        "[button]\nchip = \"c\"\nline = 3\nactive = \"low\"\npull = \"up\"\ndebounce-ms = 20\n";
    let gpio = |line: &str| format!("{{ chip = \"c\", line = {line}, active = \"high\" }}");
    let colours = |kind: &str, blue: &str| {
        let (red, green) = (gpio("1"), gpio("2"));
        format!("[lamp]\nkind = \"{kind}\"\nred = {red}\ngreen = {green}\nblue = {blue}\n")
    };
    for (panel, part) in [
        (
            button.replace("line = 3", "line = -3"),
            "write the number of a line, or its name",
        ),
        (
            button.replace("line = 3", "line = true"),
            "write the number of a line, or its name",
        ),
        (
            button.replace("line = 3", "lines = 3"),
            "did you mean `line`?",
        ),
        (button.replace("\"low\"", "\"lo\""), "did you mean `low`?"),
        (button.replace("\"up\"", "\"upp\""), "did you mean `up`?"),
        (
            button.replace("= 20", "= 500"),
            "[button] debounce-ms: debounce-ms is out of range",
        ),
        (button.replace("\"c\"", "\"\""), "name it, like gpiochip0"),
        (
            button
                .replace("\"c\"", "\"rppal\"")
                .replace("= 3", "= \"GPIO3\""),
            "write the BCM number",
        ),
        (
            button
                .replace("\"c\"", "\"sim\"")
                .replace("= 3", "= \"../x\""),
            "a name that a file can have",
        ),
        (
            format!("{button}{}", colours("rgb", &gpio("3"))),
            "[lamp] blue: line 3 of c is used twice",
        ),
        (colours("rbg", &gpio("4")), "did you mean `rgb`?"),
        (
            colours("single", &gpio("4")),
            "[lamp] kind: a single lamp has one light",
        ),
        (
            colours("rgb", "{ led = \"b\" }"),
            "connect red, green and blue in the same way",
        ),
        (
            colours("rgb", &gpio("4").replace("\"c\"", "\"sim\"")),
            "in the same way",
        ),
        (
            format!("{LED}{{ led = \"a/b\" }}"),
            "a name as in /sys/class/leds",
        ),
        (
            format!("{LED}{{ led = \"a\", line = 3 }}"),
            "[lamp] light: not a light",
        ),
        (
            format!(
                "{LED}{{ pwm-chip = \"pwmchip0\", channel = 0, frequency-hz = 50, active = \"high\" }}"
            ),
            "write 200 to 25000",
        ),
        (
            "[lamp]\nkind = \"rgb\"\n".to_owned(),
            "this lamp has three colours",
        ),
        ("[mute-lamp]\n".to_owned(), "the key `light` is missing"),
    ] {
        let shown = with(&panel).unwrap_err();
        assert!(shown.contains(part), "{panel}: {shown}");
        let place = shown.strip_prefix("board.toml:").unwrap_or_default();
        let line: usize = place.split(':').next().unwrap().parse().unwrap();
        assert!(line > 0, "{shown}");
    }
}
