//! Many processes at once: by what each of them is compared with the others, and the workers of a cluster.

use pyo3::prelude::*;
use serde_json::Value;

use crate::error::Error;
use crate::magic::Context;
use diaphane_report::{Facts, Report};

/// How a process is set up, as far as a report of one of the checks tells.
pub(super) fn settings(report: &Report) -> Facts {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    match report.name {
        "threads" => {
            let kept = ["cpus", "pools"].into_iter();
            kept.filter_map(|key| Some((key.to_owned(), report.facts.get(key)?.clone())))
                .collect()
        }
        "loaded_libs" => {
            let packages = report.rows.iter().filter_map(|row| {
                Some((
                    text(row.get("package"))?,
                    row.get("package_version")?.clone(),
                ))
            });
            Facts::from_iter([("packages".to_owned(), packages.collect::<Facts>().into())])
        }
        _ => Facts::new(),
    }
}

/// Asks the workers of a client, which is known by the name of its variable.
pub(super) fn doctor(name: &str, context: &Context<'_, '_>) -> Result<Report, Error> {
    let user = context.user.ok_or(Error::NeedsPython)?;
    let client = user.variable(name)?.ok_or_else(|| {
        Error::Usage(format!(
            "%native_doctor: --workers: there is no variable {name:?}; name the client of a cluster"
        ))
    })?;
    let module = user.py.import("diaphane.dask").map_err(|error| {
        Error::Usage(format!(
            "%native_doctor: --workers needs the package distributed: {error}"
        ))
    })?;
    let merged = module.call_method1("doctor", (client,))?;
    // It comes as it goes to another process.
    let (_, (stored,)): (Bound<'_, PyAny>, (String,)) =
        merged.call_method0("__reduce__")?.extract()?;
    Report::from_stored(&stored).map_err(Error::Usage)
}
