//! The Python part of the kernel: its sources are inside the binary, and an import hook finds them there.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// The modules of the package `diaphane`, and their sources.
const MODULES: &[(&str, &str)] = &[
    (
        "diaphane",
        include_str!("../../python/diaphane/__init__.py"),
    ),
    (
        "diaphane.cells",
        include_str!("../../python/diaphane/cells.py"),
    ),
    (
        "diaphane.comms",
        include_str!("../../python/diaphane/comms.py"),
    ),
    ("diaphane.dap", include_str!("../../python/diaphane/dap.py")),
    (
        "diaphane.debugger",
        include_str!("../../python/diaphane/debugger.py"),
    ),
    (
        "diaphane.debugging",
        include_str!("../../python/diaphane/debugging.py"),
    ),
    (
        "diaphane.display",
        include_str!("../../python/diaphane/display.py"),
    ),
    ("diaphane.gui", include_str!("../../python/diaphane/gui.py")),
    (
        "diaphane.handlers",
        include_str!("../../python/diaphane/handlers.py"),
    ),
    (
        "diaphane.imports",
        include_str!("../../python/diaphane/imports.py"),
    ),
    (
        "diaphane.interrupts",
        include_str!("../../python/diaphane/interrupts.py"),
    ),
    (
        "diaphane.jsonable",
        include_str!("../../python/diaphane/jsonable.py"),
    ),
    (
        "diaphane.kernel",
        include_str!("../../python/diaphane/kernel.py"),
    ),
    (
        "diaphane.magic_completion",
        include_str!("../../python/diaphane/magic_completion.py"),
    ),
    (
        "diaphane.magic_lines",
        include_str!("../../python/diaphane/magic_lines.py"),
    ),
    (
        "diaphane.magics",
        include_str!("../../python/diaphane/magics.py"),
    ),
    (
        "diaphane.main",
        include_str!("../../python/diaphane/main.py"),
    ),
    (
        "diaphane.parents",
        include_str!("../../python/diaphane/parents.py"),
    ),
    (
        "diaphane.requests",
        include_str!("../../python/diaphane/requests.py"),
    ),
    (
        "diaphane.running",
        include_str!("../../python/diaphane/running.py"),
    ),
    (
        "diaphane.shell",
        include_str!("../../python/diaphane/shell.py"),
    ),
    (
        "diaphane.streams",
        include_str!("../../python/diaphane/streams.py"),
    ),
    (
        "diaphane.tasks",
        include_str!("../../python/diaphane/tasks.py"),
    ),
    (
        "diaphane.threads",
        include_str!("../../python/diaphane/threads.py"),
    ),
    (
        "diaphane.variables",
        include_str!("../../python/diaphane/variables.py"),
    ),
];

/// Their code, compiled by the Python that the binary was built for.
const COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/modules.bin"));

/// Installs the import hook.
pub(super) fn install(py: Python<'_>) -> PyResult<()> {
    let sources = PyDict::new(py);
    for (name, source) in MODULES {
        sources.set_item(name, source)?;
    }
    let finder = include_str!("../../python/finder.py");
    let finder = std::ffi::CString::new(finder)?;
    PyModule::from_code(py, &finder, c"<diaphane>/finder.py", c"_diaphane_finder")?
        .call_method1("install", (sources, PyBytes::new(py, COMPILED)))?;
    Ok(())
}
