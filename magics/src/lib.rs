//! The magics: questions about the native side of this process, asked from a notebook or any Python.
//!
//! A magic is one type in one file: it parses its line, asks `diaphane-sight`, and gives back a report.
//! [`register`] puts all of them into a Python module; [`ask`] answers without Python. Nothing here reads `/proc`, draws to a terminal or knows which
//! kernel it runs in.

mod api;
mod arch;
mod cli;
mod code;
mod error;
mod libraries;
mod magic;
mod magics;
mod memory;
mod numpy;
mod pages;
mod python;
mod recording;
mod registry;
mod rust_cells;
mod session;
mod stacks;

use pyo3::prelude::*;

pub use crate::api::ask::{Refusal, Room, ask, may_ask_twice, schemas};
pub use crate::api::grammar::grammar;
pub use crate::api::merge::{MergeArgs, merge_files};
pub use crate::magics::crash_report::{
    CrashedProcess, crash_in_short, death_before, look_at_memory, tell_of_crash, warn_of_memory,
};
pub use crate::magics::native_prof::{
    ProfileRefused, ProfileState, begin as begin_profile, end as end_profile, profile_state,
};
pub use crate::magics::stack::{
    OtherLibrary, ProcessMoment, ProcessMonitor, StackArgs, stack_of_process,
};
pub use crate::recording::live_display::{LiveDisplay, set_live_displays};
pub use crate::rust_cells::run::rust_cells_begun;
pub use crate::session::door::{came_as_package, set_listening};
pub use crate::stacks::monitor::{Moment, Monitor, note_thread_names};
pub use diaphane_report::view::Bundle;
pub use diaphane_sight::unwind::leave_signals;
pub use diaphane_trace::inline_hooks::let_run;
pub use diaphane_trace::syscalls::install_handler;

/// Notes from now on who asks for which library: an audit hook of Python's, which stays with the process.
pub fn note_imports(py: Python<'_>) {
    session::import_audit::listen(py);
}

/// Adds the functions and classes of the magics to a Python module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    session::journal::open();
    magics::loaded_libs::remember_what_is_loaded();
    api::module::register(module)
}
