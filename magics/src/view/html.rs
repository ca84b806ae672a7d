//! A report as an HTML fragment: no script, everything escaped, in the colours of the notebook's theme.
//!
//! Front ends that do not trust a notebook drop `<style>` and most custom properties, so alignment and the colours that
//! carry meaning stand inline as plain values; the style sheet only refines.

use std::collections::HashMap;

use unicode_width::UnicodeWidthStr;

use crate::report::{Column, Diagnosis, Report, Row, Severity, Show, Table};
use crate::view::bar::Bar;
use crate::view::svg::Drawing;
use crate::view::text::is_right;
use crate::view::{cell, columns, leave_out, printable, rest, shown, tree};

const STYLE: &str = "\
.dph .m{font-family:var(--jp-code-font-family,monospace)}\
.dph td,.dph th{white-space:nowrap;max-width:34em;overflow:hidden;text-overflow:ellipsis}\
.dph p{margin:.4em 0}";

/// No folded table shows more rows.
const MOST_FOLDED: usize = 200;

/// How wide a table may be, in letters: what fits in a window of 1280 pixels beside JupyterLab's list of files.
const WIDTH: usize = 106;
/// What a column takes besides its letters.
const PADDING: usize = 2;
/// The style sheet cuts texts that are longer.
const LONGEST: usize = 62;

/// The whole report.
pub(crate) fn report(report: &Report) -> String {
    let mut html = format!("<div class=\"dph\"><style>{STYLE}</style>");
    html += &match report.tree {
        true => tree::html::tree(report),
        false => table(report.columns, shown(report)),
    };
    html.extend(report.bars.iter().map(Bar::to_html));
    html.extend(report.tables.iter().map(folded));
    html.extend(listing(&report.listing));
    html.extend(report.figure.as_ref().map(Drawing::to_svg));
    for sentence in rest(report).iter().chain(&report.summary) {
        html += &paragraph(&escape(sentence));
    }
    let open = report.columns.is_empty();
    for one in &report.diagnoses {
        html += &diagnosis(one, open);
    }
    for limit in &report.limits {
        html += &paragraph(&format!("<b>limit</b> {}", escape(limit)));
    }
    html + "</div>"
}

/// A further table, which opens by a click or a key.
fn folded(table: &Table) -> String {
    let rows = &table.rows[..table.rows.len().min(MOST_FOLDED)];
    format!(
        "<details><summary>{}</summary>{}</details>",
        escape(&table.title),
        self::table(table.columns, rows)
    )
}

fn table(all: &'static [Column], rows: &[Row]) -> String {
    if rows.is_empty() || all.is_empty() {
        return String::new();
    }
    let mut kept = columns(all, rows);
    let width = |column: &&'static Column| {
        let letters = rows.iter().map(|row| cell(row, column).width());
        let letters = letters.max().unwrap_or(0).max(column.title.width());
        letters.min(LONGEST) + PADDING
    };
    let widths: HashMap<&str, usize> = kept.iter().map(|one| (one.key, width(one))).collect();
    let fits =
        |columns: &[&Column]| columns.iter().map(|one| widths[one.key]).sum::<usize>() <= WIDTH;
    let mut more = leave_out(&mut kept, |column| column.rank, fits);
    let mut html = grid(&kept, rows);
    if !more.is_empty() {
        // Each row is known by its name.
        more.insert(0, kept[0]);
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

fn grid(columns: &[&'static Column], rows: &[Row]) -> String {
    let mut html = String::from("<div style=\"overflow-x:auto\"><table><thead><tr>");
    for column in columns {
        html += &format!(
            "<th style=\"{}\">{}</th>",
            align(column),
            escape(column.title)
        );
    }
    html += "</tr></thead><tbody>";
    for row in rows {
        html += "<tr>";
        html.extend(columns.iter().map(|column| data(row, column)));
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

fn data(row: &Row, column: &Column) -> String {
    let text = escape(&cell(row, column));
    let code = if is_code(column.show) {
        " class=\"m\""
    } else {
        ""
    };
    // Long texts are cut by the style sheet; the pointer shows the whole.
    let title = if text.len() > 30 {
        format!(" title=\"{text}\"")
    } else {
        String::new()
    };
    format!("<td{code} style=\"{}\"{title}>{text}</td>", align(column))
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
pub(crate) fn remark(text: &str) -> String {
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

fn diagnosis(diagnosis: &Diagnosis, open: bool) -> String {
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
            diagnosis
                .evidence
                .iter()
                .map(|line| format!("<li class=\"m\">{}</li>", escape(line))),
        );
        html += "</ul></details>";
    }
    html + "</div>"
}

/// Makes a text harmless between tags and inside quotes.
pub(crate) fn escape(text: &str) -> String {
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
        let all = [json!({"name": "n", "useful": long, "less": long, "least": long})];
        let html = table(MANY, &rows(all).unwrap());
        let titles: Vec<&str> = html
            .split("</th>")
            .filter_map(|part| part.rsplit('>').next())
            .collect();
        assert_eq!(&titles[..5], ["name", "useful", "less", "name", "least"]);
        assert!(html.contains("<summary>1 more column</summary>"));
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
