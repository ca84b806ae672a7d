//! The fields of `%diaphane`.

use diaphane_report::{Column, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(
    &[
        Rows::new(QUESTIONS, &[]),
        Rows::new(CODES, &[]).with("codes"),
    ],
    &[],
);

#[rustfmt::skip]
pub(super) const QUESTIONS: &[Column] = &[
    Column::new("question", Show::Text, 0).at_least(40).titled("you want to know").means("what people want to know", "the magic"),
    Column::new("ask", Show::Text, 0).at_least(23).means("the magic that answers it", "the magic"),
];

#[rustfmt::skip]
pub(super) const CODES: &[Column] = &[
    Column::new("code", Show::Text, 0).means("the name of a diagnosis", "docs/diagnoses"),
    Column::new("means", Show::Text, 0).at_least(40).means("what it says", "docs/diagnoses"),
];
