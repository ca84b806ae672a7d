//! Who claims what of the memory: variables, packages, allocators; and what nobody claims.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use diaphane_sight::proc::resource_usage::ResourceUsage;
use diaphane_sight::proc::spans::Span;
use diaphane_sight::runtimes::glibc_malloc::{self, Malloc};
use pyo3::prelude::*;

use super::by_region::{Pot, Pots};
use super::rows::{CODE, HISTORY, KERNEL, MemoryRow, PACKAGE, UNKNOWN, VARIABLE};
use super::taken::Taken;
use super::unclaimed::{free, malloc, own_data, rest};
use crate::error::Error;
use crate::magic::User;
use crate::memory::object_graph::census::{self, Census};
use crate::memory::object_graph::{Root, roots};
use crate::memory::{arrow_pools, buffers};
use crate::python::objects::type_name;

/// So long objects are looked at.
const TIME: Duration = Duration::from_secs(2);
/// So much may stay free of what it took to look.
const OWN: u64 = 1 << 20;
/// So long those that export memory are asked for it.
const TIME_OF_BUFFERS: Duration = Duration::from_secs(1);

/// The rows, and the whole that they add up to.
pub(super) struct Found {
    pub rows: Vec<MemoryRow>,
    pub rss: u64,
    pub limits: Vec<String>,
}

impl Found {
    /// The same as it is when the look is over: what looking took from the system, or gave back to it, is no cell's.
    pub fn settled(mut self) -> Result<Self, Error> {
        let pots = Pots::read(&mut [])?;
        let mut change = pots.rss().cast_signed() - self.rss.cast_signed();
        self.rss = pots.rss();
        for now in [malloc(&pots, Malloc::read().as_ref()), Some(own_data())]
            .into_iter()
            .flatten()
        {
            let is_it = |row: &&mut MemoryRow| row.kind == now.kind && row.what == now.what;
            if let Some(row) = self.rows.iter_mut().find(is_it) {
                change -= now.rss - row.rss;
                *row = now;
            }
        }
        let rest = self.rows.iter_mut().find(|row| row.kind == UNKNOWN);
        if let Some(rest) = rest {
            rest.rss += change;
        }
        Ok(self)
    }
}

/// Whether there is memory for a look at all objects: where Rust finds none it ends the process.
pub(super) fn has_room() -> bool {
    const ENOUGH: usize = 64 << 20;
    let room = Vec::<u8>::new().try_reserve_exact(std::hint::black_box(ENOUGH));
    room.is_ok()
}

/// Divides the memory.
pub(super) fn look(user: User<'_, '_>) -> Result<Found, Error> {
    if !has_room() {
        return Err(Error::Usage(
            "%memory: less than 64 MiB of memory are left here, too little to look at all objects; raise the limit (ulimit -v), or \
             delete what is large".into(),
        ));
    }
    let deadline = Instant::now() + TIME;
    let in_memory = ResourceUsage::now().rss;
    // First, since looking at the objects takes memory, too.
    let mut pools = arrow_pools::used(user.py)?;
    let pots = Pots::read(&mut pools)?;
    let malloc = Malloc::read();
    let mut roots = roots::all(user)?;
    let own = roots.len();
    roots.extend(roots::kept_by_python(user)?);
    let kept = roots.len();
    roots.extend(roots::elsewhere(user)?);
    let census = census::of(user.py, user.namespace.as_any(), &roots, deadline)?;
    let (claimed, is_late) = Claims::of(&census, &pots, Instant::now() + TIME_OF_BUFFERS)?;
    let groups = Groups { own, kept };
    let mut rows = groups.rows(&roots, &census, &claimed);
    rows.push(own_data());
    rows.extend(free(&pots, malloc.as_ref(), &pools));
    rows.extend(rest(&pots, &rows, claimed.in_files));
    let rss = pots.rss();
    rows.sort_by_key(|row| std::cmp::Reverse(row.rss));
    let cut = (census.is_cut || is_late).then(|| {
        format!(
            "within {} s not all objects were looked at; what is left of them is among the rest",
            (TIME + TIME_OF_BUFFERS).as_secs()
        )
    });
    drop((roots, census));
    // What it took to look would stay with this process. Malloc's own numbers do not tell: what it holds free may have been
    // given back before, and be in memory again.
    if ResourceUsage::now().rss > in_memory.map(|before| before + OWN) {
        user.py.detach(glibc_malloc::give_back);
    }
    Ok(Found {
        rows,
        rss,
        limits: cut.into_iter().collect(),
    })
}

/// The memory of buffers, each byte once.
struct Claims {
    /// For each root: bytes, and those in physical memory.
    buffers: Vec<(u64, u64)>,
    /// How much of what counts for one root another one has too.
    shared: BTreeMap<(usize, usize), u64>,
    /// Of these, what lies in mapped files or shared memory.
    in_files: u64,
}

impl Claims {
    /// Whether there was no time for all.
    fn of(census: &Census<'_>, pots: &Pots, deadline: Instant) -> PyResult<(Self, bool)> {
        let mut claims = Self {
            buffers: vec![(0, 0); census.held.len()],
            shared: BTreeMap::new(),
            in_files: 0,
        };
        let mut taken = Taken::default();
        // Memory is its owner's, as long as somebody has that.
        let mut views = Vec::new();
        let mut of_exporter = vec![0; census.exporters.len()];
        for (number, (root, object)) in census.exporters.iter().enumerate() {
            if Instant::now() > deadline {
                return Ok((claims, true));
            }
            for one in buffers::of(object, false) {
                let Ok(buffer) = one.buffer else { continue };
                let own = buffer.layout.bounds();
                of_exporter[number] += own.len() as u64;
                let both = (*root, buffer.whole()?.unwrap_or(own), own);
                match buffer.is_owner() {
                    true => claims.take(&mut taken, both, pots),
                    false => views.push(both),
                }
            }
        }
        for view in views {
            claims.take(&mut taken, view, pots);
        }
        for (both, sum) in &census.shared {
            let buffers: u64 = sum.exporters.iter().map(|one| of_exporter[*one]).sum();
            *claims.shared.entry(*both).or_default() += sum.bytes as u64 + buffers;
        }
        Ok((claims, false))
    }

    fn take(&mut self, taken: &mut Taken, (root, whole, own): (usize, Span, Span), pots: &Pots) {
        for span in [whole, own] {
            let (free, others) = taken.take(span, root);
            for part in free {
                self.add(root, part, pots);
            }
            for (owner, bytes) in others {
                *self.shared.entry((owner, root)).or_default() += bytes;
            }
        }
    }

    fn add(&mut self, root: usize, span: Span, pots: &Pots) {
        let present = pots.resident(span);
        match pots.at(span.start) {
            Some(Pot::Private) => {}
            Some(Pot::Files) => self.in_files += present,
            // An array in a library's data, or of an address that is nowhere.
            _ => return,
        }
        let claim = &mut self.buffers[root];
        claim.0 += span.len() as u64;
        claim.1 += present;
    }
}

/// Which roots are variables, and which are what Python and IPython keep; the others are modules and single objects.
struct Groups {
    own: usize,
    kept: usize,
}

impl Groups {
    fn rows(&self, roots: &[Root<'_>], census: &Census<'_>, claims: &Claims) -> Vec<MemoryRow> {
        let mut sums: BTreeMap<(&'static str, String), MemoryRow> = BTreeMap::new();
        for (number, (name, object)) in roots.iter().enumerate() {
            let (kind, what) = self.named(number, name);
            let (size, present) = claims.buffers[number];
            let held = census.held[number];
            if held.objects == 0 && size == 0 {
                continue;
            }
            let also = self.also(roots, claims, number, size + held.bytes as u64);
            let row = sums
                .entry((kind, what.clone()))
                .or_insert_with(|| MemoryRow {
                    type_name: (kind == VARIABLE).then(|| type_name(object)),
                    give_back: Some(give_back(kind, &what, &also)),
                    also,
                    what,
                    kind,
                    size: Some(0),
                    buffers: Some(0),
                    objects: Some(0),
                    ..MemoryRow::default()
                });
            row.rss += present.cast_signed() + held.bytes as i64;
            row.size = row.size.map(|sum| sum + size + held.bytes as u64);
            row.buffers = row.buffers.map(|sum| sum + size);
            row.objects = row.objects.map(|sum| sum + held.objects);
        }
        sums.into_values().collect()
    }

    /// Who else holds a tenth of what a variable counts with, or more.
    fn also(&self, roots: &[Root<'_>], claims: &Claims, number: usize, size: u64) -> Vec<String> {
        let shared = claims.shared.range((number, 0)..(number + 1, 0));
        // Of what is small, a few names and numbers that many hold would be most.
        let others = shared.filter(|(_, bytes)| size >= SMALL && *bytes * 10 >= size);
        let named = others.map(|((_, other), _)| self.named(*other, &roots[*other].0));
        let named = named.map(|(kind, what)| match kind == HISTORY && is_history(&what) {
            true => OUT.to_owned(),
            false => what,
        });
        Vec::from_iter(BTreeSet::from_iter(named))
    }

    fn named(&self, number: usize, name: &str) -> (&'static str, String) {
        if number < self.kept {
            let is_variable = number < self.own && !is_history(name);
            return (
                if is_variable { VARIABLE } else { HISTORY },
                name.to_owned(),
            );
        }
        match name.strip_prefix("module ") {
            Some(module) => {
                let package = module.split('.').next().unwrap_or(module);
                if OF_KERNEL.contains(&package) {
                    (KERNEL, "IPython and what it needs".into())
                } else {
                    (PACKAGE, package.to_owned())
                }
            }
            None if name.is_empty() => (CODE, "classes, functions and code".into()),
            None => (HISTORY, name.to_owned()),
        }
    }
}

/// Whether IPython or Python keeps it: `In`, `Out`, `_`, `_12`, `_i3`, `_oh`, or the last error.
fn is_history(name: &str) -> bool {
    let rest = name
        .strip_prefix('_')
        .map(|rest| rest.trim_start_matches(['_', 'i']));
    matches!(name, "In" | "Out" | "_oh" | "_ih" | "_dh")
        || name.starts_with("sys.")
        || rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Of what is smaller nobody asks who else holds it.
const SMALL: u64 = 4096;

/// What IPython keeps of cells, under several names.
const OUT: &str = "Out";

/// Packages that are there for the notebook's sake.
const OF_KERNEL: [&str; 14] = [
    "IPython",
    "traitlets",
    "diaphane",
    "_diaphane",
    "comm",
    "asyncio",
    "jedi",
    "parso",
    "pygments",
    "prompt_toolkit",
    "matplotlib_inline",
    "stack_data",
    "executing",
    "debugpy",
];

fn give_back(kind: &str, what: &str, also: &[String]) -> String {
    let is_name = |other: &&String| !other.contains([' ', '.']);
    let names = also.iter().filter(|other| *other != OUT);
    match kind {
        VARIABLE if names.clone().all(|other| is_name(&other)) => {
            let all = [format!("del {what}")].into_iter().chain(names.cloned());
            let out = also.iter().any(|other| other == OUT);
            let out = if out { ", and then %reset -f out" } else { "" };
            all.collect::<Vec<_>>().join(", ") + out
        }
        VARIABLE => format!("not while {} hold it too", also.join(", ")),
        HISTORY if what.starts_with("sys.") => format!("del {what}"),
        HISTORY if is_history(what) => "%reset -f out".into(),
        HISTORY => "it goes when the thread ends".into(),
        PACKAGE => "no, while it is imported".into(),
        _ => "no".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ipython_keeps_is_history() {
        for name in [
            "_",
            "___",
            "_12",
            "_i3",
            "_ii",
            "Out",
            "_oh",
            "sys.last_exc",
        ] {
            assert!(is_history(name), "{name}");
        }
        for name in ["x", "_x", "_1a", "__mine", "Outer"] {
            assert!(!is_history(name), "{name}");
        }
    }
}
