//! Why a report could not be made or arranged. The words are for the person who asked.

/// Why a report could not be made or arranged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was asked for cannot be understood; the message says what would be.
    #[error("{0}")]
    Usage(String),
    /// A row has no form in JSON.
    #[error("diaphane bug: a row cannot be written as JSON: {0}")]
    Row(#[from] serde_json::Error),
}
