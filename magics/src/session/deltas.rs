//! The measurement: what there is when a cell begins, and what is different when it ends.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Instant;

use diaphane_forks::ProcessLock;
use diaphane_sight::linker::libraries;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::resource_usage;
use diaphane_sight::proc::resource_usage::ResourceUsage;
use diaphane_sight::threads::running_cells::CellId;
use diaphane_sight::{packages, threads};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;

use crate::session::array_deltas;
use crate::session::array_deltas::KnownArrays;
use crate::session::journal::{Changes, Image, Traffic};
use diaphane_report::view::{bytes, change, time};

/// Memory that grew or shrank by less cannot hold one huge page more or less, and the kernel is not asked.
const HUGE_PAGE: u64 = 2 << 20;

/// What a cell changed. Bytes are changes and may be negative.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Delta {
    cell: Option<u32>,
    libs_added: Vec<String>,
    libs_removed: Vec<String>,
    threads_added: Vec<String>,
    rss: Option<i64>,
    anon: Option<i64>,
    huge: Option<i64>,
    buffers_new: Vec<String>,
    buffers_new_bytes: usize,
    wall_ns: u64,
    cpu_ns: u64,
    minor_faults: u64,
    major_faults: u64,
    flushes_subnormals: Option<bool>,
    flushing_changed: bool,
    /// The cells that ran beside it, whose memory, CPU time and page faults are counted with its own.
    beside: Vec<String>,
    /// The libraries and threads that came or went, and may be theirs.
    unclear: Vec<String>,
    #[serde(skip)]
    packages: BTreeSet<String>,
}

/// What there was when the cell began.
pub(crate) struct StateBefore {
    at: Instant,
    resources: ResourceUsage,
    arrays: KnownArrays,
}

/// The bytes in huge pages when they were last asked for.
static HUGE: ProcessLock<Option<u64>> = ProcessLock::new(|| None);

impl StateBefore {
    /// A cell begins.
    pub fn now(namespace: &Bound<'_, PyDict>) -> Self {
        Self {
            arrays: array_deltas::known(namespace),
            resources: ResourceUsage::now(),
            at: Instant::now(),
        }
    }

    /// The cell has ended.
    pub fn until_now(
        &self,
        cell: CellId,
        changes: &Changes,
        namespace: &Bound<'_, PyDict>,
    ) -> Delta {
        let wall = self.at.elapsed();
        let (now, before) = (ResourceUsage::now(), &self.resources);
        let grown = |now: Option<u64>, before: Option<u64>| now.zip(before).map(difference);
        let new = array_deltas::new(namespace, &self.arrays);
        let rss = grown(now.rss, before.rss);
        // In a forked child the kernel counts anew, so that nothing is subtracted without a floor.
        let mut delta = Delta {
            cell: cell.number(),
            rss,
            anon: grown(now.anonymous, before.anonymous),
            huge: rss
                .filter(|rss| rss.unsigned_abs() >= HUGE_PAGE)
                .and_then(|_| huge_change()),
            buffers_new_bytes: new.iter().map(|held| held.nbytes).sum(),
            buffers_new: new.into_iter().map(|held| held.name).collect(),
            wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
            cpu_ns: now.cpu_ns.saturating_sub(before.cpu_ns),
            minor_faults: now.minor_faults.saturating_sub(before.minor_faults),
            major_faults: now.major_faults.saturating_sub(before.major_faults),
            flushes_subnormals: now.flushes_subnormals,
            flushing_changed: now.flushes_subnormals != before.flushes_subnormals,
            beside: changes
                .beside
                .iter()
                .map(|cell| title(cell.number()))
                .collect(),
            ..Delta::default()
        };
        delta.name(changes);
        delta
    }
}

/// A cell as the user knows it.
fn title(number: Option<u32>) -> String {
    number.map_or("a cell without a number".into(), |number| {
        format!("In[{number}]")
    })
}

fn difference((now, before): (u64, u64)) -> i64 {
    i64::try_from(i128::from(now) - i128::from(before)).unwrap_or_default()
}

/// How the bytes in huge pages changed since they were asked for; the first time there is nothing to compare.
fn huge_change() -> Option<i64> {
    let now = resource_usage::huge();
    let before = std::mem::replace(&mut *HUGE.lock(), now);
    now.zip(before).map(difference)
}

impl Delta {
    /// The number of the cell, which may have none.
    pub fn cell(&self) -> Option<u32> {
        self.cell
    }

    /// Finds names for what came and went; it takes a millisecond, and is done when something did.
    fn name(&mut self, Changes { own, unclear, .. }: &Changes) {
        let started = thread_names(&[own.started.as_slice(), &unclear.started].concat());
        let threads = |traffic: &Traffic| -> Vec<String> {
            let names = traffic.started.iter().filter_map(|tid| started.get(tid));
            names.cloned().collect()
        };
        self.libs_removed = own.unloaded.iter().map(file_name).collect();
        self.libs_added = own.loaded.iter().map(file_name).collect();
        self.threads_added = threads(own);
        let libraries = unclear.loaded.iter().chain(&unclear.unloaded);
        self.unclear = libraries.map(file_name).chain(threads(unclear)).collect();
        for (_, path) in &own.loaded {
            if let Some(package) = packages::owner(Path::new(path)) {
                self.packages.insert(package.name.clone());
            }
        }
    }

    /// The change in one line.
    pub fn sentence(&self) -> String {
        let cell = self
            .cell
            .map_or("cell".into(), |cell| format!("In[{cell}]"));
        let mut parts = vec![];
        parts.extend(counted("+", &self.libs_added, "lib", &join(&self.packages)));
        parts.extend(counted("-", &self.libs_removed, "lib", ""));
        let owners: BTreeSet<String> = self.threads_added.iter().cloned().collect();
        parts.extend(counted("+", &self.threads_added, "thread", &join(&owners)));
        if let Some(rss) = self.rss.filter(|rss| *rss != 0) {
            let huge = self.huge.filter(|huge| *huge != 0);
            let huge = huge.map(|huge| format!(" ({} huge)", change(huge as f64)));
            parts.push(format!(
                "RSS {}{}",
                change(rss as f64),
                huge.unwrap_or_default()
            ));
        }
        if !self.buffers_new.is_empty() {
            let count = self.buffers_new.len();
            let noun = if count == 1 { "buffer" } else { "buffers" };
            let size = bytes(self.buffers_new_bytes as f64);
            parts.push(format!("{count} new {noun} {size}"));
        }
        parts.push(self.time());
        if self.major_faults > 0 {
            let pages = if self.major_faults == 1 {
                "page"
            } else {
                "pages"
            };
            parts.push(format!("{} {pages} from disk", self.major_faults));
        }
        if self.flushing_changed {
            let now = self.flushes_subnormals.unwrap_or_default();
            parts.push(format!("FTZ {} (L008)", if now { "on" } else { "off" }));
        }
        if !self.beside.is_empty() {
            let beside = self.beside.join(", ");
            parts.extend(counted(
                "",
                &self.unclear,
                "lib or thread",
                "its own or theirs",
            ));
            parts.push(format!("and what {beside} took at the same time"));
        }
        format!("{cell}: {}", parts.join(", "))
    }

    fn time(&self) -> String {
        let wall = time(self.wall_ns as f64);
        let cpus = self.cpu_ns as f64 / (self.wall_ns.max(1)) as f64;
        // Below a millisecond the kernel's clock is too coarse for a ratio.
        if self.wall_ns > 1_000_000 && cpus > 1.05 {
            let cpu = time(self.cpu_ns as f64);
            format!("{wall}, CPU {cpu} ({cpus:.1} CPUs)")
        } else {
            wall
        }
    }
}

fn counted(sign: &str, what: &[String], noun: &str, whose: &str) -> Option<String> {
    let count = what.len();
    let plural = if count == 1 { "" } else { "s" };
    let whose = match whose {
        "" => String::new(),
        whose => format!(" ({whose})"),
    };
    (count > 0).then(|| format!("{sign}{count} {noun}{plural}{whose}"))
}

fn join(names: &BTreeSet<String>) -> String {
    names
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

fn file_name((_, path): &Image) -> String {
    let name = Path::new(path).file_name();
    name.map_or_else(|| path.clone(), |name| name.to_string_lossy().into_owned())
}

/// What threads are called that still live: the library that each belongs to, else the kernel's name for it.
fn thread_names(tids: &[i32]) -> HashMap<i32, String> {
    if tids.is_empty() {
        return HashMap::new();
    }
    let found = Maps::read().and_then(|maps| {
        let libraries = libraries::loaded(&maps)?;
        let found = threads::threads(&libraries, &maps)?;
        Ok((libraries, found))
    });
    let Ok((libraries, found)) = found else {
        return HashMap::new();
    };
    let found = found.threads.into_iter();
    found
        .filter(|thread| tids.contains(&thread.tid))
        .map(|thread| (thread.tid, thread_name(&thread, &libraries)))
        .collect()
}

fn thread_name(thread: &threads::Thread, libraries: &[Library]) -> String {
    let owner = thread.owner.as_ref().map(|owner| &libraries[owner.library]);
    owner.map_or_else(|| thread.comm.clone(), |library| library.name.clone())
}
