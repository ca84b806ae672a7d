//! The envelope around the rows of a report. The order of its fields is fixed, so that two reports can be compared.
//!
//! It has all of the report, or as much as fits into a number of bytes: then `left_out` says how much is missing of what.

use std::borrow::Cow;
use std::collections::BTreeSet;

use diaphane_forks::ForkOnce;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::tree::HeaviestRows;
use crate::error::Error;
use crate::report::{Diagnosis, Facts, Report};
use crate::row::Row;

/// The version of this form.
pub const SCHEMA: u32 = 1;
/// Where there is little room, a diagnosis has no more lines of evidence.
const EVIDENCE: usize = 20;
/// No row takes less.
const LEAST: usize = 16;

static HOST: ForkOnce<Value> = ForkOnce::new();

/// Says where reports are made: the machine and its Python. It is asked for once, since the GIL may be elsewhere later.
pub fn set_host(host: Value) {
    HOST.get_or_init(|| host);
}

/// A report, to be written.
pub struct Envelope<'a> {
    report: &'a Report,
    rows: Vec<&'a Row>,
    facts: Cow<'a, Facts>,
    diagnoses: Value,
    limits: Value,
    /// How many items are missing: of the rows, and of facts by their names.
    left_out: Facts,
}

impl<'a> Envelope<'a> {
    /// The whole report.
    pub fn of(report: &'a Report) -> Self {
        Self {
            report,
            rows: report.rows.iter().collect(),
            facts: Cow::Borrowed(&report.facts),
            diagnoses: json!(report.diagnoses),
            limits: json!(report.limits),
            left_out: Facts::new(),
        }
    }

    /// As much of it as there is room for: of a tree the rows that took longest, else the first ones.
    pub(super) fn within(report: &'a Report, room: usize) -> Result<Self, Error> {
        let mut envelope = Self::of(report);
        // No row takes less than some bytes, so that many of them need not be written to be counted.
        if report.rows.len() < room / LEAST && size(&envelope)? <= room {
            return Ok(envelope);
        }
        envelope.rows.clear();
        let mut part = room / 2;
        while size(&envelope)? > room / 2 && part > 0 {
            part /= 2;
            envelope.shorten(part)?;
        }
        let left = room.saturating_sub(size(&envelope)?);
        envelope.rows = some_rows(report, left)?;
        let missing = report.rows.len() - envelope.rows.len();
        if missing > 0 {
            envelope.left_out.insert("rows".into(), missing.into());
        }
        Ok(envelope)
    }

    /// What is missing.
    pub(super) fn left_out(&self) -> &Facts {
        &self.left_out
    }

    /// Leaves no fact, nor all that is remarkable or limited, larger than so many bytes.
    fn shorten(&mut self, room: usize) -> Result<(), Error> {
        self.left_out.clear();
        let mut short = |key: &str, value: &Value| {
            let (kept, missing) = head(value, room)?;
            if missing > 0 {
                self.left_out.insert(key.to_owned(), missing.into());
            }
            Ok::<Value, Error>(kept)
        };
        let mut facts = Facts::new();
        for (key, value) in &self.report.facts {
            facts.insert(key.clone(), short(key, value)?);
        }
        self.facts = Cow::Owned(facts);
        let few = |one: &Diagnosis| Diagnosis {
            evidence: one.evidence.iter().take(EVIDENCE).cloned().collect(),
            ..one.clone()
        };
        let few: Vec<Diagnosis> = self.report.diagnoses.iter().map(few).collect();
        self.diagnoses = short("diagnoses", &json!(few))?;
        self.limits = short("limits", &json!(self.report.limits))?;
        Ok(())
    }
}

impl Serialize for Envelope<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.report;
        let host = report.host.clone().unwrap_or_else(here);
        let took = u64::try_from(report.took.as_nanos()).ok();
        let mut envelope = serializer.serialize_map(None)?;
        envelope.serialize_entry("schema_version", &SCHEMA)?;
        envelope.serialize_entry("name", report.name)?;
        envelope.serialize_entry("host", &host)?;
        envelope.serialize_entry("took_ns", &took)?;
        if let Some(plain) = report.plain {
            envelope.serialize_entry("plain_ns", &u64::try_from(plain.as_nanos()).ok())?;
        }
        for (key, value) in self.facts.iter() {
            envelope.serialize_entry(key, value)?;
        }
        envelope.serialize_entry("rows", &self.rows)?;
        envelope.serialize_entry("diagnoses", &self.diagnoses)?;
        envelope.serialize_entry("limits", &self.limits)?;
        if !self.left_out.is_empty() {
            envelope.serialize_entry("left_out", &self.left_out)?;
        }
        envelope.end()
    }
}

/// The rows that there is room for, in their order.
fn some_rows(report: &Report, room: usize) -> Result<Vec<&Row>, Error> {
    let mut left = room;
    let mut fits = |row: &Row| {
        // Each has a comma behind it.
        let needed = size(row)? + 1;
        let fits = needed <= left;
        left = left.saturating_sub(needed);
        Ok::<bool, Error>(fits)
    };
    let mut kept = BTreeSet::new();
    if report.tree {
        let mut open = HeaviestRows::of(report);
        while let Some(place) = open.next()
            && fits(&report.rows[place])?
        {
            kept.insert(place);
        }
    } else {
        for (place, row) in report.rows.iter().enumerate() {
            if !fits(row)? {
                break;
            }
            kept.insert(place);
        }
    }
    Ok(kept.into_iter().map(|place| &report.rows[place]).collect())
}

/// The first part of a value, and how many items, fields or letters are left out.
fn head(value: &Value, room: usize) -> Result<(Value, usize), Error> {
    if size(value)? <= room {
        return Ok((value.clone(), 0));
    }
    let mut used = 2;
    let mut fits = |more: usize| {
        used += more + 1;
        used <= room
    };
    Ok(match value {
        Value::Array(items) => {
            let mut kept = Vec::new();
            for item in items {
                if !fits(size(item)?) {
                    break;
                }
                kept.push(item.clone());
            }
            let missing = items.len() - kept.len();
            (Value::Array(kept), missing)
        }
        Value::Object(fields) => {
            let mut kept = Map::new();
            for (key, field) in fields {
                if !fits(key.len() + size(field)? + 3) {
                    break;
                }
                kept.insert(key.clone(), field.clone());
            }
            let missing = fields.len() - kept.len();
            (Value::Object(kept), missing)
        }
        Value::String(text) => {
            let kept: String = text.chars().take(room / 8).collect();
            let missing = text.chars().count() - kept.chars().count();
            (Value::String(kept), missing)
        }
        other => (other.clone(), 0),
    })
}

/// How many bytes a value takes as JSON.
fn size(value: &impl Serialize) -> Result<usize, Error> {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value)?;
    Ok(count.0)
}

/// The machine and the Python of this process, null where nobody said.
fn here() -> Value {
    HOST.get().cloned().unwrap_or_default()
}

/// The diagnoses alone.
pub fn diagnoses(report: &Report) -> Value {
    json!(report.diagnoses)
}
