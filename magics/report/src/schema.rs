//! What the reports of a magic hold: the fields of their rows and their facts, each with its meaning and its source. The
//! text behind `%name?`, the JSON schema and, from that, the tables of `docs/magics.md` are made from it.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::column::{Column, Field, Rows, Show};
use crate::view::json::SCHEMA;
use crate::view::text::wrap;

/// What the reports of a magic hold.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The kinds of rows. A column that says nothing about its field means what the field of that name means in the first.
    pub rows: &'static [Rows],
    /// What holds for all rows.
    pub facts: &'static [Field],
}

impl Schema {
    /// The forms that rows can have, and what holds for all of them.
    pub const fn new(rows: &'static [Rows], facts: &'static [Field]) -> Self {
        Self { rows, facts }
    }

    /// The fields of some rows, the shown ones first.
    pub fn fields(&self, rows: &Rows) -> Vec<Field> {
        let shown = rows.columns.iter().map(|column| self.described(column));
        shown.chain(rows.fields.iter().copied()).collect()
    }

    fn described(&self, column: &Column) -> Field {
        let first = self.rows.first();
        let same = first.and_then(|rows| rows.about(column.key));
        let (meaning, source) = column.about.or(same).unwrap_or_default();
        Field::new(column.key, column.show, meaning, source)
    }

    /// The fields as text, for `%name?`. What stood before is not repeated.
    pub fn help(&self, width: usize) -> String {
        let mut told = HashSet::new();
        let mut sections = Vec::new();
        let mut add = |title: String, fields: Vec<Field>| {
            let is_new = |field: &Field| told.insert((field.key, field.meaning));
            let new: Vec<Field> = fields.into_iter().filter(is_new).collect();
            if !new.is_empty() {
                sections.push(section(&title, &new, width));
            }
        };
        for rows in self.rows {
            let with = match rows.with {
                "" => String::new(),
                options => format!(" with {options}"),
            };
            let title = format!("Fields of a row{with}, and in brackets how each is known:");
            add(title, self.fields(rows));
        }
        add("Facts of the whole report:".into(), self.facts.to_vec());
        sections.join("\n\n")
    }

    /// The JSON schema of the reports of the magic of this name.
    pub fn json(&self, name: &str) -> Value {
        let rows = self.rows.iter().map(|rows| {
            let mut schema = object(&self.fields(rows));
            if !rows.with.is_empty() {
                schema["title"] = format!("with {}", rows.with).into();
            }
            schema
        });
        let rows = match rows.collect::<Vec<_>>() {
            rows if rows.is_empty() => json!({"type": "array", "maxItems": 0}),
            rows => json!({"type": "array", "items": {"anyOf": rows}}),
        };
        let text = json!({"type": "string"});
        let texts = json!({"type": "array", "items": text});
        let mut schema = object(self.facts);
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        schema["title"] = format!("application/vnd.diaphane.{name}+json").into();
        schema["required"] = json!(["schema_version", "name", "rows", "diagnoses", "limits"]);
        for (key, value) in [
            ("schema_version", json!({"const": SCHEMA})),
            ("name", json!({"const": name})),
            ("host", json!({"type": ["object", "null"]})),
            (
                "took_ns",
                json!({"type": ["integer", "null"], "x-unit": "ns"}),
            ),
            (
                "plain_ns",
                json!({"type": ["integer", "null"], "x-unit": "ns", "description":
                    "what the cell takes without the recording, as estimated"}),
            ),
            ("rows", rows),
            (
                "diagnoses",
                json!({"type": "array", "items": {
                    "type": "object",
                    "required": ["code", "severity", "title", "evidence", "fix"],
                    "properties": {"code": text, "severity": {"enum": ["info", "warn", "error"]}, "title": text,
                        "evidence": texts, "fix": text},
                }}),
            ),
            ("limits", texts.clone()),
            (
                "left_out",
                json!({"type": "object", "additionalProperties": {"type": "integer"}, "description":
                    "how many rows, and items of facts, are missing in a notebook's copy; the value has them"}),
            ),
        ] {
            schema["properties"][key] = value;
        }
        schema
    }
}

/// Fields in two columns of text.
fn section(title: &str, fields: &[Field], width: usize) -> String {
    let keys = fields.iter().map(|field| field.key.len());
    let indent = keys.max().unwrap_or_default() + 4;
    let mut lines = vec![title.to_owned()];
    for field in fields {
        let unit = unit(field.show).map_or_else(String::new, |unit| format!("{unit}: "));
        let text = format!("{unit}{} [{}]", field.meaning, field.source);
        let mut key = format!("  {}", field.key);
        for line in wrap(&text, "", width - indent) {
            lines.push(format!("{key:indent$}{line}"));
            key.clear();
        }
    }
    lines.join("\n")
}

/// The schema of an object with these fields.
fn object(fields: &[Field]) -> Value {
    let properties = fields.iter().map(|field| {
        let mut schema = kind(field.show);
        schema["description"] = field.meaning.into();
        schema["x-source"] = field.source.into();
        if let Some(unit) = unit(field.show) {
            schema["x-unit"] = unit.into();
        }
        (field.key.to_owned(), schema)
    });
    json!({"type": "object", "properties": properties.collect::<Map<_, _>>()})
}

/// Which JSON a value is; null stands for what is not known, or not there.
fn kind(show: Show) -> Value {
    match show {
        Show::Text | Show::Name | Show::Path | Show::Library => json!({"type": ["string", "null"]}),
        Show::Number => json!({"type": ["number", "null"]}),
        Show::Bytes | Show::Change | Show::Time => json!({"type": ["integer", "null"]}),
        Show::Address => json!({"type": ["string", "null"], "pattern": "^0x[0-9a-f]+$"}),
        Show::List => {
            json!({"type": ["array", "null"], "items": {"type": ["string", "number"]}})
        }
        Show::Tuple => json!({"type": ["array", "null"], "items": {"type": "integer"}}),
        Show::Flag => json!({"type": ["boolean", "null"]}),
        Show::Object => json!({"type": ["object", "null"]}),
        Show::Records => json!({"type": ["array", "null"], "items": {"type": "object"}}),
    }
}

/// What a value counts, or how it is written, where its JSON does not say it.
fn unit(show: Show) -> Option<&'static str> {
    match show {
        Show::Bytes => Some("bytes"),
        Show::Change => Some("change in bytes"),
        Show::Time => Some("ns"),
        Show::Address => Some("address"),
        Show::Flag => Some("true or false"),
        Show::List => Some("list"),
        Show::Tuple => Some("list of numbers"),
        Show::Object => Some("object"),
        Show::Records => Some("list of objects"),
        Show::Text | Show::Name | Show::Path | Show::Library | Show::Number => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema = Schema::new(
        &[
            Rows::new(
                &[Column::new("size", Show::Bytes, 0).means("how large it is", "the file")],
                &[Field::new(
                    "base",
                    Show::Address,
                    "where it begins",
                    "the linker",
                )],
            ),
            Rows::new(
                &[
                    Column::new("base", Show::Address, 0),
                    Column::new("size", Show::Bytes, 1),
                ],
                &[Field::new(
                    "depth",
                    Show::Number,
                    "how deep it lies",
                    "the tree",
                )],
            )
            .with("--tree"),
        ],
        &[Field::new("total", Show::Bytes, "the sum", "the rows")],
    );

    #[test]
    fn the_help_says_each_field_once() {
        let expected = "\
Fields of a row, and in brackets how each is known:
  size  bytes: how large it is [the file]
  base  address: where it begins [the
        linker]

Fields of a row with --tree, and in brackets how each is known:
  depth  how deep it lies [the tree]

Facts of the whole report:
  total  bytes: the sum [the rows]";
        assert_eq!(SCHEMA.help(42), expected);
    }

    #[test]
    fn the_schema_has_every_field_of_every_form() {
        let schema = SCHEMA.json("probe");
        assert_eq!(schema["title"], "application/vnd.diaphane.probe+json");
        assert_eq!(schema["properties"]["total"]["x-source"], "the rows");
        let tree = &schema["properties"]["rows"]["items"]["anyOf"][1];
        assert_eq!(tree["title"], "with --tree");
        let base = &tree["properties"]["base"];
        assert_eq!(
            (&base["description"], &base["x-unit"]),
            (&json!("where it begins"), &json!("address"))
        );
    }
}
