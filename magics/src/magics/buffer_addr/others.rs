//! The buffers that nobody asked about, of all variables and of what they hold: an answer that nobody shares the memory of
//! an array is worth something only if everybody was asked.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use diaphane_sight::proc::spans::{Span, union};
use pyo3::prelude::*;

use super::targets::BufferTarget;
use super::{BufferAddrArgs, Listed};
use crate::magic::User;
use crate::memory::buffers::Buffer;
use crate::memory::object_graph::{ReachedObject, roots};
use crate::memory::{buffers, object_graph};
use crate::python::objects::references;

/// So long the others are looked for.
const TIME: Duration = Duration::from_millis(300);
/// So many that share something are told.
const MOST: usize = 100;

/// Everything else that exports memory.
#[derive(Default)]
pub(super) struct Others<'py> {
    pub targets: Vec<BufferTarget<'py>>,
    /// Whether there are more, for which there was no time.
    pub is_cut: bool,
}

impl<'py> Others<'py> {
    /// Looks for them; where a report is about everything there are none.
    pub fn of(
        args: &BufferAddrArgs,
        user: User<'_, 'py>,
        asked: &[BufferTarget<'py>],
    ) -> PyResult<Self> {
        if args.all && args.names.is_empty() {
            return Ok(Self::default());
        }
        let deadline = Instant::now() + TIME;
        let mut objects = roots::visible(user);
        let known: HashSet<usize> = ids(asked);
        let names: HashSet<&str> = asked.iter().map(|one| one.name.as_str()).collect();
        let is_known = |object: &Bound<'_, PyAny>| known.contains(&object.as_ptr().addr());
        // What was asked is not looked from: so it is met where others hold it, the same object under another name.
        objects.retain(|(name, _)| !names.contains(name.as_str()));
        objects.extend(roots::kept_by_python(user)?);
        let (memory, owners) = (memory(asked), owners(asked));
        let is_shared = |span: Span| {
            let after = memory.partition_point(|one| one.end <= span.start);
            memory.get(after).is_some_and(|one| one.overlaps(span))
        };
        let is_wanted = |object: &Bound<'_, PyAny>| {
            is_known(object)
                || owners.contains(&object.as_ptr().addr())
                || buffers::may_touch(object, &is_shared)
        };
        let namespace = user.namespace.as_any();
        let walk = object_graph::only(user.py, namespace, &objects, Some(deadline), is_wanted)?;
        // A view leads to it, too, and is told of by itself.
        let is_way_back = |name: &str| name.ends_with(".base") || name.ends_with(".obj");
        let found = walk.found.into_iter().filter(|one| {
            let is_told = names.contains(one.name.as_str());
            !(is_told || (is_known(&one.object) && is_way_back(&one.name)))
        });
        let mut others = Self {
            targets: Vec::new(),
            is_cut: walk.is_cut,
        };
        for ReachedObject { name, object } in found {
            if Instant::now() > deadline {
                others.is_cut = true;
                break;
            }
            others.targets.push(BufferTarget {
                found: buffers::of(&object, false),
                refs: references(&object),
                name,
                object,
            });
        }
        Ok(others)
    }
}

/// The memory of what was asked, in the order of its addresses.
fn memory(targets: &[BufferTarget<'_>]) -> Vec<Span> {
    union(
        buffers_of(targets)
            .map(|buffer| buffer.layout.bounds())
            .collect(),
    )
}

/// The objects that own it, or are views of it themselves.
fn owners(targets: &[BufferTarget<'_>]) -> HashSet<usize> {
    let chains = buffers_of(targets).flat_map(|buffer| &buffer.chain);
    chains.map(|object| object.as_ptr().addr()).collect()
}

fn buffers_of<'a, 'py>(targets: &'a [BufferTarget<'py>]) -> impl Iterator<Item = &'a Buffer<'py>> {
    let found = targets.iter().flat_map(|target| &target.found);
    found.filter_map(|found| found.buffer.as_ref().ok())
}

fn ids(targets: &[BufferTarget<'_>]) -> HashSet<usize> {
    targets
        .iter()
        .map(|one| one.object.as_ptr().addr())
        .collect()
}

/// Keeps those of the others that share memory with one of the first `asked`. How many more there are.
pub(super) fn keep_related(listed: &mut Vec<Listed<'_>>, asked: usize) -> usize {
    let mut places = Vec::with_capacity(listed.len());
    let (mut kept, mut left_out) = (asked, 0);
    for (index, one) in listed.iter().enumerate() {
        let is_related = index < asked || !one.shares_with.is_empty();
        let is_kept = is_related && (index < asked || kept < asked + MOST);
        left_out += usize::from(is_related && !is_kept);
        places.push(is_kept.then_some(if index < asked { index } else { kept }));
        kept += usize::from(is_kept && index >= asked);
    }
    let mut index = 0;
    listed.retain(|_| {
        index += 1;
        places[index - 1].is_some()
    });
    for one in listed {
        one.shares_with = one
            .shares_with
            .iter()
            .filter_map(|&other| places[other])
            .collect();
    }
    left_out
}
