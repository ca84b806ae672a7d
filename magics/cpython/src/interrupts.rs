//! Interrupts while something is undone: they wait until it is.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

/// So often it is tried again. Who calls a hundred times a second hits two of them at the most.
const TRIES: usize = 10;

/// Runs what must come to its end, again where an exception ended it: one of a signal's handler, which Python runs before
/// any function of its own. An interrupt comes again afterwards, other exceptions of handlers are told as those that
/// nobody can handle.
pub fn undisturbed<T>(py: Python<'_>, mut run: impl FnMut() -> PyResult<T>) -> PyResult<T> {
    let mut earlier = Vec::new();
    let outcome = loop {
        match run() {
            Err(error) if earlier.len() < TRIES => earlier.push(error),
            outcome => break outcome,
        }
    };
    if outcome.is_ok() {
        let is_interrupt = |error: &PyErr| error.is_instance_of::<PyKeyboardInterrupt>(py);
        let (interrupts, others): (Vec<_>, Vec<_>) = earlier.into_iter().partition(is_interrupt);
        others
            .into_iter()
            .for_each(|error| error.write_unraisable(py, None));
        if !interrupts.is_empty() {
            let again = py
                .import("_thread")
                .and_then(|thread| thread.call_method0("interrupt_main"));
            if let Err(error) = again {
                error.write_unraisable(py, None);
            }
        }
    }
    outcome
}
