//! A bar of what the libraries of each package map, the largest first.

use diaphane_report::view::bytes;
use diaphane_report::{Area, Drawing, Ink};

const WIDTH: f64 = 760.0;
const BAR: f64 = 16.0;
/// So many packages have a piece of their own; the rest share the last one.
const MOST: usize = 7;
/// The width of a letter, near enough to know whether a word fits.
const LETTER: f64 = 6.2;

/// One piece after the other with its name below it where there is room; `None` where there is nothing to compare.
pub(super) fn packages(groups: &[(&str, usize, usize)], mapped: usize) -> Option<Drawing> {
    if groups.len() < 2 || mapped == 0 {
        return None;
    }
    let mut pieces: Vec<(String, usize, usize)> = groups
        .iter()
        .take(MOST)
        .map(|&(package, libs, bytes)| (package.to_owned(), libs, bytes))
        .collect();
    let rest = groups.iter().skip(MOST);
    let rest = rest.fold((0, 0), |(libs, sum), (_, more, bytes)| {
        (libs + more, sum + bytes)
    });
    pieces.push(("other packages".into(), rest.0, rest.1));
    let owned: usize = pieces.iter().map(|(_, _, bytes)| bytes).sum();
    let mut drawing = Drawing::new(
        WIDTH,
        2.0 * BAR + 4.0,
        "bytes mapped by the libraries of each package",
    );
    let mut at = 0.0;
    let mut put = |name: &str, title: &str, size: usize, ink: Ink| {
        let width = WIDTH * size as f64 / mapped as f64;
        if size == 0 {
            return;
        }
        drawing.area(
            Area {
                x: at,
                y: 0.0,
                width,
                height: BAR,
            },
            ink,
            0.85,
            title,
        );
        if width > LETTER * name.chars().count() as f64 {
            drawing.text((at, 2.0 * BAR - 2.0), name, Ink::Faint);
        }
        at += width;
    };
    for (place, (name, libs, size)) in pieces.iter().enumerate() {
        let title = format!("{name}: {libs} libraries, {}", bytes(*size as f64));
        put(name, &title, *size, Ink::Tone(place));
    }
    let free = mapped.saturating_sub(owned);
    put(
        "no package",
        &format!("no package: {}", bytes(free as f64)),
        free,
        Ink::Ground,
    );
    Some(drawing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fill_the_bar_and_names_are_escaped() {
        let groups = [("<b>numpy", 3, 600), ("scipy", 2, 300)];
        let svg = diaphane_report::view::svg::svg(&packages(&groups, 1000).unwrap());
        assert!(
            svg.contains("width=\"456.0\"") && svg.contains("width=\"228.0\""),
            "{svg}"
        );
        assert!(svg.contains("no package: 100 B") && !svg.contains("<b>"));
        assert!(packages(&groups[..1], 600).is_none());
    }
}
