//! A report: rows, how to show them, and what is remarkable about them. It is a value; its pictures are in `view`.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::arrangement::{Arrangement, no_column};
use crate::bar::Bar;
use crate::column::{Column, Rows, Show};
use crate::drawing::Drawing;
use crate::error::Error;
use crate::pattern::regex;
use crate::row::Row;
use crate::row::keep_with_parents;

/// What holds for all rows, by name.
pub type Facts = Map<String, Value>;

/// How many rows are shown unless the user says otherwise.
const SHOWN: usize = 30;

/// What a magic answers.
#[derive(Debug, Default, Clone)]
pub struct Report {
    /// The name of the magic.
    pub name: &'static str,
    /// What stands before everything else, with what is remarkable and the picture behind it.
    pub answer: Option<Answer>,
    /// How to show the rows. Fields without a column are in JSON only.
    pub columns: &'static [Column],
    /// The fields that answer what was asked: their columns are the last that a narrow view gives up.
    pub wanted: &'static [&'static str],
    /// What the fields of the magic's first table mean, for columns that do not say it themselves.
    pub described: Option<&'static Rows>,
    /// Words that stand in this report, each with its explanation.
    pub words: Vec<(&'static str, &'static str)>,
    /// The answer itself.
    pub rows: Vec<Row>,
    /// Whether the rows are a tree: each has an `id`, the `parent`'s one, and comes after its parent.
    pub tree: bool,
    /// Further tables about the same.
    pub tables: Vec<Table>,
    /// How a whole divides.
    pub bars: Vec<Bar>,
    /// What holds for all rows: totals, pools, limits of the machine.
    pub facts: Facts,
    /// Lines that are no table: a tree, a stack, an assembly listing. They stand below the rows, as they are.
    pub listing: Vec<String>,
    /// Whether the lines draw what the picture shows, so that a view that has the picture needs no lines.
    pub draws_chart: bool,
    /// Whether they are Markdown, and the whole answer.
    pub is_markdown: bool,
    /// Whether diagnoses that only inform are folded into one line.
    pub folds_infos: bool,
    /// Lines that belong to a row, by the field of this name and its text: they become the listing of the rows that are shown.
    pub row_listings: Option<(&'static str, HashMap<String, Vec<String>>)>,
    /// A picture, for views that can show one.
    pub chart: Option<Drawing>,
    /// What has to be known before the rows are read: which part of a cell they cover.
    pub lead: Vec<String>,
    /// What the cell below the magic would take without it, as estimated.
    pub plain: Option<Duration>,
    /// The same in a sentence or two.
    pub summary: Vec<String>,
    /// What is remarkable.
    pub diagnoses: Vec<Diagnosis>,
    /// What could not be asked here, and why.
    pub limits: Vec<String>,
    /// How long the answer took.
    pub took: Duration,
    /// How many rows the views show.
    pub shown: usize,
    /// Whether the plain view is JSON.
    pub as_json: bool,
    /// Whether it is shown only if the user asks for it, since the cell has shown what it is about.
    pub quiet: bool,
    /// Where it was made, if it comes from a file.
    pub host: Option<Value>,
}

/// An answer in words, and a small table that shows where it comes from.
#[derive(Debug, Default, Clone)]
pub struct Answer {
    /// One or two sentences.
    pub sentences: Vec<String>,
    /// It is shown open.
    pub table: Option<Table>,
}

/// Rows beside those of the report, with columns of their own.
#[derive(Debug, Default, Clone)]
pub struct Table {
    /// What they are, in a line.
    pub title: String,
    /// How to show them.
    pub columns: &'static [Column],
    /// The rows.
    pub rows: Vec<Row>,
    /// How many of them the text shows.
    pub shown: usize,
}

/// How serious a diagnosis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Likely to cost time or memory.
    Warn,
    /// Likely to crash or to give wrong results.
    Error,
}

impl Severity {
    /// The word in front of the diagnosis.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Something remarkable, said only where it is sure.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnosis {
    /// Its name in the documentation.
    pub code: &'static str,
    /// How serious it is.
    pub severity: Severity,
    /// One sentence.
    pub title: String,
    /// The paths, addresses and counts that show it.
    pub evidence: Vec<String>,
    /// What to do about it.
    pub fix: String,
}

/// An address, written as hexadecimal text since numbers in JSON are not exact beyond 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub usize);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

/// Turns typed rows into fields.
pub fn rows<T: Serialize>(items: impl IntoIterator<Item = T>) -> Result<Vec<Row>, Error> {
    let rows = items.into_iter().map(Row::of);
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Turns a structure into facts.
pub fn fields<T: Serialize>(item: T) -> Result<Facts, Error> {
    match serde_json::to_value(item)? {
        Value::Object(fields) => Ok(fields),
        other => Ok(Map::from_iter([("value".to_owned(), other)])),
    }
}

impl Report {
    /// Filters, sorts and shortens as the user asked.
    pub fn arrange(&mut self, asked: &Arrangement) -> Result<(), Error> {
        if let Some(pattern) = &asked.filter {
            self.keep(&format!("%{}: --filter", self.name), pattern)?;
        }
        if asked.no_diag {
            self.diagnoses.clear();
        }
        if let Some(key) = &asked.sort {
            let column = self.column(key)?;
            self.rows.sort_by(|left, right| order(column, left, right));
        }
        match asked.top {
            Some(0) => self.shown = usize::MAX,
            Some(count) => {
                self.shown = count;
                // What is left out of a tree is said where it was.
                if !self.tree {
                    self.rows.truncate(count);
                }
            }
            None => self.shown = self.shown.max(SHOWN),
        }
        self.as_json = asked.json;
        if let Some((key, mut lines)) = self.row_listings.take() {
            let shown = self.rows.iter().take(self.shown);
            let own = shown.filter_map(|row| lines.remove(&text(row.get(key)?)));
            self.listing.extend(own.flatten());
        }
        Ok(())
    }

    /// Keeps the rows that match, and in a tree those above them; the asker is for messages.
    pub(crate) fn keep(&mut self, asker: &str, pattern: &str) -> Result<(), Error> {
        let pattern = regex(asker, pattern)?;
        let matches = |row: &Row| row.values().any(|value| pattern.is_match(&text(value)));
        match self.tree {
            true => keep_with_parents(&mut self.rows, matches),
            false => self.rows.retain(matches),
        }
        Ok(())
    }

    fn column(&self, key: &str) -> Result<&'static Column, Error> {
        let found = self
            .columns
            .iter()
            .find(|column| column.key == key || column.title == key);
        found.ok_or_else(|| no_column(&format!("%{}", self.name), key, self.columns.iter()))
    }
}

/// Large sizes and times first, names and addresses in their order, unknown values last.
fn order(column: &Column, left: &Row, right: &Row) -> Ordering {
    let value = |row: &Row| {
        row.get(column.key)
            .filter(|value| !value.is_null())
            .cloned()
    };
    let (Some(left), Some(right)) = (value(left), value(right)) else {
        return value(right).is_some().cmp(&value(left).is_some());
    };
    match column.show {
        Show::Bytes | Show::Change | Show::Time => number(&right).total_cmp(&number(&left)),
        Show::Number => number(&left).total_cmp(&number(&right)),
        Show::Address => address(&left).cmp(&address(&right)),
        _ => text(&left).cmp(&text(&right)),
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn address(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: &[Column] = &[
        Column::new("name", Show::Text, 0),
        Column::new("size", Show::Bytes, 1),
        Column::new("base", Show::Address, 2),
    ];

    fn names(asked: &Arrangement) -> Result<Vec<String>, Error> {
        let row = |name: &str, size: Value, base: usize| json!({"name": name, "size": size, "base": Address(base)});
        let all = [
            row("b", json!(5), 0x1000),
            row("A", Value::Null, 0x200),
            row("c", json!(70), 0x30),
        ];
        let mut report = Report {
            name: "probe",
            columns: COLUMNS,
            rows: rows(all)?,
            ..Report::default()
        };
        report.arrange(asked)?;
        Ok(report
            .rows
            .iter()
            .map(|row| {
                row.get("name")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect())
    }

    fn sorted(key: &str) -> Vec<String> {
        names(&Arrangement {
            sort: Some(key.into()),
            ..Arrangement::default()
        })
        .unwrap()
    }

    #[test]
    fn sorting_follows_the_kind_of_column() {
        assert_eq!(sorted("name"), ["A", "b", "c"]);
        assert_eq!(
            sorted("size"),
            ["c", "b", "A"],
            "the largest first, the unknown last"
        );
        assert_eq!(
            sorted("base"),
            ["c", "A", "b"],
            "addresses are numbers, not text"
        );
    }

    #[test]
    fn an_unknown_column_lists_the_known_ones() {
        let error = names(&Arrangement {
            sort: Some("sise".into()),
            ..Arrangement::default()
        })
        .unwrap_err();
        let expected =
            "%probe: --sort: no column \"sise\", did you mean size?; columns: name, size, base";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_filter_looks_at_every_field() {
        let filtered = |pattern: &str| {
            names(&Arrangement {
                filter: Some(pattern.into()),
                ..Arrangement::default()
            })
        };
        assert_eq!(filtered("^a$").unwrap(), ["A"]);
        assert_eq!(filtered("0x30|0x1000").unwrap(), ["b", "c"]);
        let error = filtered("(").unwrap_err().to_string();
        assert!(error.starts_with("%probe: --filter: \"(\" is no regular expression"));
    }

    #[test]
    fn top_keeps_the_first_rows() {
        assert_eq!(
            names(&Arrangement {
                top: Some(2),
                ..Arrangement::default()
            })
            .unwrap(),
            ["b", "A"]
        );
        assert_eq!(
            names(&Arrangement {
                top: Some(0),
                ..Arrangement::default()
            })
            .unwrap()
            .len(),
            3
        );
    }
}
