//! `%why_import`: why a library or an extension module could not be loaded, and what to do about it.
//!
//! The linker's message names one thing; the rest is found as the linker would: who needs it, which copy is loaded
//! already and by whom, and which files on this machine would do.

mod columns;
mod exception;
mod explain;
mod message;
mod places;

use std::path::Path;

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::error::Error;
use crate::libraries::inventory;
use crate::magic::{Context, Magic, Questions, User};
use diaphane_report::{Report, Schema, fields, rows};
use exception::Cause;
use explain::{Explanation, ImportSnapshot};
use places::Places;

/// Explain why an import or the loading of a library failed.
///
/// Without a name it is about the last exception; with one, about the exception that a variable of this name holds, or
/// about the module of this name, whose import is then tried again. Shown are what is missing, who needs it, the copy
/// that is loaded already, the files on this machine that might do, and what to do.
#[derive(Debug, clap::Args)]
pub(crate) struct WhyImportArgs {
    /// A module, or a variable that holds an exception
    #[arg(value_name = "MODULE")]
    name: Option<String>,
    /// The last exception, as without a name
    #[arg(long)]
    last: bool,
}

/// The magic.
pub(crate) struct WhyImport;

impl Magic for WhyImport {
    const NAME: &'static str = "why_import";
    const QUESTIONS: Questions = &[("Why does this import fail?", "")];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = WhyImportArgs;

    fn run(args: &WhyImportArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        let user = context.user()?;
        let name = args.name.as_deref().filter(|_| !args.last);
        let exception = exception::find(user, name)?;
        let Some(cause) = Cause::of(&exception) else {
            let class = exception.get_type().name()?.to_string();
            return Ok(Report {
                name: Self::NAME,
                columns: columns::COLUMNS,
                summary: vec![format!(
                    "this {class} does not come from loading a native library, so there is nothing to explain"
                )],
                ..Report::default()
            });
        };
        let explanation = explain(user, &cause)?;
        report(user, &cause, explanation)
    }
}

fn explain(user: User<'_, '_>, cause: &Cause) -> Result<Explanation, Error> {
    let near = cause.path.as_deref().unwrap_or(&cause.failure.file);
    let snapshot = ImportSnapshot {
        items: inventory::items(user.py)?,
        places: Places::of(user.py, Some(Path::new(near)))?,
        changes: places::changes(user.py)?,
        python: (user.py.version_info().major, user.py.version_info().minor),
    };
    Ok(user.py.detach(|| explain::explain(cause, &snapshot)))
}

fn report(user: User<'_, '_>, cause: &Cause, explanation: Explanation) -> Result<Report, Error> {
    let mut listing = Vec::new();
    for tried in &explanation.tried {
        listing.push(format!("tried {} ({})", tried.path, tried.rule));
    }
    for candidate in &explanation.candidates {
        listing.push(match &candidate.provides {
            Some(provides) => format!("here  {}: {provides}", candidate.path),
            None => format!("here  {}", candidate.path),
        });
    }
    let summary = explanation.sentences();
    Ok(Report {
        name: WhyImport::NAME,
        columns: columns::COLUMNS,
        listing,
        summary,
        facts: fields(json!({
            "message": cause.message,
            "module": cause.module,
            "env_diff": Value::Object(places::changes(user.py)?),
        }))?,
        rows: rows([explanation])?,
        ..Report::default()
    })
}

/// What to add below the traceback of an exception; `None` for one that no loader is behind.
pub(crate) fn note(
    user: User<'_, '_>,
    exception: &Bound<'_, PyBaseException>,
) -> Result<Option<String>, Error> {
    let Some(cause) = Cause::of(exception) else {
        return Ok(None);
    };
    let mut sentences = explain(user, &cause)?.sentences();
    sentences.push("%why_import shows more.".into());
    Ok(Some(sentences.join("\n")))
}
