//! A column: which field of the rows it shows, how, what it means, and what happens where there is little room.

use serde::{Deserialize, Serialize};

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Show {
    /// Text, shortened at its end.
    Text,
    /// A name of a function or a module, or a few words that end with one: shortened in its middle, since the end says most.
    Name,
    /// A path, shortened at its start.
    Path,
    /// The name of a library, without the tag that says for which Python it is built.
    Library,
    /// A number as it is.
    Number,
    /// A number of bytes.
    Bytes,
    /// A number of bytes that was added or taken away.
    Change,
    /// Nanoseconds.
    Time,
    /// Hexadecimal.
    Address,
    /// Texts, joined by commas.
    List,
    /// Numbers in brackets, as Python writes a tuple.
    Tuple,
    /// Yes or no.
    Flag,
    /// Fields with names.
    Object,
    /// Objects, or what is as free as they are.
    Records,
}

/// A field that is in JSON and in Python only: of a row, or a fact of the whole report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub key: &'static str,
    /// What kind of value it has; every field may be null, where its value is not known or there is none.
    pub show: Show,
    /// What it means.
    pub meaning: &'static str,
    /// How it is known.
    pub source: &'static str,
}

impl Field {
    /// A field with all that is said about it.
    pub const fn new(
        key: &'static str,
        show: Show,
        meaning: &'static str,
        source: &'static str,
    ) -> Self {
        Self {
            key,
            show,
            meaning,
            source,
        }
    }
}

/// A field that the views show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The field.
    pub key: &'static str,
    /// A second field to write behind it.
    pub with: Option<&'static str>,
    /// The heading.
    pub title: &'static str,
    /// How it is written.
    pub show: Show,
    /// The place among the columns that a narrow view gives up last; 0 is never given up.
    pub rank: u8,
    /// Whether the column vanishes when no row has a value.
    pub optional: bool,
    /// Below so many letters, nobody could recognise the content.
    pub least: usize,
    /// What the field means, and how it is known. Nothing where the magic's first table has the same field.
    pub about: Option<(&'static str, &'static str)>,
}

impl Column {
    /// A column under its own name.
    pub const fn new(key: &'static str, show: Show, rank: u8) -> Self {
        let least = match show {
            Show::Text | Show::Name | Show::List | Show::Library => 12,
            Show::Path => 24,
            _ => usize::MAX,
        };
        Self {
            key,
            with: None,
            title: key,
            show,
            rank,
            optional: false,
            least,
            about: None,
        }
    }

    /// A column for a field that is described elsewhere.
    pub const fn of(field: Field, rank: u8) -> Self {
        Self::new(field.key, field.show, rank).means(field.meaning, field.source)
    }

    /// With the meaning of its field, and how it is known.
    pub const fn means(self, meaning: &'static str, source: &'static str) -> Self {
        Self {
            about: Some((meaning, source)),
            ..self
        }
    }

    /// Under another heading.
    pub const fn titled(self, title: &'static str) -> Self {
        Self { title, ..self }
    }

    /// With a second field behind it.
    pub const fn with(self, key: &'static str) -> Self {
        Self {
            with: Some(key),
            ..self
        }
    }

    /// Never shortened to fewer letters.
    pub const fn at_least(self, least: usize) -> Self {
        Self { least, ..self }
    }

    /// Hidden when it has nothing to say.
    pub const fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }
}

/// The fields of one kind of rows.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    /// The options by which a report has these rows; nothing for those that it has without any.
    pub with: &'static str,
    /// The fields that the views show.
    pub columns: &'static [Column],
    /// The other ones.
    pub fields: &'static [Field],
}

impl Rows {
    /// The rows that a report has without any option.
    pub const fn new(columns: &'static [Column], fields: &'static [Field]) -> Self {
        Self {
            with: "",
            columns,
            fields,
        }
    }

    /// With these options.
    pub const fn with(self, with: &'static str) -> Self {
        Self { with, ..self }
    }

    /// What the field of this name means, and how it is known.
    pub fn about(&self, key: &str) -> Option<(&'static str, &'static str)> {
        let shown = self.columns.iter().find(|one| one.key == key);
        let other = self.fields.iter().find(|one| one.key == key);
        let about = shown.and_then(|one| one.about);
        about.or(other.map(|one| (one.meaning, one.source)))
    }
}
