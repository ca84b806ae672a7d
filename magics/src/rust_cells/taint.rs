//! Whether a fault was survived in this process. It works on, and nobody can say for how long: destructors did not run,
//! and locks that were held stay locked, malloc's among them. Nothing but a restart changes that.

use std::sync::atomic::{AtomicBool, Ordering};

use diaphane_forks::ProcessLock;
use serde::Serialize;

use diaphane_report::{Diagnosis, Severity};

/// What was survived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taint {
    /// The cell of the first fault, and what it was.
    pub cell: u32,
    pub fault: String,
    /// How many there were.
    pub faults: u32,
    /// Whether no Rust cell can run any more.
    pub is_last: bool,
}

/// Whether the fault that is being handled leaves a lock behind that every cell needs.
static IS_LAST: AtomicBool = AtomicBool::new(false);

/// No Rust cell can run any more.
pub fn set_last() {
    IS_LAST.store(true, Ordering::Release);
}

static TAINT: ProcessLock<Option<Taint>> = ProcessLock::new(|| None);

/// Writes a fault down. What was known before.
pub fn mark(cell: u32, fault: &str) -> Option<Taint> {
    let mut taint = TAINT.lock();
    let before = taint.clone();
    match taint.as_mut() {
        Some(taint) => taint.faults += 1,
        None => {
            *taint = Some(Taint {
                cell,
                fault: fault.to_owned(),
                faults: 1,
                is_last: false,
            });
        }
    }
    if let Some(taint) = taint.as_mut() {
        taint.is_last = IS_LAST.load(Ordering::Acquire);
    }
    before
}

/// What is known.
pub fn taint() -> Option<Taint> {
    TAINT.lock().clone()
}

impl Taint {
    /// For whoever looks for what is remarkable.
    pub fn diagnosis(&self) -> Diagnosis {
        let mut evidence = vec![format!("In[{}]: {}", self.cell, self.fault)];
        match self.faults - 1 {
            0 => {}
            1 => evidence.push("one more fault since then".into()),
            more => evidence.push(format!("{more} more faults since then")),
        }
        Diagnosis {
            code: "R001",
            severity: Severity::Error,
            title: format!(
                "The kernel is tainted: it survived a fault in the Rust cell In[{}].",
                self.cell
            ),
            evidence,
            fix:
                "Save your work and restart the kernel; run cells that may fail so with --isolated."
                    .into(),
        }
    }
}
