//! The Python threads beside the main one: a subshell has one (JEP 91), and the debugger has one.
//!
//! Each serves a lane. It waits for Python and for the GIL by itself; who starts it does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use diaphane_sight::threads::OwnThread;
use diaphane_wire::{Outgoing, publish, reply};
use pyo3::prelude::*;

use crate::host::thread_state;
use crate::kernel::Kernel;
use crate::lane::Lane;
use crate::outbox::Item;

/// Filled when Python is there.
static READY: OnceLock<()> = OnceLock::new();

/// Python is there: the threads that wait for it begin.
pub(super) fn begin() {
    READY.get_or_init(|| ());
}

/// Whether Python is there.
pub fn is_ready() -> bool {
    READY.get().is_some()
}

/// Starts a subshell.
///
/// # Errors
/// When no thread can be started.
pub fn start_subshell(kernel: &Arc<Kernel>, id: &str) -> std::io::Result<()> {
    let lane = kernel.lanes.add(id)?;
    let (kernel_of_thread, owned) = (Arc::clone(kernel), id.to_owned());
    let started = start(
        "diaphane-subsh",
        move |main| main.call_method1("subshell", (owned,)),
        move || say_that_it_ended(&kernel_of_thread, &lane),
    );
    if started.is_err() {
        kernel.lanes.remove(id);
    }
    started
}

/// Answers what still waits in a subshell, and the request that ended it.
fn say_that_it_ended(kernel: &Kernel, lane: &Lane) {
    let sentence = "the subshell was deleted before it could answer";
    let ename = "UnknownSubshellError";
    kernel.outbox.push(lane.last_answers(ename, sentence));
    if let Some(job) = lane.take_last() {
        let reply = Item::Reply {
            channel: job.channel,
            parent: Arc::clone(&job.parent),
            message: Outgoing::new("delete_subshell_reply", &reply::DONE),
        };
        let idle = Item::status(&job.parent, publish::IDLE);
        kernel.outbox.push([reply, idle]);
    }
}

/// Starts the debugger, unless it was started before.
///
/// # Errors
/// When no thread can be started.
pub fn start_debugger() -> std::io::Result<()> {
    static STARTED: AtomicBool = AtomicBool::new(false);
    if STARTED.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    start(
        "diaphane-debug",
        |main| {
            let _own = OwnThread::begin();
            main.call_method0("debugger")
        },
        || (),
    )
    .inspect_err(|_| STARTED.store(false, Ordering::Release))
}

/// Starts a thread that runs a function of `diaphane.main`, and then another one without Python.
fn start<F>(name: &str, run: F, end: impl FnOnce() + Send + 'static) -> std::io::Result<()>
where
    F: for<'py> FnOnce(&Bound<'py, PyModule>) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
{
    let life = move || {
        // Where it runs the user's code, recordings stop it for a moment.
        diaphane_magics::leave_signals();
        READY.wait();
        thread_state::attach(|py| {
            let ended = py.import("diaphane.main").and_then(|main| run(&main));
            if let Err(error) = ended {
                tracing::error!(error = super::describe(py, &error), "a thread ended");
            }
        });
        end();
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(life)
        .map(drop)
}
