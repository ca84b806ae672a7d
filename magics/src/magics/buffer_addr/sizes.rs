//! How much memory the listed buffers take, each byte counted once.

use diaphane_sight::proc::spans;
use diaphane_sight::proc::spans::{Layout, Span};

use super::Listed;
use diaphane_report::view::bytes;

/// How much is listed, and how much memory that is.
pub(super) struct ListedSizes {
    pub listed: usize,
    pub distinct: usize,
    pub exact: bool,
    /// With all of the owners' memory, which lives as long as a view of it.
    pub held: usize,
}

impl ListedSizes {
    /// Beyond so many pieces, a strided buffer counts with its bounds.
    const PIECES: usize = 100_000;

    pub fn of(listed: &[Listed<'_>]) -> Self {
        let layouts = || listed.iter().filter_map(Listed::layout);
        let (dense, strided): (Vec<_>, Vec<_>) = layouts().partition(|layout| layout.is_dense());
        let mut pieces = spans::union(dense.into_iter().map(Layout::bounds).collect());
        let mut exact = true;
        let inside = |span: Span, pieces: &[Span]| {
            let after = pieces.partition_point(|piece| piece.start <= span.start);
            pieces[..after]
                .last()
                .is_some_and(|piece| piece.intersection(span) == span)
        };
        for layout in strided
            .into_iter()
            .filter(|layout| !inside(layout.bounds(), &pieces))
            .collect::<Vec<_>>()
        {
            let touched = layout.touched(Self::PIECES);
            exact &= touched.is_some();
            pieces.extend(touched.unwrap_or_else(|| vec![layout.bounds()]));
        }
        let held = listed.iter().filter_map(|one| one.owner.span).collect();
        let held = spans::union([pieces.clone(), held].concat());
        let listed = layouts().map(Layout::listed).fold(0, usize::saturating_add);
        let distinct: usize = spans::union(pieces).into_iter().map(Span::len).sum();
        Self {
            held: held.into_iter().map(Span::len).sum(),
            listed,
            // Of one with too many gaps the bounds are counted, which have more.
            distinct: distinct.min(listed),
            exact,
        }
    }

    pub fn sentence(&self, rows: usize) -> String {
        if rows == 0 {
            return "no variable exports memory".into();
        }
        let about = if self.exact { "" } else { "at most " };
        let held = match self.held > self.distinct {
            true => format!(", {} held", bytes(self.held as f64)),
            false => String::new(),
        };
        format!(
            "{} in total, {about}{} distinct{held}",
            bytes(self.listed as f64),
            bytes(self.distinct as f64)
        )
    }
}
