//! How often a cell can be sampled.

use crate::error::Error;

/// No more samples a second.
const FASTEST: u32 = 5000;

/// Refuses a rate that cannot be kept; the magic and its option are named.
pub(crate) fn check(magic: &str, option: &str, hz: u32) -> Result<(), Error> {
    if (1..=FASTEST).contains(&hz) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "%%{magic}: {option} takes 1 to {FASTEST} samples a second, not {hz}"
    )))
}
