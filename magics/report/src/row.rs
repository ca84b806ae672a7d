//! One line of a report: fields in a fixed order, the same in JSON and in Python.
//!
//! The names of the fields are the program's own, and are neither copied nor hashed: a report may have ten thousand rows.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::ser::{Error as _, Impossible, SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::{Error, Value, to_value};

/// Fields by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row(Vec<(Cow<'static, str>, Value)>);

impl Row {
    /// The fields of a structure.
    pub fn of<T: Serialize>(item: T) -> Result<Self, Error> {
        item.serialize(Collect)
    }

    /// A row of these fields.
    pub(crate) fn from_fields(fields: Vec<(Cow<'static, str>, Value)>) -> Self {
        Self(fields)
    }

    /// The names of all fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Cow<'static, str>> {
        self.0.iter().map(|(name, _)| name)
    }

    /// The same with one field more.
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((key.into(), value.into()));
        self
    }

    /// A field.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let mut fields = self.0.iter();
        fields.find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// A field that holds a whole number.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(Value::as_u64)
    }

    /// All fields.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().map(|(_, value)| value)
    }

    /// All fields with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Keeps the rows of a tree that match and those above them.
pub(crate) fn keep_with_parents(rows: &mut Vec<Row>, matches: impl Fn(&Row) -> bool) {
    let mut kept: Vec<bool> = rows.iter().map(matches).collect();
    let places: HashMap<Option<u64>, usize> = rows
        .iter()
        .enumerate()
        .map(|(place, row)| (row.number("id"), place))
        .collect();
    // Parents come first, so that going backwards passes the mark on to all of them.
    for place in (0..rows.len()).rev() {
        let parent = rows[place]
            .number("parent")
            .and_then(|id| places.get(&Some(id)));
        if let Some(&parent) = parent.filter(|_| kept[place]) {
            kept[parent] = true;
        }
    }
    let mut kept = kept.into_iter();
    rows.retain(|_| kept.next().unwrap_or_default());
}

/// Collects the fields of a structure or a map; nothing else can be a row.
struct Collect;

/// The row that grows, and the name of its next field.
struct Fields {
    row: Row,
    key: Cow<'static, str>,
}

impl Fields {
    fn new(len: usize) -> Self {
        Self {
            row: Row(Vec::with_capacity(len)),
            key: Cow::default(),
        }
    }
}

impl SerializeStruct for Fields {
    type Ok = Row;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.row.0.push((key.into(), to_value(value)?));
        Ok(())
    }

    fn end(self) -> Result<Row, Error> {
        Ok(self.row)
    }
}

impl SerializeMap for Fields {
    type Ok = Row;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        match to_value(key)? {
            Value::String(key) => self.key = key.into(),
            other => return Err(Error::custom(format!("{other} is no name of a field"))),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = std::mem::take(&mut self.key);
        self.row.0.push((key, to_value(value)?));
        Ok(())
    }

    fn end(self) -> Result<Row, Error> {
        Ok(self.row)
    }
}

type No = Impossible<Row, Error>;

/// Refuses what has no fields.
macro_rules! refuse {
    ($($name:ident($($what:ty),*) -> $result:ty;)*) => {
        $(fn $name(self, $(_: $what),*) -> Result<$result, Error> {
            Err(Error::custom("a row needs fields with names"))
        })*
    };
}

impl Serializer for Collect {
    type Ok = Row;
    type Error = Error;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = Fields;
    type SerializeStruct = Fields;
    type SerializeStructVariant = No;

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Fields, Error> {
        Ok(Fields::new(len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Fields, Error> {
        Ok(Fields::new(len.unwrap_or_default()))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, item: &T) -> Result<Row, Error> {
        item.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        item: &T,
    ) -> Result<Row, Error> {
        item.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        item: &T,
    ) -> Result<Row, Error> {
        item.serialize(self)
    }

    refuse! {
        serialize_bool(bool) -> Row;
        serialize_i8(i8) -> Row;
        serialize_i16(i16) -> Row;
        serialize_i32(i32) -> Row;
        serialize_i64(i64) -> Row;
        serialize_u8(u8) -> Row;
        serialize_u16(u16) -> Row;
        serialize_u32(u32) -> Row;
        serialize_u64(u64) -> Row;
        serialize_f32(f32) -> Row;
        serialize_f64(f64) -> Row;
        serialize_char(char) -> Row;
        serialize_str(&str) -> Row;
        serialize_bytes(&[u8]) -> Row;
        serialize_none() -> Row;
        serialize_unit() -> Row;
        serialize_unit_struct(&'static str) -> Row;
        serialize_unit_variant(&'static str, u32, &'static str) -> Row;
        serialize_seq(Option<usize>) -> No;
        serialize_tuple(usize) -> No;
        serialize_tuple_struct(&'static str, usize) -> No;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Inner {
        b: Option<u8>,
    }

    #[derive(Serialize)]
    struct Item {
        a: &'static str,
        #[serde(flatten)]
        inner: Inner,
        #[serde(skip)]
        _hidden: u8,
        list: Vec<u8>,
    }

    #[test]
    fn a_row_is_what_serde_json_makes_of_it() {
        let item = || Item {
            a: "x",
            inner: Inner { b: None },
            _hidden: 1,
            list: vec![1, 2],
        };
        let row = Row::of(item()).unwrap();
        assert_eq!(json!(row).to_string(), json!(item()).to_string());
        assert_eq!(Row::of(json!(item())).unwrap(), row);
        assert_eq!(row.get("b"), Some(&Value::Null));
        assert_eq!(row.with("c", 3).get("c"), Some(&json!(3)));
        assert!(Row::of(5).is_err() && Row::of([1]).is_err());
    }
}
