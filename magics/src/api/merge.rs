//! Reports of many processes as one: of values and texts for Python, and of files for the command line.

use std::fs;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::api::report::PyReport;
use crate::error::Error;
use crate::registry::ALL;
use diaphane_report::{Merger, Report, view};
use diaphane_sight::files;

/// How wide the text is.
const WIDTH: usize = 100;

/// Reports on their way to one: those of live values, and of texts of JSON.
#[pyclass(frozen, name = "Merger", module = "diaphane._diaphane")]
pub(crate) struct PyMerger(Mutex<Merger>);

#[pymethods]
impl PyMerger {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// Adds a worker with its report.
    fn add(&self, worker: &str, report: &PyReport) {
        self.0.lock().add(worker, Ok(&report.whole()));
    }

    /// Adds a worker with the JSON of its report; what is no report is the reason why it has none.
    fn add_json(&self, py: Python<'_>, worker: &str, text: &str) {
        py.detach(|| {
            let report = read(text);
            let report = report.as_ref().map_err(String::as_str);
            self.0.lock().add(worker, report);
        });
    }

    /// Adds a worker without a report.
    fn add_silent(&self, worker: &str, why: &str) {
        self.0.lock().add(worker, Err(why));
    }

    /// The one report of all; the next one begins anew.
    fn finish(&self, py: Python<'_>) -> PyResult<PyReport> {
        let merger = std::mem::take(&mut *self.0.lock());
        let merged = py.detach(|| merger.finish());
        merged
            .map(PyReport::new)
            .map_err(|error| Error::from(error).into_plain_exception())
    }
}

/// The report in a text, which need not say how it is shown.
fn read(text: &str) -> Result<Report, String> {
    let mut report = Report::from_stored(text)?;
    if let Some(magic) = ALL.iter().find(|magic| magic.name == report.name) {
        report.dress(magic.schema);
    }
    Ok(report)
}

/// What `diaphane merge` is asked.
#[derive(Debug, clap::Args)]
pub struct MergeArgs {
    /// The files, each with the report of one worker as JSON; a worker is called as its file
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Show the merged report as JSON
    #[arg(long)]
    json: bool,
    /// Write it as an HTML page too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Merges the reports in files, as text.
///
/// # Errors
/// Where no file has a report, or the page cannot be written; a file that cannot be read beside others is told in the
/// report.
pub fn merge_files(args: &MergeArgs) -> Result<String, String> {
    let mut merger = Merger::default();
    let mut refused = Vec::new();
    for file in &args.files {
        let report = read_file(file);
        refused.extend(
            report
                .as_ref()
                .err()
                .map(|why| format!("{}: {why}", file.display())),
        );
        merger.add(
            &name(file, &args.files),
            report.as_ref().map_err(String::as_str),
        );
    }
    if refused.len() == args.files.len() {
        return Err(format!("no file has a report: {}", refused.join("; ")));
    }
    let mut report = merger.finish().map_err(|error| error.to_string())?;
    report.as_json = args.json;
    if let Some(path) = &args.html {
        let page = view::html::document(&report);
        fs::write(path, page).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(view::plain(&report, WIDTH))
}

fn read_file(file: &Path) -> Result<Report, String> {
    let text = files::head(file, u64::MAX).map_err(|error| error.to_string())?;
    read(&String::from_utf8_lossy(&text))
}

/// The file's name, and its folder where another one is called the same.
fn name(file: &Path, all: &[PathBuf]) -> String {
    let stem = |file: &Path| file.file_stem().map(std::ffi::OsStr::to_os_string);
    let is_alone = all.iter().filter(|one| stem(one) == stem(file)).count() == 1;
    match stem(file).filter(|_| is_alone) {
        Some(stem) => stem.to_string_lossy().into_owned(),
        None => file.display().to_string(),
    }
}
