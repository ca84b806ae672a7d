//! A report as an HTML fragment: no script, everything escaped, in the colours of the notebook's theme.
//!
//! Front ends that do not trust a notebook drop `<style>` and most custom properties, so alignment and the colours that
//! carry meaning stand inline as plain values; the style sheet only refines.

use unicode_width::UnicodeWidthStr;

use crate::column::{Column, Show};
use crate::report::{Answer, Diagnosis, Report, Severity, Table};
use crate::row::Row;
use crate::view::text::is_right;
use crate::view::tree::Tree;
use crate::view::{
    bar, cell, columns, first, in_one_line, lead, leave_out, printable, rest, shown, shrink, svg,
    told, tree,
};

const STYLE: &str = "\
.dph .m{font-family:var(--jp-code-font-family,monospace)}\
.dph td,.dph th{white-space:nowrap;max-width:34em;overflow:hidden;text-overflow:ellipsis}\
.dph p{margin:.4em 0}";

/// No folded table shows more rows.
const MOST_FOLDED: usize = 200;

/// How wide a table may be, in letters: what fits in a window of 1280 pixels beside JupyterLab's list of files.
const WIDTH: usize = 116;
/// What a column takes besides its letters.
const PADDING: usize = 2;
/// The style sheet cuts texts that are longer.
const LONGEST: usize = 62;
/// No text is cut to less; the pointer shows the whole.
const SHORTEST: usize = 28;
/// How wide a letter is, in em.
const LETTER: f64 = 0.56;

/// The whole report.
pub fn report(report: &Report) -> String {
    page(report, &Tree::of(report), usize::MAX, None)
}

/// The report with no more than so many lines, rows or shapes in each of its parts, and a note about that.
pub(super) fn page(report: &Report, tree: &Tree<'_>, most: usize, note: Option<&str>) -> String {
    let lines = if report.tree { tree::html::STYLE } else { "" };
    let mut html = format!("<div class=\"dph\"><style>{STYLE}{lines}</style>");
    for sentence in first(&lead(report), most) {
        html += &format!("<p>{}</p>", escape(&printable(sentence)));
    }
    let open = report.columns.is_empty();
    let (folded, told) = told(report);
    let told = told.into_iter().take(most);
    let mut found: String = told.map(|one| diagnosis(one, open, most)).collect();
    if !folded.is_empty() {
        let all = first(&folded, most).iter();
        let all: String = all.map(|one| diagnosis(one, false, most)).collect();
        let title = escape(&in_one_line(&folded));
        found += &format!("<details><summary>{title}</summary>{all}</details>");
    }
    let chart = report.chart.as_ref();
    let chart = chart.map(|chart| svg::svg(&chart.reduced(most)));
    let chart = chart.unwrap_or_default();
    let is_first = report.answer.is_some();
    if let Some(answer) = &report.answer {
        html += &(self::answer(answer, most) + &found + &chart);
    }
    html += &match report.tree {
        true => tree::html::page(report, tree, most),
        false => table(report.columns, first(shown(report), most)),
    };
    html.extend(report.bars.iter().map(bar::html));
    let tables = report.tables.iter();
    html.extend(tables.map(|table| self::folded(table, most)));
    html.extend(listing(first(&report.listing, most)));
    html += if is_first { "" } else { &chart };
    let said = rest(report).into_iter().chain(note.map(str::to_owned));
    for sentence in said.chain(first(&report.summary, most).iter().cloned()) {
        html += &paragraph(&escape(&sentence));
    }
    html += if is_first { "" } else { &found };
    for limit in first(&report.limits, most) {
        html += &paragraph(&format!("<b>limit</b> {}", escape(limit)));
    }
    html + "</div>"
}

/// The answer, with its table open.
fn answer(answer: &Answer, most: usize) -> String {
    let mut html = String::new();
    for sentence in first(&answer.sentences, most) {
        html += &format!("<p><b>{}</b></p>", escape(&printable(sentence)));
    }
    if let Some(table) = &answer.table {
        html += &paragraph(&escape(&printable(&table.title)));
        html += &self::table(table.columns, first(&table.rows, most));
    }
    html
}

/// A further table, which opens by a click or a key.
fn folded(table: &Table, most: usize) -> String {
    let rows = first(&table.rows, MOST_FOLDED.min(most));
    let more = match table.rows.len() - rows.len() {
        0 => String::new(),
        more => paragraph(&format!("and {more} more")),
    };
    format!(
        "<details><summary>{}</summary>{}{more}</details>",
        escape(&table.title),
        self::table(table.columns, rows)
    )
}

fn table(all: &'static [Column], rows: &[Row]) -> String {
    if rows.is_empty() || all.is_empty() {
        return String::new();
    }
    let mut kept: Vec<Place> = columns(all, rows)
        .into_iter()
        .map(|column| Place::of(column, rows))
        .collect();
    let room = |places: &[Place]| WIDTH.saturating_sub(PADDING * places.len());
    let fits = |places: &[Place]| places.iter().map(|one| one.least).sum::<usize>() <= room(places);
    let mut more = leave_out(&mut kept, |place| place.column.rank, fits);
    let mut widths: Vec<(usize, usize)> = kept.iter().map(|one| (one.width, one.least)).collect();
    shrink(&mut widths, room(&kept));
    for (place, (width, _)) in kept.iter_mut().zip(widths) {
        place.is_cut = width < place.width;
        place.width = width;
    }
    let mut html = grid(&kept, rows);
    if !more.is_empty() {
        // Each row is known by its name.
        more.insert(0, Place::of(kept[0].column, rows));
        let title = match more.len() - 1 {
            1 => "1 more column".to_owned(),
            count => format!("{count} more columns"),
        };
        html += &format!(
            "<details><summary>{title}</summary>{}</details>",
            grid(&more, rows)
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
        let may_be_cut = column.rank > 0 && !is_right(column.show);
        Self {
            column,
            least: if may_be_cut {
                width.min(SHORTEST)
            } else {
                width
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

fn grid(places: &[Place], rows: &[Row]) -> String {
    let mut html = String::from("<div style=\"overflow-x:auto\"><table><thead><tr>");
    for place in places {
        html += &format!(
            "<th style=\"{}\">{}</th>",
            align(place.column),
            escape(place.column.title)
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

/// Lines as they are, in a font that keeps their columns.
fn listing(lines: &[String]) -> Option<String> {
    let escaped: Vec<String> = lines.iter().map(|line| escape(&printable(line))).collect();
    let style = "text-align:left;overflow-x:auto;line-height:1.3";
    (!lines.is_empty()).then(|| format!("<pre style=\"{style}\">{}</pre>", escaped.join("\n")))
}

fn data(row: &Row, place: &Place) -> String {
    let text = escape(&cell(row, place.column));
    let code = if is_code(place.column.show) {
        " class=\"m\""
    } else {
        ""
    };
    // Long texts are cut; the pointer shows the whole.
    let title = if place.is_cut || text.len() > 30 {
        format!(" title=\"{text}\"")
    } else {
        String::new()
    };
    format!("<td{code} style=\"{}\"{title}>{text}</td>", place.style())
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

/// One line in the background.
pub fn remark(text: &str) -> String {
    let style =
        "color:var(--jp-content-font-color2,inherit);font-size:var(--jp-ui-font-size1,13px)";
    format!(
        "<span style=\"{style}\">{}</span>",
        escape(&printable(text))
    )
}

fn paragraph(inner: &str) -> String {
    format!("<p style=\"color:var(--jp-content-font-color2,inherit)\">{inner}</p>")
}

fn diagnosis(diagnosis: &Diagnosis, open: bool, most: usize) -> String {
    // Mid-tones that stand out on a light and on a dark page.
    let bar = match diagnosis.severity {
        Severity::Info => "#2196f3",
        Severity::Warn => "#f57c00",
        Severity::Error => "#e53935",
    };
    let (word, code) = (diagnosis.severity.word(), diagnosis.code);
    let mut html = format!(
        "<div style=\"border-left:4px solid {bar};padding-left:8px;margin:6px 0\"><b>{word} {code}</b> {} {}",
        escape(&diagnosis.title),
        escape(&diagnosis.fix),
    );
    if !diagnosis.evidence.is_empty() {
        let open = if open { " open" } else { "" };
        html += &format!("<details{open}><summary>evidence</summary><ul>");
        html.extend(
            first(&diagnosis.evidence, most)
                .iter()
                .map(|line| format!("<li class=\"m\">{}</li>", escape(line))),
        );
        html += "</ul></details>";
    }
    html + "</div>"
}

/// Makes a text harmless between tags and inside quotes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            other => escaped.push(other),
        }
    }
    escaped
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
        insta::assert_snapshot!(table(sample.columns, &sample.rows), @r#"<div style="overflow-x:auto"><table><thead><tr><th style="text-align:left">name</th><th style="text-align:right">base</th></tr></thead><tbody><tr><td style="text-align:left">&lt;b&gt;&quot;x&quot;</td><td class="m" style="text-align:right">0x10</td></tr></tbody></table></div>"#);
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
        let html = table(MANY, &rows(all).unwrap());
        let titles: Vec<&str> = html
            .split("</th>")
            .filter_map(|part| part.rsplit('>').next())
            .collect();
        assert_eq!(&titles[..5], ["name", "useful", "less", "name", "least"]);
        assert!(html.contains("<summary>1 more column</summary>"));
        assert_eq!(html.matches(";max-width:16.8em").count(), 2);
    }

    #[test]
    fn nothing_from_outside_reaches_the_page_unescaped() {
        let evil = "<script>alert('1')</script>&\" onload=x";
        let sample = Report {
            columns: COLUMNS,
            rows: rows([json!({"name": evil, "base": evil})]).unwrap(),
            summary: vec![evil.into()],
            limits: vec![evil.into()],
            diagnoses: vec![Diagnosis {
                code: "X001",
                severity: Severity::Info,
                title: evil.into(),
                evidence: vec![evil.into()],
                fix: evil.into(),
            }],
            shown: 30,
            ..Report::default()
        };
        let html = report(&sample);
        assert!(!html.contains("<script") && !html.contains("\" onload"));
        assert_eq!(html.matches("&lt;script&gt;").count(), 9);
    }
}
