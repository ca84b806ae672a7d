//! A report in a file: its JSON, with what the views need besides.
//!
//! A file may come from anywhere: what it says is shown as text, and a picture, which is markup, is left out.

use std::collections::HashSet;
use std::time::Duration;

use diaphane_forks::ProcessLock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::bar::Bar;
use crate::column::{Column, Show};
use crate::error::Error;
use crate::report::{Answer, Diagnosis, Report, Severity, Table, rows};
use crate::row::Row;
use crate::view::json::{Envelope, SCHEMA};

/// The field with what is no part of the report's JSON.
const VIEW: &str = "view";

/// How a report is shown.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct View {
    sentences: Vec<String>,
    first_table: Option<StoredTable>,
    columns: Vec<StoredColumn>,
    tree: bool,
    tables: Vec<StoredTable>,
    bars: Vec<Bar>,
    listing: Vec<String>,
    lead: Vec<String>,
    summary: Vec<String>,
    shown: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct StoredColumn {
    key: String,
    with: Option<String>,
    title: String,
    show: Show,
    rank: u8,
    optional: bool,
    least: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct StoredTable {
    title: String,
    columns: Vec<StoredColumn>,
    rows: Vec<Map<String, Value>>,
    shown: usize,
}

#[derive(Deserialize)]
struct StoredDiagnosis {
    code: String,
    severity: Severity,
    title: String,
    evidence: Vec<String>,
    fix: String,
}

impl Report {
    /// The text of a file that [`Report::from_stored`] reads.
    pub fn to_stored(&self) -> Result<String, Error> {
        let mut stored = serde_json::to_value(Envelope::of(self))?;
        let answer = self.answer.clone().unwrap_or_default();
        stored[VIEW] = json!(View {
            sentences: answer.sentences,
            first_table: answer.table.as_ref().map(StoredTable::of),
            columns: stored_columns(self.columns),
            tree: self.tree,
            tables: self.tables.iter().map(StoredTable::of).collect(),
            bars: self.bars.clone(),
            listing: self.listing.clone(),
            lead: self.lead.clone(),
            summary: self.summary.clone(),
            shown: Some(self.shown),
        });
        Ok(serde_json::to_string(&stored)?)
    }

    /// The report in a file. The message says what is wrong with one that has none.
    pub fn from_stored(text: &str) -> Result<Self, String> {
        let Ok(Value::Object(mut fields)) = serde_json::from_str(text) else {
            return Err("this is no report: it is not a JSON object".into());
        };
        let version = fields.shift_remove("schema_version");
        if version != Some(json!(SCHEMA)) {
            return Err(format!(
                "this is no report of version {SCHEMA}: its schema_version is {}",
                version.unwrap_or_default()
            ));
        }
        // `to_json` does not say how it is shown.
        let view: Option<View> = take(&mut fields, VIEW)?;
        let view = view.unwrap_or_default();
        let diagnoses: Vec<StoredDiagnosis> = take(&mut fields, "diagnoses")?;
        let all: Vec<Map<String, Value>> = take(&mut fields, "rows")?;
        if view.tree && !is_tree(&all) {
            return Err("this is no report: a row comes before its parent, or twice".into());
        }
        let name: String = take(&mut fields, "name")?;
        let took: Option<u64> = take(&mut fields, "took_ns")?;
        let plain: Option<u64> = take(&mut fields, "plain_ns")?;
        Ok(Self {
            name: known(&name),
            answer: answer(view.sentences, view.first_table),
            took: Duration::from_nanos(took.unwrap_or_default()),
            plain: plain.map(Duration::from_nanos),
            limits: take(&mut fields, "limits")?,
            host: fields.shift_remove("host"),
            columns: columns(&view.columns),
            rows: rows(all).map_err(|error| error.to_string())?,
            tree: view.tree,
            tables: view.tables.into_iter().map(Table::from).collect(),
            bars: view.bars,
            listing: view.listing,
            lead: view.lead,
            summary: view.summary,
            shown: view.shown.unwrap_or(usize::MAX),
            diagnoses: diagnoses.into_iter().map(Diagnosis::from).collect(),
            // What is left is what this report says besides.
            facts: fields,
            ..Self::default()
        })
    }
}

/// The answer that a file has, if it has one.
fn answer(sentences: Vec<String>, table: Option<StoredTable>) -> Option<Answer> {
    let is_one = !sentences.is_empty() || table.is_some();
    is_one.then(|| Answer {
        sentences,
        table: table.map(Table::from),
    })
}

/// Whether each row has an id of its own, and a parent among the rows before it or none.
fn is_tree(rows: &[Map<String, Value>]) -> bool {
    let mut before = HashSet::new();
    rows.iter().all(|row| {
        let number = |key: &str| row.get(key).and_then(Value::as_u64);
        let has_parent = number("parent").is_none_or(|parent| before.contains(&parent));
        has_parent && number("id").is_some_and(|id| before.insert(id))
    })
}

fn take<T: for<'a> Deserialize<'a>>(
    fields: &mut Map<String, Value>,
    key: &str,
) -> Result<T, String> {
    // The order of the other fields stays.
    let value = fields.shift_remove(key).unwrap_or_default();
    serde_json::from_value(value)
        .map_err(|error| format!("this is no report: its {key:?} cannot be read: {error}"))
}

fn stored_columns(columns: &[Column]) -> Vec<StoredColumn> {
    let stored = |column: &Column| StoredColumn {
        key: column.key.into(),
        with: column.with.map(Into::into),
        title: column.title.into(),
        show: column.show,
        rank: column.rank,
        optional: column.optional,
        least: Some(column.least).filter(|least| *least != usize::MAX),
    };
    columns.iter().map(stored).collect()
}

/// Columns as the views want them, each set of them once.
fn columns(stored: &[StoredColumn]) -> &'static [Column] {
    let column = |stored: &StoredColumn| Column {
        key: known(&stored.key),
        with: stored.with.as_deref().map(known),
        title: known(&stored.title),
        show: stored.show,
        rank: stored.rank,
        optional: stored.optional,
        least: stored.least.unwrap_or(usize::MAX),
        about: None,
    };
    lasting(stored.iter().map(column).collect())
}

/// Columns that were put together while the program runs, each set of them once, so that asking again takes no memory.
pub(super) fn lasting(columns: Vec<Column>) -> &'static [Column] {
    static KNOWN: ProcessLock<Vec<&'static [Column]>> = ProcessLock::new(Vec::new);
    let mut all = KNOWN.lock();
    match all.iter().find(|same| **same == columns.as_slice()) {
        Some(same) => same,
        None => {
            let new: &'static [Column] = Box::leak(columns.into_boxed_slice());
            all.push(new);
            new
        }
    }
}

/// A name that lasts as long as the program, each once.
pub(super) fn known(name: &str) -> &'static str {
    static KNOWN: ProcessLock<Option<HashSet<&'static str>>> = ProcessLock::new(|| None);
    let mut all = KNOWN.lock();
    let all = all.get_or_insert_default();
    match all.get(name) {
        Some(same) => same,
        None => {
            let new: &'static str = Box::leak(name.into());
            all.insert(new);
            new
        }
    }
}

impl StoredTable {
    fn of(table: &Table) -> Self {
        let fields = |row: &Row| {
            let fields = row.iter();
            fields
                .map(|(key, value)| (key.to_owned(), value.clone()))
                .collect()
        };
        Self {
            title: table.title.clone(),
            columns: stored_columns(table.columns),
            rows: table.rows.iter().map(fields).collect(),
            shown: table.shown,
        }
    }
}

impl From<StoredTable> for Table {
    fn from(stored: StoredTable) -> Self {
        Self {
            title: stored.title,
            columns: columns(&stored.columns),
            rows: rows(stored.rows).unwrap_or_default(),
            shown: stored.shown,
        }
    }
}

impl From<StoredDiagnosis> for Diagnosis {
    fn from(stored: StoredDiagnosis) -> Self {
        let StoredDiagnosis {
            code,
            severity,
            title,
            evidence,
            fix,
        } = stored;
        Self {
            code: known(&code),
            severity,
            title,
            evidence,
            fix,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bar::Part;
    use crate::view::tree::tests::sample;

    fn whole() -> Report {
        Report {
            answer: Some(Answer {
                sentences: vec!["It is the loop.".into()],
                table: Some(Table {
                    title: "by line".into(),
                    columns: sample().columns,
                    rows: sample().rows,
                    shown: 2,
                }),
            }),
            bars: vec![Bar {
                title: "time".into(),
                parts: vec![Part {
                    name: "BLAS".into(),
                    words: "2 us".into(),
                    amount: 2.0,
                }],
            }],
            tables: vec![Table {
                title: "by library".into(),
                columns: sample().columns,
                rows: sample().rows,
                shown: 3,
            }],
            diagnoses: vec![Diagnosis {
                code: "X001",
                severity: Severity::Warn,
                title: "It is so.".into(),
                evidence: vec!["here".into()],
                fix: "Change it.".into(),
            }],
            limits: vec!["not all".into()],
            lead: vec!["half of it".into()],
            plain: Some(Duration::from_nanos(5)),
            summary: vec!["done".into()],
            facts: Map::from_iter(["total", "a", "b"].map(|key| (key.to_owned(), json!(5)))),
            took: Duration::from_nanos(7),
            ..sample()
        }
    }

    #[test]
    fn a_report_is_the_same_after_a_file() {
        let report = whole();
        let again = Report::from_stored(&report.to_stored().unwrap()).unwrap();
        for width in [80, 100] {
            let text = |report| crate::view::text::report(report, width);
            assert_eq!(text(&again), text(&report));
        }
        assert_eq!(crate::view::whole(&again), crate::view::whole(&report));
        let third = Report::from_stored(&again.to_stored().unwrap()).unwrap();
        assert!(
            std::ptr::eq(again.columns, third.columns),
            "columns are kept once"
        );
    }

    #[test]
    fn what_is_no_report_is_refused_in_a_line() {
        let refused = |text: &str| Report::from_stored(text).unwrap_err();
        assert!(refused("[1]").contains("not a JSON object"));
        assert!(refused("{}").contains("schema_version is null"));
        let broken = r#"{"schema_version": 1, "view": {}, "diagnoses": 5}"#;
        assert!(refused(broken).contains("\"diagnoses\" cannot be read"));
        let circle = r#"{"schema_version": 1, "name": "x", "view": {"tree": true}, "diagnoses": [], "rows": [{"id": 1, "parent": 1}]}"#;
        assert!(refused(circle).contains("before its parent"));
    }
}
