//! What of a report goes into a notebook: its views, within a number of bytes. Who opens the notebook pays for each of
//! them again, and the value in the kernel has all of it anyway.

use serde_json::value::to_raw_value;

use super::json::Envelope;
use super::tree::Tree;
use super::{Bundle, html, text};
use crate::error::Error;
use crate::report::Report;

/// So many bytes each view may have, 232 KB together; front ends store JSON with blanks, which takes twice as much.
const TEXT: usize = 64_000;
const HTML: usize = 96_000;
const JSON: usize = 72_000;
/// So many lines, rows or shapes a part of a page has at first: none of them takes less than some fifty bytes.
const MOST: usize = 2048;

impl Bundle {
    /// The views of a report that stay in a notebook; the text is so many columns wide. What there is no room for is left
    /// out, and they say so.
    pub fn for_notebook(report: &Report, width: usize) -> Result<Self, Error> {
        let tree = Tree::of(report);
        let json = Envelope::within(report, JSON)?;
        let missing = json.left_out().get("rows").and_then(|rows| rows.as_u64());
        let missing = missing.map(|missing| missing as usize);
        Ok(Self {
            text: match report.as_json {
                true => serde_json::to_string_pretty(&Envelope::within(report, HTML / 2)?)?,
                false => some_text(report, &tree, width),
            },
            html: (!report.as_json && !report.is_markdown).then(|| page(report, &tree, missing)),
            markdown: Self::markdown(report),
            kind: Self::kind(report),
            json: to_raw_value(&json)?,
        })
    }
}

/// How to get what is left out.
const ELSEWHERE: &str = "the value has all of it (it is _, or bind it with --as NAME): \
                         .rows, .to_html(), .to_json(), .save(\"FILE\")";

/// The page, with as many lines in each of its parts as there is room for.
fn page(report: &Report, tree: &Tree<'_>, missing: Option<usize>) -> String {
    let words = |words: &str| format!("To keep the notebook small, {words}; {ELSEWHERE}.");
    let mut note = missing.map(|missing| {
        let (all, kept) = (report.rows.len(), report.rows.len() - missing);
        words(&format!("{kept} of {all} rows are stored in it"))
    });
    let shapes = report.chart.as_ref().map_or(0, |chart| chart.shapes.len());
    let some = || words("not all lines are stored in it");
    let mut most = MOST;
    while most > 0 {
        if shapes > most {
            note.get_or_insert_with(some);
        }
        let page = html::page(report, tree, most, note.as_deref());
        if page.len() <= HTML {
            return page;
        }
        note.get_or_insert_with(some);
        // As much less as there is too much, for most lines are about as long as others.
        most = (most * 9 / 10).min(most * HTML / page.len());
    }
    html::remark(&note.unwrap_or_default())
}

/// The text, as many lines of it as there is room for.
fn some_text(report: &Report, tree: &Tree<'_>, width: usize) -> String {
    let mut whole = text::page(report, tree, width);
    if whole.len() <= TEXT {
        return whole;
    }
    let end = whole.floor_char_boundary(TEXT);
    let end = whole[..end].rfind('\n').unwrap_or(end);
    let missing = whole[end..].trim_start().lines().count();
    whole.truncate(end);
    format!("{whole}\n... {missing} more lines; {ELSEWHERE}, print(repr(_))")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::drawing::{Area, Drawing, Ink};
    use crate::report::{Diagnosis, Severity, Table, rows};
    use crate::view::tree::tests::sample;

    fn bytes(bundle: &Bundle) -> usize {
        let html = bundle.html.as_ref().map_or(0, String::len);
        bundle.text.len() + html + bundle.json.get().len()
    }

    fn row(id: u64, parent: Option<u64>, text: &str) -> Value {
        json!({"id": id, "parent": parent, "func": text, "calls": id, "total_ns": 1_000_000 - id, "lib": "<&'\">"})
    }

    fn long() -> String {
        "a name <&> that is long ".repeat(40)
    }

    fn with(all: Vec<Value>) -> Report {
        Report {
            rows: rows(all).unwrap(),
            ..sample()
        }
    }

    fn flat() -> Vec<Value> {
        (0..20_000).map(|id| row(id, None, "f")).collect()
    }

    /// Reports that have too many rows, or too long ones.
    fn many_rows() -> Vec<Report> {
        let deep = (0..20_000).map(|id: u64| row(id, id.checked_sub(1), "f"));
        let wide = (0..900).map(|id| row(id, (id > 0).then_some(0), &long()));
        let table = Table {
            title: "more".into(),
            columns: sample().columns,
            rows: with(flat()).rows,
            shown: 5,
        };
        let all = |report| Report {
            shown: usize::MAX,
            ..report
        };
        let mut table_only = all(with(flat()));
        table_only.tree = false;
        let mut as_json = with(flat());
        as_json.as_json = true;
        let mut with_table = sample();
        with_table.tables = vec![table];
        vec![
            table_only,
            all(with(flat())),
            all(with(deep.collect())),
            with(wide.collect()),
            as_json,
            with_table,
        ]
    }

    fn picture() -> Drawing {
        let mut chart = Drawing::new(900.0, 900.0, "boxes");
        for place in 0..20_000 {
            let x = f64::from(place);
            let area = Area {
                x,
                y: 0.0,
                width: 1.0,
                height: 1.0,
            };
            chart.area(area, Ink::Text, 1.0, &long());
            chart.text((x, 0.0), &long(), Ink::Text);
            chart.line((x, 0.0), (x, 1.0), Ink::Text);
        }
        chart
    }

    /// Reports that have too much of something else.
    fn much_else() -> Vec<Report> {
        let finding = Diagnosis {
            code: "X001",
            severity: Severity::Info,
            title: "It is so.".into(),
            evidence: vec![long(); 5000],
            fix: "Change it.".into(),
        };
        let facts = json!({"stacks": vec![long(); 2000], "text": long().repeat(900), "n": 7});
        vec![
            Report {
                chart: Some(picture()),
                ..sample()
            },
            Report {
                listing: vec![long(); 2000],
                ..sample()
            },
            Report {
                diagnoses: vec![finding; 10],
                ..sample()
            },
            Report {
                summary: vec![long().repeat(900)],
                limits: vec![long(); 2000],
                ..sample()
            },
            Report {
                facts: crate::report::fields(facts).unwrap(),
                ..sample()
            },
        ]
    }

    #[test]
    fn no_report_takes_more_than_its_room_and_the_rest_is_told() {
        let large = [many_rows(), much_else()].concat();
        for (number, report) in large.iter().enumerate() {
            let bundle = Bundle::for_notebook(report, 100).unwrap();
            assert!(bytes(&bundle) < 256_000, "{number}: {}", bytes(&bundle));
            let html = bundle.html.clone().unwrap_or_default();
            let json: Value = serde_json::from_str(bundle.json.get()).unwrap();
            let is_told = [&bundle.text, &html]
                .iter()
                .any(|view| view.contains(".to_html()") || view.contains(" more</p>"));
            assert!(is_told || json.get("left_out").is_some(), "{number}");
            assert!(crate::view::whole(report).len() > bundle.json.get().len() / 2);
        }
    }

    #[test]
    fn of_a_tree_the_rows_that_took_longest_stay_with_those_above_them() {
        let light = (0..3000).map(|id| row(id, (id > 0).then_some(0), "light"));
        let mut all: Vec<Value> = light.collect();
        all.push(row(3000, Some(2999), "heavy"));
        for heavy in [2999, 3000] {
            all[heavy]["total_ns"] = json!(9_000_000);
        }
        let report = Report {
            rows: rows(all).unwrap(),
            ..sample()
        };
        let bundle = Bundle::for_notebook(&report, 100).unwrap();
        let json: Value = serde_json::from_str(bundle.json.get()).unwrap();
        let kept = json["rows"].as_array().unwrap();
        let parents: HashMap<_, _> = kept
            .iter()
            .map(|row| (row["id"].as_u64(), row["parent"].as_u64()))
            .collect();
        assert_eq!(parents[&Some(3000)], Some(2999));
        assert!(
            parents
                .values()
                .all(|parent| parent.is_none() || parents.contains_key(parent))
        );
        assert_eq!(
            kept.len() as u64 + json["left_out"]["rows"].as_u64().unwrap(),
            3001
        );
    }

    #[test]
    fn what_is_small_is_whole() {
        let report = sample();
        let (small, whole) = (
            Bundle::for_notebook(&report, 80).unwrap(),
            Bundle::of(&report, 80).unwrap(),
        );
        assert_eq!((small.text, small.html), (whole.text, whole.html));
        assert_eq!(small.json.get(), whole.json.get());
    }
}
