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
    /// A filled band: at each place from left to right its upper and its lower edge.
    Band(Vec<(f64, f64, f64)>, Ink, f64, String),
    /// A thin line between two places.
    Line((f64, f64), (f64, f64), Ink),
    /// Words on one line.
    Text((f64, f64), String, Ink, Anchor),
}

impl Shape {
    fn kind(&self) -> usize {
        match self {
            Self::Area(..) | Self::Band(..) => 0,
            Self::Line(..) => 1,
            Self::Text(..) => 2,
        }
    }

    fn top(&self) -> f64 {
        match self {
            Self::Area(area, ..) => area.y,
            Self::Band(edges, ..) => edges.iter().map(|one| one.1).fold(f64::MAX, f64::min),
            Self::Line(from, to, _) => from.1.min(to.1),
            Self::Text(at, ..) => at.1,
        }
    }

    /// Where it ends below.
    fn bottom(&self) -> f64 {
        match self {
            Self::Area(area, ..) => area.y + area.height,
            Self::Band(edges, ..) => edges.iter().map(|one| one.2).fold(0.0, f64::max),
            Self::Line(from, to, _) => from.1.max(to.1),
            Self::Text(at, ..) => at.1,
        }
    }
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

    /// The upper part of the picture, down to where it has no more than so many shapes of each kind. Whatever stands there
    /// is whole: a box has its label, and a colour its legend.
    pub(crate) fn reduced(&self, most: usize) -> Cow<'_, Self> {
        if self.shapes.len() <= most {
            return Cow::Borrowed(self);
        }
        let bottoms = [0, 1, 2].map(|kind| {
            let of_kind = self.shapes.iter().filter(|shape| shape.kind() == kind);
            let mut bottoms: Vec<f64> = of_kind.map(Shape::bottom).collect();
            bottoms.sort_by(f64::total_cmp);
            bottoms.get(most).copied()
        });
        let Some(end) = bottoms.into_iter().flatten().min_by(f64::total_cmp) else {
            return Cow::Borrowed(self);
        };
        // A row of boxes goes as a whole, with what stands in it and above it.
        let areas = || self.shapes.iter().filter(|shape| shape.kind() == 0);
        let cut = areas().filter(|area| area.bottom() >= end);
        let top = cut.map(Shape::top).fold(end, f64::min);
        let stays = areas().map(Shape::bottom).filter(|bottom| *bottom <= top);
        let bottom = stays.fold(0.0, f64::max);
        let kept = self.shapes.iter().filter(|shape| shape.bottom() <= bottom);
        let shapes: Vec<Shape> = kept.cloned().collect();
        Cow::Owned(Self {
            height: bottom + 4.0,
            label: self.label.clone(),
            shapes,
            ..*self
        })
    }

    /// A filled box. Under the pointer it shows the title.
    pub fn area(&mut self, area: Area, ink: Ink, opacity: f64, title: &str) {
        self.shapes
            .push(Shape::Area(area, ink, opacity, title.into()));
    }

    /// A filled band; its edges are, at each place from left to right, the upper and the lower one.
    pub fn band(&mut self, edges: Vec<(f64, f64, f64)>, ink: Ink, opacity: f64, title: &str) {
        self.shapes
            .push(Shape::Band(edges, ink, opacity, title.into()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_picture_is_whole() {
        let mut drawing = Drawing::new(100.0, 400.0, "rows of boxes");
        for row in 0..10 {
            let y = f64::from(row) * 40.0;
            drawing.text((0.0, y + 10.0), "what stands above", Ink::Text);
            for column in 0..10 {
                let x = f64::from(column) * 10.0;
                let height = 20.0;
                let width = 9.0;
                let area = |y, height| Area {
                    x,
                    y,
                    width,
                    height,
                };
                drawing.area(area(y + 13.0, height), Ink::Text, 0.3, "");
                drawing.area(area(y + 20.0, height - 7.0), Ink::Text, 0.6, "");
                drawing.text((x, y + 28.0), "a", Ink::Text);
            }
        }
        assert_eq!(drawing.reduced(310).shapes.len(), 310);
        let reduced = drawing.reduced(75);
        let of_kind = |kind| reduced.shapes.iter().filter(move |one| one.kind() == kind);
        assert_eq!((of_kind(0).count(), of_kind(2).count()), (60, 33));
        assert!(reduced.height < 120.0, "{}", reduced.height);
        assert!(drawing.reduced(0).shapes.is_empty());
    }
}
