//! What is remarkable about the loaded libraries.

mod flushing;
mod paths;

use std::collections::{BTreeMap, HashMap, HashSet};

use diaphane_sight::arch::float::{Subnormals, subnormals};
use diaphane_sight::linker::libraries::LibraryKind;
use diaphane_sight::runtimes::pool_libraries;
use diaphane_sight::runtimes::pool_libraries::Api;
use pyo3::prelude::*;

use crate::libraries::inventory::LibraryEntry;
use crate::libraries::names::stem;
use crate::python::threads::thread_names;
use diaphane_report::{Diagnosis, Severity};

/// What Python and the thread that asks know and no library says.
#[derive(Debug, Default)]
pub(super) struct Interpreter {
    subnormals: Option<Subnormals>,
    /// The thread that asks.
    thread: i32,
    /// Python's names of its threads.
    names: HashMap<i32, String>,
    /// Whether a Python that could do without the GIL has it switched on, and nobody asked for this.
    has_reenabled_gil: bool,
}

impl Interpreter {
    pub fn ask(py: Python<'_>) -> PyResult<Self> {
        let sys = py.import("sys")?;
        let is_free_threaded = sys.getattr("abiflags")?.extract::<String>()?.contains('t');
        let mut has_reenabled_gil = false;
        if is_free_threaded {
            let is_enabled = sys.call_method0("_is_gil_enabled")?.is_truthy()?;
            let asked = sys.getattr("flags")?.getattr_opt("gil")?;
            let is_asked = asked.is_some_and(|asked| asked.extract::<i64>().ok() == Some(1));
            has_reenabled_gil = is_enabled && !is_asked;
        }
        Ok(Self {
            subnormals: Some(subnormals()),
            thread: nix::unistd::gettid().as_raw(),
            names: thread_names(py)?,
            has_reenabled_gil,
        })
    }
}

/// Everything remarkable about the listed libraries; what follows from others looks at all of them.
pub(super) fn all(
    listed: &[&LibraryEntry],
    items: &[LibraryEntry],
    interpreter: Option<&Interpreter>,
) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = [several_openmp(listed), several_blas(listed)]
        .into_iter()
        .flatten()
        .collect();
    found.extend(copies(listed));
    found.extend(deleted(listed));
    found.extend(paths::displaced(listed, items));
    found.extend(risky(listed));
    if let Some(interpreter) = interpreter {
        found.extend(reenabled(listed, interpreter));
        found.extend(flushing::of_this_thread(listed, interpreter));
        found.extend(flushing::of_other_threads(items, interpreter));
    }
    found.extend(paths::older_cpp(listed, items));
    found.sort_by_key(|diagnosis| std::cmp::Reverse(diagnosis.severity));
    found
}

/// The libraries that are there more than once, be it another build of the same.
pub(super) fn duplicates(items: &[LibraryEntry]) -> HashSet<usize> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        if item.facts.kind == LibraryKind::Library {
            let runtime = item
                .fixed
                .runtime
                .map(|runtime| format!("{:?}", runtime.api));
            let names = [
                Some(stem(&item.facts.name).to_owned()),
                item.facts.image.soname.clone(),
                runtime,
            ];
            for name in names.into_iter().flatten() {
                groups.entry(name).or_default().push(index);
            }
        }
    }
    let several = groups.into_values().map(|mut group| {
        group.dedup();
        group
    });
    several.filter(|group| group.len() > 1).flatten().collect()
}

/// A runtime with what is known of it, and whose it is.
fn describe(item: &LibraryEntry) -> String {
    let name = item
        .fixed
        .runtime
        .map_or(item.facts.name.as_str(), |runtime| runtime.name);
    let mut words = vec![name.to_owned()];
    words.extend(item.fixed.version.clone());
    words.extend(
        item.fixed
            .architecture
            .clone()
            .map(|kernels| format!("with {kernels} kernels")),
    );
    words.push(match item.origin() {
        Some(origin) => format!("of {origin}:"),
        None => "in".into(),
    });
    words.push(item.path().to_owned());
    words.join(" ")
}

fn of_api<'a>(
    listed: &[&'a LibraryEntry],
    api: Api,
) -> Vec<(&'a LibraryEntry, &'static pool_libraries::Runtime)> {
    let runtimes = listed
        .iter()
        .filter_map(|item| Some((*item, item.fixed.runtime?)));
    runtimes.filter(|(_, runtime)| runtime.api == api).collect()
}

fn several_openmp(listed: &[&LibraryEntry]) -> Option<Diagnosis> {
    let runtimes = of_api(listed, Api::OpenMp);
    let names: Vec<&str> = runtimes.iter().map(|(_, runtime)| runtime.name).collect();
    let kinds: HashSet<&str> = names.iter().copied().collect();
    let severity = match () {
        () if names.len() < 2 => return None,
        () if kinds.contains("Intel OpenMP") && kinds.contains("LLVM OpenMP") => Severity::Error,
        () if kinds.len() < names.len() => Severity::Warn,
        () => Severity::Info,
    };
    let fix = match severity {
        Severity::Error => {
            "Intel's and LLVM's cannot live together: they hang or crash. Install packages that share one of them, for example all from conda-forge."
        }
        Severity::Warn => {
            "Each has its own threads, and setting their number in one leaves the other as it was; packages from one source, such as conda-forge, share one."
        }
        Severity::Info => {
            "They work side by side; each has threads of its own, which threadpoolctl sets for all."
        }
    };
    Some(Diagnosis {
        code: "L001",
        severity,
        title: format!(
            "{} OpenMP runtimes are loaded: {}.",
            names.len(),
            names.join(", ")
        ),
        evidence: runtimes.iter().map(|(item, _)| describe(item)).collect(),
        fix: fix.into(),
    })
}

fn several_blas(listed: &[&LibraryEntry]) -> Option<Diagnosis> {
    let runtimes = of_api(listed, Api::Blas);
    (runtimes.len() > 1).then(|| Diagnosis {
        code: "L002",
        severity: Severity::Info,
        title: format!(
            "{} BLAS libraries are loaded, each with threads of its own.",
            runtimes.len()
        ),
        evidence: runtimes.iter().map(|(item, _)| describe(item)).collect(),
        fix: "This is usual where wheels bring their own; threadpoolctl sets the threads of all at once.".into(),
    })
}

/// Copies under one soname shadow each other; copies under names with a hash, as wheels have them, do not.
fn copies(listed: &[&LibraryEntry]) -> Vec<Diagnosis> {
    let libraries = || {
        let plain = listed
            .iter()
            .filter(|item| item.facts.kind == LibraryKind::Library);
        plain.filter(|item| item.fixed.runtime.is_none())
    };
    let mut by_soname: BTreeMap<&str, Vec<&LibraryEntry>> = BTreeMap::new();
    let mut by_stem: BTreeMap<&str, Vec<&LibraryEntry>> = BTreeMap::new();
    for item in libraries() {
        if let Some(soname) = item.facts.image.soname.as_deref() {
            by_soname.entry(soname).or_default().push(item);
        }
        by_stem
            .entry(stem(&item.facts.name))
            .or_default()
            .push(item);
    }
    by_soname.retain(|_, group| group.len() > 1);
    let is_told = |item: &LibraryEntry| {
        let soname = item.facts.image.soname.as_deref();
        soname.is_some_and(|soname| by_soname.contains_key(soname))
    };
    by_stem.retain(|_, group| group.len() > 1 && !group.iter().all(|item| is_told(item)));
    let evidence = |groups: &BTreeMap<&str, Vec<&LibraryEntry>>| -> Vec<String> {
        let lines = groups.values().flatten();
        lines
            .map(|item| {
                format!(
                    "{} ({})",
                    item.path(),
                    item.origin().unwrap_or_else(|| "no package".into())
                )
            })
            .collect()
    };
    let names = |groups: &BTreeMap<&str, Vec<&LibraryEntry>>| {
        let names: Vec<&str> = groups.keys().copied().collect();
        names.join(", ")
    };
    let same = (!by_soname.is_empty()).then(|| Diagnosis {
        code: "L003",
        severity: Severity::Warn,
        title: format!("Several files are loaded under one soname: {}.", names(&by_soname)),
        evidence: evidence(&by_soname),
        fix: "What is loaded later gets the first of them by name, whichever it was built for; load only one of the files.".into(),
    });
    let similar = (!by_stem.is_empty()).then(|| Diagnosis {
        code: "L003",
        severity: Severity::Info,
        title: format!("Several copies are loaded of {}.", names(&by_stem)),
        evidence: evidence(&by_stem),
        fix: "Wheels give each copy a name of its own, so that each package uses the one that it was built with; nothing needs to be done.".into(),
    });
    same.into_iter().chain(similar).collect()
}

fn deleted(listed: &[&LibraryEntry]) -> Option<Diagnosis> {
    let gone: Vec<String> = listed
        .iter()
        .filter(|item| item.facts.deleted)
        .map(|item| item.path().to_owned())
        .collect();
    (!gone.is_empty()).then(|| Diagnosis {
        code: "L004",
        severity: Severity::Warn,
        title: format!(
            "{} loaded from a file that was deleted or replaced since.",
            match gone.len() {
                1 => "1 library is".to_owned(),
                many => format!("{many} libraries are"),
            }
        ),
        fix: "Restart the kernel to use what is on disk now.".into(),
        evidence: gone,
    })
}

fn risky(listed: &[&LibraryEntry]) -> Option<Diagnosis> {
    let risks = listed
        .iter()
        .filter(|item| item.facts.kind != LibraryKind::Program);
    let evidence: Vec<String> = risks
        .flat_map(|item| {
            let image = &item.facts.image;
            let stack = image.wants_executable_stack == Some(true);
            [
                stack.then(|| format!("{}: wants an executable stack", item.path())),
                image.has_text_relocations.then(|| {
                    format!(
                        "{}: its code is changed when it is loaded (DT_TEXTREL)",
                        item.path()
                    )
                }),
            ]
        })
        .flatten()
        .collect();
    (!evidence.is_empty()).then(|| Diagnosis {
        code: "L006",
        severity: Severity::Warn,
        title: "A library wants memory that can be written and run.".into(),
        fix: "It weakens the whole process, and hardened systems refuse to load it; build it without -z execstack, and with -fPIC.".into(),
        evidence,
    })
}

fn reenabled(listed: &[&LibraryEntry], interpreter: &Interpreter) -> Option<Diagnosis> {
    let modules = listed
        .iter()
        .filter_map(|item| Some((item, item.declared.as_ref()?)));
    let evidence: Vec<String> = modules
        .filter(|(_, declared)| matches!(declared.gil, Some("used" | "undeclared")))
        .map(|(item, declared)| format!("{} ({})", declared.module, item.path()))
        .collect();
    (interpreter.has_reenabled_gil && !evidence.is_empty()).then(|| Diagnosis {
        code: "L007",
        severity: Severity::Warn,
        title: "The GIL was switched on by an extension module that does not say it can do without.".into(),
        fix: "Use a version of the module that supports free threading, or, where you know it is safe, start Python with PYTHON_GIL=0.".into(),
        evidence,
    })
}

#[cfg(test)]
mod tests;
