//! `diaphane stack PID`: the same report about another process, which need not be a kernel and need not answer.

use std::fs;
use std::io::ErrorKind;
use std::time::Instant;

use diaphane_sight::Error as Unread;
use diaphane_sight::code::file::{Class, class};
use diaphane_sight::proc::identity::{Identity, ptrace_scope};
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::target_process::TargetProcess;
use diaphane_sight::unwind::Manner;
use serde_json::json;

use super::{StackMagicArgs, report};
use crate::error::Error;
use crate::python::host;
use crate::stacks::other_process::look;
use diaphane_report::Report;
use diaphane_report::view;

/// How wide the text is: no line of a stack is wider.
const WIDTH: usize = super::WIDEST;

/// What `diaphane stack` is asked.
#[derive(Debug, clap::Args)]
pub struct StackArgs {
    /// The number of the process, as `ps` shows it
    pid: i32,
    /// Show the interpreter's and the C library's own functions too
    #[arg(long)]
    native: bool,
    /// Show all threads, and not only the main thread and the one that has the GIL
    #[arg(long)]
    all: bool,
    /// Show the report as JSON
    #[arg(long)]
    json: bool,
    /// Stop no thread: of those that run, only Python's functions are shown
    #[arg(long)]
    no_stop: bool,
}

impl StackArgs {
    /// As if nothing else was asked.
    #[must_use]
    pub fn of(pid: i32) -> Self {
        Self {
            pid,
            native: false,
            all: false,
            json: false,
            no_stop: false,
        }
    }
}

/// Says what a process runs at this moment, as text.
///
/// # Errors
/// Where the process is none of Python, or may not be looked at; the message names the process and the remedy.
pub fn stack_of_process(args: &StackArgs) -> Result<String, String> {
    let started = Instant::now();
    let mut report = answer(args).map_err(|error| error.to_string())?;
    report.took = started.elapsed();
    report.as_json = args.json;
    report.shown = usize::MAX;
    Ok(view::plain(&report, WIDTH))
}

fn answer(args: &StackArgs) -> Result<Report, Error> {
    let process = OtherProcess::of(args.pid)?;
    process.check()?;
    let manner = Manner {
        may_stop: !args.no_stop,
        interrupted: None,
    };
    let found = look(process.pid, manner)?.ok_or_else(|| process.is_no_python())?;
    let asked = StackMagicArgs {
        native: args.native,
        all: args.all,
    };
    let mut report = report(found.threads, &asked, true, &|_| None)?;
    report.limits = found.limits;
    report.limits.extend(process.is_debugged());
    report.host = Some(host::described(found.version.as_deref()));
    report.facts.insert("pid".into(), json!(process.pid));
    Ok(report)
}

/// The process that is asked about.
pub(super) struct OtherProcess {
    pub pid: i32,
    /// With its name, for messages.
    pub shown: String,
    /// The user that it runs as.
    user: Option<u32>,
    /// The process that traces it.
    tracer: Option<i32>,
}

impl OtherProcess {
    pub(super) fn of(number: i32) -> Result<Self, Error> {
        let Some(found) = Identity::of(number) else {
            return refuse(format!(
                "there is no process {number} here; `pgrep -a diaphane` lists the kernels, and `ps` all processes"
            ));
        };
        let name = found.name.as_deref().unwrap_or("?").escape_default();
        Ok(Self {
            pid: found.pid,
            shown: format!("process {} ({name})", found.pid),
            user: found.user,
            tracer: found.tracer,
        })
    }

    /// Whether its memory can be read, and is a program of our kind.
    pub(super) fn check(&self) -> Result<(), Error> {
        let target = TargetProcess::process(self.pid);
        let maps = match Maps::of(target) {
            Ok(maps) => maps,
            Err(Unread::Read { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
                return self.denied();
            }
            Err(Unread::Read { source, .. }) => {
                return refuse(format!("{} cannot be looked at: {source}", self.shown));
            }
            Err(error) => return Err(error.into()),
        };
        let readable = maps
            .regions
            .iter()
            .find(|region| region.perms.starts_with('r'));
        let Some(region) = readable else {
            return refuse(format!(
                "{} has ended, or belongs to Linux: it has no memory",
                self.shown
            ));
        };
        if target.read(region.span.start, &mut [0]).is_err() {
            return self.denied();
        }
        let own = Class::of_this_process();
        match class(&target.program()) {
            Some(other) if own.is_some_and(|own| own != other) => refuse(format!(
                "{} is a program of another kind ({other}), which this one cannot read",
                self.shown
            )),
            _ => Ok(()),
        }
    }

    fn denied(&self) -> Result<(), Error> {
        let own = rustix::process::geteuid().as_raw();
        let who = &self.shown;
        if own != 0 && self.user != Some(own) {
            let user = self.user.map_or("?".to_owned(), |user| user.to_string());
            return refuse(format!(
                "{who} belongs to the user {user}: ask as that user, or by sudo"
            ));
        }
        match ptrace_scope().as_deref() {
            Some(scope) if scope != "0" => refuse(format!(
                "{who} may not be looked at, since kernel.yama.ptrace_scope is {scope} on this system: use sudo, \
                 or `sudo sysctl kernel.yama.ptrace_scope=0` for the time until the next start"
            )),
            _ => refuse(format!(
                "{who} may not be looked at: use sudo, or in a container give it the capability SYS_PTRACE \
                 (`docker run --cap-add=SYS_PTRACE`)"
            )),
        }
    }

    /// Nobody else can stop the threads of a process that somebody traces.
    fn is_debugged(&self) -> Option<String> {
        let name = Identity::of(self.tracer?).and_then(|tracer| tracer.name);
        Some(format!(
            "a debugger ({}, process {}) has hold of the process, so none of its threads that run can be stopped",
            name.unwrap_or_default().escape_default(),
            self.tracer?
        ))
    }

    pub(super) fn is_no_python(&self) -> Error {
        let program = TargetProcess::process(self.pid).program();
        let program = fs::read_link(program).unwrap_or_default();
        let program = program.to_string_lossy();
        Error::Usage(format!(
            "{} runs no CPython ({}); for a program that started Python, name the child process: `ps --forest`",
            self.shown,
            program.escape_default()
        ))
    }
}

fn refuse<T>(what: String) -> Result<T, Error> {
    Err(Error::Usage(what))
}
