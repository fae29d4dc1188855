//! Colours of the style in both themes: contrast according to WCAG 2.2, and the order of the heat map's levels.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

const STYLE: &str = include_str!("../src/style.css");
/// Backgrounds of text and marks.
const GROUNDS: [&str; 3] = ["ground", "surface", "raised"];
/// Position in `light-dark(…)`.
const THEMES: [usize; 2] = [0, 1];

/// Relative luminance of a colour of the style, from 0 to 1.
fn luminance(name: &str, theme: usize) -> f64 {
    let start = format!("--{name}: light-dark(");
    let rest = STYLE
        .split(&start)
        .nth(1)
        .unwrap_or_else(|| panic!("no colour {name}"));
    let colours = rest.split(')').next().unwrap();
    let colour = colours.split(", ").nth(theme).unwrap();
    let digits = colour.strip_prefix('#').unwrap();
    assert_eq!(digits.len(), 6, "{name}");
    let channel = |index: usize| {
        let value = u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).unwrap();
        let value = f64::from(value) / 255.0;
        match value <= 0.040_45 {
            true => value / 12.92,
            false => ((value + 0.055) / 1.055).powf(2.4),
        }
    };
    0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2)
}

fn contrast(one: &str, other: &str, theme: usize) -> f64 {
    let (one, other) = (luminance(one, theme), luminance(other, theme));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn text_has_a_contrast_of_4_5_on_every_ground() {
    for theme in THEMES {
        for text in ["text", "soft", "accent", "good", "warning", "bad"] {
            for ground in GROUNDS {
                let contrast = contrast(text, ground, theme);
                assert!(
                    contrast >= 4.5,
                    "{text} on {ground}, theme {theme}: {contrast:.2}"
                );
            }
        }
    }
}

#[test]
fn lines_and_bars_have_a_contrast_of_3_on_cards() {
    for theme in THEMES {
        for mark in ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "edge"] {
            let contrast = contrast(mark, "surface", theme);
            assert!(contrast >= 3.0, "{mark}, theme {theme}: {contrast:.2}");
        }
    }
}

#[test]
fn levels_of_the_heat_map_move_away_from_the_ground_step_by_step() {
    for theme in THEMES {
        let from_ground = (1..=8).map(|level| contrast(&format!("h{level}"), "surface", theme));
        let levels: Vec<f64> = from_ground.collect();
        assert!(
            levels.is_sorted_by(|a, b| b / a > 1.2),
            "theme {theme}: {levels:.2?}"
        );
        assert!(levels[0] > 1.15, "theme {theme}: {levels:.2?}");
    }
}
