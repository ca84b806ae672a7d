//! What is known of a kernel that died without a last word, by the black box that it left behind.

use std::path::Path;
use std::sync::atomic::Ordering;

use diaphane_report::view;
use diaphane_report::{Report, fields};
use diaphane_sight::crash::black_box;
use diaphane_sight::crash::black_box::{BlackBox, End};
use diaphane_sight::proc::memory_limits;
use serde_json::{Map, Value, json};

use super::crashed::crash_in_short;
use super::error_under_cell::no_facts;
use super::files;
use crate::error::Error;
use crate::python::host;

/// How much of a cell's code is shown.
const CODE: usize = 60;

/// What the next kernel says under its first cell, by MIME type; nothing where there is nothing to say. The report is
/// written beside the black box.
#[must_use]
pub fn death_before(old: &BlackBox, path: &Path) -> Option<Map<String, Value>> {
    let was_asked = old.asked.load(Ordering::Relaxed) != 0;
    let was_told = old.told.load(Ordering::Relaxed) != 0;
    if old.is_alive() || was_asked || old.end() == End::Asked {
        return None;
    }
    let sentences = sentences(old);
    // A report that could not be shown then may have been written.
    let saved = match written_then(old, path) {
        true => Ok(()),
        false => saved(old, path, &sentences),
    };
    if was_told {
        return None;
    }
    let mut text = sentences.join(" ");
    if saved.is_ok() {
        text += " %crash_report shows what is known.";
    }
    Some(view::line(&text))
}

fn sentences(old: &BlackBox) -> Vec<String> {
    let what = match old.end() {
        End::Fault => format!("died ({})", crash_in_short(old)),
        End::Exit => format!("was ended by exit({})", old.status.load(Ordering::Relaxed)),
        End::None | End::Asked => "was killed".to_owned(),
    };
    let cells: Vec<String> = old
        .running()
        .map(|(_, cell)| {
            let code = cell.code.get();
            let first = code
                .lines()
                .find(|line| !line.trim().is_empty())
                .unwrap_or_default();
            let short = view::text::shorten(first.trim(), CODE, diaphane_report::Show::Text);
            format!(
                "In[{}] ran (`{short}`)",
                cell.number.load(Ordering::Relaxed)
            )
        })
        .collect();
    let when = match cells.is_empty() {
        true => "no cell ran".to_owned(),
        false => cells.join(" and "),
    };
    let mut sentences = vec![format!("The kernel before this one {what} while {when}.")];
    if old.end() == End::None {
        sentences.extend(killed(old));
    }
    sentences.extend(memory(old).filter(|_| old.end() == End::None));
    sentences
}

/// Whether the system ended processes for want of memory meanwhile.
fn killed(old: &BlackBox) -> Option<String> {
    let (whose, now) = memory_limits::kills()?;
    let before = old.kills.load(Ordering::Relaxed);
    let risen = now - before;
    (before >= 0 && risen > 0)
        .then(|| format!("{whose} out-of-memory counter rose by {risen} since it began."))
}

/// How much memory was used when it was looked at last while a cell ran.
fn memory(old: &BlackBox) -> Option<String> {
    let memory = &old.memory;
    let limit = memory.limit.load(Ordering::Relaxed);
    let is_of_cell = |began: u64| memory.at.load(Ordering::Relaxed) >= began;
    let mut running = old.running();
    running.find(|(_, cell)| is_of_cell(cell.begun.load(Ordering::Relaxed)))?;
    let (used, name) = (memory.used.load(Ordering::Relaxed), memory.name.get());
    let arrays = memory.arrays.get();
    let of = view::bytes(limit as f64);
    let largest = match arrays.as_str() {
        "" => String::new(),
        arrays => format!("; largest arrays then: {arrays}"),
    };
    (limit > 0).then(|| {
        format!(
            "When last looked at, {} of {of} were used ({name}){largest}.",
            view::bytes(used as f64)
        )
    })
}

fn written_then(old: &BlackBox, path: &Path) -> bool {
    let pid = json!(old.pid.load(Ordering::Relaxed));
    let latest = files::all(path, false)
        .first()
        .and_then(|path| files::read(path).ok());
    latest.is_some_and(|report| report.facts.get("pid") == Some(&pid))
}

fn saved(old: &BlackBox, path: &Path, sentences: &[String]) -> Result<(), Error> {
    let cell = old.running().next().map(|(_, cell)| cell);
    let memory = &old.memory;
    let kills = memory_limits::kills().map(|(_, now)| now - old.kills.load(Ordering::Relaxed));
    let mut facts = no_facts();
    let known = fields(json!({
        "headline": sentences.first(),
        "at_ms": black_box::now(),
        "pid": old.pid.load(Ordering::Relaxed),
        "cell": cell.map(|cell| cell.number.load(Ordering::Relaxed)),
        "code": cell.map(|cell| cell.code.get()),
        "sentences": sentences,
        "status": (old.end() == End::Exit).then(|| old.status.load(Ordering::Relaxed)),
        "memory": {
            "used": memory.used.load(Ordering::Relaxed),
            "limit": memory.limit.load(Ordering::Relaxed),
            "name": memory.name.get(),
            "arrays": memory.arrays.get(),
            "kills": kills,
        },
    }))?;
    facts.extend(known);
    let report = Report {
        name: super::REPORT,
        facts,
        summary: sentences.to_vec(),
        host: Some(host::described(None)),
        ..Report::default()
    };
    files::write(&report, path, black_box::now())
        .map(drop)
        .map_err(|error| Error::Usage(error.to_string()))
}
