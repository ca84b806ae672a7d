//! What the user asks to do with the rows of a report, whatever they are.

use crate::column::Column;
use crate::error::Error;
use crate::pattern::regex;
use crate::spelling::did_you_mean;

/// What the user asked to do with the rows.
#[derive(Debug, Default, Clone)]
pub struct Arrangement {
    /// A regular expression: the rows in which some field matches are kept.
    pub filter: Option<String>,
    /// The column to sort by.
    pub sort: Option<String>,
    /// How many rows to keep; 0 shows all of them.
    pub top: Option<usize>,
    /// Whether the plain view is JSON.
    pub json: bool,
    /// Whether diagnoses are left out.
    pub no_diag: bool,
}

impl Arrangement {
    /// Whether a report that may have these columns can be arranged so, as far as that is known before it is made.
    pub fn check(
        &self,
        asker: &str,
        columns: impl Iterator<Item = &'static Column> + Clone,
    ) -> Result<(), Error> {
        if let Some(pattern) = &self.filter {
            regex(&format!("{asker}: --filter"), pattern)?;
        }
        let Some(key) = &self.sort else {
            return Ok(());
        };
        let mut all = columns.clone();
        match all.any(|column| column.key == key || column.title == key) {
            true => Ok(()),
            false => Err(no_column(asker, key, columns)),
        }
    }
}

/// That there is no such column, and which one may be meant.
pub(crate) fn no_column<'a>(
    asker: &str,
    key: &str,
    columns: impl Iterator<Item = &'a Column>,
) -> Error {
    let mut keys: Vec<&str> = Vec::new();
    for column in columns {
        if !keys.contains(&column.key) {
            keys.push(column.key);
        }
    }
    let meant = did_you_mean(key, keys.iter().copied());
    Error::Usage(format!(
        "{asker}: --sort: no column {key:?}{meant}; columns: {}",
        keys.join(", ")
    ))
}
