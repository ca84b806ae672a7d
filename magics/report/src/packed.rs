//! Rows in little room, for reports that wait to be looked at again: a value takes some bytes, and a text is there once.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Number, Value};

use crate::report::Report;
use crate::row::Row;

/// What a value begins with.
mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const NUMBER: u8 = 3;
    pub(super) const NEGATIVE: u8 = 4;
    pub(super) const FLOAT: u8 = 5;
    pub(super) const TEXT: u8 = 6;
    /// A list or an object, as JSON.
    pub(super) const JSON: u8 = 7;
}

/// A report whose rows are packed.
#[derive(Debug)]
pub struct PackedReport {
    /// All of it but the rows.
    head: Report,
    rows: PackedRows,
    /// Those of the further tables.
    tables: Vec<PackedRows>,
}

impl PackedReport {
    /// Packs a report.
    #[must_use]
    pub fn of(mut report: Report) -> Self {
        let pack = |rows: &mut Vec<Row>| PackedRows::of(&std::mem::take(rows));
        Self {
            rows: pack(&mut report.rows),
            tables: report
                .tables
                .iter_mut()
                .map(|table| pack(&mut table.rows))
                .collect(),
            head: report,
        }
    }

    /// All of it but the rows.
    #[must_use]
    pub fn head(&self) -> &Report {
        &self.head
    }

    /// The rows of the report itself.
    #[must_use]
    pub fn rows(&self) -> &PackedRows {
        &self.rows
    }

    /// The report as it was.
    #[must_use]
    pub fn unpacked(&self) -> Report {
        let mut report = self.head.clone();
        report.rows = self.rows.rows();
        for (table, rows) in report.tables.iter_mut().zip(&self.tables) {
            table.rows = rows.rows();
        }
        report
    }
}

/// Rows that were packed.
#[derive(Debug, Clone, Default)]
pub struct PackedRows {
    /// The names of the fields, once for all rows that have the same.
    shapes: Vec<Vec<Cow<'static, str>>>,
    texts: Vec<Box<str>>,
    /// For each row its shape and its values.
    bytes: Vec<u8>,
    count: usize,
}

impl PackedRows {
    /// Packs rows.
    #[must_use]
    pub fn of(rows: &[Row]) -> Self {
        let mut packed = Self::default();
        let mut texts = HashMap::new();
        for row in rows {
            let shape = packed.shape(row);
            packed.write(shape as u64);
            for value in row.values() {
                packed.value(value, &mut texts);
            }
            packed.count += 1;
        }
        packed.texts.shrink_to_fit();
        packed.bytes.shrink_to_fit();
        packed
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The rows as they were.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut reader = Reader {
            packed: self,
            at: 0,
        };
        (0..self.count).map(|_| reader.row()).collect()
    }

    /// The number of a row's shape. Neighbours have mostly the same.
    fn shape(&mut self, row: &Row) -> usize {
        let is_same = |shape: &Vec<Cow<'static, str>>| shape.iter().eq(row.names());
        self.shapes.iter().rposition(is_same).unwrap_or_else(|| {
            self.shapes.push(row.names().cloned().collect());
            self.shapes.len() - 1
        })
    }

    fn value<'a>(&mut self, value: &'a Value, texts: &mut HashMap<Cow<'a, str>, u64>) {
        match value {
            Value::Null => self.bytes.push(tag::NULL),
            Value::Bool(is_true) => {
                self.bytes
                    .push(if *is_true { tag::TRUE } else { tag::FALSE });
            }
            Value::Number(number) => self.number(number),
            Value::String(text) => self.text(tag::TEXT, Cow::Borrowed(text), texts),
            other => self.text(tag::JSON, Cow::Owned(other.to_string()), texts),
        }
    }

    fn number(&mut self, number: &Number) {
        if let Some(number) = number.as_u64() {
            self.bytes.push(tag::NUMBER);
            self.write(number);
        } else if let Some(number) = number.as_i64() {
            self.bytes.push(tag::NEGATIVE);
            self.write(number.unsigned_abs());
        } else {
            self.bytes.push(tag::FLOAT);
            let float = number.as_f64().unwrap_or(f64::NAN);
            self.bytes.extend(float.to_ne_bytes());
        }
    }

    fn text<'a>(&mut self, tag: u8, text: Cow<'a, str>, texts: &mut HashMap<Cow<'a, str>, u64>) {
        let number = match texts.get(&text) {
            Some(number) => *number,
            None => {
                let number = self.texts.len() as u64;
                self.texts.push(text.as_ref().into());
                texts.insert(text, number);
                number
            }
        };
        self.bytes.push(tag);
        self.write(number);
    }

    /// Seven bits a byte, the lowest first.
    fn write(&mut self, mut number: u64) {
        while number > 0x7f {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
}

/// Reads what `PackedRows` wrote.
struct Reader<'a> {
    packed: &'a PackedRows,
    at: usize,
}

impl Reader<'_> {
    fn row(&mut self) -> Row {
        let packed = self.packed;
        let names = &packed.shapes[self.number() as usize];
        Row::from_fields(
            names
                .iter()
                .map(|name| (name.clone(), self.value()))
                .collect(),
        )
    }

    fn value(&mut self) -> Value {
        match self.byte() {
            tag::FALSE => Value::Bool(false),
            tag::TRUE => Value::Bool(true),
            tag::NUMBER => self.number().into(),
            tag::NEGATIVE => 0_i64.wrapping_sub_unsigned(self.number()).into(),
            tag::FLOAT => {
                let bytes = std::array::from_fn(|_| self.byte());
                f64::from_ne_bytes(bytes).into()
            }
            tag::TEXT => Value::String(self.text().to_owned()),
            tag::JSON => serde_json::from_str(self.text()).unwrap_or_default(),
            _ => Value::Null,
        }
    }

    fn text(&mut self) -> &str {
        let number = self.number() as usize;
        &self.packed.texts[number]
    }

    fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    fn byte(&mut self) -> u8 {
        let byte = self.packed.bytes[self.at];
        self.at += 1;
        byte
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_come_back_as_they_were_in_a_fraction_of_the_room() {
        let row = |id: u64| {
            let value = json!({
                "id": id, "below": -5, "least": i64::MIN, "most": u64::MAX, "part": 0.1, "no": null,
                "yes": [true, false], "name": "a function", "other": {"a": [1, "x"]},
            });
            Row::of(value).unwrap()
        };
        let mut rows: Vec<Row> = (0..1000).map(row).collect();
        rows.insert(7, Row::of(json!({"id": 1})).unwrap());
        rows.push(Row::default());
        let packed = PackedRows::of(&rows);
        assert_eq!(packed.len(), rows.len());
        assert!(packed.bytes.len() < 64 * rows.len());
        assert_eq!(packed.texts.len(), 3);
        assert_eq!(packed.rows(), rows);
        assert!(PackedRows::of(&[]).rows().is_empty());
    }
}
