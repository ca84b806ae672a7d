//! A report as an HTML fragment: no script, everything escaped, in the colours of the notebook's theme.
//!
//! Front ends that do not trust a notebook drop `<style>` and most custom properties, so alignment and the colours that
//! carry meaning stand inline as plain values; the style sheet only refines.

use crate::report::{Answer, Diagnosis, Report, Severity, Table};
use crate::view::html_table::table;
use crate::view::tree::Tree;
use crate::view::{bar, first, in_one_line, lead, printable, rest, shown, svg, told, tree};

const STYLE: &str = "\
.dph .m{font-family:var(--jp-code-font-family,monospace)}\
.dph td,.dph th{white-space:nowrap;max-width:34em;overflow:hidden;text-overflow:ellipsis}\
.dph p{margin:.4em 0}\
.dph abbr{text-decoration:underline dotted;text-underline-offset:.2em;cursor:help}";

/// What is wider than its place scrolls there; it never makes the place wider, as in an exported notebook, whose outputs are
/// cells of a table.
pub(super) const SCROLLS: &str =
    "overflow-x:auto;display:grid;grid-template-columns:minmax(0,1fr);justify-items:start";

/// No folded table shows more rows.
const MOST_FOLDED: usize = 200;

/// The whole report.
pub fn report(report: &Report) -> String {
    page(report, &Tree::of(report), usize::MAX, None)
}

/// A page of its own, on a light or a dark screen.
pub fn document(report: &Report) -> String {
    format!(
        "<!doctype html>\n<html><head><meta charset=\"utf-8\"><title>{}</title>\
         <style>:root{{color-scheme:light dark}}body{{font:14px/1.5 sans-serif;margin:1em}}</style></head>\
         <body>\n{}\n</body></html>\n",
        escape(report.name),
        self::report(report)
    )
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
    // Where there is no room for its words it scrolls.
    let chart = chart.map(|chart| match &*chart.reduced(most) {
        chart if chart.shapes.is_empty() => String::new(),
        chart => format!("<div style=\"{SCROLLS}\">{}</div>", svg::svg(chart)),
    });
    let chart = chart.unwrap_or_default();
    let is_first = report.answer.is_some();
    let mut summary = first(&report.summary, most).iter();
    match &report.answer {
        Some(answer) => html += &(self::answer(report, answer, most) + &found + &chart),
        // What was found comes before where it was found.
        None if report.tree => {}
        None => html.extend(
            summary
                .next()
                .map(|one| format!("<p>{}</p>", escape(&printable(one)))),
        ),
    }
    html += &match report.tree {
        true => tree::html::page(report, tree, most),
        false => table(report, report.columns, first(shown(report), most)),
    };
    html.extend(report.bars.iter().map(bar::html));
    let tables = report.tables.iter();
    html.extend(tables.map(|table| self::folded(report, table, most)));
    if chart.is_empty() || !report.draws_chart {
        html.extend(listing(first(&report.listing, most)));
    }
    html += if is_first { "" } else { &chart };
    let said = rest(report).into_iter().chain(note.map(str::to_owned));
    for sentence in said.chain(summary.cloned()) {
        html += &paragraph(&escape(&sentence));
    }
    html += if is_first { "" } else { &found };
    for limit in first(&report.limits, most) {
        html += &paragraph(&format!("<b>limit</b> {}", escape(limit)));
    }
    html + &words(first(&report.words, most)) + "</div>"
}

/// The words of the report that need an explanation, which opens by a click or a key.
fn words(words: &[(&str, &str)]) -> String {
    if words.is_empty() {
        return String::new();
    }
    let names: Vec<String> = words.iter().map(|(word, _)| escape(word)).collect();
    let explained = words
        .iter()
        .map(|(word, text)| (escape(word), escape(text)));
    let explained: String = explained
        .map(|(word, text)| format!("<p><b>{word}</b> {text}</p>"))
        .collect();
    format!(
        "<details><summary>words: {}</summary>{explained}<p>%diaphane glossary explains all words.</p></details>",
        names.join(", ")
    )
}

/// The answer, with its table open.
fn answer(report: &Report, answer: &Answer, most: usize) -> String {
    let mut html = String::new();
    for sentence in first(&answer.sentences, most) {
        html += &format!("<p><b>{}</b></p>", escape(&printable(sentence)));
    }
    if let Some(table) = &answer.table {
        html += &paragraph(&escape(&printable(&table.title)));
        html += &self::table(report, table.columns, first(&table.rows, most));
    }
    html
}

/// A further table, which opens by a click or a key.
fn folded(report: &Report, table: &Table, most: usize) -> String {
    let rows = first(&table.rows, MOST_FOLDED.min(most));
    let more = match table.rows.len() - rows.len() {
        0 => String::new(),
        more => paragraph(&format!("and {more} more")),
    };
    format!(
        "<details><summary>{}</summary>{}{more}</details>",
        escape(&table.title),
        self::table(report, table.columns, rows)
    )
}

/// A longer listing scrolls, so that what stands below it is found.
const LONG: usize = 80;

/// Lines as they are, in a font that keeps their columns.
fn listing(lines: &[String]) -> Option<String> {
    let escaped: Vec<String> = lines.iter().map(|line| escape(&printable(line))).collect();
    let height = match lines.len() > LONG {
        true => ";max-height:40em;overflow-y:auto",
        false => "",
    };
    let style = format!("text-align:left;overflow-x:auto;line-height:1.3{height}");
    (!lines.is_empty()).then(|| format!("<pre style=\"{style}\">{}</pre>", escaped.join("\n")))
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

pub(super) fn paragraph(inner: &str) -> String {
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
        html +=
            &format!("<details{open}><summary>evidence</summary><ul style=\"overflow-x:auto\">");
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
    use crate::column::{Column, Show};
    use crate::report::rows;

    const COLUMNS: &[Column] = &[
        Column::new("name", Show::Text, 0),
        Column::new("base", Show::Address, 1),
    ];

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
