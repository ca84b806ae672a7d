//! A tree as HTML: `<details>` that fold by a click or a key, without a script, in the colours of the page.
//!
//! A line is a row of boxes (`STYLE`), whose names are cut where they do not fit, and whole when the pointer is on them.
//! Where a front end drops the style sheet, the columns float, and where it drops that, they follow the names.

use super::{Line, Tree, label};
use crate::column::Column;
use crate::report::Report;
use crate::view::html::escape;
use crate::view::html_table::heading;
use crate::view::text::is_right;
use crate::view::{cell, columns};

/// What makes rows of lines. In a narrow page only the first column of text stays, and in one like a
/// telephone's the numbers alone.
pub(in crate::view) const STYLE: &str = "\
.dph .t{container-type:inline-size}\
.dph .l,.dph .t summary{display:flex;flex-direction:row-reverse}\
.dph .l>*,.dph .t summary>*{flex:none}\
.dph .n{flex:1 1 0!important;min-width:11em;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}\
.dph .t summary>.n:before{content:'\\25b8\\a0'}\
.dph .t details[open]>summary>.n:before{content:'\\25be\\a0'}\
@container (max-width:60em){.dph .o{display:none}}\
@container (max-width:42em){.dph .p{display:none}}";

/// Folded lines take no room, so that there may be more of them than of lines of text.
const FOLDED: usize = 30;

/// How wide a letter is, in em. JupyterLab drops lengths in `ch` from what it does not trust.
const LETTER: f64 = 0.62;
/// How wide a column of numbers is.
const NUMBER: f64 = 5.5;
/// How wide columns of text are at most, by their number: most room is for the names.
const TEXT: [f64; 3] = [13.5, 12.0, 10.6];

/// The tree of a report, with no more than so many lines.
pub(in crate::view) fn page(report: &Report, tree: &Tree<'_>, most: usize) -> String {
    let all = columns(report.columns, &report.rows);
    let Some((name, others)) = all.split_first().filter(|_| !report.rows.is_empty()) else {
        return String::new();
    };
    let marked = tree.heaviest(report.shown.saturating_mul(FOLDED).min(most));
    let page = Page {
        widths: widths(tree, &marked, others),
        open: tree.heaviest(report.shown.min(most)),
        marked,
        report,
        others,
        tree,
    };
    let titles: Vec<String> = others
        .iter()
        .map(|column| heading(report, column))
        .collect();
    let titles = page.beside(&titles, true);
    let mut html = format!(
        "<div class=\"t\" style=\"font-family:monospace;text-align:left;overflow-x:auto;line-height:1.5\"><div class=\"l\" style=\"font-weight:bold\">{titles}<span class=\"n\">{}</span></div>",
        heading(report, name)
    );
    page.siblings(&page.tree.roots, &mut html);
    html + "</div>"
}

struct Page<'a> {
    report: &'a Report,
    others: &'a [&'static Column],
    /// Theirs, in em.
    widths: Vec<f64>,
    tree: &'a Tree<'a>,
    marked: Vec<bool>,
    open: Vec<bool>,
}

impl Page<'_> {
    fn siblings(&self, places: &[usize], html: &mut String) {
        for &place in places.iter().filter(|&&place| self.marked[place]) {
            self.line(place, html);
        }
        let hidden: Vec<usize> = places
            .iter()
            .copied()
            .filter(|&place| !self.marked[place])
            .collect();
        if !hidden.is_empty() {
            let count = self.tree.count(&hidden);
            *html += &format!("<div style=\"padding-left:16px\">+ {count} more</div>");
        }
    }

    fn line(&self, place: usize, html: &mut String) {
        let line = &self.tree.lines[place];
        let content = self.content(line);
        if line.children.is_empty() {
            *html += &format!("<div class=\"l\" style=\"padding-left:16px\">{content}</div>");
            return;
        }
        // What the text shows is open.
        let open = match line.children.iter().any(|&child| self.open[child]) {
            true => " open",
            false => "",
        };
        // A single line below does not make the tree deeper.
        let indent = if line.children.len() == 1 { 3 } else { 12 };
        *html += &format!(
            "<details{open}><summary>{content}</summary><div style=\"margin-left:{indent}px;border-left:1px solid #8888\">"
        );
        self.siblings(&line.children, html);
        *html += "</div></details>";
    }

    fn content(&self, line: &Line<'_>) -> String {
        let cells: Vec<String> = self
            .others
            .iter()
            .map(|column| escape(&cell(line.rows[0], column)))
            .collect();
        let names: Vec<String> = line
            .rows
            .iter()
            .map(|row| escape(&label(self.report, row)))
            .collect();
        let names = names.join(" → ");
        let beside = self.beside(&cells, false);
        format!("{beside}<span class=\"n\" title=\"{names}\">{names}</span>")
    }

    /// The cells to the right, as they stand in HTML: the last one comes first, since they float.
    fn beside(&self, cells: &[String], is_heading: bool) -> String {
        let mut html = String::new();
        let first = self.others.iter().position(|one| !is_right(one.show));
        let cells = self.others.iter().zip(&self.widths).zip(cells);
        for (place, ((column, width), text)) in cells.enumerate().rev() {
            let class = match is_right(column.show) {
                true => "",
                false if first == Some(place) => " class=\"p\"",
                false => " class=\"o\"",
            };
            let align = match is_right(column.show) {
                true => "right",
                false => "left",
            };
            let title = match is_right(column.show) {
                false if !is_heading => format!(" title=\"{text}\""),
                _ => String::new(),
            };
            html += &format!(
                "<span{class} style=\"float:right;width:{width:.1}em;text-align:{align};margin-left:1em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap\"{title}>{text}</span>"
            );
        }
        html
    }
}

/// As wide as what stands in a column, within bounds.
fn widths(tree: &Tree<'_>, marked: &[bool], columns: &[&'static Column]) -> Vec<f64> {
    let texts = columns.iter().filter(|one| !is_right(one.show)).count();
    let most = TEXT[texts.saturating_sub(1).min(TEXT.len() - 1)];
    let width = |column: &&'static Column| {
        if is_right(column.show) {
            return NUMBER;
        }
        let shown = tree.lines.iter().zip(marked).filter(|(_, marked)| **marked);
        let cells = shown.map(|(line, _)| cell(line.rows[0], column));
        let letters = cells.map(|text| text.chars().count()).max().unwrap_or(0);
        let letters = letters.max(column.title.chars().count());
        (letters as f64 * LETTER).min(most)
    };
    columns.iter().map(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tree::tests::sample;

    #[test]
    fn it_folds_without_a_script_and_nothing_escapes() {
        let report = sample();
        let html = page(&report, &Tree::of(&report), usize::MAX);
        assert_eq!(html.matches("<details").count(), 4);
        assert_eq!(html.matches("</details>").count(), 4);
        assert_eq!(html.matches("<div").count(), html.matches("</div>").count());
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;"));
        assert!(html.contains(">DOUBLE_matmul → DOUBLE_matmul_matrixmatrix</span>"));
    }
}
