//! The module `_diaphane`: what the Python part of the kernel, and the magics, call.

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diaphane_sight::crash::handler;
use diaphane_sight::proc::descriptors;
use diaphane_wire::{Channel, CommQuestion, Outgoing};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyDict, PyTuple};
use serde::Serialize;

use super::live_view::LiveView;
use super::parent::{self, Origin, PyLane, PyParent};
use super::runner::Runner;
use super::stream::{self, Stream};
use super::{Options, threads};
use crate::children::FromChild;
use crate::input::Turn;
use crate::kernel::Kernel;
use crate::murmur;
use crate::outbox::Item;
use crate::{exit, sigint, signals};

static FORKED: AtomicBool = AtomicBool::new(false);

/// Whether this is a child process that was forked: it has no threads but its own, and none of our sockets.
pub(crate) fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// The kernel, as Python sees it.
#[pyclass(frozen, module = "_diaphane")]
pub struct Native {
    pub(super) kernel: Arc<Kernel>,
    /// The context variable that holds the request that code runs for.
    #[pyo3(get)]
    parent: Py<PyAny>,
    /// The connection file.
    #[pyo3(get)]
    connection_file: String,
    /// The standard error that the kernel was started with.
    #[pyo3(get)]
    stderr: RawFd,
    /// Where the command `diaphane` lies.
    #[pyo3(get)]
    command_folder: PathBuf,
    /// Whether an interrupt came for a cell that waits for Python to be there.
    interrupted: Arc<AtomicBool>,
}

type Keywords<'a, 'py> = Option<&'a Bound<'py, PyDict>>;

impl Native {
    pub(super) fn new(
        py: Python<'_>,
        kernel: Arc<Kernel>,
        options: &Options<'_>,
    ) -> PyResult<Self> {
        Ok(Self {
            kernel,
            parent: parent::variable(py)?.clone_ref(py),
            connection_file: options.connection_file.to_string_lossy().into_owned(),
            stderr: options.stderr,
            command_folder: options.command_folder.to_owned(),
            interrupted: Arc::default(),
        })
    }

    /// Lets interrupts come, of which none may end Python's start: it is for the cell that waits, or for nobody.
    pub(super) fn keep_interrupts(&self, py: Python<'_>) -> PyResult<()> {
        let interrupted = Arc::clone(&self.interrupted);
        let lane = Arc::clone(self.kernel.lanes.main());
        let keep = move |_: &Bound<'_, PyTuple>, _: Keywords<'_, '_>| {
            sigint::hear(libc::SIGINT);
            interrupted.fetch_or(lane.has_cell(), Ordering::Relaxed);
        };
        let handler = PyCFunction::new_closure(py, None, None, keep)?;
        py.import("signal")?
            .call_method1("signal", (libc::SIGINT, handler))?;
        sigint::lead_to_main_thread();
        signals::take_interrupts();
        Ok(())
    }
}

/// Says that the handler of a signal is called, with these arguments.
fn hear(arguments: &Bound<'_, PyTuple>) {
    if let Ok(signal) = arguments.get_item(0).and_then(|signal| signal.extract()) {
        sigint::hear(signal);
    }
}

#[derive(Serialize)]
struct InputRequest<'a> {
    prompt: &'a str,
    password: bool,
}

#[pymethods]
impl Native {
    /// Publishes a message on iopub; `content` and `metadata` are JSON.
    #[pyo3(signature = (msg_type, content, metadata = "{}", buffers = Vec::new()))]
    fn publish(
        &self,
        py: Python<'_>,
        msg_type: &str,
        content: &str,
        metadata: &str,
        buffers: Vec<Bound<'_, PyBytes>>,
    ) -> PyResult<()> {
        let bytes = |buffer: &Bound<'_, PyBytes>| buffer.as_bytes().to_vec();
        let buffers = buffers.iter().map(bytes).collect();
        if is_forked() {
            let origin = parent::origin(py);
            let message = FromChild {
                header: origin.as_ref().and_then(Origin::pinned_header),
                subshell: origin.and_then(|origin| origin.lane().id().map(str::to_owned)),
                msg_type: msg_type.to_owned(),
                metadata: metadata.to_owned(),
                content: content.to_owned(),
                buffers,
            };
            return Ok(py.detach(|| self.kernel.children.hand_over(&message))?);
        }
        let mut message = Outgoing::raw(msg_type.to_owned(), content.as_bytes().to_vec());
        message.metadata = metadata.as_bytes().to_vec();
        message.buffers = buffers;
        let parent = parent::request(py, &self.kernel);
        // What native code has written before this stands before it.
        if self.kernel.capture.is_due() {
            self.kernel.drain_capture();
        }
        self.kernel.outbox.push([Item::Publish { parent, message }]);
        match self.kernel.outbox.is_full() {
            true => stream::wait_for_room(py, &self.kernel),
            false => Ok(()),
        }
    }

    /// Asks the user, and waits for the answer. `None` where the request that the calling code runs for may not ask: it
    /// does not allow that, or it has ended.
    fn ask(&self, py: Python<'_>, prompt: &str, password: bool) -> PyResult<Option<String>> {
        if is_forked() {
            // Another thread may have held the locks of the kernel at the fork.
            return Ok(None);
        }
        let kernel = &self.kernel;
        let parent = parent::request(py, kernel);
        let request = parent.and_then(|parent| kernel.input.who_may_ask(&parent.header.msg_id));
        let Some(request) = request else {
            return Ok(None);
        };
        let asking = kernel.input.ask(&request)?;
        loop {
            match py.detach(|| asking.wait()) {
                Turn::Ask => {
                    let content = InputRequest { prompt, password };
                    let mut message = Outgoing::new("input_request", &content);
                    message.id = Some(asking.id().to_owned());
                    kernel.outbox.push([Item::Reply {
                        channel: Channel::Stdin,
                        parent: Arc::clone(&request),
                        message,
                    }]);
                }
                Turn::Answer(answer) => return Ok(Some(answer)),
                Turn::Ended => return Ok(None),
                Turn::Wait => py.check_signals()?,
            }
        }
    }

    /// What runs the requests of the main thread, or of a subshell; `None` where that has ended.
    #[pyo3(signature = (requests, subshell = None))]
    fn runner(&self, requests: Py<PyAny>, subshell: Option<&str>) -> Option<Runner> {
        let lane = self.kernel.lanes.find(subshell)?;
        let kernel = Arc::clone(&self.kernel);
        Some(Runner::new(kernel, lane, subshell.is_none(), requests))
    }

    /// What runs the requests of the debugger.
    fn debug_runner(&self, requests: Py<PyAny>) -> Runner {
        let (kernel, lane) = (&self.kernel, self.kernel.lanes.debugger());
        Runner::new(Arc::clone(kernel), Arc::clone(lane), false, requests)
    }

    /// The request that output of the calling code belongs to.
    fn current<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        parent::current(py, &self.kernel)
    }

    /// The value of the context variable with which a thread begins that is started here.
    fn following(&self, py: Python<'_>) -> PyLane {
        parent::following(parent::lane(py, &self.kernel))
    }

    /// The request with this header, a JSON object, for `set_parent`; `whole` is the message as Python has it.
    fn pinned(&self, py: Python<'_>, header: &str, whole: Py<PyDict>) -> PyResult<PyParent> {
        PyParent::pinned(py, header, whole, parent::lane(py, &self.kernel))
    }

    /// Output of the threads that follow this lane belongs to the calling code's request until the next one begins.
    fn set_present(&self, py: Python<'_>) {
        if let Some(request) = parent::request(py, &self.kernel) {
            parent::lane(py, &self.kernel).set_present(&request);
        }
    }

    /// The latest request on the control channel.
    fn control_parent(&self) -> Option<PyParent> {
        let lane = self.kernel.lanes.main();
        self.kernel
            .control_parent()
            .map(|parent| PyParent::new(&parent, lane))
    }

    /// The ids of the subshells.
    fn subshells(&self) -> Vec<String> {
        self.kernel.lanes.ids()
    }

    /// Says that subshells and the debugger can begin.
    fn ready(&self) {
        threads::begin();
    }

    /// A signal handler that raises KeyboardInterrupt where `decide(signal, frame)` says so; where it says None, the signal
    /// comes again a few instructions later.
    ///
    /// Raised from here, it leaves no line of the kernel in the user's traceback.
    #[allow(clippy::unused_self, reason = "a method of the kernel in Python")]
    fn interrupter<'py>(
        &self,
        py: Python<'py>,
        decide: Py<PyAny>,
    ) -> PyResult<Bound<'py, PyCFunction>> {
        let handle = move |arguments: &Bound<'_, PyTuple>, _: Keywords<'_, '_>| -> PyResult<()> {
            hear(arguments);
            let decided = decide.bind(arguments.py()).call1(arguments)?;
            if decided.is_none() {
                signals::interrupt_again();
            }
            match decided.is_truthy()? {
                true => Err(PyKeyboardInterrupt::new_err(())),
                false => Ok(()),
            }
        };
        let name = c"default_int_handler";
        PyCFunction::new_closure(py, Some(name), None, handle)
    }

    /// A signal handler that calls another one, and keeps its error where `keeps(error, frame)` says so.
    ///
    /// It leaves no line of the kernel in the user's traceback either.
    #[allow(clippy::unused_self, reason = "a method of the kernel in Python")]
    fn guarded<'py>(
        &self,
        py: Python<'py>,
        handler: Py<PyAny>,
        keeps: Py<PyAny>,
    ) -> PyResult<Bound<'py, PyCFunction>> {
        let handle = move |arguments: &Bound<'_, PyTuple>, _: Keywords<'_, '_>| -> PyResult<()> {
            let py = arguments.py();
            hear(arguments);
            let Err(error) = handler.bind(py).call1(arguments) else {
                return Ok(());
            };
            let asked = (error.value(py), arguments.get_item(1)?);
            match keeps.bind(py).call1(asked)?.is_truthy()? {
                true => Ok(()),
                false => Err(error),
            }
        };
        PyCFunction::new_closure(py, None, None, handle)
    }

    /// Says that the running request awaits an answer with this id on a comm.
    fn ask_comm(&self, py: Python<'_>, comm: String, id: String) {
        // No answer comes to a child, where another thread may have held the lock of those who ask at the fork.
        if is_forked() {
            return;
        }
        let lane = parent::lane(py, &self.kernel);
        self.kernel.note_asker(CommQuestion { comm, id }, lane);
    }

    /// Says that a handler of these is about to be set for a signal.
    #[allow(clippy::unused_self, reason = "a method of the kernel in Python")]
    fn follow(&self, signal: &Bound<'_, PyAny>) {
        // What is no signal is refused where it is set.
        if let Ok(signal) = signal.extract() {
            sigint::follow(signal);
        }
    }

    /// Lets interrupts come to the calling thread, whoever has blocked them.
    #[allow(clippy::unused_self, reason = "a method of the kernel in Python")]
    fn unblock_interrupts(&self) {
        signals::take_interrupts();
    }

    /// Whether an interrupt came while Python started, for the cell that waited then.
    fn take_interrupt(&self) -> bool {
        self.interrupted.swap(false, Ordering::Relaxed)
    }

    /// Has the kernel told of faults before `faulthandler` is, which then writes to its own file.
    #[allow(clippy::unused_self, reason = "a method of the kernel in Python")]
    fn tell_of_faults(&self) {
        handler::install();
    }

    /// Ends the kernel after the request that runs.
    fn stop(&self) {
        self.kernel.stop();
    }

    /// To be called in a forked child, before anything else runs there.
    fn forked(&self) {
        FORKED.store(true, Ordering::Relaxed);
    }

    /// Calls what may import something, with the descriptors that were kept for questions where there are no others.
    #[pyo3(signature = (function, *arguments, **options))]
    #[allow(clippy::unused_self, reason = "a method of the kernel in Python")]
    fn with_spare_descriptors<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        arguments: &Bound<'py, PyTuple>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        descriptors::with_spare(|| function.call(arguments, options))
    }

    /// Whether this is a forked child.
    fn is_child(&self) -> bool {
        is_forked()
    }
}

/// The hash in the name of a cell's file.
#[pyfunction]
fn murmur2(code: &[u8], seed: u32) -> u32 {
    murmur::murmur2(code, seed)
}

/// Lets a folder go with the kernel.
#[pyfunction]
fn take_along(folder: PathBuf) {
    exit::take_along(folder);
}

/// Fills the module `_diaphane`, which every door gives to Python.
pub(super) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<Native>()?;
    module.add_class::<PyParent>()?;
    module.add_class::<Runner>()?;
    module.add_class::<Stream>()?;
    module.add_class::<LiveView>()?;
    module.add_function(wrap_pyfunction!(murmur2, module)?)?;
    module.add_function(wrap_pyfunction!(take_along, module)?)?;
    diaphane_magics::register(module)
}
