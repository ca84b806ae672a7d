//! A table as HTML: the columns that fit, the others below a fold, and in a sentence what is the same in each row.

use unicode_width::UnicodeWidthStr;

use super::html::{SCROLLS, escape, paragraph};
use crate::column::{Column, Show};
use crate::report::Report;
use crate::row::Row;
use crate::view::text::is_right;
use crate::view::{about, cell, columns, leave_out, rank, shrink, take_same};

/// How wide a table may be, in letters: what fits in a window of 1280 pixels beside JupyterLab's list of files.
const WIDTH: usize = 112;
/// What a column takes besides its letters.
const PADDING: usize = 2;
/// The style sheet cuts texts that are longer.
const LONGEST: usize = 62;
/// No text is cut to less, and no name; the pointer shows the whole.
const SHORTEST: usize = 28;
const SHORTEST_NAME: usize = 44;
/// How wide a letter is, in em.
const LETTER: f64 = 0.56;

/// Rows of a report in these columns.
pub(super) fn table(report: &Report, all: &'static [Column], rows: &[Row]) -> String {
    if rows.is_empty() || all.is_empty() {
        return String::new();
    }
    let mut columns = columns(all, rows);
    let (same, empty) = take_same(&mut columns, rows);
    let mut kept: Vec<Place> = columns
        .into_iter()
        .map(|column| Place::of(column, rows))
        .collect();
    let room = |places: &[Place]| WIDTH.saturating_sub(PADDING * places.len());
    let fits = |places: &[Place]| places.iter().map(|one| one.least).sum::<usize>() <= room(places);
    let mut more = leave_out(&mut kept, |place| rank(report, place.column), fits);
    let mut widths: Vec<(usize, usize)> = kept.iter().map(|one| (one.width, one.least)).collect();
    shrink(&mut widths, room(&kept));
    for (place, (width, _)) in kept.iter_mut().zip(widths) {
        place.is_cut = width < place.width;
        place.width = width;
    }
    let mut html = said_once(&same, &empty) + &grid(report, &kept, rows);
    if !more.is_empty() {
        // Each row is known by its name.
        more.insert(0, Place::of(kept[0].column, rows));
        let title = match more.len() - 1 {
            1 => "1 more column".to_owned(),
            count => format!("{count} more columns"),
        };
        html += &format!(
            "<details><summary>{title}</summary>{}</details>",
            grid(report, &more, rows)
        );
    }
    html
}

/// A column on its way to the page; its widths in letters.
struct Place {
    column: &'static Column,
    least: usize,
    width: usize,
    /// Whether some of its texts are longer than it is wide.
    is_cut: bool,
}

impl Place {
    fn of(column: &'static Column, rows: &[Row]) -> Self {
        let letters = rows.iter().map(|row| cell(row, column).width());
        let letters = letters.max().unwrap_or(0).max(column.title.width());
        let letters = letters.min(LONGEST);
        // Letters of code are wider than others.
        let width = match is_code(column.show) {
            true => letters * 9 / 8,
            false => letters,
        };
        let shortest = match column.rank {
            0 => SHORTEST_NAME,
            _ => SHORTEST,
        };
        Self {
            column,
            least: match is_right(column.show) {
                true => width,
                false => width.min(shortest),
            },
            width,
            is_cut: false,
        }
    }

    fn style(&self) -> String {
        let mut style = align(self.column).to_owned();
        if self.is_cut {
            let em = self.width as f64 * LETTER;
            style += &format!(
                ";max-width:{em:.1}em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
            );
        }
        style
    }
}

/// What stands in each row, so that it needs no column.
fn said_once(same: &[String], empty: &[&str]) -> String {
    let mut parts = Vec::new();
    if !same.is_empty() {
        parts.push(format!("in each row: {}", same.join(", ")));
    }
    if !empty.is_empty() {
        parts.push(format!("in no row: {}", empty.join(", ")));
    }
    match parts.is_empty() {
        true => String::new(),
        false => paragraph(&escape(&parts.join("; "))),
    }
}

fn grid(report: &Report, places: &[Place], rows: &[Row]) -> String {
    let mut html = format!("<div style=\"{SCROLLS}\"><table><thead><tr>");
    for place in places {
        html += &format!(
            "<th style=\"{}\">{}</th>",
            align(place.column),
            heading(report, place.column)
        );
    }
    html += "</tr></thead><tbody>";
    for row in rows {
        html += "<tr>";
        html.extend(places.iter().map(|place| data(row, place)));
        html += "</tr>";
    }
    html + "</tbody></table></div>"
}

/// The title of a column, which says under the pointer what the column means.
pub(super) fn heading(report: &Report, column: &Column) -> String {
    let title = escape(column.title);
    match about(report, column) {
        Some(about) => format!("<abbr title=\"{}\">{title}</abbr>", escape(&about)),
        None => title,
    }
}

fn data(row: &Row, place: &Place) -> String {
    let (text, whole) = (cell(row, place.column), whole(row, place.column));
    let code = if is_code(place.column.show) {
        " class=\"m\""
    } else {
        ""
    };
    // Long texts are cut; the pointer shows the whole.
    let title = match place.is_cut || text.len() > 30 || text != whole {
        true => format!(" title=\"{}\"", escape(&whole)),
        false => String::new(),
    };
    let (style, text) = (place.style(), escape(&text));
    format!("<td{code} style=\"{style}\"{title}>{text}</td>")
}

/// A field with all of its letters.
fn whole(row: &Row, column: &Column) -> String {
    match column.show {
        Show::Library | Show::Name => cell(
            row,
            &Column {
                show: Show::Text,
                ..*column
            },
        ),
        _ => cell(row, column),
    }
}

fn align(column: &Column) -> &'static str {
    if is_right(column.show) {
        "text-align:right"
    } else {
        "text-align:left"
    }
}

fn is_code(show: Show) -> bool {
    matches!(show, Show::Address | Show::Tuple | Show::Path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::rows;

    const COLUMNS: &[Column] = &[
        Column::new("name", Show::Text, 0),
        Column::new("base", Show::Address, 1),
    ];

    #[test]
    fn a_small_table() {
        let all = [json!({"name": "<b>\"x\"", "base": "0x10"})];
        let sample = Report {
            columns: COLUMNS,
            rows: rows(all).unwrap(),
            shown: 30,
            ..Report::default()
        };
        insta::assert_snapshot!(table(&sample, sample.columns, &sample.rows), @r#"<div style="overflow-x:auto;display:grid;grid-template-columns:minmax(0,1fr);justify-items:start"><table><thead><tr><th style="text-align:left">name</th><th style="text-align:right">base</th></tr></thead><tbody><tr><td style="text-align:left">&lt;b&gt;&quot;x&quot;</td><td class="m" style="text-align:right">0x10</td></tr></tbody></table></div>"#);
    }

    #[test]
    fn what_is_the_same_everywhere_is_said_once_and_what_was_asked_for_stays() {
        const ASKED: &[Column] = &[
            Column::new("name", Show::Text, 0),
            Column::new("cell", Show::Number, 1).means("the cell's number", "the kernel"),
            Column::new("none", Show::Text, 1),
            Column::new("useful", Show::Text, 2),
            Column::new("other", Show::Text, 3),
            Column::new("asked", Show::Text, 9),
        ];
        let row = |number: usize| {
            let long = format!("{number}").repeat(60);
            json!({"name": long, "cell": 3, "useful": long, "other": long, "asked": long})
        };
        let report = Report {
            wanted: &["asked"],
            ..Report::default()
        };
        let html = table(&report, ASKED, &rows((0..9).map(row)).unwrap());
        assert!(html.contains("in each row: cell 3; in no row: none"));
        let (shown, folded) = html.split_once("<details>").unwrap();
        assert!(shown.contains(">asked</th>") && folded.contains(">other</th>"));
        let few = table(&report, ASKED, &rows((0..2).map(row)).unwrap());
        assert!(few.contains("<abbr title=\"the cell&#39;s number [the kernel]\">cell</abbr>"));
    }

    #[test]
    fn what_does_not_fit_can_be_opened() {
        const MANY: &[Column] = &[
            Column::new("name", Show::Text, 0),
            Column::new("useful", Show::Text, 1),
            Column::new("least", Show::Text, 9),
            Column::new("less", Show::Text, 2),
        ];
        let long = "x".repeat(40);
        let name = "n".repeat(50);
        let all = [json!({"name": name, "useful": long, "less": long, "least": long})];
        let html = table(&Report::default(), MANY, &rows(all).unwrap());
        let titles: Vec<&str> = html
            .split("</th>")
            .filter_map(|part| part.rsplit('>').next())
            .collect();
        assert_eq!(&titles[..5], ["name", "useful", "less", "name", "least"]);
        assert!(html.contains("<summary>1 more column</summary>"));
        assert_eq!(html.matches(";max-width:").count(), 3);
    }
}
