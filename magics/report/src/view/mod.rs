//! The pictures of a report: text, HTML and JSON. This file writes single values; the others lay them out.

mod bar;
pub mod blocks;
pub mod html;
mod html_table;
pub mod json;
pub mod live;
mod notebook;
pub mod svg;
pub mod text;
pub(crate) mod tree;

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use json::Envelope;

use crate::column::{Column, Show};
use crate::error::Error;
use crate::report::{Diagnosis, Report, Severity};
use crate::row::Row;

/// What stands for an unknown value.
const UNKNOWN: &str = "-";

/// A report by MIME type.
pub struct Bundle {
    /// As `text/plain`.
    pub text: String,
    /// As `text/html`, unless the user asked for JSON, or it is Markdown.
    pub html: Option<String>,
    /// As `text/markdown`, if it is.
    pub markdown: Option<String>,
    /// The MIME type of the report as JSON.
    pub kind: String,
    /// The report as JSON, under that type.
    pub json: Box<RawValue>,
}

impl Bundle {
    /// All views of a report, however large; the text is so many columns wide.
    pub fn of(report: &Report, width: usize) -> Result<Self, Error> {
        Ok(Self {
            text: plain(report, width),
            html: (!report.as_json && !report.is_markdown).then(|| html::report(report)),
            markdown: Self::markdown(report),
            kind: Self::kind(report),
            json: to_raw_value(&Envelope::of(report))?,
        })
    }

    fn markdown(report: &Report) -> Option<String> {
        (!report.as_json && report.is_markdown).then(|| report.listing.join("\n"))
    }

    fn kind(report: &Report) -> String {
        format!("application/vnd.diaphane.{}+json", report.name)
    }
}

impl Serialize for Bundle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bundle = serializer.serialize_map(None)?;
        bundle.serialize_entry("text/plain", &self.text)?;
        if let Some(html) = &self.html {
            bundle.serialize_entry("text/html", html)?;
        }
        if let Some(markdown) = &self.markdown {
            bundle.serialize_entry("text/markdown", markdown)?;
        }
        bundle.serialize_entry(&self.kind, &self.json)?;
        bundle.end()
    }
}

/// A remark of one line, which stays in the background, by MIME type.
pub fn line(text: &str) -> Map<String, Value> {
    let mut bundle = Map::new();
    bundle.insert("text/plain".into(), printable(text).into());
    bundle.insert("text/html".into(), html::remark(text).into());
    bundle
}

/// A report as text: a table, or JSON if the user asked for it.
pub fn plain(report: &Report, width: usize) -> String {
    if report.as_json {
        whole(report)
    } else {
        text::report(report, width)
    }
}

/// A report as JSON that people can read.
pub fn whole(report: &Report) -> String {
    let text = serde_json::to_string_pretty(&Envelope::of(report));
    text.unwrap_or_else(|error| {
        format!("diaphane bug: this report cannot be written as JSON: {error}")
    })
}

/// The diagnoses that are folded into one line, and those that are told.
fn told(report: &Report) -> (Vec<&Diagnosis>, Vec<&Diagnosis>) {
    let all = report.diagnoses.iter();
    all.partition(|one| report.folds_infos && one.severity == Severity::Info)
}

/// Diagnoses that call for nothing, by their codes.
fn in_one_line(diagnoses: &[&Diagnosis]) -> String {
    let mut codes: Vec<&str> = diagnoses.iter().map(|one| one.code).collect();
    codes.dedup();
    let codes = codes.join(", ");
    match diagnoses.len() {
        1 => format!("1 finding is good to know and calls for nothing: {codes}"),
        count => format!("{count} findings are good to know and call for nothing: {codes}"),
    }
}

/// The columns that have something to say in some row.
fn columns(all: &'static [Column], rows: &[Row]) -> Vec<&'static Column> {
    let has_value = |column: &Column| rows.iter().any(|row| !value(row, column.key).is_null());
    all.iter()
        .filter(|column| !column.optional || has_value(column))
        .collect()
}

/// Tables of so many rows say once what is the same in each of them.
const MANY: usize = 4;

/// Takes away the columns that say the same in each of many rows, and gives what they say, and the titles of those that
/// say nothing.
fn take_same(columns: &mut Vec<&'static Column>, rows: &[Row]) -> (Vec<String>, Vec<&'static str>) {
    let (mut same, mut empty) = (Vec::new(), Vec::new());
    let (Some(first), true) = (rows.first(), rows.len() >= MANY) else {
        return (same, empty);
    };
    columns.retain(|column| {
        let value = cell(first, column);
        let is_same = column.rank > 0 && rows.iter().all(|row| cell(row, column) == value);
        match value.as_str() {
            _ if !is_same => {}
            UNKNOWN => empty.push(column.title),
            value => same.push(format!("{} {value}", column.title)),
        }
        !is_same
    });
    (same, empty)
}

/// The place of a column among those that a narrow view gives up last.
fn rank(report: &Report, column: &Column) -> u8 {
    match report.wanted.contains(&column.key) {
        true => column.rank.min(1),
        false => column.rank,
    }
}

/// What a column means and how that is known, in a line.
fn about(report: &Report, column: &Column) -> Option<String> {
    let described = || report.described?.about(column.key);
    let (meaning, source) = column.about.or_else(described)?;
    Some(format!("{meaning} [{source}]"))
}

/// Takes away the least useful columns until the others fit, and gives those that were taken, the most useful first. Of
/// rank 0 none is taken.
fn leave_out<T>(kept: &mut Vec<T>, rank: impl Fn(&T) -> u8, fits: impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut left = Vec::new();
    while !fits(kept)
        && let Some(last) = (0..kept.len()).max_by_key(|&index| rank(&kept[index]))
        && rank(&kept[last]) > 0
    {
        left.push(kept.remove(last));
    }
    left.reverse();
    left
}

/// Takes from those columns that have most to spare until all fit; each has its width and the least that it needs.
fn shrink(columns: &mut [(usize, usize)], room: usize) {
    while columns.iter().map(|(width, _)| width).sum::<usize>() > room {
        let spare = |(width, least): &(usize, usize)| width.saturating_sub(*least);
        match columns.iter_mut().max_by_key(|column| spare(column)) {
            Some(column) if spare(column) > 0 => column.0 -= 1,
            _ => return,
        }
    }
}

/// The rows that are shown.
fn shown(report: &Report) -> &[Row] {
    first(&report.rows, report.shown)
}

/// So many items at most.
fn first<T>(items: &[T], most: usize) -> &[T] {
    &items[..items.len().min(most)]
}

/// What stands above the rows: what the cell took for this, and which part of it the rows cover.
fn lead(report: &Report) -> Vec<String> {
    let nanoseconds = |time: Duration| self::time(time.as_nanos() as f64);
    let cost = report.plain.map(|plain| {
        format!(
            "This took {}, with all that it took to record and to report; without, it takes about {} (estimated).",
            nanoseconds(report.took),
            nanoseconds(plain)
        )
    });
    cost.into_iter()
        .chain(report.lead.iter().cloned())
        .collect()
}

/// What is said about the rows that are not shown.
fn rest(report: &Report) -> Option<String> {
    if report.tree || report.columns.is_empty() {
        // A tree says at each place what is left out there.
        return None;
    }
    let hidden = report.rows.len() - shown(report).len();
    (hidden > 0).then(|| format!("and {hidden} more; --top 0 shows all"))
}

/// A field as people read it, on one line.
pub fn cell(row: &Row, column: &Column) -> String {
    let mut cell = write(value(row, column.key), column.show);
    if let Some(second) = column
        .with
        .map(|key| value(row, key))
        .filter(|second| !second.is_null())
    {
        cell = format!("{cell} {}", write(second, column.show));
    }
    cell
}

fn value<'a>(row: &'a Row, key: &str) -> &'a Value {
    row.get(key).unwrap_or(&Value::Null)
}

fn write(value: &Value, show: Show) -> String {
    match (show, value) {
        (_, Value::Null) => UNKNOWN.into(),
        (Show::Bytes, Value::Number(number)) => bytes(number.as_f64().unwrap_or(f64::NAN)),
        (Show::Change, Value::Number(number)) => change(number.as_f64().unwrap_or(f64::NAN)),
        (Show::Time, Value::Number(number)) => time(number.as_f64().unwrap_or(f64::NAN)),
        (Show::Tuple, Value::Array(items)) if items.len() == 1 => format!("({},)", items[0]),
        (Show::Tuple, Value::Array(items)) => format!("({})", join(items)),
        (_, Value::Array(items)) if items.is_empty() => UNKNOWN.into(),
        (_, Value::Array(items)) => join(items),
        (Show::Library | Show::Name, Value::String(text)) => printable(&without_tag(text)),
        (_, Value::String(text)) => printable(text),
        (_, Value::Bool(true)) => "yes".into(),
        (_, Value::Bool(false)) => "no".into(),
        (_, other) => other.to_string(),
    }
}

/// `_fblas.so` for `_fblas.cpython-311-x86_64-linux-gnu.so`: all modules of a Python have the same.
fn without_tag(name: &str) -> String {
    match name.split_once(".cpython-") {
        Some((stem, rest)) if rest.ends_with(".so") && !rest.contains(' ') => format!("{stem}.so"),
        _ => name.to_owned(),
    }
}

fn join(items: &[Value]) -> String {
    let words: Vec<String> = items.iter().map(|item| write(item, Show::Text)).collect();
    words.join(", ")
}

/// Control characters, which could move a terminal's cursor, are written as escapes.
fn printable(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    let mut printable = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            printable.extend(letter.escape_default())
        } else {
            printable.push(letter)
        }
    }
    printable
}

/// A number of bytes with its sign.
pub fn change(count: f64) -> String {
    let sign = match count {
        _ if count > 0.0 => "+",
        _ if count < 0.0 => "-",
        _ => "",
    };
    format!("{sign}{}", bytes(count.abs()))
}

/// Decimal units, as disks and NumPy's users count.
pub fn bytes(count: f64) -> String {
    scaled(count, 1000.0, &[" B", " kB", " MB", " GB", " TB"])
}

/// A time in the largest unit that leaves a number before the point.
pub fn time(nanoseconds: f64) -> String {
    scaled(nanoseconds, 1000.0, &[" ns", " us", " ms", " s"])
}

/// One digit behind the point, but none for the smallest unit.
fn scaled(mut number: f64, factor: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while number >= factor && unit + 1 < units.len() {
        number /= factor;
        unit += 1;
    }
    let digits = usize::from(unit > 0);
    format!("{number:.digits$}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_for_people() {
        assert_eq!(write(&json!(999), Show::Bytes), "999 B");
        assert_eq!(write(&json!(80_000_000), Show::Bytes), "80.0 MB");
        assert_eq!(write(&json!(-2_000), Show::Change), "-2.0 kB");
        assert_eq!(write(&json!(2_000), Show::Change), "+2.0 kB");
        assert_eq!(write(&json!(1_900_000_000u64), Show::Time), "1.9 s");
        assert_eq!(write(&json!(0), Show::Time), "0 ns");
        assert_eq!(write(&json!([3]), Show::Tuple), "(3,)");
        assert_eq!(write(&json!([3, -8]), Show::Tuple), "(3, -8)");
        assert_eq!(write(&json!([]), Show::Tuple), "()");
        assert_eq!(write(&json!([]), Show::List), "-");
        assert_eq!(write(&json!(["a", "b"]), Show::List), "a, b");
        assert_eq!(write(&json!("a\n\u{1b}[2J"), Show::Text), "a\\n\\u{1b}[2J");
        assert_eq!(write(&Value::Null, Show::Number), "-");
        let tagged = json!("_fblas.cpython-311-x86_64-linux-gnu.so");
        assert_eq!(write(&tagged, Show::Library), "_fblas.so");
        assert_eq!(write(&json!("libm.so.6"), Show::Library), "libm.so.6");
    }
}
