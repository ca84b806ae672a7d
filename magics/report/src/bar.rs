//! How a whole divides into parts. How a bar is drawn is known in `view`.

use serde::{Deserialize, Serialize};

/// A whole and its parts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Bar {
    /// What is divided.
    pub title: String,
    /// The parts: a name, what it is in words, and its amount.
    pub parts: Vec<Part>,
}

/// A part of a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its amount in words.
    pub words: String,
    /// Its amount.
    pub amount: f64,
}

impl Bar {
    pub(crate) fn whole(&self) -> f64 {
        self.parts.iter().map(|part| part.amount).sum()
    }

    pub(crate) fn percent(&self, part: &Part) -> f64 {
        100.0 * part.amount / self.whole()
    }
}
