//! Runs the requests of one lane on its Python thread: busy, the answer, idle.

use std::sync::Arc;

use diaphane_magics::Room;
use diaphane_wire::request::{Execute, reply_type};
use diaphane_wire::{Outgoing, Request, publish, reply};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use serde_json::value::RawValue;

use super::magic_requests;
use super::native::is_forked;
use super::parent::{self, PyParent};
use crate::crash::RunningCell;
use crate::exit;
use crate::kernel::Kernel;
use crate::lane::{Job, Lane, Waiting};
use crate::outbox::{Item, Parent};

/// The bridge between a lane and the asyncio loop of its thread.
#[pyclass(frozen, module = "_diaphane")]
pub struct Runner {
    kernel: Arc<Kernel>,
    lane: Arc<Lane>,
    is_main: bool,
    /// The lane's place in the black box.
    slot: usize,
    /// `diaphane.requests.Requests`: a method for each request.
    requests: Py<PyAny>,
}

impl Runner {
    pub(super) fn new(
        kernel: Arc<Kernel>,
        lane: Arc<Lane>,
        is_main: bool,
        requests: Py<PyAny>,
    ) -> Self {
        Self {
            slot: kernel.crash.lane(),
            kernel,
            lane,
            is_main,
            requests,
        }
    }
}

#[pymethods]
impl Runner {
    /// The descriptor that is readable when `serve` has something to do.
    fn fileno(&self) -> i32 {
        use std::os::fd::AsRawFd as _;
        self.lane.notifier().as_raw_fd()
    }

    /// Answers the next request. `False` when the lane was closed.
    fn serve(slf: &Bound<'_, Self>) -> bool {
        let this = slf.get();
        if is_forked() {
            // The loop of a forked child belongs to its parent.
            leave_child(slf.py());
        }
        this.lane.notifier().clear();
        if this.lane.is_closed() {
            return false;
        }
        if let Some(begun) = this.lane.next() {
            match begun.waiting {
                Waiting::Job(job) if !job.aborted => Self::begin(slf, job, begun.nested),
                Waiting::Job(job) => {
                    this.abort(&job);
                    this.lane.set_running(begun.nested);
                }
                Waiting::Answer(items) => {
                    this.kernel.outbox.push(items);
                    this.lane.set_running(begun.nested);
                }
            }
            this.lane.ring_if_ready();
        }
        true
    }
}

impl Runner {
    /// `nested`: a cell runs beside it.
    fn begin(slf: &Bound<'_, Self>, job: Job, nested: bool) {
        let (py, this) = (slf.py(), slf.get());
        let started = diaphane_wire::now();
        let before = nested.then(|| this.lane.present()).flatten();
        this.lane.set_present(&job.parent);
        if this.is_main {
            this.kernel.capture.begin_cell();
        }
        this.announce(&job);
        let answer = this
            .enter(py, &job.parent)
            .and_then(|()| this.call(py, &job));
        match answer {
            Ok(task) if task.hasattr("add_done_callback").unwrap_or(false) => {
                Self::finish_later(slf, job, started, &task)
            }
            answer => {
                this.finish(py, &job, &started, answer);
                if let Some(before) = before {
                    // A cell waits in an `await` while a comm was served: the kernel is still busy with it.
                    this.lane.set_present(&before);
                    this.kernel
                        .outbox
                        .push([Item::status(&before, publish::BUSY)]);
                }
                this.lane.set_running(nested);
            }
        }
    }

    /// A cell with a top-level `await`: the answer comes when its task is done.
    fn finish_later(slf: &Bound<'_, Self>, job: Job, started: String, task: &Bound<'_, PyAny>) {
        let runner = slf.clone().unbind();
        let job = Arc::new((job, started));
        let waiting = Arc::clone(&job);
        let done = PyCFunction::new_closure(
            slf.py(),
            None,
            None,
            move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
                let py = arguments.py();
                let this = runner.get();
                let answer = arguments
                    .get_item(0)
                    .and_then(|task| task.call_method0("result"));
                let (job, started) = &*waiting;
                this.finish(py, job, started, answer);
                this.lane.set_running(false);
                this.lane.ring_if_ready();
            },
        );
        let added = done.and_then(|done| task.call_method1("add_done_callback", (done,)));
        if let Err(error) = added {
            slf.get().finish(slf.py(), &job.0, &job.1, Err(error));
            slf.get().lane.set_running(false);
        }
    }

    /// The calling context runs for this request from now on.
    fn enter(&self, py: Python<'_>, parent: &Parent) -> PyResult<()> {
        let request = PyParent::new(parent, &self.lane);
        parent::variable(py)?.call_method1(py, "set", (request,))?;
        Ok(())
    }

    /// The request as Python sees it.
    fn request(&self, job: &Job) -> PyParent {
        PyParent::new(&job.parent, &self.lane)
    }

    /// Calls the method of the request.
    fn call<'py>(&self, py: Python<'py>, job: &Job) -> PyResult<Bound<'py, PyAny>> {
        let requests = self.requests.bind(py);
        match &job.request {
            Request::Execute(execute) => self.execute(requests, job, execute),
            Request::Complete(it) => requests.call_method1("complete", (&it.code, it.cursor_pos)),
            Request::Inspect(it) => requests.call_method1(
                "inspect",
                (&it.code, it.cursor_pos, it.detail_level, &it.omit_sections),
            ),
            Request::History(it) => {
                let arguments = (
                    it.output,
                    it.raw,
                    it.session,
                    it.start,
                    it.stop,
                    // SQLite counts no further.
                    it.n.map(|n| n.min(i64::MAX.unsigned_abs())),
                    &it.pattern,
                    it.unique,
                );
                requests.call_method1("history", (&it.hist_access_type, arguments))
            }
            Request::IsComplete(it) => requests.call_method1("is_complete", (&it.code,)),
            Request::CommInfo(it) => requests.call_method1("comm_info", (&it.target_name,)),
            Request::Comm(_) => requests.call_method1("comm", (self.request(job),)),
            Request::Debug => requests.call_method1("debug", (self.request(job),)),
            Request::Magic(it) => {
                let answer = magic_requests::answer(Some(py), it, Room::Unlimited);
                let message = magic_requests::message(magic_requests::REPLY, &answer);
                let ok = answer.is_ok();
                let content = String::from_utf8_lossy(&message.content).into_owned();
                Ok((ok, content, None::<String>).into_pyobject(py)?.into_any())
            }
            // The io thread leaves this one where a cell is before it.
            Request::KernelInfo => Ok(pyo3::types::PyString::new(
                py,
                &String::from_utf8_lossy(&self.kernel.info),
            )
            .into_any()),
            Request::Connect
            | Request::Interrupt
            | Request::Shutdown(_)
            | Request::Usage
            | Request::Live(_)
            | Request::CreateSubshell
            | Request::DeleteSubshell(_)
            | Request::ListSubshell
            | Request::InputReply(_)
            | Request::Unknown => Err(PyRuntimeError::new_err(
                "diaphane bug: the io thread answers this request, and no lane",
            )),
        }
    }

    fn execute<'py>(
        &self,
        requests: &Bound<'py, PyAny>,
        job: &Job,
        execute: &Execute,
    ) -> PyResult<Bound<'py, PyAny>> {
        if execute.allow_stdin {
            self.kernel.input.allow(&job.parent);
        }
        let silent = execute.silent;
        let store_history = !silent && execute.store_history.unwrap_or(true);
        let arguments = (self.request(job), &execute.code, silent, store_history);
        let cell = requests.call_method1("cell", arguments)?;
        let number = cell.getattr("number")?.extract()?;
        let running = RunningCell::new(&job.parent, job.channel, number);
        self.kernel
            .crash
            .begin_cell(self.slot, running, &execute.code);
        if !silent {
            let content = publish::ExecuteInput {
                code: &execute.code,
                execution_count: number,
            };
            self.kernel.outbox.push([publication(
                &job.parent,
                Outgoing::new("execute_input", &content),
            )]);
            if let Some(data) = self.kernel.crash.take_before() {
                let content = publish::Display::new(data);
                let message = Outgoing::new("display_data", &content);
                self.kernel.outbox.push([publication(&job.parent, message)]);
            }
        }
        let expressions = execute.user_expressions.as_ref();
        let expressions = expressions.and_then(|map| serde_json::to_string(map).ok());
        requests.call_method1("execute", (cell, expressions))
    }

    /// Sends the reply and idle, after all that the request has written.
    fn finish(&self, py: Python<'_>, job: &Job, started: &str, answer: PyResult<Bound<'_, PyAny>>) {
        if is_forked() {
            leave_child(py);
        }
        if self.is_main {
            let kernel = &self.kernel;
            py.detach(|| kernel.capture.end_cell(&kernel.outbox, Some(&job.parent)));
        }
        self.kernel.input.end(&job.parent);
        if matches!(job.request, Request::Execute(_)) {
            self.kernel.crash.end_cell(self.slot);
        }
        let answer = answer
            .and_then(|answer| Answer::of(&answer))
            .unwrap_or_else(|error| failure(py, &job.parent, &error));
        let ok = answer.ok;
        let reply_type = reply_type(&job.parent.header.msg_type);
        let message = reply_type
            .zip(answer.content)
            .map(|(reply_type, content)| Outgoing::raw(reply_type, content.into_bytes()));
        let metadata = reply::ExecuteMetadata {
            started,
            engine: &self.kernel.id,
            dependencies_met: true,
            status: if ok { "ok" } else { "error" },
            diaphane: answer.change.as_deref(),
        };
        if let Request::Execute(execute) = &job.request
            && execute.stop_on_error
            && !execute.silent
            && !ok
        {
            // Before the client can know of the error: what it sends then is to run.
            self.lane.abort();
        }
        self.reply(job, message, &metadata);
    }

    fn announce(&self, job: &Job) {
        if !job.announced {
            let busy = Item::status(&job.parent, publish::BUSY);
            self.kernel.outbox.push([busy]);
        }
    }

    /// Answers a cell that is not to run.
    fn abort(&self, job: &Job) {
        self.announce(job);
        let message = Outgoing::new("execute_reply", &reply::ABORTED);
        let metadata = reply::ExecuteMetadata {
            started: &diaphane_wire::now(),
            engine: &self.kernel.id,
            dependencies_met: true,
            status: "aborted",
            diaphane: None,
        };
        self.reply(job, Some(message), &metadata);
    }

    /// Sends a reply, if there is one, and idle behind it. Only the replies to cells have metadata.
    fn reply(&self, job: &Job, message: Option<Outgoing>, metadata: &reply::ExecuteMetadata<'_>) {
        let reply = message.map(|mut message| {
            if matches!(job.request, Request::Execute(_)) {
                message.set_metadata(metadata);
            }
            Item::Reply {
                channel: job.channel,
                parent: Arc::clone(&job.parent),
                message,
            }
        });
        let idle = Item::status(&job.parent, publish::IDLE);
        self.kernel.outbox.push(reply.into_iter().chain([idle]));
    }
}

/// Ends a forked child, which must not go on as a second kernel.
fn leave_child(py: Python<'_>) -> ! {
    // This one writes out what the child has printed.
    let _left = py
        .import("os")
        .and_then(|os| os.call_method1("_exit", (0,)));
    exit::now(0)
}

/// What a method of `Requests` gives back.
struct Answer {
    ok: bool,
    /// The reply's content, as JSON; a message of a comm has no reply.
    content: Option<String>,
    /// What a cell changed, as JSON.
    change: Option<Box<RawValue>>,
}

impl Answer {
    /// A plain string is the content of a reply that went well.
    fn of(answer: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok((ok, content, change)) = answer.extract::<(bool, String, Option<String>)>() {
            return Ok(Self {
                ok,
                content: Some(content),
                change: change.and_then(|json| RawValue::from_string(json).ok()),
            });
        }
        Ok(Self {
            ok: true,
            content: answer.extract()?,
            change: None,
        })
    }
}

/// An exception that our own Python code let through. An interrupt may end any request that leads to code of the user.
fn failure(py: Python<'_>, request: &Parent, error: &PyErr) -> Answer {
    let failed = |ename: &str, evalue: String| Answer {
        ok: false,
        content: reply::refusal(request, ename, evalue)
            .and_then(|message| String::from_utf8(message.content).ok()),
        change: None,
    };
    if error.is_instance_of::<PyKeyboardInterrupt>(py) {
        return failed("KeyboardInterrupt", "the request was interrupted".into());
    }
    let sentence = super::describe(py, error);
    tracing::error!(
        error = sentence,
        "a request failed inside the kernel: a diaphane bug"
    );
    failed("diaphane bug", sentence)
}

fn publication(parent: &Parent, message: Outgoing) -> Item {
    Item::Publish {
        parent: Some(Arc::clone(parent)),
        message,
    }
}
