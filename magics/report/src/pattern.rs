//! Regular expressions that users give.

use regex::{Regex, RegexBuilder};

use crate::error::Error;

/// A regular expression that ignores case, or a message that names the one who asked.
pub fn regex(asker: &str, pattern: &str) -> Result<Regex, Error> {
    RegexBuilder::new(pattern)
        .case_insensitive(true)
        .build()
        .map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            Error::Usage(format!(
                "{asker}: {pattern:?} is no regular expression: {reason}"
            ))
        })
}
