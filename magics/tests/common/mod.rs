//! Runs a file of Python tests against the magics, in this process, without any kernel.
//!
//! Each test binary has one such file and so a process of its own: what is loaded, and how many threads there are, is
//! part of what is asserted.

use std::ffi::CString;
use std::process::Command;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};

/// What the tests may import besides the standard library.
#[allow(dead_code, reason = "each test binary uses one of them")]
pub enum Packages {
    /// Nothing.
    None,
    /// What is installed in the Python that this was built for, which may be a virtual environment.
    OfPython,
}

/// Calls every function named `test_...` of a Python file, in their order.
///
/// The file finds the magics as the module `diaphane_native`.
pub fn run(name: &str, code: &str, packages: Packages) {
    let python = std::env::var("PYO3_PYTHON").unwrap_or_else(|_| "python3".into());
    let packages = match packages {
        Packages::None => Vec::new(),
        Packages::OfPython => site_packages(&python),
    };
    Python::attach(|py| {
        let outcome = prepare(py, &python, &packages).and_then(|()| {
            let module = PyModule::from_code(py, &text(code), &text(name), c"magics_test")?;
            let tests: Vec<_> = module
                .dict()
                .iter()
                .filter(|(name, _)| name.to_string().starts_with("test_"))
                .collect();
            assert!(!tests.is_empty(), "{name} has no tests");
            tests
                .into_iter()
                .try_for_each(|(_, test)| test.call0().map(drop))
        });
        if let Err(error) = outcome {
            error.print(py);
            panic!("{name}: {error}");
        }
    });
}

fn site_packages(python: &str) -> Vec<String> {
    let output = Command::new(python)
        .args([
            "-c",
            "import site; print('\\n'.join(site.getsitepackages()))",
        ])
        .output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {python}: {error}"));
    String::from_utf8(output.stdout)
        .expect("paths are UTF-8")
        .lines()
        .map(str::to_owned)
        .collect()
}

fn prepare(py: Python<'_>, python: &str, packages: &[String]) -> PyResult<()> {
    let sys = py.import("sys")?;
    // The program here is the test, which is no interpreter.
    sys.setattr("executable", python)?;
    let path = sys.getattr("path")?;
    for folder in packages {
        path.call_method1("append", (folder,))?;
    }
    let witness = text(include_str!("../python/symbol_tables.py"));
    PyModule::from_code(py, &witness, c"symbol_tables.py", c"symbol_tables")?;
    let module = PyModule::new(py, "diaphane_native")?;
    diaphane_magics::register(&module)?;
    diaphane_magics::note_imports(py);
    sys.getattr("modules")?
        .cast_into::<PyDict>()?
        .set_item("diaphane_native", module)
}

fn text(text: &str) -> CString {
    CString::new(text).expect("no NUL in a test")
}
