//! A picture as inline SVG, in the colours of the notebook's theme.
//!
//! It goes into HTML, where the theme's variables hold; every fill and stroke is explicit, since an unset one is black in
//! any theme. No script; every text is escaped. Front ends that do not trust a notebook drop it, so a picture repeats
//! what the rows say.

use std::fmt::Write;

use crate::drawing::{Anchor, Drawing, Ink, Shape};
use crate::view::html::escape;
use crate::view::printable;

/// Mid-tones that stand out on a white and on a black page.
const TONES: [&str; 8] = [
    "#2196f3", "#f57c00", "#43a047", "#ab47bc", "#e53935", "#00acc1", "#8d6e63", "#7e8aa0",
];

/// The colour of an ink.
pub(super) fn css(ink: Ink) -> &'static str {
    match ink {
        Ink::Text => "var(--jp-content-font-color1,currentColor)",
        Ink::Faint => "var(--jp-content-font-color2,currentColor)",
        Ink::Ground => "var(--jp-layout-color2,#88888833)",
        Ink::Tone(number) => TONES[number % TONES.len()],
    }
}

/// The picture as an element of HTML.
pub fn svg(drawing: &Drawing) -> String {
    let (width, height) = (drawing.width, drawing.height);
    let label = escape(&drawing.label);
    // Narrower, its letters of 11 pixels could not be read.
    let least = width * 0.87;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{label}\" viewBox=\"0 0 {width:.0} {height:.0}\" style=\"width:100%;max-width:{width:.0}px;min-width:{least:.0}px;height:auto\" font-size=\"11\" font-family=\"sans-serif\" stroke=\"none\">"
    );
    for shape in &drawing.shapes {
        // Writing to a string cannot fail.
        let _ = element(&mut svg, shape);
    }
    svg += "</svg>";
    svg
}

fn element(svg: &mut String, shape: &Shape) -> std::fmt::Result {
    match shape {
        Shape::Area(area, ink, opacity, title) => {
            write!(
                svg,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\" fill-opacity=\"{opacity}\"",
                area.x,
                area.y,
                area.width.max(0.5),
                area.height.max(0.5),
                css(*ink),
            )?;
            titled(svg, "rect", title)
        }
        Shape::Band(edges, ink, opacity, title) => {
            write!(
                svg,
                "<path d=\"{}\" fill=\"{}\" fill-opacity=\"{opacity}\"",
                outline(edges),
                css(*ink)
            )?;
            titled(svg, "path", title)
        }
        Shape::Line(from, to, ink) => write!(
            svg,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{}\" stroke-width=\"1\"/>",
            from.0,
            from.1,
            to.0,
            to.1,
            css(*ink),
        ),
        Shape::Text(at, text, ink, anchor) => write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{}\" fill=\"{}\">{}</text>",
            at.0,
            at.1,
            match anchor {
                Anchor::Start => "start",
                Anchor::End => "end",
            },
            css(*ink),
            escape(&printable(text)),
        ),
    }
}

/// The end of a filled shape, with what it shows under the pointer.
fn titled(svg: &mut String, element: &str, title: &str) -> std::fmt::Result {
    match title {
        // The shape behind it has one, and is what the pointer finds.
        "" => write!(svg, " pointer-events=\"none\"/>"),
        title => write!(
            svg,
            "><title>{}</title></{element}>",
            escape(&printable(title))
        ),
    }
}

/// The way around a band: along its upper edge, and back along the lower one.
pub(super) fn outline(edges: &[(f64, f64, f64)]) -> String {
    let upper = edges.iter().map(|(x, upper, _)| (x, upper));
    let lower = edges.iter().rev().map(|(x, _, lower)| (x, lower));
    let mut way = String::new();
    for (place, (x, y)) in upper.chain(lower).enumerate() {
        let command = if place == 0 { 'M' } else { 'L' };
        // Writing to a string cannot fail.
        let _ = write!(way, "{command}{x:.1} {y:.1}");
    }
    way + "Z"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::Area;

    #[test]
    fn everything_has_a_colour_and_nothing_escapes() {
        let mut drawing = Drawing::new(100.0, 20.0, "\"><script>");
        let area = Area {
            x: 1.0,
            y: 2.0,
            width: 0.0,
            height: 4.0,
        };
        drawing.area(area, Ink::Tone(9), 0.5, "<b>");
        drawing.band(
            vec![(0.0, 1.0, 2.0), (3.0, 0.5, 2.0)],
            Ink::Tone(0),
            0.5,
            "<b>",
        );
        drawing.line((0.0, 0.0), (1.0, 1.0), Ink::Faint);
        drawing.text((0.0, 0.0), "<i>", Ink::Text);
        let svg = svg(&drawing);
        assert!(!svg.contains("<script") && !svg.contains("<b>") && !svg.contains("<i>"));
        assert_eq!(svg.matches("fill=\"").count(), 3);
        assert!(svg.contains("d=\"M0.0 1.0L3.0 0.5L3.0 2.0L0.0 2.0Z\""));
        assert!(
            svg.contains("width=\"0.5\""),
            "a box of no width is still seen"
        );
    }
}
