//! A report as plain text: aligned columns that fit a width, without colours.
//!
//! Where the width is too small, long texts are shortened first; then the least useful columns are left out.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::column::{Column, Show};
use crate::report::{Answer, Diagnosis, Report, Table};
use crate::row::Row;
use crate::view::tree::Tree;
use crate::view::{
    bar, cell, columns, in_one_line, lead, leave_out, printable, rank, rest, shown, shrink,
    take_same, told, tree,
};

/// Behind other words, of a name that is cut at least so much is left.
const LEAST_OF_A_NAME: usize = 8;
/// What stands between two columns.
const GAP: usize = 2;

/// The whole report in at most `width` columns.
pub fn report(report: &Report, width: usize) -> String {
    page(report, &Tree::of(report), width)
}

/// The same with the report's tree.
pub(super) fn page(report: &Report, tree: &Tree<'_>, width: usize) -> String {
    // A report without a table is its diagnoses, which then stand in full.
    let whole = report.columns.is_empty();
    let (folded, told) = told(report);
    let told = told.into_iter();
    let mut found: Vec<String> = told.flat_map(|one| diagnosis(one, whole, width)).collect();
    if !folded.is_empty() {
        let all = format!("{}; --all shows them", in_one_line(&folded));
        found.extend(wrap(&all, "  ", width));
    }
    let lead = lead(report);
    let lead = lead.iter().flat_map(|sentence| wrap(sentence, "", width));
    let mut lines: Vec<String> = lead.collect();
    if let Some(answer) = &report.answer {
        lines.extend(self::answer(report, answer, width));
        lines.append(&mut found);
    }
    lines.extend(match report.tree {
        true => tree::text::lines(report, tree, width),
        false => table(report, report.columns, shown(report), width),
    });
    lines.extend(report.bars.iter().flat_map(|one| bar::lines(one, width)));
    lines.extend(rest(report));
    for table in &report.tables {
        lines.extend(titled(report, table, width));
    }
    lines.extend(match report.is_markdown {
        true => prose(&report.listing, width),
        false => report.listing.iter().map(|line| printable(line)).collect(),
    });
    for sentence in &report.summary {
        lines.extend(wrap(sentence, "", width));
    }
    lines.append(&mut found);
    for limit in &report.limits {
        lines.extend(wrap(&format!("limit: {limit}"), "  ", width));
    }
    lines.join("\n")
}

/// The answer and its table.
fn answer(report: &Report, answer: &Answer, width: usize) -> Vec<String> {
    let sentences = answer.sentences.iter();
    let mut lines: Vec<String> = sentences.flat_map(|one| wrap(one, "", width)).collect();
    let tables = answer.table.iter();
    lines.extend(tables.flat_map(|table| titled(report, table, width)));
    lines.push(String::new());
    lines
}

/// What is remarkable: in one paragraph, or with its evidence.
fn diagnosis(diagnosis: &Diagnosis, whole: bool, width: usize) -> Vec<String> {
    let (word, code) = (diagnosis.severity.word(), diagnosis.code);
    let title = format!("{word} {code}: {}", diagnosis.title);
    if !whole {
        return wrap(&format!("{title} {}", diagnosis.fix), "  ", width);
    }
    let mut lines = vec![String::new()];
    lines.extend(wrap(&title, "  ", width));
    for evidence in &diagnosis.evidence {
        let wrapped = wrap(evidence, "", width - 4).into_iter().enumerate();
        let bullet = |number| if number == 0 { "-" } else { " " };
        lines.extend(wrapped.map(|(number, line)| format!("  {} {line}", bullet(number))));
    }
    let fix = wrap(&diagnosis.fix, "", width - 2);
    lines.extend(fix.into_iter().map(|line| format!("  {line}")));
    lines
}

/// A further table, as many of its rows as are shown.
fn titled(report: &Report, table: &Table, width: usize) -> Vec<String> {
    let rows = &table.rows[..table.rows.len().min(table.shown)];
    let mut lines = vec![table.title.clone()];
    lines.extend(self::table(report, table.columns, rows, width));
    lines
}

fn table(report: &Report, all: &'static [Column], rows: &[Row], width: usize) -> Vec<String> {
    if rows.is_empty() || all.is_empty() {
        return Vec::new();
    }
    let mut columns = columns(all, rows);
    let (same, _) = take_same(&mut columns, rows);
    let mut places: Vec<Place> = columns
        .into_iter()
        .map(|column| {
            let cells: Vec<String> = rows.iter().map(|row| cell(row, column)).collect();
            let natural = cells
                .iter()
                .map(|cell| cell.width())
                .max()
                .unwrap_or(0)
                .max(column.title.width());
            Place {
                column,
                cells,
                natural,
                width: natural,
            }
        })
        .collect();
    let left = fit(report, &mut places, width);
    let heading = line(places.iter().map(|place| (place, place.column.title)));
    let body = (0..rows.len()).map(|row| {
        line(
            places
                .iter()
                .map(move |place| (place, place.cells[row].as_str())),
        )
    });
    let mut lines: Vec<String> = std::iter::once(heading).chain(body).collect();
    if !same.is_empty() {
        let same = format!("in each row: {}", same.join(", "));
        lines.push(shorten(&same, width, Show::Text));
    }
    if !left.is_empty() {
        let titles: Vec<&str> = left.iter().map(|place| place.column.title).collect();
        let more = format!("more columns: {}", titles.join(", "));
        lines.push(shorten(&more, width, Show::Text));
    }
    lines
}

/// A column on its way to the page.
struct Place {
    column: &'static Column,
    cells: Vec<String>,
    natural: usize,
    width: usize,
}

impl Place {
    fn least(&self) -> usize {
        self.column
            .least
            .max(self.column.title.width())
            .min(self.natural)
    }
}

/// Makes the columns fit, and gives those that do not.
fn fit(report: &Report, places: &mut Vec<Place>, width: usize) -> Vec<Place> {
    let gaps = |places: &[Place]| GAP * places.len().saturating_sub(1);
    let left = leave_out(
        places,
        |place| rank(report, place.column),
        |places| places.iter().map(Place::least).sum::<usize>() + gaps(places) <= width,
    );
    let mut widths: Vec<(usize, usize)> = places
        .iter()
        .map(|place| (place.width, place.least()))
        .collect();
    shrink(&mut widths, width.saturating_sub(gaps(places)));
    for (place, (width, _)) in places.iter_mut().zip(widths) {
        place.width = width;
    }
    left
}

fn line<'a>(cells: impl Iterator<Item = (&'a Place, &'a str)>) -> String {
    let mut line = String::new();
    for (index, (place, text)) in cells.enumerate() {
        let text = shorten(text, place.width, place.column.show);
        let padding = " ".repeat(place.width - text.width());
        line.push_str(if index > 0 { "  " } else { "" });
        match is_right(place.column.show) {
            true => line.extend([padding.as_str(), text.as_str()]),
            false => line.extend([text.as_str(), padding.as_str()]),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Whether a column is set to the right, so that digits stand under digits.
pub fn is_right(show: Show) -> bool {
    matches!(
        show,
        Show::Number | Show::Bytes | Show::Change | Show::Time | Show::Address
    )
}

/// Leaves out the end of a text, the middle of a name, or the start of a path, whose ends say most.
pub fn shorten(text: &str, width: usize, show: Show) -> String {
    let room = width.saturating_sub(1);
    match show {
        _ if text.width() <= width => text.to_owned(),
        Show::Name => {
            // Of a few words, as in `needed by libarrow`, the last one is the name.
            let words = text.rfind(' ').map_or("", |last| &text[..=last]);
            let beginning: String = match words.width() + LEAST_OF_A_NAME <= width {
                true if !words.is_empty() => words.to_owned(),
                _ => head(text.chars(), room / 3).collect(),
            };
            let left = room - beginning.width();
            format!("{beginning}…{}", tail(text, left))
        }
        Show::Path => format!("…{}", tail(text, room)),
        _ => head(text.chars(), room)
            .chain(std::iter::once('…'))
            .collect(),
    }
}

/// As many of the last letters as fit.
fn tail(text: &str, width: usize) -> String {
    let end: Vec<char> = head(text.chars().rev(), width).collect();
    end.into_iter().rev().collect()
}

/// As many letters as fit.
fn head(letters: impl Iterator<Item = char>, width: usize) -> impl Iterator<Item = char> {
    letters.scan(0, move |used, letter| {
        *used += letter.width().unwrap_or(0);
        (*used <= width).then_some(letter)
    })
}

/// Breaks a sentence at blanks; the lines after the first start with `indent`.
pub fn wrap(sentence: &str, indent: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in printable(sentence).split(' ') {
        let wide = word.width();
        let last = lines.len() - 1;
        if used > 0 && used + 1 + wide > width {
            lines.push(format!("{indent}{word}"));
            used = indent.width() + wide;
            continue;
        }
        if !lines[last].is_empty() {
            lines[last].push(' ');
            used += 1;
        }
        lines[last].push_str(word);
        used += wide;
    }
    lines
}

/// Markdown as a terminal shows it: sentences are wrapped, and code and tables are as they are.
fn prose(listing: &[String], width: usize) -> Vec<String> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in listing {
        is_code ^= line.starts_with("```");
        match is_code || line.starts_with(['|', '`']) {
            true => lines.push(printable(line)),
            false => lines.extend(wrap(line, "", width)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    #[test]
    fn sentences_of_a_page_are_wrapped_and_code_is_not() {
        let page = [
            "A sentence of some words.",
            "```python",
            "code = 'that is long enough'",
            "```",
        ];
        let page = page.map(str::to_owned);
        let wrapped = super::prose(&page, 16);
        assert_eq!(wrapped[..2], ["A sentence of", "some words."]);
        assert_eq!(wrapped[2..], page[1..]);
    }

    use serde_json::json;

    use super::*;
    use crate::report::{Diagnosis, Severity, rows};

    const COLUMNS: &[Column] = &[
        Column::new("name", Show::Text, 0),
        Column::new("package", Show::Text, 1).with("version"),
        Column::new("size", Show::Bytes, 2),
        Column::new("base", Show::Address, 3),
        Column::new("rss", Show::Bytes, 2).optional(),
        Column::new("path", Show::Path, 4),
    ];

    fn sample() -> Report {
        let all = [
            json!({
                "name": "libscipy_openblas64_-fdde5778.so", "package": "numpy", "version": "2.4.6", "size": 25_000_000,
                "base": "0x7f0000000000", "rss": null,
                "path": "/home/someone/project/.venv/lib/python3.11/site-packages/numpy.libs/libscipy_openblas64_-fdde5778.so",
            }),
            json!({"name": "変数.so", "package": null, "size": 12, "base": "0x400000", "path": "/opt/a\u{7}b.so"}),
            json!({"name": "hidden.so"}),
        ];
        Report {
            name: "probe",
            columns: COLUMNS,
            rows: rows(all).unwrap(),
            summary: vec!["3 libraries, 25.0 MB mapped".into()],
            diagnoses: vec![Diagnosis {
                code: "X001",
                severity: Severity::Warn,
                title: "this is remarkable in more than one way and needs a line of its own."
                    .into(),
                evidence: vec![],
                fix: "Do something about it.".into(),
            }],
            limits: vec!["the kernel does not tell".into()],
            shown: 2,
            ..Report::default()
        }
    }

    #[test]
    fn wide() {
        insta::assert_snapshot!(report(&sample(), 100), @r"
        name                      package         size            base  path
        libscipy_openblas64_-fd…  numpy 2.4.6  25.0 MB  0x7f0000000000  …bs/libscipy_openblas64_-fdde5778.so
        変数.so                   -               12 B        0x400000  /opt/a\u{7}b.so
        and 1 more; --top 0 shows all
        3 libraries, 25.0 MB mapped
        warn X001: this is remarkable in more than one way and needs a line of its own. Do something about
          it.
        limit: the kernel does not tell
        ");
    }

    #[test]
    fn narrow() {
        insta::assert_snapshot!(report(&sample(), 60), @r"
        name                    package         size            base
        libscipy_openblas64_-…  numpy 2.4.6  25.0 MB  0x7f0000000000
        変数.so                 -               12 B        0x400000
        more columns: path
        and 1 more; --top 0 shows all
        3 libraries, 25.0 MB mapped
        warn X001: this is remarkable in more than one way and needs
          a line of its own. Do something about it.
        limit: the kernel does not tell
        ");
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        for width in 40..=140 {
            let text = report(&sample(), width);
            let widest = text.lines().map(UnicodeWidthStr::width).max().unwrap();
            assert!(widest <= width, "{widest} > {width}:\n{text}");
        }
    }

    #[test]
    fn a_name_keeps_its_end() {
        let name = "arrow::compute::internal::Binary<…>::Exec";
        assert_eq!(shorten(name, 21, Show::Name), "arrow:…inary<…>::Exec");
        assert_eq!(shorten("short", 21, Show::Name), "short");
        let words = "needed by _multiarray_umath";
        assert_eq!(shorten(words, 18, Show::Name), "needed by …y_umath");
        assert_eq!(shorten(words, 12, Show::Name), "nee…ay_umath");
    }

    #[test]
    fn an_empty_report_still_says_something() {
        let empty = Report {
            summary: vec!["nothing is loaded".into()],
            columns: COLUMNS,
            ..Report::default()
        };
        assert_eq!(report(&empty, 80), "nothing is loaded");
    }
}
