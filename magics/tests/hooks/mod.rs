//! The hooks at functions' entries as a Python module, for tests.

mod steps;

use std::collections::HashSet;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use diaphane_sight::code::symbols;
use diaphane_sight::linker::libraries;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::proc::maps::Maps;
use diaphane_trace::inline_hooks;
use diaphane_trace::inline_hooks::Applied;
use diaphane_trace::recorder::{self, RecorderPlan, RunningRecorder, functions};
use nix::sys::signal::SigSet;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};

/// A library's name, its functions, the hooked ones, the reasons for the others, and nanoseconds.
type About = (String, usize, usize, Vec<(String, usize)>, u128);
/// A segment's path, bias, address, length, and place in the file.
type Segment = (String, usize, usize, usize, u64);

/// What is hooked and recorded at the moment.
#[pyclass]
struct Hooks {
    applied: Option<Applied>,
    running: Option<RunningRecorder>,
}

/// Which libraries a test wants: all that are hooked usually, or those whose names begin so.
fn chosen<'a>(libraries: &'a [Library], names: &[String]) -> Vec<&'a Library> {
    let wanted = |library: &&Library| names.iter().any(|name| library.name.starts_with(name));
    if names.is_empty() {
        return inline_hooks::usual(libraries);
    }
    libraries.iter().filter(wanted).collect()
}

fn loaded() -> PyResult<Vec<Library>> {
    let maps = Maps::read().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    libraries::loaded(&maps).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}

#[pymethods]
impl Hooks {
    #[new]
    fn new() -> Self {
        Self {
            applied: None,
            running: None,
        }
    }

    /// Hooks functions; gives what was hooked, and for how many nanoseconds the threads stood still.
    #[pyo3(signature = (*names))]
    fn on<'py>(&mut self, py: Python<'py>, names: Vec<String>) -> PyResult<Bound<'py, PyDict>> {
        let libraries = loaded()?;
        let prepared = inline_hooks::prepare(&chosen(&libraries, &names), |_| HashSet::new());
        let applied = prepared.apply();
        let applied = applied.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        let about = PyDict::new(py);
        about.set_item("hooked", applied.hooked)?;
        about.set_item("foreign", applied.foreign)?;
        about.set_item("pause", applied.pause.as_nanos())?;
        about.set_item("left_out", applied.left_out.clone())?;
        self.applied = Some(applied);
        Ok(about)
    }

    /// Takes the hooks back.
    fn off(&mut self) -> PyResult<u128> {
        let Some(applied) = self.applied.take() else {
            return Ok(0);
        };
        let pause = applied.restore();
        let pause = pause.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        Ok(pause.as_nanos())
    }

    /// Begins a recording.
    #[pyo3(signature = (room = 1 << 20))]
    fn begin(&mut self, room: usize) -> PyResult<()> {
        let plan = RecorderPlan {
            capacity: room,
            place: None,
            words: false,
        };
        let running = recorder::begin(plan);
        self.running = Some(running.map_err(|error| PyRuntimeError::new_err(error.to_string()))?);
        Ok(())
    }

    /// Calls something with nothing, recorded; gives the addresses of the functions that this thread entered.
    fn recorded(&mut self, run: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
        let own = nix::unistd::gettid().as_raw();
        self.begin(1 << 20)?;
        let outcome = run.call0();
        let logs = self.end();
        outcome?;
        let own = logs.into_iter().find(|(tid, _)| *tid == own);
        Ok(own.map(|(_, addresses)| addresses).unwrap_or_default())
    }

    /// Ends it; gives for each thread its number and the addresses of the functions that it entered.
    fn end(&mut self) -> Vec<(i32, Vec<usize>)> {
        let Some(running) = self.running.take() else {
            return Vec::new();
        };
        let recording = running.end();
        let addresses = |log: diaphane_trace::event::Log| {
            let events = log.events.iter();
            let addresses = events.filter_map(|event| functions::address_of(event.id));
            (log.tid, addresses.collect())
        };
        recording.logs.into_iter().map(addresses).collect()
    }
}

/// What is known of the libraries.
#[pyfunction]
#[pyo3(signature = (*names))]
fn prepared(names: Vec<String>) -> PyResult<Vec<About>> {
    let libraries = loaded()?;
    let prepared = inline_hooks::prepare(&chosen(&libraries, &names), |_| HashSet::new());
    let about = prepared.ready.iter().map(|ready| {
        let reasons = ready.skipped.iter();
        let reasons = reasons.map(|(reason, count)| (format!("{reason:?}"), *count));
        let reasons = reasons.collect();
        let took = ready.took.as_nanos();
        (
            ready.name.clone(),
            ready.functions,
            ready.hooked(),
            reasons,
            took,
        )
    });
    Ok(about.collect())
}

/// The functions that are not hooked, and why.
#[pyfunction]
#[pyo3(signature = (*names))]
fn skipped(names: Vec<String>) -> PyResult<Vec<(String, usize, String)>> {
    let libraries = loaded()?;
    let prepared = inline_hooks::prepare(&chosen(&libraries, &names), |_| HashSet::new());
    let about = prepared.ready.iter().flat_map(|ready| {
        let all = ready.skipped_at.iter();
        all.map(|(at, reason)| (ready.name.clone(), *at, format!("{reason:?}")))
    });
    Ok(about.collect())
}

/// The libraries that cannot be hooked, and why.
#[pyfunction]
#[pyo3(signature = (*names))]
fn unfit(names: Vec<String>) -> PyResult<Vec<(String, String)>> {
    let libraries = loaded()?;
    let prepared = inline_hooks::prepare(&chosen(&libraries, &names), |_| HashSet::new());
    let about = prepared.unfit.into_iter();
    Ok(about.map(|(name, why)| (name, why.to_string())).collect())
}

/// The names of addresses, with those of their libraries.
#[pyfunction]
fn names(addresses: Vec<usize>) -> PyResult<Vec<(String, String)>> {
    let libraries = loaded()?;
    let name = |address: usize| {
        let place = symbols::place(address, &libraries);
        let library = place
            .as_ref()
            .map(|place| libraries[place.library].name.clone());
        let symbol = place
            .and_then(|place| place.symbol)
            .map(|symbol| symbol.name);
        (library.unwrap_or_default(), symbol.unwrap_or_default())
    };
    Ok(addresses.into_iter().map(name).collect())
}

/// Calls something with nothing, step by step; gives which of the addresses were reached, in order.
#[pyfunction]
fn stepped(starts: Vec<usize>, run: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
    let mut outcome = Ok(());
    let reached = steps::stepped(starts, || outcome = run.call0().map(drop));
    outcome.map(|()| reached)
}

/// The executable segments of libraries.
#[pyfunction]
#[pyo3(signature = (*names))]
fn code(names: Vec<String>) -> PyResult<Vec<Segment>> {
    let libraries = loaded()?;
    let maps = Maps::read().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    let chosen = chosen(&libraries, &names);
    let segments = chosen.iter().flat_map(|library| {
        let regions = maps
            .within(library.span)
            .filter(|region| region.is_executable());
        regions.filter_map(|region| {
            let path = region.path()?.to_owned();
            let bias = library.image.bias();
            Some((
                path,
                bias,
                region.span.start,
                region.span.len(),
                region.offset,
            ))
        })
    });
    Ok(segments.collect())
}

/// A thread of ours that blocks all signals, and sleeps.
#[pyclass]
struct Sleeper {
    sleeps: Option<(Sender<()>, JoinHandle<()>)>,
}

#[pymethods]
impl Sleeper {
    #[new]
    fn new() -> Self {
        let (wake, sleeps) = channel::<()>();
        let (say, said) = channel::<()>();
        let thread = std::thread::spawn(move || {
            let blocked = SigSet::all().thread_block();
            let _ = say.send(());
            // Until the other end is gone.
            let _ = sleeps.recv();
            assert!(blocked.is_ok());
        });
        let _ = said.recv();
        Self {
            sleeps: Some((wake, thread)),
        }
    }

    fn wake(&mut self) {
        if let Some((wake, thread)) = self.sleeps.take() {
            drop(wake);
            assert!(thread.join().is_ok());
        }
    }
}

/// Makes the module `hooks` importable.
pub fn install() {
    Python::attach(|py| {
        let installed = || -> PyResult<()> {
            let module = PyModule::new(py, "hooks")?;
            module.add_class::<Hooks>()?;
            module.add_class::<Sleeper>()?;
            module.add("NASTY", include_str!("nasty.c"))?;
            module.add_function(wrap_pyfunction!(prepared, &module)?)?;
            module.add_function(wrap_pyfunction!(skipped, &module)?)?;
            module.add_function(wrap_pyfunction!(unfit, &module)?)?;
            module.add_function(wrap_pyfunction!(names, &module)?)?;
            module.add_function(wrap_pyfunction!(code, &module)?)?;
            module.add_function(wrap_pyfunction!(stepped, &module)?)?;
            let modules = py.import("sys")?.getattr("modules")?;
            modules.set_item("hooks", module)
        };
        installed().expect("the module can be made");
    });
}
