//! A tree as text: light lines, and the other columns to the right of it, digits under digits.
//!
//! A line with a single one below it does not make the tree deeper: that one stands below it behind an arrow.

use unicode_width::UnicodeWidthStr;

use super::{Line, Tree, label};
use crate::column::{Column, Show};
use crate::report::Report;
use crate::view::text::{is_right, shorten};
use crate::view::{cell, columns};

/// A name has at least so much room.
const LEAST: usize = 32;
/// A text beside the tree takes no more.
const WIDEST_TEXT: usize = 24;
const GAP: usize = 2;

/// The tree in at most `width` columns.
pub(in crate::view) fn lines(report: &Report, tree: &Tree<'_>, width: usize) -> Vec<String> {
    let all = columns(report.columns, &report.rows);
    let Some((name, others)) = all.split_first().filter(|_| !report.rows.is_empty()) else {
        return Vec::new();
    };
    let marked = tree.heaviest(report.shown);
    let mut page = Page {
        beside: beside(tree, &marked, others, width),
        marked,
        report,
        tree,
        room: 0,
        lines: Vec::new(),
    };
    page.room = width
        - page
            .beside
            .iter()
            .map(|(_, width)| width + GAP)
            .sum::<usize>();
    let titles = page
        .beside
        .iter()
        .map(|(column, _)| column.title.to_owned());
    let titles = titles.collect();
    page.put(name.title, Some(titles));
    let roots = page.tree.roots.clone();
    page.siblings(&roots, "", true);
    page.lines
}

/// The columns beside the tree with their widths; the least useful go where names would have no room.
fn beside(
    tree: &Tree<'_>,
    marked: &[bool],
    others: &[&'static Column],
    width: usize,
) -> Vec<(&'static Column, usize)> {
    let natural = |column: &'static Column| {
        let shown = tree.lines.iter().zip(marked).filter(|(_, marked)| **marked);
        let cells = shown.map(|(line, _)| cell(line.rows[0], column).width());
        let widest = cells.max().unwrap_or(0).max(column.title.width());
        match is_right(column.show) {
            true => (column, widest),
            false => (column, widest.min(WIDEST_TEXT.min(width / 5))),
        }
    };
    let mut kept: Vec<_> = others.iter().map(|column| natural(column)).collect();
    while kept.iter().map(|(_, width)| width + GAP).sum::<usize>() + LEAST > width {
        let last = (0..kept.len()).max_by_key(|&place| kept[place].0.rank);
        match last {
            Some(last) => drop(kept.remove(last)),
            None => break,
        }
    }
    kept
}

struct Page<'a> {
    report: &'a Report,
    tree: &'a Tree<'a>,
    marked: Vec<bool>,
    beside: Vec<(&'static Column, usize)>,
    room: usize,
    lines: Vec<String>,
}

impl Page<'_> {
    /// Lines with the same parent, behind what the lines above have to their left.
    fn siblings(&mut self, places: &[usize], lead: &str, are_roots: bool) {
        let shown: Vec<usize> = places
            .iter()
            .copied()
            .filter(|&place| self.marked[place])
            .collect();
        let hidden: Vec<usize> = places
            .iter()
            .copied()
            .filter(|&place| !self.marked[place])
            .collect();
        let is_only = places.len() == 1;
        for (number, &place) in shown.iter().enumerate() {
            let is_last = number + 1 == shown.len() && hidden.is_empty();
            let (corner, below) = match (are_roots, is_only, is_last) {
                (true, ..) => ("", ""),
                (_, true, _) => ("→ ", ""),
                (_, _, true) => ("└ ", "  "),
                _ => ("├ ", "│ "),
            };
            let below = format!("{lead}{below}");
            self.line(place, &format!("{lead}{corner}"), &below);
            let children = self.tree.lines[place].children.clone();
            self.siblings(&children, &below, false);
        }
        if !hidden.is_empty() {
            let corner = if are_roots { "" } else { "└ " };
            let text = format!("{lead}{corner}+ {} more", self.tree.count(&hidden));
            self.put(&text, None);
        }
    }

    /// The rows of one line, on as many lines of text as they need.
    fn line(&mut self, place: usize, first: &str, below: &str) {
        let line = &self.tree.lines[place];
        let rest = match line.children.is_empty() {
            true => format!("{below}  "),
            false => format!("{below}│ "),
        };
        let mut cells = Some(self.cells(line));
        let mut text = first.to_owned();
        let names: Vec<String> = line
            .rows
            .iter()
            .map(|row| label(self.report, row))
            .collect();
        for (number, name) in names.iter().enumerate() {
            let step = if number == 0 { "" } else { "→ " };
            let gap = if number == 0 { "" } else { " " };
            if number > 0 && text.width() + gap.width() + step.width() + name.width() > self.room {
                self.put(&text, cells.take());
                text = format!("{rest}{step}{name}");
            } else {
                text += &format!("{gap}{step}{name}");
            }
        }
        self.put(&text, cells.take());
    }

    fn cells(&self, line: &Line<'_>) -> Vec<String> {
        let cells = self.beside.iter();
        cells
            .map(|(column, _)| cell(line.rows[0], column))
            .collect()
    }

    fn put(&mut self, text: &str, cells: Option<Vec<String>>) {
        let mut line = pad(text, self.room, Show::Text);
        for ((column, width), cell) in self.beside.iter().zip(cells.unwrap_or_default()) {
            line += &" ".repeat(GAP);
            line += &pad(&cell, *width, column.show);
        }
        self.lines.push(line.trim_end().to_owned());
    }
}

fn pad(text: &str, width: usize, show: Show) -> String {
    let text = shorten(text, width, show);
    let blank = " ".repeat(width - text.width());
    match is_right(show) {
        true => blank + &text,
        false => text + &blank,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tree::tests::sample;

    fn shown(report: &Report, width: usize) -> Vec<String> {
        lines(report, &Tree::of(report), width)
    }

    #[test]
    fn narrow() {
        insta::assert_snapshot!(shown(&sample(), 80).join("\n"), @r"
        func                                           calls     total  library
        a @ b In[3]:2                                      -  240.0 us  python
        → DOUBLE_matmul → DOUBLE_matmul_matrixmatrix       1  239.0 us  numpy
        → scipy_cblas_dgemm64_                             1  237.0 us  libscipy_openbl…
        ├ blas_memory_alloc                                1    300 ns  libscipy_openbl…
        ├ dgemm_nn                                         1  236.0 us  libscipy_openbl…
        │ ├ dgemm_kernel_SKYLAKEX                         12  200.0 us  libscipy_openbl…
        │ └ <script>                                       2    100 ns  libc.so.6
        └ blas_memory_free                                 1    100 ns  libscipy_openbl…
        ");
    }

    #[test]
    fn shortened() {
        let mut report = sample();
        report.shown = 5;
        insta::assert_snapshot!(shown(&report, 100).join("\n"), @r"
        func                                                           calls     total  library
        a @ b In[3]:2                                                      -  240.0 us  python
        → DOUBLE_matmul → DOUBLE_matmul_matrixmatrix                       1  239.0 us  numpy
        → scipy_cblas_dgemm64_                                             1  237.0 us  libscipy_openblas64…
        ├ dgemm_nn                                                         1  236.0 us  libscipy_openblas64…
        │ ├ dgemm_kernel_SKYLAKEX                                         12  200.0 us  libscipy_openblas64…
        │ └ + 1 more
        └ + 2 more
        ");
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        for width in 40..=140 {
            let text = shown(&sample(), width).join("\n");
            let widest = text.lines().map(UnicodeWidthStr::width).max().unwrap();
            assert!(widest <= width, "{widest} > {width}:\n{text}");
        }
    }
}
