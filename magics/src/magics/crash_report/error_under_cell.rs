//! The process that is started by one that crashes: it looks at that, writes the report to a file, and says on its
//! standard output what the user is to be told.

use std::path::{Path, PathBuf};

use diaphane_sight::crash::black_box;
use diaphane_sight::crash::black_box::BlackBox;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::{Map, Value, json};

use super::crashed::{CrashedCell, KernelCrash, cell_of, read};
use super::{files, rows};
use crate::error::Error;
use crate::python::host;
use diaphane_report::view::Bundle;
use diaphane_report::{Address, Report, fields};

/// So many seconds of a CPU are enough for any process.
const MOST_SECONDS: u64 = 10;
/// How wide the text is.
const WIDTH: usize = 100;
/// The name of the error that the user sees.
pub(super) const NAME: &str = "KernelCrash";

/// Which process is asked about, and where its report is kept.
#[derive(Debug, clap::Args)]
pub struct CrashedProcess {
    /// The file of the black box
    black_box: PathBuf,
    /// The process
    pid: i32,
    /// Its descriptor of the black box
    descriptor: i32,
    /// Say it as text, for a terminal
    #[arg(long)]
    text: bool,
}

/// Says why a process dies, as one line of JSON, or as text. Where little can be known of it, it says little.
#[must_use]
pub fn tell_of_crash(args: &CrashedProcess) -> String {
    // The other process waits, so that this one must not compute for ever.
    let limit = Rlimit {
        current: Some(MOST_SECONDS),
        maximum: Some(MOST_SECONDS),
    };
    let _as_before = setrlimit(Resource::Cpu, limit);
    let said = |error: Error| match args.text {
        true => format!("diaphane: {error}"),
        false => json!({"error": error.to_string()}).to_string(),
    };
    told(args).unwrap_or_else(said)
}

fn told(args: &CrashedProcess) -> Result<String, Error> {
    let shared = format!("/proc/{}/fd/{}", args.pid, args.descriptor);
    let black_box = black_box::open(Path::new(&shared))
        .map_err(|error| Error::Usage(format!("the black box cannot be read: {error}")))?;
    let crash = read(black_box)?;
    let cell = cell_of(black_box, crash.fault.tid);
    let at = black_box::now();
    let report = report(black_box, &crash, cell.as_ref(), at)?;
    let saved = files::write(&report, &args.black_box, at);
    let last = match &saved {
        Ok(_) => "Saved: %crash_report shows it all after the restart.".to_owned(),
        Err(error) => format!("The report could not be saved: {error}."),
    };
    let mut traceback = vec![format!("{NAME}: {}", crash.headline)];
    traceback.extend(crash.stack.iter().cloned());
    traceback.extend(crash.sentences.iter().cloned());
    traceback.push(last);
    if args.text {
        return Ok(traceback.join("\n"));
    }
    let told = json!({
        "slot": cell.map(|cell| cell.slot),
        "ename": NAME,
        "evalue": crash.headline,
        "traceback": traceback,
        "data": folded(&report)?,
    });
    Ok(told.to_string())
}

/// The whole report by MIME type, folded where that can be: the error above has the most of it.
fn folded(report: &Report) -> Result<Value, Error> {
    const TITLE: &str = "The whole report, with the stacks of all threads";
    let mut bundle = serde_json::to_value(Bundle::for_notebook(report, WIDTH)?)?;
    let html = bundle["text/html"].as_str().unwrap_or_default();
    let html = format!("<details><summary>{TITLE}</summary>{html}</details>");
    bundle["text/html"] = html.into();
    bundle["text/plain"] = format!("{TITLE}: %crash_report after the restart.").into();
    Ok(bundle)
}

fn report(
    black_box: &BlackBox,
    crash: &KernelCrash,
    cell: Option<&CrashedCell>,
    at: u64,
) -> Result<Report, Error> {
    let fault = &crash.fault;
    let mut listing = vec![crash.headline.clone()];
    listing.extend(crash.stack.iter().cloned());
    let registers = fault.general.iter().map(|value| json!(Address(*value)));
    let facts = json!({
        "headline": crash.headline,
        "at_ms": at,
        "pid": black_box.pid.load(std::sync::atomic::Ordering::Relaxed),
        "cell": cell.map(|cell| cell.number),
        "code": cell.map(|cell| &cell.code),
        "signal": super::signal::name(fault.signal),
        "signal_code": fault.code,
        "tid": fault.tid,
        "address": crash.address.as_ref().map(|_| Address(fault.address)),
        "access": fault.access,
        "place": crash.address.as_ref().map(|address| address.kind),
        "message": crash.message,
        "instruction": crash.instruction.as_ref().map(|one| &one.text),
        "instruction_address": Address(fault.instruction),
        "registers": registers.collect::<Vec<_>>(),
        "sentences": crash.sentences,
        "status": Value::Null,
        "memory": Value::Null,
    });
    Ok(Report {
        name: super::REPORT,
        rows: rows::of_threads(black_box, &crash.threads, fault.tid)?,
        facts: fields(facts)?,
        listing: listing
            .into_iter()
            .chain(rows::listing(&crash.threads, fault.tid))
            .collect(),
        summary: crash.sentences.clone(),
        limits: crash.limits.clone(),
        host: Some(host::described(crash.version.as_deref())),
        ..Report::default()
    })
}

/// The facts of a death of which less is known: all of a crash's, without what is not known.
pub(super) fn no_facts() -> Map<String, Value> {
    let names = [
        "headline",
        "at_ms",
        "pid",
        "cell",
        "code",
        "signal",
        "signal_code",
        "tid",
        "address",
        "access",
        "place",
        "message",
        "instruction",
        "instruction_address",
        "registers",
        "sentences",
        "status",
        "memory",
    ];
    names
        .iter()
        .map(|name| ((*name).to_owned(), Value::Null))
        .collect()
}
