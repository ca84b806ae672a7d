//! A picture as inline SVG: boxes, lines and words in the colours of the notebook's theme.
//!
//! It goes into HTML, where the theme's variables hold; every fill and stroke is explicit, since an unset one is black in
//! any theme. No script; every text is escaped. Front ends that do not trust a notebook drop it, so a figure repeats
//! what the rows say.

use std::fmt::Write;

use crate::view::html::escape;

/// What a shape stands for; the theme gives the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Text and outlines.
    Text,
    /// What is less important.
    Faint,
    /// The ground that something lies on.
    Ground,
    /// One of eight tones that differ from each other on light and on dark, by number.
    Tone(usize),
}

/// Mid-tones that stand out on a white and on a black page.
const TONES: [&str; 8] = [
    "#2196f3", "#f57c00", "#43a047", "#ab47bc", "#e53935", "#00acc1", "#8d6e63", "#7e8aa0",
];

impl Ink {
    pub(super) fn css(self) -> &'static str {
        match self {
            Self::Text => "var(--jp-content-font-color1,currentColor)",
            Self::Faint => "var(--jp-content-font-color2,currentColor)",
            Self::Ground => "var(--jp-layout-color2,#88888833)",
            Self::Tone(number) => TONES[number % TONES.len()],
        }
    }
}

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy)]
pub struct Area {
    /// The left edge.
    pub x: f64,
    /// The upper edge.
    pub y: f64,
    /// To the right.
    pub width: f64,
    /// Downwards.
    pub height: f64,
}

/// A picture that grows shape by shape, the later ones on top.
#[derive(Debug, Clone, Default)]
pub struct Drawing {
    width: f64,
    height: f64,
    label: String,
    shapes: String,
}

impl Drawing {
    /// An empty picture; the label is what a screen reader says.
    pub fn new(width: f64, height: f64, label: &str) -> Self {
        Self {
            width,
            height,
            label: escape(label),
            shapes: String::new(),
        }
    }

    /// A filled box. Under the pointer it shows the title.
    pub fn area(&mut self, area: Area, ink: Ink, opacity: f64, title: &str) {
        let Area {
            x,
            y,
            width,
            height,
        } = area;
        self.push(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\" fill-opacity=\"{opacity}\" stroke=\"none\"><title>{}</title></rect>",
            width.max(0.5),
            height.max(0.5),
            ink.css(),
            escape(title),
        ));
    }

    /// A thin line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink) {
        self.push(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{}\" stroke-width=\"1\"/>",
            from.0, from.1, to.0, to.1, ink.css(),
        ));
    }

    /// Words that begin at a place, on one line.
    pub fn text(&mut self, at: (f64, f64), text: &str, ink: Ink) {
        self.words(at, text, ink, "start");
    }

    /// Words that end at a place, on one line.
    pub fn text_before(&mut self, at: (f64, f64), text: &str, ink: Ink) {
        self.words(at, text, ink, "end");
    }

    /// The picture as an element of HTML.
    pub fn to_svg(&self) -> String {
        let Self {
            width,
            height,
            label,
            shapes,
        } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{label}\" viewBox=\"0 0 {width:.0} {height:.0}\" style=\"width:100%;max-width:{width:.0}px;height:auto\" font-size=\"11\" font-family=\"sans-serif\">{shapes}</svg>"
        )
    }

    fn words(&mut self, at: (f64, f64), text: &str, ink: Ink, anchor: &str) {
        self.push(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{}\" stroke=\"none\">{}</text>",
            at.0,
            at.1,
            ink.css(),
            escape(text),
        ));
    }

    fn push(&mut self, shape: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.shapes.write_fmt(shape);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        drawing.line((0.0, 0.0), (1.0, 1.0), Ink::Faint);
        drawing.text((0.0, 0.0), "<i>", Ink::Text);
        let svg = drawing.to_svg();
        assert!(!svg.contains("<script") && !svg.contains("<b>") && !svg.contains("<i>"));
        assert_eq!(svg.matches("fill=\"").count(), 2);
        assert!(
            svg.contains("width=\"0.5\""),
            "a box of no width is still seen"
        );
    }
}
