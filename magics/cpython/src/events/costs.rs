//! What Python's reports cost, measured once in a process: a loop that calls is run without them, with them, and where
//! they are no news.

use std::sync::atomic::Ordering;
use std::time::Instant;

use diaphane_forks::ForkOnce;
use diaphane_trace::recorder;
use pyo3::ffi::c_str;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{NO_NEWS, REPORTS, imports};

/// Nanoseconds for one report: of what is noted, and of what is not.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReportCosts {
    /// With its event.
    pub report_ns: f64,
    /// In an import.
    pub no_news_ns: f64,
}

static KNOWN: ForkOnce<ReportCosts> = ForkOnce::new();

/// What was measured.
pub fn known() -> ReportCosts {
    KNOWN.get().copied().unwrap_or_default()
}

/// The time without reports, unless all is known.
pub struct Probe(Option<f64>);

impl Probe {
    /// Before there are reports.
    pub fn begin(py: Python<'_>) -> Self {
        Self(KNOWN.get().is_none().then(|| least(py)))
    }

    /// When there are.
    pub fn end(self, py: Python<'_>) {
        let Some(plain) = self.0 else { return };
        let mark = recorder::mark();
        let each = |counter: &std::sync::atomic::AtomicU64| {
            counter.store(0, Ordering::Relaxed);
            let took = least(py);
            let reports = counter.load(Ordering::Relaxed) / RUNS;
            ((took - plain) / reports.max(1) as f64).max(0.0)
        };
        let report_ns = each(&REPORTS);
        let no_news_ns = imports::as_in_one(|| each(&NO_NEWS));
        recorder::forget_since(mark);
        KNOWN.get_or_init(|| ReportCosts {
            report_ns,
            no_news_ns,
        });
    }
}

/// The loop is run so often, and the fastest counts.
const RUNS: u64 = 4;

/// How long a loop takes that calls a Python function and a C function, in nanoseconds. A failure is an unknown time.
fn least(py: Python<'_>) -> f64 {
    let code = c_str!("def f(): pass\nfor _ in range(250):\n f(); len('')");
    let names = PyDict::new(py);
    let times = (0..RUNS).map(|_| {
        let from = Instant::now();
        let run = py.run(code, Some(&names), None);
        run.map_or(f64::NAN, |()| from.elapsed().as_nanos() as f64)
    });
    times.fold(f64::NAN, f64::min)
}
