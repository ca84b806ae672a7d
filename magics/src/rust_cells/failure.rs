//! What went wrong in a cell, as an exception that shows the cell's own lines.

use std::ffi::CStr;

use diaphane_rust_protocol::Lines;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;

use super::run::Ended;
use super::taint;
use crate::error::Error;

/// The source of the exceptions, as Python wants it.
const SOURCE: &CStr =
    match CStr::from_bytes_with_nul(concat!(include_str!("errors.py"), "\0").as_bytes()) {
        Ok(source) => source,
        Err(_) => panic!("the source has a zero"),
    };

/// Where an error is in the user's cells.
pub struct ErrorLocation<'a> {
    /// Where the lines of the generated source come from.
    pub lines: &'a [Lines],
    /// The number that the cell was compiled under, and the one that it runs under.
    pub compiled: u32,
    pub runs: u32,
    /// The cell, and how many lines stand above it.
    pub source: &'a str,
    pub lines_above: u32,
}

impl ErrorLocation<'_> {
    /// The cell and the line of a line of the generated source.
    fn of(&self, line: u32) -> Option<(u32, u32)> {
        let holds = |lines: &&Lines| (lines.first..lines.first + lines.count).contains(&line);
        let found = self.lines.iter().find(holds)?;
        let cell = if found.cell == self.compiled {
            self.runs
        } else {
            found.cell
        };
        Some((cell, found.line + line - found.first))
    }

    /// The place of a line of the generated source, in short, and with the line; nothing where it is none of the user's.
    fn told(&self, line: u32) -> (String, String) {
        let Some((cell, line)) = self.of(line) else {
            return Default::default();
        };
        let mut shown = format!("\n --> Cell In[{cell}]:{line}");
        let text = line.checked_sub(self.lines_above + 1);
        let text = text.and_then(|line| self.source.lines().nth(line as usize));
        if let Some(text) = text.filter(|_| cell == self.runs) {
            shown += &format!("\n  |\n{line:<2}| {text}");
        }
        (format!(" (In[{cell}]:{line})"), shown)
    }
}

/// The exception of a panic or an error.
pub fn failed(
    py: Python<'_>,
    kind: &str,
    words: &str,
    line: u32,
    spot: &ErrorLocation<'_>,
) -> Error {
    let (at, shown) = spot.told(line);
    let message = format!("{words}{at}");
    raise(py, kind, &message, &format!("{kind}: {words}{shown}"))
}

/// The exception of a run that was ended from outside, with the words and the line of the panic that it was in. A fault
/// taints the process that survives it.
pub fn ended(
    py: Python<'_>,
    ended: Ended,
    (said, line): (&str, u32),
    is_isolated: bool,
    spot: &ErrorLocation<'_>,
) -> Error {
    let (class, mut words) = words(ended);
    let (at, shown) = spot.told(line);
    if !said.is_empty() {
        words += &format!(": {said}{at}");
    }
    let advice = match ended {
        _ if is_isolated => {
            "It ran in a process of its own: the kernel and its variables are as they were.".into()
        }
        Ended::Crashed(crash) if crash.signal == libc::SIGINT => {
            "Its destructors did not run, so what it had allocated stays.".into()
        }
        _ => match taint::mark(spot.runs, &words) {
            None => "The kernel is tainted now: destructors did not run, and locks that were held stay locked. \
                     Save your work and restart the kernel, or use --isolated for such cells."
                .to_owned(),
            Some(before) => format!(
                "The kernel is tainted since In[{}]: save your work and restart it.",
                before.cell
            ),
        },
    };
    let report = format!("{class}: {words}{shown}\n{advice}");
    raise(py, class, &words, &report)
}

fn words(ended: Ended) -> (&'static str, String) {
    match ended {
        Ended::Crashed(crash) => {
            let mut words = format!("the cell was stopped by {}", signal(crash.signal));
            if crash.address != 0 {
                words += &format!(", at address {:#x}", crash.address);
            }
            words += &format!(", in the instruction at {:#x}", crash.pc);
            ("RustCrash", words)
        }
        Ended::Killed(number) => (
            "RustCrash",
            format!("the cell's process was killed by {}", signal(number)),
        ),
        Ended::Left(code) => (
            "RustExit",
            format!("the cell left its process with code {code}, and not by its end"),
        ),
    }
}

fn signal(number: i32) -> String {
    let name = match number {
        libc::SIGSEGV => "SIGSEGV, a memory fault (or the stack is used up)",
        libc::SIGBUS => "SIGBUS, a memory fault",
        libc::SIGFPE => "SIGFPE, an arithmetic fault",
        libc::SIGILL => "SIGILL, an illegal instruction",
        libc::SIGABRT => "SIGABRT, an abort",
        libc::SIGKILL => "SIGKILL, by somebody else, or by Linux for want of memory",
        libc::SIGINT => "the second interrupt",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// An exception of one of our classes.
pub fn raise(py: Python<'_>, class: &str, message: &str, report: &str) -> Error {
    let made = || -> PyResult<PyErr> {
        let exception = classes(py)?.getattr(class)?.call1((message,))?;
        exception.setattr("report", report)?;
        Ok(PyErr::from_value(exception))
    };
    made().unwrap_or_else(|error| error).into()
}

/// The classes.
fn classes(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static CLASSES: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let make = || {
        PyModule::from_code(py, SOURCE, c"diaphane_rust_errors.py", c"diaphane.rust")
            .map(Bound::unbind)
    };
    Ok(CLASSES.get_or_try_init(py, make)?.bind(py))
}
