//! `%threads`: every thread of this process, native ones too, with its owner, and the pools beside the CPUs they share.
//!
//! Python names its own threads; the kernel and the threads' stacks tell about the others.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use diaphane_sight::cpus::Cpus;
use diaphane_sight::libs::{self, Library};
use diaphane_sight::maps::Maps;
use diaphane_sight::packages::{self, Package};
use diaphane_sight::pools::{self, Api, Runtime};
use diaphane_sight::threads::{self, Confidence, Thread};
use pyo3::prelude::*;
use pyo3::types::PyString;
use serde::Serialize;
use serde_json::json;

use crate::python::imported;
use crate::report::{Column, Diagnosis, Report, Severity, Show, fields, rows};
use crate::{Context, Error, Magic};

/// List the threads of this process, with the library each one belongs to.
///
/// Native pools usually keep the process's name for their threads; their owner is found on the stack of the sleeping
/// thread. The owner of a thread that runs at this moment is unknown.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

const COLUMNS: &[Column] = &[
    Column::new("tid", Show::Number, 0),
    Column::new("name", Show::Text, 0).at_least(15),
    Column::new("kind", Show::Text, 1),
    Column::new("owner", Show::Text, 2).at_least(18),
    Column::new("owner_package", Show::Text, 3)
        .titled("package")
        .optional(),
    Column::new("cpu_ns", Show::Time, 4).titled("cpu"),
    Column::new("state", Show::Text, 6),
    Column::new("wait", Show::Text, 5),
    Column::new("last_cpu", Show::Number, 7).titled("on"),
    Column::new("owner_confidence", Show::Text, 8).titled("owner by"),
    Column::new("wait_channel", Show::Text, 9)
        .titled("kernel function")
        .optional(),
];

/// What a thread is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Main,
    Python,
    Kernel,
    Blas,
    OpenMp,
    Unknown,
}

#[derive(Serialize)]
struct Row<'a> {
    tid: i32,
    name: &'a str,
    comm: &'a str,
    kind: Kind,
    owner: Option<&'a str>,
    owner_path: Option<&'a str>,
    owner_package: Option<&'a str>,
    owner_package_version: Option<&'a str>,
    owner_confidence: Option<&'static str>,
    state: char,
    wait: Option<String>,
    wait_channel: Option<&'a str>,
    cpu_ns: Option<u64>,
    last_cpu: Option<u32>,
}

/// A library that keeps threads of its own.
#[derive(Serialize)]
struct Pool {
    library: String,
    path: Option<String>,
    package: Option<String>,
    runtime: &'static str,
    api: Api,
    version: Option<String>,
    corename: Option<String>,
    size: Option<usize>,
    live: usize,
    #[serde(skip)]
    variable: &'static str,
}

/// The magic.
pub(crate) struct Threads;

impl Magic for Threads {
    const NAME: &'static str = "threads";
    type Args = Args;

    fn run(_args: &Args, context: &Context<'_, '_>) -> Result<Report, Error> {
        let names = match context.user {
            Some(user) => python_names(user.py)?,
            None => HashMap::new(),
        };
        context.without_gil(|| report(&names))
    }
}

/// The names that Python gave to its threads, by the kernel's numbers. Python is not asked to import anything.
fn python_names(py: Python<'_>) -> PyResult<HashMap<i32, String>> {
    let Some(threading) = imported(py, "threading")? else {
        return Ok(HashMap::new());
    };
    let mut names = HashMap::new();
    for thread in threading.call_method0("enumerate")?.try_iter()? {
        let thread = thread?;
        // A thread that was made but not started has no number yet; a subclass may answer anything.
        let tid = thread.getattr("native_id").and_then(|tid| tid.extract());
        let name = thread
            .getattr("name")
            .and_then(|name| Ok(name.cast_into::<PyString>()?.to_string_lossy().into()));
        if let (Ok(tid), Ok(name)) = (tid, name) {
            names.insert(tid, name);
        }
    }
    Ok(names)
}

fn report(names: &HashMap<i32, String>) -> Result<Report, Error> {
    let maps = Maps::read()?;
    let libraries = libs::loaded(&maps)?;
    let found = threads::threads(&libraries, &maps)?;
    let packages: Vec<_> = libraries.iter().map(package).collect();
    let cpus = Cpus::read();
    let pools = pools(&libraries, &packages, &found.threads);
    let listed = found
        .threads
        .iter()
        .map(|thread| row(thread, names, &libraries, &packages));
    Ok(Report {
        name: Threads::NAME,
        columns: COLUMNS,
        rows: rows(listed)?,
        summary: vec![summary(found.threads.len(), &pools, &cpus)],
        diagnoses: pools
            .iter()
            .filter_map(|pool| oversubscribed(pool, &cpus))
            .collect(),
        facts: fields(json!({"pools": pools, "cpus": cpus, "vanished": found.vanished}))?,
        limits: limits(&found.threads),
        ..Report::default()
    })
}

fn package(library: &Library) -> Option<Arc<Package>> {
    packages::owner(Path::new(library.path.as_deref()?))
}

fn row<'a>(
    thread: &'a Thread,
    names: &'a HashMap<i32, String>,
    libraries: &'a [Library],
    packages: &'a [Option<Arc<Package>>],
) -> Row<'a> {
    let owner = thread.owner.as_ref();
    let library = owner.map(|owner| &libraries[owner.library]);
    let package = owner.and_then(|owner| packages[owner.library].as_deref());
    let python = names.get(&thread.tid);
    Row {
        tid: thread.tid,
        name: python.unwrap_or(&thread.comm),
        comm: &thread.comm,
        kind: kind(thread, python.is_some(), library),
        owner: library.map(|library| library.name.as_str()),
        owner_path: library.and_then(|library| library.path.as_deref()),
        owner_package: package.map(|package| package.name.as_str()),
        owner_package_version: package.map(|package| package.version.as_str()),
        owner_confidence: owner.map(|owner| match owner.confidence {
            Confidence::Hook => "hook",
            Confidence::Descriptor => "descriptor",
            Confidence::Scan => "scan",
        }),
        state: thread.state,
        wait: thread.call.as_ref().map(|call| {
            call.name
                .map_or(format!("syscall {}", call.number), str::to_owned)
        }),
        wait_channel: thread.wait_channel.as_deref(),
        cpu_ns: thread.cpu_ns,
        last_cpu: thread.last_cpu,
    }
}

fn kind(thread: &Thread, has_python_name: bool, owner: Option<&Library>) -> Kind {
    let runtime = owner.and_then(pools::runtime);
    if u32::try_from(thread.tid) == Ok(std::process::id()) {
        Kind::Main
    } else if thread.comm.starts_with("diaphane-") || thread.comm.starts_with("ZMQbg/") {
        Kind::Kernel
    } else if has_python_name
        || owner.is_some_and(|library| library.image.exports("PyThread_start_new_thread"))
    {
        Kind::Python
    } else {
        match runtime.map(|runtime| runtime.api) {
            Some(Api::Blas) => Kind::Blas,
            Some(Api::OpenMp) => Kind::OpenMp,
            None => Kind::Unknown,
        }
    }
}

fn pools(
    libraries: &[Library],
    packages: &[Option<Arc<Package>>],
    threads: &[Thread],
) -> Vec<Pool> {
    let owned = |index| {
        let owners = threads.iter().filter_map(|thread| thread.owner.as_ref());
        owners.filter(|owner| owner.library == index).count()
    };
    let known = |(index, library)| Some((index, library, pools::runtime(library)?));
    let pool = |(index, library, runtime): (usize, &Library, &'static Runtime)| Pool {
        library: library.name.clone(),
        path: library.path.clone(),
        package: packages[index]
            .as_ref()
            .map(|package| format!("{} {}", package.name, package.version)),
        runtime: runtime.name,
        api: runtime.api,
        version: pools::version(library, runtime),
        corename: pools::corename(library, runtime),
        size: pools::threads_of(library, runtime),
        live: owned(index),
        variable: runtime.variable,
    };
    libraries
        .iter()
        .enumerate()
        .filter_map(known)
        .map(pool)
        .collect()
}

impl Pool {
    fn title(&self) -> String {
        format!(
            "{} of {}",
            self.runtime,
            self.package.as_deref().unwrap_or(&self.library)
        )
    }
}

fn summary(threads: usize, pools: &[Pool], cpus: &Cpus) -> String {
    let known =
        |count: Option<usize>| count.map_or("an unknown number".into(), |count| count.to_string());
    let quota = cpus.quota.map_or("no cgroup quota".into(), |quota| {
        format!("cgroup quota {quota:.1}")
    });
    let pools: Vec<String> = pools
        .iter()
        .map(|pool| format!("{} {}", pool.title(), pool.live))
        .collect();
    let pools = match pools.len() {
        0 => "no known native pool".to_owned(),
        _ => format!(
            "native pools (threads besides the caller): {}",
            pools.join(", ")
        ),
    };
    format!(
        "{threads} threads; {pools}; usable CPUs: {} (online {}, affinity {}, {quota})",
        known(cpus.usable),
        known(cpus.online),
        known(cpus.affinity),
    )
}

/// A pool computes with its threads and the one that calls it; more of them than CPUs wait for each other.
fn oversubscribed(pool: &Pool, cpus: &Cpus) -> Option<Diagnosis> {
    let usable = cpus.usable.filter(|&usable| pool.live + 1 > usable)?;
    Some(Diagnosis {
        code: "T001",
        severity: Severity::Warn,
        title: format!(
            "{} computes with {} threads on {usable} usable CPUs.",
            pool.title(),
            pool.live + 1
        ),
        evidence: vec![
            pool.path.clone().unwrap_or_else(|| pool.library.clone()),
            format!("{} pool threads and the caller", pool.live),
        ],
        fix: format!(
            "Set {}={usable} before it is loaded, or use threadpoolctl.threadpool_limits({usable}).",
            pool.variable
        ),
    })
}

/// Without these files of the kernel, owners and waits are unknown.
fn limits(threads: &[Thread]) -> Vec<String> {
    let asleep = threads.iter().filter(|thread| thread.state == 'S');
    let silent = asleep.clone().count() > 0 && asleep.clone().all(|thread| thread.call.is_none());
    let reason = "the kernel does not show the system calls of threads here, so owners are unknown";
    silent.then(|| reason.to_owned()).into_iter().collect()
}
