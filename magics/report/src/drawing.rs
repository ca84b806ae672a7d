//! A picture as plain data: boxes, lines and words. How it becomes SVG is known in `view`.

use std::borrow::Cow;

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

/// A letter of words, in pixels: as wide as those of wide fonts are on average, and some more.
const LETTER: f64 = 7.4;

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

/// Where words stand relative to their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// They begin there.
    Start,
    /// They end there.
    End,
}

/// One element of a picture.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// A filled box with a title.
    Area(Area, Ink, f64, String),
    /// A thin line between two places.
    Line((f64, f64), (f64, f64), Ink),
    /// Words on one line.
    Text((f64, f64), String, Ink, Anchor),
}

/// A picture that grows shape by shape, the later ones on top.
#[derive(Debug, Clone, Default)]
pub struct Drawing {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) label: String,
    pub(crate) shapes: Vec<Shape>,
}

impl Drawing {
    /// An empty picture; the label is what a screen reader says.
    pub fn new(width: f64, height: f64, label: &str) -> Self {
        Self {
            width,
            height,
            label: label.into(),
            shapes: Vec::new(),
        }
    }

    /// The picture with no more than so many shapes of each kind, of boxes the largest.
    pub(crate) fn reduced(&self, most: usize) -> Cow<'_, Self> {
        if self.shapes.len() <= most {
            return Cow::Borrowed(self);
        }
        let size = |area: &Area| area.width * area.height;
        let areas = self.shapes.iter().filter_map(|shape| match shape {
            Shape::Area(area, ..) => Some(size(area)),
            _ => None,
        });
        let mut sizes: Vec<f64> = areas.collect();
        sizes.sort_by(|one, other| other.total_cmp(one));
        let least = sizes.get(most).copied().unwrap_or(f64::NEG_INFINITY);
        let mut left = [most; 3];
        let is_kept = |shape: &&Shape| {
            let (kind, is_large) = match shape {
                Shape::Area(area, ..) => (0, size(area) >= least),
                Shape::Line(..) => (1, true),
                Shape::Text(..) => (2, true),
            };
            let is_kept = is_large && left[kind] > 0;
            left[kind] -= usize::from(is_kept);
            is_kept
        };
        Cow::Owned(Self {
            shapes: self.shapes.iter().filter(is_kept).cloned().collect(),
            label: self.label.clone(),
            ..*self
        })
    }

    /// A filled box. Under the pointer it shows the title.
    pub fn area(&mut self, area: Area, ink: Ink, opacity: f64, title: &str) {
        self.shapes
            .push(Shape::Area(area, ink, opacity, title.into()));
    }

    /// A thin line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink) {
        self.shapes.push(Shape::Line(from, to, ink));
    }

    /// Words that begin at a place, on one line.
    pub fn text(&mut self, at: (f64, f64), text: &str, ink: Ink) {
        self.shapes
            .push(Shape::Text(at, text.into(), ink, Anchor::Start));
    }

    /// As many letters of a label as there is room for behind a place; none where nobody could recognise it.
    pub fn label(&mut self, at: (f64, f64), room: f64, text: &str, ink: Ink) {
        let letters = (room / LETTER).max(0.0) as usize;
        let fits = text.chars().count() <= letters;
        match letters {
            _ if fits => self.text(at, text, ink),
            0..4 => {}
            _ => {
                let start: String = text.chars().take(letters - 1).collect();
                self.text(at, &(start + "…"), ink);
            }
        }
    }

    /// Words that end at a place, on one line.
    pub fn text_before(&mut self, at: (f64, f64), text: &str, ink: Ink) {
        self.shapes
            .push(Shape::Text(at, text.into(), ink, Anchor::End));
    }
}
