//! Cells in Rust: how they are compiled, loaded, called and isolated. The magic above them is `magics::rust`.
//!
//! `export` makes values of variables, `client` has the compiler's process make a library of the cell, `library` loads it,
//! `guard` calls it, `results` makes variables of what it hands over, and `failure` exceptions of what went wrong.

pub(crate) mod client;
mod compiler_output;
pub(crate) mod export;
mod failure;
pub(crate) mod function;
mod guard;
mod isolated;
pub(crate) mod kept;
pub(crate) mod library;
mod progress;
mod redirect;
mod results;
pub(crate) mod run;
pub(crate) mod state;
pub(crate) mod taint;

use std::time::Instant;

use diaphane_rust_protocol::{Answer, Question};

use crate::error::Error;
use crate::magic::User;
use progress::Progress;

pub(crate) fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Asks the compiler, and gives its refusals the form of ours.
pub(crate) fn ask(user: User<'_, '_>, question: &Question) -> Result<Answer, Error> {
    let progress = match question {
        Question::Compile(cell) if cell.lines_above > 0 => Progress::of_cell(user.py)?,
        _ => Progress::hidden(),
    };
    match client::ask(user.py, question, progress)? {
        Answer::Refused { reason } => Err(Error::Usage(format!("%%rust: {reason}"))),
        Answer::Failed { report, summary } => Err(failure::raise(
            user.py,
            "RustCompileError",
            &summary,
            &report,
        )),
        answer => Ok(answer),
    }
}
