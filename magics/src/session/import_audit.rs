//! Who asked for a library: each import of an extension module and each `ctypes` load, with the modules that were being
//! imported and the user's line.
//!
//! An audit hook of CPython (PEP 578) hears of both before they happen, and passes on what others want of its events. It
//! only notes; where Python let none be added, the list stays empty and reports say what they know otherwise.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use diaphane_forks::{ProcessLock, ProcessLockGuard};
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::linker::link_map;
use diaphane_sight::threads::running_cells;
use diaphane_sight::threads::running_cells::CellId;
use diaphane_trace::linker_events as recorded;
use pyo3::ffi;
use pyo3::prelude::*;

use diaphane_cpython::lazy::statement_behind;

use crate::python::ipython::{cell_of, source_line};
use crate::session::{audit_events, executed_code, float_modes};

/// A program that loads more libraries than this loads the same ones over and over.
const MOST: usize = 16_384;

/// How a library was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// By `import`.
    Import,
    /// By `ctypes`.
    Ctypes,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Load {
    pub means: Means,
    /// The module, or the name that `ctypes` was given.
    pub what: String,
    /// The thread that asked, and when, as `float_modes` counts.
    pub thread: (i32, u64),
    /// The cell that the thread worked for which asked.
    pub cell: Option<CellId>,
    /// The modules that were being imported, the one that the user named first.
    pub chain: Vec<String>,
    /// The file and the number of the user's line.
    pub line: Option<(String, u32)>,
    /// The cell that has this line; a function of an earlier one may have run.
    pub line_cell: Option<u32>,
    /// The lazy import whose name that line was the first to use, as `In[3]:2` or `file.py:2`.
    pub lazy: Option<String>,
}

/// The first request for each file or name.
type Loads = HashMap<String, Arc<Load>>;

static LOADS: ProcessLock<Loads> = ProcessLock::new(Default::default);
/// The process whose requests are noted; 0 as long as there is no hook. A forked child has no business with our locks,
/// which another thread may have held at the fork.
static LISTENER: AtomicU32 = AtomicU32::new(0);

#[allow(unsafe_code, reason = "PyO3 does not declare this function of CPython")]
unsafe extern "C" {
    fn PySys_AddAuditHook(
        hook: unsafe extern "C" fn(*const c_char, *mut ffi::PyObject, *mut c_void) -> c_int,
        data: *mut c_void,
    ) -> c_int;
}

/// An event of our own, which tells whether a hook is really there: CPython may leave it out without a word.
const TRIAL: &str = "diaphane.listen";

/// Whether somebody has asked for the hook.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// Begins to listen; a hook of somebody else may forbid it.
#[allow(unsafe_code, reason = "PyO3 has no function for audit hooks")]
pub(crate) fn listen(py: Python<'_>) {
    if BEGUN.swap(true, Ordering::Relaxed) {
        return;
    }
    // SAFETY: `hear` has the signature that is asked for, needs no data, and stays in memory with the process.
    let added = unsafe { PySys_AddAuditHook(hear, std::ptr::null_mut()) };
    if added != 0 {
        drop(PyErr::take(py));
    }
    // Whoever forbids this event too leaves us without a hook, which is known then.
    let sys = py.import("sys");
    drop(sys.and_then(|sys| sys.call_method1("audit", (TRIAL,))));
}

/// Why requests are not noted, if they are not.
pub(crate) fn why_not() -> Option<&'static str> {
    match (is_listening(), BEGUN.load(Ordering::Relaxed)) {
        (true, _) => None,
        (false, true) => Some("Python let no audit hook be added"),
        (false, false) => Some("diaphane.watch_imports() was not called before"),
    }
}

/// Whether requests are noted.
pub(crate) fn is_listening() -> bool {
    LISTENER.load(Ordering::Relaxed) != 0
}

/// Who asked for a library first.
pub(crate) fn load_of(library: &Library) -> Option<Arc<Load>> {
    first_of([
        library.path.as_deref(),
        Some(&library.linker_name),
        library.image.soname.as_deref(),
        Some(&library.name),
    ])
}

/// The cell that asked for something in the linker's list.
pub(crate) fn cell_that_asked(entry: &link_map::Entry) -> Option<CellId> {
    first_of([
        Some(entry.name.as_str()),
        entry.image.soname.as_deref(),
        entry.name.rsplit('/').next(),
    ])?
    .cell
}

fn first_of<const N: usize>(names: [Option<&str>; N]) -> Option<Arc<Load>> {
    let loads = loads();
    names
        .into_iter()
        .flatten()
        .find_map(|name| loads.get(name).cloned())
}

/// What `ctypes` was asked for last, be it in vain.
pub(crate) fn latest_of_ctypes() -> Option<String> {
    latest().clone()
}

/// The requests while somebody follows them, in their order.
static FOLLOWED: ProcessLock<Option<Vec<Arc<Load>>>> = ProcessLock::new(|| None);

/// Keeps every request from now on, also those for what is loaded already, and notes its number among the events of the
/// linker.
pub(crate) fn follow() {
    *followed() = Some(Vec::new());
}

/// The requests since `follow`; they are kept no longer.
pub(crate) fn followed_since() -> Vec<Arc<Load>> {
    followed().take().unwrap_or_default()
}

fn followed() -> ProcessLockGuard<'static, Option<Vec<Arc<Load>>>> {
    FOLLOWED.lock()
}

fn latest() -> ProcessLockGuard<'static, Option<String>> {
    static LATEST: ProcessLock<Option<String>> = ProcessLock::new(|| None);
    LATEST.lock()
}

/// Whether the linker has something under a path, a soname or the name of a file.
fn is_loaded(key: &str) -> bool {
    link_map::entries().iter().any(|entry| {
        entry.name == key
            || entry.image.soname.as_deref() == Some(key)
            || entry.name.rsplit('/').next() == Some(key)
    })
}

fn loads() -> ProcessLockGuard<'static, Loads> {
    LOADS.lock()
}

/// Called for every audit event of the process, and so decides by the first letters.
#[allow(unsafe_code, reason = "called by CPython with raw pointers")]
unsafe extern "C" fn hear(event: *const c_char, args: *mut ffi::PyObject, _: *mut c_void) -> c_int {
    float_modes::look();
    // SAFETY: CPython passes the name of the event as text that ends with NUL.
    let event = unsafe { CStr::from_ptr(event) };
    let means = match event.to_bytes() {
        b"import" => Means::Import,
        b"ctypes.dlopen" => Means::Ctypes,
        trial if trial == TRIAL.as_bytes() => {
            LISTENER.store(std::process::id(), Ordering::Relaxed);
            return 0;
        }
        b"exec" if executed_code::is_kept() => {
            tell(args, executed_code::keep_too);
            return 0;
        }
        _ if audit_events::wants(event) => {
            tell(args, |args| audit_events::note(event, args));
            return 0;
        }
        _ => return 0,
    };
    tell(args, |args| args.and_then(|args| note(means, args)));
    0
}

/// Passes the arguments of an event on. A panic must not reach CPython, and what could not be noted is not known; what
/// the event announces happens all the same.
#[allow(unsafe_code, reason = "called by CPython with raw pointers")]
fn tell<T>(args: *mut ffi::PyObject, hearer: impl FnOnce(Option<&Bound<'_, PyAny>>) -> T) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: events are raised by threads that hold the GIL.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: the arguments are a tuple or NULL, which the caller keeps for the length of this call.
        let args = unsafe { Bound::from_borrowed_ptr_or_opt(py, args) };
        hearer(args.as_ref());
    }));
}

fn note(means: Means, args: &Bound<'_, PyAny>) -> Option<()> {
    let text = |index: usize| {
        let item = args.get_item(index).ok()?;
        item.extract::<String>().ok()
    };
    let what = text(0)?;
    let key = match means {
        // The import of a module has no path unless it is an extension that is about to be loaded.
        Means::Import => text(1)?,
        Means::Ctypes if what.contains('/') => fs::canonicalize(&what)
            .map_or_else(|_| what.clone(), |path| path.to_string_lossy().into_owned()),
        Means::Ctypes => what.clone(),
    };
    // It asks the kernel, and most imports have gone by here.
    if LISTENER.load(Ordering::Relaxed) != std::process::id() {
        return None;
    }
    if means == Means::Ctypes {
        *latest() = Some(key.clone());
    }
    let (is_known, has_room) = {
        let loads = loads();
        (loads.contains_key(&key), loads.len() < MOST)
    };
    let is_followed = followed().is_some();
    // A request that failed says nothing about the one that succeeds later.
    let is_new = has_room && !(is_known && is_loaded(&key));
    if is_new || is_followed {
        let Asked { chain, line, lazy } = asked(args.py());
        let own_cell = line
            .as_ref()
            .and_then(|(file, _)| cell_of(args.py(), file).ok()?);
        let cell = running_cells::of_this_thread();
        let load = Arc::new(Load {
            means,
            what,
            thread: float_modes::begin_load(),
            cell,
            chain,
            line,
            line_cell: own_cell.or(cell.and_then(CellId::number)),
            lazy,
        });
        if let Some(followed) = &mut *followed() {
            recorded::note(followed.len());
            followed.push(Arc::clone(&load));
        }
        if is_new {
            loads().insert(key, load);
        }
    }
    Some(())
}

/// Who asks, by the frames.
#[derive(Default)]
struct Asked {
    chain: Vec<String>,
    line: Option<(String, u32)>,
    lazy: Option<String>,
}

/// The modules whose code runs, from the outermost, and the user's line: the innermost one of `__main__`, or else the
/// outermost one of all.
#[allow(unsafe_code, reason = "PyO3 has no frames")]
fn asked(py: Python<'_>) -> Asked {
    let mut asked = Asked::default();
    // SAFETY: the GIL is held; the frame is borrowed or NULL.
    let frame = unsafe { ffi::PyEval_GetFrame() };
    // SAFETY: as above; a reference of our own is made.
    let mut next = unsafe { Bound::from_borrowed_ptr_or_opt(py, frame.cast()) };
    while let Some(frame) = next {
        let raw: *mut ffi::PyFrameObject = frame.as_ptr().cast();
        // SAFETY: `frame` is a frame and alive; the functions give new references.
        let (code, globals, number, back) = unsafe {
            (
                Bound::from_owned_ptr_or_opt(py, ffi::PyFrame_GetCode(raw).cast()),
                Bound::from_owned_ptr_or_opt(py, ffi::PyFrame_GetGlobals(raw)),
                ffi::PyFrame_GetLineNumber(raw),
                Bound::from_owned_ptr_or_opt(py, ffi::PyFrame_GetBack(raw).cast()),
            )
        };
        next = back;
        let text =
            |name: &str| -> Option<String> { code.as_ref()?.getattr(name).ok()?.extract().ok() };
        let Some(file) = text("co_filename").filter(|file| !file.starts_with("<frozen importlib"))
        else {
            continue;
        };
        asked.line = Some((file, u32::try_from(number).unwrap_or(0)));
        // Of several lazy imports the outermost one is the user's.
        if let Some((file, number)) = statement_behind(&frame) {
            asked.lazy = source_line(py, &file, number).ok().map(|(place, _)| place);
        }
        let module = globals.and_then(|globals| {
            let globals = globals.cast_into_exact::<pyo3::types::PyDict>().ok()?;
            globals.get_item("__name__").ok()??.extract::<String>().ok()
        });
        if module.as_deref() == Some("__main__") {
            break;
        }
        asked
            .chain
            .extend(module.filter(|_| text("co_name").as_deref() == Some("<module>")));
    }
    asked.chain.reverse();
    asked
}
