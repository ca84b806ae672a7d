//! What differs between two reports of one magic, row by row.
//!
//! Rows are the same if they have the same name: the first column, and in a tree the names of all rows above too.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::column::{Column, Show};
use crate::error::Error;
use crate::report::{Report, fields, rows};
use crate::row::Row;
use crate::stored::{known, lasting};
use crate::view::cell;

/// The field that says in which report a row is.
const IN: &str = "in";
const BOTH: &str = "both";
const HERE: &str = "this";
const THERE: &str = "other";

impl Report {
    /// The rows that are in one of the two only, or have other numbers.
    pub fn diff(&self, other: &Self) -> Result<Self, Error> {
        if self.name != other.name {
            return Err(Error::Usage(format!(
                "only reports of the same magic can be compared, not one of {} with one of {}",
                self.name, other.name
            )));
        }
        let compared: Vec<&Column> = self.columns.iter().skip(1).filter(is_amount).collect();
        let (own, others) = (self.named(), other.named());
        let there: HashMap<&Name, &Row> = others.iter().map(|(name, row)| (name, *row)).collect();
        let here: HashMap<&Name, &Row> = own.iter().map(|(name, row)| (name, *row)).collect();
        let mut found = Vec::new();
        for (name, row) in &own {
            let partner = there.get(name).copied();
            if partner.is_none_or(|partner| differ(&compared, row, partner)) {
                found.push(line(&name.0, &compared, Some(row), partner));
            }
        }
        for (name, row) in &others {
            if !here.contains_key(name) {
                found.push(line(&name.0, &compared, None, Some(row)));
            }
        }
        let count = |word: &str| found.iter().filter(|row| row[IN] == word).count();
        let (changed, only_here, only_there) = (count(BOTH), count(HERE), count(THERE));
        let same = own.len() - changed - only_here;
        Ok(Self {
            name: known(&format!("{}_diff", self.name.trim_end_matches("_diff"))),
            columns: self.columns_of_diff(&compared),
            summary: vec![format!(
                "{changed} rows differ, {only_here} are only in this report, {only_there} only in the other, {same} are the same"
            )],
            facts: fields(
                json!({"changed": changed, "only_this": only_here, "only_other": only_there, "same": same}),
            )?,
            rows: rows(found)?,
            shown: self.shown,
            ..Self::default()
        })
    }

    /// The rows that have a field which matches; in a tree also those above them.
    pub fn filtered(&self, pattern: &str) -> Result<Self, Error> {
        let mut kept = self.clone();
        kept.keep(&format!("%{}: filter", self.name), pattern)?;
        Ok(kept)
    }

    /// The rows by name; of several with one name each has its number.
    fn named(&self) -> Vec<(Name, &Row)> {
        let Some(first) = self.columns.first() else {
            return Vec::new();
        };
        let id = |row: &Row, key: &str| row.get(key).and_then(Value::as_u64);
        let mut paths: HashMap<u64, String> = HashMap::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut named = Vec::new();
        for row in &self.rows {
            let mut name = cell(row, first);
            if self.tree {
                let above = id(row, "parent").and_then(|parent| paths.get(&parent));
                name = above.map_or(name.clone(), |above| format!("{above} → {name}"));
                paths.extend(id(row, "id").map(|id| (id, name.clone())));
            }
            let number = seen.entry(name.clone()).or_default();
            named.push((Name(name, *number), row));
            *number += 1;
        }
        named
    }

    fn columns_of_diff(&self, compared: &[&Column]) -> &'static [Column] {
        let title = self.columns.first().map_or("name", |first| first.title);
        let show = if self.tree { Show::Path } else { Show::Text };
        let mut columns = vec![
            Column::new("name", show, 0).titled(title),
            Column::new(IN, Show::Text, 1).at_least(5),
        ];
        for (rank, column) in (2..).zip(compared) {
            let title = known(&format!("{} other", column.title));
            columns.push(Column { rank, ..**column });
            columns.push(
                Column {
                    rank,
                    ..Column::new(other_key(column), column.show, rank)
                }
                .titled(title),
            );
        }
        lasting(columns)
    }
}

/// A row's name, and its number among those with the same one.
#[derive(PartialEq, Eq, Hash)]
struct Name(String, usize);

fn is_amount(column: &&Column) -> bool {
    matches!(
        column.show,
        Show::Number | Show::Bytes | Show::Change | Show::Time
    )
}

fn other_key(column: &Column) -> &'static str {
    known(&format!("{}_other", column.key))
}

fn differ(compared: &[&Column], one: &Row, other: &Row) -> bool {
    let mut columns = compared.iter();
    columns.any(|column| one.get(column.key) != other.get(column.key))
}

fn line(name: &str, compared: &[&Column], here: Option<&Row>, there: Option<&Row>) -> Value {
    let place = match (here, there) {
        (Some(_), Some(_)) => BOTH,
        (Some(_), None) => HERE,
        _ => THERE,
    };
    let value = |row: Option<&Row>, key: &str| row.and_then(|row| row.get(key)).cloned();
    let mut line = json!({"name": name, IN: place});
    for column in compared {
        line[column.key] = json!(value(here, column.key));
        line[other_key(column)] = json!(value(there, column.key));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tree::tests::sample;

    #[test]
    fn a_report_does_not_differ_from_itself() {
        let diff = sample().diff(&sample()).unwrap();
        assert!(diff.rows.is_empty());
        assert_eq!(diff.facts["same"], 9);
    }

    #[test]
    fn rows_are_found_again_by_their_way() {
        let (one, mut other) = (sample(), sample());
        let last = other.rows.pop().unwrap();
        let changed =
            json!({"id": 8, "parent": 3, "func": "blas_memory_free", "calls": 2, "total_ns": 100});
        other.rows.extend(rows([changed]).unwrap());
        other.rows.extend(
            rows([json!({"id": 9, "parent": 0, "func": "new", "calls": 1, "total_ns": 5})])
                .unwrap(),
        );
        let diff = one.diff(&other).unwrap();
        let found: Vec<(&str, &str)> = diff
            .rows
            .iter()
            .map(|row| {
                (
                    row.get(IN).unwrap().as_str().unwrap(),
                    row.get("name").unwrap().as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(found.len(), 2);
        assert!(
            found[0].0 == BOTH
                && found[0]
                    .1
                    .ends_with("scipy_cblas_dgemm64_ → blas_memory_free")
        );
        assert_eq!(found[1], (THERE, "a @ b In[3]:2 → new"));
        assert_eq!(diff.rows[0].get("calls"), last.get("calls"));
        assert_eq!(diff.rows[0].get("calls_other"), Some(&json!(2)));
        let text = crate::view::text::report(&diff, 80);
        assert!(text.contains("1 rows differ"), "{text}");
    }

    #[test]
    fn reports_of_different_magics_are_refused() {
        let stranger = Report {
            name: "stranger",
            ..Report::default()
        };
        let error = sample().diff(&stranger).unwrap_err().to_string();
        assert!(error.contains("probe") && error.contains("stranger"));
    }
}
