//! The fields of `%native_doctor`. The views show the diagnoses in full, without a table.

use diaphane_report::{Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(&[], FIELDS)], FACTS);

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("code", Show::Text, "the diagnosis's name in the documentation, as T001", "the magic"),
    Field::new("severity", Show::Text, "error (likely to crash or to give wrong results), warn (likely to cost time or memory), info", "the magic"),
    Field::new("title", Show::Text, "what is remarkable, in a sentence", "the magic"),
    Field::new("evidence", Show::List, "the paths, addresses and counts that show it", "the magic's rows"),
    Field::new("fix", Show::Text, "what to do", "the magic"),
    Field::new("found_by", Show::Text, "the magic that made it", "diaphane"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("checks", Show::List, "the magics that were asked", "diaphane"),
    Field::new("cpus", Show::Object, "as the fact of %threads", "%threads"),
    Field::new("pools", Show::Records, "as the fact of %threads", "%threads"),
    Field::new("packages", Show::Object, "the packages that have libraries here, each with its version", "%loaded_libs"),
];
